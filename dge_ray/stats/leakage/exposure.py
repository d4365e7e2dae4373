"""How high planted rows rank among rows of the same law that were held back: exposure, with a test."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu, norm

from dge_ray.stats.leakage.attacks import auc_with_interval


@dataclass(frozen=True)
class Exposure:
    """`mean`: of the planted rows' exposures, in bits; `interval` its own; `unplanted`: what rows that were not planted
    have on average; `most`: what a row above all held-back ones has. `above_all`: the share of planted rows that are.
    `auc` and `p_value`: the rank test that planted rows score above held-back ones."""

    mean: float
    interval: tuple[float, float]
    unplanted: float
    most: float
    above_all: float
    auc: float
    auc_interval: tuple[float, float]
    p_value: float


def exposures(planted: np.ndarray, held_back: np.ndarray) -> np.ndarray:
    """log2(T + 1) - log2(rank) of each planted score (N,) among T held-back ones; rank 1 is above all of them.

    Ties count half. A row that was not planted has any of the T + 1 ranks with equal chance.

    >>> exposures(np.array([9.0, 0.0]), np.array([1.0, 2.0, 3.0]))
    array([2., 0.])
    """
    ordered = np.sort(held_back)
    above = len(ordered) - np.searchsorted(ordered, planted, side="right")
    ties = len(ordered) - np.searchsorted(ordered, planted, side="left") - above
    return np.log2(len(ordered) + 1) - np.log2(1 + above + 0.5 * ties)


def exposure(planted: np.ndarray, held_back: np.ndarray, *, level: float = 0.95) -> Exposure:
    """Of planted scores (N,) among held-back ones (T,).

    The mean's interval is over both kinds of rows: all planted ones are ranked among the same held-back ones, so these
    have a jackknife of their own.
    """
    each = exposures(planted, held_back)
    t = len(held_back)
    without = np.array([exposures(planted, np.delete(held_back, i)).mean() for i in range(t)]) if t > 1 else each[:1]
    # One fewer shifts every value by the same log2((t + 1) / t), which a variance does not see.
    variance = (each.var(ddof=1) / len(each) if len(each) > 1 else 0.0) + (t - 1) / t * (
        (without - without.mean()) ** 2
    ).sum()
    half = float(norm.ppf(0.5 + level / 2)) * float(np.sqrt(variance))
    mean, ranks = float(each.mean()), np.arange(1, t + 2)
    auc, lower, upper = auc_with_interval(planted, held_back, level=level)
    return Exposure(
        mean=mean,
        interval=(mean - half, mean + half),
        unplanted=float(np.log2(t + 1) - np.log2(ranks).mean()),
        most=float(np.log2(t + 1)),
        above_all=float(np.mean(planted > held_back.max())),
        auc=auc,
        auc_interval=(lower, upper),
        p_value=float(mannwhitneyu(planted, held_back, alternative="greater").pvalue),
    )
