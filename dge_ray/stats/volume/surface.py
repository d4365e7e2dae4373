"""The surface R(K, m): every metric for every ensemble size and volume, with standard errors.

Values. Brier, RMSE and R2 come from the K-law (exact over all subsets; RMSE is the root of the mean squared error),
the other metrics are averages over subsets of members.

Errors. `se` is for new members and new rows: jackknife over members plus row variance less what both contain (see
`twoway`); `se_rows` is for these members and new rows. They are worked out from the pseudo-values at K = 1 and at
K = all, and between the two the pseudo-values are taken as linear in 1/K: exact for squared error and Brier, an
approximation for the others (their *values* are not interpolated). Both are given this train split; what the real
rows' own sampling adds is not in them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError
from dge_ray.stats.clusters import by_cluster
from dge_ray.stats.ensemble.combine import check_cells, ensemble_mean, finished_members, leave_one_out_means
from dge_ray.stats.ensemble.subsets import subset_averages
from dge_ray.stats.metrics.expected import Expected
from dge_ray.stats.metrics.losses import METRICS, check_metric, contributions, metric_names
from dge_ray.stats.twoway import TwoWay, pseudo_values, two_way


@dataclass(frozen=True)
class Cell:
    """One metric of the ensemble of `members` members at one volume.

    `se` is NaN if the volume has a single member: rows alone don't show the members' spread. `dropped`: the volume
    lacks some of the members that others have (it was dropped from the search); its sizes end at what it has.
    """

    members: int
    volume: int
    metric: str
    value: float
    se: float
    se_rows: float
    dropped: bool = False


def estimate_surface(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    task: str,
    volumes: ArrayLike,
    seed: int = 0,
    metrics: list[str] | None = None,
    clusters: np.ndarray | None = None,
) -> list[Cell]:
    """Every metric of every ensemble size at every volume.

    Args:
        predictions: (members, volumes, rows, classes); NaN for a cell that was not computed.
        truth: (rows,) class codes or values.
        task: "classification" or "regression".
        volumes: (volumes,) synthetic rows per member.
        seed: the study's; it decides which subsets are averaged where there are too many.
        metrics: names in METRICS; default all of the task.
        clusters: (rows,) codes of rows that belong together, whose errors are taken over clusters.

    Returns:
        Cells ordered by volume, metric, ensemble size. A volume without any finished member has none.
    """
    cells, y, task, sizes = check_cells(predictions, truth, task=task, volumes=volumes)
    names = [check_metric(name, task) for name in metrics] if metrics is not None else list(metric_names(task))
    finished = finished_members(cells)
    most = int(finished.sum(axis=0).max())
    if most == 0:
        raise InputError("predictions", "no finished cell", "at least one member at one volume")
    surface = []
    for column, volume in enumerate(sizes):
        members = cells[finished[:, column], column]  # (K, N, C)
        if len(members):
            dropped = len(members) < most
            at = {"volume": int(volume), "dropped": dropped}
            surface += _volume_cells(members, y, names, seed=seed, clusters=clusters, **at)
    return surface


def _volume_cells(
    members: np.ndarray,
    y: np.ndarray,
    metrics: list[str],
    *,
    volume: int,
    dropped: bool,
    seed: int,
    clusters: np.ndarray | None,
) -> list[Cell]:
    averaged = subset_averages(members, y, [name for name in metrics if METRICS[name].law is None], seed=seed)
    bases = {name: METRICS[name].law or name for name in metrics}
    pairs = {base: _ends(base, members, y, clusters) for base in set(bases.values())}
    surface = []
    for metric in metrics:
        ends = pairs[bases[metric]]
        for size in range(1, len(members) + 1):
            law_value, se, se_rows = _from_ends(metric, ends, size, y)
            at_end = size in (1, len(members))  # there the ends are exact, and equal to `metrics_of`
            value = law_value if METRICS[metric].law or at_end else float(averaged[metric][size - 1])
            surface.append(Cell(size, volume, metric, value, se, se_rows, dropped))
    return surface


@dataclass(frozen=True)
class _LossEnds:
    """A loss at K = 1 and at K = all: row contributions (2, N) and the covariance of the two (2, 2)."""

    full: np.ndarray
    spread: TwoWay
    n_members: int

    def weights(self, size: int) -> np.ndarray:
        """The share of either end in R(size), linear in 1/K."""
        if self.n_members == 1:
            return np.array([0.0, 1.0])
        share = (1 / size - 1 / self.n_members) / (1 - 1 / self.n_members)
        return np.array([share, 1 - share])


def _ends(base: str, members: np.ndarray, y: np.ndarray, clusters: np.ndarray | None) -> _LossEnds:
    ensemble = contributions(base, ensemble_mean(members), y)
    single = contributions(base, members, y)
    full = np.stack([single.mean(axis=0), ensemble])
    if len(members) == 1:
        return _LossEnds(full, two_way(by_cluster(full, clusters), None), 1)
    without = contributions(base, leave_one_out_means(members), y)
    pseudo = np.stack([single, pseudo_values(ensemble, without)], axis=1)
    return _LossEnds(full, two_way(by_cluster(full, clusters), by_cluster(pseudo, clusters)), len(members))


def _from_ends(metric: str, ends: _LossEnds, size: int, y: np.ndarray) -> tuple[float, float, float]:
    """Value (by the law), se and se_rows of a metric at one ensemble size."""
    weights = ends.weights(size)
    value = float(weights @ ends.full.mean(axis=1))
    se, se_rows = ends.spread.error(weights), ends.spread.error_rows(weights)
    from_law = METRICS[metric].from_law
    if from_law is not None:
        return from_law(Expected(weights @ ends.full, value, se, se_rows), y)
    return value, se, se_rows
