"""An MLP that learns from a stream of rows, batch by batch, by one worker or several that average gradients."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dge_ray.downstream.base import RowsOf, align, single, slices
from dge_ray.downstream.mixture import Mixture
from dge_ray.downstream.mlp_losses import beta_losses, log_losses
from dge_ray.downstream.mlp_parts import (
    Block,
    EncodedRows,
    MLPNetwork,
    Scale,
    blocks,
    cut,
    encode_features,
    encode_target,
)
from dge_ray.downstream.store import describe, write_description
from dge_ray.errors import InputError, StudyError, nearest
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import TableSchema

WEIGHTS = "model.safetensors"
BLOCK_ROWS = 131_072  # shuffled among themselves; some shards, so that few are read by two workers
MIN_BATCHES = 8  # a small sample is cut into at least this many minibatches an epoch, of at least MIN_BATCH rows
MIN_BATCH = 16

TAKES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "hidden": ("widths of the hidden layers, as [128, 128]", lambda v: len(v) > 0 and all(is_integer(w, 1) for w in v)),
    "embedding": ("a whole number from 1", lambda v: is_integer(v, 1)),
    "dropout": ("a number from 0 and below 1", lambda v: _number(v) and 0 <= v < 1),
    "learning_rate": ("a number above 0", lambda v: _number(v) and v > 0),
    "weight_decay": ("a number from 0", lambda v: _number(v) and v >= 0),
    "batch_size": ("a whole number from 1", lambda v: is_integer(v, 1)),
    "epochs": ("a whole number from 1, or null for as many as min_steps asks", lambda v: v is None or is_integer(v, 1)),
    "min_epochs": ("a whole number from 1", lambda v: is_integer(v, 1)),
    "min_steps": ("a whole number from 1", lambda v: is_integer(v, 1)),
    "loss": ("log or beta_divergence", lambda v: v in ("log", "beta_divergence")),
    "beta": ("a number above 0, at most 2", lambda v: _number(v) and 0 < v <= 2),
}


def is_integer(value: Any, least: int) -> bool:
    """Whether a setting is a whole number of at least so much."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class MLPSettings:
    """`batch_size` is that of all workers together. With `epochs` unset there are `min_epochs` passes over the rows, or
    as many as make `min_steps` steps of the optimiser, so that small volumes are not undertrained. `loss`: log (the
    squared error in regression), or beta_divergence with its `beta`, which nearly ignores rows that the model finds
    impossible (mlp_losses.py); where real rows stand before synthetic ones of some weight, it is the latter's alone."""

    hidden: tuple[int, ...] = (128, 128)
    embedding: int = 8
    dropout: float = 0.2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    batch_size: int = 512
    epochs: int | None = None
    min_epochs: int = 4
    min_steps: int = 500
    loss: str = "log"
    beta: float = 0.5
    takes: ClassVar[dict[str, tuple[str, Callable[[Any], bool]]]] = TAKES

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """From a study's settings.

        Raises:
            InputError: an unknown setting, or a value out of its range.
        """
        known = sorted(field.name for field in fields(cls))
        for name, value in raw.items():
            if name not in known:
                raise InputError(f"learner.{name}", "an unknown setting", nearest(name, known))
            takes, holds = cls.takes[name]
            if (name == "hidden") != isinstance(value, list | tuple) or not holds(value):
                raise InputError(f"learner.{name}", repr(value), takes)
        return cls(**{**raw, **({"hidden": tuple(raw["hidden"])} if "hidden" in raw else {})})

    def batch(self, rows: int) -> int:
        """Rows in a minibatch, over all workers."""
        return min(self.batch_size, max(MIN_BATCH, math.ceil(rows / MIN_BATCHES)))

    def passes(self, rows: int) -> int:
        """Passes over the rows."""
        return self.epochs or max(self.min_epochs, math.ceil(self.min_steps / math.ceil(rows / self.batch(rows))))


