"""What becomes of the rarest class: its average precision, and the share of its rows that the decision finds.

The rarest class is the one with the fewest of the rows at hand, of those that occur; of equals the last, which of two
classes is the positive one. Average precision is the mean over that class's rows of the precision among all rows that
score as high or higher, as in scikit-learn; its value for a score that says nothing is the class's share, so it is read
beside that. Recall is taken at the default decision, the likeliest class.

With few rows of the class, delta-method variances are too uncertain, and the interval is solved from a variance at each
end: v (1 - v) / rows of the class, exact for recall, and for average precision what Boyd, Eng and Page (2013) found to
hold with few positives (a mean of values in 0 to 1 varies no more than that).
"""

import numpy as np
from scipy.stats import norm

FEW = 30  # rows of the rarest class, below which the interval is solved from a variance at each end
FEWEST = 10  # below which average precision has none
_STEPS = np.linspace(0.0, 1.0, 2001)


def rarest_class(truth: np.ndarray) -> int | None:
    """Its code; None where all rows are of one class.

    >>> rarest_class(np.array([0, 0, 2, 1, 1])), rarest_class(np.array([0, 1])), rarest_class(np.array([1, 1]))
    (2, 1, None)
    """
    counts = np.bincount(truth)
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return None
    return int(present[counts[present] == counts[present].min()][-1])


def base_rate(truth: np.ndarray) -> float:
    """The share of the commonest class: the accuracy of predicting it always.

    >>> base_rate(np.array([0, 1, 1, 1]))
    0.75
    """
    return float(np.bincount(truth).max() / len(truth))


def recall_contributions(p: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Recall of the rarest class and its row influences; NaN where there is none. Shape: (..., N, C) -> (..., N)."""
    rarest = rarest_class(truth)
    if rarest is None:
        return np.full(p.shape[:-1], np.nan)
    positive = truth == rarest
    hit = positive & (p.argmax(axis=-1) == rarest)
    value = hit.sum(axis=-1, keepdims=True) / positive.sum()
    return value + (hit - value * positive) / positive.mean()


def average_precision_contributions(p: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Average precision of the rarest class and each row's influence on it, so that the mean over rows is the value.

    With a_i and b_i the positives and negatives that score as high as positive i or higher, the value is the mean of
    a_i / (a_i + b_i). A row's influence is its derivative in the row's weight: a positive's own term, and for each
    positive that scores as low or lower b / (a + b)^2 more, for a negative a / (a + b)^2 less.

    Shape: (N, C), (N,) -> (N,); NaN where there is no rarest class.
    """
    rarest = rarest_class(truth)
    if rarest is None:
        return np.full(len(truth), np.nan)
    score, positive = p[:, rarest], truth == rarest
    order = np.argsort(-score, kind="stable")
    ordered, flags = score[order], positive[order].astype(np.float64)
    last = np.r_[ordered[1:] != ordered[:-1], True]  # the last row of each group of equal scores
    group = np.r_[0, np.cumsum(last)[:-1]]
    above, all_above = np.cumsum(flags)[last], np.flatnonzero(last) + 1.0
    precision, below = above / all_above, all_above - above
    here = np.bincount(group, weights=flags)  # positives of each group
    moved = [np.cumsum((here * part / all_above**2)[::-1])[::-1] for part in (below, above)]
    value = float(here @ precision) / flags.sum()
    own = np.where(flags == 1, precision[group] - value + moved[0][group], -moved[1][group])
    influence = np.empty(len(truth))
    influence[order] = own * (len(truth) / flags.sum())
    return value + influence


def fast_average_precision(p: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Average precision of the rarest class of many predictions at once, exactly.

    The label rides in the lowest bit of the score's bit pattern, as in `auc.fast_auc`.

    Shape: (ensembles, classes, rows), (rows,) -> (ensembles,).
    """
    rarest = rarest_class(truth)
    if rarest is None:
        return np.full(len(p), np.nan)
    n, positive = len(truth), truth == rarest
    bits = np.ascontiguousarray(np.maximum(p[:, rarest], 0.0) + 0.0, dtype=np.float64).view(np.uint64)
    keys = np.sort((bits << np.uint64(1)) | positive.astype(np.uint64), axis=1)
    flags = (keys & np.uint64(1)).astype(np.float64)
    above = np.cumsum(flags[:, ::-1], axis=1)[:, ::-1]
    precision = above / np.arange(n, 0, -1)
    scores = keys >> np.uint64(1)
    same = scores[:, 1:] == scores[:, :-1]
    for row in np.flatnonzero(same.any(axis=1)):  # equal scores have one precision, that of the lowest place
        first = np.r_[0, np.where(same[row], 0, np.arange(1, n))]
        precision[row] = precision[row][np.maximum.accumulate(first)]
    return (precision * flags).sum(axis=1) / positive.sum()


def few_rows_recall(value: float, truth: np.ndarray, level: float, extra: float = 0.0) -> tuple[float, float] | None:
    """The interval of recall where the rarest class has fewer than FEW rows; None elsewhere.

    All values whose distance to the estimate is within the normal quantile of the standard error *there*: Wilson's
    interval, with the members' variance. It is inside 0 to 1 and has a width at 0 and 1 too.

    Args:
        truth: (rows,) class codes.
        extra: variance beside that over new rows, of members.
    """
    positives = _rows_of_the_rarest(truth)
    if positives is None or positives >= FEW:
        return None
    error = np.sqrt(_STEPS * (1 - _STEPS) / positives + extra)
    held = _STEPS[np.abs(_STEPS - value) <= norm.ppf(0.5 + level / 2) * error]
    return min(float(held.min(initial=1.0)), value), max(float(held.max(initial=0.0)), value)


def few_rows_precision(value: float, truth: np.ndarray, level: float, extra: float = 0.0) -> tuple[float, float] | None:
    """The same of average precision; NaN with fewer than FEWEST rows, too few to say: there its own bias, a positive
    counts itself among the rows above it, leads the interval astray (it held .90 with five)."""
    positives = _rows_of_the_rarest(truth)
    if positives is not None and positives < FEWEST:
        return np.nan, np.nan
    return few_rows_recall(value, truth, level, extra)


def _rows_of_the_rarest(truth: np.ndarray) -> int | None:
    rarest = rarest_class(truth)
    return None if rarest is None else int((truth == rarest).sum())
