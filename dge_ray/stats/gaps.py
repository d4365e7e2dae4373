"""Differences of two independent samples' means, with intervals."""

import numpy as np
from scipy.stats import norm, ttest_ind

LEVEL = 0.95


def share_gap(
    hits: int, trials: int, other_hits: int, other_trials: int, *, level: float = LEVEL
) -> tuple[float, float, float]:
    """The first share less the second, with Newcombe's interval made of both shares' score intervals (1998, method 10).

    >>> tuple(round(value, 3) for value in share_gap(56, 70, 48, 80))
    (0.2, 0.052, 0.334)
    """
    first, second = hits / trials, other_hits / other_trials
    (l1, u1), (l2, u2) = score_interval(first, trials, level), score_interval(second, other_trials, level)
    gap = first - second
    return (
        gap,
        gap - float(np.hypot(first - l1, u2 - second)),
        gap + float(np.hypot(u1 - first, second - l2)),
    )


def score_interval(share: float, trials: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a share of `trials`, which may be an effective number."""
    z = float(norm.ppf(0.5 + level / 2))
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z * float(np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))) / (1 + z**2 / trials)
    return centre - half, centre + half


def mean_gap(values: np.ndarray, others: np.ndarray, *, level: float = LEVEL) -> tuple[float, float, float]:
    """The first mean less the second, with Welch's interval (scipy's)."""
    interval = ttest_ind(values, others, equal_var=False).confidence_interval(level)
    return float(values.mean() - others.mean()), float(interval.low), float(interval.high)
