"""What a learner is, and how its predictions are laid on the schema's classes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from dge_ray.downstream.mixture import Mixture
from dge_ray.errors import StudyError
from dge_ray.table.codec import Columns

if TYPE_CHECKING:  # torch is loaded by those who use it
    import torch

# The least probability of a class. A class that the synthetic rows missed costs log(1e7) = 16 nats where it occurs,
# not infinity, and a float32 still tells 1 - FLOOR from 1.
FLOOR = 1e-7


@runtime_checkable
class Learner(Protocol):
    """A downstream model of one schema's target.

    `fit` takes a table's `Columns` and returns self. `predict` gives float32 (n, C): probabilities in the order of the
    schema's classes, each row summing to 1; (n, 1) in regression. A learner is a pure function of (settings, seed,
    rows in order). `streams`: it can also be fitted batch by batch, as a `StreamingLearner`.
    """

    streams: bool

    def fit(self, columns: Columns) -> "Learner": ...

    def predict(self, columns: Columns) -> np.ndarray: ...

    def save(self, folder: Path) -> None: ...


RowsOf = Callable[[Sequence[range]], Iterator[Columns]]
"""Reads some ranges of a stream's rows, apart and in order, in pieces of any length."""


def slices(columns: Columns, ranges: Sequence[range]) -> Iterator[Columns]:
    """Ranges of rows in memory."""
    for span in ranges:
        yield {name: values[span.start : span.stop] for name, values in columns.items()}


@runtime_checkable
class StreamingLearner(Learner, Protocol):
    """A learner that never needs all rows at once, and that several workers can fit together."""

    def fit_stream(
        self,
        rows_of: RowsOf,
        rows: int,
        *,
        average: "Callable[[list[torch.Tensor]], None] | None" = None,
        part: tuple[int, int] = (0, 1),
        mixture: Mixture | None = None,
    ) -> "StreamingLearner": ...


def align(probabilities: np.ndarray, present: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities over the classes that a sample held, laid on all classes of the schema.

    Shape: `probabilities` (n, P), `present` (P,) class codes; gives float32 (n, classes), rows summing to 1.

    Raises:
        StudyError: a probability is not a finite number.

    >>> align(np.array([[0.25, 0.75]]), np.array([2, 0]), 3).round(3).tolist()
    [[0.75, 0.0, 0.25]]
    """
    _finite(probabilities)
    full = np.full((len(probabilities), classes), FLOOR)
    full[:, present] = np.clip(probabilities, FLOOR, 1.0)
    full /= full.sum(axis=1, keepdims=True)
    return full.astype(np.float32)


def single(values: np.ndarray) -> np.ndarray:
    """Regression predictions as float32 (n, 1).

    Raises:
        StudyError: a prediction is not a finite number.
    """
    _finite(values)
    return np.asarray(values, np.float32).reshape(-1, 1)


def _finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise StudyError("the learner predicts values that are not finite numbers; try another learner or settings")
