"""The reflection point: the volume with the least risk, how far that is known, and what to do if it isn't.

Interval. Errors of all volumes are drawn jointly around the estimates (rows normal, members multivariate t: see
`volumes`). A volume is rejected as best when its paired distance above some other volume is larger than the level
allows for the *largest* of such distances under equality (multiple comparison with the best: Hsu 1981). The volumes not
rejected, the candidates, hold the true reflection point with the given level on any surface, and the interval runs from
the first of them to the last. Where a search has fitted a part of the grid, the same is done with draws of the smooth
curve over the whole grid (`smooth_curve`), and the interval holds both. Coverage: experiments/coverage.

Status. `interior`: neither end of the grid is among the volumes not rejected. `not_reached`: the largest is, and the
last doubling still gains significantly. `plateau`: the largest is, and the upper bound of that gain is under the
tolerance. `undecided`: anything else, with the rows or members that would decide.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.stats.clusters import by_cluster
from dge_ray.stats.ensemble.combine import check_cells, ensemble_mean, leave_one_out_means
from dge_ray.stats.intervals import FEWEST_MEMBERS, over_fits, over_rows
from dge_ray.stats.metrics.losses import check_metric, contributions, higher_is_better
from dge_ray.stats.metrics.metric_interval import metric_interval
from dge_ray.stats.twoway import pseudo_values
from dge_ray.stats.volume.smooth_curve import FEWEST_VOLUMES, curve_draws
from dge_ray.stats.volume.volumes import VolumeRisks, volume_risks

DRAWS = 4000


@dataclass(frozen=True)
class ReflectionPoint:
    """Where the risk of the whole ensemble is least over the grid of volumes.

    `value` is the metric there *on the rows given*: the minimum over volumes, so optimistic; report `risk_interval`
    on test rows in its place. `candidates` are the volumes not rejected as best, `interval` is their range. `gain` is
    what the last doubling of the volume took off the risk (lower is better; a metric to be maximised has its sign
    changed), with a two-sided interval, or None with a single volume. `rows_needed` and `members_needed` are rough
    numbers that would decide, None where the status is decided or where that alone cannot.
    """

    volume: int
    index: int  # place of `volume` in the grid given
    interval: tuple[int, int]
    status: str  # interior | plateau | not_reached | undecided
    smallest_within_one_se: int
    metric: str
    value: float
    members: int
    level: float
    candidates: tuple[int, ...]
    dropped: tuple[int, ...]  # volumes left out, because a member lacks them
    gain: tuple[float, float, float] | None
    rows_needed: int | None
    members_needed: int | None
    advice: str


def reflection_point(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    task: str,
    volumes: ArrayLike,
    grid: ArrayLike | None = None,
    clusters: np.ndarray | None = None,
    metric: str | None = None,
    tolerance: float = 0.005,
    seed: int = 0,
    level: float = 0.95,
    looks: int = 1,
    draws: int = DRAWS,
) -> ReflectionPoint:
    """The reflection point of the ensemble of all members, given this train split.

    Args:
        predictions: (members, volumes, rows, classes) on validation rows; NaN for a cell that was not computed.
            Volumes that some member lacks are left out; a member without any cell is not counted.
        truth: (rows,).
        task: "classification" or "regression".
        volumes: (volumes,) ascending.
        grid: ascending, all volumes that could have been fitted, where a search has fitted some of them alone: the
            interval is then about the best volume of the grid.
        clusters: (rows,) codes of rows that belong together, whose errors are taken over clusters.
        metric: default the task's selection metric.
        tolerance: a gain under this share of the best risk is not worth a doubling.
        seed: the study's.
        level: of the interval and of the tests behind the status.
        looks: grids that were looked at, as of several learners, where the best one's point is told: candidates and
            interval hold for all of them at once (Bonferroni), and so for whichever is chosen.
        draws: joint draws behind the interval.

    With a single member the members' spread is unknown: the interval is over rows only, and `advice` says so.
    """
    cells, y, task, sizes = check_cells(predictions, truth, task=task, volumes=volumes)
    metric = check_metric(metric, task)
    if not 0.5 < level < 1:
        raise InputError("level", repr(level), "a number between 0.5 and 1")
    if not tolerance >= 0:
        raise InputError("tolerance", repr(tolerance), "a share of the risk, 0 or more")
    curve = volume_risks(cells, y, metric, clusters)
    kept, best = sizes[curve.kept], int(np.argmin(curve.risks))
    of_each = 1 - (1 - level) / looks
    not_rejected = best_set(curve, seed=seed, level=of_each, draws=draws)
    ends = _GridEnds(curve, kept, not_rejected, best, level, tolerance)
    status, rows, members, advice = ends.status()
    if curve.n_members == 1:
        advice += ". One member: the interval is over rows only, the spread between members is not in it"
    within = [curve.risks[i] - curve.risks[best] <= _paired_error(curve, i, best) for i in range(len(kept))]
    held = [*kept[not_rejected], *_between(curve, kept, grid, seed=seed, level=of_each, draws=draws)]
    sign = -1.0 if higher_is_better(metric) else 1.0
    return ReflectionPoint(
        volume=int(kept[best]),
        index=int(curve.kept[best]),
        interval=(int(min(held)), int(max(held))),
        status=status,
        smallest_within_one_se=int(kept[int(np.argmax(within))]),
        metric=metric,
        value=float(sign * curve.risks[best]),
        members=curve.n_members,
        level=level,
        candidates=tuple(int(v) for v in kept[not_rejected]),
        dropped=tuple(int(v) for v in sizes if v not in kept),
        gain=ends.gain_interval(),
        rows_needed=rows,
        members_needed=members,
        advice=advice,
    )


def best_set(curve: VolumeRisks, *, seed: int, level: float = 0.95, draws: int = DRAWS) -> np.ndarray:
    """Which volumes are not rejected as best; the truly best one is among them with probability `level`.

    Shape: -> (V,) bool.
    """
    return _not_rejected(curve.risks, curve.draws(draws, seed=seed), curve.paired_deviations(), level)


def _not_rejected(risks: np.ndarray, errors: np.ndarray, deviations: np.ndarray, level: float) -> np.ndarray:
    """Which of some risks may be the least. Shape: (V,), (draws, V), (V, V) -> (V,) bool."""
    count = len(risks)
    keep = np.ones(count, dtype=bool)
    for volume in range(count):
        # two volumes with equal predictions have no distance to test: such a pair says nothing
        others = [o for o in range(count) if o != volume and deviations[volume, o] > 0]
        if not others:
            continue
        distance = (risks[volume] - risks[others]) / deviations[volume, others]
        largest = ((errors[:, [volume]] - errors[:, others]) / deviations[volume, others]).max(axis=1)
        keep[volume] = distance.max() <= np.quantile(largest, level)
    keep[int(np.argmin(risks))] = True
    return keep


def _between(
    curve: VolumeRisks, kept: np.ndarray, grid: ArrayLike | None, *, seed: int, level: float, draws: int
) -> list[int]:
    """The volumes of the grid that the smooth curve does not reject as best; none where all of it was fitted."""
    every = kept if grid is None else np.asarray(grid, dtype=np.int64)
    every = every[(every >= kept[0]) & (every <= kept[-1])]
    if len(every) == len(kept) or len(kept) < FEWEST_VOLUMES or kept[0] == 0:  # raw rows alone are on no curve
        return []
    mean, drawn = curve_draws(curve, kept, every, seed=seed, draws=draws)
    apart = drawn - mean
    covariance = np.cov(apart.T)
    own = np.diag(covariance)
    squares = own[:, None] + own - 2 * covariance
    deviations = np.sqrt(np.where(squares > 1e-12 * own.max(), squares, 0.0))
    return [int(v) for v in every[_not_rejected(mean, apart, deviations, level)]]


def risk_interval(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    task: str,
    metric: str | None = None,
    level: float = 0.95,
    clusters: np.ndarray | None = None,
) -> tuple[float, float, float]:
    """(value, lo, hi) of a metric of one volume's ensemble, read on rows that played no part in choosing the volume.

    Over new members and new rows, given this train split; over rows alone with fewer than three members. See
    `intervals` for how it is made.

    Shape: predictions (members, rows, classes), truth (rows,).
    """
    cell = np.asarray(predictions, dtype=np.float64)
    cells, y, task, _ = check_cells(cell[:, None] if cell.ndim == 3 else cell, truth, task=task)
    metric = check_metric(metric, task)
    full, pseudo = ensemble_contributions(cells[:, 0], y, metric, clusters)
    others = [] if pseudo is None else [over_fits(pseudo, over_rows(full))]
    return float(full.mean()), *metric_interval(metric, full, y, others, level=level, clusters=clusters)


def ensemble_contributions(
    members: np.ndarray, y: np.ndarray, metric: str, clusters: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The ensemble's row contributions, and the members' pseudo-values where there are enough for an interval.

    Shape: (K, N, C), (N,) -> (N,), (K, N) or None.
    """
    full = by_cluster(contributions(metric, ensemble_mean(members), y), clusters)
    if len(members) < FEWEST_MEMBERS:
        return full, None
    without = by_cluster(contributions(metric, leave_one_out_means(members), y), clusters)
    return full, pseudo_values(full, without)


