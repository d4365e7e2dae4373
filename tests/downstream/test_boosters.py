"""Boosting that stops early, checked against scikit-learn's own; the search within the rows, against a loop over the
same candidates; boosting of other packages, with a stand-in that notes what it is fed, and itself where installed."""

from typing import Any

import numpy as np
import pytest
from helpers.learner_cases import sample, schema
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import KFold, ParameterSampler, StratifiedKFold

from dge_ray.downstream import check_learner, load_learner, make_learner
from dge_ray.downstream.boosters import can_hold_out
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.downstream.tuned import SPACE, TunedBoosting, TunedSettings
from dge_ray.errors import InputError, StudyError
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table.features import feature_matrix


def test_boosting_stopped_is_histogram_boosting_that_holds_rows_out() -> None:
    table = schema()
    train, test = sample(table, 600), sample(table, seed=1)
    learner = make_learner("boosting_stopped", {}, table, seed=5).fit(train)
    assert isinstance(learner, EstimatorLearner)
    want = HistGradientBoostingClassifier(
        early_stopping=True,
        n_iter_no_change=50,
        max_iter=2000,
        learning_rate=0.05,
        max_features=0.8,
        categorical_features=[False, True, False, True, False],
        random_state=integer(5, Purpose.LEARNER, index=0, bits=32),
    ).fit(feature_matrix(train, table)[0], train["y"])
    expected = want.predict_proba(feature_matrix(test, table)[0]).astype(np.float32)
    np.testing.assert_array_equal(learner.predict(test), expected)
    assert learner.estimator.n_iter_ < 2000 and len(learner.estimator.validation_score_) > 1


@pytest.mark.parametrize("rows", [600, 10_500], ids=["few", "more than scikit-learn's auto"])
def test_the_early_stopping_of_a_studys_own_boosting_is_one_policy_at_every_volume(rows: int) -> None:
    """What `auto` does from 10,000 rows on is done at all of them, with a seed that counts."""
    table = schema()
    train, test = sample(table, rows), sample(table, seed=1)
    settings = {"max_iter": 40, "n_iter_no_change": 2}
    first, same, other = (make_learner("boosting_early", settings, table, seed=seed).fit(train) for seed in (5, 5, 6))
    assert isinstance(first, EstimatorLearner) and first.reduced == ()
    assert first.estimator.early_stopping is True and len(first.estimator.validation_score_) > 1
    np.testing.assert_array_equal(first.predict(test), same.predict(test))
    assert np.abs(first.predict(test) - other.predict(test)).max() > 0


@pytest.mark.parametrize(
    ("target", "holds"),
    [
        (np.repeat([0, 1], 20), True),
        (np.repeat([0, 1], [39, 1]), False),  # a class of one row cannot be on both sides
        (np.repeat(np.arange(5), 8), False),  # four rows held out, of five classes
        (np.arange(3.0), True),
        (np.arange(1.0), False),
    ],
)
def test_when_rows_can_be_held_out(target: np.ndarray, holds: bool) -> None:
    assert can_hold_out(target, 0.1) == holds


def test_too_few_rows_to_stop_on_are_fitted_as_boosting_without() -> None:
    table = schema(classes=3, task="multiclass")
    learner = make_learner("boosting_stopped", {}, table, seed=0).fit(sample(table, 12))
    assert isinstance(learner, EstimatorLearner)
    assert learner.estimator.early_stopping is False and learner.estimator.n_iter_ == 100


QUICK: dict[str, Any] = {"early_stopping": True, "max_iter": 15, "n_iter_no_change": 3}
SETTINGS = TunedSettings(candidates=3, folds=2, search_rows=150)


def _tuned(task: str, seed: int) -> TunedBoosting:
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return TunedBoosting(kind(**QUICK), schema(task), SETTINGS, seed=seed)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_search_is_cross_validation_over_addressed_rows_and_candidates(task: str) -> None:
    table, learner = schema(task), _tuned(task, seed=4)
    train = sample(table, 400)
    rows = numpy_generator(4, Purpose.LEARNER, index=1).permutation(400)[:150]
    x, y = feature_matrix(train, table)[0][rows], train["y"][rows]
    folds = (KFold if task == "regression" else StratifiedKFold)(
        2, shuffle=True, random_state=integer(4, Purpose.LEARNER, index=2, bits=32)
    )
    sampler = ParameterSampler(SPACE, 3, random_state=integer(4, Purpose.LEARNER, index=3, bits=32))
    losses = []
    for candidate in (candidates := list(sampler)):
        found = []
        for inside, held in folds.split(x, y):
            model: Any = clone(learner._plain).set_params(**candidate).fit(x[inside], y[inside])
            if task == "regression":
                found.append(mean_squared_error(y[held], model.predict(x[held])))
            else:
                found.append(log_loss(y[held], model.predict_proba(x[held])))
        losses.append(np.mean(found))
    want = candidates[int(np.argmin(losses))]
    assert learner.search(train) == want
    learner.fit(train)
    assert {name: learner.estimator.get_params()[name] for name in want} == want


