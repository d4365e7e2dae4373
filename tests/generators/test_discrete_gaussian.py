"""The discrete Gaussian: against its closed form, and what it costs against the Gaussian that it is charged as."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

from dge_ray.generators.private.discrete import ROUNDING_VARIANCE, discrete_gaussians, variance_for
from dge_ray.generators.private.streams import SecretStream, Use


def law(variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers and their probabilities, up to 40 standard deviations."""
    reach = math.ceil(40 * math.sqrt(variance))
    k = np.arange(-reach, reach + 1)
    weights = np.exp(-(k**2) / (2 * variance))
    return k, weights / weights.sum()


@pytest.mark.parametrize("variance", [Fraction(1, 3), Fraction(2), Fraction(5, 2), Fraction(3 * 10**6, 1024 * 7)])
def test_draws_follow_the_closed_form(variance: Fraction) -> None:
    """Chi-square of 30,000 draws, cells of 20 or more expected; a fixed stream, and chance passes 999 times in 1,000.
    (At 1/3 the parameter's own standard deviation is a tenth over that of the law.)"""
    n = 30_000
    drawn = discrete_gaussians(n, variance, SecretStream(8, Use.HISTOGRAM))
    k, p = law(float(variance))
    common = n * p >= 20
    counts = np.array([(drawn == at).sum() for at in k[common]])
    counts, expected = np.append(counts, n - counts.sum()), np.append(n * p[common], n * p[~common].sum())
    assert stats.chisquare(counts, expected * n / expected.sum()).pvalue > 1e-3
    assert drawn.dtype == np.int64


def test_draws_are_a_pure_function_of_the_key() -> None:
    one, again = (discrete_gaussians(50, Fraction(9), SecretStream(3, Use.HISTOGRAM)) for _ in range(2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, discrete_gaussians(50, Fraction(9), SecretStream(4, Use.HISTOGRAM)))


def test_it_is_a_gaussian_rounded_at_random() -> None:
    """P(k) of a normal number of variance v - 2, put on k with a weight of exp(-(x - k)^2 / 4), by quadrature."""
    variance = 7.0
    x = np.linspace(-60, 60, 240_001)
    density = stats.norm.pdf(x, scale=math.sqrt(variance - ROUNDING_VARIANCE))
    total = sum(np.exp(-((x - k) ** 2) / (2 * ROUNDING_VARIANCE)) for k in range(-90, 91))
    k, p = law(variance)
    for at in range(-12, 13):
        share = np.exp(-((x - at) ** 2) / (2 * ROUNDING_VARIANCE)) / total
        assert trapezoid(density * share, x) == pytest.approx(p[k == at][0], rel=1e-11)


def delta_of_discrete(variance: float, columns: int, epsilon: float) -> float:
    """Exactly, of counts of which one row moves `columns` by one: the losses are one of the noises' sum."""
    _, p = law(variance)
    sums = p
    for _ in range(columns - 1):
        sums = np.convolve(sums, p)
    reach = (len(sums) - 1) // 2
    loss = (2 * np.arange(-reach, reach + 1) + columns) / (2 * variance)
    return float((sums * np.maximum(0, -np.expm1(epsilon - loss))).sum())


def delta_of_gaussian(multiplier: float, epsilon: float) -> float:
    """Balle and Wang 2018, theorem 8."""
    half, shift = 1 / (2 * multiplier), epsilon * multiplier
    return float(stats.norm.cdf(half - shift) - math.exp(epsilon) * stats.norm.cdf(-half - shift))


@pytest.mark.parametrize("columns", [1, 2, 5])
@pytest.mark.parametrize("multiplier", [0.6, 1.0, 4.2, 13.0])
def test_it_costs_no_more_than_the_gaussian_that_is_charged(multiplier: float, columns: int) -> None:
    variance = float(variance_for(Fraction(multiplier) ** 2 * columns))
    for epsilon in np.geomspace(0.02, 20, 40) / multiplier:
        most = delta_of_gaussian(multiplier, epsilon)
        if most > 1e-12:  # below is the rounding of these sums
            assert delta_of_discrete(variance, columns, epsilon) <= most * (1 + 1e-9)


def test_without_the_rounding_variance_it_may_cost_more() -> None:
    """What is added is added for a reason: for one column and .6, some delta is twice as much."""
    pairs = [(delta_of_discrete(0.36, 1, e), delta_of_gaussian(0.6, e)) for e in np.geomspace(0.05, 30, 200)]
    assert any(discrete > 2 * gaussian for discrete, gaussian in pairs if gaussian > 1e-9)


def test_variances_are_rounded_up_to_few_digits() -> None:
    for sd in (0.1, 1.0, 50.123456789):
        found = variance_for(Fraction(sd) ** 2)
        assert 0 <= found - Fraction(sd) ** 2 - ROUNDING_VARIANCE < Fraction(1, 1024) and found.denominator <= 1024
