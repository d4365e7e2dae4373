"""One fit on some members' rows, judged on others': the unit of work of evaluation and selection. Without Ray.

A fit is a pure function of (its address, the members' rows, the target, the seed), and its result is a small JSON
object: each judge's metrics, and the pooled metric's mean contribution of every member that judged.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from dge_ray.downstream import make_learner
from dge_ray.errors import InputError, StudyError
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.metrics.losses import contributions, metric_names
from dge_ray.table import Columns, TableSchema, target_vector

REAL = "real"  # the judge that is a real table


@dataclass(frozen=True)
class MemberPart:
    """Rows of one member: all, or those in a fold (`inside`) or out of it, of so many folds."""

    member: int
    fold: int | None = None
    folds: int = 1
    inside: bool = False

    def take(self, columns: Columns, schema: TableSchema, seed: int) -> Columns:
        """Those rows of the member's columns, in their order."""
        if self.fold is None:
            return columns
        number = row_folds(target_vector(columns, schema), self.folds, seed=seed, member=self.member)
        kept = (number == self.fold) == self.inside
        return {name: values[kept] for name, values in columns.items()}


@dataclass(frozen=True)
class CrossFit:
    """An estimator, what it is trained on, and who judges it. `index` tells fits of one member apart by their seed."""

    estimator: str
    train: tuple[MemberPart, ...]
    judges: Mapping[str, tuple[MemberPart, ...]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    index: int = 0

    @property
    def members(self) -> list[int]:
        """The members whose rows it needs, ascending."""
        return sorted({part.member for parts in (self.train, *self.judges.values()) for part in parts})

    def key(self, context: Mapping[str, Any]) -> str:
        """The address of its result: sha256 (hex) of what it is and of `context`: the rows, the target, the seed."""
        packages = {name: version(name) for name in ("dge-ray", "scikit-learn")}
        text = json.dumps([asdict(self), dict(context), packages], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def row_folds(target: np.ndarray, folds: int, *, seed: int, member: int) -> np.ndarray:
    """Each row's fold, 0 to folds - 1, of equal sizes but for one row, and so in each class. Shape: (n,) -> (n,)."""
    order = numpy_generator(seed, Purpose.SPLIT, member=member, index=folds).permutation(len(target))
    if target.dtype.kind == "i":
        order = order[np.argsort(target[order], kind="stable")]
    number = np.empty(len(target), np.int64)
    number[order] = np.arange(len(target)) % folds
    return number


def run_fit(
    fit: CrossFit, schema: TableSchema, members: Mapping[int, Columns], real: Columns | None, seed: int
) -> dict[str, Any]:
    """Fit, predict, score. `members`: the columns of `fit.members`; `real`: those of a real table, a judge too.

    Returns:
        {"cpu_seconds", "scores": {judge: {"rows", "rows_by_member", metric: {"value", "se", "by_member"}}}};
        `by_member` is {number: mean contribution}, and a metric that the judge's rows do not define (AUC of one class)
        is null.

    Raises:
        StudyError: the estimator fails.
    """
    started = time.process_time()
    try:
        learner = make_learner(fit.estimator, fit.settings, schema, seed=_seed(fit, seed))
        learner.fit(_joined([part.take(members[part.member], schema, seed) for part in fit.train]))
        scores = {}
        for judge, parts in fit.judges.items():
            rows = [part.take(members[part.member], schema, seed) for part in parts]
            scores[judge] = _scored([learner.predict(r) for r in rows], rows, [p.member for p in parts], schema)
        if real is not None:
            scores[REAL] = _scored([learner.predict(real)], [real], [], schema)
    except (InputError, StudyError):
        raise
    except Exception as error:  # an estimator of anybody's may fail in any way
        first = (str(error).splitlines() or [""])[0]
        where = f"member {fit.train[0].member}" if len(fit.train) == 1 else f"{len(fit.train)} members"
        raise StudyError(f"{fit.estimator} on the rows of {where}: {type(error).__name__}: {first}") from error
    return {"cpu_seconds": round(time.process_time() - started, 3), "scores": scores}


def _seed(fit: CrossFit, seed: int) -> int:
    return integer(seed, Purpose.LEARNER, member=fit.train[0].member, index=fit.index, bits=31)


def _joined(parts: list[Columns]) -> Columns:
    return parts[0] if len(parts) == 1 else {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def _scored(
    predictions: list[np.ndarray], rows: list[Columns], members: list[int], schema: TableSchema
) -> dict[str, Any]:
    """One metric over all rows put together, never a mean of the members' own metrics."""
    truth = [target_vector(columns, schema) for columns in rows]
    p, y = np.concatenate(predictions), np.concatenate(truth)
    cuts = np.cumsum([len(t) for t in truth])[:-1]
    sizes = {str(k): len(t) for k, t in zip(members, truth, strict=False)}
    scores: dict[str, Any] = {"rows": len(y), "rows_by_member": sizes}
    for metric in metric_names(str(schema.task)):
        by_row = contributions(metric, p, y)
        if not np.isfinite(by_row).all():
            scores[metric] = None
            continue
        parts = np.split(by_row, cuts)
        scores[metric] = {
            "value": float(by_row.mean()),
            "se": float(by_row.std(ddof=1) / np.sqrt(len(y))) if len(y) > 1 else 0.0,
            "by_member": {str(k): float(part.mean()) for k, part in zip(members, parts, strict=False)},
        }
    return scores
