"""What the curve of risk over volume does at its end, called by tests and not by eye; and what cannot be told at all.

Everything is a paired difference on the same members and rows, in the joint covariance of the volumes.

Rise. The largest volume's risk above the least risk of all smaller ones, R(M) - min R(m), with a two-sided interval.
The lower end is simultaneous over the smaller volumes (the one that looks best was chosen); the upper end needs no such
care, since the maximum over m of R(M) - R(m) is under the largest of the single bounds whenever the best volume's own
bound holds (Berger 1982, intersection-union).

Plateau. From volume m on the curve is flat when every larger volume's risk is proved to lie within the tolerance of
R(m): two one-sided tests a volume, each at the level (intersection-union again). From the largest volume down, m is
lowered until a proof fails, so the first volume told is wrong with the level's probability at most (fixed-sequence
testing). `enough_from` is the same for one side only: beyond it nothing over the tolerance is to be gained.

Call. `rise`: the interval of the rise lies above 0 and reaches over the tolerance. `plateau`: flat from half the
largest volume, or earlier, on. `falls`: the last doubling still gains. `undecided`: none of these. Error rates:
experiments/coverage.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.combine import check_cells
from dge_ray.stats.metrics.losses import check_metric, higher_is_better
from dge_ray.stats.volume.reflection import DRAWS
from dge_ray.stats.volume.smooth_curve import FEWEST_VOLUMES, Band, curve_band
from dge_ray.stats.volume.volumes import VolumeRisks, volume_risks

Triple = tuple[float, float, float]  # value, lo, hi


@dataclass(frozen=True)
class NoiseFloor:
    """The least difference that these rows and members can tell from 0, between the reflection point and a doubling.

    `difference`: half the paired two-sided interval; a true difference of this size is found every second time.
    `rows_for_half`, `members_for_half`: rough numbers at which it would be half as large, the other as it is; None
    where that alone cannot.
    """

    difference: float
    volumes: tuple[int, int]
    rows: int
    members: int
    rows_for_half: int | None
    members_for_half: int | None


@dataclass(frozen=True)
class Excess:
    """The risk at a volume less that at the reflection point, with an interval that holds for all pairs of volumes at
    once, so whichever of them was found to be best."""

    volume: int
    value: float
    lo: float
    hi: float


@dataclass(frozen=True)
class CurveShape:
    """The curve of one metric over the kept volumes. Risks are lower-is-better (a metric to be maximised has its sign
    changed), `tolerance` is in the metric's units. None where there are too few volumes to say."""

    call: str  # rise | plateau | falls | undecided
    metric: str
    level: float
    tolerance: float
    rise: Triple | None
    rise_over: int | None  # the smaller volume with the least risk
    plateau_from: int | None
    enough_from: int | None
    differences: tuple[Excess, ...]  # of every volume, in order
    noise_floor: NoiseFloor | None
    band: Band | None


def curve_shape(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    task: str,
    volumes: ArrayLike,
    metric: str | None = None,
    tolerance: float = 0.005,
    seed: int = 0,
    level: float = 0.95,
    draws: int = DRAWS,
) -> CurveShape:
    """The shape of the whole ensemble's curve.

    Args:
        predictions: (members, volumes, rows, classes) on validation rows; volumes that some member lacks are left out.
        truth: (rows,).
        volumes: (volumes,) ascending.
        metric: default the task's selection metric.
        tolerance: share of the least risk; differences under it are not worth anything.
        level: of the interval and the band; the tests are one-sided at this level.
    """
    cells, y, task, grid = check_cells(predictions, truth, task=task, volumes=volumes)
    metric = check_metric(metric, task)
    if not 0.5 < level < 1:
        raise InputError("level", repr(level), "a number between 0.5 and 1")
    curve = volume_risks(cells, y, metric)
    kept = grid[curve.kept]
    bound = tolerance * float(abs(curve.risks.min()))
    if len(kept) < 2:
        return CurveShape("undecided", metric, level, bound, None, None, None, None, (), None, None)
    rise, over = rise_of(curve, seed=seed, level=level, draws=draws)
    flat = first_within(curve, bound, level=level, sides=2)
    enough = first_within(curve, bound, level=level, sides=1)
    band = None
    if len(kept) >= FEWEST_VOLUMES:
        band = curve_band(curve, kept, seed=seed, level=level)
        band = _mirrored(band) if higher_is_better(metric) else band
    return CurveShape(
        _call(curve, kept, rise, flat, bound, level),
        metric,
        level,
        bound,
        rise,
        int(kept[over]),
        int(kept[flat]) if flat < len(kept) - 1 else None,
        int(kept[enough]) if enough < len(kept) - 1 else None,
        differences(curve, kept, seed=seed, level=level, draws=draws),
        noise_floor(curve, kept, level=level),
        band,
    )


