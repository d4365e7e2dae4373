"""A bundle, a target and who judges whom: what `evaluate` and `select` share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dge_ray.bundle.received import Members
from dge_ray.errors import InputError
from dge_ray.evaluation.crossfit import REAL, CrossFit, MemberPart
from dge_ray.evaluation.fits import run_fits
from dge_ray.phrases import finite
from dge_ray.stats.comparison.crossed import Estimate, crossed, uncrossed
from dge_ray.stats.metrics.losses import METRICS, metric_names
from dge_ray.storage import Folder
from dge_ray.table import Columns, TableCodec, TableSchema, target_vector

OWN, OTHERS = "own", "others"  # judges: held-out rows of the fit's own member, and the other members' rows
HELD_OUT = 5  # the naive judge is one fold of so many, 20 %
LEAST_ROWS = 10  # of a member, and of a real table
NOT_CERTIFIED = (
    "not certified against real rows: what all generators have in common (their kind, the real table they were fitted "
    "on) is in every score, and nothing in a bundle shows it"
)


@dataclass(frozen=True)
class JudgingRequest:
    """What a bundle is judged by, checked. `real`: the encoded real rows of `test=`, or None."""

    members: Members
    schema: TableSchema
    k: int
    others: str
    seed: int
    real: Columns | None
    context: Mapping[str, Any]
    folder: Folder
    bundle: str

    @property
    def metrics(self) -> tuple[str, ...]:
        return metric_names(str(self.schema.task))

    @property
    def real_rows(self) -> int | None:
        return None if self.real is None else len(target_vector(self.real, self.schema))

    def columns(self, k: int) -> Columns:
        """Member k's encoded rows, those without a target left out.

        Raises:
            InputError: too few of them.
        """
        columns = encoded(self.members.table(k), self.schema)
        rows = len(target_vector(columns, self.schema))
        if rows < LEAST_ROWS:
            raise InputError("bundle", f"member {k} with {rows} rows that have a target", f"at least {LEAST_ROWS}")
        return columns

    def fits(self, estimator: str, settings: Mapping[str, Any]) -> list[CrossFit]:
        """f_i for every member i: four fifths of its rows train it, the last fifth and the other members judge it."""
        made = []
        for i in range(len(self.members)):
            train, own = (MemberPart(i, 0, HELD_OUT, inside) for inside in (False, True))
            judges = {OWN: (own,), OTHERS: tuple(MemberPart(j) for j in self._judges(i))}
            made.append(CrossFit(estimator, (train,), judges, settings))
        return made

    def _judges(self, i: int) -> list[int]:
        """The K - 1 members that judge f_i: the next ones in turn, or (`first`) the first, as in published code."""
        n = len(self.members)
        if self.others == "first":
            return [j for j in range(n) if j != i][: self.k - 1]
        return [(i + step) % n for step in range(1, self.k)]

    def run(self, fits: Sequence[CrossFit], say: Callable[[str], None]) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """The fits' results, in their order, and how many were done now or read from an earlier call."""
        keys = [fit.key(self.context) for fit in fits]
        results, done = run_fits(
            fits,
            keys=keys,
            folder=self.folder,
            schema=self.schema,
            columns=self.columns,
            real=self.real,
            seed=self.seed,
            say=say,
        )
        return results, {"done": done, "read": len(set(keys)) - done}

    def facts(self) -> dict[str, Any]:
        """What every answer says of what it is about, and of what it cannot say."""
        notes = []
        if "balanced" in self.members.facts:
            notes.append(f"rows are balanced by {self.members.facts['balanced']!r}: so is every score")
        if len(self.members) < 3:
            notes.append("no intervals: they need at least 3 members")
        certified = f"only the scores called real are of real rows, the {self.real_rows} of test="
        return {
            "bundle": self.bundle,
            "generator": self.members.facts["generator"],
            "members": len(self.members),
            "rows_per_member": self.members.volume,
            "target": self.schema.target,
            "task": self.schema.task,
            "K": self.k,
            "others": self.others,
            "real_rows": self.real_rows,
            "certified": self.real is not None,
            "certification": NOT_CERTIFIED if self.real is None else certified,
            "notes": notes,
        }


def by_pair(results: Sequence[Mapping[str, Any]], metric: str) -> tuple[np.ndarray, np.ndarray] | None:
    """What member j contributes to f_i's pooled metric, (N, N), NaN where it does not judge; and its rows, (N,).

    None if the metric is undefined for some f_i.
    """
    by_fit = [result["scores"][OTHERS][metric] for result in results]
    if any(scores is None for scores in by_fit):
        return None
    n = len(results)
    pairs, rows = np.full((n, n), np.nan), np.ones(n)
    for i, (result, scores) in enumerate(zip(results, by_fit, strict=True)):
        for j, contribution in scores["by_member"].items():
            pairs[i, int(j)] = contribution
            rows[int(j)] = result["scores"][OTHERS]["rows_by_member"][j]
    return pairs, rows


def estimates(results: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Estimate] | None:
    """`dge`, `naive` and, with real rows, `real`, of one metric; None where some judge's rows do not define it.

    `results`: of f_0 .. f_(N-1), in that order.
    """
    scores = [result["scores"] for result in results]  # of every fit, by judge
    if any(judge[metric] is None for judges in scores for judge in judges.values()):
        return None
    pairs = by_pair(results, metric)
    assert pairs is not None  # as the check above has it
    made = {
        "dge": crossed(*pairs),
        "naive": uncrossed(np.array([judges[OWN][metric]["value"] for judges in scores])),
    }
    if REAL in scores[0]:
        values = np.array([judges[REAL][metric]["value"] for judges in scores])
        errors = np.array([judges[REAL][metric]["se"] for judges in scores])
        made["real"] = uncrossed(values, errors, scores[0][REAL]["rows"])
    return made


def described(estimate: Estimate, metric: str | None = None) -> dict[str, Any]:
    """An estimate as JSON; `metric`: cut the interval at what it can be (not for a difference)."""
    low, high = estimate.interval()
    if metric is not None:
        low, high = np.clip((low, high), *METRICS[metric].limits)
    interval = [float(low), float(high)] if finite(float(low)) and finite(float(high)) else None
    return {"value": estimate.value, "sd": estimate.sd, "interval": interval}


def compared(made: Mapping[str, Estimate], metric: str) -> dict[str, Any]:
    """One metric's scores and their differences as JSON."""
    answer = {name: described(estimate, metric) for name, estimate in made.items()}
    answer["naive_minus_dge"] = described(made["naive"].minus(made["dge"]))
    if "real" in made:
        for name in ("dge", "naive"):
            error = described(made[name].minus(made["real"]))
            answer[f"{name}_minus_real"] = {**error, "absolute": abs(error["value"])}
    return answer


def encoded(table: Any, schema: TableSchema) -> Columns:
    """The features and the target of the rows that have a target."""
    assert schema.target is not None
    columns = TableCodec(schema).encode(table, [*(c.name for c in schema.features), schema.target])
    target = columns[schema.target]
    known = target >= 0 if target.dtype.kind == "i" else np.isfinite(target)
    return columns if known.all() else {name: values[known] for name, values in columns.items()}
