"""Histogram boosting whose settings are searched for within its own training rows, and which then stops early.

Nothing but the rows at hand is looked at, so the choice is nested in the synthetic rows of one member, and validation
and test rows stay what they are. A fit costs about `candidates` x `folds` fits to `search_rows` rows more than one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold, RandomizedSearchCV, StratifiedKFold

from dge_ray.downstream.catalogue import estimator_by_name
from dge_ray.downstream.estimator import EstimatorLearner, enough_of_its_class
from dge_ray.downstream.preparing import fill_empty
from dge_ray.errors import InputError, nearest
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table.codec import Columns
from dge_ray.table.features import feature_matrix, target_vector
from dge_ray.table.schema.table_schema import TableSchema

SPACE = {
    "learning_rate": [0.02, 0.05, 0.1, 0.2],
    "max_leaf_nodes": [8, 15, 31, 63],
    "min_samples_leaf": [5, 20, 50, 100],
    "l2_regularization": [0.0, 0.1, 1.0, 10.0],
    "max_features": [0.5, 0.8, 1.0],
}
LEAST_ROWS = 100  # below, and below 20 a class, the plain settings serve: folds would hold too little
_ROWS, _FOLDS, _CANDIDATES = 1, 2, 3  # streams of a fit's seed; 0 is the estimator's own


@dataclass(frozen=True)
class TunedSettings:
    """How many settings are tried, on how many folds, of at most how many rows."""

    candidates: int = 8
    folds: int = 3
    search_rows: int = 10_000

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """From a study's settings.

        Raises:
            InputError: an unknown setting, or a value out of its range.
        """
        least = {"candidates": 1, "folds": 2, "search_rows": LEAST_ROWS}
        for name, value in raw.items():
            if name not in least:
                raise InputError(f"learner.{name}", "an unknown setting", nearest(name, [f.name for f in fields(cls)]))
            if not isinstance(value, int) or isinstance(value, bool) or value < least[name]:
                raise InputError(f"learner.{name}", repr(value), f"a whole number from {least[name]}")
        return cls(**raw)


class TunedBoosting(EstimatorLearner):
    """`estimator` with the settings that do best in cross-validation over the rows it is to be fitted on."""

    reads = TunedSettings

    def __init__(self, estimator: BaseEstimator, schema: TableSchema, settings: TunedSettings, *, seed: int) -> None:
        super().__init__(estimator, schema, seed=seed)
        self._plain, self._settings = self._unfitted, settings

    @classmethod
    def make(cls, settings: TunedSettings, schema: TableSchema, *, seed: int) -> Self:
        """A fresh one, of the boosting that stops early."""
        return cls(estimator_by_name("boosting_stopped", {}, str(schema.task)), schema, settings, seed=seed)

    def fit(self, columns: Columns, weights: np.ndarray | None = None) -> Self:
        """Search, then fit on all rows in their order. `weights` (n,): of the last fit alone."""
        self._unfitted = cast(Any, clone(self._plain)).set_params(**self.search(columns))
        return super().fit(columns, weights)

    def search(self, columns: Columns) -> dict[str, Any]:
        """The settings to fit with; none where the rows are too few to search."""
        matrix, _ = feature_matrix(columns, self.schema)
        target, settings, classify = target_vector(columns, self.schema), self._settings, bool(self.schema.classes)
        order = numpy_generator(self.seed, Purpose.LEARNER, index=_ROWS).permutation(len(target))
        rows = order[: settings.search_rows]
        classes = 1
        if classify:
            rows = rows[enough_of_its_class(target[rows], 2 * settings.folds)]
            classes = len(np.unique(target[rows]))
        if len(rows) < max(LEAST_ROWS, 20 * classes) or (classify and classes == 1):
            return {}
        folds = StratifiedKFold if classify else KFold
        search = RandomizedSearchCV(
            self._plain,
            SPACE,
            n_iter=settings.candidates,
            cv=folds(settings.folds, shuffle=True, random_state=self._integer(_FOLDS)),
            scoring="neg_log_loss" if classify else "neg_mean_squared_error",
            refit=False,
            random_state=self._integer(_CANDIDATES),
            error_score=cast(Any, "raise"),
        ).fit(fill_empty(matrix[rows]), target[rows])
        return dict(search.best_params_)

    def _integer(self, index: int) -> int:
        return integer(self.seed, Purpose.LEARNER, index=index, bits=32)