def _paired_error(curve: VolumeRisks, a: int, b: int) -> float:
    """The paired error of R(a) - R(b), over rows alone with a single member."""
    weights = curve.contrast(a, b)
    return curve.spread.error(weights) if curve.n_members > 1 else curve.spread.error_rows(weights)


@dataclass(frozen=True)
class _GridEnds:
    """What the ends of the grid say about the surface."""

    curve: VolumeRisks
    kept: np.ndarray
    not_rejected: np.ndarray
    best: int
    level: float
    tolerance: float

    def _half(self) -> int:
        """Place of the volume that the last doubling starts from: the nearest to half the largest, on the log scale."""
        return int(np.argmin(np.abs(np.log(np.maximum(self.kept[:-1], 1)) - np.log(self.kept[-1] / 2))))

    def _gain(self) -> tuple[float, np.ndarray]:
        weights = self.curve.contrast(self._half(), len(self.kept) - 1)
        return float(weights @ self.curve.risks), weights

    def gain_interval(self) -> tuple[float, float, float] | None:
        """(gain, lo, hi) of the last doubling, two-sided."""
        if len(self.kept) < 2:
            return None
        gain, weights = self._gain()
        half = self.curve.spread.half_width(weights, self.level)
        return gain, gain - half, gain + half

    def status(self) -> tuple[str, int | None, int | None, str]:
        """(status, rows that would decide, members that would decide, one line of advice)."""
        if len(self.kept) < 2 and not self.kept[0]:
            return "undecided", None, None, "the raw rows alone leave no volume to choose"
        if len(self.kept) < 2:
            return "undecided", None, None, "a single volume says nothing about the shape: give at least three ratios"
        first, last = bool(self.not_rejected[0]), bool(self.not_rejected[-1])
        if not first and not last:
            return "interior", None, None, "the best volume lies inside the grid"
        gain, weights = self._gain()
        bound = self.tolerance * abs(self.curve.risks[self.best])
        half = self.curve.spread.half_width(weights, 2 * self.level - 1)  # of a one-sided test at `level`
        steps = f"from {self.kept[self._half()]} to {self.kept[-1]} rows a member"
        if last and gain - half > 0:
            worth = "over" if gain > bound else "under"
            return "not_reached", None, None, f"going {steps} still gains ({worth} the tolerance): try larger ratios"
        if last and gain + half < bound:
            return "plateau", None, None, f"going {steps} gains less than {self.tolerance:.1%} of the risk"
        return self._undecided(first, last, gain, weights, bound)

    def _undecided(
        self, first: bool, last: bool, gain: float, weights: np.ndarray, bound: float
    ) -> tuple[str, int | None, int | None, str]:
        """Which one contrast would decide with the fewest rows or members, if its estimate is near the truth."""
        if last:
            # either the gain proves positive, or it proves to be under the tolerance
            contrasts = [(gain, weights)] if gain > 0 else []
            contrasts += [(bound - gain, weights)] if gain < bound else []
            question = "whether the last doubling gains"
        elif self.kept[self.best] == 0:
            return "undecided", None, None, "no volume of synthetic rows beside the raw ones is known to do better"
        elif self.best == 0:
            return "undecided", None, None, "the smallest volume of the grid does best: try smaller ratios"
        else:
            contrasts = [(self.curve.risks[0] - self.curve.risks[self.best], self.curve.contrast(0, self.best))]
            question = "whether the smallest volume is worse than the best"
        rows = min(filter(None, (self._needed(*c, of="rows") for c in contrasts)), default=None)
        members = min(filter(None, (self._needed(*c, of="members") for c in contrasts)), default=None)
        ways = [f"about {rows} rows (now {self.curve.spread.n_rows})"] if rows else []
        ways += [f"about {members} members (now {self.curve.n_members})"] if members else []
        cure = " or ".join(ways) + " would decide" if ways else "only more rows and more members together would decide"
        return "undecided", rows, members, f"{question} is not known: {cure}"

    def _needed(self, distance: float, weights: np.ndarray, *, of: str) -> int | None:
        """Rows (or members) at which a contrast of this size would be told from zero, the other source as it is."""
        rows, members = self.curve.spread.parts(weights)
        goal = (distance / float(student.ppf(self.level, self.curve.spread.freedom(weights)))) ** 2
        grow, stay, now = (rows, members, self.curve.spread.n_rows)
        if of == "members":
            grow, stay, now = members, rows, self.curve.n_members
        if goal <= stay or grow == 0:
            return None
        return max(int(np.ceil(now * grow / (goal - stay))), now + 1)
