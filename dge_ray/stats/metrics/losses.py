"""Losses row by row, and the metrics made from them.

Every metric is also given as *row contributions*: its value plus each row's influence on it (delta method), so that
the mean over rows is the metric's value exactly and the variance of that mean is the metric's sampling variance over
rows. Everything else in this package (standard errors, paired differences, intervals) is built on contributions, so it
holds for RMSE, R2, AUC and macro F1 as it does for plain mean losses.

Conventions: log loss in nats, probabilities clipped to at least 1e-7 and renormalised. The Brier score sums squared
errors over classes for three classes or more; for two classes it is (p1 - y)^2, half that sum, as in scikit-learn's
`brier_score_loss`. Macro F1 averages over the classes that occur in the truth or the predictions. R2 uses the rows'
own mean.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError, nearest
from dge_ray.stats.metrics.auc import auc_contributions
from dge_ray.stats.metrics.tasks import check_task

CLIP = 1e-7  # smallest probability that log loss sees
METRICS = {
    "classification": ("log_loss", "auc", "brier", "accuracy", "macro_f1"),
    "regression": ("rmse", "mae", "r2"),
}
SELECTION = {"classification": "log_loss", "regression": "rmse"}  # the metric that the reflection point is found on
LAW = {"brier": "brier", "rmse": "squared_error", "r2": "squared_error"}  # metric -> the loss that obeys the K-law
_HIGHER = frozenset({"auc", "accuracy", "macro_f1", "r2"})


def higher_is_better(metric: str) -> bool:
    """Whether larger values of `metric` are better.

    >>> higher_is_better("auc"), higher_is_better("rmse")
    (True, False)
    """
    return metric in _HIGHER


def check_metric(metric: str | None, task: str) -> str:
    """`metric`, or the task's selection metric for None; InputError for a name the task does not have."""
    task = check_task(task)
    if metric is None:
        return SELECTION[task]
    if metric not in METRICS[task]:
        raise InputError("metric", repr(metric), nearest(metric, list(METRICS[task])))
    return metric


def log_loss(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """-log of the probability of the true class, in nats. Shape: (..., rows, classes), (rows,) -> (..., rows).

    >>> log_loss(np.array([[0.5, 0.5]]), np.array([1])).round(6).tolist()
    [0.693147]
    """
    clipped = np.maximum(p, CLIP)
    return np.log(clipped.sum(axis=-1)) - np.log(clipped[..., np.arange(len(y)), y])


def brier(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared error of the probabilities; see the module for two classes. Shape: (..., rows, classes) -> (..., rows).

    >>> brier(np.array([[0.2, 0.8]]), np.array([1])).round(6).tolist()
    [0.04]
    """
    if p.shape[-1] == 2:
        return (p[..., 1] - y) ** 2
    squares = p**2
    # (p_c - 1)^2 in place of p_c^2 for the true class
    return squares.sum(axis=-1) + 1.0 - 2.0 * p[..., np.arange(len(y)), y]


def zero_one(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 where the likeliest class (the first of equals) is wrong. Shape: (..., rows, classes) -> (..., rows)."""
    return (p.argmax(axis=-1) != y).astype(np.float64)


def squared_error(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(prediction - y)^2. Shape: (..., rows, 1) -> (..., rows)."""
    return (p[..., 0] - y) ** 2


def absolute_error(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|prediction - y|. Shape: (..., rows, 1) -> (..., rows)."""
    return np.abs(p[..., 0] - y)


def rmse_contributions(squared: np.ndarray) -> np.ndarray:
    """RMSE and its row influences from squared errors. Shape: (..., rows) -> (..., rows)."""
    value = np.sqrt(squared.mean(axis=-1, keepdims=True))
    safe = np.where(value > 0, value, 1.0)  # no error at all: no influence either
    return value + (squared - value**2) / (2 * safe)


def r2_contributions(squared: np.ndarray, y: np.ndarray) -> np.ndarray:
    """R2 and its row influences from squared errors; NaN if y is constant. Shape: (..., rows) -> (..., rows)."""
    spread = (y - y.mean()) ** 2
    variance = spread.mean()
    if variance == 0:
        return np.full(squared.shape, np.nan)
    mse = squared.mean(axis=-1, keepdims=True)
    return 1 - mse / variance - (squared - mse) / variance + mse / variance**2 * (spread - variance)


def macro_f1_contributions(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Macro F1 and its row influences. Shape: (rows, classes), (rows,) -> (rows,)."""
    guess = p.argmax(axis=-1)
    parts = []
    for c in np.union1d(np.unique(y), np.unique(guess)):
        hits = 2.0 * ((y == c) & (guess == c))
        size = (y == c).astype(np.float64) + (guess == c)  # F1 = sum of hits / sum of sizes
        value = hits.mean() / size.mean()
        parts.append(value + (hits - value * size) / size.mean())
    return np.mean(parts, axis=0)


def _each(one: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function of one (rows, classes) array, made to take leading axes."""

    def many(p: np.ndarray, y: np.ndarray) -> np.ndarray:
        flat = p.reshape(-1, *p.shape[-2:])
        return np.stack([one(cell, y) for cell in flat]).reshape(p.shape[:-1])

    return many


_CONTRIBUTIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "log_loss": log_loss,
    "brier": brier,
    "accuracy": lambda p, y: 1.0 - zero_one(p, y),
    "auc": _each(auc_contributions),
    "macro_f1": _each(macro_f1_contributions),
    "squared_error": squared_error,
    "mae": absolute_error,
    "rmse": lambda p, y: rmse_contributions(squared_error(p, y)),
    "r2": lambda p, y: r2_contributions(squared_error(p, y), y),
}


def contributions(metric: str, p: ArrayLike, y: np.ndarray) -> np.ndarray:
    """The metric's value plus each row's influence on it; the mean over rows is the value.

    Args:
        metric: a name in METRICS, or "squared_error".
        p: (..., rows, classes) predictions.
        y: (rows,) truth.

    Returns:
        (..., rows) float64.
    """
    return _CONTRIBUTIONS[metric](np.asarray(p, dtype=np.float64), y)


def metric_value(metric: str, p: ArrayLike, y: np.ndarray) -> float:
    """One metric of one (rows, classes) prediction."""
    return float(contributions(metric, p, y).mean())
