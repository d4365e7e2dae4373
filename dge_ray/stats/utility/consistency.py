"""May a model be chosen on synthetic rows? How far the ranking of pipelines trained on them is the real one's.

Risks of A pipelines, on the same real test rows: `synthetic` (A, S, N) losses of S members, `real` (A, B, N) of B
trainings on the real rows. The true risks, over all rows, members and training seeds, are drawn jointly around the
estimates: rows, which all 2A share, from the normal law; members, which the synthetic ones share, and training seeds,
which the real ones share, from multivariate t laws, as for the reflection point. Resampling a handful of members with
replacement would give too little spread, and so would a normal law. Does the stated probability happen, does the
certificate lie: experiments/utility2023.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.comparison.ranks import kendall, kendall_rows, regret, spearman
from dge_ray.stats.twoway import two_way
from dge_ray.stats.utility.gap import mean_difference

DRAWS = 4000
CERTAINTY = 0.95  # of the gap certificate, which rests on three bounds


@dataclass(frozen=True)
class Pair:
    """Two pipelines. Gaps are `second` minus `first`, with 95 % intervals; `first` is the better one on real rows.

    `tie`: the real gap's interval holds 0. `consistent`: both gaps have one sign. `certain`: and neither interval holds
    0. `separable`: the real gap's lower bound is above the sum of both utilities' upper bounds, which implies
    consistency with probability 0.95 at least (Bonferroni over the three).
    """

    first: str
    second: str
    real_gap: float
    real_interval: tuple[float, float]
    synthetic_gap: float
    synthetic_interval: tuple[float, float]
    consistent: bool
    tie: bool
    certain: bool
    separable: bool


@dataclass(frozen=True)
class Ranking:
    """The ranking report. `agreement`: share of consistent pairs among those that are no ties (None: all are).

    The correlations are None where one side has no order. `picks`: for each pipeline the share of the members, each
    taken alone, that rank it first.
    """

    names: tuple[str, ...]
    real: tuple[float, ...]
    synthetic: tuple[float, ...]
    top_real: str
    top_synthetic: str
    top_agrees: float
    regret: float
    regret_interval: tuple[float, float]
    kendall: float | None
    kendall_interval: tuple[float, float] | None
    spearman: float | None
    agreement: float | None
    picks: dict[str, float]
    pairs: tuple[Pair, ...]


def ranking(synthetic: ArrayLike, real: ArrayLike, names: Sequence[str], *, seed: int, draws: int = DRAWS) -> Ranking:
    """How far the order of the pipelines on synthetic rows is that on real rows.

    `top_agrees` is the probability that the pipeline with the least true risk is the same on both. It is not that of a
    fresh study's estimates agreeing, which err once more: that is lower where this is high. Nothing is supposed of the
    risks beforehand, so where synthetic risks follow the real ones closely and neither is well known, it is too low.

    Args:
        synthetic: (A, S, N) losses, A >= 2, S >= 2.
        real: (A, B, N) losses.
        names: of the A pipelines. They label the answer and decide nothing.
        seed: of the draws.

    Raises:
        InputError: shapes that do not fit.
    """
    first, second = np.asarray(synthetic, dtype=np.float64), np.asarray(real, dtype=np.float64)
    _check(first, second, names)
    risks_s, risks_r = first.mean(axis=(1, 2)), second.mean(axis=(1, 2))
    drawn = _draws(first, second, np.concatenate([risks_s, risks_r]), seed=seed, draws=draws)
    drawn_s, drawn_r = drawn[:, : len(names)], drawn[:, len(names) :]
    chosen = drawn_s.argmin(axis=1)
    lost = drawn_r[np.arange(len(drawn)), chosen] - drawn_r.min(axis=1)
    taus = kendall_rows(drawn_r, drawn_s)
    pairs = tuple(_pair(first, second, names, *_ordered(i, j, risks_r)) for i, j in combinations(range(len(names)), 2))
    untied = [pair for pair in pairs if not pair.tie]
    winners = first.mean(axis=2).argmin(axis=0)  # (S,)
    return Ranking(
        names=tuple(names),
        real=tuple(risks_r.tolist()),
        synthetic=tuple(risks_s.tolist()),
        top_real=names[int(risks_r.argmin())],
        top_synthetic=names[int(risks_s.argmin())],
        top_agrees=float(np.mean(chosen == drawn_r.argmin(axis=1))),
        regret=regret(risks_s, risks_r, higher=False),
        regret_interval=_central(lost),
        kendall=_known(kendall(risks_r, risks_s)),
        kendall_interval=_central(taus) if np.isfinite(taus).all() else None,
        spearman=_known(spearman(risks_r, risks_s)),
        agreement=float(np.mean([pair.consistent for pair in untied])) if untied else None,
        picks={name: float(np.mean(winners == a)) for a, name in enumerate(names)},
        pairs=pairs,
    )


def _ordered(i: int, j: int, risks: np.ndarray) -> tuple[int, int]:
    """The pair with the better one on real rows first."""
    return (i, j) if risks[i] <= risks[j] else (j, i)


def _draws(synthetic: np.ndarray, real: np.ndarray, risks: np.ndarray, *, seed: int, draws: int) -> np.ndarray:
    """Joint draws of all risks around the estimates. Shape: (draws, 2A), the synthetic ones first."""
    a = len(synthetic)
    full = np.concatenate([synthetic.mean(axis=1), real.mean(axis=1)])
    generator = numpy_generator(seed, Purpose.INTERVAL, index=len(risks))
    drawn = risks + _normal(two_way(full, None).rows, draws, generator)
    for part, losses in ((slice(0, a), synthetic), (slice(a, 2 * a), real)):
        freedom = losses.shape[1] - 1
        if freedom > 0:
            added = two_way(full[part], losses.transpose(1, 0, 2)).added_by_members()
            scale = np.sqrt(freedom / generator.chisquare(freedom, (draws, 1)))
            drawn[:, part] += scale * _normal(added, draws, generator)
    return drawn


def _normal(covariance: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Normal draws of mean 0. Shape: (T, T) -> (draws, T)."""
    values, vectors = np.linalg.eigh(covariance)
    return generator.standard_normal((draws, len(values))) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T


