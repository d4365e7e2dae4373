"""Learners, checked against scikit-learn fitted directly on the same matrix, and against what must hold for all of
them: probabilities over the schema's classes, the seed giving all randomness, small samples crashing nothing."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers.learner_cases import NAMES, QUICK, quick, sample, schema
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from dge_ray.downstream import Learner, StreamingLearner, align, make_learner
from dge_ray.downstream.base import FLOOR
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.downstream.preparing import MAX_LEVELS
from dge_ray.errors import StudyError
from dge_ray.seeds import Purpose, integer
from dge_ray.table.codec import Columns
from dge_ray.table.features import feature_matrix
from dge_ray.table.schema.table_schema import TableSchema


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_boosting_is_histogram_boosting_on_the_same_matrix(task: str) -> None:
    table = schema(task)
    train, test = sample(table), sample(table, seed=1)
    got = make_learner("boosting", {"max_iter": 20}, table, seed=5).fit(train).predict(test)
    state = integer(5, Purpose.LEARNER, index=0, bits=32)
    arguments: dict[str, Any] = {
        "max_iter": 20,
        "early_stopping": False,
        "max_features": 0.8,
        "categorical_features": [False, True, False, True, False],
        "random_state": state,
    }
    x, _ = feature_matrix(train, table)
    xt, _ = feature_matrix(test, table)
    if task == "binary":
        want = HistGradientBoostingClassifier(**arguments).fit(x, train["y"]).predict_proba(xt)
    else:
        want = HistGradientBoostingRegressor(**arguments).fit(x, train["y"]).predict(xt)[:, None]
    np.testing.assert_array_equal(got, want.astype(np.float32))


def test_boosting_keeps_columns_of_too_many_categories_ordinal() -> None:
    table = schema(levels=300)
    learner = make_learner("boosting", {"max_iter": 5}, table, seed=0).fit(sample(table, 2000))
    assert isinstance(learner, EstimatorLearner)
    assert learner.estimator.is_categorical_.tolist() == [False, False, False, True, False]


def test_linear_is_a_logistic_regression_on_one_hot_and_scaled_columns() -> None:
    table = schema()
    train, test = sample(table), sample(table, seed=1)
    for columns in (train, test):  # with nothing missing the encoding can be written down in two lines
        columns["number"] = np.nan_to_num(columns["number"])
        columns["colour"] = np.maximum(columns["colour"], 0)

    def encoded(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
        coded = np.stack([columns["colour"], columns["flag"]], axis=1)
        return coded, np.stack([columns["number"], columns["whole"], columns["when"]], axis=1)

    one_hot, scaler = OneHotEncoder(sparse_output=False), StandardScaler()
    x = np.hstack([one_hot.fit_transform(encoded(train)[0]), scaler.fit_transform(encoded(train)[1])])
    xt = np.hstack([one_hot.transform(encoded(test)[0]), scaler.transform(encoded(test)[1])])
    want = LogisticRegression(max_iter=500).fit(x, train["y"]).predict_proba(xt)
    got = make_learner("linear", {}, table, seed=0).fit(train).predict(test)
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_predictions_beat_chance_and_have_the_contract_shape(name: str, task: str) -> None:
    table = schema(task, classes=3 if task == "multiclass" else 2)
    given_settings = {} if name in ("mlp", "torch_mlp", "boosting_early", "boosting_stopped") else QUICK.get(name, {})
    learner = make_learner(name, given_settings, table, seed=3)
    assert isinstance(learner, Learner)
    assert learner.streams == isinstance(learner, StreamingLearner) == (name == "torch_mlp")
    test = sample(table, seed=1)
    got = learner.fit(sample(table)).predict(test)
    assert got.dtype == np.float32 and got.shape == (300, len(table.classes) or 1)
    if task == "regression":
        assert r2_score(test["y"], got[:, 0]) > 0.5
    else:
        np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)
        # The classes are equally frequent, so that guessing is right in 1/2 or 1/3 (se .03) of the rows.
        assert (got.argmax(axis=1) == test["y"]).mean() > 0.6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_seed_gives_all_randomness(name: str, task: str) -> None:
    table = schema(task)
    train, test = sample(table), sample(table, seed=1)
    one, same, other = (quick(name, table, seed).fit(train).predict(test) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    if name in ("boosting", "boosting_early", "boosting_stopped", "forest", "mlp", "torch_mlp"):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_samples_that_lack_classes_values_and_categories(name: str, task: str) -> None:
    table = schema(task, classes=4)
    train, test = sample(table), sample(table, seed=1)
    if task == "multiclass":
        train["y"] = np.where(train["y"] == 1, 3, train["y"]).astype(np.int32)
        train["y"][0] = 1  # a single row of its class
        train["y"][train["y"] == 0] = 2
    train["number"][:] = np.nan  # no value at all
    train["colour"] = np.where(train["colour"] == 2, -1, train["colour"])  # a category only real rows have
    train["whole"][:] = 4.0
    got = quick(name, table).fit(train).predict(test)
    assert np.isfinite(got).all()
    if task == "multiclass":
        assert got[:, 0].max() < (1e-6 if name != "torch_mlp" else 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_of_one_class_predicts_that_class(name: str) -> None:
    table = schema("multiclass", classes=3)
    train = sample(table)
    train["y"][:] = 2
    got = make_learner(
        name, {**QUICK.get(name, {}), **({"min_steps": 200} if name == "torch_mlp" else {})}, table, seed=0
    )
    assert (got.fit(train).predict(sample(table, seed=1)).argmax(axis=1) == 2).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["multiclass", "regression"])
@pytest.mark.parametrize("n", [2, 3, 8])
def test_a_handful_of_rows(name: str, task: str, n: int) -> None:
    table = schema(task, classes=3)
    assert np.isfinite(quick(name, table).fit(sample(table, n)).predict(sample(table, 50, seed=1))).all()


@pytest.mark.parametrize("name", ["boosting", "linear", "torch_mlp"])
def test_only_coded_or_only_measured_features(name: str) -> None:
    for kept in ({"colour", "flag", "y"}, {"number", "y"}):
        full = schema()
        table = TableSchema(tuple(c for c in full.columns if c.name in kept), "y", "binary")
        columns = {k: v for k, v in sample(full).items() if k in kept}
        assert quick(name, table).fit(columns).predict(columns).shape == (300, 2)


def test_a_learner_can_be_fitted_again() -> None:
    table = schema()
    learner = make_learner("knn", {"n_neighbors": 20}, table, seed=0)
    learner.fit(sample(table, 5))
    twice = learner.fit(sample(table)).predict(sample(table, seed=1))
    once = make_learner("knn", {"n_neighbors": 20}, table, seed=0).fit(sample(table)).predict(sample(table, seed=1))
    np.testing.assert_array_equal(twice, once)


def test_ten_thousand_levels_are_pooled() -> None:
    table = schema(levels=10_000)
    train = sample(table, 3000)
    train["colour"][:1000] = np.arange(1000) % 50  # fifty levels are frequent
    learner = make_learner("linear", {}, table, seed=0).fit(train)
    assert isinstance(learner, EstimatorLearner)
    # Pooled levels, the two of the flag, three numbers and the indicator of the one with missing values.
    assert learner.estimator.coef_.shape == (1, MAX_LEVELS + 1 + 2 + 3 + 1)
    assert np.isfinite(learner.predict(sample(table, seed=1))).all()


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_align_gives_probabilities_of_all_classes(n: int, present: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.permutation(6)[:present]
    raw = rng.dirichlet(np.full(present, 0.3), n)
    got = align(raw, codes, 6)
    assert got.dtype == np.float32 and got.shape == (n, 6)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)
    assert got.min() > 0.9 * FLOOR
    np.testing.assert_allclose(got[:, codes], raw, atol=1e-5)


def test_predictions_that_are_not_numbers_are_an_error() -> None:
    with pytest.raises(StudyError, match="not finite"):
        align(np.array([[np.nan, 1.0]]), np.array([0, 1]), 2)


def test_no_learner_touches_the_global_generators() -> None:
    table = schema()
    before = torch.get_rng_state(), np.random.get_state()[1]
    for name in NAMES:
        quick(name, table).fit(sample(table))
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "settings", "rows", "says"),
    [
        ("knn", {"n_neighbors": 500}, 60, "n_neighbors 500 cut to 60"),
        ("knn", {"n_neighbors": 60}, 60, None),
        ("sklearn.neighbors.KNeighborsClassifier", {"n_neighbors": 61}, 60, "n_neighbors 61 cut to 60"),
        ("boosting_stopped", {}, 8, "early_stopping left out"),
        ("boosting_stopped", {}, 200, None),
        ("linear", {}, 60, None),
    ],
)
def test_settings_that_the_rows_are_too_few_for_are_told(
    name: str, settings: dict, rows: int, says: str | None
) -> None:
    table = schema()
    learner = make_learner(name, settings, table, seed=0)
    assert isinstance(learner, EstimatorLearner)
    learner.fit(sample(table, rows))
    if says is None:
        assert learner.reduced == ()
    else:
        assert any(words.startswith(says) for words in learner.reduced)
    learner.fit(sample(table, 600))
    assert learner.reduced == ()
