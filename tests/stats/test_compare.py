"""Paired differences against scipy's paired t test, DeLong's covariance by brute force, and simulation."""

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel

from dge_ray.errors import InputError
from dge_ray.stats.comparison.baselines import metrics_of, naive_single, naive_single_difference, paired_difference
from dge_ray.stats.metrics.by_row import absolute_error, log_loss
from dge_ray.stats.metrics.losses import metric_names


def two_classifiers(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    signal = generator.standard_normal(rows)
    y = (generator.random(rows) < 1 / (1 + np.exp(-2 * signal))).astype(int)
    scores = [1 / (1 + np.exp(-signal - noise * generator.standard_normal(rows))) for noise in (0.3, 0.8)]
    return *(np.stack([1 - s, s], axis=1) for s in scores), y


def test_a_difference_of_mean_losses_is_the_paired_t_interval() -> None:
    a, b, y = two_classifiers(0, 300)
    oracle = ttest_rel(log_loss(a, y), log_loss(b, y)).confidence_interval(0.95)
    difference, low, high = paired_difference(a, b, y, "log_loss", task="binary")
    assert difference == pytest.approx(
        metrics_of(a, y, task="binary")["log_loss"] - metrics_of(b, y, task="binary")["log_loss"]
    )
    assert (low, high) == pytest.approx((oracle.low, oracle.high))


def test_an_auc_difference_is_delongs() -> None:
    a, b, y = two_classifiers(1, 400)
    wins = [(p[y == 1, 1][:, None] > p[y == 0, 1][None]).astype(float) for p in (a, b)]
    positives = np.cov([w.mean(axis=1) for w in wins])
    negatives = np.cov([w.mean(axis=0) for w in wins])
    contrast = np.array([1, -1])
    error = np.sqrt(contrast @ (positives / (y == 1).sum() + negatives / (y == 0).sum()) @ contrast)
    difference, low, high = paired_difference(a, b, y, "auc", task="binary")
    assert difference == pytest.approx(wins[0].mean() - wins[1].mean(), abs=1e-12)
    assert (high - low) / 2 == pytest.approx(norm.ppf(0.975) * error, rel=0.02)  # t for normal, n - 1 for class sizes


@pytest.mark.parametrize("metric", metric_names("classification"))
def test_swapping_turns_the_sign_and_equals_differ_by_nothing(metric: str) -> None:
    a, b, y = two_classifiers(2, 200)
    difference, low, high = paired_difference(a, b, y, metric, task="binary")
    assert paired_difference(b, a, y, metric, task="binary") == pytest.approx((-difference, -high, -low))
    assert paired_difference(a, a, y, metric, task="binary") == (0.0, 0.0, 0.0)


def test_naive_single_is_the_mean_of_one_member_metrics() -> None:
    generator = np.random.default_rng(3)
    members, y = generator.dirichlet(np.ones(3), (4, 100)), generator.integers(0, 3, 100)
    each = [metrics_of(p, y, task="multiclass") for p in members]
    expected = {metric: np.mean([e[metric] for e in each]) for metric in metric_names("classification")}
    single = naive_single(members, y, task="multiclass")
    assert single == pytest.approx(expected)
    ensemble = metrics_of(members.mean(axis=0), y, task="multiclass")
    for metric in metric_names("classification"):
        difference, low, high = naive_single_difference(members, y, metric, task="multiclass")
        assert difference == pytest.approx(ensemble[metric] - single[metric])
        assert low < difference < high
    assert naive_single_difference(members[:1], y, "brier", task="multiclass") == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("directions", [1, 4, 16])
def test_naive_single_differences_cover_over_new_members_and_rows(directions: int) -> None:
    """Members 0.4 + own error of variance .61: R(K) = 1.16 + .61 / K in squared error, in closed form for RMSE."""
    held = []
    for replicate in range(300):
        generator = np.random.default_rng([4, directions, replicate])
        y, x = generator.standard_normal(400), generator.standard_normal((directions, 400))
        own = 0.6 * generator.standard_normal((4, directions)) / np.sqrt(directions) @ x
        own += 0.5 * generator.standard_normal((4, 400))
        _, low, high = naive_single_difference((0.4 + own)[..., None], y, "rmse", task="regression")
        held.append(low <= np.sqrt(1.16 + 0.61 / 4) - np.sqrt(1.16 + 0.61) <= high)
    # .95, with a shortfall of .07 known for members that err in one direction; less 3 binomial standard errors (.04)
    assert np.mean(held) > (0.84 if directions == 1 else 0.89)


def test_bad_input_is_named() -> None:
    a, b, y = two_classifiers(5, 50)
    with pytest.raises(InputError, match=r"^metric: got 'rmse'"):
        paired_difference(a, b, y, "rmse", task="binary")
    with pytest.raises(InputError, match=r"^truth: got shape"):
        paired_difference(a, b[:-1], y, "auc", task="binary")
    with pytest.raises(InputError, match=r"^prediction: got shape"):
        metrics_of(a[0], y, task="binary")
    with pytest.raises(InputError, match=r"^task: got 'ranking'"):
        metrics_of(a, y, task="ranking")
    assert absolute_error(np.array([[1.0]]), np.array([3.0])).tolist() == [2.0]
