"""Tests on synthetic rows: Monte-Carlo p-values, their combination, the type I error with its interval, power.

Two procedures share these parts. The *pipeline-refit null* compares the statistic of the whole pipeline (real rows ->
generator -> synthetic rows -> statistic) with that of the same pipeline on tables in which the null hypothesis holds
(`monte_carlo_p`). The *published* one (Shen, Liu, Shen 2023) compares rows of one generator with rows of another whose
association was removed, both ways (`twins`): it never sees what a generator copied from chance in its own real rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, false_discovery_control


@dataclass(frozen=True)
class Rate:
    """A share of `trials` with its exact (Clopper-Pearson) interval."""

    value: float
    low: float
    high: float
    trials: int


def rate(count: int, trials: int, *, level: float = 0.95) -> Rate:
    """`count` of `trials`, with its Clopper-Pearson interval.

    >>> rate(0, 20).value, round(rate(0, 20).high, 4)
    (0.0, 0.1684)
    """
    interval = binomtest(count, trials).proportion_ci(level, method="exact")
    return Rate(count / trials, float(interval.low), float(interval.high), trials)


def relevance(without: np.ndarray, full: np.ndarray) -> float:
    """T = sqrt(m) mean(d) / sd(d) of d = loss without the tested features - loss with them; sd has denominator m.

    Large values speak for relevance. 0 where d has no spread. Shape: (m,), (m,) -> a number.

    >>> round(relevance(np.array([3.0, 1.0]), np.array([0.0, 0.0])), 3)
    2.828
    """
    d = np.asarray(without, np.float64) - full
    spread = d.std()
    return float(np.sqrt(len(d)) * d.mean() / spread) if spread > 0 else 0.0


def monte_carlo_p(null: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """(1 + #{null >= observed}) / (1 + B): valid where the observed value is exchangeable with the B null ones.

    Shape: (..., B), (..., D) -> (..., D).

    >>> monte_carlo_p(np.array([1.0, 2.0, 3.0]), np.array([2.5])).tolist()
    [0.5]
    """
    ordered = np.sort(null, axis=-1)
    flat = zip(ordered.reshape(-1, ordered.shape[-1]), observed.reshape(-1, observed.shape[-1]), strict=True)
    below = np.array([np.searchsorted(row, values, side="left") for row, values in flat]).reshape(observed.shape)
    return (1 + null.shape[-1] - below) / (1 + null.shape[-1])


def hommel(p: np.ndarray) -> np.ndarray:
    """U p-values of one hypothesis, dependent in any way, as one: min(1, C_U min_k (U / k) p_(k)), C_U = sum 1/k.

    Source: Hommel 1983. It is the smallest p-value as Benjamini & Yekutieli adjust it. Shape: (..., U) -> (...).

    >>> hommel(np.array([0.02, 0.5])).round(12).item()
    0.06
    """
    return false_discovery_control(p, axis=-1, method="by").min(axis=-1)


def largest_controlled(volumes: Sequence[int], errors: Sequence[Rate], alpha: float) -> int | None:
    """The largest volume with the lower limit of the type I error <= alpha at it and at every smaller volume.

    `volumes` ascend. None where the smallest already fails.

    >>> largest_controlled([10, 20, 40], [rate(5, 100), rate(30, 100), rate(1, 100)], 0.05)
    10
    """
    largest = None
    for volume, error in zip(volumes, errors, strict=True):
        if error.low > alpha:
            break
        largest = volume
    return largest


@dataclass(frozen=True)
class Twins:
    """What the published procedure finds.

    `p`: of one draw (the first) at each volume. `volume`: the one it chooses, None where none is controlled.

    `errors`, `power`: its own estimates at each volume. They are about these two generators as they are: what both took
    over from chance in the real rows counts as signal in `power` and is missing from `errors`.
    """

    volume: int | None
    p: tuple[float, ...]
    errors: tuple[Rate, ...]
    power: tuple[Rate, ...]


def twins(null: np.ndarray, drawn: np.ndarray, volumes: Sequence[int], alpha: float) -> Twins:
    """The published procedure on the statistics of two generators.

    Each generator's statistics are judged by the other's null ones; the two p-values are combined by `hommel`. Its type
    I error is estimated by judging null statistics, its power by judging the others; the volume is
    `largest_controlled`, and the p-value there is that of the first draw.

    Args:
        null: (2, volumes, D) statistics of rows with the null enforced.
        drawn: (2, volumes, R) statistics of rows as drawn.
        volumes: ascending.
    """
    other = null[::-1]
    under_null = hommel(np.moveaxis(monte_carlo_p(other, null), 0, -1))
    under_law = hommel(np.moveaxis(monte_carlo_p(other, drawn), 0, -1))
    errors = tuple(rate(int(count), null.shape[-1]) for count in (under_null <= alpha).sum(axis=-1))
    power = tuple(rate(int(count), drawn.shape[-1]) for count in (under_law <= alpha).sum(axis=-1))
    volume = largest_controlled(volumes, errors, alpha)
    return Twins(volume, tuple(under_law[:, 0].tolist()), errors, power)
