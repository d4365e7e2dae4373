"""Scores of fits judged by others: by hand, against a brute-force jackknife; coverage of the interval by simulation."""

import numpy as np
import pytest
from scipy.stats import t as student

from dge_ray.stats.comparison.crossed import Estimate, crossed, subset_score, uncrossed


def scores_of(n: int, k: int, rng: np.random.Generator, spread: tuple[float, float, float]) -> np.ndarray:
    """f_i's mean zero score on member j: a trainer's effect, a judge's, and their own; k - 1 judges in turn."""
    trainer, judge, own = spread
    full = rng.normal(0, trainer, (n, 1)) + rng.normal(0, judge, n) + rng.normal(0, own, (n, n))
    step = (np.arange(n) - np.arange(n)[:, None]) % n
    return np.where((step > 0) & (step < k), full, np.nan)


def test_by_hand() -> None:
    gap = np.nan
    found = crossed(np.array([[gap, 1.0, 2], [3, gap, 4], [5, 6, gap]]), np.array([10, 10, 30]))
    assert found.by_member == pytest.approx([(10 + 60) / 40, (30 + 120) / 40, 5.5])
    assert found.value == pytest.approx(found.by_member.mean())
    assert found.left == pytest.approx([(4 + 6) / 2, (2 + 5) / 2, (1 + 3) / 2])
    assert found.freedom == 2 and found.sd == pytest.approx(np.std(found.by_member, ddof=1))


def test_left_out_is_the_estimate_without_that_member() -> None:
    rng = np.random.default_rng(1)
    scores, rows = scores_of(7, 4, rng, (1, 1, 1)), rng.integers(5, 50, 7)
    found = crossed(scores, rows)
    for k in range(7):
        kept = np.delete(np.arange(7), k)
        assert found.left[k] == pytest.approx(subset_score(scores, rows, kept))
    assert found.value == pytest.approx(subset_score(scores, rows, np.arange(7)))


def test_two_members_have_no_interval() -> None:
    low, high = crossed(np.array([[np.nan, 1.0], [2, np.nan]]), np.array([5, 5])).interval()
    assert np.isnan(low) and np.isnan(high)


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert uncrossed(np.full(4, 0.5)).interval() == (0.5, 0.5)


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=6)
    apart = uncrossed(a + 0.25).minus(uncrossed(a))
    assert apart.value == pytest.approx(0.25) and apart.interval() == pytest.approx((0.25, 0.25))


def test_real_rows_add_their_variance() -> None:
    """Without members' variance the interval is Student's over rows; with both it is longer than either alone."""
    alone = uncrossed(np.full(5, 0.8), np.full(5, 0.02), 101)
    half = student.ppf(0.975, 100) * 0.02
    assert alone.interval() == pytest.approx((0.8 - half, 0.8 + half))
    values = np.array([0.7, 0.8, 0.9])
    both, members = uncrossed(values, np.full(3, 0.02), 101), uncrossed(values)
    assert np.diff(both.interval()) > np.diff(Estimate(0.8, values, np.full(3, 0.8), 2, 0.02, 100.0).interval())
    assert both.minus(members).rows == 0.02


@pytest.mark.parametrize("spread", [(1, 0.1, 0.1), (0.1, 1, 0.1), (1, 1, 0.5)], ids=["fits", "judges", "both"])
@pytest.mark.parametrize(("n", "k"), [(4, 4), (10, 10), (10, 3)])
def test_the_interval_covers(n: int, k: int, spread: tuple[float, float, float]) -> None:
    """.95 nominal. 600 replicates: one standard error is .0089, so .915 is four of them below."""
    rng, reps = np.random.default_rng(n * k), 600
    made = [crossed(scores_of(n, k, rng, spread), np.ones(n)) for _ in range(reps)]
    covered = np.mean([low <= 0 <= high for low, high in (e.interval() for e in made)])
    assert covered >= 0.915
    if spread[1] == 1 and k > 3:  # what the spread of the f_i alone would give: the judges are common to all
        half = student.ppf(0.975, n - 1) / np.sqrt(n)
        assert np.mean([abs(e.value) <= half * e.sd for e in made]) < 0.93
