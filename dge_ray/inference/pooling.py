"""`dge_ray.pool`: one estimate with its interval from a bundle's K synthetic tables, by a rule that suits their making.

Each member is analysed alone, as if its rows were real, and the K answers are combined (stats/pooled.py). Rows of
members are never put together, and Rubin's rule for missing data is never used: both are wrong for synthetic tables.

Which rule, where none is asked for:

    made by                      K = 1           K = 2 to 4      K >= 5
    copula                       T_s proper      T_s proper      T_p
    any, debiased for this       T_s             T_s             T_p
    any other generator          T_s proper (!)  T_p (!)         T_p (!)

(!): no rule is valid by construction. All take the real rows' part of the variance to be what an efficient estimate
would have, and deep generators' estimates converge slower and are biased (Decruyenaere et al. 2024, arXiv 2312.07837).
Honest standard errors come from the publisher's pipeline bootstrap, who has the real rows: estimates.json in the
bundle. The copula of this package draws its weights of the real rows at random for every fit, which stands for
parameters drawn from a posterior (whoever knows that it was fitted with resample=false may ask for rule="T_s"); it too
is biased for what a Gaussian copula cannot show.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dge_ray.bundle.received import Members, load_members
from dge_ray.errors import InputError, nearest
from dge_ray.inference.estimands import read_estimands
from dge_ray.inference.fit_results import FitResult, read_result
from dge_ray.inference.pooled_estimate import PooledEstimate, Published
from dge_ray.phrases import NOTHING, finite, interval_text
from dge_ray.stats.inference.pooled import RULES, WITH_BETWEEN, WITHOUT_SIZES, combine

if TYPE_CHECKING:
    import pandas as pd

ENOUGH = 5  # members from which T_p's interval holds, in simulation; from 3 on it nearly does, with 2 it does not
PARAMETRIC = ("copula",)
Fit = Callable[["pd.DataFrame"], Any]


class NoValidRule(UserWarning):
    """The bundle was made by a generator for which no combining rule is valid by construction."""


def pool(
    bundle: "str | Path | Members",
    fit: "Fit | str | Sequence[str]",
    *,
    rule: str | None = None,
    n: int | None = None,
    level: float = 0.95,
    target: str | None = None,
) -> PooledEstimate:
    """Analyse each member of a bundle and combine.

    Args:
        bundle: a folder, a URI, or what `load_members` gave.
        fit: takes a member's frame and gives estimates and variances: a pair of numbers, arrays or series, estimates
            and their covariance matrix, a statsmodels-like result, or a fitted LinearRegression or (without penalty,
            binary) LogisticRegression. Or declared estimands as text: `mean(age)`, `ols(hours ~ age)[age]`.
        rule: one of stats.pooled.RULES; None: by how the bundle was made, see above.
        n: real rows that each generator was fitted on, where bundle.json does not tell.
        level: of the intervals.
        target: what a scikit-learn estimator predicts; None: the bundle's own target.

    Raises:
        InputError: an unknown rule, one that this bundle cannot have (too few members, no n), a fit that gives nothing
            usable for some member, or members whose parameters differ.

    Warns:
        NoValidRule: a generator for which no rule is valid by construction.
    """
    members = bundle if isinstance(bundle, Members) else load_members(bundle)
    if not 0 < level < 1:
        raise InputError("level", repr(level), "a number between 0 and 1")
    real = _real_rows(members, n)
    if rule is not None:
        _check_rule(rule, members)
    if rule not in WITHOUT_SIZES and real is None:
        takes = "n=ROWS that each generator was fitted on: ask the publisher (only rule='T_f' can do without)"
        raise InputError("n", f"a bundle that does not tell its real rows, which {rule or 'every rule'} needs", takes)
    results = _analyse(members, fit, target or members.schema.target)
    chosen, why = _choose(members, results[0].names) if rule is None else (rule, "asked for")
    combined = combine(
        np.stack([one.estimate for one in results]),
        np.stack([one.variance for one in results]),
        chosen,
        k=members.volume,
        n=real,
    )
    notes = _notes(members, results[0].names, chosen, combined.variance)
    if not _parametric(members) and not _debiased(members, results[0].names):
        warnings.warn(notes[0], NoValidRule, stacklevel=2)
    published = _published(members, results[0].names)
    sizes = {"members": len(members), "k": members.volume, "n": real}
    return PooledEstimate(
        results[0].names, combined, chosen, why, level, notes=tuple(notes), published=published, **sizes
    )


def _analyse(members: Members, fit: "Fit | str | Sequence[str]", target: str | None) -> list[FitResult]:
    """Each member's estimates and variances, all of the same parameters in the same order."""
    if callable(fit):
        results = []
        for k in range(len(members)):
            frame = members.frame(k)
            results.append(read_result(fit(frame), frame, target))
    else:
        estimands = read_estimands(fit, members.schema)
        estimates = [estimands(members.table(k)) for k in range(len(members))]
        for k, one in enumerate(estimates):
            for name, reason in zip(estimands.names, one.reasons, strict=True):
                if reason:
                    raise InputError(f"member {k}", f"no {name}: {reason}", "an estimand that every member can tell")
        results = [FitResult(estimands.names, one.value, one.variance) for one in estimates]
    for k, one in enumerate(results):
        results[k] = _aligned(one, results[0], k)
    return results


