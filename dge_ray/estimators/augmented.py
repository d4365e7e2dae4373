"""A model of real rows and synthetic ones that is safe: the synthetic rows' weight is chosen, and may be none.

Without Ray. What a weight means: `downstream/mixture.py`; when one counts as better: `stats/safe_choice.py`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted, has_fit_parameter

from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.downstream.mixture import no_weights
from dge_ray.errors import InputError
from dge_ray.estimators.augmented_fits import AugmentedPlan, cross_fitted, refitted
from dge_ray.estimators.base import MemberClassifier, TableEstimator, checked_target, is_integer
from dge_ray.estimators.ensemble import check_estimator
from dge_ray.evaluation.crossfit import row_folds
from dge_ray.generators.checks import refuse_made_elsewhere
from dge_ray.stats.comparison.safe_choice import ALPHA, SafeChoice, check_alpha, safe_choice
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import contributions
from dge_ray.table.arrow.frame import from_pandas
from dge_ray.table.codec import TableCodec
from dge_ray.table.features import target_vector

FEWEST_JUDGES = 40  # real rows; fewer can tell no gain from noise, and halves of them fit no generator

Pairs = Sequence[tuple[Any, Any]]
"""Synthetic rows of some members: features and target of each."""


class _SafeAugmented(TableEstimator):
    """What the classifier and the regressor share."""

    estimator: BaseEstimator | None
    n_synthetic: int | float
    weights: Sequence[float]
    cv: int
    alpha: float

    def __init__(
        self,
        generator: str = "autoregressive",
        generator_settings: Mapping[str, Any] | None = None,
        estimator: BaseEstimator | None = None,
        n_members: int = 4,
        n_synthetic: int | float = 1.0,
        weights: Sequence[float] = (0.1, 0.3, 1.0),
        cv: int = 5,
        alpha: float = ALPHA,
        backend: str = "local",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self._keep(locals())

    def predict_members(self, X: Any) -> np.ndarray:
        """Each member's own prediction: (K, n, C) classes in the order of `classes_`; (K, n, 1) in regression."""
        check_is_fitted(self)
        table = from_pandas(self._features(X, reset=False))
        names = [column.name for column in self.schema_.features]
        columns = TableCodec(self.schema_).encode(table, names)
        return np.stack([learner.predict(columns) for learner in self.learners_])

    def _fit(self, table: pa.Table, given: list[pa.Table] | None) -> Self:
        """Cross-fit every weight, choose one, and fit all rows at it."""
        few = table.num_rows < FEWEST_JUDGES
        self.weights_ = np.unique([0.0, *(() if few else self._weights())])
        plan = AugmentedPlan(
            table=table,
            schema=self.schema_,
            generator=self.generator,
            settings=dict(self.generator_settings or {}),
            given=given,
            estimator=self.estimator,
            volume=self._volume(),
            seed=self._seed(),
        )
        columns = TableCodec(self.schema_).encode(table)
        target = target_vector(columns, self.schema_)
        folds = row_folds(target, min(self.cv, table.num_rows), seed=plan.seed, member=0)
        members = self._each_member(partial(cross_fitted, plan, columns, folds, tuple(self.weights_)))
        metric = "squared_error" if self.schema_.task == "regression" else "log_loss"
        losses = contributions(metric, ensemble_mean(np.stack(members)), target)
        self.choice_: SafeChoice = safe_choice(losses, alpha=self.alpha, seed=plan.seed, folds=int(folds.max()) + 1)
        self.risks_ = losses.mean(axis=1)
        self.weight_ = float(self.weights_[self.choice_.index])
        self.learners_: list[EstimatorLearner] = self._each_member(partial(refitted, plan, columns, self.weight_))
        return self

    def _pairs(self, synthetic: Pairs | None) -> list[pa.Table] | None:
        """Tables of given synthetic rows, as (X, y) stands in the table of real ones; sets the number of members."""
        if synthetic is None:
            return None
        if len(synthetic) != self.n_members:
            got = f"{len(synthetic)} tables of synthetic rows"
            raise InputError("synthetic", got, f"(X, y) for each of the {self.n_members} members (n_members)")
        tables = []
        for X, y in synthetic:
            frame = self._features(X, reset=False)
            target = self._target(y)
            check_consistent_length(frame, target)
            label = self.schema_.target
            tables.append(from_pandas(pd.concat([frame, pd.Series(target, name=label)], axis=1)))
        return tables

    def _target(self, y: Any) -> np.ndarray:
        """A target as it stands in the table."""
        raise NotImplementedError

    def _check_settings(self) -> None:
        super()._check_settings()
        refuse_made_elsewhere(self.generator, "to each fold's rows; `synthetic` takes rows that are there")
        if self.estimator is not None:
            check_estimator(self.estimator, get_tags(self).estimator_type)
            if isinstance(self.estimator, Pipeline):
                raise InputError("estimator", "a Pipeline", "an estimator by itself: rows are encoded for it")
            if not has_fit_parameter(self.estimator, "sample_weight"):
                raise no_weights("estimator", type(self.estimator).__name__)
        if not is_integer(self.cv) or self.cv < 2:
            raise InputError("cv", repr(self.cv), "a whole number from 2 (folds)")
        check_alpha(self.alpha)
        self._weights()
        self._volume()

    def _weights(self) -> list[float]:
        try:
            values = [float(weight) for weight in self.weights]
        except (TypeError, ValueError):
            values = []
        if not values or not all(0 <= value < np.inf for value in values):
            raise InputError("weights", repr(self.weights), "numbers from 0, as (0.1, 0.3, 1)")
        return values

    def _volume(self) -> int | float:
        given = self.n_synthetic
        if isinstance(given, bool) or not isinstance(given, int | float | np.number) or not 0 < given < np.inf:
            raise InputError("n_synthetic", repr(given), "a number of rows, or a ratio to the real rows as a float")
        return given


