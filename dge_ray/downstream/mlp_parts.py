"""What the torch MLP is made of: its encoding of rows, its network as one flat vector, the cutting of a stream."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
import torch
from torch.nn.functional import embedding, layer_norm, linear, silu

from dge_ray.errors import StudyError
from dge_ray.table.codec import Columns
from dge_ray.table.features import target_vector
from dge_ray.table.schema.table_schema import CODED, MEASURED, Column, TableSchema

CLIP = 8.0  # standard deviations; a heavy tail must not drive a whole minibatch


class EncodedRows(NamedTuple):
    """Encoded rows: features of n rows each, such as codes int64 (n, p_coded) and numbers float32 (n, p_numbers);
    target int64 or float32 (n,); place in the stream int64 (n,)."""

    features: tuple[torch.Tensor, ...]
    target: torch.Tensor
    place: torch.Tensor

    def take(self, index: torch.Tensor) -> "EncodedRows":
        return EncodedRows(tuple(part[index] for part in self.features), self.target[index], self.place[index])


@dataclass(frozen=True)
class Scale:
    """Centre, spread and median of the measured features, then of the target: float64 (p_measured + 1,) each."""

    centre: np.ndarray
    spread: np.ndarray
    median: np.ndarray

    @classmethod
    def of(cls, columns: Columns, schema: TableSchema) -> Self:
        """Of a first block of rows. A column with fewer than two values there falls back on the schema's bounds."""
        rows = [_moments(columns[c.name], c) for c in _measured(schema)]
        target = schema[schema.target] if schema.target else None
        known = target is not None and target.kind in MEASURED and schema.task == "regression"
        rows.append(_moments(columns[target.name], target) if known and target else (0.0, 1.0, 0.0))
        return cls(*np.array(rows, np.float64).T)


def _measured(schema: TableSchema) -> list[Column]:
    return [c for c in schema.features if c.kind in MEASURED]


def _moments(values: np.ndarray, column: Column) -> tuple[float, float, float]:
    seen = values[~np.isnan(values)]
    if len(seen) and seen.max() > seen.min():
        return float(seen.mean()), float(seen.std()), float(np.median(seen))
    low, high = column.minimum or 0.0, column.maximum or 0.0
    middle = float(seen[0]) if len(seen) else (low + high) / 2
    return middle, (high - low) / 4 or 1.0, middle


