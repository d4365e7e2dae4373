"""Metrics against scikit-learn; row contributions against their definition (the metric's derivative in row weights).

scikit-learn is an oracle only here: the package itself uses numpy and scipy.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from dge_ray.errors import InputError
from dge_ray.stats.comparison.baselines import metrics_of
from dge_ray.stats.metrics.auc import fast_auc
from dge_ray.stats.metrics.losses import check_metric, contributions, higher_is_better, metric_names, metric_value

ROWS = 200


def classification(classes: int, seed: int = 0, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, classes, ROWS)
    p = generator.dirichlet(np.ones(classes), ROWS) + 0.3 * np.eye(classes)[y]
    p /= p.sum(axis=1, keepdims=True)
    if ties:
        p = np.round(p, 1)
    return p, y


def test_binary_metrics_agree_with_sklearn() -> None:
    p, y = classification(2)
    got = metrics_of(p, y, task="binary")
    assert got["log_loss"] == pytest.approx(oracle.log_loss(y, p), abs=1e-12)
    assert got["brier"] == pytest.approx(oracle.brier_score_loss(y, p[:, 1]), abs=1e-12)
    assert got["auc"] == pytest.approx(oracle.roc_auc_score(y, p[:, 1]), abs=1e-12)
    assert got["accuracy"] == pytest.approx(oracle.accuracy_score(y, p.argmax(1)), abs=1e-12)
    assert got["macro_f1"] == pytest.approx(oracle.f1_score(y, p.argmax(1), average="macro"), abs=1e-12)
    assert np.bincount(y).argmin() == 0
    assert got["average_precision"] == pytest.approx(oracle.average_precision_score(y == 0, p[:, 0]), abs=1e-12)
    assert got["recall"] == pytest.approx(oracle.recall_score(y, p.argmax(1), pos_label=0), abs=1e-12)


def test_multiclass_metrics_agree_with_sklearn() -> None:
    p, y = classification(5)
    got = metrics_of(p, y, task="multiclass")
    assert got["log_loss"] == pytest.approx(oracle.log_loss(y, p), abs=1e-12)
    assert got["brier"] == pytest.approx(((p - np.eye(5)[y]) ** 2).sum(axis=1).mean(), abs=1e-12)
    assert got["auc"] == pytest.approx(oracle.roc_auc_score(y, p, multi_class="ovr"), abs=1e-12)
    assert got["macro_f1"] == pytest.approx(oracle.f1_score(y, p.argmax(1), average="macro"), abs=1e-12)


def test_regression_metrics_agree_with_sklearn() -> None:
    generator = np.random.default_rng(1)
    y = generator.standard_normal(ROWS)
    p = y + 0.5 * generator.standard_normal(ROWS)
    got = metrics_of(p[:, None], y, task="regression")
    assert got["rmse"] == pytest.approx(oracle.root_mean_squared_error(y, p), abs=1e-12)
    assert got["mae"] == pytest.approx(oracle.mean_absolute_error(y, p), abs=1e-12)
    assert got["r2"] == pytest.approx(oracle.r2_score(y, p), abs=1e-12)


def test_a_class_that_is_absent_is_left_out() -> None:
    p, y = classification(4)
    y[y == 2] = 0
    scores = [oracle.roc_auc_score(y == c, p[:, c]) for c in (0, 1, 3)]
    assert metric_value("auc", p, y) == pytest.approx(np.mean(scores), abs=1e-12)
    expected = oracle.f1_score(y, p.argmax(1), average="macro")
    assert metric_value("macro_f1", p, y) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(metric_value("auc", p, np.zeros(ROWS, dtype=int)))


def test_certain_and_wrong_is_clipped_not_infinite() -> None:
    assert metric_value("log_loss", np.array([[1.0, 0.0]] * 2), np.array([1, 1])) == pytest.approx(
        -np.log(1e-7), rel=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_auc_equals_counting_pairs_whatever_the_ties(rows: list[tuple[int, bool]]) -> None:
    score, label = np.array([r[0] for r in rows]) / 8, np.array([r[1] for r in rows], dtype=int)
    p = np.stack([1 - score, score], axis=1)
    if label.min() == label.max():
        assert np.isnan(metric_value("auc", p, label))
        return
    above = score[label == 1][:, None] - score[label == 0][None]
    pairs = np.mean((above > 0) + 0.5 * (above == 0))
    assert metric_value("auc", p, label) == pytest.approx(pairs, abs=1e-12)
    assert fast_auc(p.T[None], label)[0] == pytest.approx(pairs, abs=1e-12)  # eighths are exact in float32


def test_fast_auc_is_the_auc_up_to_float32() -> None:
    p, y = classification(3)
    # two scores that round to one float32 change the AUC by at most half a pair each
    assert fast_auc(p.T[None], y)[0] == pytest.approx(metric_value("auc", p, y), abs=1e-5)


def weighted_metric(metric: str, p: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """The metric with row weights, from scikit-learn or by definition."""
    if metric == "auc":
        return float(oracle.roc_auc_score(y, p[:, 1], sample_weight=weight))
    if metric == "macro_f1":
        return float(oracle.f1_score(y, p.argmax(1), average="macro", sample_weight=weight))
    if metric == "average_precision":
        return float(oracle.average_precision_score(y == 0, p[:, 0], sample_weight=weight))
    if metric == "recall":
        return float(oracle.recall_score(y, p.argmax(1), pos_label=0, sample_weight=weight))
    if metric == "r2":
        return float(oracle.r2_score(y, p[:, 0], sample_weight=weight))
    if metric == "rmse":
        return float(oracle.root_mean_squared_error(y, p[:, 0], sample_weight=weight))
    return float(np.average(contributions(metric, p, y), weights=weight))


@pytest.mark.parametrize("metric", [*metric_names("classification"), *metric_names("regression")])
def test_contributions_are_value_plus_derivative(metric: str) -> None:
    p, y = classification(2)
    if metric in metric_names("regression"):
        y = np.random.default_rng(2).standard_normal(ROWS)
        p = (0.8 * y + np.random.default_rng(3).standard_normal(ROWS))[:, None]
    got = contributions(metric, p, y)
    value = weighted_metric(metric, p, y, np.ones(ROWS))
    assert got.mean() == pytest.approx(value, abs=1e-12)
    step = 1e-6
    for row in range(0, ROWS, 37):
        weight = np.ones(ROWS)
        weight[row] += step
        derivative = (weighted_metric(metric, p, y, weight) - value) / step
        # influence = rows * d metric / d weight; forward differences err by about the step
        assert got[row] - value == pytest.approx(derivative * ROWS, abs=1e-4)


def test_contributions_take_leading_axes() -> None:
    p, y = classification(3)
    both = np.stack([p, p[:, ::-1]])
    for metric in metric_names("classification"):
        np.testing.assert_allclose(contributions(metric, both, y)[1], contributions(metric, p[:, ::-1], y), atol=1e-13)


def test_directions_and_unknown_names() -> None:
    higher = ["auc", "accuracy", "macro_f1", "average_precision", "recall"]
    assert [m for m in metric_names("classification") if higher_is_better(m)] == higher
    assert check_metric(None, "binary") == "log_loss"
    with pytest.raises(InputError, match="did you mean 'log_loss'"):
        check_metric("logloss", "classification")