def test_tuned_boosting_is_a_function_of_seed_and_rows_and_can_be_kept(tmp_path: Any) -> None:
    table = schema()
    train, test = sample(table), sample(table, seed=1)
    first = _tuned("binary", 1).fit(train)
    twice = _tuned("binary", 1)
    twice.fit(sample(table, seed=2))  # what was found before is forgotten
    np.testing.assert_array_equal(twice.fit(train).predict(test), first.predict(test))
    assert not np.array_equal(_tuned("binary", 2).fit(train).predict(test), first.predict(test))
    first.save(tmp_path)
    np.testing.assert_array_equal(load_learner(tmp_path, table).predict(test), first.predict(test))


def test_few_rows_and_rare_classes_are_not_searched() -> None:
    table = schema("multiclass", classes=3)
    for rows in (2, 8, 60):
        learner = make_learner("boosting_tuned", {}, table, seed=0)
        assert isinstance(learner, TunedBoosting) and learner.search(sample(table, rows)) == {}
    train = sample(table, 300)
    train["y"] = np.where(train["y"] == 0, 2, train["y"]).astype(np.int32)
    train["y"][:2] = 0  # two rows of a class, and four are needed for two folds: it stays out of the search
    plain = HistGradientBoostingClassifier(**QUICK)
    assert set(TunedBoosting(plain, table, SETTINGS, seed=0).search(train)) == set(SPACE)


class _Noting(BaseEstimator):
    """A stand-in for another package's estimator: notes what it is fed, predicts the mean or the classes' shares."""

    __module__ = "xgboost.sklearn"

    def __init__(self, early_stopping_rounds: int | None = None, random_state: int | None = None) -> None:
        self.early_stopping_rounds, self.random_state = early_stopping_rounds, random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: Any = None, eval_set: Any = None, **more: Any) -> Any:
        self.x_, self.y_, self.weights_, self.held_ = x, y, sample_weight, eval_set
        return self


class _Regressor(RegressorMixin, _Noting):
    __module__ = "xgboost.sklearn"

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), self.y_.mean())


class _Classifier(ClassifierMixin, _Noting):
    __module__ = "xgboost.sklearn"

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.zeros(len(x))

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.tile(np.bincount(self.y_) / len(self.y_), (len(x), 1))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_another_packages_boosting_stops_on_a_tenth_of_its_own_rows(task: str) -> None:
    table = schema(task)
    train = sample(table, 200)
    train["number"] = np.arange(200.0)  # tells the rows apart
    kind = _Regressor if task == "regression" else _Classifier

    def fitted(seed: int) -> Any:
        learner = EstimatorLearner(kind(early_stopping_rounds=5), table, seed=seed)
        return learner.fit(train, weights=np.arange(200.0)).model

    model = fitted(0)
    [(x_held, y_held)] = model.held_
    assert sorted([*model.x_[:, 0], *x_held[:, 0]]) == list(range(200)) and len(x_held) == 20
    np.testing.assert_array_equal(model.y_, train["y"][model.x_[:, 0].astype(int)])
    np.testing.assert_array_equal(y_held, train["y"][x_held[:, 0].astype(int)])
    np.testing.assert_array_equal(model.weights_, model.x_[:, 0])
    if task == "binary":
        assert np.bincount(y_held).tolist() == [10, 10]  # the classes are equally frequent
    np.testing.assert_array_equal(fitted(0).held_[0][0], x_held)
    assert not np.array_equal(fitted(1).held_[0][0], x_held)


def test_another_packages_boosting_does_not_stop_unasked_or_on_too_few_rows() -> None:
    table = schema()
    model: Any = EstimatorLearner(_Classifier(), table, seed=0).fit(sample(table)).model
    assert model.held_ is None and len(model.x_) == 300
    few: Any = EstimatorLearner(_Classifier(early_stopping_rounds=5), table, seed=0).fit(sample(table, 8)).model
    assert few.held_ is None and few.early_stopping_rounds is None and len(few.x_) == 8


@pytest.mark.parametrize("package", ["catboost", "lightgbm", "xgboost"])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_installed_packages_by_path(package: str, task: str, tmp_path: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Silent, without files, the seed used and the only randomness, stopping early; kept as predictions alone."""
    pytest.importorskip(package)
    stem = {"catboost": "catboost.CatBoost", "lightgbm": "lightgbm.LGBM", "xgboost": "xgboost.XGB"}[package]
    path = stem + ("Regressor" if task == "regression" else "Classifier")
    rounds = "iterations" if package == "catboost" else "n_estimators"
    settings = {"early_stopping_rounds": 5, rounds: 400, "learning_rate": 0.3}
    table = schema(task, classes=3)
    check_learner(path, settings, task)
    train, test = sample(table), sample(table, seed=1)

    def fitted(seed: int) -> EstimatorLearner:
        learner = make_learner(path, settings, table, seed=seed).fit(train)
        assert isinstance(learner, EstimatorLearner)
        return learner

    first, same, other = fitted(1), fitted(1), fitted(2)
    np.testing.assert_array_equal(first.predict(test), same.predict(test))
    assert not np.array_equal(first.predict(test), other.predict(test))
    best = {"catboost": "best_iteration_", "lightgbm": "best_iteration_", "xgboost": "best_iteration"}[package]
    assert 0 < getattr(first.estimator, best) < 399
    with pytest.raises(StudyError, match="cannot be saved safely"):
        first.save(tmp_path)
    with pytest.raises(InputError, match=r"learner\.itertions: got an unknown setting"):
        check_learner(path, {"itertions": 5}, task)
    assert capfd.readouterr() == ("", "")
