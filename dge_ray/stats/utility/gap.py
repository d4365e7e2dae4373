"""Utility: what training on synthetic rows costs, judged on real rows, and whether that is little enough.

U = |R(trained on synthetic) - R(trained on real)|, both risks on the same real test rows (Xu, Sun and Cheng 2023, arXiv
2305.10015). Losses come as one vector over the test rows for each fit: (S, N) for S members, (B, N) for B repeated
trainings on the real rows. The interval is the two-way one (papers: crossed random effects of members and rows): with
d[s, i] = synthetic[s, i] - mean over b of real[b, i],

    v_row, v_seed  variance of the mean of d over new rows, over new members
    v_real         variance of the real fits' mean risk over new training seeds
    v              v_row + v_seed + v_real, less the interactions that two of them contain, never under a part
    freedom        v^2 / (v_row^2 / (N - 1) + v_seed^2 / (S - 1) + v_real^2 / (B - 1))

The ends are corrected for the skewness of d over rows (`stats.intervals`). Everything is given the one real training
table. With one real fit (B = 1) it is given that fit too.

U of the ensemble takes the losses of the members' average in place of the mean loss of single members' models, and the
jackknife pseudo-values of these for the members' own: of an ensemble that is far better than its members, U of one
member says the opposite.

The verdict is withheld where no interval of this kind holds: of two members, of fewer than ten test rows of the rarest
class, and of losses so skewed that the correction cannot be trusted. `withheld` says which.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.combine import ensemble_mean, leave_one_out_means
from dge_ray.stats.intervals import FEWEST_MEMBERS, Source, interval, over_rows
from dge_ray.stats.metrics.losses import LOSSES
from dge_ray.stats.twoway import pseudo_values, two_way

Verdict = Literal["PASS", "FAIL", "UNDECIDED"]

LEVEL = 0.95
ACCURACY_MARGIN = 0.01
RELATIVE_MARGIN = 0.02
MOST_NEEDED = 10**12  # rows or members beyond this are "no number would do"
FEWEST_OF_A_CLASS = 10
MOST_SKEWED = 0.3  # of the mean's error: beyond it intervals held less than .93 in experiments/coverage
_ONE = np.array([1.0])


@dataclass(frozen=True)
class Difference:
    """A mean difference of losses, and the parts of its variance.

    `v_row`, `v_seed`, `v_real`: as in the module. `seed_adds`, `real_adds`: what members and real fits add to `v_row`.
    """

    value: float
    v_row: float
    v_seed: float
    v_real: float
    seed_adds: float
    real_adds: float
    n_rows: int
    n_members: int
    n_real: int
    skew: float = 0.0  # of the error of d's mean over rows

    @property
    def variance(self) -> float:
        return self.v_row + self.seed_adds + self.real_adds

    def half_width(self, quantile: float, *, rows: float = 1.0, members: float = 1.0) -> float:
        """The t quantile times the standard error; with `rows` and `members` times as many of each."""
        v_row, seed_adds = self.v_row / rows, self.seed_adds / members
        # What a part has beyond what it adds is its interaction with rows, which falls with both.
        v_seed = seed_adds + (self.v_seed - self.seed_adds) / (rows * members)
        v_real = self.real_adds + (self.v_real - self.real_adds) / rows
        v = v_row + seed_adds + self.real_adds
        squares = v_row**2 / (self.n_rows * rows - 1)
        if self.n_members > 1:
            squares += v_seed**2 / (self.n_members * members - 1)
        if self.n_real > 1:
            squares += v_real**2 / (self.n_real - 1)
        freedom = v**2 / squares if squares > 0 else self.n_rows * rows - 1
        return float(student.ppf(quantile, freedom)) * float(np.sqrt(v))

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two-sided t interval."""
        sources = [Source(self.v_seed, self.seed_adds, self.n_members - 1.0)] if self.n_members > 1 else []
        sources += [Source(self.v_real, self.real_adds, self.n_real - 1.0)] if self.n_real > 1 else []
        rows = Source(self.v_row, self.v_row, self.n_rows - 1.0, self.skew)
        return interval(self.value, rows, sources, level=level)

    def bounds(self, level: float = LEVEL) -> tuple[float, float]:
        """The lower and the upper one-sided bound, each at `level`."""
        return self.interval(2 * level - 1)

    def size_interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The interval of the difference's absolute value."""
        lo, hi = self.interval(level)
        return max(0.0, lo, -hi), max(abs(lo), abs(hi))

    def needed(self, gap: float, *what: Literal["rows", "members"], level: float = LEVEL) -> dict[str, int] | None:
        """How many rows, members, or both in one proportion, bring the one-sided half width under `gap`, the estimate
        staying where it is; None where no number would do."""
        now = {"rows": self.n_rows, "members": self.n_members}

        def decides(step: int) -> bool:
            scale = step / now[what[0]]
            rows, members = (scale if name in what else 1.0 for name in ("rows", "members"))
            return self.half_width(level, rows=rows, members=members) < gap

        if gap <= 0 or not decides(MOST_NEEDED):
            return None
        low, high = now[what[0]], MOST_NEEDED  # decides(high) holds, decides(low) does not
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if decides(middle) else (middle, high)
        return {name: math.ceil(high / now[what[0]] * now[name] - 1e-9) for name in what}