class TorchMLP:
    """A multilayer perceptron on embedded categories and standardised numbers; cross-entropy, or squared error.

    Rows come as a stream and are cut into blocks of about `BLOCK_ROWS`, shuffled by the seed within their block, and
    cut into minibatches: what a minibatch holds depends on the rows' order alone, not on the stream's batches or the
    number of workers. Means, spreads and medians are those of the first block. Worker r of W reads one W-th of each
    block and computes the gradient of those rows of a minibatch that it has, about a W-th; after the sum over workers
    all take the same step, so W workers fit what one fits, up to the order of sums. Runs on the CPU.
    """

    streams = True
    kind: ClassVar[str] = "torch_mlp"
    reads: ClassVar[type[MLPSettings]] = MLPSettings
    predict_rows: ClassVar[int] = 65_536

    def __init__(self, schema: TableSchema, settings: MLPSettings | None = None, *, seed: int) -> None:
        self.schema, self.settings, self.seed = schema, settings or self.reads(), seed
        self.network = MLPNetwork.of(schema, embedding=self.settings.embedding, hidden=self.settings.hidden)
        self.weights: torch.Tensor | None = None
        self.scale: Scale | None = None

    @classmethod
    def make(cls, settings: MLPSettings, schema: TableSchema, *, seed: int) -> Self:
        """A fresh one."""
        return cls(schema, settings, seed=seed)

    def fit(self, columns: Columns, mixture: Mixture | None = None) -> Self:
        """`fit_stream` on a table in memory, by one worker."""
        return self.fit_stream(partial(slices, columns), len(next(iter(columns.values()))), mixture=mixture)

    def fit_stream(
        self,
        rows_of: RowsOf,
        rows: int,
        *,
        average: Callable[[list[torch.Tensor]], None] | None = None,
        part: tuple[int, int] = (0, 1),
        mixture: Mixture | None = None,
    ) -> Self:
        """Fit on the first `rows` rows of a stream.

        Args:
            rows_of: reads ranges of the stream: this worker's part of every block, and the whole first block for its
                means. Called once where `rows` fit in one block, else once an epoch.
            average: replaces tensors by their sum over workers, in place; the worker's share is weighted already.
            part: (rank, workers).
            mixture: which rows are real, and what the others count; None: all count the same.

        Raises:
            StudyError: the stream ends early.
        """
        settings, (rank, world) = self.settings, part
        size, passes = settings.batch(rows), settings.passes(rows)
        block_rows = size * max(1, BLOCK_ROWS // size)
        shuffler = numpy_generator(self.seed, Purpose.LEARNER, index=0)
        generator = torch.Generator().manual_seed(integer(self.seed, Purpose.LEARNER, index=1))
        # Behind the network's weights stands the log of the normal law's standard deviation, which one loss learns.
        step = _Adam(torch.cat([self._initial(generator), torch.zeros(1)]), settings, passes * math.ceil(rows / size))
        parts = blocks(rows, block_rows, rank, world)
        held: list[EncodedRows] = []
        self.scale, self._mixture, self._count = None, mixture, rows
        for _ in range(passes):
            for block, mine in zip(parts, held or self._encoded(rows_of, parts), strict=True):
                if len(parts) == 1:
                    held = [mine]
                first = block.own.start - block.rows.start
                order = torch.from_numpy(shuffler.permutation(len(block.rows)))
                for index in order.split(size):
                    here = (index >= first) & (index < first + len(block.own))
                    masks = [self._mask(len(index), width, generator)[here] for width in settings.hidden]
                    gradient = self._gradient(step.weights, mine.take(index[here] - first), masks, len(index))
                    if average is not None:
                        average([gradient])
                    step(gradient)
        self.weights = step.weights[:-1].clone()
        return self

    def _encoded(self, rows_of: RowsOf, parts: Sequence[Block]) -> Iterator[EncodedRows]:
        """A worker's part of each block."""
        wanted = [part.own for part in parts]
        if self.scale is None:
            wanted[0] = parts[0].rows
        for part, columns in zip(parts, cut(rows_of(wanted), map(len, wanted)), strict=True):
            if self.scale is None:
                self.scale = Scale.of(columns, self.schema)
                [columns] = slices(columns, [part.own])  # the first block begins at row 0
            target = encode_target(columns, self.schema, self.scale)
            yield EncodedRows(self._features(columns, self.scale), target, torch.arange(part.own.start, part.own.stop))

    @property
    def size(self) -> int:
        """How many weights there are."""
        return self.network.size

    def _initial(self, generator: torch.Generator) -> torch.Tensor:
        return self.network.initial(generator)

    def _features(self, columns: Columns, scale: Scale) -> tuple[torch.Tensor, ...]:
        return encode_features(columns, self.schema, scale)

    def _scores(
        self, weights: torch.Tensor, features: tuple[torch.Tensor, ...], masks: list[torch.Tensor] | None
    ) -> torch.Tensor:
        """(n, outputs) of features as `_features` has them."""
        codes, numbers = features
        return self.network.forward(weights, codes, numbers, masks)

    def _mask(self, n: int, width: int, generator: torch.Generator) -> torch.Tensor:
        """Dropout for a whole minibatch: every worker draws all of it and keeps its share."""
        keep = 1.0 - self.settings.dropout
        return (torch.rand((n, width), generator=generator) < keep).float() / keep

    def _gradient(self, weights: torch.Tensor, rows: EncodedRows, masks: list[torch.Tensor], n: int) -> torch.Tensor:
        """These rows' part of the gradient of the mean loss over the minibatch's `n` rows."""
        if not len(rows.target):
            return torch.zeros_like(weights)
        leaf = weights.requires_grad_(True)
        loss = self._losses(self._scores(leaf[:-1], rows.features, masks), rows, leaf[-1:]).sum()
        (gradient,) = torch.autograd.grad(loss / n, leaf)
        weights.requires_grad_(False)
        return gradient

    def _losses(self, scores: torch.Tensor, rows: EncodedRows, log_scale: torch.Tensor) -> torch.Tensor:
        """The weighted loss of each row, (n,)."""
        mixture, robust = self._mixture, self.settings.loss == "beta_divergence"
        if not robust and mixture is None:
            return log_losses(scores, rows.target)
        if mixture is None:
            return beta_losses(scores, rows.target, log_scale, self.settings.beta)
        weight = mixture.row_weight(self._count)
        if not robust:
            return torch.where(rows.place < mixture.real, 1.0, weight) * log_losses(scores, rows.target)
        # Of one law: where the synthetic rows' loss has a standard deviation, so has the real rows' log-likelihood.
        real = beta_losses(scores, rows.target, log_scale, 0.0)
        synthetic = beta_losses(scores, rows.target, log_scale, self.settings.beta)
        return torch.where(rows.place < mixture.real, real, weight * synthetic)

    @torch.no_grad()
    def predict(self, columns: Columns) -> np.ndarray:
        """float32 (n, C), or (n, 1) in regression."""
        if self.weights is None or self.scale is None:
            raise StudyError(f"{self.kind}: not fitted yet")
        split = (part.split(self.predict_rows) for part in self._features(columns, self.scale))
        scores = torch.cat([self._scores(self.weights, part, None) for part in zip(*split, strict=True)])
        if self.schema.task == "regression":
            return single(scores[:, 0].double().numpy() * self.scale.spread[-1] + self.scale.centre[-1])
        classes = len(self.schema.classes)
        return align(scores.double().softmax(dim=1).numpy(), np.arange(classes), classes)

    def save(self, folder: Path) -> None:
        """Write the fitted learner into a folder: safetensors and JSON."""
        if self.weights is None or self.scale is None:
            raise StudyError(f"{self.kind}: not fitted yet")
        folder.mkdir(parents=True, exist_ok=True)
        scale = {name: torch.from_numpy(np.array(values)) for name, values in asdict(self.scale).items()}
        save_file({"weights": self.weights, **scale}, folder / WEIGHTS)
        write_description(folder, describe(self.kind, self.schema, settings=asdict(self.settings), seed=self.seed))

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any], schema: TableSchema) -> Self:
        """The learner that `save` wrote."""
        try:
            learner = cls(schema, cls.reads.read(description["settings"]), seed=description["seed"])
            tensors = load_file(folder / WEIGHTS)
            learner.weights = tensors.pop("weights")
            learner.scale = Scale(**{name: tensor.numpy() for name, tensor in tensors.items()})
        except (OSError, SafetensorError, KeyError, TypeError, InputError) as error:
            raise StudyError(f"{folder / WEIGHTS}: damaged ({type(error).__name__})") from None
        if learner.weights.shape != (learner.size,):
            raise StudyError(f"{folder / WEIGHTS}: the weights of another table or other settings")
        return learner


class _Adam:
    """Adam with decoupled weight decay on one flat vector; the rate rises for a tenth of the steps, then falls to 0."""

    def __init__(self, weights: torch.Tensor, settings: MLPSettings, total: int) -> None:
        self.weights, self.settings, self.total, self.done = weights, settings, total, 0
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)

    def __call__(self, gradient: torch.Tensor) -> None:
        self.done += 1
        warm = max(1, self.total // 10)
        falling = 0.5 * (1 + math.cos(math.pi * max(0, self.done - warm) / max(1, self.total - warm)))
        rate = self.settings.learning_rate * min(self.done / warm, falling)
        self.first.lerp_(gradient, 0.1)
        self.second.lerp_(gradient.square(), 0.001)
        mean = self.first / (1 - 0.9**self.done)
        spread = (self.second / (1 - 0.999**self.done)).sqrt_().add_(1e-8)
        self.weights.mul_(1 - rate * self.settings.weight_decay).addcdiv_(mean, spread, value=-rate)
