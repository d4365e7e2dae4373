"""The fits of a safe augmentation: learners on real rows and synthetic ones of some weight, member by member."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, clone

from dge_ray.downstream import make_learner
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.downstream.mixture import Mixture
from dge_ray.estimators.base import is_integer
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import default_shard_rows, draw_rows
from dge_ray.seeds import Purpose, integer
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.schema.table_schema import TableSchema


@dataclass(frozen=True)
class AugmentedPlan:
    """What all fits have in common. `ratio`: synthetic rows per real one, or their number; `given`: synthetic tables
    from elsewhere, in place of generators."""

    table: pa.Table
    schema: TableSchema
    generator: str
    settings: Mapping[str, Any]
    given: Sequence[pa.Table] | None
    estimator: BaseEstimator | None
    volume: int | float
    seed: int

    def synthetic(self, real: pa.Table, member: int, fold: int) -> Columns:
        """A member's synthetic rows for a fit on these real ones, which are all that its generator sees."""
        codec = TableCodec(self.schema)
        if self.given is not None:
            return codec.encode(self.given[member])
        generator = make_generator(self.generator, **self.settings)
        seed = integer(self.seed, Purpose.WEIGHT, member=member, index=fold)
        generator.fit(real, self.schema, seed=seed)
        rows = self.volume if is_integer(self.volume) else max(1, round(self.volume * real.num_rows))
        shard_rows = default_shard_rows(real.num_rows)
        return codec.encode(draw_rows(generator, int(rows), shard_rows=shard_rows, seed=seed, member=member))

    def learn(self, real: Columns, synthetic: Columns, weight: float, member: int) -> EstimatorLearner:
        """A member's learner at a weight; its seed is the same at all of them."""
        seed = integer(self.seed, Purpose.LEARNER, member=member, bits=31)
        if self.estimator is None:
            learner = cast(EstimatorLearner, make_learner("boosting", {}, self.schema, seed=seed))
        else:
            learner = EstimatorLearner(cast(BaseEstimator, clone(self.estimator)), self.schema, seed=seed)
        if not weight:
            return learner.fit(real)
        both = {name: np.concatenate([values, synthetic[name]]) for name, values in real.items()}
        n, rows = (len(next(iter(columns.values()))) for columns in (real, both))
        return learner.fit(both, Mixture(n, weight).weights(rows))


def cross_fitted(
    plan: AugmentedPlan, columns: Columns, folds: np.ndarray, weights: Sequence[float], member: int
) -> np.ndarray:
    """One member's predictions at every weight, of each row by fits that never saw it. Shape: (W, n, C)."""
    predictions = np.empty((len(weights), len(folds), len(plan.schema.classes) or 1), np.float32)
    for fold in range(int(folds.max()) + 1):
        inside = folds == fold
        real = _rows(columns, ~inside)
        synthetic = plan.synthetic(plan.table.filter(pa.array(~inside)), member, 1 + fold) if any(weights) else {}
        for i, weight in enumerate(weights):
            learner = plan.learn(real, synthetic, weight, member)
            predictions[i, inside] = learner.predict(_rows(columns, inside))
    return predictions


def refitted(plan: AugmentedPlan, columns: Columns, weight: float, member: int) -> EstimatorLearner:
    """One member's learner on all rows; at weight 0 no generator is fitted."""
    return plan.learn(columns, plan.synthetic(plan.table, member, 0) if weight else {}, weight, member)


def _rows(columns: Columns, kept: np.ndarray) -> Columns:
    return {name: values[kept] for name, values in columns.items()}
