"""The worst of the members against the others, and how many could fail unseen.

A generator that collapsed spoils laws and intervals that take members for draws of one kind: with one in ten such, the
K-law's bound held .32, and U passed falsely in .47 to .68. So the worst member is named with its own risk, tested
against the others by a t test of one new draw (Bonferroni over members), and it is said which share of failing members
so many without one are compatible with: 1 - alpha^(1/K), exactly (binomial).
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta
from scipy.stats import t as student

from dge_ray.stats.metrics.losses import contributions, higher_is_better

FEWEST = 4  # members; three others have a spread


@dataclass(frozen=True)
class WorstMember:
    """`risk`: the metric of its one-member model; `others`: the mean of the other members' (values as the metric is).
    `apart`: whether it is worse than a draw of the others' kind. `failing_share`: the largest share of failing members
    that is compatible, at the level, with the number seen (one if `apart`, else none)."""

    member: int
    risk: float
    others: float
    apart: bool
    failing_share: float
    level: float


def worst_member(members: np.ndarray, y: np.ndarray, metric: str, *, level: float = 0.95) -> WorstMember | None:
    """None with fewer than four members. Shape: members (K, N, C) on rows that nothing was fitted on, y (N,).

    >>> y = np.zeros(50); p = np.array([0.9, 1.0, 1.1, 1.0, 5.0])[:, None, None] * np.ones((5, 50, 1))
    >>> found = worst_member(p, y, "mae"); found.member, found.apart
    (4, True)
    """
    count = len(members)
    if count < FEWEST:
        return None
    values = contributions(metric, np.asarray(members, dtype=np.float64), y).mean(axis=1)
    worst = int(np.argmin(values) if higher_is_better(metric) else np.argmax(values))
    others = np.delete(values, worst)
    spread = float(others.std(ddof=1)) * np.sqrt(1 + 1 / len(others))
    distance = abs(float(values[worst] - others.mean()))
    quantile = float(student.ppf(1 - (1 - level) / count, len(others) - 1))
    apart = bool(distance > quantile * spread)
    return WorstMember(worst, float(values[worst]), float(others.mean()), apart, _most(int(apart), count, level), level)


def _most(failed: int, count: int, level: float) -> float:
    """The upper Clopper-Pearson bound of a share of which `failed` of `count` were seen."""
    return float(beta.ppf(level, failed + 1, count - failed))
