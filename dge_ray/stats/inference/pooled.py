"""Combining rules: one estimate and its variance from m synthetic tables of k rows each, made from n real rows.

All quantities are elementwise over parameters; the first axis is the table. q_j and u_j are table j's estimate and its
model-based variance, taken as if its rows were real; qbar, ubar their means, b the variance of the q_j (ddof 1). The
estimate is qbar by every rule. None of them sees what a generator adds that an efficient estimator would not: they
take the real rows' part of the variance to be (k/n) ubar, which holds for parametric synthesis. Rubin's rule for
missing data is absent on purpose: it is wrong for synthetic tables.

Raghunathan, Reiter, Rubin 2003 (T_f); Reiter 2002 (T_f*), 2003 (T_p); Raab, Nowok, Dibben 2017 (T_s).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

RULES = {
    "T_p": "(k/n) ubar + b/m: any generator that is as efficient as its real rows, several tables",
    "T_s": "ubar (k/n + 1/m): a parametric generator at its estimated parameters, one table or several",
    "T_s proper": "ubar (k/n + (1 + k/n)/m): a parametric generator at parameters drawn from their posterior",
    "T_f": "(1 + 1/m) b - ubar: parameters drawn from their posterior and many tables; may be negative",
    "T_f*": "T_f, or (k/n) ubar where it is not positive",
    "expected original": "(k/n) ubar: what the real rows would have given; no inference about their population",
}
WITH_BETWEEN = ("T_p", "T_f", "T_f*")  # these need a variance between tables
WITHOUT_SIZES = ("T_f",)  # this needs neither k nor n


@dataclass(frozen=True)
class Combined:
    """What a rule gives, each elementwise over parameters (...).

    Attributes:
        estimate: qbar.
        variance: of qbar about the population's value; T_f's may be negative.
        df: of the reference t law, inf for the normal.
        within: ubar.
        between: b; NaN with one table.
    """

    estimate: np.ndarray
    variance: np.ndarray
    df: np.ndarray
    within: np.ndarray
    between: np.ndarray

    @property
    def se(self) -> np.ndarray:
        """Standard errors; NaN where the variance is negative."""
        return np.sqrt(np.where(self.variance >= 0, self.variance, np.nan))

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends; NaN where the variance is negative."""
        half = quantile(self.df, (1 + level) / 2) * self.se
        return self.estimate - half, self.estimate + half


def combine(
    estimates: np.ndarray, variances: np.ndarray, rule: str, *, k: float | None = None, n: float | None = None
) -> Combined:
    """What `rule` (one of RULES) makes of estimates and their variances, (m, ...) each.

    `k`: rows of a synthetic table; `n`: real rows that its generator was fitted on. Where an estimate reads a part of
    the rows, their ratio is what counts, and it stays.

    Raises:
        ValueError: an unknown rule, shapes that differ, too few tables for the rule, or a rule that needs k and n
            without them.
    """
    q, u = np.asarray(estimates, np.float64), np.asarray(variances, np.float64)
    if rule not in RULES:
        raise ValueError(f"rule {rule!r}: one of {', '.join(RULES)}")
    if q.shape != u.shape or q.ndim < 1 or not len(q):
        raise ValueError(f"estimates {q.shape} and variances {u.shape}: both (m, ...) with m >= 1")
    m = len(q)
    if rule in WITH_BETWEEN and m < 2:
        raise ValueError(f"rule {rule} with one table: there is no variance between tables")
    if rule not in WITHOUT_SIZES and not (k and n):
        raise ValueError(f"rule {rule} without k and n: it needs their ratio")
    ratio = k / n if k and n else np.nan
    within = u.mean(axis=0)
    between = q.var(axis=0, ddof=1) if m > 1 else np.full(within.shape, np.nan)
    normal = np.full(within.shape, np.inf)
    if rule == "T_p":
        # Reiter's degrees of freedom with (k/n) ubar for ubar; infinite where all tables agree.
        variance, df = ratio * within + between / m, (m - 1) * _square(1 + _over(m * ratio * within, between))
    elif rule == "T_s":
        variance, df = within * (ratio + 1 / m), normal
    elif rule == "T_s proper":
        variance, df = within * (ratio + (1 + ratio) / m), normal
    elif rule == "expected original":
        variance, df = ratio * within, normal
    else:
        variance = (1 + 1 / m) * between - within
        df = (m - 1) * _square(1 - _over(within, (1 + 1 / m) * between))
        if rule == "T_f*":
            variance = np.where(variance > 0, variance, ratio * within)
    return Combined(q.mean(axis=0), variance, df, within, between)


def quantile(df: np.ndarray, probability: float) -> np.ndarray:
    """Quantiles of Student's t, elementwise over degrees of freedom; inf for the normal."""
    df = np.asarray(df, np.float64)
    finite = np.isfinite(df)
    return np.where(finite, stdtrit(np.where(finite, df, 1.0), probability), ndtri(probability))


def mixture_excess(k: float, n: float) -> float:
    """Variance of the equal mixture of many tables' posteriors over that of the real rows' posterior: 1 + 2n/k.

    For a normal mean of known variance under a flat prior, with tables drawn at parameters from the posterior: each
    table's posterior has variance sigma^2/k, and its centre varies by sigma^2/n + sigma^2/k. Far too wide at k = n;
    within a tenth from k = 20n. The posteriors are mixed by putting equally many draws of each together (Räisä, Jälkö,
    Honkela 2023).
    """
    return 1 + 2 * n / k


def _over(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.inf)


def _square(value: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # tables that agree but for their last bits: the normal law
        return value**2