def mean_difference(losses: ArrayLike, minus: ArrayLike | None = None, *, whole: ArrayLike | None = None) -> Difference:
    """The mean of `losses` over fits and rows, less that of `minus` on the same rows.

    Shape: losses (S, N), minus (B, N). With S = 1 or B = 1 that side counts as fixed. `whole` (N,): the losses of the
    ensemble, whose mean stands for that of `losses`, which are then its pseudo-values.

    Raises:
        InputError: shapes that do not fit, fewer than 2 rows, or losses that are not finite.
    """
    first = _tensor("losses", losses)
    n_members, n_rows = first.shape
    full = first.mean(axis=0) if whole is None else np.asarray(whole, dtype=np.float64)
    second = None
    if minus is not None:
        second = _tensor("minus", minus)
        if second.shape[1] != n_rows:
            raise InputError("minus", f"{second.shape[1]} rows", f"the {n_rows} rows of losses")
        full = full - second.mean(axis=0)
    v_row = float(two_way(full[None], None).rows[0, 0])
    v_seed, seed_between = _over_fits(first)
    v_real, real_between = _over_fits(second) if second is not None else (0.0, 0.0)
    return Difference(
        value=float(full.mean()),
        v_row=v_row,
        v_seed=v_seed,
        v_real=v_real,
        seed_adds=max(v_seed - seed_between, v_seed - v_row, 0.0),
        real_adds=max(v_real - real_between, v_real - v_row, 0.0),
        n_rows=n_rows,
        n_members=n_members,
        n_real=1 if second is None else len(second),
        skew=over_rows(full).skew,
    )


def ensemble_losses(members: ArrayLike, y: np.ndarray, loss: str) -> tuple[np.ndarray, np.ndarray]:
    """The losses of the members' average, (N,), and their pseudo-values by member, (K, N); K >= 2.

    Shape: members (K, N, C), y (N,).
    """
    predictions = np.asarray(members, dtype=np.float64)
    whole = LOSSES[loss].of(ensemble_mean(predictions), y)
    return whole, pseudo_values(whole, LOSSES[loss].of(leave_one_out_means(predictions), y))


def _over_fits(losses: np.ndarray) -> tuple[float, float]:
    """Variance of the grand mean over new fits, and the interaction that it and the row variance both contain."""
    if len(losses) < 2:
        return 0.0, 0.0
    parts = two_way(losses.mean(axis=0)[None], losses[:, None])
    return float(_ONE @ parts.members @ _ONE), float(_ONE @ parts.interaction @ _ONE)


@dataclass(frozen=True)
class Utility:
    """U of one pipeline with its verdict. `difference`: synthetic minus real risk, `interval` its own; `bounds`: the
    one-sided ones that the verdict is made of. Where it is open, what would decide: `rows_needed` alone,
    `members_needed` alone, or `both_needed` in one proportion, as (rows, members)."""

    utility: float
    utility_interval: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    bounds: tuple[float, float]
    risk_synthetic: float
    risk_real: float
    margin: float
    verdict: Verdict
    rows_needed: int | None
    members_needed: int | None
    both_needed: tuple[int, int] | None
    parts: Difference
    withheld: str | None = None


