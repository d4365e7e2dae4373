"""Conditional independence by residuals: the generalised covariance measure of Shah and Peters (2020, Annals of
Statistics 48, 1514-1538), and the largest of several means, which it is.

X and Y are independent given Z only if the residuals X - E[X | Z] and Y - E[Y | Z] are uncorrelated. The level holds
where both regressions are good (the product of their errors vanishes faster than 1 / sqrt(n)); no generator is needed.
It has no power against dependence that leaves every such covariance at 0.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from dge_ray.seeds import Purpose, numpy_generator

DRAWS = 9_999  # of the largest of correlated normals


@dataclass(frozen=True)
class LargestMean:
    """`statistic`: the largest |sqrt(n) mean / sd| of the columns (sd with n - 1; without || where a column's is
    one-sided); `p_value`: of all means being 0; `columns`: how many have a spread."""

    statistic: float
    p_value: float
    columns: int


def largest_mean(values: np.ndarray, *, positive: int = 0, seed: int = 0) -> LargestMean:
    """A test of all columns' means being 0, by the largest of their t statistics.

    Of the first `positive` columns only a mean above 0 speaks against it.

    Its law is that of the largest of normals with the columns' own correlations, drawn 9,999 times, each statistic
    being brought to a normal scale by Student's law; Student's own with one column. A column without spread tells
    nothing. Shape: (n, q).

    >>> found = largest_mean(np.array([[1.0], [3.0]])); round(found.statistic, 3), round(found.p_value, 4)
    (2.0, 0.2952)
    """
    values = np.asarray(values, np.float64)
    spread = values.std(axis=0, ddof=1)
    kept = spread > 1e-12 * np.maximum(np.abs(values).max(axis=0, initial=0.0), 1e-300)
    if not kept.any():
        return LargestMean(0.0, 1.0, 0)
    one_sided = np.flatnonzero(kept) < positive
    values, spread = values[:, kept], spread[kept]
    n, columns = values.shape

    def largest(t: np.ndarray) -> np.ndarray:
        return np.where(one_sided, t, np.abs(t)).max(axis=-1)

    statistic = float(largest(np.sqrt(n) * values.mean(axis=0) / spread))
    if columns == 1:
        return LargestMean(statistic, float(student.sf(statistic, n - 1) * (1 if one_sided[0] else 2)), 1)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    # n normals weigh the rows where columns are more than rows, so that no matrix of columns by columns is needed
    root = scaled / np.sqrt(n) if columns > n else np.linalg.cholesky(scaled.T @ scaled / n + 1e-9 * np.eye(columns)).T
    drawn = numpy_generator(seed, Purpose.INTERVAL).standard_normal((DRAWS, len(root))) @ root
    reached = int((largest(drawn) >= norm.isf(student.sf(statistic, n - 1))).sum())
    return LargestMean(statistic, (1 + reached) / (1 + DRAWS), columns)


def gcm(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> LargestMean:
    """The generalised covariance measure of residuals: of every column of x with every one of y.

    Shape: x (n, p), y (n, q), each row's residuals by regressions that have not seen the row.
    """
    products = x[:, :, None] * y[:, None, :]
    return largest_mean(products.reshape(len(x), -1), seed=seed)