def _pair(synthetic: np.ndarray, real: np.ndarray, names: Sequence[str], a: int, b: int) -> Pair:
    real_gap, synthetic_gap = mean_difference(real[b] - real[a]), mean_difference(synthetic[b] - synthetic[a])
    real_interval, synthetic_interval = real_gap.interval(), synthetic_gap.interval()
    each = 1 - (1 - CERTAINTY) / 3
    utilities = [mean_difference(synthetic[p], real[p]).size_interval(each)[1] for p in (a, b)]
    tie = real_interval[0] <= 0 <= real_interval[1]
    consistent = real_gap.value * synthetic_gap.value > 0
    return Pair(
        first=names[a],
        second=names[b],
        real_gap=real_gap.value,
        real_interval=real_interval,
        synthetic_gap=synthetic_gap.value,
        synthetic_interval=synthetic_interval,
        consistent=consistent,
        tie=tie,
        certain=consistent and not tie and not synthetic_interval[0] <= 0 <= synthetic_interval[1],
        separable=real_gap.bounds(each)[0] > sum(utilities),
    )


def _central(values: np.ndarray) -> tuple[float, float]:
    """The central 95 % of draws."""
    lo, hi = np.quantile(values, [0.025, 0.975])
    return float(lo), float(hi)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _check(synthetic: np.ndarray, real: np.ndarray, names: Sequence[str]) -> None:
    if synthetic.ndim != 3 or len(synthetic) < 2 or synthetic.shape[1] < 2 or synthetic.shape[2] < 2:
        raise InputError("synthetic", f"shape {synthetic.shape}", "(pipelines, members, rows), at least 2 of each")
    if real.ndim != 3 or len(real) != len(synthetic) or real.shape[2] != synthetic.shape[2]:
        raise InputError("real", f"shape {real.shape}", f"({len(synthetic)}, fits, {synthetic.shape[2]})")
    if len(names) != len(synthetic) or len(set(names)) != len(names):
        raise InputError("names", f"{list(names)}", f"{len(synthetic)} different names")
    if not (np.isfinite(synthetic).all() and np.isfinite(real).all()):
        raise InputError("losses", "values that are not finite", "finite losses")
