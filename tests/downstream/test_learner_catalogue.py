"""Learners by name: what is refused, in which words, and what draws a warning."""

import warnings
from typing import Any

import pytest
from learner_cases import sample, schema

from dge_ray.downstream import check_learner, make_learner
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.errors import InputError
from dge_ray.table.schema import TableSchema


@pytest.mark.parametrize(
    ("name", "given_settings", "task", "field", "words"),
    [
        ("bosting", {}, "binary", "learner", "did you mean 'boosting'"),
        ("ridge", {}, "binary", "learner", "'linear' here"),
        ("logistic", {}, "regression", "learner", "'linear' here"),
        ("sklearn.ensemble.NoSuch", {}, "binary", "learner", "cannot be imported"),
        ("no_such_package.Thing", {}, "binary", "learner", "cannot be imported"),
        ("sklearn.metrics.log_loss", {}, "binary", "learner", "not a class"),
        ("collections.OrderedDict", {}, "binary", "learner", "not a scikit-learn estimator"),
        ("sklearn.preprocessing.StandardScaler", {}, "binary", "learner", "not a scikit-learn estimator"),
        ("sklearn.cluster.KMeans", {}, "binary", "learner", "neither a classifier nor a regressor"),
        ("sklearn.ensemble.VotingClassifier", {}, "binary", "learner", "arguments have defaults"),
        ("sklearn.ensemble.ExtraTreesClassifier", {}, "regression", "learner", "a regressor"),
        ("sklearn.ensemble.ExtraTreesRegressor", {}, "multiclass", "learner", "a classifier"),
        ("sklearn.svm.SVC", {}, "binary", "learner", "predict_proba"),
        ("boosting", {"max_itr": 5}, "binary", "learner.max_itr", "did you mean 'max_iter'"),
        ("boosting", {"max_iter": -1}, "binary", "learner.max_iter", "[1, inf)"),
        ("boosting", {"max_iter": "many"}, "regression", "learner.max_iter", "an int"),
        ("forest", {"random_state": 1}, "binary", "learner.random_state", "nothing"),
        ("boosting", {"categorical_features": [0]}, "binary", "learner.categorical_features", "schema"),
        ("torch_mlp", {"hiden": [3]}, "binary", "learner.hiden", "did you mean 'hidden'"),
        ("torch_mlp", {"hidden": 64}, "binary", "learner.hidden", "[128, 128]"),
        ("torch_mlp", {"hidden": []}, "binary", "learner.hidden", "[128, 128]"),
        ("torch_mlp", {"dropout": 1.0}, "binary", "learner.dropout", "below 1"),
        ("torch_mlp", {"epochs": 1.5}, "binary", "learner.epochs", "whole number"),
        ("torch_mlp", {"learning_rate": "fast"}, "binary", "learner.learning_rate", "above 0"),
    ],
)
def test_refusals(name: str, given_settings: dict[str, Any], task: str, field: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        check_learner(name, given_settings, task)
    assert caught.value.field == field
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_dotted_path_is_any_estimator() -> None:
    table = schema()
    path = "sklearn.ensemble.ExtraTreesClassifier"
    check_learner(path, {"n_estimators": 7}, "binary")
    learner = make_learner(path, {"n_estimators": 7}, table, seed=0).fit(sample(table))
    assert isinstance(learner, EstimatorLearner)
    assert len(learner.estimator.estimators_) == 7
    assert isinstance(learner.estimator.random_state, int)


def test_boosting_that_stops_by_itself_draws_a_warning() -> None:
    path = "sklearn.ensemble.HistGradientBoostingClassifier"
    for name, given_settings in (
        (path, {}),
        (path, {"early_stopping": "auto"}),
        ("boosting", {"early_stopping": "auto"}),
    ):
        with pytest.warns(UserWarning, match="above 10,000 rows"):
            check_learner(name, given_settings, "binary")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_learner(path, {"early_stopping": False}, "binary")
        check_learner("boosting", {}, "binary")


def test_a_table_to_learn_nothing_from_is_refused() -> None:
    bare = TableSchema((schema()["y"],), "y", "binary")
    with pytest.raises(InputError, match="no column to predict from"):
        make_learner("boosting", {}, bare, seed=0)
    with pytest.raises(InputError, match="target"):
        make_learner("boosting", {}, TableSchema(schema().columns), seed=0)
