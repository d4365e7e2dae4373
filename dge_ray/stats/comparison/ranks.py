"""Do two evaluators rank the same estimators alike? Ranks, correlations of rank vectors, regret, agreement on the top.

Every vector is indexed by estimator, in one order for all: what the estimators are called, and how they are listed,
cannot change a number. (Correlating *lists of names* in rank order, as published code does, gives numbers that depend
on the spelling: `utility.md` 6.) Rank 1 is the best by the metric's direction; equals share their mean rank.
"""

from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata, spearmanr

_DIGITS = 12  # scores that differ beyond are equal: the order of a sum is no difference between estimators
MOST_HALVES = 500


def ranks(scores: np.ndarray, *, higher: bool) -> np.ndarray:
    """Ranks of scores, 1 the best; `higher`: whether larger is better. Shape: (E,) -> (E,).

    >>> ranks(np.array([0.7, 0.9, 0.7]), higher=True).tolist()
    [2.5, 1.0, 2.5]
    """
    oriented = np.round(np.asarray(scores, np.float64), _DIGITS)
    return rankdata(-oriented if higher else oriented, method="average")


def kendall(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's tau-b of two rank vectors; NaN where all of one are equal. Shape: (E,), (E,).

    >>> kendall(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])).__round__(3)
    0.333
    """
    return _statistic(kendalltau(first, second)) if _ordered(first, second) else float("nan")


def kendall_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of each row's two vectors; NaN where all of one are equal. Shape: (D, E), (D, E) -> (D,).

    Scipy's takes one pair of vectors at a time: .2 ms each, a second for the draws of one interval.
    """
    i, j = np.triu_indices(first.shape[1], 1)
    a, b = (np.sign(v[:, i] - v[:, j]) for v in (first, second))
    apart = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), apart, out=np.full(len(first), np.nan), where=apart > 0)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rho of two rank vectors; NaN where all of one are equal."""
    return _statistic(spearmanr(first, second)) if _ordered(first, second) else float("nan")


def _statistic(result: Any) -> float:
    return float(result.statistic)


def _ordered(*vectors: np.ndarray) -> bool:
    return all(len(np.unique(vector)) > 1 for vector in vectors)


def top(scores: np.ndarray, *, higher: bool) -> np.ndarray:
    """Which are the best, ties all. Shape: (..., E) -> (..., E) bool."""
    oriented = np.round(np.asarray(scores, np.float64), _DIGITS) * (1 if higher else -1)
    return oriented == oriented.max(axis=-1, keepdims=True)


def regret(chosen_by: np.ndarray, truth: np.ndarray, *, higher: bool) -> float:
    """What choosing the best by `chosen_by` loses in `truth` against the truly best; never negative.

    Where several are tied for the choice, the mean over them: what picking one of them blindly loses on average.

    >>> round(regret(np.array([0.9, 0.8]), np.array([0.7, 0.75]), higher=True), 12)
    0.05
    """
    picked = float(truth[top(chosen_by, higher=higher)].mean())
    return max(float(truth.max()) - picked if higher else picked - float(truth.min()), 0.0)


def top_agreement(first: np.ndarray, second: np.ndarray, *, higher: bool) -> float:
    """How often two evaluators choose the same estimator: the mean over pairs of evaluations.

    Ties are broken blindly on both sides, which gives each pair the chance |both| / (|first's top| |second's top|).

    Shape: (S, E), (S, E).

    >>> top_agreement(np.array([[1.0, 2.0]]), np.array([[2.0, 2.0]]), higher=True)
    0.5
    """
    a, b = top(first, higher=higher), top(second, higher=higher)
    return float(((a & b).sum(axis=1) / (a.sum(axis=1) * b.sum(axis=1))).mean())


def top_shares(scores: np.ndarray, *, higher: bool) -> np.ndarray:
    """How often each estimator is the top one; ties share. Shape: (S, E) -> (E,), summing to 1."""
    best = top(scores, higher=higher)
    return (best / best.sum(axis=1, keepdims=True)).mean(axis=0)


def halves(count: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Splits of `count` members into two disjoint halves (an odd member sits out): all, or 500 at random.

    Disjoint, and not drawn with replacement: a member drawn twice would judge itself.

    >>> len(halves(4, np.random.default_rng(0)))
    3
    """
    half = count // 2
    if count % 2 == 0 and comb(count, half) // 2 <= MOST_HALVES:
        everyone = np.arange(count)
        firsts = [np.array([0, *rest]) for rest in combinations(range(1, count), half - 1)]
        return [(first, np.setdiff1d(everyone, first)) for first in firsts]
    shuffled = (rng.permutation(count) for _ in range(MOST_HALVES))
    return [(order[:half], order[half : 2 * half]) for order in shuffled]
