"""Attack figures against scikit-learn's curve, scipy's exact interval, mechanisms whose trade-off is known, and by
simulated coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score, roc_curve

from dge_ray.stats.leakage.attacks import (
    auc_allowed,
    auc_with_interval,
    clopper_pearson,
    epsilon_at_least,
    roc,
    thinned_roc,
    tpr_allowed,
    tpr_at_fpr,
)


def scores(seed: int, n: int, shift: float, step: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores of seen and unseen rows; rounded to multiples of `step` where it is not 0."""
    rng = np.random.default_rng(seed)
    both = rng.normal(shift, 1, n), rng.normal(0, 1, n)
    return both if not step else (np.round(both[0] / step) * step, np.round(both[1] / step) * step)


@pytest.mark.parametrize("step", [0.0, 0.5])
def test_curve_and_area_are_scikit_learns(step: float) -> None:
    seen, unseen = scores(0, 300, 0.7, step)
    truth, values = np.repeat([1, 0], 300), np.r_[seen, unseen]
    fpr, tpr, _ = roc_curve(truth, values, drop_intermediate=False)
    assert np.allclose(roc(seen, unseen), (fpr, tpr))
    assert auc_with_interval(seen, unseen)[0] == pytest.approx(roc_auc_score(truth, values))
    kept = thinned_roc(seen, unseen)
    assert np.allclose(kept["tpr"], np.interp(kept["fpr"], fpr, tpr)) and kept["tpr"][-1] == 1


@given(st.integers(0, 40), st.integers(1, 40))
def test_the_interval_of_a_share_is_scipys(hits: int, more: int) -> None:
    expected = binomtest(hits, hits + more).proportion_ci(0.95, "exact")
    assert clopper_pearson(hits, hits + more) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("auc", "step"), [(0.5, 0.0), (0.52, 1.0), (0.75, 0.0), (0.97, 0.0)])
def test_the_area_is_covered(auc: float, step: float) -> None:
    """95 % of 600 tables, less 3 standard errors of .9 %."""
    shift = float(np.sqrt(2) * norm.ppf(auc))
    large = scores(1, 400_000, shift, step)
    truth = auc if not step else auc_with_interval(*large)[0]
    found = [auc_with_interval(*scores(seed, 150, shift, step))[1:] for seed in range(10, 610)]
    assert np.mean([lower <= truth <= upper for lower, upper in found]) > 0.923


def test_a_perfect_order_has_an_interval_too() -> None:
    """Of 20 disjoint pairs all are in order: (.025) ** (1 / 20)."""
    assert auc_with_interval(np.arange(20) + 30.0, np.arange(25.0)) == (1.0, pytest.approx(0.025**0.05), 1.0)
    assert auc_with_interval(np.arange(25.0), np.arange(20) + 30.0) == (0.0, 0.0, pytest.approx(1 - 0.025**0.05))
    assert auc_with_interval(np.zeros(9), np.zeros(9)) == pytest.approx((0.5, 0.5, 0.5))  # all tie: nothing varies


@pytest.mark.parametrize(("shift", "rate"), [(0.0, 0.01), (1.0, 0.01), (1.0, 0.05), (2.5, 0.001)])
def test_true_positives_at_a_rate_are_covered_with_the_thresholds_error(shift: float, rate: float) -> None:
    """At the true threshold the rate is that of the law. Bonferroni is cautious: 95 % at least, less 3 errors."""
    truth = float(norm.sf(norm.isf(rate) - shift))
    found = [tpr_at_fpr(*scores(seed, 1_000, shift), rate)[1:] for seed in range(150)]
    assert np.mean([lower <= truth <= upper for lower, upper in found]) > 0.95 - 3 * (0.95 * 0.05 / 150) ** 0.5


def test_given_the_threshold_alone_the_interval_would_be_too_narrow() -> None:
    """Why the threshold's error counts: Clopper and Pearson's interval at the sample's own threshold misses often."""
    truth = float(norm.sf(norm.isf(0.01) - 1))
    inside = []
    for seed in range(300):
        seen, unseen = scores(seed, 1_000, 1.0)
        lower, upper = clopper_pearson(int((seen > np.sort(unseen)[-10]).sum()), 1_000)
        inside.append(lower <= truth <= upper)
    assert np.mean(inside) < 0.75


def test_true_positives_of_few_rows_and_of_ties() -> None:
    assert tpr_at_fpr(*scores(0, 400, 3.0), 0.01)[1] == 0.0  # 400 unseen rows cannot show a rate of 1 %
    assert tpr_at_fpr(*scores(0, 500, 3.0), 0.01)[1] > 0.0
    value, lower, upper = tpr_at_fpr(np.zeros(5_000), np.zeros(5_000), 0.01)
    assert value == pytest.approx(0.01) and lower == 0.0 and upper == 1.0  # a coin's curve, of which nothing is known


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
def test_randomised_response_reaches_what_is_allowed_and_the_gaussian_mechanism_never_exceeds_it(
    epsilon: float,
) -> None:
    told = np.exp(epsilon) / (1 + np.exp(epsilon))
    assert tpr_allowed(1 - told, epsilon, 0.0) == pytest.approx(told)
    at = np.linspace(0, 1, 10_001)
    assert trapezoid(tpr_allowed(at, epsilon, 0.0), at) == pytest.approx(auc_allowed(epsilon, 0.0), abs=1e-6)
    sigma = 1.3
    # Balle and Wang 2018, theorem 8: the delta of a Gaussian mechanism of sensitivity 1.
    delta = norm.cdf(0.5 / sigma - epsilon * sigma) - np.exp(epsilon) * norm.cdf(-0.5 / sigma - epsilon * sigma)
    attack = norm.sf(norm.isf(at) - 1 / sigma)
    assert (attack <= tpr_allowed(at, epsilon, delta) + 1e-12).all()
    touch = tpr_allowed(at, epsilon, delta) - attack
    assert touch.min() == pytest.approx(0, abs=1e-5)  # that delta is the least: the two curves meet


@given(st.floats(0, 20), st.floats(0, 0.5))
def test_the_allowed_area_is_that_under_the_allowed_curve(epsilon: float, delta: float) -> None:
    at = np.linspace(0, 1, 20_001)
    allowed = tpr_allowed(at, epsilon, delta)
    assert (np.diff(allowed) >= -1e-12).all() and (allowed >= np.minimum(at + delta, 1) - 1e-12).all()
    assert trapezoid(allowed, at) == pytest.approx(auc_allowed(epsilon, delta), abs=1e-4)


def test_epsilon_of_randomised_response_is_not_overstated_and_nearly_found() -> None:
    """Scores of a mechanism whose epsilon is 2: above it in 5 % of tables at most, plus 3 standard errors."""
    epsilon, found = 2.0, []
    told = np.exp(epsilon) / (1 + np.exp(epsilon))
    for seed in range(200):
        rng = np.random.default_rng(seed)
        noise = rng.random(4_000) * 1e-6  # scores without ties
        yes = np.r_[rng.random(2_000) < told, rng.random(2_000) >= told] + noise
        found.append(epsilon_at_least(yes[:2_000], yes[2_000:], 0.0, rates=(0.1,)))
    assert np.mean(np.array(found) > epsilon) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    assert np.mean(found) > 1.7
    assert epsilon_at_least(*scores(0, 2_000, 0.0), 0.0) < 0.1
    assert epsilon_at_least(*scores(0, 2_000, 6.0), 1e-5) > 3
