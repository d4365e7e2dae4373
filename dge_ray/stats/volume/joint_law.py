"""One law for members and volume together: R(K, m) = C + D m^-a + s2(m) / K, and the cheapest (K, m) near the best.

For the Brier score and squared error. s2(m), the variance between members, is modelled as s2_g + s2_d m^-b: as m grows
a learner sees its generator ever more exactly, so what it makes of its own finite rows dies away as a power, and what
is left is the generators' own part, which only more members remove. So the four parts are

    C          no member and no row removes it: the real rows' noise, the generators' common error, the learner's bias
    D m^-a     more rows remove it (the learner's bias from few rows)
    s2_g / K   more generators remove it
    s2_d m^-b / K   either removes it

What is fitted: at each volume the risk of all K members and the mean variance between them, both of which the law
predicts linearly but for a and b; generalized least squares over the 2 V numbers with their joint covariance
(`curve_errors`), coefficients not below 0. Intervals: fits to draws from the fitted law plus errors. Coverage:
experiments/dge2023/README.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.combine import check_cells, ensemble_mean, leave_one_out_means
from dge_ray.stats.ensemble.klaw import members_variance
from dge_ray.stats.metrics.by_row import brier, squared_error
from dge_ray.stats.projection import Fits, project, with_misfit
from dge_ray.stats.twoway import TwoWay, pseudo_values, two_way
from dge_ray.stats.volume.curve_errors import CurveErrors, curve_errors
from dge_ray.stats.volume.learning_curve import FEWEST_VOLUMES, Triple, triple
from dge_ray.stats.volume.reflection import best_set
from dge_ray.stats.volume.volumes import VolumeRisks, complete_members

BIAS_EXPONENTS = np.geomspace(0.1, 3.0, 36)  # a: steps of 10 %
SPREAD_EXPONENTS = np.geomspace(0.1, 3.0, 16)  # b: steps of 25 %
FEWEST_MEMBERS = 4
DRAWS = 400


@dataclass(frozen=True)
class Choice:
    """A cell of the grid: its price in CPU-seconds (all members' generators, rows and fits), its risk by the law, and
    by what share that is above the best cell's, with an interval."""

    members: int
    volume: int
    cpu_seconds: float
    risk: float
    excess: Triple


@dataclass(frozen=True)
class JointLaw:
    """The law and what follows from it. `variance` is s2 at the largest volume, `generators` its part that no volume
    removes, `rows` is D m^-a at the largest volume; exponents a and b. `members_range` and `volume_range` hold .95 of
    the cells that are cheapest within epsilon in the draws."""

    status: str  # fitted | unidentified | refused
    reason: str
    metric: str
    epsilon: float
    volumes: tuple[int, ...]
    floor: Triple | None = None
    rows: Triple | None = None
    exponent: Triple | None = None
    generators: Triple | None = None
    variance: Triple | None = None
    variance_exponent: Triple | None = None
    misfit: float | None = None
    best: Choice | None = None
    cheapest: Choice | None = None  # the upper end of its excess is within epsilon
    cheapest_by_estimate: Choice | None = None  # the excess itself is: true in about half of the cases
    members_range: tuple[int, int] | None = None
    volume_range: tuple[int, int] | None = None


def joint_law(
    predictions: ArrayLike,
    truth: ArrayLike,
    *,
    task: str,
    volumes: ArrayLike,
    costs: ArrayLike,
    epsilon: float = 0.01,
    seed: int = 0,
    level: float = 0.95,
    draws: int = DRAWS,
) -> JointLaw:
    """The law from one study's predictions, and the cheapest cell within `epsilon` of the grid's best.

    Args:
        predictions: (members, volumes, rows, classes); volumes that a member lacks are left out.
        truth: (rows,).
        volumes: (volumes,) ascending.
        costs: (volumes,) CPU-seconds of one member at each volume: generator, rows, fit.
        epsilon: share of the best cell's risk.

    The cells are those of the grid, K = 1 .. members at each volume: the law interpolates there, so they may be named
    though an exponent is not identified. Where the risk rises significantly with the volume, the law is refused.
    """
    cells, y, task, grid = check_cells(predictions, truth, task=task, volumes=volumes)
    prices = np.asarray(costs, dtype=np.float64)
    if prices.shape != grid.shape or not (prices > 0).all():
        raise InputError("costs", f"{prices.tolist()}", f"{len(grid)} CPU-seconds above 0, one a volume")
    if not epsilon > 0:
        raise InputError("epsilon", repr(epsilon), "a share above 0")
    members, kept = complete_members(cells)
    m, prices = grid[kept].astype(np.float64), prices[kept]
    metric = "squared_error" if task == "regression" else "brier"
    shown = tuple(int(v) for v in grid[kept])
    if len(m) < FEWEST_VOLUMES or len(members) < FEWEST_MEMBERS:
        why = f"{len(m)} volumes and {len(members)} members: it takes {FEWEST_VOLUMES} and {FEWEST_MEMBERS} or more"
        return JointLaw("unidentified", why, metric, epsilon, shown)
    data, spread = _statistics(members, y, metric)
    count, k = len(m), len(members)
    risks = VolumeRisks(data[:count], _first(spread, count), kept, k)
    if not best_set(risks, seed=seed, level=level)[-1]:
        why = f"the risk rises significantly beyond {shown[int(np.argmin(risks.risks))]} rows: no such law"
        return JointLaw("refused", why, metric, epsilon, shown)
    point, drawn, misfit = _fit(data, curve_errors(spread, m, blocks=2), m, k, draws=draws, seed=seed)
    tail = (1 - level) / 2
    return _described(point, drawn, misfit, m=m, k=k, prices=prices, tail=tail, known=(metric, epsilon, shown))


def _statistics(members: np.ndarray, y: np.ndarray, metric: str) -> tuple[np.ndarray, TwoWay]:
    """The 2 V numbers, risks of all members and then variances between them, and their covariances.

    Shape: (K, V, N, C) -> (2 V,).
    """
    loss = squared_error if metric == "squared_error" else brier
    volumes = range(members.shape[1])
    variance = np.stack([members_variance(members[:, at]) for at in volumes])
    full = np.concatenate([loss(ensemble_mean(members), y), variance])
    left = loss(leave_one_out_means(members), y)
    without = np.stack(
        [
            np.concatenate([left[at], [members_variance(np.delete(members[:, v], at, axis=0)) for v in volumes]])
            for at in range(len(members))
        ]
    )
    return full.mean(axis=1), two_way(full, pseudo_values(full, without))


def _first(spread: TwoWay, count: int) -> TwoWay:
    """The covariances of the first `count` statistics."""
    part = (slice(count), slice(count))
    return TwoWay(spread.rows[part], spread.members[part], spread.interaction[part], spread.n_members, spread.n_rows)


def _exponents(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a and b at places of the grid."""
    a, b = np.divmod(place, len(SPREAD_EXPONENTS))
    return BIAS_EXPONENTS[a], SPREAD_EXPONENTS[b]


def _designs(m: np.ndarray, k: int) -> np.ndarray:
    """(a x b, 2 V, 4): coefficients C, D, s2_g, s2_d, the powers 1 at the largest volume."""
    at_a, at_b = _exponents(np.arange(len(BIAS_EXPONENTS) * len(SPREAD_EXPONENTS)))
    a, b = ((m / m[-1]) ** -at[:, None] for at in (at_a, at_b))
    ones, zeros = np.ones_like(a), np.zeros_like(a)
    risk = np.stack([ones, a, ones / k, b / k], axis=2)
    return np.concatenate([risk, np.stack([zeros, zeros, ones, b], axis=2)], axis=1)


def _fit(
    data: np.ndarray, errors: CurveErrors, m: np.ndarray, k: int, *, draws: int, seed: int
) -> tuple[Fits, Fits, float]:
    """The fit, the fits to the draws around it, and the misfit's standard deviation."""
    designs, free = _designs(m, k), np.zeros(4, dtype=bool)
    point, extra = with_misfit(designs, free, errors.total, data, exponents=2)
    fitted = designs[point.place[0]] @ point.coefficients[0]
    jitter = extra + 1e-9 * np.trace(errors.total) / len(data)
    drawn = fitted + errors.draws(draws, seed=seed, extra=extra)
    return point, project(designs, free, errors.total + jitter * np.eye(len(data)), drawn), float(np.sqrt(extra))


def _described(
    point: Fits, drawn: Fits, misfit: float, *, m: np.ndarray, k: int, prices: np.ndarray, tail: float, known: tuple
) -> JointLaw:
    metric, epsilon, shown = known
    (own_a, own_b), (all_a, all_b) = _exponents(point.place), _exponents(drawn.place)
    a, b = _wider(own_a, all_a, BIAS_EXPONENTS, tail), _wider(own_b, all_b, SPREAD_EXPONENTS, tail)
    c, d = point.coefficients[0], drawn.coefficients
    rows = triple(c[1], d[:, 1], tail)
    status, reason = "fitted", "the law holds over this grid"
    if rows[1] <= 0 or a[1] <= BIAS_EXPONENTS[0] or a[2] >= BIAS_EXPONENTS[-1]:
        status = "unidentified"
        reason = "the volume's part cannot be told from 0"
        if rows[1] > 0:
            slow = a[1] <= BIAS_EXPONENTS[0]
            reason = "the risk falls too slowly to know its floor" if slow else "the volumes do not tell its exponent"
    sizes = np.arange(1, k + 1)
    cost = sizes[:, None] * prices  # (K, V)
    risk, risks = _cells(point, m, sizes)[0], _cells(drawn, m, sizes)
    top = np.unravel_index(risk.argmin(), risk.shape)
    excess = risk / risk[top] - 1
    # each draw's cells over the same draw's value at the best cell
    over = risks / risks[(slice(None), *top)][:, None, None] - 1
    upper = np.quantile(over, 1 - tail, axis=0)

    def choice(place: tuple) -> Choice:
        spread = triple(float(excess[place]), over[(slice(None), *place)], tail)
        at = (int(sizes[place[0]]), int(m[place[1]]), float(cost[place]), float(risk[place]))
        return Choice(*at, excess=spread)

    ends = np.array([_cheapest(cost, own / own.min() - 1 <= epsilon) for own in risks])  # (draws, 2)
    low, high = (np.quantile(ends, q, axis=0, method="nearest") for q in (tail, 1 - tail))
    return JointLaw(
        status,
        reason,
        metric,
        epsilon,
        shown,
        floor=triple(c[0], d[:, 0], tail),
        rows=rows,
        exponent=a,
        generators=triple(c[2], d[:, 2], tail),
        variance=triple(c[2] + c[3], d[:, 2] + d[:, 3], tail),
        variance_exponent=b,
        misfit=misfit,
        best=choice(top),
        cheapest=choice(_cheapest(cost, upper <= epsilon)),
        cheapest_by_estimate=choice(_cheapest(cost, excess <= epsilon)),
        members_range=(int(sizes[low[0]]), int(sizes[high[0]])),
        volume_range=(int(m[low[1]]), int(m[high[1]])),
    )


def _cells(fits: Fits, m: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """R(K, m) of each fit. Shape: -> (B, K, V)."""
    a, b = (at[:, None] for at in _exponents(fits.place))
    c, d, generators, rows = (fits.coefficients[:, [at]] for at in range(4))
    u = m / m[-1]
    return (c + d * u**-a)[:, None] + (generators + rows * u**-b)[:, None] / sizes[:, None]


def _wider(value: np.ndarray, drawn: np.ndarray, tried: np.ndarray, tail: float) -> Triple:
    """An exponent's interval, a step of the grid wider on either side, since values between were not tried."""
    _, low, high = triple(float(value[0]), drawn, tail)
    step = tried[1] / tried[0]
    return float(value[0]), max(low / step, float(tried[0])), min(high * step, float(tried[-1]))


def _cheapest(cost: np.ndarray, allowed: np.ndarray) -> tuple[int, int]:
    place = np.unravel_index(np.where(allowed, cost, np.inf).argmin(), cost.shape)
    return int(place[0]), int(place[1])
