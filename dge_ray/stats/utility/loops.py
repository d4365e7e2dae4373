"""Generators fitted on their own rows, round after round: exact variances for the mean of a normal column, and trends.

Each round estimates the mean of a normal law with standard deviation sigma and draws the next round's rows from it. All
variances are of the estimate about the true mean, in units of sigma^2 / n for n real rows, so that 1 is what the real
rows alone give. They say what a loop implementation must show, and how loops behave that can be solved: without real
rows the error grows without end; with the real rows kept it stays under 1.5, whatever the synthetic share.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

Direction = Literal["rising", "falling", "undecided"]


def pure_synthetic(rounds: int) -> float:
    """n real rows at first, n rows of the newest model in each of `rounds` rounds: 1 + t.

    >>> pure_synthetic(20)
    21.0
    """
    return 1.0 + rounds


def fixed_real(ratio: float, rounds: float = np.inf) -> float:
    """The same n real rows every round, with ratio n rows of the newest model: 1 + ratio / (1 + 2 ratio) at last.

    About the real rows' mean the estimate is an autoregression with coefficient ratio / (1 + ratio).

    >>> [round(fixed_real(ratio), 3) for ratio in (0.1, 0.5, 1, 2)]
    [1.083, 1.25, 1.333, 1.4]
    """
    kept = (ratio / (1 + ratio)) ** 2
    return 1.0 + ratio / (1 + 2 * ratio) * (1 - kept**rounds)


def fresh_real(weight: float, ratio: float = 1.0) -> float:
    """n new real rows every round with this weight, ratio n rows of the newest model with the rest; after many rounds.

    Least at `best_weight(ratio)`; 1 for weight 1, the newest real rows alone.

    >>> [round(fresh_real(weight), 3) for weight in (0.5, 0.618, 0.8)]
    [0.667, 0.618, 0.708]
    """
    kept = (1 - weight) ** 2
    return (weight**2 + kept / ratio) / (1 - kept)


def best_weight(ratio: float = 1.0) -> float:
    """The weight of the fresh real rows at which `fresh_real` is least; 1 / golden ratio for as many synthetic rows.

    Setting the derivative to 0 leaves v = ratio (1 - v)^2 for v = 1 - weight. (He, Xu, Cheng 2025, arXiv 2502.18049,
    have the golden ratio.)

    >>> round(best_weight(), 4)
    0.618
    """
    return float(1 - (2 * ratio + 1 - np.sqrt(4 * ratio + 1)) / (2 * ratio))


@dataclass(frozen=True)
class Trend:
    """How a figure moves by one generation: the slope, its .95 interval, and what that says."""

    slope: float
    interval: tuple[float, float]
    direction: Direction


def trend(generations: ArrayLike, values: ArrayLike, errors: ArrayLike) -> Trend:
    """The line through figures with known standard errors (n,), weighted by them; rising or falling if 0 is outside.

    The errors are taken for independent. Where generations are judged on the same test rows they are not, and the
    interval is on the wide side.

    Raises:
        ValueError: fewer than two different generations, or an error that is not positive.
    """
    at, y, se = (np.asarray(part, np.float64) for part in (generations, values, errors))
    if len(np.unique(at)) < 2 or not (se > 0).all():
        raise ValueError(f"generations {at.tolist()}, errors {se.tolist()}: two generations, errors above 0")
    weight = se**-2
    centred = at - weight @ at / weight.sum()
    spread = weight @ centred**2
    slope, half = float(weight @ (centred * y) / spread), float(ndtri(0.975) / np.sqrt(spread))
    direction: Direction = "rising" if slope > half else "falling" if slope < -half else "undecided"
    return Trend(slope, (slope - half, slope + half), direction)
