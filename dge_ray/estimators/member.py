"""One member of a local ensemble: a generator, its rows, and the estimator fitted on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from dge_ray.downstream import align, make_learner
from dge_ray.downstream.base import single
from dge_ray.downstream.estimator import EstimatorLearner, seed_estimator
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import make_generator, member_settings
from dge_ray.generators.rows.shards import default_shard_rows, draw_rows
from dge_ray.seeds import Purpose, integer
from dge_ray.table.arrow.frame import from_pandas, to_pandas
from dge_ray.table.codec import TableCodec
from dge_ray.table.features import target_vector
from dge_ray.table.schema.table_schema import TableSchema


@dataclass(frozen=True)
class MemberPlan:
    """What all members have in common. `dtypes`: of the frame that `table` was made of, target last. `rows`: that an
    estimator is fitted on. `estimator`: None for the default learner."""

    table: pa.Table
    schema: TableSchema
    dtypes: pd.Series
    generator: str
    settings: Mapping[str, Any]
    estimator: BaseEstimator | None
    rows: int
    seed: int


@dataclass(frozen=True)
class Member:
    """A fitted member."""

    number: int
    generator: Generator
    learner: "EstimatorLearner | PipelineLearner"
    shard_rows: int
    seed: int

    def rows(self, n: int) -> pa.Table:
        """The member's first `n` rows; the estimator was fitted on the first `MemberPlan.rows` of them."""
        return draw_rows(self.generator, n, shard_rows=self.shard_rows, seed=self.seed, member=self.number)

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """float32 (n, C), or (n, 1) in regression, from features as the user gave them."""
        if isinstance(self.learner, PipelineLearner):
            return self.learner.predict(frame)
        schema = self.learner.schema
        names = [column.name for column in schema.features]
        return self.learner.predict(TableCodec(schema).encode(from_pandas(frame), names))


def fit_member(plan: MemberPlan, number: int) -> Member:
    """Fit member `number`'s generator on the real rows, draw its rows, and fit its estimator on them."""
    name, settings = member_settings([(plan.generator, plan.settings)], number)
    generator = make_generator(name, **settings)
    generator.fit(plan.table, plan.schema, seed=integer(plan.seed, Purpose.FIT, member=number))
    seed = integer(plan.seed, Purpose.LEARNER, member=number, bits=31)
    if isinstance(plan.estimator, Pipeline):
        learner = PipelineLearner(clone(plan.estimator), plan.schema, plan.dtypes, seed=seed)
    elif plan.estimator is not None:
        learner = EstimatorLearner(cast(BaseEstimator, clone(plan.estimator)), plan.schema, seed=seed)
    else:
        learner = cast(EstimatorLearner, make_learner("boosting", {}, plan.schema, seed=seed))
    member = Member(number, generator, learner, default_shard_rows(plan.table.num_rows), plan.seed)
    rows = member.rows(plan.rows)
    learner.fit(rows if isinstance(learner, PipelineLearner) else TableCodec(plan.schema).encode(rows))
    return member


class PipelineLearner:
    """A user's own pipeline: it gets the features as a frame in the real frame's dtypes, and classes as 0..P-1."""

    def __init__(self, pipeline: Any, schema: TableSchema, dtypes: pd.Series, *, seed: int) -> None:
        self.model, self.schema, self.dtypes = pipeline, schema, dtypes
        self.present = np.empty(0, np.int64)
        seed_estimator(pipeline, seed)

    @property
    def estimator(self) -> Any:
        return self.model

    def fit(self, table: pa.Table) -> "PipelineLearner":
        """Fit on the rows in their order."""
        frame = to_pandas(table, self.dtypes).iloc[:, :-1]
        columns = TableCodec(self.schema).encode(table, [cast(str, self.schema.target)])
        target = target_vector(columns, self.schema)
        if self.schema.task != "regression":
            self.present, target = np.unique(target, return_inverse=True)
            if len(self.present) == 1:
                return self
        self.model.fit(frame, target)
        return self

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """float32 (n, C), or (n, 1) in regression."""
        if self.schema.task == "regression":
            return single(self.model.predict(frame))
        single_class = len(self.present) == 1
        probabilities = np.ones((len(frame), 1)) if single_class else self.model.predict_proba(frame)
        return align(probabilities, self.present, len(self.schema.classes))
