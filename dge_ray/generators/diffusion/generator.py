"""The diffusion generator: rows out of noise in a few steps, given any of their columns.

Two formulations: `edm` (edm.py), which is made for short fits and fast sampling, and `tabddpm` (ddpm.py), as published.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.special import ndtr

from dge_ray.generators.base import Unsupported
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import check_count
from dge_ray.generators.diffusion.ddpm import Ddpm
from dge_ray.generators.diffusion.edm import Edm
from dge_ray.generators.diffusion.private import ClippedDenoising
from dge_ray.generators.diffusion.settings import DiffusionSettings
from dge_ray.generators.diffusion.training import WEIGHTS, DenoisingFit, steps_for, steps_per_round
from dge_ray.generators.encoding.code_vectors import MOST_ONE_HOT
from dge_ray.generators.encoding.ranks import MixedEncoder
from dge_ray.generators.encoding.target_law import atoms
from dge_ray.generators.fitting.neural import FitRows, Neural, Start, sample_stream, stream
from dge_ray.generators.fitting.rounds import RoundsPlan
from dge_ray.generators.fitting.schedule import one_cycle
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.marginals import noisy_marginals
from dge_ray.generators.private.rounds import PrivateRounds, rounds_of
from dge_ray.generators.private.tokens import private_discretiser, token_shares
from dge_ray.generators.rows.conditions import encode_given, with_given
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import TableSchema

DITHER = 3  # the stream of ties, of a fit and of a sample: index at Purpose.FIT and Purpose.SHARD
DRAWS, SHARED = 0, 4  # the streams of a sample, its own and that of codes that categories share: at Purpose.SHARD
WARMUP = 0.1  # share of the steps in which edm's rate rises


@dataclass(frozen=True)
class DiffusionModel:
    """The encoder, the process over its scores and codes, and the shares of all codes that it began from."""

    encoder: MixedEncoder
    process: Edm | Ddpm
    shares: np.ndarray


class Diffusion(Neural[DiffusionSettings, DiffusionModel]):
    """A diffusion over normal scores and codes. Settings: `DiffusionSettings`."""

    name = "diffusion"
    abilities = DiffusionSettings.abilities
    architecture = ("formulation", "width", "layers", "first", "last", "timesteps")

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the weights, n, seed and `given`.

        `given`: any columns of `n` rows. They come back as they are, and the other columns are drawn given them: by
        `edm` from conditional laws that it learnt, by `tabddpm` by inpainting, which is an approximation. A measured
        value counts as the bin or the nearest value that was fitted.

        Raises:
            InputError: not fitted, n < 1, or conditions that are not columns of n rows with known values.
        """
        schema, model = self._state()
        check_count(n)
        device = model.process.network.device
        generator = sample_stream(seed, DRAWS, device)
        if given is None:
            scores, codes = model.process.sample(n, generator)
        else:
            values, encoder = encode_given(given, n, schema), model.encoder
            rng = numpy_generator(seed, Purpose.SHARD, index=DITHER)
            held = [torch.from_numpy(part).to(device) for part in encoder.encode(values, rng, rows=n)]
            known = torch.tensor([name in values for name in encoder.measured + encoder.coded], device=device)
            scores, codes = model.process.sample(n, generator, known, *held)
        columns = model.encoder.decode(
            scores.cpu().numpy(), codes.cpu().numpy(), numpy_generator(seed, Purpose.SHARD, index=SHARED)
        )
        rows = TableCodec(schema).decode(columns, seed=seed)
        return rows if given is None else with_given(rows, given, schema)

    def target_law(self, given: pa.Table, *, points: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The target's law given all other modelled columns, without draws.

        A measured target: encoded values (n, points), its quantiles at the middles of equal parts, and probabilities
        (1, points), all the same. A coded one: its values (1, s) and their probabilities (n, s). None from `tabddpm`,
        or where a coded target has so many classes that some share a code.

        Raises:
            InputError: not fitted, or a value that its column was never fitted with.
        """
        schema, model = self._state()
        name, process, encoder = str(schema.target), model.process, model.encoder
        if not isinstance(process, Edm):
            return None
        values = encode_given(given, given.num_rows, schema)
        rng = numpy_generator(0, Purpose.SHARD, index=DITHER)  # where ties fall within their token
        held = encoder.encode(values, rng, rows=given.num_rows)
        scores, codes = (torch.from_numpy(part).to(process.network.device) for part in held)
        tokens = encoder.discretiser.columns[name]
        if name in encoder.scales:
            quantiles = process.quantile_scores(encoder.measured.index(name), scores, codes, points).cpu().numpy()
            uniform = ndtr(quantiles.astype(np.float64)).ravel()
            decoded = tokens.decode(*encoder.scales[name].from_uniform(uniform)).reshape(quantiles.shape)
            return decoded, np.full((1, points), 1 / points)
        known = atoms(tokens)
        if known is None:
            return None
        p = process.code_law(encoder.coded.index(name), scores, codes).cpu().numpy()
        return known.reshape(1, -1), np.repeat(p / known.shape[1], known.shape[1], axis=1)

    def _start(
        self, schema: TableSchema, rows: FitRows, *, seed: int, device: str, source: Checkpoint | None
    ) -> Start[DiffusionModel]:
        if source is None:
            encoder = MixedEncoder.fit(schema.modelled, rows.seen, bins=self.settings.bins)
        else:
            encoder = MixedEncoder.from_state(source.arrays, source.extra["tokens"])
        rng = numpy_generator(seed, Purpose.FIT, index=DITHER)
        scores, codes = encoder.encode(rows.train, rng)
        train = torch.from_numpy(scores).to(device), torch.from_numpy(codes).to(device)
        shares = _shares(codes, encoder.sizes) if source is None else source.arrays["shares"]
        left_out, held_codes = encoder.encode(rows.heldout, rng)
        known = (held_codes >= 0).all(axis=1)
        heldout = torch.from_numpy(left_out[known]).to(device), torch.from_numpy(held_codes[known]).to(device)
        process = self._process(schema, encoder, shares, device)
        s, n, published = self.settings, rows.count, self.settings.formulation == "tabddpm"
        batch_size = min(n, s.batch_size or (4_096 if published else 512))
        steps = s.steps or (30_000 if published else steps_for(n, batch_size))
        decay = s.weight_decay if s.weight_decay is not None else (0.0 if published else 1e-3)
        rate = _linear if published else partial(one_cycle, warmup=WARMUP)

        def begin(share: float) -> DenoisingFit:
            if source is None:
                process.network.initialise(stream(seed, WEIGHTS))
            else:
                process.flat.copy_(torch.from_numpy(source.arrays["weights"]))
            return DenoisingFit(
                process,
                train,
                heldout if known.any() else None,
                steps=steps,
                batch_size=batch_size,
                lr=s.lr * share,
                rate=rate,
                weight_decay=decay,
                ema=s.ema if s.ema is not None else not published,
                seed=seed,
            )

        plan = RoundsPlan(math.ceil(steps / steps_per_round(steps)), s.patience, s.budget_seconds)
        return Start(DiffusionModel(encoder, process, shares), begin, plan)

    def _start_private(
        self, schema: TableSchema, rows: FitRows, *, seed: int, device: str, private: PrivateFit
    ) -> Start[DiffusionModel]:
        s, n = self.settings, rows.count
        if s.formulation != "edm":
            raise Unsupported("generator.formulation", f"{s.formulation!r} in a private fit", "'edm'")
        marginals = noisy_marginals(schema.modelled, rows.train, n, private)
        discretiser = private_discretiser(schema.modelled, marginals, bins=s.bins)
        by_token = {name: token_shares(tokens, marginals[name]) for name, tokens in discretiser.columns.items()}
        encoder = MixedEncoder.of(discretiser, by_token, few=MOST_ONE_HOT)  # bins are coarse here
        shares = np.concatenate([*(by_token[name] for name in encoder.coded), np.empty(0)])
        process = self._process(schema, encoder, shares, device)
        assert isinstance(process, Edm)
        scores, codes = encoder.encode(rows.train, numpy_generator(seed, Purpose.FIT, index=DITHER))
        train = torch.from_numpy(scores).to(device), torch.from_numpy(codes).to(device)

        def begin(share: float) -> PrivateRounds:
            process.network.initialise(stream(seed, WEIGHTS))
            clipped_sum = ClippedDenoising(process, *train, private, draws=s.draws)
            all_of_them = torch.ones_like(process.flat)
            # A state that is kept between rounds holds weights that are never released. They cost nothing more: the
            # accounting is of all steps' noisy sums, of which every step's weights are a function.
            return PrivateRounds(process.flat, clipped_sum, private, n=n, lr=s.lr * share, learned=all_of_them)

        rounds = rounds_of(private.steps)
        return Start(DiffusionModel(encoder, process, shares), begin, RoundsPlan(rounds, rounds))

    def _process(self, schema: TableSchema, encoder: MixedEncoder, shares: np.ndarray, device: str) -> Edm | Ddpm:
        s, measured = self.settings, len(encoder.measured)
        if s.formulation == "edm":
            width, layers = s.width or 256, s.layers or 3
            options = {"width": width, "layers": layers, "sampling_steps": s.sampling_steps}
            return Edm(measured, encoder.sizes, shares, **options, device=device)
        target = encoder.coded.index(schema.target) if schema.target in encoder.coded else None
        width, layers = s.width or 1_024, s.layers or 6
        widths = [s.first or width, *[width] * (layers - 2), s.last or width][:layers]
        options = {"target": target, "timesteps": s.timesteps, "widths": widths}
        return Ddpm(measured, encoder.sizes, shares, **options, device=device)

    def _files(self, model: DiffusionModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, tokens = model.encoder.state()
        arrays |= {"weights": model.process.flat.cpu().numpy(), "shares": model.shares}
        return arrays, {"tokens": tokens}

    def _restored(self, saved: Checkpoint, device: str) -> DiffusionModel:
        encoder, shares = MixedEncoder.from_state(saved.arrays, saved.extra["tokens"]), saved.arrays["shares"]
        process = self._process(saved.schema, encoder, shares, device)
        process.flat.copy_(torch.from_numpy(saved.arrays["weights"]))
        return DiffusionModel(encoder, process, shares)


def _shares(codes: np.ndarray, sizes: list[int]) -> np.ndarray:
    """The shares (sum of sizes,) of codes (n, c), with a tenth of a row more for each so that none is impossible."""
    counts = [np.bincount(codes[:, j], minlength=size) + 0.1 for j, size in enumerate(sizes)]
    return np.concatenate([count / count.sum() for count in counts] + [np.empty(0)])


def _linear(step: int, steps: int) -> float:
    return 1 - step / steps
