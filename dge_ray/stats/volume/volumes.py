"""The risks of all volumes side by side: estimates, their joint covariance, and draws from it.

Volumes are nested and share members and rows, so their errors are strongly correlated: everything that compares
volumes goes through the covariance, never through each cell's own error.
"""

from dataclasses import dataclass

import numpy as np

from dge_ray.errors import InputError
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.clusters import by_cluster
from dge_ray.stats.ensemble.combine import ensemble_mean, finished_members, leave_one_out_means
from dge_ray.stats.metrics.losses import contributions, higher_is_better
from dge_ray.stats.twoway import TwoWay, pseudo_values, two_way


@dataclass(frozen=True)
class VolumeRisks:
    """R(K, m) over the kept volumes: lower is better (a metric to be maximised enters with its sign changed)."""

    risks: np.ndarray  # (V,)
    spread: TwoWay  # of the V risks
    kept: np.ndarray  # (V,) their places in the grid
    n_members: int

    def contrast(self, a: int, b: int) -> np.ndarray:
        """Weights of R(a) - R(b)."""
        weights = np.zeros(len(self.risks))
        weights[a] += 1.0
        weights[b] -= 1.0
        return weights

    def paired_deviations(self) -> np.ndarray:
        """Deviations of R(a) - R(b), paired on members and rows. Shape: -> (V, V)."""
        count = len(self.risks)
        return np.array([[self.spread.deviation(self.contrast(a, b)) for b in range(count)] for a in range(count)])

    def draws(self, count: int, *, seed: int) -> np.ndarray:
        """Draws of the estimation error of all risks jointly. Shape: -> (count, V).

        Rows: normal. Members: multivariate t with K - 1 degrees of freedom, because their covariance is estimated
        from K pseudo-values; one scale a draw, so every contrast is a t.
        """
        generator = numpy_generator(seed, Purpose.INTERVAL)
        width = len(self.risks)
        errors = generator.standard_normal((count, width)) @ root(self.spread.rows)
        if self.n_members > 1:
            freedom = self.n_members - 1
            scale = np.sqrt(freedom / generator.chisquare(freedom, size=count))
            normal = generator.standard_normal((count, width)) @ root(self.spread.added_by_members())
            errors += scale[:, None] * normal
        return errors


def root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def volume_curves(
    cells: np.ndarray, y: np.ndarray, metric: str, clusters: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Row contributions and members' pseudo-values of the risks at all members; volumes lacking a member (dropped) are
    left out.

    Args:
        cells: (K, M, N, C) float64, NaN where not computed; members without any finished cell are not counted.
        y: (N,).
        metric: a name in METRICS; one to be maximised enters with its sign changed.
        clusters: (N,) codes of rows that belong together; N below is then their number.

    Returns:
        full (V, N), pseudo (K, V, N) or None with a single member, and the kept volumes' places (V,).
    """
    members, kept = complete_members(cells)
    sign = -1.0 if higher_is_better(metric) else 1.0
    full = by_cluster(sign * contributions(metric, ensemble_mean(members), y), clusters)
    if np.isnan(full).any():
        raise InputError("metric", metric, "rows on which it is defined (more than one class, a target that varies)")
    if len(members) == 1:
        return full, None, kept
    without = by_cluster(sign * contributions(metric, leave_one_out_means(members), y), clusters)
    return full, pseudo_values(full, without), kept


def complete_members(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The members that have any cell at the volumes that all of these have, and those volumes' places.

    Shape: (K, M, N, C) -> (K', V, N, C), (V,).
    """
    finished = finished_members(cells)
    used = finished.any(axis=1)
    kept = np.flatnonzero(finished[used].all(axis=0)) if used.any() else np.array([], dtype=int)
    if len(kept) == 0:
        raise InputError("predictions", "no volume that every member has finished", "at least one")
    return cells[used][:, kept], kept


def volume_risks(cells: np.ndarray, y: np.ndarray, metric: str, clusters: np.ndarray | None = None) -> VolumeRisks:
    """The risks at all members of the volumes that have them all. Arguments as in `volume_curves`."""
    full, pseudo, kept = volume_curves(cells, y, metric, clusters)
    return VolumeRisks(full.mean(axis=1), two_way(full, pseudo), kept, 1 if pseudo is None else len(pseudo))
