"""Differences of two samples against statsmodels and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind
from statsmodels.stats.proportion import confint_proportions_2indep

from dge_ray.stats.gaps import mean_gap, share_gap


@given(st.integers(1, 59), st.integers(1, 79))
def test_shares_are_statsmodels_newcombe(hits: int, others: int) -> None:
    low, high = confint_proportions_2indep(hits, 60, others, 80, method="newcomb", compare="diff")
    assert share_gap(hits, 60, others, 80) == pytest.approx((hits / 60 - others / 80, low, high))


def test_equal_shares_of_1_have_an_interval_too() -> None:
    gap, lower, upper = share_gap(50, 50, 50, 50)
    assert gap == 0 and lower < -0.05 and upper > 0.05


def test_means_are_welchs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 30), rng.normal(0, 3, 50)
    expected = ttest_ind(a, b, equal_var=False).confidence_interval()
    assert mean_gap(a, b) == pytest.approx((a.mean() - b.mean(), expected.low, expected.high))
