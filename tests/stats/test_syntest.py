"""Tests on synthetic rows: against enumeration, brute force over all dependences, closed forms and plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import beta

from dge_ray.stats.inference.syntest import hommel, largest_controlled, monte_carlo_p, rate, relevance, twins


@given(st.lists(st.integers(0, 6), min_size=2, max_size=9))
def test_monte_carlo_p_counts_ties_against_rejection(values: list[int]) -> None:
    observed, null = values[0], values[1:]
    expected = (1 + sum(v >= observed for v in null)) / (1 + len(null))
    assert monte_carlo_p(np.array(null, float), np.array([observed], float)).tolist() == [expected]


def test_monte_carlo_p_is_uniform_where_values_are_exchangeable() -> None:
    """Each of B + 1 exchangeable values is the observed one with the same chance: every rank occurs once."""
    values = np.random.default_rng(0).standard_normal(20)
    p = [monte_carlo_p(np.delete(values, i), values[i : i + 1])[0] for i in range(20)]
    assert sorted(p) == pytest.approx(np.arange(1, 21) / 20)


def test_monte_carlo_p_over_leading_axes() -> None:
    rng = np.random.default_rng(1)
    null, observed = rng.standard_normal((2, 3, 50)), rng.standard_normal((2, 3, 7))
    found = monte_carlo_p(null, observed)
    expected = (1 + (null[..., None, :] >= observed[..., None]).sum(axis=-1)) / 51
    assert np.array_equal(found, expected)


@given(st.floats(0, 1), st.floats(0, 1))
def test_hommel_of_two_as_published(a: float, b: float) -> None:
    """1.5 min(2 p_(1), p_(2)): papers' formula for the two swapped folds."""
    expected = min(1.0, 1.5 * min(2 * min(a, b), max(a, b)))
    assert hommel(np.array([a, b])) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_hommel_is_its_formula(p: list[float]) -> None:
    u = len(p)
    constant = sum(1 / k for k in range(1, u + 1))
    expected = min(1.0, min(constant * u / (k + 1) * value for k, value in enumerate(sorted(p))))
    assert hommel(np.array(p)) == pytest.approx(expected, abs=1e-12)


def test_hommel_holds_its_level_under_the_worst_dependence() -> None:
    """Brute force: of all joint laws of two uniform p-values on a grid, the one that rejects most often (a linear
    program) rejects with chance alpha exactly. So no smaller constant would do."""
    alpha, cells = 0.3, 10
    top = (np.arange(cells) + 1) / cells
    pairs = np.stack(np.meshgrid(top, top, indexing="ij"), axis=-1)
    rejects = hommel(pairs) <= alpha + 1e-12
    marginals = [np.zeros((cells, cells)) for _ in range(2 * cells)]
    for i in range(cells):
        marginals[i][i] = 1
        marginals[cells + i][:, i] = 1
    worst = linprog(-rejects.ravel().astype(float), A_eq=[m.ravel() for m in marginals], b_eq=np.full(20, 1 / cells))
    assert -worst.fun == pytest.approx(alpha, abs=1e-9)


@pytest.mark.parametrize(("count", "trials"), [(0, 10), (3, 50), (50, 50)])
def test_rate_is_clopper_and_pearson(count: int, trials: int) -> None:
    found = rate(count, trials, level=0.9)
    low = beta.ppf(0.05, count, trials - count + 1) if count else 0.0
    high = beta.ppf(0.95, count + 1, trials - count) if count < trials else 1.0
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert (found.value, found.trials) == (count / trials, trials)


def test_the_largest_controlled_volume() -> None:
    fine, poor = rate(50, 1000), rate(90, 1000)
    assert poor.low > 0.05 >= fine.low
    assert largest_controlled([1, 2, 4, 8], [fine, fine, poor, fine], 0.05) == 2  # not 8: 4 fails below it
    assert largest_controlled([1, 2], [fine, fine], 0.05) == 2
    assert largest_controlled([1, 2], [poor, fine], 0.05) is None


def test_relevance() -> None:
    rng = np.random.default_rng(2)
    without, full = rng.standard_normal((2, 300)) ** 2
    d = without - full
    n = len(d)
    mean = sum(d) / n
    spread = (sum((x - mean) ** 2 for x in d) / n) ** 0.5
    assert relevance(without, full) == pytest.approx(n**0.5 * mean / spread)
    assert relevance(full, without) == pytest.approx(-relevance(without, full))
    assert relevance(without, without) == 0.0


def test_twins_against_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    null, drawn = rng.standard_normal((2, 3, 80)), rng.standard_normal((2, 3, 80)) + np.array([0, 2, 4])[None, :, None]
    null[1, 2] += 3  # at the third volume the two generators disagree
    found = twins(null, drawn, [10, 20, 40], 0.05)

    def p_of(value: float, other: np.ndarray) -> float:
        return (1 + sum(other >= value)) / 81

    for v in range(3):
        for judged, estimates in ((null, found.errors), (drawn, found.power)):
            pairs = [(p_of(judged[0, v, d], null[1, v]), p_of(judged[1, v, d], null[0, v])) for d in range(80)]
            combined = [min(1.0, 1.5 * min(2 * min(pair), max(pair))) for pair in pairs]
            assert estimates[v].value == pytest.approx(np.mean([p <= 0.05 for p in combined]))
            if judged is drawn:
                assert found.p[v] == pytest.approx(combined[0])
    assert found.errors[2].low > 0.05 and found.volume == 20
    assert found.power[0].value < 0.2 < found.power[1].value


def test_twins_of_one_law_keep_the_level() -> None:
    """Two generators with one law: its own estimate is right, and Hommel's level is not exceeded."""
    rng = np.random.default_rng(4)
    found = twins(rng.standard_normal((2, 1, 1000)), rng.standard_normal((2, 1, 1000)), [5], 0.05)
    assert found.errors[0].low <= 0.05 and found.volume == 5
    assert found.power[0].low <= 0.05  # under the null, power is the level
