"""The learning-curve law R(m) = D m^-a + C over the volumes, with intervals: what more rows can still bring, and what
only a better generator can.

Mikami et al. 2022 (`utility.md` 7) fit it to synthetic pre-training; D m^-a is what the learner has yet to gain from
rows, C the floor that no number of rows gets under: the generator's own gap, and what the ensemble of this size keeps
of the members' spread. Fitted by generalized least squares, since volumes are nested prefixes that share members and
rows (`curve_errors`); coverage: experiments/dge2023/README.md. The law falls by its form, so where the curve rises
significantly it is refused, and where its exponent runs to an end of what is tried, or nothing is left to gain that
could be told from 0, it is called unidentified: the floor may then still be known, the exponent isn't.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.combine import check_cells
from dge_ray.stats.metrics.losses import check_metric, contributions, higher_is_better
from dge_ray.stats.projection import project, with_misfit
from dge_ray.stats.twoway import two_way
from dge_ray.stats.volume.curve_errors import curve_errors
from dge_ray.stats.volume.reflection import best_set
from dge_ray.stats.volume.volumes import VolumeRisks, volume_curves

EXPONENTS = np.geomspace(0.05, 3.0, 240)  # steps of 1.7 %
FEWEST_VOLUMES, FEWEST_MEMBERS = 4, 3
DRAWS = 1000
TOO_SLOW = "it falls so slowly over these volumes that its floor is not known"
ANY_EXPONENT = "these volumes do not tell its exponent, so its floor is not known"
FLOOR_UNKNOWN = (TOO_SLOW, ANY_EXPONENT)

Triple = tuple[float, float, float]  # value, lo, hi


@dataclass(frozen=True)
class LearningCurve:
    """The law of one study's curve. Risks are lower-is-better (a metric to be maximised has its sign changed).

    `still_to_gain` is D m^-a at the largest volume. `generator_gap` is the floor less the risk of the learner on the
    real rows, None where that was not given. `misfit` is the standard deviation, at a volume, of what the law leaves
    unexplained beyond sampling error.
    """

    status: str  # fitted | unidentified | refused
    reason: str
    metric: str
    volumes: tuple[int, ...]
    curve: tuple[float, ...]  # the fitted risks
    floor: Triple | None = None
    exponent: Triple | None = None
    scale: float | None = None  # D, for m in rows
    still_to_gain: Triple | None = None
    generator_gap: Triple | None = None
    misfit: float | None = None


def power_curve(volumes: ArrayLike, risks: ArrayLike, *, scale: float | None = None) -> Triple:
    """(D, a, C) of D m^-a + C by ordinary least squares with D >= 0, or with D = `scale` (for few volumes).

    >>> m = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    >>> [round(x, 2) for x in power_curve(m, 0.5 * m**-0.7 + 0.2)]
    [0.5, 0.7, 0.2]
    """
    m, r = np.asarray(volumes, dtype=np.float64), np.asarray(risks, dtype=np.float64)
    if m.shape != r.shape or m.ndim != 1 or len(m) < 3:
        raise InputError("volumes", f"shape {m.shape}", "at least 3 volumes and a risk for each")
    if scale is not None:
        left = r - scale * m ** -EXPONENTS[:, None]  # (exponents, volumes)
        best = int(left.var(axis=1).argmin())
        return scale, float(EXPONENTS[best]), float(left[best].mean())
    fit = project(_designs(m), np.array([True, False]), np.eye(len(m)), r[None])
    floor, gain = fit.coefficients[0]
    exponent = float(EXPONENTS[fit.place[0]])
    return float(gain) * float(m[-1]) ** exponent, exponent, float(floor)


def learning_curve(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    task: str,
    volumes: ArrayLike,
    metric: str | None = None,
    real: ArrayLike | None = None,
    seed: int = 0,
    level: float = 0.95,
    draws: int = DRAWS,
) -> LearningCurve:
    """The law of the ensemble of all members.

    Args:
        predictions: (members, volumes, rows, classes); volumes that a member lacks are left out.
        truth: (rows,).
        volumes: (volumes,) ascending.
        metric: default the task's selection metric.
        real: (rows, classes), the learner trained on the real rows.
    """
    cells, y, task, grid = check_cells(predictions, truth, task=task, volumes=volumes)
    metric = check_metric(metric, task)
    sign = -1.0 if higher_is_better(metric) else 1.0
    full, pseudo, kept = volume_curves(cells, y, metric)
    m = grid[kept].astype(np.float64)
    known: dict = {"metric": metric, "volumes": tuple(int(v) for v in grid[kept]), "curve": ()}
    if len(m) < FEWEST_VOLUMES or pseudo is None or len(pseudo) < FEWEST_MEMBERS:
        why = f"{len(m)} volumes and {1 if pseudo is None else len(pseudo)} members"
        return LearningCurve("unidentified", f"{why}: it takes {FEWEST_VOLUMES} and {FEWEST_MEMBERS} or more", **known)
    curve = VolumeRisks(full.mean(axis=1), two_way(full, pseudo), kept, len(pseudo))
    if not best_set(curve, seed=seed, level=level)[-1]:
        lowest = int(grid[kept][int(np.argmin(curve.risks))])
        return LearningCurve("refused", f"the risk rises significantly beyond {lowest} rows: no such law", **known)
    count = len(m)
    if real is not None:  # one more statistic, which members have no part in
        own = sign * contributions(metric, np.asarray(real), y)
        full = np.vstack([full, own])
        pseudo = np.concatenate([pseudo, np.broadcast_to(own, (len(pseudo), 1, len(y)))], axis=1)
    errors = curve_errors(two_way(full, pseudo), m)
    weights = errors.total[:count, :count]
    designs, free = _designs(m), np.array([sign < 0, False])  # a loss has no floor under 0
    point, extra = with_misfit(designs, free, weights, curve.risks, exponents=1)
    fitted = designs[point.place[0]] @ point.coefficients[0]
    drawn = errors.draws(draws, seed=seed, extra=extra)
    jitter = (extra + 1e-9 * np.trace(weights) / count) * np.eye(count)
    fits = project(designs, free, weights + jitter, fitted + drawn[:, :count])
    floor, gain = point.coefficients[0]
    exponent = float(EXPONENTS[point.place[0]])
    tail = (1 - level) / 2
    exponents = np.quantile(EXPONENTS[fits.place], [tail, 1 - tail])
    gap = None
    if real is not None:
        level_of_real = float(full[-1].mean())
        gap = triple(floor - level_of_real, fits.coefficients[:, 0] - level_of_real - drawn[:, count], tail)
    gains = triple(gain, fits.coefficients[:, 1], tail)
    status, reason = _verdict(exponents, gains, gains[1] <= 0)
    return LearningCurve(
        status,
        reason,
        metric,
        known["volumes"],
        tuple(float(v) for v in fitted),
        floor=triple(floor, fits.coefficients[:, 0], tail),
        exponent=(exponent, float(exponents[0]), float(exponents[1])),
        scale=float(gain) * float(m[-1]) ** exponent,
        still_to_gain=gains,
        generator_gap=gap,
        misfit=float(np.sqrt(extra)),
    )


def _verdict(exponents: np.ndarray, gains: Triple, vanishes: bool) -> tuple[str, str]:
    if exponents[0] <= EXPONENTS[0] * 1.001:
        return "unidentified", ANY_EXPONENT if exponents[1] >= EXPONENTS[-1] * 0.999 else TOO_SLOW
    if vanishes or exponents[1] >= EXPONENTS[-1] * 0.999:
        return "unidentified", "flat but for its first volumes: nothing left to gain that could be told from 0"
    return "fitted", "the law holds over these volumes"


def _designs(m: np.ndarray) -> np.ndarray:
    """(exponents, volumes, 2): the floor, and the power of the volume, 1 at the largest."""
    powers = (m / m[-1])[None] ** -EXPONENTS[:, None]
    return np.stack([np.ones_like(powers), powers], axis=2)


def triple(value: float, drawn: np.ndarray, tail: float) -> Triple:
    """A value with the central range of its draws, which holds it."""
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(value), float(min(low, value)), float(max(high, value))
