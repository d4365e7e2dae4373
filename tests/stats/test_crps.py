"""CRPS and quantiles of weighted atoms against the normal law's closed form, a brute-force integral, the two-sample
form and numpy's quantiles; mixtures against their distribution functions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from dge_ray.stats.metrics import crps as module
from dge_ray.stats.metrics.crps import atoms_of_quantiles, crps, mixture, quantiles


def laws(seed: int, n: int = 6, s: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atoms (n, s) with ties, weights with zeros, and values."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-4, 5, (n, s)) / 2
    weights = rng.dirichlet(np.ones(s), n) * (rng.random((n, s)) < 0.8)
    weights[:, 0] += 0.1
    return values, weights / weights.sum(axis=1, keepdims=True), rng.normal(size=n)


def test_a_normal_law_has_its_closed_form() -> None:
    """CRPS(N(m, s), y) = s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = (y - m) / s.

    4,000 equal atoms leave an error of the order of the outer atoms' mass times the tail beyond: under 1e-3 of s.
    """
    mean, spread, y = np.array([0.0, 1.0, -2.0]), np.array([1.0, 0.2, 3.0]), np.array([0.3, 2.0, -2.0])
    z = (y - mean) / spread
    exact = spread * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5)
    atoms = norm.ppf((np.arange(4_000) + 0.5) / 4_000)[None] * spread[:, None] + mean[:, None]
    found = crps(atoms, np.full((1, 4_000), 1 / 4_000), y)
    np.testing.assert_allclose(found, exact, atol=1e-3 * spread.max())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_integral_and_the_two_sample_form(seed: int) -> None:
    values, weights, y = laws(seed)
    found = crps(values, weights, y)
    for i in range(len(y)):
        apart = np.abs(values[i][:, None] - values[i][None])
        energy = weights[i] @ np.abs(values[i] - y[i]) - weights[i] @ apart @ weights[i] / 2
        assert abs(found[i] - energy) < 1e-12
        # The integrand changes at atoms and y alone, so sums over the pieces between them are the integral.
        cuts = np.unique(np.append(values[i], y[i]))
        middle = (cuts[1:] + cuts[:-1]) / 2
        below = (weights[i][:, None] * (values[i][:, None] <= middle)).sum(axis=0)
        assert abs(found[i] - ((below - (y[i] <= middle)) ** 2 @ np.diff(cuts))) < 1e-12


@settings(max_examples=30, deadline=None)
@given(arrays(float, (3, 7), elements=st.floats(-9, 9)), st.floats(-5, 5), st.floats(0.1, 9))
def test_order_shift_and_scale(values: np.ndarray, shift: float, scale: float) -> None:
    weights, y = np.full((1, 7), 1 / 7), np.array([-1.0, 0.0, 1.0])
    found = crps(values, weights, y)
    np.testing.assert_allclose(crps(values[:, ::-1], weights, y), found, atol=1e-12)
    np.testing.assert_allclose(crps(scale * values + shift, weights, scale * y + shift), scale * found, atol=1e-10)
    assert (found <= np.abs(values - y[:, None]).mean(axis=1) + 1e-12).all()  # a spread-out law is never worse than its
    # atoms are on average


def test_only_the_true_law_has_the_least_expected_score() -> None:
    """Over 20,000 values of the law itself; the wrong laws are worse by more than 5 standard errors."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=20_000)
    at = norm.ppf((np.arange(400) + 0.5) / 400)[None]
    true, *wrong = (
        crps(scale * at + shift, np.full((1, 400), 1 / 400), y) for scale, shift in ((1, 0), (1.5, 0), (1, 0.3))
    )
    for other in wrong:
        assert (other - true).mean() > 5 * (other - true).std() / len(y) ** 0.5


def test_blocks_and_shared_atoms_change_nothing(monkeypatch) -> None:
    values, weights, y = laws(3, n=50)
    whole, shared = crps(values, weights, y), crps(values[:1], weights, y)
    repeated = crps(np.repeat(values[:1], 50, axis=0), weights, y)
    np.testing.assert_allclose(shared, repeated, rtol=1e-14)
    levels = np.array([0.1, 0.5])
    cut = quantiles(values, weights, levels)
    monkeypatch.setattr(module, "BLOCK_CELLS", 40)
    np.testing.assert_array_equal(crps(values, weights, y), whole)
    np.testing.assert_array_equal(quantiles(values, weights, levels), cut)


def test_quantiles_are_numpys_of_the_inverted_distribution_function() -> None:
    rng = np.random.default_rng(1)
    values, levels = rng.normal(size=(5, 11)), np.array([0.0, 0.05, 3 / 11, 0.5, 0.99, 1.0])
    found = quantiles(values, np.full((1, 11), 1 / 11), levels)
    np.testing.assert_array_equal(found, np.quantile(values, levels, axis=1, method="inverted_cdf").T)
    weights = np.array([[0.0, 0.2, 0.8]])
    np.testing.assert_array_equal(quantiles(np.array([[5.0, 7.0, 6.0]]), weights, np.array([0.5, 0.9])), [[6.0, 7.0]])


def test_a_mixture_has_the_mean_of_the_distribution_functions() -> None:
    values, weights, _ = zip(*(laws(seed) for seed in range(3)), strict=True)
    atoms, share = mixture(np.stack(values), np.stack(weights))
    assert atoms.shape == share.shape == (6, 27)
    for at in (-1.2, 0.0, 0.7):
        each = [(w * (v <= at)).sum(axis=1) for v, w in zip(values, weights, strict=True)]
        np.testing.assert_allclose((share * (atoms <= at)).sum(axis=1), np.mean(each, axis=0))
    shared, mean = mixture(np.stack([values[0][:1]] * 3), np.stack(weights))
    np.testing.assert_array_equal(shared, values[0][:1])
    np.testing.assert_allclose(mean, np.mean(weights, axis=0))


def test_a_law_known_by_quantiles() -> None:
    """A normal law's come back, those that crossed are put in order."""
    levels = np.arange(1, 20) / 20
    wanted = norm.ppf((np.arange(200) + 0.5) / 200)
    crossed = 3 + 2 * norm.ppf(levels)
    crossed[[4, 5]] = crossed[[5, 4]]
    np.testing.assert_allclose(atoms_of_quantiles(crossed[None], levels, 200)[0], 3 + 2 * wanted, atol=1e-9)