def default_margin(loss: str, risk_real: float) -> float:
    """0.01 in accuracy (`zero_one`), else 2 % of the risk of training on real rows.

    >>> default_margin("zero_one", 0.2), default_margin("log_loss", 0.5)
    (0.01, 0.01)
    """
    return ACCURACY_MARGIN if loss == "zero_one" else RELATIVE_MARGIN * risk_real


def utility(
    synthetic: ArrayLike,
    real: ArrayLike,
    *,
    margin: float,
    level: float = LEVEL,
    whole: ArrayLike | None = None,
    rarest: int | None = None,
) -> Utility:
    """U with its two-way interval, and the verdict at a margin.

    PASS: the upper one-sided bound of the difference is under the margin; FAIL: the lower one is above it. A model that
    is *better* when trained on synthetic rows passes.

    Args:
        synthetic: (S, N) losses on the test rows, one row a member; S >= 2.
        real: (B, N) losses of B trainings on the real rows.
        margin: the loss that may be lost, in the loss's own unit.
        whole: (N,) losses of the ensemble, for its U; `synthetic` are then its pseudo-values.
        rarest: test rows of the rarest class.

    Raises:
        InputError: one member, a margin that is not positive, or what `mean_difference` raises.
    """
    if not (np.isfinite(margin) and margin > 0):
        raise InputError("margin", repr(margin), "a number above 0, in the loss's unit")
    first = _tensor("synthetic", synthetic)
    if len(first) < 2:
        raise InputError("members", "1", "at least 2: the spread between members is part of the interval")
    difference = mean_difference(first, real, whole=whole)
    lower, upper = difference.bounds(level)
    verdict: Verdict = "PASS" if upper < margin else "FAIL" if lower > margin else "UNDECIDED"
    withheld = _withheld(difference, rarest)
    if withheld is not None:
        verdict = "UNDECIDED"
    gap = abs(difference.value - margin) if verdict == "UNDECIDED" else 0.0  # nothing is needed where it is decided
    rows = difference.needed(gap, "rows", level=level)
    members = difference.needed(gap, "members", level=level)
    both = difference.needed(gap, "rows", "members", level=level)
    risk_real = float(np.asarray(real, dtype=np.float64).mean())
    return Utility(
        utility=abs(difference.value),
        utility_interval=difference.size_interval(level),
        difference=difference.value,
        interval=difference.interval(level),
        bounds=(lower, upper),
        risk_synthetic=difference.value + risk_real,
        risk_real=risk_real,
        margin=margin,
        verdict=verdict,
        rows_needed=rows["rows"] if rows else None,
        members_needed=members["members"] if members else None,
        both_needed=(both["rows"], both["members"]) if both else None,
        parts=difference,
        withheld=withheld,
    )


def _withheld(difference: Difference, rarest: int | None) -> str | None:
    """Why no verdict is given, whatever the interval; None where one may be."""
    if difference.n_members < FEWEST_MEMBERS:
        return f"{difference.n_members} members: their spread is not known, {FEWEST_MEMBERS} or more tell"
    if rarest is not None and rarest < FEWEST_OF_A_CLASS:
        return f"{rarest} test rows of the rarest class: {FEWEST_OF_A_CLASS} or more tell"
    if abs(difference.skew) > MOST_SKEWED:
        return "a few test rows make the whole difference: more test rows, or a bounded loss, tell"
    return None


def _tensor(name: str, losses: ArrayLike) -> np.ndarray:
    array = np.asarray(losses, dtype=np.float64)
    if array.ndim != 2 or not len(array) or array.shape[1] < 2:
        raise InputError(name, f"shape {array.shape}", "(fits, rows) with at least 2 rows")
    if not np.isfinite(array).all():
        raise InputError(name, "losses that are not finite", "finite losses")
    return array