def _aligned(one: FitResult, first: FitResult, k: int) -> FitResult:
    """Member k's result in the order of member 0's parameters.

    Raises:
        InputError: other parameters, or a number that is none.
    """
    odd = sorted(set(one.names) ^ set(first.names))
    if odd or len(set(one.names)) < len(one.names):
        got = f"{odd[0]!r} in one of them alone" if odd else f"a name twice in {list(one.names)}"
        takes = "the same parameters from every member: take categories from members.schema, not from the rows"
        raise InputError(f"parameters of members 0 and {k}", got, takes)
    order = [one.names.index(name) for name in first.names]
    estimate, variance = one.estimate[order], one.variance[order]
    for name, q, u in zip(first.names, estimate, variance, strict=True):
        if not (np.isfinite(q) and np.isfinite(u) and u >= 0):
            got = f"{name!r}: estimate {q:g}, variance {u:g}"
            # To leave the member out would choose among the answers by the answer.
            raise InputError(f"member {k}", got, "finite estimates and variances from 0, of every member")
    return FitResult(first.names, estimate, variance)


def _real_rows(members: Members, n: int | None) -> int | None:
    stated = members.facts.get("real_rows")
    if n is not None:
        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
            raise InputError("n", repr(n), "a whole number from 1 (real rows that each generator was fitted on)")
        if stated not in (None, n):
            raise InputError("n", f"{n:,}", f"the {stated:,} that bundle.json tells, or nothing")
        return int(n)
    return stated if isinstance(stated, int) and not isinstance(stated, bool) and stated > 0 else None


def _check_rule(rule: str, members: Members) -> None:
    if rule not in RULES:
        known = "; Rubin's rule for missing data is wrong for synthetic tables" if "rubin" in str(rule).lower() else ""
        raise InputError("rule", repr(rule), nearest(str(rule), list(RULES)) + known)
    if rule in WITH_BETWEEN and len(members) < 2:
        raise InputError("rule", f"{rule} with one member", "T_s or 'T_s proper': one table has no spread between")


def _parametric(members: Members) -> bool:
    return members.facts["generator"] in PARAMETRIC


def _choose(members: Members, names: Sequence[str]) -> tuple[str, str]:
    """The rule, and why, by how the bundle was made."""
    count, generator = len(members), members.facts["generator"]
    if count >= ENOUGH:
        return "T_p", f"{count} members: the spread between them is in it"
    few = "one member" if count == 1 else f"{count} members, too few for their spread"
    if _debiased(members, names):
        return "T_s", f"{few}, debiased for this: each gives the real rows' estimate and its own rows' error"
    if not _parametric(members):
        if count > 1:
            return "T_p", f"{count} members; holds from {ENOUGH} on, with 2 the interval is too short"
        return "T_s proper", f"one member, so that nothing is seen of how {generator} generators differ"
    return "T_s proper", f"{few}, a {generator} fitted with random weights of the real rows"


def _notes(members: Members, names: Sequence[str], rule: str, variance: np.ndarray) -> list[str]:
    notes = []
    if _debiased(members, names):
        notes.append("the publisher debiased the rows for this: the rule holds, if the rows are read whole")
    elif not _parametric(members):
        honest = _bootstrapped(members, names)
        ask = "ask the publisher for a pipeline bootstrap (estimates.json)"
        notes.append(
            f"no rule is valid by construction for {members.facts['generator']} generators: the interval leaves out "
            "what they add to the real rows' own error, and their bias; "
            + (f"the publisher's estimates.json has honest standard errors of {', '.join(honest)}" if honest else ask)
        )
    elif honest := _bootstrapped(members, names):
        notes.append(f"the publisher's own standard errors of {', '.join(honest)} are in the bundle's estimates.json")
    if members.facts.get("balanced"):
        column = members.facts["balanced"]
        notes.append(
            f"rows were balanced over {column!r}: only what does not depend on its shares is about the real law"
        )
    if rule == "expected original":
        notes.append("about what the real rows would have given, not about their population")
    below = int((variance <= 0).sum())
    if rule == "T_f" and below:
        notes.append(f"{below} of {len(variance)} variances are not positive, and have no interval: take rule='T_p'")
    return notes


def _debiased(members: Members, names: Sequence[str]) -> bool:
    """Whether the rows were debiased for all that is estimated."""
    stated = members.facts.get("debiased")
    return isinstance(stated, list) and all(name in stated for name in names)


def _bootstrapped(members: Members, names: Sequence[str]) -> list[str]:
    """Those of the names for which the bundle holds the publisher's own standard errors."""
    return [name for name in names if finite(members.estimates.get(name, {}).get("se"))]


def _published(members: Members, names: Sequence[str]) -> tuple[Published, ...]:
    """The publisher's own estimates of these names."""
    own = members.estimates
    return tuple(
        Published(name, own[name]["estimate"], own[name]["se"], *own[name]["interval"])
        for name in _bootstrapped(members, names)
        if finite(own[name].get("estimate")) and interval_text(own[name].get("interval")) != NOTHING
    )
