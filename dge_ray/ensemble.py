"""The ensemble as one scikit-learn estimator: K generators, an estimator on the rows of each, predictions averaged."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from dge_ray.downstream.catalogue import warn_of_auto_stopping
from dge_ray.errors import InputError
from dge_ray.generators.base import check_generator
from dge_ray.member import Member, Plan, fit_member
from dge_ray.table.frame import from_pandas, to_pandas
from dge_ray.table.infer import infer_schema

FEWEST_ROWS = 2


class _Ensemble(BaseEstimator):
    """What the classifier and the regressor share."""

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
        self.generator = generator
        self.generator_settings = generator_settings
        self.estimator = estimator
        self.n_members = n_members
        self.n_synthetic = n_synthetic
        self.backend = backend
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.allow_nan = True
        return tags

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
        if not _whole(n) or n < 1:
            raise InputError("n", repr(n), "a whole number from 1")
        if not _whole(member) or not 0 <= member < len(self.members_):
            raise InputError("member", repr(member), f"a member's number, 0 to {len(self.members_) - 1}")
        rows = to_pandas(self.members_[member].rows(int(n)), self._dtypes)
        target = self._labels(rows.iloc[:, -1].to_numpy())
        rows[rows.columns[-1]] = pd.Series(target, dtype=self._target_dtype)
        return rows

    def _labels(self, target: np.ndarray) -> np.ndarray:
        """The target's own values from what stands in the table."""
        raise NotImplementedError

    def _features(self, X: Any, *, reset: bool, y: Any = "no_validation") -> pd.DataFrame:
        """X as a frame, checked by scikit-learn's rules."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, cast(Any, X), y, reset=reset, skip_check_array=True)
            frame = X.reset_index(drop=True)
            infinite = [name for name, column in frame.items() if column.dtype.kind == "f" and np.isinf(column).any()]
            if infinite:
                raise InputError(f"column {infinite[0]!r}", "infinity", "finite values or missing ones")
            return frame
        array = check_array(X, ensure_all_finite=cast(Any, "allow-nan"), input_name="X", estimator=self)
        validate_data(self, array, y, reset=reset, skip_check_array=True)
        return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])

    def _fit(self, X: Any, y: Any, target: np.ndarray, kind: str) -> Self:
        """Fit on checked targets as they shall stand in the table; `kind`: the target column's kind there."""
        frame = self._features(X, reset=True, y=y)
        check_consistent_length(frame, target)
        if len(frame) < FEWEST_ROWS:
            raise InputError("X", f"n_samples = {len(frame)}", f"at least {FEWEST_ROWS} rows")
        self._check_settings()
        label = _target_label(y, [str(name) for name in frame.columns])
        self._target_dtype = y.dtype if isinstance(y, pd.Series) else None
        full = pd.concat([frame, pd.Series(target, name=label)], axis=1)
        self._dtypes = full.dtypes
        table = from_pandas(full)
        self.schema_ = infer_schema(table, target=str(label), overrides={str(label): kind})
        self.n_synthetic_ = self._rows(len(frame))
        plan = Plan(
            table=table,
            schema=self.schema_,
            dtypes=self._dtypes,
            generator=self.generator,
            settings=dict(self.generator_settings or {}),
            estimator=self.estimator,
            rows=self.n_synthetic_,
            seed=self._seed(),
        )
        fit = partial(fit_member, plan)
        if self.backend == "ray":
            from dge_ray.distributed.session import map_members

            members = map_members(fit, self.n_members)
        else:
            members = [fit(k) for k in range(self.n_members)]
        self.members_: list[Member] = members
        return self

    def _check_settings(self) -> None:
        if not _whole(self.n_members) or self.n_members < 1:
            raise InputError("n_members", repr(self.n_members), "a whole number from 1")
        if self.backend not in ("local", "ray"):
            raise InputError("backend", repr(self.backend), "local or ray")
        if self.generator_settings is not None and not isinstance(self.generator_settings, Mapping):
            raise InputError("generator_settings", repr(self.generator_settings), "a mapping of settings, or None")
        check_generator(self.generator, self.generator_settings or {})
        if self.estimator is not None:
            _check_estimator(self.estimator, get_tags(self).estimator_type)

    def _rows(self, n: int) -> int:
        """Synthetic rows a member, for `n` real rows."""
        given = self.n_synthetic
        if given is None:
            return n
        if _whole(given) and given >= FEWEST_ROWS:
            return int(given)
        if isinstance(given, float | np.floating) and 0 < given < np.inf:
            return max(FEWEST_ROWS, round(float(given) * n))
        takes = f"None (as many as X has), a whole number of rows from {FEWEST_ROWS}, or a ratio above 0 as a float"
        raise InputError("n_synthetic", repr(given), takes)

    def _seed(self) -> int:
        if _whole(self.random_state) and cast(int, self.random_state) >= 0:
            return int(cast(int, self.random_state))
        return int(check_random_state(self.random_state).randint(2**31 - 1))


