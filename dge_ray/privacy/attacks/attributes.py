"""Attribute inference: does who has the released rows guess a train row's value better than a stranger's?

A model fitted on released rows guesses one column from all the others. What it gets right of test rows is what anyone
learns of the population, and no leak; what it gets right beyond that of train rows is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.downstream import make_learner
from dge_ray.errors import InputError, nearest_column
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.gaps import mean_gap, share_gap
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.schema.table_schema import CODED, TableSchema, task_of

GUESSER = 5  # index of the streams of Purpose.ATTACK; member: the column
MOST_ROWS = 20_000  # released rows that a guesser is fitted on
MOST_LEVELS = 10  # categories of a column that is guessed unasked
MOST_COLUMNS = 3  # that are guessed unasked


def guessed_columns(schema: TableSchema, requested: Sequence[str] | None) -> list[str]:
    """The columns to guess: as asked, or the target and the first coded columns of few categories.

    Raises:
        InputError: a column that is not modelled.
    """
    modelled = [column.name for column in schema.varying]
    if requested is not None:
        for name in requested:
            if name not in modelled:
                raise InputError("attributes", repr(name), nearest_column(name, modelled))
        return list(requested)
    few = [c.name for c in schema.features if c.kind in CODED and 1 < len(c.categories) <= MOST_LEVELS]
    return [*([schema.target] if schema.target else []), *few][:MOST_COLUMNS]


def guess(
    schema: TableSchema, name: str, released: pa.Table, seen: pa.Table, unseen: pa.Table, *, seed: int
) -> dict[str, Any] | None:
    """How well a column is guessed of seen and of unseen rows; None where one of the tables lacks it altogether.

    `leak`: seen less unseen, with an interval: of the share guessed right, or, of a measured column, of what the mean
    absolute error is smaller, in standard deviations of the released values.
    """
    place = schema.names.index(name)
    task = replace(schema, target=name, task=task_of(schema[name]))
    codec = TableCodec(schema)
    tables = [_known(codec.encode(table), name) for table in (released, seen, unseen)]
    if any(len(columns[name]) < 2 for columns in tables):
        return None
    rows, *others = tables
    learner = make_learner(
        "boosting", {}, task, seed=integer(seed, Purpose.ATTACK, member=place, index=GUESSER, bits=31)
    )
    learner.fit(rows)
    right = [_right(learner.predict(columns), columns[name], rows[name]) for columns in others]
    if schema[name].kind in CODED:
        gap = share_gap(*(int(count) for hits in right for count in (hits.sum(), len(hits))))
        measure = "accuracy"
    else:
        gap = mean_gap(*right)
        measure = "minus the absolute error, in standard deviations"
    return {
        "column": name,
        "measure": measure,
        "seen": float(right[0].mean()),
        "unseen": float(right[1].mean()),
        "leak": list(gap),
    }


def _known(columns: Columns, name: str) -> Columns:
    """The rows in which the column is not missing."""
    values = columns[name]
    kept = ~np.isnan(values) if values.dtype.kind == "f" else values >= 0
    return {column: array[kept] for column, array in columns.items()}


def _right(predicted: np.ndarray, truth: np.ndarray, released: np.ndarray) -> np.ndarray:
    """A row's score (n,): whether the likeliest class is right, or minus the error."""
    if truth.dtype.kind != "f":
        return (predicted.argmax(axis=1) == truth).astype(np.float64)
    return -np.abs(predicted[:, 0] - truth) / (released.std() or 1.0)
