"""The K-law with its interval: the risk of another ensemble size, its price, and how many members are enough.

The law's prediction for size L from K members, mean over rows of (pbar - y)^2 - s2 / K + s2 / L, is unbiased at every
K, so its jackknife over members is too but for second-order terms, which a jackknife counts twice: it errs on the wide
side. A bootstrap of few members undercovers: drawing K of K with replacement makes duplicates, and s2 of duplicates is
too small by the share 1 / K.

Two questions, two intervals. `lo, hi`: the risk on *new* rows of L new members (members and rows vary, `twoway`).
`lo_here, hi_here`: what L members would show on *these* rows (only members vary; Student's t with K - 1 degrees of
freedom). The second is what a later measurement on the same rows is set against.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.combine import check_cells
from dge_ray.stats.ensemble.klaw import gain_of_doubling, law_losses, members_variance
from dge_ray.stats.twoway import pseudo_values, two_way

_ONE = np.array([1.0])


@dataclass(frozen=True)
class PredictedRisk:
    """Mean squared error (C = 1) or Brier score of `size` members, predicted from `members` members."""

    size: int
    members: int
    value: float
    lo: float
    hi: float
    lo_here: float
    hi_here: float


def predicted_risk(
    predictions: ArrayLike, truth: ArrayLike, size: int, *, task: str, level: float = 0.95
) -> PredictedRisk:
    """The risk of `size` members with its jackknife-t intervals.

    Args:
        predictions: (K, N, C) of one volume, K >= 3: leaving one out must leave two, or there is no s2.
        truth: (N,).
        size: members of the ensemble asked about, smaller or larger than K.
        task: "classification" or "regression".
        level: of the two-sided intervals.
    """
    members, y = _checked(predictions, truth, task)
    if size < 1:
        raise InputError("size", repr(size), "a whole number from 1")
    full = law_losses(members, y, size)
    without = np.stack([law_losses(np.delete(members, k, axis=0), y, size) for k in range(len(members))])
    spread = two_way(full[None], pseudo_values(full, without)[:, None])
    value, half = float(full.mean()), spread.half_width(_ONE, level)
    here = float(student.ppf(0.5 + level / 2, len(members) - 1) * np.sqrt(spread.members[0, 0]))
    return PredictedRisk(size, len(members), value, value - half, value + half, value - here, value + here)


def held_back(
    predictions: ArrayLike, truth: ArrayLike, *, task: str, level: float = 0.95
) -> list[tuple[PredictedRisk, float]]:
    """The law put to the test on members in hand: sizes predicted from the first half, and measured with all.

    The measured value at size L is the law's with all K members, which for L <= K is the exact mean over all their
    subsets of size L. Both sides share rows and the first half, so the measurement lies in `lo_here, hi_here` more
    often than `level` says; outside it, members are not alike (kinds of generator in turn, say, or one that failed).

    Args:
        predictions: (K, N, C), K >= 6.

    Returns:
        (prediction, measured) for each size above the half.
    """
    members, y = _checked(predictions, truth, task)
    k = len(members)
    if k < 6:
        raise InputError("members", f"{k}", "at least 6: three to predict from, three held back")
    half = members[: k // 2]
    sizes = range(k // 2 + 1, k + 1)
    return [
        (predicted_risk(half, y, size, task=task, level=level), float(law_losses(members, y, size).mean()))
        for size in sizes
    ]


def enough_members(predictions: ArrayLike, truth: ArrayLike, *, task: str, epsilon: float, level: float = 0.95) -> dict:
    """How many members bring the risk within the share `epsilon` of that of endless members.

    s2 / K <= epsilon R(inf), so K = ceil(s2 / (epsilon R(inf))); its upper value takes the upper bound of s2
    (`gain_of_doubling`) with the R(inf) that goes with it.

    Args:
        predictions: (K, N, C), K >= 4.

    Returns:
        s2, limit (R(inf)), members, members_upper; members is None where the limit is not above 0.
    """
    members, y = _checked(predictions, truth, task)
    if not epsilon > 0:
        raise InputError("epsilon", repr(epsilon), "a share above 0")
    s2 = float(members_variance(members).mean())
    _, bound = gain_of_doubling(members, level=level)
    limit = float(law_losses(members, y, np.inf).mean())
    upper = bound * 2 * len(members)
    return {
        "s2": s2,
        "limit": limit,
        "members": _within(s2, limit, epsilon),
        "members_upper": _within(upper, limit - (upper - s2) / len(members), epsilon),
    }


def worth_its_price(s2: float, cost: float, price: float) -> int:
    """The last member that is worth it: the largest K whose step from K - 1 members still takes off at least `price`
    of risk a CPU-second, s2 / (K (K - 1)) >= price x cost; at least 1.

    Args:
        s2: variance between members, in units of the loss.
        cost: CPU-seconds of one more member (its generator, its rows, its fit).
        price: risk that a CPU-second must save.

    >>> worth_its_price(0.12, cost=10.0, price=0.001)  # the 3rd saves .02, the 4th .01, the 5th .006
    4
    """
    if not (cost > 0 and price > 0):
        raise InputError("price", f"{price!r} at a cost of {cost!r}", "numbers above 0")
    return max(1, int(np.floor(0.5 + np.sqrt(0.25 + s2 / (cost * price)) + 1e-9)))


def next_members(members: int, upper: float, bound: float) -> int:
    """How many members to go on with, when the upper bound of doubling's gain is still above `bound`.

    A gain falls as 1 / K: with this s2 the bound is met at K x upper / bound members. Never more than twice as many,
    because s2 from few members is known to a factor only.

    >>> next_members(4, 0.0012, 0.001), next_members(4, 0.5, 0.001)
    (5, 8)
    """
    return int(np.clip(np.ceil(members * min(upper / bound, 2.0)), members + 1, 2 * members))


def _within(s2: float, limit: float, epsilon: float) -> int | None:
    return max(1, int(np.ceil(s2 / (epsilon * limit) - 1e-9))) if limit > 0 else None


def _checked(predictions: ArrayLike, truth: ArrayLike, task: str) -> tuple[np.ndarray, np.ndarray]:
    members = np.asarray(predictions, dtype=np.float64)
    if members.ndim != 3 or len(members) < 3 or not np.isfinite(members).all():
        raise InputError("members", f"shape {members.shape}", "finite (members, rows, classes) with at least 3 members")
    cells, y, _, _ = check_cells(members[:, None], truth, task=task)
    return cells[:, 0], y