def rise_of(curve: VolumeRisks, *, seed: int, level: float = 0.95, draws: int = DRAWS) -> tuple[Triple, int]:
    """(rise, lo, hi) of the largest volume above the best smaller one, and that one's place."""
    last, tail = len(curve.risks) - 1, (1 + level) / 2
    weights = [curve.contrast(last, a) for a in range(last)]
    distance = np.array([w @ curve.risks for w in weights])
    deviation = np.array([curve.spread.deviation(w) for w in weights])
    single = np.array([student.ppf(tail, curve.spread.freedom(w)) for w in weights])
    varying = deviation > 0  # a volume with the same predictions has no distance to test
    multiple = 0.0
    if varying.any():
        errors = curve.draws(draws, seed=seed)
        largest = ((errors[:, [last]] - errors[:, :last])[:, varying] / deviation[varying]).max(axis=1)
        multiple = float(np.quantile(largest, tail))
    best = int(np.argmax(distance))
    low, high = np.max(distance - multiple * deviation), np.max(distance + single * deviation)
    return (float(distance[best]), float(low), float(high)), best


def first_within(curve: VolumeRisks, bound: float, *, level: float = 0.95, sides: int = 2) -> int:
    """Place of the smallest volume from which on every larger one is proved to differ by less than `bound`; with
    `sides` 1, to gain less than it. The last place says nothing: no volume is larger."""
    count = len(curve.risks)
    for a in range(count - 2, -1, -1):
        for b in range(a + 1, count):
            weights = curve.contrast(a, b)
            gain = float(weights @ curve.risks)
            reach = float(student.ppf(level, curve.spread.freedom(weights))) * curve.spread.deviation(weights)
            if (abs(gain) if sides == 2 else gain) + reach >= bound:
                return a + 1
    return 0


def differences(
    curve: VolumeRisks, volumes: np.ndarray, *, seed: int, level: float = 0.95, draws: int = DRAWS
) -> tuple[Excess, ...]:
    """Every volume against the one of least risk, simultaneous over all pairs of volumes (as Tukey's)."""
    best, errors, deviations = int(np.argmin(curve.risks)), curve.draws(draws, seed=seed), curve.paired_deviations()
    largest = np.zeros(draws)
    for a in range(len(volumes)):
        others = np.flatnonzero(deviations[a, :a] > 0)
        apart = np.abs(errors[:, [a]] - errors[:, others]) / deviations[a, others]
        largest = np.maximum(largest, apart.max(axis=1, initial=0.0))
    half = float(np.quantile(largest, level)) * deviations[:, best]
    value = curve.risks - curve.risks[best]
    rows = zip(volumes, value, value - half, value + half, strict=True)
    return tuple(Excess(int(volume), float(v), float(lo), float(hi)) for volume, v, lo, hi in rows)


def noise_floor(curve: VolumeRisks, volumes: np.ndarray, *, level: float = 0.95) -> NoiseFloor | None:
    """Of the least risk against the volume nearest to twice its own (half, at the end). None where they are equal."""
    best = int(np.argmin(curve.risks))
    factor = 2 if best < len(volumes) - 1 else 0.5
    distance = np.abs(np.log(volumes / (factor * volumes[best])))
    distance[best] = np.inf
    other = int(np.argmin(distance))
    weights = curve.contrast(best, other)
    half = curve.spread.half_width(weights, level)
    if half == 0:
        return None
    rows, members = curve.spread.parts(weights)
    now, goal = (curve.spread.n_rows, curve.n_members), (rows + members) / 4
    return NoiseFloor(
        half,
        (int(volumes[best]), int(volumes[other])),
        *now,
        rows_for_half=int(np.ceil(now[0] * rows / (goal - members))) if members < goal else None,
        members_for_half=int(np.ceil(now[1] * members / (goal - rows))) if members > 0 and rows < goal else None,
    )


def _call(curve: VolumeRisks, kept: np.ndarray, rise: Triple, flat: int, bound: float, level: float) -> str:
    half = int(np.argmin(np.abs(np.log(kept[:-1]) - np.log(kept[-1] / 2))))
    if rise[1] > 0 and rise[2] >= bound:
        return "rise"
    if flat <= half:
        return "plateau"
    if rise[1] > 0:
        return "rise"
    weights = curve.contrast(half, len(kept) - 1)
    gains = float(weights @ curve.risks) - curve.spread.half_width(weights, level)
    return "falls" if gains > 0 else "undecided"


def _mirrored(band: Band) -> Band:
    """The band of a metric that is to be maximised, in its own units."""
    negative = [tuple(-v for v in part) for part in (band.value, band.hi, band.lo)]
    return Band(band.at, *negative, level=band.level)
