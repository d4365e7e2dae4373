"""Synthetic tables of any tool, judged by real rows: how like real rows they look, what a model learns from them, and
whether they are copies. Every figure stands beside what real rows have in the synthetic ones' place.

Two parts of real rows are needed: `seen`, which the tables were made from, and `unseen`, which judge. Shape error,
trend error and the two-sample AUC are of a table against `unseen`, and beside it of `seen` against `unseen`, all on as
many rows. Where nobody has unseen rows, halves of the real table stand for both: then the judges are rows that the
tables were made from too, nobody can say whether synthetic rows are nearer to seen ones than to others, and copies of
the judges mislead the two-sample classifier.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dge_ray.distributed.tasks import Shared, Task, run
from dge_ray.downstream import make_learner
from dge_ray.errors import InputError, StudyError
from dge_ray.evaluation.crossfit import row_folds
from dge_ray.evaluation.ingredients import DOMAIN, rows_of, take
from dge_ray.evaluation.two_sample import two_sample_auc
from dge_ray.seeds import NO_MEMBER, Purpose, integer, numpy_generator
from dge_ray.stats.comparison.differences import Compared, Ensemble, Fits, sized_difference
from dge_ray.stats.comparison.judged import judged
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.gaps import share_gap
from dge_ray.stats.leakage.nearest import nearness, row_bytes
from dge_ray.stats.metrics.losses import check_metric, contributions, margin_of, metric_names
from dge_ray.stats.metrics.metric_interval import metric_interval
from dge_ray.stats.utility.fidelity import column_errors, pair_errors
from dge_ray.table import Columns, TableSchema, target_vector

MOST_ROWS = 5_000  # of each side that fidelity and nearness look at
REAL_FITS = 3  # of the model on real rows, to see what the learner's seed alone changes
WORST = 8  # pairs of columns that are named
REAL, ALL = "real", "together"  # in place of a table's number: the seen real rows; rows of all tables


@dataclass(frozen=True)
class ForeignTables:
    """Tables to judge, encoded, and the real rows that judge them. `held_out`: no table was made from `unseen`."""

    schema: TableSchema
    tables: Sequence[Columns]
    seen: Columns
    unseen: Columns
    held_out: bool
    learner: str
    settings: Mapping[str, Any]
    seed: int

    def sample(self, columns: Columns, index: int, most: int) -> Columns:
        """`most` of the rows at random, or all."""
        order = numpy_generator(self.seed, Purpose.SUBSAMPLE, member=index).permutation(rows_of(columns))
        return take(columns, np.sort(order[:most]))

    def together(self, most: int) -> Columns:
        """Rows of all tables alike, about `most` of them."""
        each = -(-most // len(self.tables))
        parts = [self.sample(columns, k, each) for k, columns in enumerate(self.tables)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def halves(real: Columns, schema: TableSchema, seed: int) -> tuple[Columns, Columns]:
    """Two halves of the real rows, alike in their classes."""
    first = row_folds(target_vector(real, schema), 2, seed=seed, member=NO_MEMBER) == 0
    return take(real, first), take(real, ~first)


def judge_tables(foreign: ForeignTables, say: Callable[[str], None]) -> dict[str, Any]:
    """`fidelity`, `usefulness` and `nearest`, and each table's own in `tables`.

    One task a table and question, on one CPU each.

    Raises:
        StudyError: the learner fails on some rows.
    """
    size = min(MOST_ROWS, rows_of(foreign.unseen), rows_of(foreign.seen), *map(rows_of, foreign.tables))
    numbers: list[int | str] = list(range(len(foreign.tables)))
    work = [(_likeness, k) for k in [REAL, *numbers]] + [(_nearness, k) for k in [REAL, ALL, *numbers]]
    work += [(_predictions, k) for k in [*(f"{REAL} {b}" for b in range(REAL_FITS)), *numbers]]
    tasks = [Task(f"{f.__name__} {k}", f, (Shared("tables"), k, size)) for f, k in work]
    found, seconds = run(
        tasks, done={}, keep=lambda key, result: None, say=say, shared={"tables": lambda: foreign}, noun="parts"
    )
    like = [found[f"_likeness {k}"] for k in numbers]
    predicted = np.stack([found[f"_predictions {k}"] for k in numbers])
    real = np.stack([found[f"_predictions {REAL} {b}"] for b in range(REAL_FITS)])
    near = [found[f"_nearness {k}"] for k in numbers]
    return {
        "fidelity": _fidelity(like, found[f"_likeness {REAL}"], foreign.schema, size),
        "usefulness": _usefulness(foreign, predicted, real),
        "nearest": _nearest(foreign, found[f"_nearness {ALL}"], found[f"_nearness {REAL}"]),
        "tables": [
            {
                "rows": rows_of(columns),
                **{name: one[name] for name in ("shape_error", "trend_error", "two_sample_auc", "interval")},
                "closer": (own["near"] or {}).get("closer"),
                "copies": own["copies"] / own["rows"],
            }
            for columns, one, own in zip(foreign.tables, like, near, strict=True)
        ],
        "cpu_seconds": round(seconds, 1),
    }


def _likeness(foreign: ForeignTables, which: int | str, size: int) -> dict[str, Any]:
    """Shape and trend errors and the two-sample AUC of a table, or of the seen rows, against the unseen ones."""
    number = NO_MEMBER if which == REAL else int(which)
    own = foreign.sample(foreign.seen if which == REAL else foreign.tables[number], number, size)
    unseen = foreign.sample(foreign.unseen, NO_MEMBER - 1, size)
    columns, pairs = column_errors(unseen, own), pair_errors(unseen, own)
    seed = integer(foreign.seed, Purpose.UTILITY, member=number, index=DOMAIN)
    auc, *interval = two_sample_auc(own, unseen, foreign.schema, foreign.schema.varying, seed=seed)
    return {
        "columns": columns,
        "pairs": list(pairs.items()),
        "shape_error": float(np.mean(list(columns.values()))),
        "trend_error": float(np.mean(list(pairs.values()) or [0.0])),
        "two_sample_auc": auc,
        "interval": interval,
    }


def _nearness(foreign: ForeignTables, which: int | str, size: int) -> dict[str, Any]:
    """How many rows equal one of those that the tables were made from, and whether rows are nearer to these than to as
    many unseen ones. Of real rows: how many equal another of these by chance."""
    made_from = [foreign.seen] if foreign.held_out else [foreign.seen, foreign.unseen]
    known = [row for part in made_from for row in row_bytes(part)]
    if which == REAL:
        if foreign.held_out:
            rows = row_bytes(foreign.unseen)
            equal = set(known)
            return {"copies": sum(row in equal for row in rows), "rows": len(rows)}
        return {"copies": sum(count for count in Counter(known).values() if count > 1), "rows": len(known)}
    if which == ALL:
        own = foreign.together(MOST_ROWS)
    else:
        own = foreign.sample(foreign.tables[int(which)], int(which), MOST_ROWS)
    equal, rows = set(known), row_bytes(own)
    near = None
    if foreign.held_out:
        sides = min(rows_of(foreign.seen), rows_of(foreign.unseen), MOST_ROWS)
        seen, unseen = (foreign.sample(part, NO_MEMBER, sides) for part in (foreign.seen, foreign.unseen))
        near = asdict(nearness(own, seen, unseen))
    return {"copies": sum(row in equal for row in rows), "rows": len(rows), "near": near}


def _predictions(foreign: ForeignTables, which: int | str, size: int) -> np.ndarray:
    """Of the unseen rows that have a target, by a learner fitted on a table or on the seen rows, (N, C)."""
    real = isinstance(which, str)
    number, name = (NO_MEMBER, str(which)) if real else (int(which), f"table {which}")
    index = int(str(which).split()[1]) if real else 0
    rows = known_target(foreign.seen if real else foreign.tables[number], foreign.schema)
    seed = integer(foreign.seed, Purpose.LEARNER, member=number, index=index, bits=31)
    try:
        learner = make_learner(foreign.learner, foreign.settings, foreign.schema, seed=seed).fit(rows)
        return learner.predict(known_target(foreign.unseen, foreign.schema))
    except (InputError, StudyError):
        raise
    except Exception as error:  # an estimator of anybody's may fail in any way
        first = (str(error).splitlines() or [""])[0]
        raise StudyError(f"{foreign.learner} on the rows of {name}: {type(error).__name__}: {first}") from error


def known_target(columns: Columns, schema: TableSchema) -> Columns:
    """The rows that have a target."""
    target = target_vector(columns, schema)
    return take(columns, target >= 0 if target.dtype.kind == "i" else np.isfinite(target))


def _fidelity(like: Sequence[Mapping[str, Any]], real: Mapping[str, Any], schema: TableSchema, size: int) -> dict:
    """Means over tables, beside the real rows' own. The AUC's interval is the mean of the tables' intervals, as if all
    erred alike (they share the real rows): never too small."""

    def mean(name: str) -> Any:
        return np.mean([one[name] for one in like], axis=0).tolist()

    names = ("shape_error", "trend_error", "two_sample_auc", "interval")
    pairs = [
        {"pair": list(pair), "error": float(np.mean([one["pairs"][at][1] for one in like])), "real": floor}
        for at, (pair, floor) in enumerate(real["pairs"])
    ]
    return {
        "rows": size,
        **{name: mean(name) for name in names},
        "real": {name: real[name] for name in names},
        "columns": [
            {
                "column": name,
                "error": float(np.mean([one["columns"][name] for one in like])),
                "real": real["columns"][name],
            }
            for name in (column.name for column in schema.varying)
        ],
        "pairs": sorted(pairs, key=lambda one: one["real"] - one["error"])[:WORST],
    }


def _usefulness(foreign: ForeignTables, predicted: np.ndarray, real: np.ndarray) -> dict[str, Any]:
    """Scores on the unseen rows, and the difference to the model of the seen real rows: of the tables' models together,
    their predictions averaged, and of one table's model. Shape: predicted (K, N, C), real (B, N, C)."""
    task = str(foreign.schema.task)
    metric, y = check_metric(None, task), target_vector(known_target(foreign.unseen, foreign.schema), foreign.schema)
    known = target_vector(known_target(foreign.seen, foreign.schema), foreign.schema)
    constant = known.mean() if task == "regression" else np.bincount(known, minlength=predicted.shape[-1]) / len(known)
    sides = {"together": ensemble_mean(predicted), "one": predicted, "real": real}
    sides["constant"] = np.broadcast_to(constant, predicted.shape[1:])
    scores: dict[str, Any] = {}
    for name in metric_names(task):
        by_row = {side: contributions(name, p, y) for side, p in sides.items()}
        by_row = {side: rows.mean(axis=0) if rows.ndim == 2 else rows for side, rows in by_row.items()}
        scores[name] = {
            side: {"value": float(rows.mean()), "interval": [float(end) for end in metric_interval(name, rows, y)]}
            if np.isfinite(rows).all()
            else None
            for side, rows in by_row.items()
        }
    if any(score is None for score in scores[metric].values()):
        return {"metric": metric, "scores": scores, "margin": None, "together": None, "one": None}
    margin = margin_of(metric, scores[metric]["real"]["value"])
    fits = Fits("mean", np.asarray(real, dtype=np.float64))
    members = np.asarray(predicted, dtype=np.float64)

    def said(compared: Compared) -> dict[str, Any]:
        difference = (compared.value, compared.lo, compared.hi)
        return {"difference": difference, "about": compared.target, "verdict": judged(difference, metric, margin)}

    one = None
    if len(members) > 1:
        risk = scores[metric]["one"]["value"]
        one = said(sized_difference(members, 1, risk, fits, y, metric))
    together = said(Ensemble(members, y, metric).less(fits))
    return {"metric": metric, "scores": scores, "margin": margin, "together": together, "one": one}


def _nearest(foreign: ForeignTables, own: Mapping[str, Any], real: Mapping[str, Any]) -> dict[str, Any]:
    """Of rows of all tables. `leak`: rows equal real ones more often than real rows that nobody saw do, or are nearer
    to those seen, by an interval's end."""
    gap = share_gap(own["copies"], own["rows"], real["copies"], real["rows"])
    near = own["near"]
    return {
        "rows": own["rows"],
        "copies": own["copies"] / own["rows"],
        "copies_by_chance": real["copies"] / real["rows"],
        "copies_beyond_chance": list(gap),
        "closer": None if near is None else near["closer"],
        "interval": None if near is None else list(near["interval"]),
        "distances": None if near is None else {"seen": near["train"], "unseen": near["holdout"]},
        "leak": bool(gap[1] > 0 or (near is not None and near["interval"][0] > 0.5)),
    }
