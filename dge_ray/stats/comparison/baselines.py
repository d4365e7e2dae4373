"""Comparisons with the baselines, on rows that played no part in choosing anything.

Differences are always first minus second, in the metric's own direction (a better log loss is a negative difference, a
better AUC a positive one), and paired on rows.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.stats.clusters import by_cluster
from dge_ray.stats.ensemble.combine import check_cells, check_truth, ensemble_mean, leave_one_out_means
from dge_ray.stats.intervals import FEWEST_MEMBERS
from dge_ray.stats.metrics.losses import check_metric, contributions, is_convex, metric_names, metric_value
from dge_ray.stats.metrics.tasks import check_task
from dge_ray.stats.twoway import pseudo_values, two_way

METHODS = {  # in the order that tables and figures show them
    "dge": "DGE",
    "naive_single": "naive single",
    "naive_ensemble": "naive ensemble",
    "naive_concatenated": "naive concatenated",
    "raw": "raw rows",
    "constant": "constant",
    "simple": "real rows, linear",
    "real": "real rows",
    "real_all": "all real rows",
    "real_ensemble": "real rows, ensemble",
}
REAL = ("constant", "simple", "real", "real_all", "real_ensemble", "raw")  # those that no synthetic row has a part in


def metrics_of(prediction: ArrayLike, truth: ArrayLike, *, task: str) -> dict[str, float]:
    """Every metric of one prediction. Shape: (rows, classes), (rows,).

    >>> metrics_of([[1.0], [2.0]], [1.0, 3.0], task="regression")["mae"]
    0.5
    """
    p, y, task = _one(prediction, truth, task)
    return {metric: metric_value(metric, p, y) for metric in metric_names(task)}


def paired_difference(
    first: ArrayLike, second: ArrayLike, truth: ArrayLike, metric: str, *, task: str, level: float = 0.95
) -> tuple[float, float, float]:
    """(difference, lo, hi) of a metric between two fixed predictions of the same rows.

    A t interval over new rows *given both models*: neither the fitting nor the members are drawn anew. AUC's is
    DeLong's; RMSE, R2 and macro F1 use the delta method.

    Shape: first, second (rows, classes), truth (rows,).
    """
    a, y, task = _one(first, truth, task)
    b, _, _ = _one(second, truth, task)
    metric = check_metric(metric, task)
    by_row = contributions(metric, a, y) - contributions(metric, b, y)
    difference = float(by_row.mean())
    half = float(student.ppf(0.5 + level / 2, len(y) - 1)) * float(by_row.std(ddof=1)) / np.sqrt(len(y))
    return difference, difference - half, difference + half


def naive_single(members: ArrayLike, truth: ArrayLike, *, task: str) -> dict[str, float]:
    """Every metric of the baseline "naive single": the mean over the one-member models of one volume.

    Shape: (members, rows, classes), (rows,).
    """
    p, y, task = _members(members, truth, task)
    return {metric: float(contributions(metric, p, y).mean()) for metric in metric_names(task)}


def naive_single_difference(
    members: ArrayLike,
    truth: ArrayLike,
    metric: str,
    *,
    task: str,
    level: float = 0.95,
    clusters: np.ndarray | None = None,
) -> tuple[float, float, float]:
    """(difference, lo, hi): the ensemble of all members minus the mean over its one-member models.

    The interval is over new rows *and* new members (jackknife), given this train split; over rows alone, with
    difference zero, for a single member, and over rows alone for two. By convexity the ensemble is never the worse one
    in log loss, Brier, RMSE, MAE and R2: there the sign proves nothing, only the size is news, and the interval is made
    on the log scale, since the difference behaves as a variance between members does (on the plain scale it covers .80
    instead of .88 to .96 for members that err in one direction). AUC, accuracy and F1 have the plain t interval.

    Shape: members (K, rows, classes), truth (rows,).
    """
    p, y, task = _members(members, truth, task)
    metric = check_metric(metric, task)
    single = by_cluster(contributions(metric, p, y), clusters)
    ensemble = by_cluster(contributions(metric, ensemble_mean(p), y), clusters)
    full = ensemble - single.mean(axis=0)
    difference = float(full.mean())
    if len(p) < FEWEST_MEMBERS:
        half = two_way(full[None], None).half_width(np.array([1.0]), level)
        return difference, difference - half, difference + half
    without = by_cluster(contributions(metric, leave_one_out_means(p), y), clusters)
    if is_convex(metric):
        left = (without.mean(axis=1) - leave_one_out_means(single.mean(axis=1))) * _size_scale(len(p))
        if np.all(left * difference > 0):
            ratio = _log_half_width(full, left, level)
            low, high = sorted((difference * np.exp(-ratio), difference * np.exp(ratio)))
            return difference, float(low), float(high)
    pseudo = pseudo_values(ensemble, without) - single
    half = two_way(full[None], pseudo[:, None]).half_width(np.array([1.0]), level)
    return difference, difference - half, difference + half


def _size_scale(k: int) -> float:
    """From the gain of K - 1 members over one to that of K: it is (1 - 1/K) s2 under the K-law."""
    return (1 - 1 / k) / (1 - 1 / (k - 1))


def _log_half_width(full: np.ndarray, left: np.ndarray, level: float) -> float:
    """Half of the t interval of log |mean of full| over members (jackknife: `left`, (K,)) and rows (`full`, (N,))."""
    k, n = len(left), len(full)
    members = (k - 1) ** 2 / k * float(np.log(np.abs(left)).var(ddof=1))
    rows = float(full.var(ddof=1)) / n / float(full.mean()) ** 2
    total = members + rows
    freedom = total**2 / (members**2 / (k - 1) + rows**2 / (n - 1)) if total > 0 else n - 1.0
    return float(student.ppf(0.5 + level / 2, freedom)) * np.sqrt(total)


def _one(prediction: ArrayLike, truth: ArrayLike, task: str) -> tuple[np.ndarray, np.ndarray, str]:
    p = np.asarray(prediction, dtype=np.float64)
    if p.ndim != 2 or not np.isfinite(p).all():
        raise InputError("prediction", f"shape {p.shape} or values that are not finite", "finite (rows, classes)")
    task = check_task(task)
    return p, check_truth(truth, task, rows=p.shape[0], classes=p.shape[1]), task


def _members(members: ArrayLike, truth: ArrayLike, task: str) -> tuple[np.ndarray, np.ndarray, str]:
    p = np.asarray(members, dtype=np.float64)
    if p.ndim != 3 or not np.isfinite(p).all():
        raise InputError("members", f"shape {p.shape} or values that are not finite", "finite (members, rows, classes)")
    cells, y, task, _ = check_cells(p[:, None], truth, task=task)
    return cells[:, 0], y, task
