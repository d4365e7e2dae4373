"""The rule that keeps real rows alone unless something is known to beat them: its bound against Student's t and the
independent case's closed form, its choice against scipy's paired test, and its error rate and harm by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_rel

from dge_ray.errors import InputError
from dge_ray.stats.comparison.safe_choice import DRAWS, safe_choice

# Standard error of a 95 % quantile from DRAWS draws is sqrt(.05 * .95 / DRAWS) / density; the densities at hand
# are .09 or more, so four of them are
QUANTILE_TOLERANCE = 4 * np.sqrt(0.05 * 0.95 / DRAWS) / 0.09


def test_with_one_candidate_it_is_the_one_sided_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    chosen = []
    for shift in np.linspace(-0.5, 0.1, 30):
        losses = rng.normal(size=(2, 60)) + np.array([[0.0], [shift]])
        found = safe_choice(losses, alpha=0.05)
        test = ttest_rel(losses[1], losses[0], alternative="less")
        assert found.differences[1] / found.errors[1] == pytest.approx(test.statistic)
        assert found.bound == pytest.approx(student.ppf(0.95, 59), abs=QUANTILE_TOLERANCE)
        if abs(test.statistic + student.ppf(0.95, 59)) > QUANTILE_TOLERANCE:
            assert found.index == (test.pvalue < 0.05)
        chosen.append(found.index)
    assert 0 < sum(chosen) < 30


def test_the_bound_knows_how_the_candidates_are_correlated() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=4000)
    apart = rng.normal(size=(8, 4000))
    independent = safe_choice(np.vstack([np.zeros(4000), apart]))
    assert independent.bound == pytest.approx(student.ppf(0.95 ** (1 / 8), 3999), abs=QUANTILE_TOLERANCE + 0.05)
    alike = safe_choice(np.vstack([np.zeros(4000), base + 1e-6 * apart]))
    assert alike.bound == pytest.approx(student.ppf(0.95, 3999), abs=QUANTILE_TOLERANCE)


def test_candidates_that_bring_nothing_are_taken_as_rarely_as_said() -> None:
    rng, taken = np.random.default_rng(2), 0
    for _ in range(240):
        noise = rng.normal(size=(6, 150))
        noise[2:] += noise[1]  # correlated, as weights are
        taken += safe_choice(np.vstack([np.zeros(150), noise])).index > 0
    # 12 expected of 240, standard deviation 3.4
    assert taken <= 12 + 3 * 3.4


def test_harm_is_bounded_by_the_level_times_what_can_pass_the_test() -> None:
    """Six candidates, each worse by h: what the rule loses on average is at most alpha h, whatever h. Taking the least
    validation risk loses h whenever noise hides it."""
    rng, rows, replicates = np.random.default_rng(3), 400, 100
    for harm in (0.2 / np.sqrt(rows), 1 / np.sqrt(rows)):
        lost = greedy = 0.0
        for _ in range(replicates):
            losses = np.vstack([np.zeros(rows), harm + rng.normal(size=(6, rows))])
            lost += harm * (safe_choice(losses).index > 0)
            greedy += harm * (np.argmin(losses.mean(axis=1)) > 0)
        assert lost / replicates <= harm * (0.05 + 3 * np.sqrt(0.05 * 0.95 / replicates))
        assert greedy / replicates > harm * 0.5


def test_a_fixed_gain_is_taken_in_the_end() -> None:
    rng = np.random.default_rng(4)
    gains = np.array([0.0, 0.05, 0.1, -0.1])[:, None]
    taken = [safe_choice(rng.normal(size=(4, 20_000)) - gains).index for _ in range(20)]
    assert taken == [2] * 20  # a gain of .1 is ten standard errors


def test_one_that_never_differs_and_one_alone_leave_real_rows_alone() -> None:
    losses = np.random.default_rng(5).normal(size=50)
    assert safe_choice([losses]).index == 0
    found = safe_choice([losses, losses])
    assert (found.index, found.bound) == (0, 0.0) and found.limits.tolist() == [0.0, 0.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(0.01, 100), st.floats(-10, 10))
def test_units_and_rows_in_common_change_nothing(seed: int, count: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(count + 1, 40)) - np.arange(count + 1)[:, None] / 5
    found, other = safe_choice(losses), safe_choice(losses * scale + shift * rng.normal(size=40) * 0 + shift)
    assert found.index == other.index and other.bound == pytest.approx(found.bound, rel=1e-6)
    assert found.index == 0 or found.limits[found.index] < 0


@pytest.mark.parametrize(
    ("losses", "alpha", "field"),
    [
        (np.zeros(3), 0.05, "losses"),
        (np.zeros((2, 1)), 0.05, "losses"),
        (np.full((2, 5), np.nan), 0.05, "losses"),
        (np.zeros((2, 5)), 0.0, "alpha"),
        (np.zeros((2, 5)), 0.7, "alpha"),
    ],
)
def test_bad_input_is_refused(losses: np.ndarray, alpha: float, field: str) -> None:
    with pytest.raises(InputError, match=f"^{field}: got"):
        safe_choice(losses, alpha=alpha)


def test_a_cross_fits_variance_is_corrected_as_nadeau_and_bengio_do() -> None:
    """1 / k + 1 / (k - 1) in place of 1 / k: a gain that is just known of fixed models is not of ways of fitting."""
    random = np.random.default_rng(8)
    real = random.exponential(size=400)
    losses = np.stack([real, real - 0.1 + 0.9 * random.standard_normal(400)])
    fixed, crossed = safe_choice(losses, seed=2), safe_choice(losses, seed=2, folds=5)
    assert crossed.errors == pytest.approx(fixed.errors * np.sqrt((1 / 5 + 1 / 4) * 5))
    assert (crossed.bound, crossed.differences.tolist()) == (fixed.bound, fixed.differences.tolist())
    assert (fixed.index, crossed.index) == (1, 0)
    assert safe_choice(losses - [[0.0], [0.2]], seed=2, folds=5).index == 1, "a larger gain is known all the same"
    with pytest.raises(InputError, match="folds"):
        safe_choice(losses, folds=1)
