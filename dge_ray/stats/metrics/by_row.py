"""Losses row by row, and the row contributions of the metrics that are no mean of losses.

Row contributions are a metric's value plus each row's influence on it (delta method), so that the mean over rows is
the metric's value exactly and the variance of that mean is the metric's sampling variance over rows. Standard errors,
paired differences and intervals are built on them, so they hold for RMSE, R2, AUC and macro F1 as they do for plain
mean losses.

Conventions: log loss in nats, probabilities clipped to at least 1e-7 and renormalised. The Brier score sums squared
errors over classes for three classes or more; for two classes it is (p1 - y)^2, half that sum, as in scikit-learn's
`brier_score_loss`. Macro F1 averages over the classes that occur in the truth or the predictions. R2 uses the rows'
own mean.
"""

from collections.abc import Callable

import numpy as np

from dge_ray.stats.metrics.batch import CLIP

Rowwise = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (..., rows, classes), (rows,) -> (..., rows)


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


def each(one: Rowwise) -> Rowwise:
    """A function of one (rows, classes) array, made to take leading axes."""

    def many(p: np.ndarray, y: np.ndarray) -> np.ndarray:
        flat = p.reshape(-1, *p.shape[-2:])
        return np.stack([one(cell, y) for cell in flat]).reshape(p.shape[:-1])

    return many