class SafeAugmentedClassifier(MemberClassifier, _SafeAugmented):
    """A classifier of real rows and synthetic ones beside them, whose weight is chosen such that it does no harm.

    The real rows are cut into `cv` folds. K generators are fitted on the rows outside each fold, an estimator on
    those rows and each generator's at every weight, and the fold's rows are predicted by the mean over the K: so
    each real row judges fits that never saw it, and none is held back at last. The weight is that of least log loss
    among those *known* to beat real rows alone (paired over rows, at level `alpha` for all weights together, with the
    variance of cross-fits corrected after Nadeau and Bengio 2003), and 0 if there is none, or there are fewer than 40
    real rows; then generators and estimators are fitted on all rows at it. Real rows alone are K estimators with as
    many seeds, so what is compared is the synthetic rows and nothing else.

    Rows from a generator fitted on these very rows bring no information that the rows have not; they can still help a
    learner that is too flexible for so few rows, by the generator's smoothness. Where a generator knows more (it was
    fitted on other tables), draw its rows and give them to `fit`.

    Args:
        generator: a generator's name.
        generator_settings: its settings; None for the defaults.
        estimator: any scikit-learn classifier with `predict_proba` whose `fit` takes `sample_weight`; None for
            histogram boosting.
        n_members: K.
        n_synthetic: synthetic rows of a fit: a number, or a float for a ratio to its real rows.
        weights: what the synthetic rows count together per real row, candidates; 0 is always one.
        cv: folds.
        alpha: probability of taking synthetic rows where none are better.
        backend: "local", or "ray" to fit members in parallel on the Ray that is running, or a local one.
        random_state: gives all randomness; the estimator's own `random_state` is replaced.

    Attributes:
        classes_, n_features_in_, feature_names_in_: as everywhere in scikit-learn.
        weight_: the weight chosen.
        weights_, risks_: all weights and their cross-fitted risks, (W,) each.
        choice_: differences to real rows alone, their errors and the bound (`stats.safe_choice.SafeChoice`).
        learners_: the fitted learners, member by member.
    """

    def fit(self, X: Any, y: Any, synthetic: Pairs | None = None) -> Self:
        """Choose the weight and fit.

        Args:
            X, y: real rows.
            synthetic: (X, y) of synthetic rows for each of the K members, in place of rows of generators fitted here.
                What made them must not have seen these real rows: those judge them.

        Raises:
            InputError: a parameter, X, y or `synthetic` is at fault.
        """
        table = self._coded_table(X, y)
        return self._fit(table, self._pairs(synthetic))

    def predict_members(self, X: Any) -> np.ndarray:
        """Each member's own probabilities. Shape: (K, n, C), classes in the order of `classes_`."""
        return super().predict_members(X)[:, :, self._order]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The mean over members of their probabilities: float64 (n, C), classes in the order of `classes_`."""
        mean = ensemble_mean(self.predict_members(X))
        return mean / mean.sum(axis=1, keepdims=True)

    def _target(self, y: Any) -> np.ndarray:
        labels = checked_target(self, y)
        known = np.isin(labels, self.classes_)
        if not known.all():
            raise InputError("synthetic", f"class {labels[~known][0]!r}", "classes that the real rows have")
        return np.searchsorted(self.classes_, labels).astype(np.int64)


class SafeAugmentedRegressor(RegressorMixin, _SafeAugmented):
    """As `SafeAugmentedClassifier`, for regression: predictions are averaged, and the risk is the squared error."""

    def fit(self, X: Any, y: Any, synthetic: Pairs | None = None) -> Self:
        """Choose the weight and fit; arguments and errors as `SafeAugmentedClassifier.fit`."""
        table = self._number_table(X, y)
        return self._fit(table, self._pairs(synthetic))

    def predict(self, X: Any) -> np.ndarray:
        """The mean over members, float64 (n,)."""
        return ensemble_mean(self.predict_members(X))[:, 0]

    def _target(self, y: Any) -> np.ndarray:
        return np.asarray(checked_target(self, y), dtype=np.float64)
