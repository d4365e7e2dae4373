"""The recommendation: the cheapest cell (K, m) of the surface that is known to be within a margin of the best.

"The best" is the ensemble of all members at its best volume. Of each cell the excess R(K, m) - min over v of
R(all members, v) has an upper bound that holds for all v at once (one-sided multiple comparison with the best), over
new members and new rows, from draws of the joint error of all cells: between K = 1 and K = all a cell's error is taken
as linear in 1/K, as in `surface`. Of the cells whose bound is under the margin the cheapest is taken.

Where no cell has such a bound nothing is told. The choice is then the smallest safe one: the cheapest cell whose bound
is above the least bound of all by half a margin, or a tenth of that bound, at most. What it may cost against the best
is about as little as can be promised. How often the excess is within the margin: experiments/coverage.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError
from dge_ray.stats.clusters import by_cluster
from dge_ray.stats.ensemble.combine import check_cells, ensemble_mean, leave_one_out_means
from dge_ray.stats.metrics.losses import check_metric, contributions, higher_is_better
from dge_ray.stats.twoway import pseudo_values, two_way
from dge_ray.stats.volume.surface import estimate_surface
from dge_ray.stats.volume.volumes import VolumeRisks, complete_members

DRAWS = 2000


@dataclass(frozen=True)
class Recommendation:
    """One cell of the grid and what is known of it. Risks are the metric's own values on the rows given.

    `excess`: the cell's risk less the best's (lower is better; a metric to be maximised has its sign changed), and its
    upper bound; `told`: the bound is within the margin. `price`, `best_price`: of the cell and of the best one, in the
    units of the prices. `rows_needed`, `members_needed`: rough numbers at which the best cell would be known to be
    within the margin, the other as it is, None where that alone cannot; `both_needed`: (rows, members) together. All
    None where told. `rows`: those there are, or clusters of them.
    """

    members: int
    volume: int
    price: float
    told: bool
    excess: tuple[float, float]
    margin: float
    metric: str
    risk: float
    best_members: int
    best_volume: int
    best_price: float
    rows: int
    rows_needed: int | None
    members_needed: int | None
    both_needed: tuple[int, int] | None


def recommend(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    task: str,
    volumes: ArrayLike,
    prices: ArrayLike,
    margin: float,
    metric: str | None = None,
    clusters: np.ndarray | None = None,
    seed: int = 0,
    level: float = 0.95,
    draws: int = DRAWS,
) -> Recommendation:
    """The cheapest cell known to be within `margin` of the best, or the smallest safe choice.

    Args:
        predictions: (members, volumes, rows, classes) on validation rows; volumes that some member lacks are left out.
        truth: (rows,).
        task: "classification" or "regression".
        volumes: (volumes,) ascending.
        prices: (volumes,) of one member at each volume, 0 or more; all in one unit, say CPU-seconds.
        margin: what may be lost, in units of the metric.
        metric: default the task's selection metric.
        clusters: (rows,) codes of rows that belong together, whose errors are taken over clusters.
        seed: the study's.
        level: of the one-sided bounds.
        draws: joint draws behind them.
    """
    cells, y, task, grid = check_cells(predictions, truth, task=task, volumes=volumes)
    metric = check_metric(metric, task)
    each = np.asarray(prices, dtype=np.float64)
    if each.shape != grid.shape or not (each >= 0).all():
        raise InputError("prices", f"{each.tolist()}", f"{len(grid)} prices from 0, one a volume")
    if not margin >= 0:
        raise InputError("margin", repr(margin), "a number from 0")
    members, kept = complete_members(cells)
    surface = _Surface.of(members, y, metric, clusters, volumes=grid[kept], task=task, seed=seed)
    bounds, quantile = surface.bounds(seed=seed, level=level, draws=draws)
    cost = np.arange(1, len(members) + 1)[:, None] * each[kept]
    least = float(bounds.min())
    told = least <= margin
    reach = margin if told else least + max(margin / 2, least / 10)
    place = _cheapest(cost, bounds <= reach, surface.risks)
    best = int(np.argmin(surface.risks[-1]))
    sign = -1.0 if higher_is_better(metric) else 1.0
    needed = (None, None, None) if told else surface.needed(margin, quantile)
    return Recommendation(
        members=place[0] + 1,
        volume=int(grid[kept][place[1]]),
        price=float(cost[place]),
        told=told,
        excess=(float(surface.risks[place] - surface.risks[-1, best]), float(bounds[place])),
        margin=margin,
        metric=metric,
        risk=float(sign * surface.risks[place]),
        best_members=len(members),
        best_volume=int(grid[kept][best]),
        best_price=float(cost[-1, best]),
        rows=surface.joint.spread.n_rows,
        rows_needed=needed[0],
        members_needed=needed[1],
        both_needed=needed[2],
    )


def _cheapest(cost: np.ndarray, allowed: np.ndarray, risks: np.ndarray) -> tuple[int, int]:
    """Of equally cheap ones that of the least risk."""
    least = np.where(allowed, cost, np.inf).min()
    place = np.unravel_index(np.where(allowed & (cost == least), risks, np.inf).argmin(), cost.shape)
    return int(place[0]), int(place[1])


@dataclass(frozen=True)
class _Surface:
    """Risks (K, V), lower is better, and the joint errors of the 2 V ends: R(1, m) at every volume, then R(all, m)."""

    risks: np.ndarray
    joint: VolumeRisks

    @classmethod
    def of(
        cls,
        members: np.ndarray,
        y: np.ndarray,
        metric: str,
        clusters: np.ndarray | None,
        *,
        volumes: np.ndarray,
        task: str,
        seed: int,
    ) -> "_Surface":
        """Shape: members (K, V, N, C)."""
        sign = -1.0 if higher_is_better(metric) else 1.0
        found = estimate_surface(members, y, task=task, volumes=volumes, seed=seed, metrics=[metric])
        risks = sign * np.array([cell.value for cell in found]).reshape(len(volumes), len(members)).T
        single = sign * contributions(metric, members, y)
        whole = sign * contributions(metric, ensemble_mean(members), y)
        full = by_cluster(np.concatenate([single.mean(axis=0), whole]), clusters)
        pseudo = None
        if len(members) > 1:
            without = sign * contributions(metric, leave_one_out_means(members), y)
            pseudo = by_cluster(np.concatenate([single, pseudo_values(whole, without)], axis=1), clusters)
        spread = two_way(full, pseudo)
        return cls(risks, VolumeRisks(full.mean(axis=1), spread, np.arange(len(full)), len(members)))

    def _weights(self, size: int, volume: int) -> np.ndarray:
        """A cell as a sum of the ends, linear in 1/K."""
        sizes, count = self.risks.shape
        share = 0.0 if sizes == 1 else (1 / size - 1 / sizes) / (1 - 1 / sizes)
        weights = np.zeros(2 * count)
        weights[volume], weights[count + volume] = share, 1 - share
        return weights

    def bounds(self, *, seed: int, level: float, draws: int) -> tuple[np.ndarray, float]:
        """Each cell's upper bound of its excess (K, V), and the best cell's quantile of its largest error."""
        sizes, count = self.risks.shape
        errors = self.joint.draws(draws, seed=seed)
        bounds, quantiles = np.zeros((sizes, count)), np.zeros((sizes, count))
        for size in range(1, sizes + 1):
            for volume in range(count):
                own = self._weights(size, volume)
                apart = [own - self._weights(sizes, other) for other in range(count)]
                deviations = np.array([self.joint.spread.deviation(weights) for weights in apart])
                varying = deviations > 0
                at = (size - 1, volume)
                if varying.any():
                    drawn = errors @ np.array(apart)[varying].T / deviations[varying]
                    quantiles[at] = max(float(np.quantile(drawn.max(axis=1), level)), 0.0)
                bounds[at] = (self.risks[at] - self.risks[-1] + quantiles[at] * deviations).max()
        return bounds, float(quantiles[-1, int(np.argmin(self.risks[-1]))])

    def needed(self, margin: float, quantile: float) -> tuple[int | None, int | None, tuple[int, int] | None]:
        """Rows alone, members alone, and both together, at which the best cell's bound would be the margin, if the
        estimates are near the truth: for each rival volume as far as it is the one that decides."""
        best, spread = int(np.argmin(self.risks[-1])), self.joint.spread
        sizes, count = self.risks.shape
        rows_alone, members_alone, factor = [1.0], [1.0], 1.0
        for other in range(count):
            weights = self._weights(sizes, best) - self._weights(sizes, other)
            rows, members = spread.parts(weights)
            reach = margin + float(self.risks[-1, other] - self.risks[-1, best])
            goal = (reach / quantile) ** 2
            if rows + members <= goal:
                continue
            rows_alone.append(rows / (goal - members) if goal > members else np.inf)
            members_alone.append(members / (goal - rows) if goal > rows else np.inf)
            factor = max(factor, (rows + members) / goal if goal > 0 else np.inf)
        most = [max(rows_alone) * spread.n_rows, max(members_alone) * spread.n_members]
        alone = [int(np.ceil(one)) if np.isfinite(one) else None for one in most]
        if not np.isfinite(factor):
            return alone[0], alone[1], None
        return alone[0], alone[1], (int(np.ceil(factor * spread.n_rows)), int(np.ceil(factor * spread.n_members)))
