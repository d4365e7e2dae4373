"""Can a generator draw what a test takes its null tables from? Looked at before a test on synthetic rows says anything.

The test's null tables have the tested features x, and the target y, drawn given the other features z. Where those laws
are wrong, real and null tables differ though the null hypothesis is true: with y = z^2 + e, x = z^2 + noise and a
generator that sees no squares, the real table's x helps a learner that sees none either, and no null table's does. A
second audit found such true hypotheses rejected in 11 of 17 to 12 of 12 cases.

So x and y are drawn again for the real rows' z, many times. What counts against the test is an error of their means in
the direction in which the test's learner errs without x: E[(x - E_generator[x | z]) d(z)], and the same of y, with d
what a good regression of y on z says more than that learner. It is 0 where the generator is right, whether x tells of y
or not. All of these are tested at once (the largest of several means, `stats/inference/gcm.py`).

Beside it stands whether the law is right at all, which the level needs less: the residuals times what a learner
predicts of them from z, and a classifier's score of (x, z) being real, of each real row against the same one with x
drawn.

Learners are cross-fitted. The generator has seen these rows, so that what it learnt by heart passes.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.downstream import make_learner
from dge_ray.inference.replicates import Null, Stream, stream
from dge_ray.inference.residuals import FOLDS, Named, expected, gcm_test, indicators, others, row_folds
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.inference.gcm import LargestMean, largest_mean
from dge_ray.table import Columns, Kind, TableCodec, TableSchema
from dge_ray.table.schema.table_schema import Column

DRAWS = 20  # of the tested features and the target for every real row
RESIDUAL = "residual of what is tested"  # a column's name while learners see it
REAL = "is real"


@dataclass(frozen=True)
class Look:
    """What is looked at before any replicate: the null tables' law, and the real rows' own test by residuals."""

    null: Null
    real: pa.Table
    learner: Named | None
    seed: int

    def __call__(self, _: int) -> dict[str, Any]:
        matters, whole = null_law(self.null, self.real, self.learner, seed=self.seed)
        residual = gcm_test(self.real, self.null.schema, self.null.features, seed=self.seed)
        return {"null_law": asdict(matters), "whole_law": asdict(whole), "gcm": asdict(residual)}


def null_law(null: Null, real: pa.Table, learner: Named | None, *, seed: int) -> tuple[LargestMean, LargestMean]:
    """Whether the tested features, and the target where the same generator draws it, have the real rows' law given the
    other features: as far as it matters to a test by this learner, and at all. A small p-value says that they have not.

    `learner`: None where another statistic is tested; all that the other features tell of the target may then matter.

    Raises:
        StudyError: a learner fails on these rows.
    """
    columns = TableCodec(null.schema).encode(real)
    given = others(null.schema, null.features)
    _, redraws = null.load()
    drawn = [
        redraws.sample(real.num_rows, seed=stream(seed, draw, Stream.CHECK), given=real.select(given))
        for draw in range(DRAWS)
    ]
    seed = stream(seed, DRAWS, Stream.CHECK)
    judged = [*null.features, *([str(null.schema.target)] if null.redraws is None else [])]
    parts = [replace(null.schema, columns=(null.schema[name],), target=None, task=None) for name in judged]
    encoded = {
        name: [TableCodec(part).encode(rows.select([name]))[name] for rows in drawn]
        for name, part in zip(judged, parts, strict=True)
    }
    of_target = expected(columns, null.schema, str(null.schema.target), given, seed=seed)
    if learner is None:
        beyond = of_target - of_target.mean(axis=0)
    else:
        own = expected(columns, null.schema, str(null.schema.target), given, seed=seed, learners=[learner])
        beyond = of_target - own
    found = [_scores(columns, null.schema, {n: encoded[n][0] for n in null.features}, given, seed)]
    matters = []
    for name in judged:
        values, known = indicators(columns[name], null.schema, name)
        mean = np.mean([indicators(one, null.schema, name)[0] for one in encoded[name]], axis=0)
        left = np.where(known[:, None], values - mean, 0.0)
        told = np.hstack([_told(columns, null.schema, column, given, seed, name) for column in left.T])
        found.append(left * told)
        matters.append((left[:, :, None] * beyond[:, None, :]).reshape(len(left), -1))
    # what was predicted from other rows is below 0 by chance: a fit's residuals add up to 0, also over two parts
    whole = np.hstack(found)
    return largest_mean(np.hstack(matters), seed=seed), largest_mean(whole, positive=whole.shape[1], seed=seed)


def _told(
    columns: Columns, schema: TableSchema, values: np.ndarray, given: list[str], seed: int, name: str
) -> np.ndarray:
    """What the other features tell of a residual (n,), each row by learners that have not seen it. (n, 1)."""
    column = Column(RESIDUAL, Kind.NUMERIC, "double", minimum=float(values.min()), maximum=float(values.max()))
    inner = replace(schema, columns=(*(schema[g] for g in given), column), target=None, identities=(), orders=())
    of_its_own = integer(seed, Purpose.PREDICT, index=schema.names.index(name))
    return expected({**{g: columns[g] for g in given}, RESIDUAL: values}, inner, RESIDUAL, given, seed=of_its_own)


def _scores(
    columns: Columns, schema: TableSchema, drawn: dict[str, np.ndarray], given: list[str], seed: int
) -> np.ndarray:
    """By how much a classifier, fitted on the other folds, takes each row for real more than the same row with its
    tested features drawn. (n, 1)."""
    n = len(next(iter(drawn.values())))
    label = Column(REAL, Kind.BOOLEAN, "bool", categories=(False, True))
    names = [*given, *drawn]
    inner = TableSchema((*(schema[name] for name in names), label), REAL, "binary")
    real = {**{name: columns[name] for name in names}, REAL: np.ones(n, np.int32)}
    other = {**real, **drawn, REAL: np.zeros(n, np.int32)}
    folds, score = row_folds(n, seed), np.empty(n)
    for fold in range(FOLDS):
        fitted: dict[str, Any] = {
            name: np.concatenate([side[name][folds != fold] for side in (real, other)]) for name in inner.names
        }
        stream_ = integer(seed, Purpose.LEARNER, member=len(schema.names), index=fold, bits=31)
        learner = make_learner("boosting_stopped", {}, inner, seed=stream_).fit(fitted)
        held = [
            learner.predict({name: side[name][folds == fold] for name in inner.names})[:, 1] for side in (real, other)
        ]
        score[folds == fold] = held[0] - held[1]
    return score[:, None]
