"""Area under the ROC curve, from ranks: its value, its row contributions, and a fast form for many ensembles at once.

Ties count half. With more than two classes it is the macro mean of one class against the rest, over the classes that
have at least one row and at least one row outside them. The row contributions are DeLong's structural components
(DeLong, DeLong, Clarke-Pearson 1988), scaled so that one variance formula serves every metric. With few rows of the
rarer class that variance is far too uncertain, and the interval is solved from a variance at each end instead.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import norm

FEW = 30  # rows of the rarer class, below which the interval is `few_rows_interval`
_STEPS = np.linspace(0.0, 1.0, 2001)


def scored_classes(truth: np.ndarray, classes: int) -> list[int]:
    """The classes whose one-against-rest curve exists; for two classes the second stands for both.

    >>> scored_classes(np.array([0, 0, 2, 1]), 4)
    [0, 1, 2]
    """
    counts = np.bincount(truth, minlength=classes)
    if classes == 2:
        return [1] if counts.min() > 0 else []
    return [c for c in range(classes) if 0 < counts[c] < len(truth)]


def _macro(
    binary: Callable[[np.ndarray, np.ndarray], np.ndarray], by_class: np.ndarray, truth: np.ndarray, size: int
) -> np.ndarray:
    """The mean of `binary`, (size,), over the scored classes, NaN without any. `by_class`: scores, classes first."""
    classes = scored_classes(truth, len(by_class))
    if not classes:
        return np.full(size, np.nan)
    return np.mean([binary(by_class[c], truth == c) for c in classes], axis=0)


def auc_contributions(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """AUC plus each row's influence on it, so that the mean over rows is the AUC exactly.

    The variance of the mean agrees with DeLong's up to factors 1 + O(1 / rows of the rarer class).

    Shape: (rows, classes), (rows,) -> (rows,); NaN everywhere if only one class is present.
    """
    return _macro(_binary_contributions, probabilities.T, truth, len(truth))


def _binary_contributions(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    n, n_positive = len(score), int(positive.sum())
    n_negative = n - n_positive
    order = np.argsort(score, kind="stable")
    ordered, flags = score[order], positive[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # groups of equal scores
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, n]))
    positives = np.add.reduceat(flags.astype(np.float64), starts)
    negatives = np.diff(np.r_[starts, n]) - positives
    negatives_below = np.cumsum(negatives) - 0.5 * negatives  # half of the ties
    positives_above = n_positive - np.cumsum(positives) + 0.5 * positives
    component = np.empty(n)
    component[order] = np.where(flags, negatives_below[group] / n_negative, positives_above[group] / n_positive)
    value = component[positive].mean()
    share = np.where(positive, n / n_positive, n / n_negative)
    return value + (component - value) * share


def few_rows_interval(value: float, truth: np.ndarray, level: float, extra: float = 0.0) -> tuple[float, float] | None:
    """The interval of an AUC of two classes where the rarer one has fewer than FEW rows; None elsewhere.

    All values whose distance to the estimate is within the normal quantile of the standard error *there*, by Hanley and
    McNeil's variance (1982): Newcombe (2006, method 5). It is inside 0 to 1 and has a width at 0 and 1 too. With 3 to
    30 positives it held .945 to .99 where a t interval by DeLong's variance held .81 to .94.

    Args:
        truth: (rows,) class codes.
        extra: variance beside that over new rows, of members.
    """
    counts = np.bincount(truth, minlength=2)
    if len(counts) != 2 or not 0 < counts.min() < FEW:
        return None
    negatives, positives = counts
    above, below = _STEPS / (2 - _STEPS), 2 * _STEPS**2 / (1 + _STEPS)
    variance = _STEPS * (1 - _STEPS) + (positives - 1) * (above - _STEPS**2) + (negatives - 1) * (below - _STEPS**2)
    error = np.sqrt(variance / (positives * negatives) + extra)
    held = _STEPS[np.abs(_STEPS - value) <= norm.ppf(0.5 + level / 2) * error]
    return min(float(held.min()), value), max(float(held.max()), value)


def fast_auc(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """AUC of many predictions at once, exactly.

    The label rides in the lowest bit of the score's bit pattern, which orders non-negative floats as integers do: one
    plain sort an ensemble, no index array.

    Shape: (ensembles, classes, rows), (rows,) -> (ensembles,).
    """
    return _macro(_fast_binary, probabilities.transpose(1, 0, 2), truth, len(probabilities))


def _fast_binary(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    n, n_positive = len(positive), int(positive.sum())
    pairs = n_positive * (n - n_positive)
    # 0.0 is added since -0.0 has the sign bit that the shift would lose
    bits = np.ascontiguousarray(np.maximum(scores, 0.0) + 0.0, dtype=np.float64).view(np.uint64)
    keys = np.sort((bits << np.uint64(1)) | positive.astype(np.uint64), axis=1)
    flags = (keys & np.uint64(1)).astype(np.float64)
    # a positive's place minus the positives before it = negatives at or below it (ties put negatives first)
    above = flags @ np.arange(n, dtype=np.float64) - n_positive * (n_positive - 1) / 2
    return (above - 0.5 * _tied_pairs(keys, flags)) / pairs


def _tied_pairs(keys: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Pairs (positive, negative) with equal scores, an ensemble."""
    tied = np.zeros(len(keys))
    # neighbours that differ in the label bit alone: only then does a tie cross the classes
    for row in np.flatnonzero(((keys[:, 1:] ^ keys[:, :-1]) == 1).any(axis=1)):
        scores = keys[row] >> np.uint64(1)
        starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
        positives = np.add.reduceat(flags[row], starts)
        tied[row] = positives @ (np.diff(np.r_[starts, len(scores)]) - positives)
    return tied
