"""The autoregressive generator: columns as tokens, a small network a column, exact likelihoods.

Columns are generated in table order, each given all before it, so any leading columns can be given.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from dge_ray.errors import InputError
from dge_ray.generators.base import Progress
from dge_ray.generators.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from dge_ray.generators.checks import check_count, check_device, encode_rows, encode_training, not_fitted
from dge_ray.generators.conditions import encode_given, with_given
from dge_ray.generators.network import Network
from dge_ray.generators.sampling import Sampler
from dge_ray.generators.tokens import Discretiser
from dge_ray.generators.training import WEIGHTS, Plan, batch_size_for, check_settings, epochs_for, stream, train
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema import TableSchema

STOPPING_SHARE = 0.1
MOST_STOPPING_ROWS = 1_000
TOKENS, PLACES = 0, 1  # the streams of a sample: indices at Purpose.SHARD


class Autoregressive:
    """A small autoregressor over column tokens.

    Args:
        bins: the most tokens a measured column gets, beside its atoms.
        hidden: width of a column's hidden layers.
        embedding: width of a column's embedding.
        epochs: the most passes over the rows; None: 12, or as many as make 900 steps.
        batch_size: rows a step; None: rows / 64, between 32 and 512.
        lr: the highest learning rate of the one-cycle schedule.
        dropout: share of hidden units dropped while fitting.
        weight_decay: AdamW's.
        patience: epochs without a better held-out likelihood before stopping; None: a quarter of the epochs.

    After `fit`: `history`, a record an epoch (`train` and `heldout` in nats a row).
    """

    name = "autoregressive"

    def __init__(
        self,
        *,
        bins: int = 128,
        hidden: int = 64,
        embedding: int = 16,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float = 4e-3,
        dropout: float = 0.2,
        weight_decay: float = 1e-3,
        patience: int | None = None,
    ) -> None:
        self.settings: dict[str, Any] = {
            "bins": bins,
            "hidden": hidden,
            "embedding": embedding,
            "epochs": epochs,
            "batch_size": batch_size,
            "lr": lr,
            "dropout": dropout,
            "weight_decay": weight_decay,
            "patience": patience,
        }
        check_settings(self.settings)
        self.history: list[dict[str, Any]] = []
        self._fitted: _Fitted | None = None

    def fit(
        self,
        table: pa.Table,
        schema: TableSchema,
        *,
        seed: int,
        device: str = "cpu",
        warm_start: Path | None = None,
        stopping: pa.Table | None = None,
        progress: Progress | None = None,
    ) -> "Autoregressive":
        """Fit on `table`; stop early on `stopping`, or on a slice of `table` where there is none.

        `warm_start`: a checkpoint of the same schema and sizes, whose tokens and weights to start from.

        Raises:
            InputError: rows that do not match the schema, too few of them, an unknown device, or a checkpoint that does
                not fit.
        """
        check_device(device)
        values = encode_training(table, schema)
        source = None if warm_start is None else self._warm_source(warm_start, schema)
        if source is None:
            discretiser = Discretiser.fit(schema.modelled, values, bins=self.settings["bins"])
        else:
            discretiser = Discretiser.from_state(source.arrays, source.extra["tokens"])
        encoded = discretiser.encode(values)
        if stopping is None:
            encoded, heldout = _cut_stopping(encoded, seed)
        else:
            heldout = discretiser.encode(encode_rows(stopping, schema))
        network = self._network(discretiser, device)
        if source is None:
            marginals = [_marginal(row, size) for row, size in zip(encoded, network.sizes, strict=True)]
            ranks = [None if rank is None else torch.from_numpy(rank).float() for rank in discretiser.ranks()]
            network.initialise(stream(seed, WEIGHTS), marginals, ranks)
        else:
            network.flat.copy_(torch.from_numpy(source.arrays["weights"]))
        self.history = train(
            network,
            torch.from_numpy(encoded).to(device),
            torch.from_numpy(heldout).long().to(device) if heldout.shape[1] else None,
            self._plan(encoded.shape[1]),
            seed=seed,
            progress=progress,
        )
        self._fitted = _Fitted(schema, discretiser, network)
        return self

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the weights, n, seed and `given`.

        `given`: the leading columns of `n` rows (in table order; constants and identifiers may be among them). They
        come back as they are, and the other columns are drawn from their exact conditional law. A measured value counts
        as the bin or the nearest value that was fitted.

        Raises:
            InputError: not fitted, n < 1, or conditions that are not leading columns of n rows with known values.
        """
        state = self._state()
        check_count(n)
        network, codec = state.network, TableCodec(state.schema)
        known = None if given is None else encode_given(given, n, state.schema, state.discretiser)
        generator = torch.Generator(network.device).manual_seed(integer(seed, Purpose.SHARD, index=TOKENS))
        with torch.no_grad():
            tokens = state.sampler.draw(n, generator, None if known is None else torch.from_numpy(known))
        rng = numpy_generator(seed, Purpose.SHARD, index=PLACES)
        rows = codec.decode(state.discretiser.decode(tokens.cpu().numpy(), rng), seed=seed)
        return rows if given is None else with_given(rows, given)

    def log_prob(self, table: pa.Table) -> np.ndarray:
        """log p(row) in nats, (n,) float64: exact, and -inf outside the support.

        A probability in coded columns, whole numbers, datetimes and numbers with up to 6 decimals; a density in numeric
        columns of more decimals. Constants and identifiers do not enter.

        Raises:
            InputError: not fitted, or a modelled column is absent.
        """
        state = self._state()
        values = TableCodec(state.schema).encode(table)
        tokens = state.discretiser.encode(values)
        known = (tokens >= 0).all(axis=0)
        log_p = np.full(tokens.shape[1], -np.inf)
        on_device = torch.from_numpy(tokens[:, known]).long().to(state.network.device)
        log_p[known] = state.network.log_prob(on_device).cpu().numpy()
        return log_p + state.discretiser.log_density(values)

    def save(self, path: Path) -> None:
        """Write generator.json and weights.safetensors into the folder `path`."""
        state = self._state()
        arrays, tokens = state.discretiser.state()
        arrays["weights"] = state.network.flat.cpu().numpy()
        extra = {"tokens": tokens, "history": self.history}
        write_checkpoint(path, Checkpoint(self.name, state.schema, self.settings, arrays, extra))

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu") -> "Autoregressive":
        """Read what `save` wrote, onto `device`.

        Raises:
            InputError: no checkpoint there, a damaged one, one of another generator, or an unknown device.
        """
        check_device(device)
        saved = read_checkpoint(path, cls.name)
        generator = cls(**saved.settings)
        discretiser = Discretiser.from_state(saved.arrays, saved.extra["tokens"])
        network = generator._network(discretiser, device)
        network.flat.copy_(torch.from_numpy(saved.arrays["weights"]))
        generator.history = saved.extra["history"]
        generator._fitted = _Fitted(saved.schema, discretiser, network)
        return generator

    def _state(self) -> "_Fitted":
        if self._fitted is None:
            raise not_fitted(self.name)
        return self._fitted

    def _network(self, discretiser: Discretiser, device: str) -> Network:
        hidden, embedding = self.settings["hidden"], self.settings["embedding"]
        return Network(discretiser.sizes, hidden=hidden, embedding=embedding, device=device)

    def _plan(self, rows: int) -> Plan:
        s = self.settings
        batch_size = min(rows, s["batch_size"] or batch_size_for(rows))
        epochs = s["epochs"] or epochs_for(rows, batch_size)
        patience = s["patience"] or max(2, round(epochs / 4))
        return Plan(epochs, batch_size, s["lr"], s["dropout"], s["weight_decay"], patience)

    def _warm_source(self, path: Path, schema: TableSchema) -> Checkpoint:
        source = read_checkpoint(path, self.name)
        if source.schema != schema:
            raise InputError("warm_start", f"a checkpoint of another schema in {path}", "one of the same schema")
        for name in ("hidden", "embedding"):
            if source.settings[name] != self.settings[name]:
                got, takes = source.settings[name], self.settings[name]
                raise InputError("warm_start", f"a checkpoint with {name}={got} in {path}", f"{name}={takes}")
        return source


@dataclass(frozen=True)
class _Fitted:
    schema: TableSchema
    discretiser: Discretiser
    network: Network

    @cached_property
    def sampler(self) -> Sampler:
        return Sampler(self.network)


def _marginal(row: np.ndarray, size: int) -> torch.Tensor:
    """A column's token shares (size,), with a tenth of a row more for each so that none is impossible."""
    counts = np.bincount(row, minlength=size) + 0.1
    return torch.from_numpy(counts / counts.sum()).float()


def _cut_stopping(tokens: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (d, n) into those to fit on and those to stop on."""
    n = tokens.shape[1]
    cut = min(MOST_STOPPING_ROWS, max(1, round(STOPPING_SHARE * n)))
    order = numpy_generator(seed, Purpose.STOPPING).permutation(n)
    return tokens[:, np.sort(order[cut:])], tokens[:, order[:cut]]
