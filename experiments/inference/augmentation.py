"""Is augmentation at a tuned weight ever worse than real rows alone, and where is it better?

    python experiments/inference/augmentation.py DATA [seeds=10] [tables=adult,...] [work=DIR] --json FILE

DATA is a folder of Parquet tables. For each table a fixed set of test rows, and `seeds` samples of 200, 500 and 1,500
real rows from the others. On each sample the weight of synthetic rows is tuned by cross-fitting over it
(`SafeAugmentedClassifier` in one loop, one member), and boosting and a linear model are fitted at every weight. Sources
of synthetic rows:

    own      a copula fitted on the sample itself (on each fold's other rows while the weight is tuned)
    outside  an autoregressive generator fitted once on 3,000 other rows of the table (1,000 of abalone)
    related  the same on rows of another population: men's for women (adult), the north's for the south (california)

Test losses go to `work` as one file a unit, and a run that was cut off goes on from there. Risks: log loss, and the
squared error over the target's variance.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.base import BaseEstimator

from dge_ray.downstream.catalogue import estimator_by_name
from dge_ray.estimators.augmented_fits import AugmentedPlan, cross_fitted, refitted
from dge_ray.evaluation.crossfit import row_folds
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.comparison.safe_choice import safe_choice
from dge_ray.stats.metrics.losses import contributions
from dge_ray.stats.utility.gap import mean_difference
from dge_ray.table import TableCodec, infer_schema, target_vector
from dge_ray.table.arrow.arrow_types import pc

WEIGHTS = (0.0, 0.1, 0.3, 1.0)
SIZES = (200, 500, 1_500)
FOLDS = 5
# Boosting that is not left to overfit 200 rows: gains over a straw man would be easy.
LEARNERS: dict[str, dict[str, Any]] = {
    "boosting": {"max_iter": 60, "max_leaf_nodes": 8, "max_bins": 31},
    "linear": {},
}
ALPHA = 0.05
OUTSIDE_RATIO_ROWS = 1_500  # synthetic rows of a generator fitted elsewhere, whatever the sample's size


@dataclass(frozen=True)
class Source:
    """A table and how its rows are parted. `related`: a column, and which of its rows are the other population."""

    file: str
    target: str
    kind: str = "categorical"  # of the target
    drop: tuple[str, ...] = ()
    test: int = 2_000
    outside: int = 3_000
    related: tuple[str, Any] | None = None


TABLES = {
    "abalone": Source("abalone", "Rings", "integer", test=1_200, outside=1_000),
    "adult": Source("adult", "income", drop=("split",), related=("sex", "Male")),
    "bank_marketing": Source("bank_marketing", "y", drop=("duration",)),
    "california_housing": Source("california_housing", "MedHouseVal", "numeric", related=("Latitude", 36.0)),
    "credit_default": Source("credit_default", "default.payment.next.month", drop=("ID",)),
}


@dataclass(frozen=True)
class Rows:
    """A table's parts: rows to sample real ones from, test rows, and rows that a generator elsewhere has seen."""

    pool: pa.Table
    test: pa.Table
    outside: pa.Table


def parts(source: Source, data: Path, *, related: bool) -> Rows:
    """The same for every seed."""
    table = pq.read_table(data / f"{source.file}.parquet").drop_columns(list(source.drop))
    order = numpy_generator(0, Purpose.SPLIT).permutation(table.num_rows)
    table = table.take(order)
    elsewhere = table.slice(source.test, source.outside)
    if related:
        assert source.related is not None
        name, value = source.related
        column = table[name]
        other = pc.equal(column, value) if isinstance(value, str) else pc.greater_equal(column, value)
        elsewhere, table = table.filter(other).slice(0, source.outside), table.filter(pc.invert(other))
        return Rows(table.slice(source.test), table.slice(0, source.test), elsewhere)
    return Rows(table.slice(source.test + source.outside), table.slice(0, source.test), elsewhere)


def unit(
    rows: Rows, source: Source, n: int, seed: int, learner: str, outside: Any, *, address: int
) -> dict[str, np.ndarray]:
    """One sample: cross-fitted losses (W, n), and the test rows' losses (W, N) of the fits on the whole sample."""
    chosen = numpy_generator(seed, Purpose.SUBSAMPLE, index=address).permutation(rows.pool.num_rows)[:n]
    table = rows.pool.take(np.sort(chosen))
    schema = infer_schema(table, target=source.target, overrides={source.target: source.kind})
    estimator: BaseEstimator = estimator_by_name(learner, LEARNERS[learner], str(schema.task))
    given = None
    if outside is not None:
        given = [outside.sample(OUTSIDE_RATIO_ROWS, seed=integer(seed, Purpose.SHARD, index=address))]
    plan = AugmentedPlan(table, schema, "copula", {}, given, estimator, 1.0, seed)
    codec = TableCodec(schema)
    columns, test = codec.encode(table), codec.encode(rows.test)
    y, truth = target_vector(columns, schema), target_vector(test, schema)
    metric = "squared_error" if schema.task == "regression" else "log_loss"
    folds = row_folds(y, FOLDS, seed=seed, member=0)
    scale = truth.var() if schema.task == "regression" else 1.0
    crossed = contributions(metric, cross_fitted(plan, columns, folds, WEIGHTS, 0), y) / scale
    fits = [refitted(plan, columns, weight, 0).predict(test) for weight in WEIGHTS]
    return {"crossed": crossed, "test": contributions(metric, np.stack(fits), truth) / scale}


