"""METRICS: all that is known of a metric, one record each; and LOSSES, the losses row by row that they are about.

A metric is added here and nowhere else: surface, choice, comparisons, sentences, figures and the utility report read
its record. What it needs are its row contributions (see `by_row`); the rest has a default, which is that of a loss:
lower is better, from 0 on, no claim about its mean over members, averaged over subsets of members.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError, nearest
from dge_ray.stats.metrics.auc import auc_contributions, few_rows_interval
from dge_ray.stats.metrics.batch import Batch
from dge_ray.stats.metrics.by_row import (
    Rowwise,
    absolute_error,
    brier,
    each,
    log_loss,
    macro_f1_contributions,
    r2_contributions,
    rmse_contributions,
    squared_error,
    zero_one,
)
from dge_ray.stats.metrics.expected import FromLaw, r2_from_law, rmse_from_law
from dge_ray.stats.metrics.rarest import (
    average_precision_contributions,
    few_rows_precision,
    few_rows_recall,
    recall_contributions,
)
from dge_ray.stats.metrics.tasks import check_task


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
    by_class: its error rests on the rows of each class apart, so on how many the rarest has.
    counted: of rows that are right or wrong; a difference of two has the noise of one row more, so that no row on which
        they differ is not no noise (after Agresti and Min 2005).
    few: `(value, truth, level, variance beside rows)` -> its interval where rows are few (NaN: too few to
        say), None where they are not.
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
    by_class: bool = False
    counted: bool = False
    few: Callable[[float, np.ndarray, float, float], tuple[float, float] | None] | None = None
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
            each(auc_contributions),
            "log_loss",
            higher=True,
            limits=UNIT,
            fast=Batch.auc,
            by_class=True,
            few=few_rows_interval,
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
            counted=True,
        ),
        Metric(
            "macro_f1",
            "macro F1",
            "classification",
            each(macro_f1_contributions),
            "log_loss",
            higher=True,
            limits=UNIT,
            fast=Batch.macro_f1,
            by_class=True,
        ),
        Metric(
            "average_precision",
            "average precision of the rarest class",
            "classification",
            each(average_precision_contributions),
            "log_loss",
            higher=True,
            limits=UNIT,
            fast=Batch.average_precision,
            by_class=True,
            few=few_rows_precision,
        ),
        Metric(
            "recall",
            "recall of the rarest class",
            "classification",
            recall_contributions,
            "zero_one",
            higher=True,
            limits=UNIT,
            fast=Batch.recall,
            by_class=True,
            counted=True,
            few=few_rows_recall,
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


def margin_of(metric: str, reference: float) -> float:
    """What may be lost or gained in a metric before it matters: 2 % of a reference value, .01 of a metric between 0
    and 1.

    >>> margin_of("auc", 0.9), margin_of("rmse", 50.0)
    (0.01, 1.0)
    """
    return 0.01 if METRICS[metric].higher else 0.02 * abs(reference)


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
