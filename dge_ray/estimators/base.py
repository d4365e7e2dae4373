"""What the package's scikit-learn estimators share: settings, checks by scikit-learn's rules, X and y as one table."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, validate_data

from dge_ray.errors import InputError
from dge_ray.generators.registry import check_generator
from dge_ray.phrases import spoken_in_python
from dge_ray.table.arrow.frame import from_pandas
from dge_ray.table.infer import infer_schema
from dge_ray.table.reading.python_objects import arrow_table, is_table
from dge_ray.table.schema.table_schema import TableSchema
from dge_ray.table.types import warn_of_text

FEWEST_ROWS = 2

Fitted = TypeVar("Fitted")


class MemberClassifier(ClassifierMixin):
    """What the classifiers of K members share. Subclasses have `predict_proba`, and `classes_` after a fit."""

    poor_score: ClassVar[bool]
    classes_: np.ndarray

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = self.poor_score
        return tags

    def predict_proba(self, X: Any) -> np.ndarray:
        """Float64 (n, C), classes in the order of `classes_`."""
        raise NotImplementedError

    def predict(self, X: Any) -> np.ndarray:
        """The class with the largest mean probability, (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]


class MemberRegressor(RegressorMixin):
    """What the regressors of K members share."""

    poor_score: ClassVar[bool]

    def __sklearn_tags__(self) -> Any:
        tags: Any = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = self.poor_score
        return tags


class TableEstimator(BaseEstimator):
    """An estimator of K members, each with a generator of (X, y). Subclasses have these parameters, and their own."""

    generator: str
    generator_settings: Mapping[str, Any] | None
    n_members: int
    backend: str
    random_state: int | np.random.RandomState | None
    poor_score: ClassVar[bool] = False
    """Whether scikit-learn's checks may find it bad on their small tables."""
    schema_: TableSchema

    def _keep(self, given: Mapping[str, Any]) -> None:
        """Set the constructor's parameters, whose names scikit-learn reads off its signature, as they were given."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.allow_nan = True
        return tags

    def _features(self, X: Any, *, reset: bool, y: Any = "no_validation") -> pd.DataFrame:
        """X as a frame, checked by scikit-learn's rules."""
        if is_table(X) and not isinstance(X, pd.DataFrame):
            X = arrow_table(X).to_pandas()
        if isinstance(X, pd.DataFrame):
            validate_data(self, cast(Any, X), y, reset=reset, skip_check_array=True)
            frame = X.reset_index(drop=True)
            infinite = [name for name, column in frame.items() if column.dtype.kind == "f" and np.isinf(column).any()]
            if infinite:
                raise InputError(f"column {infinite[0]!r}", "infinity", "finite values or missing ones")
            return frame
        array = check_array(X, ensure_all_finite=cast(Any, "allow-nan"), input_name="X", estimator=self)
        validate_data(self, array, y, reset=reset, skip_check_array=True)
        # As scikit-learn has it: an array is taken by its order, also after a fit on a frame (with its warning).
        known = None if reset else getattr(self, "feature_names_in_", None)
        return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])] if known is None else list(known))

    def _table(self, X: Any, y: Any, target: np.ndarray, kind: str) -> pa.Table:
        """X and checked targets, as they shall stand in the table, target last; `kind`: the target column's there."""
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
        warn_of_text(table.drop_columns([str(label)]), stacklevel=4)
        with spoken_in_python():
            self.schema_ = infer_schema(table, target=str(label), overrides={str(label): kind})
        return table

    def _coded_table(self, X: Any, y: Any) -> pa.Table:
        """As `_table` for classes; sets `classes_`, and `_order`, the schema's classes in the order of `classes_`."""
        labels = checked_target(self, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError("y", "1 class", "at least 2 classes")
        # Codes stand in the table, so that labels of any type come back as they were.
        table = self._table(X, y, codes.astype(np.int64), "categorical")
        self._order = np.argsort(np.array(self.schema_.classes))
        return table

    def _number_table(self, X: Any, y: Any) -> pa.Table:
        """As `_table` for numbers."""
        target = check_array(checked_target(self, y), ensure_2d=False, dtype="numeric", input_name="y")
        return self._table(X, y, target, "integer" if target.dtype.kind in "iu" else "numeric")

    def _each_member(self, fit: Callable[[int], Fitted]) -> list[Fitted]:
        """What `fit` makes of each member's number."""
        if self.backend == "ray":
            from dge_ray.distributed.tasks import map_members

            return map_members(fit, self.n_members)
        return [fit(k) for k in range(self.n_members)]

    def _check_settings(self) -> None:
        if not is_integer(self.n_members) or self.n_members < 1:
            raise InputError("n_members", repr(self.n_members), "a whole number from 1")
        if self.backend not in ("local", "ray"):
            raise InputError("backend", repr(self.backend), "local or ray")
        if self.generator_settings is not None and not isinstance(self.generator_settings, Mapping):
            raise InputError("generator_settings", repr(self.generator_settings), "a mapping of settings, or None")
        check_generator(self.generator, self.generator_settings or {})

    def _seed(self) -> int:
        if is_integer(self.random_state) and cast(int, self.random_state) >= 0:
            return int(cast(int, self.random_state))
        return int(check_random_state(self.random_state).randint(2**31 - 1))


def is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def checked_target(ensemble: BaseEstimator, y: Any) -> np.ndarray:
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