def encode_features(columns: Columns, schema: TableSchema, scale: Scale) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes (n, p_coded), 0 = missing or unseen, each column with its own range; numbers (n, p_numbers), standardised,
    missing ones at the median, then a 0/1 indicator for each column that had missing values in the real table."""
    n = len(next(iter(columns.values())))
    codes, offset = [], 0
    for column in schema.features:
        if column.kind in CODED:
            codes.append(columns[column.name].astype(np.int64) + 1 + offset)
            offset += len(column.categories) + 1
    numbers, indicators = [], []
    for i, column in enumerate(_measured(schema)):
        values = columns[column.name]
        missing = np.isnan(values)
        filled = np.where(missing, scale.median[i], values)
        numbers.append(np.clip((filled - scale.centre[i]) / scale.spread[i], -CLIP, CLIP))
        if column.missing:  # elsewhere its weight would never be trained
            indicators.append(missing)
    numbers += indicators
    return (
        torch.from_numpy(np.stack(codes, axis=1)) if codes else torch.zeros((n, 0), dtype=torch.int64),
        torch.from_numpy(np.stack(numbers, axis=1).astype(np.float32)) if numbers else torch.zeros((n, 0)),
    )


def encode_target(columns: Columns, schema: TableSchema, scale: Scale) -> torch.Tensor:
    """The target (n,): int64 codes, or float32 standardised."""
    target = target_vector(columns, schema)
    if schema.task == "regression":
        return torch.from_numpy(((target - scale.centre[-1]) / scale.spread[-1]).astype(np.float32))
    return torch.from_numpy(target.astype(np.int64))


@dataclass(frozen=True)
class MLPNetwork:
    """Embedded categories and numbers through hidden layers (linear, layer norm, SiLU, dropout) to `outputs` scores.

    Its parameters are one flat vector, so that averaging gradients is one message and the optimiser is four lines.
    """

    levels: int
    coded: int
    numbers: int
    embedding: int
    hidden: tuple[int, ...]
    outputs: int

    @classmethod
    def of(cls, schema: TableSchema, *, embedding: int, hidden: tuple[int, ...], more: int = 0) -> Self:
        """For a schema's features and `more` numbers beside them."""
        coded = [c for c in schema.features if c.kind in CODED]
        measured = _measured(schema)
        numbers = len(measured) + sum(c.missing for c in measured) + more
        levels = sum(len(c.categories) + 1 for c in coded)
        return cls(levels, len(coded), numbers, embedding, hidden, len(schema.classes) or 1)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the embedding, then weight and bias of each layer."""
        widths = [self.coded * self.embedding + self.numbers, *self.hidden, self.outputs]
        layers = [shape for i, o in pairwise(widths) for shape in ((o, i), (o,))]
        return [(self.levels, self.embedding), *layers]

    @property
    def size(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def initial(self, generator: torch.Generator) -> torch.Tensor:
        """float32 (size,): He's uniform weights, zero biases, an output layer at zero, unit-scale embeddings."""
        parts = []
        for i, shape in enumerate(self.shapes):
            if i == 0:
                parts.append(torch.randn(shape, generator=generator) * 0.5)
            elif len(shape) == 1 or i == len(self.shapes) - 2:
                parts.append(torch.zeros(shape))
            else:
                bound = (3.0 / max(shape[1], 1)) ** 0.5
                parts.append((torch.rand(shape, generator=generator) * 2 - 1) * bound)
        return torch.cat([part.flatten() for part in parts])

    def forward(
        self, flat: torch.Tensor, codes: torch.Tensor, numbers: torch.Tensor, masks: list[torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Scores (n, outputs). `masks`: a dropout mask (n, width) for each hidden layer."""
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        parts = [part.view(shape) for part, shape in zip(flat.split(sizes), self.shapes, strict=True)]
        x = torch.cat([embedding(codes, parts[0]).flatten(1), numbers], dim=1)
        for i, width in enumerate(self.hidden):
            x = silu(layer_norm(linear(x, parts[1 + 2 * i], parts[2 + 2 * i]), (width,)))
            if masks is not None:
                x = x * masks[i]
        return linear(x, parts[-2], parts[-1])


class Block(NamedTuple):
    """A block of a stream's rows, and the part of it that one worker learns from; both by their place in the stream."""

    rows: range
    own: range


def blocks(rows: int, size: int, rank: int, world: int) -> list[Block]:
    """The first `rows` rows of a stream in blocks of `size`, the last maybe smaller; the workers' parts are disjoint.

    >>> blocks(5, 4, 1, 2)
    [Block(rows=range(0, 4), own=range(2, 4)), Block(rows=range(4, 5), own=range(4, 5))]
    """
    cuts = []
    for start in range(0, rows, size):
        n = min(size, rows - start)
        cuts.append(Block(range(start, start + n), range(start + n * rank // world, start + n * (rank + 1) // world)))
    return cuts


def cut(pieces: Iterable[Columns], sizes: Iterable[int]) -> Iterator[Columns]:
    """A stream's pieces, of any length, cut to these sizes.

    Raises:
        StudyError: the stream ends early.
    """
    source, held, waiting, given = iter(pieces), list[Columns](), 0, 0
    for size in sizes:
        while waiting < size:
            piece = next(source, None)
            if piece is None:
                raise StudyError(f"the stream of rows ended after {given + waiting} of {given + size} rows")
            held.append(piece)
            waiting += len(next(iter(piece.values())))
        joined = _joined(held)
        yield {name: values[:size] for name, values in joined.items()}
        held = [{name: values[size:] for name, values in joined.items()}]
        waiting, given = waiting - size, given + size


def _joined(parts: list[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
