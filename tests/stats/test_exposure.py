"""Exposure against ranks counted one by one, its mean without planting, and the rank test's size."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from dge_ray.stats.leakage.exposure import exposure, exposures


def test_ranks_are_those_of_counting() -> None:
    rng = np.random.default_rng(0)
    planted, twins = rng.integers(0, 9, 30).astype(float), rng.integers(0, 9, 25).astype(float)
    for value, found in zip(planted, exposures(planted, twins), strict=True):
        rank = 1 + sum(t > value for t in twins) + 0.5 * sum(t == value for t in twins)
        assert found == pytest.approx(np.log2(26) - np.log2(rank))
    found = exposure(planted, twins)
    assert found.mean == pytest.approx(exposures(planted, twins).mean())
    assert found.p_value == pytest.approx(mannwhitneyu(planted, twins, alternative="greater").pvalue)


def test_rows_that_were_not_planted_have_the_stated_mean_inside_the_interval() -> None:
    """95 % intervals over 150 samples, less 3 standard errors of 1.8 %, and less 2 % for so few rows."""
    found = [exposure(*np.random.default_rng(seed).normal(size=(2, 40))) for seed in range(150)]
    unplanted = found[0].unplanted
    assert np.mean([one.mean for one in found]) == pytest.approx(unplanted, abs=0.08)
    assert np.mean([one.interval[0] <= unplanted <= one.interval[1] for one in found]) > 0.95 - 0.054 - 0.02
    assert np.mean([one.p_value < 0.05 for one in found]) <= 0.05 + 0.054


def test_planted_rows_above_all_others_have_the_most() -> None:
    found = exposure(np.arange(10) + 50.0, np.arange(31.0))
    assert found.mean == found.most == 5.0 and found.above_all == 1.0 and found.p_value < 1e-5
    assert exposure(np.array([1.0]), np.array([0.0])).most == 1.0
