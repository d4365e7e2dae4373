"""The law of ensemble size for squared error and the Brier score.

With s2(x) the variance over the members' predictions (ddof 1), the mean over all size-K subsets of K_max members of
the squared error of the subset's mean is, row by row and exactly,

    (pbar - y)^2 - s2 / K_max + s2 / K

and s2 / K - s2 / (2K) is what doubling K brings, with no label needed (the ambiguity identity; Raisa and Honkela 2024;
`utility.md` 2.2). No such law is claimed for log loss, AUC, accuracy or F1. With members fitted on resampled real
rows the law still holds, but s2 then holds real-data variance too: never mix the two kinds of members.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, norm

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.by_row import brier, squared_error


def members_variance(members: np.ndarray) -> np.ndarray:
    """s2 of each row, ddof 1, in the units of the loss: summed over classes, but once for two classes (as `brier`).

    Shape: (K, N, C) -> (N,), K >= 2.

    >>> members_variance(np.array([[[0.2, 0.8]], [[0.4, 0.6]]])).round(6).tolist()
    [0.02]
    """
    variance = np.var(members, axis=0, ddof=1)
    return variance[:, 1] if members.shape[2] == 2 else variance.sum(axis=1)


def law_losses(members: np.ndarray, y: np.ndarray, size: float) -> np.ndarray:
    """Each row's squared error (C = 1) or Brier score expected of `size` members; exact for whole sizes up to K.

    For `size` above K it is the unbiased prediction of what more members of the same kind would give.

    Shape: (K, N, C), (N,) -> (N,).

    >>> members = np.array([[[0.0]], [[2.0]]])
    >>> law_losses(members, np.array([0.0]), 1).tolist()  # mean of 0 and 4
    [2.0]
    """
    loss = squared_error if members.shape[2] == 1 else brier
    full = loss(ensemble_mean(members), y)
    if len(members) == 1:
        if size != 1:
            raise InputError("members", "1", "at least 2 to predict another ensemble size")
        return full
    return full + members_variance(members) * (1 / size - 1 / len(members))


def gain_of_doubling(predictions: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """What going from K to 2K members takes off the Brier score or the mean squared error, with an upper bound.

    The gain is mean s2 / (2K). Its upper bound treats mean s2 as a sum of scaled chi-squares: Gaussian members that
    differ in d effective directions over the rows give (K - 1) d degrees of freedom. d is estimated from the members'
    Gram matrix, then lowered for the noise of that estimate (its denominator is taken as if it stood at its .4
    quantile: simulated over 1 to 400 directions, the bound then holds at .93 or more with 4 members). Few directions
    (members that err alike on all rows) make the bound wide, as they should. What other rows would change is added in
    quadrature on the log scale.

    Args:
        predictions: (K, N, C) of one volume, K >= 4: a variance from two members has one degree of freedom.
        level: of the one-sided bound.

    Returns:
        (gain, upper bound), in units of the loss.
    """
    members = np.asarray(predictions, dtype=np.float64)
    if members.ndim != 3 or len(members) < 4:
        raise InputError("members", f"shape {members.shape}", "(members, rows, classes) with at least 4 members")
    k = len(members)
    by_row = members_variance(members)
    s2 = float(by_row.mean())
    if s2 == 0:
        return 0.0, 0.0
    # with V = K - 1, trace(S^2) is estimated from about V (V + 1) / 2 - 1 independent squares
    squares = (k - 1) * k / 2 - 1
    caution = squares / float(chi2.ppf(0.4, squares))
    freedom = (k - 1) * max(effective_directions(members) / caution, 1.0)
    over_members = np.log(freedom / chi2.ppf(1 - level, freedom))
    over_rows = norm.ppf(level) * float(by_row.std(ddof=1)) / np.sqrt(len(by_row)) / s2
    return s2 / (2 * k), s2 * float(np.exp(np.hypot(over_members, over_rows))) / (2 * k)


def effective_directions(members: np.ndarray) -> float:
    """(trace S)^2 / trace(S^2) for the covariance S of a member's predictions over rows; at least 1.

    Both parts are unbiased for Gaussian members: with V = K - 1 and the sample covariance C,
    E tr(C)^2 = T^2 + 2 Q / V and E tr(C^2) = Q (1 + 1 / V) + T^2 / V, solved for T^2 and Q.

    Shape: (K, N, C) -> a number.
    """
    centred = (members - ensemble_mean(members)).reshape(len(members), -1)
    v = len(members) - 1
    gram = centred @ centred.T / v
    trace_squared, squared_trace = float(np.trace(gram)) ** 2, float((gram**2).sum())
    q = (squared_trace - trace_squared / v) * v**2 / ((v - 1) * (v + 2))
    t2 = trace_squared - 2 * q / v
    if q <= 0:  # no common direction to be seen at all
        return float(centred.shape[1])
    return float(np.clip(t2 / q, 1.0, centred.shape[1]))
