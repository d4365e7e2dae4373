"""An interval from the sources of an estimate's variance: new rows, and new members or fits.

Each source has its own variance, what it adds to the rows' variance (its interaction with rows is in both, and taken
off once: see `twoway`), and its degrees of freedom. The standard error is the root of what they add up to, and the
quantile Student's at Satterthwaite's degrees of freedom. Three things beyond the plain t interval:

- Losses are skewed, and with few rows a t interval of their mean misses on one side. The rows' part is corrected by
  Hall's cubic transformation (Hall 1992), with the sample skewness of the contributions.
- A metric between 0 and 1 has its interval on the logit scale. At 0 or 1 itself the open end is the exact binomial one
  of as many rows as decide it (none of n failed: alpha / 2 to the power of 1 / n).
- Every end is cut to the metric's range.

Where an estimate rests on the rows of one class (AUC), the rows' degrees of freedom are Welch's over classes: with five
positives there are about four, however many negatives there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.stats.twoway import two_way

FEWEST_MEMBERS = 3  # two members have one degree of freedom between them: no interval over members is made of them


@dataclass(frozen=True)
class Source:
    """One source of an estimate's variance: `variance` over new units of this source alone, what it `adds` to that over
    new rows, its degrees of freedom; `skew`: the skewness of the mean's error, of rows."""

    variance: float
    adds: float
    freedom: float
    skew: float = 0.0


def over_rows(contributions: np.ndarray, classes: np.ndarray | None = None) -> Source:
    """New rows, the fits as they are.

    Args:
        contributions: (N,) whose mean is the estimate.
        classes: (N,) codes, for an estimate that rests on each class apart.
    """
    n = len(contributions)
    apart = contributions - contributions.mean()
    variance = float((apart**2).sum()) / (n * (n - 1))
    if variance == 0:
        return Source(0.0, 0.0, n - 1.0)
    freedom = n - 1.0
    if classes is not None:
        counts = np.bincount(classes)
        parts = np.bincount(classes, weights=apart**2) / (n * (n - 1))
        few = np.maximum(counts - 1.0, 0.5)  # a class of one row says next to nothing
        freedom = float(parts.sum() ** 2 / (parts[counts > 0] ** 2 / few[counts > 0]).sum())
    skew = float((apart**3).mean() / (apart**2).mean() ** 1.5) / np.sqrt(n)
    return Source(variance, variance, freedom, skew)


def over_fits(contributions: np.ndarray, rows: Source, *, weight: float = 1.0) -> Source:
    """New members or fits, from what each of them says of each row: one-fit values or jackknife pseudo-values.

    Args:
        contributions: (S, N), S >= 2; the estimate is their mean over fits and rows.
        rows: the estimate's own source over rows, which what this one adds is never under.
        weight: what the mean of variance over fits is multiplied with.
    """
    fits = len(contributions)
    spread = two_way(contributions.mean(axis=0)[None], contributions[:, None])
    variance, interaction = weight * float(spread.members[0, 0]), weight * float(spread.interaction[0, 0])
    return Source(variance, max(variance - interaction, variance - rows.variance, 0.0), fits - 1.0)


def interval(
    value: float,
    rows: Source,
    others: Sequence[Source] = (),
    *,
    level: float = 0.95,
    limits: tuple[float, float] = (-np.inf, np.inf),
    deciding: int | None = None,
) -> tuple[float, float]:
    """The two-sided interval.

    Args:
        limits: the metric's range.
        deciding: rows that decide a metric between 0 and 1 (those of the rarest class for AUC), for an estimate at its
            limit.
    """
    total = rows.adds + sum(source.adds for source in others)
    low_end, high_end = limits
    bounded = np.isfinite(low_end) and np.isfinite(high_end)
    if bounded and deciding and value in limits:
        open_end = ((1 - level) / 2) ** (1 / deciding) * (high_end - low_end)
        low, high = (high_end - open_end, high_end) if value == low_end else (low_end + open_end, high_end)
        return (low_end, low) if value == low_end else (low, high)
    if not np.isfinite(value) or total == 0:
        return value, value
    squares = sum(source.variance**2 / source.freedom for source in (rows, *others))
    quantile = float(student.ppf(0.5 + level / 2, total**2 / squares))
    error = float(np.sqrt(total))
    if (low_end, high_end) == (0.0, 1.0) and 0 < value < 1:
        centre, half = np.log(value / (1 - value)), quantile * error / (value * (1 - value))
        return float(expit(centre - half)), float(expit(centre + half))
    skew = rows.skew * (rows.adds / total) ** 1.5
    low, high = value - error * _hall(quantile, skew), value - error * _hall(-quantile, skew)
    return max(low, low_end), min(high, high_end)


def _hall(quantile: float, skew: float) -> float:
    """The t quantile of a mean whose error has this skewness: the inverse of Hall's monotone cubic transformation."""
    if abs(skew) < 1e-9:
        return quantile
    return float(3 / skew * (np.cbrt(1 + skew * (quantile - skew / 6)) - 1))


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """The ceil((M + 1) level)-th smallest score, infinite where there are too few rows for the level."""
    if scores.ndim != 1 or len(scores) == 0:
        raise InputError("calibration rows", f"shape {scores.shape}", "at least one row")
    place = int(np.ceil((len(scores) + 1) * level - 1e-9))
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else float("inf")
