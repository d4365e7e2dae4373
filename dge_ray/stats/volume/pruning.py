"""Which volumes may be dropped before all their members are in.

At few members large volumes look better than they will, because their members vary less: dropping on R(2, m) is
biased. So volumes are compared at the *target* number of members, and dropped only when the paired lower bound of
R(K, m) - R(K, best) is above zero, never with fewer than 4 members, at a level split over all volumes and looks.

* RMSE: by the K-law of squared error. Brier: by its law.
* log loss: no law is claimed, so two rules must both hold. (a) The Brier scores separate, by their law. (b) The log
  losses separate at the members in hand even if the candidate still gains twice what its last doubling (from half of
  these members) gained, while the best gains nothing more. Under a 1/K law all further members together gain exactly
  what the last doubling did, so twice that is generous.
* Other metrics: nothing is dropped.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.combine import check_cells, ensemble_mean, finished_members, leave_one_out_means
from dge_ray.stats.ensemble.klaw import law_losses
from dge_ray.stats.metrics.losses import check_metric, contributions
from dge_ray.stats.twoway import TwoWay, pseudo_values, two_way

PRUNED = ("rmse", "brier", "log_loss")  # the metrics that have such a rule
FEWEST = 4  # a variance from fewer members is worth too little
LEVEL = 0.99  # split over the volumes; simulated for looks at every K from 4 to the target (experiments/coverage)


def hopeless_volumes(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    task: str,
    volumes: ArrayLike,
    target_members: int,
    metric: str | None = None,
    level: float = LEVEL,
) -> list[int]:
    """The volumes that will not be best at `target_members` members, as far as one can know now.

    Args:
        predictions: (members, volumes, rows, classes); NaN for a cell that is not computed (yet). Two volumes are
            compared on the members that both have.
        truth: (rows,) validation truth.
        task: "classification" or "regression".
        volumes: (volumes,) ascending.
        target_members: K of the final ensemble.
        metric: default the task's selection metric.
        level: of one comparison before it is split over the volumes.

    Returns:
        Volumes, ascending; never the one that is predicted best.
    """
    cells, y, task, grid = check_cells(predictions, truth, task=task, volumes=volumes)
    metric = check_metric(metric, task)
    if target_members < 1:
        raise InputError("members", repr(target_members), "1 or more")
    finished = finished_members(cells)
    ready = np.flatnonzero(finished.sum(axis=0) >= FEWEST)
    if metric not in PRUNED or len(ready) < 2:
        return []
    predicted = [_at_target(cells[finished[:, m], m], y, target_members).mean() for m in ready]
    best = ready[int(np.argmin(predicted))]
    one_test = 1 - (1 - level) / (len(ready) - 1)
    dropped = []
    for volume in ready:
        both = finished[:, volume] & finished[:, best]
        if volume == best or both.sum() < FEWEST:
            continue
        pair = (cells[both, volume], cells[both, best])
        worse = _lower_bound(_law_difference(*pair, y, target_members), one_test) > 0
        if worse and metric == "log_loss":
            worse = _lower_bound(_log_loss_difference(*pair, y), one_test) > 0
        if worse:
            dropped.append(int(grid[volume]))
    return dropped


def _at_target(members: np.ndarray, y: np.ndarray, target: int) -> np.ndarray:
    return law_losses(members, y, max(target, len(members)))


def _law_difference(a: np.ndarray, b: np.ndarray, y: np.ndarray, target: int) -> tuple[float, TwoWay]:
    """Predicted R(target, a) - R(target, b) on shared members and rows, with its spread."""

    def statistic(keep: np.ndarray) -> np.ndarray:
        goal = max(target, len(a))
        return law_losses(a[keep], y, goal) - law_losses(b[keep], y, goal)

    every = np.arange(len(a))
    full = statistic(every)
    without = np.stack([statistic(np.delete(every, k)) for k in every])
    return float(full.mean()), two_way(full[None], pseudo_values(full, without)[:, None])


def _log_loss_difference(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> tuple[float, TwoWay]:
    """Log loss of a, less twice what its last doubling gained, minus the log loss of b, with its spread."""
    k = len(a)
    half = k // 2
    windows = (np.arange(k)[:, None] + np.arange(half)) % k  # every member equally often
    halves = np.stack([contributions("log_loss", ensemble_mean(a[w]), y) for w in windows])
    ensemble = contributions("log_loss", ensemble_mean(a), y)
    full = 3 * ensemble - 2 * halves.mean(axis=0) - contributions("log_loss", ensemble_mean(b), y)
    without = 3 * contributions("log_loss", leave_one_out_means(a), y) - contributions(
        "log_loss", leave_one_out_means(b), y
    )
    without -= 2 * np.stack([halves[[k not in w for w in windows]].mean(axis=0) for k in range(k)])
    return float(full.mean()), two_way(full[None], pseudo_values(full, without)[:, None])


def _lower_bound(difference: tuple[float, TwoWay], level: float) -> float:
    """One-sided t lower bound."""
    value, spread = difference
    one = np.array([1.0])
    return value - float(student.ppf(level, spread.freedom(one))) * spread.deviation(one)
