"""Errors of statistics along the volumes, for laws that are fitted to them.

What K members say of a V x V covariance is of rank K - 1, so in some directions it has no error at all by chance: least
squares would believe those directions, and intervals from 4 members held in .67 to .85 of simulations. The members'
part is therefore smoothed: the variance at each volume as it is, correlations as rho to the power of the distance in
doublings. That is the form that nested rows have (a running mean over prefixes is Markov). Rows are many; their part
stays as estimated. The members' variance is not lessened by what rows and members share, which errs on the wide side.
Where volumes lie closer than half a doubling, neighbours also differ by what each fit has of its own (a learner is no
smooth function of its rows), so there the correlation is a share of that power, both fitted to all pairs.
"""

from dataclasses import dataclass

import numpy as np

from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.twoway import TwoWay
from dge_ray.stats.volume.volumes import root

CLOSE = 0.5  # doublings
RHOS = np.linspace(0.01, 1.0, 100)


@dataclass(frozen=True)
class CurveErrors:
    """Covariances (T, T) of T statistics over rows and, smoothed, over members."""

    rows: np.ndarray
    members: np.ndarray
    n_members: int

    @property
    def total(self) -> np.ndarray:
        return self.rows + self.members

    def draws(self, count: int, *, seed: int, extra: float = 0.0) -> np.ndarray:
        """Draws of the errors: rows normal, members multivariate t with K - 1 degrees of freedom, and independent
        errors of variance `extra` at each statistic. Shape: -> (count, T)."""
        generator, width = numpy_generator(seed, Purpose.INTERVAL), len(self.rows)
        errors = generator.standard_normal((count, width)) @ root(self.rows)
        freedom = self.n_members - 1
        scale = np.sqrt(freedom / generator.chisquare(freedom, size=count))
        errors += scale[:, None] * (generator.standard_normal((count, width)) @ root(self.members))
        return errors + np.sqrt(extra) * generator.standard_normal((count, width))


def curve_errors(spread: TwoWay, volumes: np.ndarray, blocks: int = 1) -> CurveErrors:
    """The errors of `blocks` curves over the volumes, one after the other, and of what stands behind them, which
    members have no part in. Members' errors of two curves are taken as independent, their rows' errors as they are.

    Args:
        spread: of blocks x V statistics or more, with 2 members or more.
        volumes: (V,) ascending.
    """
    steps, width = np.log2(volumes), len(volumes)
    smooth = np.zeros_like(spread.members)
    for at in range(0, blocks * width, width):
        part = spread.members[at : at + width, at : at + width]
        smooth[at : at + width, at : at + width] = _smoothed(part, steps)
    return CurveErrors(spread.rows, smooth, spread.n_members)


def _smoothed(covariance: np.ndarray, steps: np.ndarray) -> np.ndarray:
    deviation = np.sqrt(np.diag(covariance))
    if len(steps) < 2 or not deviation.all():  # members that agree at some volume: nothing to smooth there
        return covariance
    correlation = np.clip(covariance / np.outer(deviation, deviation), 0.0, 0.999)
    if np.diff(steps).min() < CLOSE:
        shared, rho = _decay(correlation, steps)
    else:
        shared, rho = 1.0, float(np.mean(np.diag(correlation, 1) ** (1 / np.diff(steps))))
    smooth = shared * rho ** np.abs(steps[:, None] - steps)
    np.fill_diagonal(smooth, 1.0)
    return np.outer(deviation, deviation) * smooth


def _decay(correlation: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
    """(share, rho) of share * rho ** distance, by least squares over all pairs."""
    first, second = np.triu_indices(len(steps), 1)
    powers = RHOS[:, None] ** (steps[second] - steps[first])
    seen = correlation[first, second]
    shares = np.clip(powers @ seen / (powers**2).sum(axis=1), 0.0, 1.0)
    best = int(((shares[:, None] * powers - seen) ** 2).sum(axis=1).argmin())
    return float(shares[best]), float(RHOS[best])