def run(data: Path, work: Path, tables: list[str], seeds: int) -> Iterator[str]:
    """Every unit that is not in `work` yet; says what was done."""
    for kind in ("own", "outside", "related"):
        for name in tables:
            source = TABLES[name]
            if kind == "related" and source.related is None:
                continue
            rows, outside = parts(source, data, related=kind == "related"), None
            for seed, n, learner in product(range(seeds), SIZES, LEARNERS):
                file = work / f"{kind}-{name}-{n:05d}-{learner}-{seed:03d}.npz"
                if file.exists():
                    continue
                started = process_time()
                if kind != "own" and outside is None:
                    schema = infer_schema(rows.outside, target=source.target, overrides={source.target: source.kind})
                    outside = make_generator("autoregressive").fit(rows.outside, schema, seed=1)
                found = unit(rows, source, n, seed, learner, outside, address=SIZES.index(n))
                partial = file.with_suffix(".part.npz")
                np.savez_compressed(partial, **found, cpu_seconds=process_time() - started)
                partial.rename(file)
                yield f"{file.stem} {process_time() - started:.2f} s"


def cells(work: Path, seeds: int) -> Iterator[dict[str, Any]]:
    """Each source, table, size and learner: test risk at the tuned weight, at weight 1, and at the weight of least
    cross-fitted risk without the rule, less that of real rows alone. Negative is better."""
    for kind, name, n, learner in product(("own", "outside", "related"), TABLES, SIZES, LEARNERS):
        files = [work / f"{kind}-{name}-{n:05d}-{learner}-{seed:03d}.npz" for seed in range(seeds)]
        if not all(file.exists() for file in files):
            continue
        units = [np.load(file) for file in files]
        crossed, test = [unit["crossed"] for unit in units], np.stack([unit["test"] for unit in units])  # (S, W, N)
        alone, at = test[:, 0], np.arange(len(test))
        safe = [safe_choice(losses, alpha=ALPHA).index for losses in crossed]
        least = [int(losses.mean(axis=1).argmin()) for losses in crossed]
        yield {
            "source": kind,
            "table": name,
            "rows": n,
            "learner": learner,
            "seeds": len(units),
            "real": float(alone.mean()),
            "weights": {str(w): safe.count(i) for i, w in enumerate(WEIGHTS)},
            "tuned": against(test[at, safe] - alone),
            "least": against(test[at, least] - alone),
            "naive": against(test[:, -1] - alone),
            "cpu_seconds": float(sum(unit["cpu_seconds"] for unit in units)),
        }


def against(apart: np.ndarray) -> dict[str, Any]:
    """A mean difference over samples and test rows (S, N), its 95 % interval, and whether it is known to be worse or
    better: one-sided at 5 %, for this cell alone and for the 15 cells of its source and learner together."""
    found = mean_difference(apart)
    bounds = {"alone": found.bounds(1 - ALPHA), "together": found.bounds(1 - ALPHA / 15)}
    calls = {
        key: "worse" if lower > 0 else "better" if upper < 0 else "level" for key, (lower, upper) in bounds.items()
    }
    return {"difference": found.value, "interval": list(found.interval()), **calls}


def lines(found: list[dict[str, Any]]) -> Iterator[str]:
    """Markdown tables for the README."""
    yield "| source | learner | cells | tuned: worse, better | together | least: worse, better | w = 1: worse, better |"
    yield "|---|---|---|---|---|---|---|"
    for kind, learner in product(("own", "outside", "related"), LEARNERS):
        rows = [row for row in found if (row["source"], row["learner"]) == (kind, learner)]
        counts = [
            ", ".join(str(sum(row[rule][level] == call for row in rows)) for call in ("worse", "better"))
            for rule, level in (("tuned", "alone"), ("tuned", "together"), ("least", "alone"), ("naive", "alone"))
        ]
        yield f"| {kind} | {learner} | {len(rows)} | " + " | ".join(counts) + " |"
    yield ""
    yield "| source | table | n | learner | real rows alone | tuned less it | w chosen (0, .1, .3, 1) | w = 1 less it |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in found:
        shown = [
            f"{row[rule]['difference']:+.4f} ({row[rule]['interval'][0]:+.4f} to {row[rule]['interval'][1]:+.4f})"
            for rule in ("tuned", "naive")
        ]
        marks = ["**" if row[rule]["alone"] == "better" else "" for rule in ("tuned", "naive")]
        tuned, naive = (f"{mark}{text}{mark}" for mark, text in zip(marks, shown, strict=True))
        weights = ", ".join(map(str, row["weights"].values()))
        where = f"| {row['source']} | {row['table']} | {row['rows']:,} | {row['learner']} | {row['real']:.4f} |"
        yield f"{where} {tuned} | {weights} | {naive} |"


def main(words: list[str]) -> None:
    target = Path(words[words.index("--json") + 1])
    options = dict(word.split("=", 1) for word in words if "=" in word)
    data, work, seeds = Path(words[0]), Path(options.get("work", "augmentation-work")), int(options.get("seeds", 10))
    work.mkdir(parents=True, exist_ok=True)
    for line in run(data, work, options.get("tables", ",".join(TABLES)).split(","), seeds):
        print(line, flush=True)
    found = list(cells(work, seeds))
    target.parent.mkdir(parents=True, exist_ok=True)
    facts = {"weights": WEIGHTS, "folds": FOLDS, "alpha": ALPHA, "learners": LEARNERS, "seeds": seeds}
    target.write_text(json.dumps({**facts, "cells": found}, indent=1) + "\n")
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main(sys.argv[1:])
