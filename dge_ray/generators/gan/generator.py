"""The GAN generator: conditional, Wasserstein with gradient penalty, in the manner of CTGAN (Xu et al. 2019).

What differs from the publication by default: measured columns are normal scores of their ranks (1,100 steps on Adult:
6.2 % of shape error with modes, 0.7 % with ranks), learning rates fall to 0, rows are made by the average of the
weights, and marginals are calibrated. `preset=dge2023` has the settings of the ensemble paper instead.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import check_count
from dge_ray.generators.encoding.calibration import MarginalCalibration
from dge_ray.generators.encoding.modes import ModeEncoder
from dge_ray.generators.encoding.ranks import MixedEncoder
from dge_ray.generators.fitting.neural import FitRows, Neural, Start, sample_stream, stream
from dge_ray.generators.fitting.rounds import RoundsPlan
from dge_ray.generators.gan.condition_vectors import ConditionLaw
from dge_ray.generators.gan.model import GanModel, RowEncoder
from dge_ray.generators.gan.settings import GanSettings
from dge_ray.generators.gan.training import MAKER_WEIGHTS, ROUND_STEPS, GanFit
from dge_ray.generators.rows.conditions import encode_one, with_given
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import TableSchema

ROWS, SHARED = 0, 1  # the streams of a sample, its own and that of codes that categories share: at Purpose.SHARD
TIES = 1_000  # the streams by which ties fall, one a round: indices at Purpose.FIT from here
STEPS = 6_000  # of a fit, where no epochs are set
TRIES = 10  # times a row is made anew whose given column came out otherwise


class Gan(Neural[GanSettings, GanModel]):
    """A conditional Wasserstein GAN. Settings: `GanSettings`. There is no held-out loss: all
    rounds run, on all rows."""

    name = "gan"
    abilities = GanSettings.abilities
    architecture = ("encoding", "latent", "hidden", "layers", "batch_norm")

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the weights, n, seed and `given`.

        `given`: one coded column of `n` rows (constants and identifiers may be among them). It comes back as it is; the
        other columns come from the network that is asked for its values, rows that come out with another value being
        made anew up to 10 times.

        Raises:
            InputError: not fitted, n < 1, or `given` with other than n rows, or with values that were not fitted.
            Unsupported: other conditions.
        """
        schema, model = self._state()
        check_count(n)
        random = sample_stream(seed, ROWS, model.device)
        if given is None:
            scores, codes = model.draw(model.law.draw(n, "real", random), random)
        else:
            column, wanted = encode_one(given, n, schema, model.encoder.discretiser)
            scores, codes = self._completed(model, column, wanted, random)
        rng = numpy_generator(seed, Purpose.SHARD, index=SHARED)
        rows = TableCodec(schema).decode(model.encoder.decode(scores, codes, rng), seed=seed)
        return rows if given is None else with_given(rows, given, schema)

    def _completed(
        self, model: GanModel, column: str, wanted: np.ndarray, random: torch.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n, q) and codes (n, c) of rows whose coded `column` is asked to be `wanted` (n,)."""
        j = model.encoder.coded.index(column)
        places = model.blocks.starts[j] + torch.from_numpy(wanted).to(model.device)
        scores, codes = model.draw(places, random)
        for _ in range(TRIES):
            wrong = np.flatnonzero(codes[:, j] != wanted)
            if not len(wrong):
                break
            scores[wrong], codes[wrong] = model.draw(places[torch.from_numpy(wrong).to(places.device)], random)
        return scores, codes

    def _start(
        self, schema: TableSchema, rows: FitRows, *, seed: int, device: str, source: Checkpoint | None
    ) -> Start[GanModel]:
        s = self.settings
        values = rows.seen  # nothing is held out: there is no loss to look at on rows that were not fitted
        encoder = self._fit_encoder(schema, values) if source is None else _encoder(source)

        def real(done: int) -> tuple[np.ndarray, np.ndarray]:
            return encoder.encode(values, numpy_generator(seed, Purpose.FIT, index=TIES + done))

        codes = real(0)[1]
        law = ConditionLaw.fit(encoder.sizes[: len(encoder.coded)], codes, device)
        model = GanModel(encoder, law, s, device)
        epoch = max(1, len(codes) // s.batch_size)
        steps = STEPS if s.epochs is None else s.epochs * epoch
        round_steps = min(ROUND_STEPS, steps)

        def begin(rate: float) -> GanFit:
            model.maker.initialise(model.weights, stream(seed, MAKER_WEIGHTS))
            if source is not None:
                model.weights.flat.copy_(torch.from_numpy(source.arrays["weights"]))
            return GanFit(model, real, rate=rate, round_steps=round_steps, seed=seed)

        rounds = math.ceil(steps / round_steps)
        return Start(model, begin, RoundsPlan(rounds, rounds, s.budget_seconds))

    def _fit_encoder(self, schema: TableSchema, values: Mapping[str, np.ndarray]) -> RowEncoder:
        if self.settings.encoding == "modes":
            return ModeEncoder.fit(schema.modelled, values)
        return MixedEncoder.fit(schema.modelled, values, bins=self.settings.bins)

    def _files(self, model: GanModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, plain = model.encoder.state()
        arrays |= model.calibration.state()
        arrays["weights"] = model.weights.flat.cpu().numpy()
        if self.settings.batch_norm:
            arrays["moments"] = torch.stack([torch.stack(pair) for pair in model.moments]).cpu().numpy()
        arrays["conditions"] = model.law.counts
        return arrays, {"columns": plain}

    def _restored(self, saved: Checkpoint, device: str) -> GanModel:
        encoder = _encoder(saved)
        law = ConditionLaw(encoder.sizes[: len(encoder.coded)], saved.arrays["conditions"], device)
        model = GanModel(encoder, law, self.settings, device)
        model.weights.flat.copy_(torch.from_numpy(saved.arrays["weights"]))
        if self.settings.batch_norm:
            model.moments = [(pair[0], pair[1]) for pair in torch.from_numpy(saved.arrays["moments"]).to(device)]
        model.calibration = MarginalCalibration.from_state(saved.arrays)
        return model


def _encoder(saved: Checkpoint) -> RowEncoder:
    kind = ModeEncoder if saved.settings["encoding"] == "modes" else MixedEncoder
    return kind.from_state(saved.arrays, saved.extra["columns"])
