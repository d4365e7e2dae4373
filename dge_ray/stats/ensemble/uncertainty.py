"""How sure are the members, and are they right to be: parts of uncertainty, calibration, conformal sets and intervals.

Parts (Depeweg et al. 2018; `papers`: van Breugel et al. define none). For members p_k with mean p:

    entropy     total H(p)               aleatoric mean_k H(p_k)               epistemic the difference, in nats
    variance    total sum_c p_c (1-p_c)  aleatoric mean_k sum_c p_kc (1-p_kc)  epistemic sum_c var_k p_kc (ddof 0)

Aleatoric here is what each member thinks noise is, so it holds the generators' error about noise; epistemic is where
members differ, and members that err alike hide it. In regression members give points: only the epistemic part is known.

ECE. The plain estimate is too large (it adds up absolute values of noise: .01 to .04 on some hundred rows of a
perfectly calibrated model). Here the gaps' shape is kept and their size c is what is tested: c is in the interval if
the observed ECE lies in the central .975 of what gaps c x (observed gaps) plus sampling noise would show; the estimate
is the c whose median it is. The observed shape has noise in it that is not counted again: at .95 the interval held in
.91 to .97 of simulations, so half of the error that .95 allows is left to it. Given these members; over rows.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.intervals import conformal_quantile
from dge_ray.stats.metrics.by_row import CLIP

DRAWS = 1000
THRESHOLDS = np.linspace(0.5, 0.95, 20)  # of the accuracy-confidence curve, as the paper's


def entropy_parts(members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(total, aleatoric, epistemic) of each row in nats. Shape: (K, N, C) -> (N,) each.

    >>> total, noise, spread = entropy_parts(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
    >>> total.round(4).tolist(), noise.tolist(), spread.round(4).tolist()
    ([0.6931], [0.0], [0.6931])
    """
    total, aleatoric = _entropy(ensemble_mean(members)), _entropy(members).mean(axis=0)
    return total, aleatoric, np.maximum(total - aleatoric, 0.0)


def variance_parts(members: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray]:
    """(total, aleatoric, epistemic) of each row as variances; in regression (C = 1) the epistemic part alone.

    Shape: (K, N, C) -> (N,) each.
    """
    epistemic = members.var(axis=0).sum(axis=-1)
    if members.shape[2] == 1:
        return None, None, epistemic
    mean = ensemble_mean(members)
    total = (mean * (1 - mean)).sum(axis=-1)
    return total, (members * (1 - members)).sum(axis=-1).mean(axis=0), epistemic


@dataclass(frozen=True)
class Reliability:
    """Reliability of a probability: its mean, the share that came true and the rows of each bin, and the expected
    calibration error (estimate, lo, hi) beside the plain one."""

    confidence: np.ndarray
    accuracy: np.ndarray
    rows: np.ndarray
    ece: tuple[float, float, float]
    plain_ece: float


def calibration(p: np.ndarray, y: np.ndarray, *, bins: int = 10, seed: int = 0, level: float = 0.95) -> Reliability:
    """Calibration of the likeliest class in bins of equal width from 0 to 1; empty ones are left out.

    Shape: p (N, C), y (N,) codes.
    """
    return _reliability(p.max(axis=1), p.argmax(axis=1) == y, bins=bins, seed=seed, level=level)


def class_calibration(
    p: np.ndarray, y: np.ndarray, code: int, *, bins: int = 10, seed: int = 0, level: float = 0.95
) -> Reliability:
    """Calibration of the probability of one class (Kull et al. 2019: class-wise calibration), in the same bins.

    `accuracy` is the share of that class in each bin. Shape: p (N, C), y (N,) codes.
    """
    return _reliability(p[:, code], y == code, bins=bins, seed=seed, level=level)


def _reliability(sure: np.ndarray, hit: np.ndarray, *, bins: int, seed: int, level: float) -> Reliability:
    """Of probabilities and what they are of. Shape: (N,), (N,) bool."""
    right = hit.astype(np.float64)
    which = np.minimum((sure * bins).astype(int), bins - 1)
    which = np.unique(which, return_inverse=True)[1]
    rows = np.bincount(which)
    confidence, accuracy = (np.bincount(which, v) / rows for v in (sure, right))
    gap = accuracy - confidence
    # noise of a gap: that of the difference row by row; a bin that is all right or wrong is not without noise
    spread = np.bincount(which, (right - sure - gap[which]) ** 2) / np.maximum(rows - 1, 1)
    smooth = (rows * accuracy + 1) / (rows + 2)
    noise = np.sqrt(np.maximum(spread, smooth * (1 - smooth) * (rows < 20)) / rows)
    shares = rows / rows.sum()
    ece = _ece_interval(gap, noise, shares, seed=seed, level=level)
    return Reliability(confidence, accuracy, rows, ece, float(shares @ np.abs(gap)))


