"""Intervals from several sources against textbook formulas, a numerical inverse, and simulation on skewed laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from dge_ray.stats.intervals import Source, _hall, interval, over_fits, over_rows
from dge_ray.stats.metrics.auc import auc_contributions, few_rows_interval
from dge_ray.stats.metrics.losses import contributions
from dge_ray.stats.metrics.metric_interval import metric_interval

RNG = np.random.default_rng(3)


def test_rows_alone_without_skew_give_students_interval() -> None:
    x = RNG.normal(size=30)
    both = np.concatenate([x, 2 * x.mean() - x])  # symmetric about its mean
    expected = ttest_1samp(both, 0).confidence_interval()
    assert interval(both.mean(), over_rows(both)) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("skew", "quantile"), [(0.3, 2.0), (0.3, -2.0), (-0.1, 1.5), (0.05, -3.0)])
def test_the_correction_is_the_inverse_of_halls_transformation(skew: float, quantile: float) -> None:
    def hall(x: float) -> float:
        return x + skew * x**2 / 3 + skew**2 * x**3 / 27 + skew / 6 - quantile

    assert _hall(quantile, skew) == pytest.approx(brentq(hall, -50, 50))


@pytest.mark.parametrize(("rows", "least"), [(30, 0.93), (150, 0.935)])
def test_means_of_skewed_losses_are_held(rows: int, least: float) -> None:
    """Exponential losses, 1,000 replicates (Monte Carlo error .007): a t interval holds .924 and .944."""
    held = 0
    for _ in range(1000):
        x = RNG.exponential(size=rows)
        low, high = interval(float(x.mean()), over_rows(x), limits=(0.0, np.inf))
        held += low <= 1 <= high
    assert held / 1000 >= least


def test_degrees_of_freedom_over_classes_are_welchs() -> None:
    y = np.array([0] * 40 + [1] * 5)
    x = np.where(y == 1, 3.0, 1.0) * RNG.normal(size=45)
    n, apart = 45, x - x.mean()
    parts = [float((apart[y == c] ** 2).sum()) / (n * (n - 1)) for c in (0, 1)]
    assert over_rows(x, y).freedom == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / 39 + parts[1] ** 2 / 4))


def test_sources_add_up_as_welch_satterthwaite() -> None:
    rows, members = Source(0.04, 0.04, 199.0), Source(0.09, 0.08, 3.0)
    low, high = interval(1.0, rows, [members])
    freedom = 0.12**2 / (0.04**2 / 199 + 0.09**2 / 3)
    half = student.ppf(0.975, freedom) * np.sqrt(0.12)
    assert (low, high) == pytest.approx((1 - half, 1 + half))


def test_what_members_add_is_their_variance_less_the_interaction() -> None:
    """Members of variance .5 in all rows, noise of variance 2 a row and member: .5 / K is added, on average."""
    added = []
    for _ in range(300):
        x = RNG.normal(size=(6, 80)) * np.sqrt(2) + np.sqrt(0.5) * RNG.normal(size=(6, 1))
        added.append(over_fits(x, over_rows(x.mean(axis=0))).adds)
    assert np.mean(added) == pytest.approx(0.5 / 6, rel=0.12)  # 2 standard errors of 300 replicates


@given(st.floats(0.0, 1.0), st.floats(1e-6, 0.5), st.integers(1, 500))
def test_a_bounded_metric_stays_in_its_range_and_holds_its_estimate(value: float, error: float, rows: int) -> None:
    source = Source(error**2, error**2, 20.0)
    low, high = interval(value, source, limits=(0.0, 1.0), deciding=rows)
    assert 0 <= low <= value <= high <= 1


def test_at_its_limit_a_share_has_the_exact_binomial_end() -> None:
    y = np.arange(60) % 2
    p = np.eye(2)[y]
    low, high = metric_interval("accuracy", contributions("accuracy", p, y), y)
    assert (low, high) == pytest.approx((0.025 ** (1 / 60), 1.0))


@pytest.mark.parametrize(("positives", "distance"), [(3, 1.5), (5, 0.5), (10, 2.0)])
def test_auc_with_few_positives_is_held(positives: int, distance: float) -> None:
    """Normal scores, 200 negatives, 400 replicates: .92 is 2.7 Monte Carlo errors below .95."""
    from scipy.stats import norm

    truth, y = norm.cdf(distance / np.sqrt(2)), (np.arange(200 + positives) >= 200).astype(int)
    held = 0
    for _ in range(400):
        score = RNG.normal(size=len(y)) + distance * y
        value = auc_contributions(np.stack([-score, score], axis=1), y).mean()
        low, high = few_rows_interval(float(value), y, 0.95) or (1.0, 0.0)
        held += low <= truth <= high
    assert held / 400 >= 0.92
    assert few_rows_interval(0.7, np.arange(400) % 2, 0.95) is None
