"""Which volumes of a grid are worth fitting: coarse to fine, a part of the grid in place of all of it.

First a few volumes, even on the log scale, both ends among them. Then rounds: the smooth curve through the risks at
hand is drawn on the whole grid (`smooth_curve`), and each draw's least volume noted. Where many draws put the best in a
gap between volumes that are done, the gap is halved at the median of those draws. It ends when few draws put the best
at a volume that is not done, or when the share of the grid that may be fitted is used up: on a flat curve every volume
stays a candidate, and no search of any length would tell them apart.

A pure function of the predictions: a search that was cut off takes the same steps again, from files.
"""

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.combine import check_cells
from dge_ray.stats.metrics.losses import check_metric
from dge_ray.stats.volume.smooth_curve import curve_draws
from dge_ray.stats.volume.volumes import volume_risks

SHARE = 0.4  # of the grid's volumes, at most
COARSE = 5  # volumes of the first round, and the least that are ever allowed
A_ROUND = 3  # volumes, to be fitted side by side
LEFT = 0.05  # of the draws may put the best elsewhere


def most_volumes(count: int) -> int:
    """How many volumes of a grid of `count` are fitted at most.

    >>> most_volumes(31), most_volumes(8), most_volumes(3)
    (12, 5, 3)
    """
    return min(count, max(COARSE, int(SHARE * count)))


def coarse_volumes(grid: ArrayLike) -> list[int]:
    """The first round: both ends, and volumes between them that are even on the log scale.

    >>> coarse_volumes(range(100, 3001, 100))
    [100, 200, 600, 1300, 3000]
    """
    volumes = np.asarray(grid, dtype=np.float64)
    wanted = np.geomspace(volumes[0], volumes[-1], COARSE)
    places = {int(np.abs(np.log(volumes / w)).argmin()) for w in wanted}
    for place in range(len(volumes)):  # few or unevenly spread volumes: two may fall on one place
        if len(places) < min(COARSE, len(volumes)):
            places.add(place)
    return [int(volumes[place]) for place in sorted(places)]


def next_volumes(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    task: str,
    volumes: ArrayLike,
    grid: ArrayLike,
    metric: str | None = None,
    seed: int = 0,
) -> list[int]:
    """The volumes to fit next, ascending; empty once the search is over.

    Args:
        predictions: (members, volumes, rows, classes) on validation rows, of the volumes done.
        truth: (rows,).
        volumes: (volumes,) those done, ascending.
        grid: (M,) all that may be fitted, ascending.
        metric: default the task's selection metric.
    """
    cells, y, task, done = check_cells(predictions, truth, task=task, volumes=volumes)
    every = np.asarray(grid, dtype=np.int64)
    if not np.isin(done, every).all():
        raise InputError("volumes", "volumes outside the grid", "volumes of the grid")
    room = most_volumes(len(every)) - len(done)
    if room <= 0 or len(done) == len(every):
        return []
    curve = volume_risks(cells, y, check_metric(metric, task))
    _, drawn = curve_draws(curve, done[curve.kept], every, seed=seed)
    shares = np.bincount(drawn.argmin(axis=1), minlength=len(every)) / len(drawn)
    shares[np.isin(every, done)] = 0.0
    if shares.sum() < LEFT:
        return []
    return sorted(int(every[place]) for place in _halves(shares, np.isin(every, done), min(room, A_ROUND)))


def _halves(shares: np.ndarray, done: np.ndarray, count: int) -> list[int]:
    """Up to `count` places: of the gap that holds most of the draws its median, then of what is left the same."""
    done, picked = done.copy(), []
    while len(picked) < count and shares[~done].sum() > 0:
        edges = np.flatnonzero(np.diff(np.r_[False, ~done, False].astype(int)))
        gaps = [np.arange(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        gap = max(gaps, key=lambda places: shares[places].sum())
        middle = int(gap[np.searchsorted(np.cumsum(shares[gap]), shares[gap].sum() / 2)])
        picked.append(middle)
        done[middle] = True
    return picked