def _ece_interval(
    gap: np.ndarray, noise: np.ndarray, shares: np.ndarray, *, seed: int, level: float
) -> tuple[float, float, float]:
    plain = float(shares @ np.abs(gap))
    if plain == 0:
        return 0.0, 0.0, float(shares @ noise)
    drawn = noise * numpy_generator(seed, Purpose.INTERVAL).standard_normal((DRAWS, len(gap)))
    sizes = np.linspace(0.0, 3.0, 61)
    # P(shown <= seen) falls as the true gaps grow
    below = np.array([np.mean(np.abs(c * gap + drawn) @ shares <= plain) for c in sizes])
    tail = (1 - level) / 4  # the other half of the error is left to the noise in the gaps' shape
    low = sizes[np.argmax(below <= 1 - tail)]
    middle, high = (sizes[np.argmax(below <= q)] if (below <= q).any() else sizes[-1] for q in (0.5, tail))
    return float(middle * plain), float(low * plain), float(high * plain)


@dataclass(frozen=True)
class ConfidenceCurve:
    """Accuracy of the rows with a confidence above each threshold, NaN where there are none, with exact binomial
    intervals; and the share of rows kept."""

    thresholds: np.ndarray
    accuracy: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    kept: np.ndarray


def accuracy_confidence(p: np.ndarray, y: np.ndarray, *, level: float = 0.95) -> ConfidenceCurve:
    """Shape: p (N, C), y (N,) codes."""
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    n = np.array([(sure > at).sum() for at in THRESHOLDS])
    hits = np.array([right[sure > at].sum() for at in THRESHOLDS])
    accuracy = np.divide(hits, n, out=np.full(len(n), np.nan), where=n > 0)
    lo, hi = binomial_interval(hits, n, level=level)
    return ConfidenceCurve(THRESHOLDS, accuracy, lo, hi, n / len(y))


def binomial_interval(hits: np.ndarray, n: np.ndarray, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Exact (Clopper-Pearson) interval of a share; (0, 1) for no rows."""
    tail = (1 - level) / 2
    hits, n = np.asarray(hits), np.asarray(n)
    lo = np.where(hits > 0, beta.ppf(tail, np.maximum(hits, 1), n - hits + 1), 0.0)
    hi = np.where(hits < n, beta.ppf(1 - tail, hits + 1, np.maximum(n - hits, 1)), 1.0)
    return lo, hi


def conformal_sets(calibration_p: np.ndarray, calibration_y: np.ndarray, p: np.ndarray, *, level: float) -> np.ndarray:
    """Sets of classes that hold the truth with at least probability `level`, over rows like the calibration ones.

    Split conformal with the score 1 - p(true class); no other assumption than that calibration rows and new rows are
    exchangeable: the calibration rows must have had no part in fitting or choosing anything. Sets may be empty.

    Shape: calibration_p (M, C), calibration_y (M,), p (N, C) -> (N, C) bool.
    """
    scores = 1 - calibration_p[np.arange(len(calibration_y)), calibration_y]
    return 1 - p <= conformal_quantile(scores, level)


def conformal_intervals(
    calibration_members: np.ndarray, calibration_y: np.ndarray, members: np.ndarray, *, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction intervals (lo, hi) that hold the truth with at least probability `level`; as `conformal_sets`.

    The score is |y - mean| over sqrt(variance over members + the calibration rows' mean squared error): wider where
    members differ. A width from the members' spread alone would leave the noise out.

    Shape: calibration_members (K, M, 1), calibration_y (M,), members (K, N, 1) -> (N,), (N,).
    """
    residual = np.abs(calibration_y - ensemble_mean(calibration_members)[:, 0])
    noise = float((residual**2).mean())

    def scale(p: np.ndarray) -> np.ndarray:
        return np.sqrt(p[..., 0].var(axis=0) + noise) if noise > 0 else np.ones(p.shape[1])

    half = conformal_quantile(residual / scale(calibration_members), level) * scale(members)
    mean = ensemble_mean(members)[:, 0]
    return mean - half, mean + half


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, CLIP))).sum(axis=-1)
