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
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError, nearest
from dge_ray.stats.metrics.auc import auc_contributions
from dge_ray.stats.metrics.batch import CLIP, Batch
from dge_ray.stats.metrics.tasks import check_task

Rowwise = Callable[[np.ndarray, np.ndarray], np.ndarray]
# (expected loss by row (N,), truth (N,), standard error, that over rows alone) -> (value, se, se_rows)
FromLaw = Callable[[np.ndarray, np.ndarray, float, float], tuple[float, float, float]]


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


def rmse_from_law(squared: np.ndarray, y: np.ndarray, se: float, se_rows: float) -> tuple[float, float, float]:
    """RMSE and its errors from the expected squared errors (N,) and theirs."""
    root = float(np.sqrt(squared.mean()))
    return (root, se / (2 * root), se_rows / (2 * root)) if root > 0 else (0.0, 0.0, 0.0)


def r2_from_law(squared: np.ndarray, y: np.ndarray, se: float, se_rows: float) -> tuple[float, float, float]:
    """R2 from the expected squared errors (N,): the rows also move the variance of y, the members do not."""
    variance = float(y.var())
    if variance == 0:
        return float("nan"), float("nan"), float("nan")
    by_row = r2_contributions(squared, y)
    rows = float(by_row.var(ddof=1)) / len(y)
    added = (se**2 - se_rows**2) / variance**2
    return float(by_row.mean()), float(np.sqrt(rows + added)), float(np.sqrt(rows))


def _each(one: Rowwise) -> Rowwise:
    """A function of one (rows, classes) array, made to take leading axes."""

    def many(p: np.ndarray, y: np.ndarray) -> np.ndarray:
        flat = p.reshape(-1, *p.shape[-2:])
        return np.stack([one(cell, y) for cell in flat]).reshape(p.shape[:-1])

    return many


@dataclass(frozen=True)
class Loss:
    """A mean over rows: its name, how reports call it, the task it is of, and `of(p, y)`, (..., rows)."""

    name: str
    label: str
    task: str
    of: Rowwise


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("log_loss", "log loss", "classification", log_loss),
        Loss("zero_one", "error rate", "classification", zero_one),
        Loss("brier", "Brier score", "classification", brier),
        Loss("squared_error", "squared error", "regression", squared_error),
        Loss("absolute_error", "absolute error", "regression", absolute_error),
    )
}


@dataclass(frozen=True)
class Metric:
    """All that the project knows of a metric. A new one is a record in METRICS and nothing else.

    contributions: (..., rows, classes), (rows,) -> (..., rows), whose mean over rows is the value.
    loss: the one in LOSSES that stands for it where single rows are compared.
    convex: the mean prediction is never worse than the members' mean value.
    law, from_law: the loss that obeys the K-law, and what makes value and errors of it; None: they are the loss's own.
    fast: the value of many predictions at once; None: by `contributions`.
    selectable: false for one that reports name, but that is no column of the surface.
    """

    name: str
    label: str
    task: str
    contributions: Rowwise
    loss: str
    higher: bool = False
    limits: tuple[float, float] = (0.0, np.inf)
    convex: bool = False
    law: str | None = None
    from_law: FromLaw | None = None
    fast: Callable[[Batch], np.ndarray] | None = None
    selectable: bool = True


UNIT = (0.0, 1.0)
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("log_loss", "log loss", "classification", log_loss, "log_loss", convex=True, fast=Batch.log_loss),
        Metric(
            "auc",
            "AUC",
            "classification",
            _each(auc_contributions),
            "log_loss",
            higher=True,
            limits=UNIT,
            fast=Batch.auc,
        ),
        Metric("brier", "Brier score", "classification", brier, "brier", limits=(0.0, 2.0), convex=True, law="brier"),
        Metric(
            "accuracy",
            "accuracy",
            "classification",
            lambda p, y: 1.0 - zero_one(p, y),
            "zero_one",
            higher=True,
            limits=UNIT,
            fast=Batch.accuracy,
        ),
        Metric(
            "macro_f1",
            "macro F1",
            "classification",
            _each(macro_f1_contributions),
            "log_loss",
            higher=True,
            limits=UNIT,
            fast=Batch.macro_f1,
        ),
        Metric(
            "rmse",
            "RMSE",
            "regression",
            lambda p, y: rmse_contributions(squared_error(p, y)),
            "squared_error",
            convex=True,
            law="squared_error",
            from_law=rmse_from_law,
        ),
        Metric(
            "mse", "mean squared error", "regression", squared_error, "squared_error", convex=True, selectable=False
        ),
        Metric("mae", "MAE", "regression", absolute_error, "absolute_error", convex=True, fast=Batch.mae),
        Metric(
            "r2",
            "R²",
            "regression",
            lambda p, y: r2_contributions(squared_error(p, y), y),
            "squared_error",
            higher=True,
            limits=(-np.inf, 1.0),
            convex=True,
            law="squared_error",
            from_law=r2_from_law,
        ),
    )
}
SELECTION = {"classification": "log_loss", "regression": "rmse"}  # the metric that the reflection point is found on


def metric_names(task: str) -> tuple[str, ...]:
    """The task's metrics, in the order of reports."""
    task = check_task(task)
    return tuple(name for name, metric in METRICS.items() if metric.task == task and metric.selectable)


def loss_names(task: str) -> tuple[str, ...]:
    """The task's losses."""
    task = check_task(task)
    return tuple(name for name, loss in LOSSES.items() if loss.task == task)


def check_metric(metric: str | None, task: str) -> str:
    """`metric`, or the task's selection metric for None; InputError for a name the task does not have."""
    task = check_task(task)
    if metric is None:
        return SELECTION[task]
    if metric not in metric_names(task):
        raise InputError("metric", repr(metric), nearest(metric, list(metric_names(task))))
    return metric


def higher_is_better(metric: str) -> bool:
    """Whether larger values of `metric` are better; of a name that is no metric here they are not.

    >>> higher_is_better("auc"), higher_is_better("rmse")
    (True, False)
    """
    return metric in METRICS and METRICS[metric].higher


def is_convex(metric: str) -> bool:
    """Whether the mean prediction is never worse than the members' mean value, so that beating that proves nothing."""
    return metric in METRICS and METRICS[metric].convex


def label(metric: str) -> str:
    """The name of a metric or loss in prose; an unknown one is shown as it is."""
    record = METRICS.get(metric) or LOSSES.get(metric)
    return record.label if record is not None else metric.replace("_", " ")


def direction(metric: str) -> str:
    return "higher is better" if higher_is_better(metric) else "lower is better"


def contributions(metric: str, p: ArrayLike, y: np.ndarray) -> np.ndarray:
    """The metric's value plus each row's influence on it; the mean over rows is the value.

    Args:
        metric: a name in METRICS or LOSSES.
        p: (..., rows, classes) predictions.
        y: (rows,) truth.

    Returns:
        (..., rows) float64.
    """
    function = METRICS[metric].contributions if metric in METRICS else LOSSES[metric].of
    return function(np.asarray(p, dtype=np.float64), y)


def metric_value(metric: str, p: ArrayLike, y: np.ndarray) -> float:
    """One metric of one (rows, classes) prediction."""
    return float(contributions(metric, p, y).mean())
