"""Any scikit-learn estimator as a learner."""

import warnings
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from dge_ray.downstream.base import align, single
from dge_ray.downstream.boosters import fit_histogram_to_size, fit_stopped, holds_out, stops_early
from dge_ray.downstream.preparing import BOOSTING, fill_empty, prepared, takes_missing
from dge_ray.downstream.store import save_estimator
from dge_ray.seeds import Purpose, integer
from dge_ray.table.codec import Columns
from dge_ray.table.features import feature_frame, feature_matrix, target_vector
from dge_ray.table.schema.table_schema import TableSchema


def seed_estimator(estimator: BaseEstimator, seed: int) -> None:
    """Give every `random_state` of an estimator, nested ones too, its own stream."""
    names = [n for n in sorted(estimator.get_params(deep=True)) if n.split("__")[-1] == "random_state"]
    seeds = {name: integer(seed, Purpose.LEARNER, index=i, bits=32) for i, name in enumerate(names)}
    estimator.set_params(**seeds)


class EstimatorLearner:
    """An estimator and the encoding that it needs, fitted on one table in memory.

    `model` is what was fitted: the estimator, or a pipeline that ends in it. It knows the classes that occurred as
    0..P-1 (some estimators take nothing else); `present` holds their codes. A sample of one class fits nothing and
    predicts that class. `reduced`: settings that the rows of the last fit were too few for, in words.
    """

    streams = False
    reduced: tuple[str, ...] = ()

    def __init__(self, estimator: BaseEstimator, schema: TableSchema, *, seed: int) -> None:
        self.schema, self.seed = schema, seed
        self._unfitted: Any = prepared(estimator, schema)
        seed_estimator(self._unfitted, seed)
        self.model = self._unfitted
        self.present = np.empty(0, np.int64)

    @property
    def estimator(self) -> Any:
        """The estimator without its encoding."""
        return self.model[-1] if isinstance(self.model, Pipeline) else self.model

    @property
    def takes_weights(self) -> bool:
        """Whether the estimator's own `fit` takes a weight for each row."""
        return has_fit_parameter(self.estimator, "sample_weight")

    @property
    def stops_on_its_rows(self) -> bool:
        """Whether a fit is ended by rows held out of its own, which can be weighted."""
        return holds_out(self.estimator) and self.takes_weights

    def fit(self, columns: Columns, weights: np.ndarray | None = None) -> Self:
        """Fit on the rows in their order. `weights` (n,): only where `takes_weights`; the encoding ignores them."""
        self.model, self.reduced = cast(Any, clone(self._unfitted)), ()
        matrix = self._features(columns)
        target = target_vector(columns, self.schema)
        if self.schema.task != "regression":
            twice = isinstance(self.estimator, CalibratedClassifierCV) or holds_out(self.estimator)
            kept = enough_of_its_class(target, 2 if twice else 1)
            left = len(target) - int(kept.sum())
            self.reduced = (f"{left} rows left out, whose class has no second one",) if left else ()
            self.present, target = np.unique(target[kept], return_inverse=True)
            matrix, weights = matrix[kept], None if weights is None else weights[kept]
            if len(self.present) == 1:
                return self
        self.reduced += _fit_to_size(self.estimator, target)
        if takes_missing(self.estimator) and not self.schema.texts:
            matrix = fill_empty(matrix)
        with warnings.catch_warnings():
            # What counts is the risk on real rows, and a grid of fits would repeat the same line over and over.
            warnings.simplefilter("ignore", ConvergenceWarning)
            if stops_early(self.model):
                seed = integer(self.seed, Purpose.LEARNER, index=1, bits=32)
                self.reduced += fit_stopped(self.model, matrix, target, weights, seed)
                return self
            name = "estimator__sample_weight" if isinstance(self.model, Pipeline) else "sample_weight"
            self.model.fit(matrix, target, **({} if weights is None else {name: weights}))
        return self

    def predict(self, columns: Columns) -> np.ndarray:
        """float32 (n, C), or (n, 1) in regression."""
        matrix = self._features(columns)
        if self.schema.task == "regression":
            return single(self.model.predict(matrix))
        single_class = len(self.present) == 1
        probabilities = np.ones((len(matrix), 1)) if single_class else self.model.predict_proba(matrix)
        return align(probabilities, self.present, len(self.schema.classes))

    def _features(self, columns: Columns) -> Any:
        """What the model is fed: a matrix (n, p), or a frame where there is text."""
        return feature_frame(columns, self.schema) if self.schema.texts else feature_matrix(columns, self.schema)[0]

    def save(self, folder: Path) -> None:
        """Write the fitted learner into a folder.

        Raises:
            StudyError: the model holds a type that is not on the allowlist.
        """
        save_estimator(self.model, self.present, self.schema, folder)

    @classmethod
    def restored(cls, model: Any, present: np.ndarray, schema: TableSchema) -> Self:
        """A fitted learner from its parts."""
        learner = cls.__new__(cls)
        learner.schema, learner.present = schema, present
        learner.model = learner._unfitted = model
        return learner


def enough_of_its_class(codes: np.ndarray, least: int) -> np.ndarray:
    """bool (n,): the rows whose class has at least `least` rows; where no class has, the first row."""
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    kept = counts[inverse] >= least
    return kept if kept.any() else np.arange(len(codes)) == 0


def _fit_to_size(estimator: Any, target: np.ndarray) -> tuple[str, ...]:
    """Lower what a small sample has too few rows for: folds of a calibration, neighbours, rows to stop on. In words."""
    if isinstance(estimator, CalibratedClassifierCV):
        folds: Any = estimator.get_params(deep=False)["cv"]
        if folds is None or isinstance(folds, int):
            return _lower(estimator, "cv", 5 if folds is None else folds, int(np.bincount(target).min()))
    elif isinstance(estimator, KNeighborsClassifier | KNeighborsRegressor):
        return _lower(estimator, "n_neighbors", estimator.get_params(deep=False)["n_neighbors"], len(target))
    elif isinstance(estimator, BOOSTING):
        return fit_histogram_to_size(estimator, target)
    return ()


def _lower(estimator: Any, setting: str, wanted: int, most: int) -> tuple[str, ...]:
    estimator.set_params(**{setting: min(wanted, most)})
    return (f"{setting} {wanted} cut to {most}",) if wanted > most else ()
