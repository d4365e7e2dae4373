"""What other columns do not tell of a column: residuals by cross-fitted learners, and a test made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.downstream import make_learner
from dge_ray.inference.additive import Additive
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.inference.gcm import LargestMean, gcm
from dge_ray.stats.metrics.by_row import log_loss
from dge_ray.table import Columns, TableCodec, TableSchema
from dge_ray.table.schema.table_schema import CODED

Named = tuple[str, Mapping[str, Any]]  # a learner and its settings
ADDITIVE: Named = ("", {})
LEARNERS = (ADDITIVE, ("boosting_stopped", {}))  # a column's is the one with the least loss on rows not seen
FOLDS = 5
MOST_LEVELS = 20  # of a coded column, by frequency: each is a column of residuals


def gcm_test(rows: pa.Table, schema: TableSchema, features: Sequence[str], *, seed: int) -> LargestMean:
    """Are the features and the target independent given the other features? By the generalised covariance measure.

    Raises:
        StudyError: a learner fails on these rows.
    """
    columns, given = TableCodec(schema).encode(rows), others(schema, features)
    of_target = residuals(columns, schema, str(schema.target), given, seed=seed)
    of_features = [residuals(columns, schema, name, given, seed=seed) for name in features]
    return gcm(np.hstack(of_features), of_target, seed=seed)


def others(schema: TableSchema, features: Sequence[str]) -> list[str]:
    """The features that are not tested."""
    return [column.name for column in schema.features if column.name not in features]


def residuals(columns: Columns, schema: TableSchema, name: str, given: Sequence[str], *, seed: int) -> np.ndarray:
    """A column less what `given` tells of it, by learners fitted on the other folds. Shape: (n, p), p = 1 for a
    measured column, one a level for a coded one.

    Rows in which it is missing have residual 0: whether it is missing is not looked at.
    """
    values, known = indicators(columns[name], schema, name)
    return np.where(known[:, None], values - expected(columns, schema, name, given, seed=seed), 0.0)


def indicators(values: np.ndarray, schema: TableSchema, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A column as numbers (n, p): itself, or which level; and the rows (n,) in which it is known."""
    if schema[name].kind not in CODED:
        known = ~np.isnan(values)
        return np.where(known, values, 0.0)[:, None], known
    return (values[:, None] == levels(schema, name)).astype(np.float64), values >= 0


def levels(schema: TableSchema, name: str) -> np.ndarray:
    """The codes whose indicators are looked at: with two classes one tells all."""
    count = len(schema[name].categories)
    return np.arange(1, 2) if count == 2 else np.arange(min(count, MOST_LEVELS))


def expected(
    columns: Columns,
    schema: TableSchema,
    name: str,
    given: Sequence[str],
    *,
    seed: int,
    learners: Sequence[Named] = LEARNERS,
) -> np.ndarray:
    """E[column | given] as numbers, each row by learners that have not seen it. Shape: (n, p), as `indicators`."""
    coded = schema[name].kind in CODED
    task = "regression" if not coded else "binary" if len(schema[name].categories) == 2 else "multiclass"
    names = {name, *given}
    inner = replace(
        schema,
        columns=tuple(c for c in schema.columns if c.name in names),
        target=name,
        task=task,
        identities=(),
        orders=(),
    )
    known = indicators(columns[name], schema, name)[1]
    folds = row_folds(len(known), seed)
    at = schema.names.index(name)  # each column has streams of its own
    best, least = None, np.inf
    for which, named in enumerate(learners):
        predicted = np.zeros((len(known), len(inner.classes) or 1))
        for fold in range(FOLDS):
            fitted = {c: columns[c][known & (folds != fold)] for c in inner.names}
            judged = {c: columns[c][folds == fold] for c in inner.names}
            stream = integer(seed, Purpose.LEARNER, member=at, index=which * FOLDS + fold, bits=31)
            learner = Additive(inner) if named is ADDITIVE else make_learner(*named, inner, seed=stream)
            predicted[folds == fold] = learner.fit(fitted).predict(judged)
        truth = columns[name][known]
        losses = log_loss(predicted[known], truth) if coded else (predicted[known, 0] - truth) ** 2
        if (loss := float(losses.mean())) < least:
            best, least = predicted, loss
    assert best is not None
    return best[:, levels(schema, name)] if coded else best


def row_folds(n: int, seed: int) -> np.ndarray:
    """The fold of each row, (n,): equal in size, in a random order."""
    folds = np.empty(n, np.int64)
    folds[numpy_generator(seed, Purpose.SPLIT).permutation(n)] = np.arange(n) % FOLDS
    return folds
