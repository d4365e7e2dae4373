"""The ensemble as one scikit-learn estimator: K generators, an estimator on the rows of each, predictions averaged."""

import os
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from dge_ray.downstream.catalogue import warn_of_auto_stopping
from dge_ray.errors import InputError
from dge_ray.estimators.base import FEWEST_ROWS, MemberClassifier, MemberRegressor, TableEstimator, is_integer
from dge_ray.estimators.from_study import parameters_of
from dge_ray.estimators.member import Member, MemberPlan, fit_member
from dge_ray.study.opened import OpenStudy
from dge_ray.table.arrow.frame import to_pandas


class _Ensemble(TableEstimator):
    """What the classifier and the regressor share."""

    estimator: BaseEstimator | None
    n_synthetic: int | float | None
    # As good as its generator, and no generator is good on every 200 rows: copulas know no three blobs.
    poor_score = True

    def __init__(
        self,
        generator: str = "autoregressive",
        generator_settings: Mapping[str, Any] | None = None,
        estimator: BaseEstimator | None = None,
        n_members: int = 8,
        n_synthetic: int | float | None = None,
        backend: str = "local",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self._keep(locals())

    @classmethod
    def from_study(cls, study: str | os.PathLike[str], *, storage: str = "./studies") -> Self:
        """An ensemble, not fitted, of what a study found: its generator and learner, the recommended members and rows.

        `study`: its folder or URI, or its name under the storage.

        Raises:
            InputError: no such study, or one of another task, without a report, or of several generators.
        """
        regression = issubclass(cls, MemberRegressor)
        return cls(**parameters_of(OpenStudy.find(os.fspath(study), storage), regression=regression))

    @property
    def generators_(self) -> list[Any]:
        """The fitted generators, member by member."""
        return [member.generator for member in self.members_]

    @property
    def estimators_(self) -> list[Any]:
        """The fitted estimators, member by member; a classifier's classes are 0..P-1, the classes its rows held."""
        return [member.learner.estimator for member in self.members_]

    def predict_members(self, X: Any) -> np.ndarray:
        """Each member's own prediction.

        Shape: (K, n, C) probabilities in the order of `classes_`; (K, n, 1) in regression.
        """
        check_is_fitted(self)
        frame = self._features(X, reset=False)
        return np.stack([member.predict(frame) for member in self.members_])

    def sample(self, n: int, member: int = 0) -> pd.DataFrame:
        """The first `n` synthetic rows of a member: the training frame's columns and dtypes, the target last.

        Fewer rows are a prefix of more, and the member's estimator was fitted on the first `n_synthetic_` of them.

        Raises:
            InputError: no such member, or fewer than one row.
        """
        check_is_fitted(self)
        if not is_integer(n) or n < 1:
            raise InputError("n", repr(n), "a whole number from 1")
        if not is_integer(member) or not 0 <= member < len(self.members_):
            raise InputError("member", repr(member), f"a member's number, 0 to {len(self.members_) - 1}")
        rows = to_pandas(self.members_[member].rows(int(n)), self._dtypes)
        target = self._labels(rows.iloc[:, -1].to_numpy())
        rows[rows.columns[-1]] = pd.Series(target, dtype=self._target_dtype)
        return rows

    def _labels(self, target: np.ndarray) -> np.ndarray:
        """The target's own values from what stands in the table."""
        raise NotImplementedError

    def _fit(self, table: pa.Table) -> Self:
        """Fit on X and y as one table."""
        self.n_synthetic_ = self._rows(table.num_rows)
        plan = MemberPlan(
            table=table,
            schema=self.schema_,
            dtypes=self._dtypes,
            generator=self.generator,
            settings=dict(self.generator_settings or {}),
            estimator=self.estimator,
            rows=self.n_synthetic_,
            seed=self._seed(),
        )
        self.members_: list[Member] = self._each_member(partial(fit_member, plan))
        if cut := sorted({words for member in self.members_ for words in getattr(member.learner, "reduced", ())}):
            line = f"{self.n_synthetic_:,} rows a member are too few for the estimator's settings: {', '.join(cut)}"
            warnings.warn(line, UserWarning, stacklevel=3)
        return self

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.estimator is not None:
            check_estimator(self.estimator, get_tags(self).estimator_type)

    def _rows(self, n: int) -> int:
        """Synthetic rows a member, for `n` real rows."""
        given = self.n_synthetic
        if given is None:
            return n
        if is_integer(given) and given >= FEWEST_ROWS:
            return int(given)
        if isinstance(given, float | np.floating) and 0 < given < np.inf:
            return max(FEWEST_ROWS, round(float(given) * n))
        takes = f"None (as many as X has), a whole number of rows from {FEWEST_ROWS}, or a ratio above 0 as a float"
        raise InputError("n_synthetic", repr(given), takes)


class DGEClassifier(MemberClassifier, _Ensemble):
    """A deep generative ensemble for classification.

    K generators are fitted on (X, y), each with its own random streams; a clone of `estimator` is fitted on the rows
    of each; probabilities are averaged (van Breugel et al. 2023). X may be a frame with categories, strings, booleans,
    dates and missing values, or a numeric array.

    Args:
        generator: a generator's name.
        generator_settings: its settings; None for the defaults.
        estimator: any scikit-learn classifier with `predict_proba`; None for histogram boosting. Unless it takes
            missing values itself it is fitted behind one-hot encoding, imputation and scaling; a `Pipeline` gets the
            features as a frame in their own dtypes instead.
        n_members: K.
        n_synthetic: rows that each estimator is fitted on: a number, a float for a ratio to the rows of X, or None for
            as many as X has.
        backend: "local", or "ray" to fit members in parallel on the Ray that is running, or a local one.
        random_state: gives all randomness; the estimator's own `random_state` is replaced.

    Attributes:
        classes_, n_features_in_, feature_names_in_: as everywhere in scikit-learn.
        generators_, estimators_: the fitted parts, member by member.
        n_synthetic_: rows that each estimator was fitted on.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit generators and estimators.

        Raises:
            InputError: a parameter, X or y is at fault.
        """
        return self._fit(self._coded_table(X, y))

    def predict_members(self, X: Any) -> np.ndarray:
        """Each member's own probabilities.

        Shape: (K, n, C), classes in the order of `classes_`.
        """
        predictions = super().predict_members(X)
        return predictions[:, :, self._order]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The mean over members of their probabilities: float64 (n, C), classes in the order of `classes_`."""
        mean = self.predict_members(X).mean(axis=0, dtype=np.float64)
        return mean / mean.sum(axis=1, keepdims=True)

    def _labels(self, target: np.ndarray) -> np.ndarray:
        return self.classes_[target.astype(np.int64)]


class DGERegressor(MemberRegressor, _Ensemble):
    """A deep generative ensemble for regression: as `DGEClassifier`, with predictions averaged."""

    def fit(self, X: Any, y: Any) -> Self:
        """Fit generators and estimators.

        Raises:
            InputError: a parameter, X or y is at fault.
        """
        return self._fit(self._number_table(X, y))

    def predict(self, X: Any) -> np.ndarray:
        """The mean over members, float64 (n,)."""
        return self.predict_members(X)[:, :, 0].mean(axis=0, dtype=np.float64)

    def _labels(self, target: np.ndarray) -> np.ndarray:
        return target


def check_estimator(estimator: Any, wanted: str | None) -> None:
    takes = f"None or an instance of a scikit-learn {wanted}"
    if isinstance(estimator, type) or not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        raise InputError("estimator", repr(estimator), takes)
    estimator_type = get_tags(estimator).estimator_type
    if estimator_type != wanted:
        raise InputError("estimator", f"{type(estimator).__name__}, which is no {wanted}", takes)
    if wanted == "classifier" and not hasattr(estimator, "predict_proba"):
        raise InputError("estimator", f"{type(estimator).__name__}, which gives no probabilities", "predict_proba")
    warn_of_auto_stopping(estimator)