class DGEClassifier(ClassifierMixin, _Ensemble):
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # It is as good as its generator, and no generator is good on every 200 rows: copulas know no three blobs.
        tags.classifier_tags.poor_score = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit generators and estimators.

        Raises:
            InputError: a parameter, X or y is at fault.
        """
        labels = _checked_target(self, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError("y", "1 class", "at least 2 classes")
        # Codes stand in the table, so that labels of any type come back as they were.
        self._fit(X, y, codes.astype(np.int64), "categorical")
        self._order = np.argsort(np.array(self.schema_.classes))
        return self

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

    def predict(self, X: Any) -> np.ndarray:
        """The class with the largest mean probability, (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _labels(self, target: np.ndarray) -> np.ndarray:
        return self.classes_[target.astype(np.int64)]


class DGERegressor(RegressorMixin, _Ensemble):
    """A deep generative ensemble for regression: as `DGEClassifier`, with predictions averaged."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # for the same reason
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit generators and estimators.

        Raises:
            InputError: a parameter, X or y is at fault.
        """
        target = check_array(_checked_target(self, y), ensure_2d=False, dtype="numeric", input_name="y")
        return self._fit(X, y, target, "integer" if target.dtype.kind in "iu" else "numeric")

    def predict(self, X: Any) -> np.ndarray:
        """The mean over members, float64 (n,)."""
        return self.predict_members(X)[:, :, 0].mean(axis=0, dtype=np.float64)

    def _labels(self, target: np.ndarray) -> np.ndarray:
        return target


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _checked_target(ensemble: BaseEstimator, y: Any) -> np.ndarray:
    if y is None:
        raise ValueError(f"{type(ensemble).__name__} requires y to be passed, but the target y is None")
    values = column_or_1d(y, warn=True)
    assert_all_finite(values, input_name="y")
    if values.dtype.kind == "O" and pd.isna(values).any():
        raise InputError("y", f"{int(pd.isna(values).sum())} missing values", "a target without missing values")
    return values


def _target_label(y: Any, taken: list[str]) -> Any:
    """The target's column label in samples: the series' own name, or 'target', made distinct from the features'."""
    name = y.name if isinstance(y, pd.Series) and y.name is not None else "target"
    while str(name) in taken:
        name = f"{name}_"
    return name


def _check_estimator(estimator: Any, wanted: str | None) -> None:
    takes = f"None or an instance of a scikit-learn {wanted}"
    if isinstance(estimator, type) or not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        raise InputError("estimator", repr(estimator), takes)
    found = get_tags(estimator).estimator_type
    if found != wanted:
        raise InputError("estimator", f"{type(estimator).__name__}, which is no {wanted}", takes)
    if wanted == "classifier" and not hasattr(estimator, "predict_proba"):
        raise InputError("estimator", f"{type(estimator).__name__}, which gives no probabilities", "predict_proba")
    warn_of_auto_stopping(estimator)
