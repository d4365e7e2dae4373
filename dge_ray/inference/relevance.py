"""What is tested: a number that a table of rows gives. By default, how relevant some features are to a black box.

A statistic is any `Callable[[pa.Table, int], float]`: rows and a seed to a number, large where the null hypothesis (the
tested features tell nothing of the target beyond what the others tell) is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pyarrow as pa

from dge_ray.downstream import Learner, make_learner
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.inference.syntest import relevance
from dge_ray.stats.metrics.by_row import absolute_error, log_loss
from dge_ray.table import Columns, TableCodec, TableSchema, target_vector

WITHOUT, FULL = 0, 1  # which learner: indices at Purpose.LEARNER


def without(schema: TableSchema, features: tuple[str, ...]) -> TableSchema:
    """The schema that lacks some columns."""
    return replace(schema, columns=tuple(c for c in schema.columns if c.name not in features))


def rowwise_loss(learner: Learner, columns: Columns, schema: TableSchema) -> np.ndarray:
    """Log loss (nats) in classification, absolute error in regression. Shape: (n,)."""
    loss = absolute_error if schema.task == "regression" else log_loss
    return loss(learner.predict(columns).astype(np.float64), target_vector(columns, schema))


@dataclass(frozen=True)
class Relevance:
    """T of `stats/syntest.py`'s `relevance`, cross-fitted: each half of the rows is judged by two learners, without the
    tested features and with them, that were fitted on the other half.

    The learners are a part of the statistic: they are fitted anew for each table.
    """

    schema: TableSchema
    features: tuple[str, ...]
    learner: str
    settings: Mapping[str, Any]

    def __call__(self, rows: pa.Table, seed: int) -> float:
        columns = TableCodec(self.schema).encode(rows)
        half = rows.num_rows // 2
        halves = [{name: values[span] for name, values in columns.items()} for span in (slice(half), slice(half, None))]
        losses = [[], []]
        for fitted, judged in (halves, halves[::-1]):
            for which, learner in enumerate(self.fit(fitted, seed)):
                losses[which].append(rowwise_loss(learner, judged, learner.schema))
        return relevance(np.concatenate(losses[WITHOUT]), np.concatenate(losses[FULL]))

    def fit(self, columns: Columns, seed: int) -> tuple[Any, Any]:
        """The learner without the tested features, and the one with them."""
        made = []
        for which, schema in ((WITHOUT, without(self.schema, self.features)), (FULL, self.schema)):
            stream = integer(seed, Purpose.LEARNER, index=which, bits=31)
            made.append(make_learner(self.learner, self.settings, schema, seed=stream).fit(columns))
        return cast(tuple[Any, Any], tuple(made))


@dataclass(frozen=True)
class FixedRelevance:
    """The same T by two learners that are not fitted again: all rows are judged by both."""

    learners: tuple[Any, Any]
    schema: TableSchema

    def __call__(self, rows: pa.Table, seed: int) -> float:
        columns = TableCodec(self.schema).encode(rows)
        absent, full = (rowwise_loss(learner, columns, self.schema) for learner in self.learners)
        return relevance(absent, full)
