"""The largest of several means against closed forms and brute force; the covariance measure against its definition."""

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from dge_ray.stats.inference.gcm import gcm, largest_mean


def test_one_column_is_students_test() -> None:
    values = np.random.default_rng(0).standard_normal((50, 1)) + 0.3
    both, above = (ttest_1samp(values[:, 0], 0, alternative=side) for side in ("two-sided", "greater"))
    found = largest_mean(values)
    assert (found.statistic, found.p_value) == pytest.approx((abs(both.statistic), both.pvalue))
    assert largest_mean(values, positive=1).p_value == pytest.approx(above.pvalue)
    assert largest_mean(-values, positive=1).p_value == pytest.approx(1 - above.pvalue)


def test_independent_columns_are_sidaks() -> None:
    """Of q independent columns P(max |T| >= t) = 1 - (1 - 2 P(T >= t))^q; 9,999 draws leave .005 of .5."""
    values = np.random.default_rng(1).standard_normal((4000, 5))
    found = largest_mean(values)
    sidak = 1 - (1 - 2 * student.sf(found.statistic, 3999)) ** 5
    assert found.p_value == pytest.approx(sidak, abs=0.03)  # sampled correlations are not 0
    assert found.columns == 5


@pytest.mark.parametrize("columns", [3, 60])  # fewer and more than rows
def test_the_level_of_correlated_columns(columns: int) -> None:
    """Under the null hypothesis p <= .1 in a tenth of tables: 200 of them leave .021, here 3.3 of these. 40 rows make
    the normal law an approximation."""
    rng = np.random.default_rng(2)
    shared = rng.standard_normal((200, 40, 1))
    tables = 0.7 * shared + rng.standard_normal((200, 40, columns))
    assert abs(np.mean([largest_mean(table).p_value <= 0.1 for table in tables]) - 0.1) <= 0.07


def test_without_spread_nothing_is_told() -> None:
    assert largest_mean(np.zeros((10, 3))).p_value == 1.0
    same = np.column_stack([np.ones(10), np.arange(10.0) - 4.5])
    assert largest_mean(same).columns == 1


def test_residuals_of_every_pair() -> None:
    x, y = np.random.default_rng(3).standard_normal((2, 80, 2))
    pairs = np.column_stack([x[:, i] * y[:, j] for i in range(2) for j in range(2)])
    t = np.sqrt(80) * pairs.mean(axis=0) / pairs.std(axis=0, ddof=1)
    assert gcm(x, y).statistic == pytest.approx(np.abs(t).max())
    assert gcm(x, x).p_value == 1e-4  # what is the same is not independent
