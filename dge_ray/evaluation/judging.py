"""A bundle, a target and who judges whom: what `evaluate` and `select` share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dge_ray.bundle.received import Members, load_members
from dge_ray.errors import InputError, nearest, nearest_column
from dge_ray.evaluation.crossfit import REAL, CrossFit, Part
from dge_ray.evaluation.fits import run_fits
from dge_ray.masking import refuse_secrets
from dge_ray.phrases import finite
from dge_ray.stats.comparison.crossed import Estimate, crossed, uncrossed
from dge_ray.stats.metrics.losses import METRICS, metric_names
from dge_ray.storage import Folder
from dge_ray.table import Columns, Kind, TableCodec, TableSchema, data_digest, load_table, target_vector, task_of

KEYS = ["target", "K", "others", "volume", "test", "out", "seed"]
OUT = "./evaluations"
OWN, OTHERS = "own", "others"  # judges: held-out rows of the fit's own member, and the other members' rows
HELD_OUT = 5  # the naive judge is one fold of so many, 20 %
LEAST_ROWS = 10  # of a member, and of a real table
NOT_CERTIFIED = (
    "not certified against real rows: what all generators have in common (their kind, the real table they were fitted "
    "on) is in every score, and nothing in a bundle shows it"
)


@dataclass(frozen=True)
class Request:
    """What was asked of a bundle, checked. `real`: the encoded real rows of `test=`, or None."""

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
        found = _encoded(self.members.table(k), self.schema)
        rows = len(target_vector(found, self.schema))
        if rows < LEAST_ROWS:
            raise InputError("bundle", f"member {k} with {rows} rows that have a target", f"at least {LEAST_ROWS}")
        return found

    def fits(self, estimator: str, settings: Mapping[str, Any]) -> list[CrossFit]:
        """f_i for every member i: four fifths of its rows train it, the last fifth and the other members judge it."""
        made = []
        for i in range(len(self.members)):
            train, own = (Part(i, 0, HELD_OUT, inside) for inside in (False, True))
            judges = {OWN: (own,), OTHERS: tuple(Part(j) for j in self._judges(i))}
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


def read_request(bundle: str, options: Mapping[str, Any], more: Sequence[str]) -> Request:
    """The checked request; `more`: keys of the verb's own, which it checks itself.

    Raises:
        InputError: an unknown key, a bad value, or a bundle that is none.
    """
    known = [*KEYS, *more]
    for key in options:
        if key not in known:
            raise InputError(key, "an unknown key", nearest(key, known))
    members = load_members(bundle, options.get("volume"))
    if len(members) < 2:
        raise InputError("bundle", "1 member", "at least 2: one set says nothing of the next generator's")
    if members.volume < LEAST_ROWS:
        raise InputError("bundle", f"members of {members.volume} rows", f"at least {LEAST_ROWS} rows each")
    schema = _aimed(members.schema, options.get("target"))
    k = whole(options, "K", len(members), 2, len(members))
    seed = whole(options, "seed", 0, 0, 2**63 - 1)
    others = options.get("others", "rotating")
    if others not in ("rotating", "first"):
        raise InputError("others", repr(others), "rotating (the next K - 1 members in turn) or first")
    real, real_digest = _real(options.get("test"), schema)
    out = Folder.open(str(options.get("out", OUT)), "out")
    out.check_readable("out")
    out.check_writable("out")
    context = {"bundle": members.digest, "target": schema.target, "real": real_digest, "seed": seed}
    folder = out / members.digest[:16]
    return Request(members, schema, k, others, seed, real, context, folder, str(bundle))


def whole(options: Mapping[str, Any], key: str, default: int | None, least: int, most: int) -> Any:
    """A whole number among the options, or the default.

    Raises:
        InputError: it is none, or out of bounds.
    """
    value = options.get(key, default)
    if key in options and (not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most):
        upto = f" to {most}" if most < 2**31 else ""
        raise InputError(key, repr(value), f"a whole number from {least}{upto}")
    return value


def check_estimator(name: Any, settings: Mapping[str, Any], schema: TableSchema, field: str) -> str:
    """The name of an estimator that can be made; an error calls it by the user's key.

    Raises:
        InputError: none of that name, not for this task or for text, or a setting it does not have.
    """
    from dge_ray.downstream import check_learner

    if not isinstance(name, str):
        raise InputError(field, repr(name), "an estimator's name, or a dotted path")
    try:
        check_learner(name, settings, str(schema.task), texts=schema.texts)
    except InputError as error:
        raise InputError(error.field.replace("learner", field, 1), error.got, error.takes) from None
    return name


def by_pair(results: Sequence[Mapping[str, Any]], metric: str) -> tuple[np.ndarray, np.ndarray] | None:
    """What member j contributes to f_i's pooled metric, (N, N), NaN where it does not judge; and its rows, (N,).

    None if the metric is undefined for some f_i.
    """
    found = [result["scores"][OTHERS][metric] for result in results]
    if any(scores is None for scores in found):
        return None
    n = len(results)
    pairs, rows = np.full((n, n), np.nan), np.ones(n)
    for i, (result, scores) in enumerate(zip(results, found, strict=True)):
        for j, contribution in scores["by_member"].items():
            pairs[i, int(j)] = contribution
            rows[int(j)] = result["scores"][OTHERS]["rows_by_member"][j]
    return pairs, rows


def estimates(results: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Estimate] | None:
    """`dge`, `naive` and, with real rows, `real`, of one metric; None where some judge's rows do not define it.

    `results`: of f_0 .. f_(N-1), in that order.
    """
    scores = [result["scores"] for result in results]
    if any(judge[metric] is None for found in scores for judge in found.values()):
        return None
    pairs = by_pair(results, metric)
    assert pairs is not None  # as the check above has it
    made = {
        "dge": crossed(*pairs),
        "naive": uncrossed(np.array([found[OWN][metric]["value"] for found in scores])),
    }
    if REAL in scores[0]:
        values = np.array([found[REAL][metric]["value"] for found in scores])
        errors = np.array([found[REAL][metric]["se"] for found in scores])
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


def _aimed(schema: TableSchema, target: Any) -> TableSchema:
    """The schema with the target that was asked for, or its own."""
    known = [column.name for column in schema.modelled if column.kind is not Kind.TEXT]
    name = schema.target if target is None else str(target)  # a column may be named 3
    if name is None:
        raise InputError("target", "nothing, and the bundle names none", nearest_column("", known))
    if name not in known:
        raise InputError("target", f"'{name}', which is no column that can be predicted", nearest_column(name, known))
    aimed = replace(schema, target=name, task=task_of(schema[name]))
    if not aimed.features:
        raise InputError("target", f"'{name}', beside which no column varies", "a bundle with at least one feature")
    return aimed


def _real(source: Any, schema: TableSchema) -> tuple[Columns | None, str | None]:
    """The real rows of `test=`, encoded, and their digest."""
    if source is None:
        return None, None
    refuse_secrets("test", str(source))
    try:
        table = load_table(str(source))
        columns = _encoded(table, schema)
    except InputError as error:
        raise InputError(
            "test" if error.field == "source" else f"test, {error.field}", error.got, error.takes
        ) from None
    if len(target_vector(columns, schema)) < LEAST_ROWS:
        got = f"{source!r}, {len(target_vector(columns, schema))} rows with a target that the schema knows"
        raise InputError("test", got, f"at least {LEAST_ROWS} real rows with the bundle's columns")
    return columns, data_digest(table)


def _encoded(table: Any, schema: TableSchema) -> Columns:
    assert schema.target is not None
    columns = TableCodec(schema).encode(table, [*(c.name for c in schema.features), schema.target])
    target = columns[schema.target]
    known = target >= 0 if target.dtype.kind == "i" else np.isfinite(target)
    return columns if known.all() else {name: values[known] for name, values in columns.items()}
