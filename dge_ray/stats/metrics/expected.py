"""A metric from the row losses that the K-law expects of an ensemble of one size: no fit, no average over subsets."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dge_ray.stats.metrics.by_row import r2_contributions


@dataclass(frozen=True)
class Expected:
    """The row losses that the K-law expects of an ensemble of one size, `losses` (N,), and their mean, `value`.

    `se` and `se_rows`: standard errors of the mean, over new members and rows, and over new rows alone.
    """

    losses: np.ndarray
    value: float
    se: float
    se_rows: float


FromLaw = Callable[[Expected, np.ndarray], tuple[float, float, float]]  # and the truth (N,) -> (value, se, se_rows)


def rmse_from_law(squared: Expected, y: np.ndarray) -> tuple[float, float, float]:
    """RMSE and its errors from the expected squared errors and theirs."""
    root = float(np.sqrt(squared.value))
    return (root, squared.se / (2 * root), squared.se_rows / (2 * root)) if root > 0 else (0.0, 0.0, 0.0)


def r2_from_law(squared: Expected, y: np.ndarray) -> tuple[float, float, float]:
    """R2 from the expected squared errors (N,): the rows also move the variance of y, the members do not."""
    variance = float(y.var())
    if variance == 0:
        return float("nan"), float("nan"), float("nan")
    by_row = r2_contributions(squared.losses, y)
    rows = float(by_row.var(ddof=1)) / len(y)
    added = (squared.se**2 - squared.se_rows**2) / variance**2
    return float(by_row.mean()), float(np.sqrt(rows + added)), float(np.sqrt(rows))
