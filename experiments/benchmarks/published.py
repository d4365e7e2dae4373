"""The published protocol on its five tables: our generators beside the published figures, real rows in the same run.

usage: published.py [tables=adult,default] [generators=trees:leaf=5,mixed] [seeds=5] [data=FOLDER] [work=FOLDER]
                    [--json FILE]

A cell is a table, a generator and a seed (a fit). Splits are Adult's own, and 90/10 by `default_rng(0)` for the others.
As many rows as there are train rows are drawn, and scored as published (published_scores.py): `mle`, on real test rows;
`detector`, train rows against the drawn ones. Beside it `detector_test`: test rows against as many drawn ones, which a
generator that draws near train rows does not pass more easily for. closer (of 10,000 drawn rows, those nearer to train
than to as many test rows), copies, shape and trend error against train: as in every report. class_se: how far the
rarest class is off. attack: the AUC of the likelihood, of train and test rows. The row `real` has the train rows for
the drawn ones: `detector_test` is its floor, and copies are those of the test rows.

`mixed`: half the rows of `autoregressive`, half of `trees`, each generator fitted on all train rows; `mixed-boosted`:
of `trees` with a boosted target. `auto`: the
generator that a study's pilot chooses from two members each, by the study's rule on a fifth of the train rows; its
scores are those of the cells of the generator chosen. A fit is timed in CPU-seconds, on one thread.

Drawn rows and a line of JSON for each finished cell are kept in `work`: a run that was cut off goes on from there, and
several that share it do different tables.
"""

import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from measure import SHARED, finish, named, words
from published_scores import BOOSTER, detector, mle
from sklearn.metrics import roc_auc_score

from dge_ray.downstream import make_learner
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.leakage.nearest import closer_share, copy_share
from dge_ray.stats.metrics.losses import SELECTION
from dge_ray.stats.utility.fidelity import shape_error, trend_error
from dge_ray.study.pilot.candidates import CANDIDATES, FEW_ROWS, MEMBERS, PREFERRED
from dge_ray.study.pilot.choice import judge
from dge_ray.table import Columns, TableCodec, TableSchema, infer_schema, target_vector
from dge_ray.table.kept import with_identities

TABLES = {  # file, target, columns that are no features
    "adult": ("adult", "income", ["split"]),
    "default": ("credit_default", "default.payment.next.month", ["ID"]),
    "magic": ("magic", "class", []),
    "shoppers": ("shoppers", "Revenue", []),
    "beijing": ("beijing", "pm2.5", ["No"]),
}
CODED_NUMBERS = ("SEX", "EDUCATION", "MARRIAGE", "PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")  # of default
GENERATORS = ("autoregressive", "trees", "trees:target=boosted")
MIXED = {"mixed": GENERATORS[:2], "mixed-boosted": GENERATORS[::2]}
NEAREST_ROWS = 10_000
PILOT_SHARE = 5  # one part in so many of the train rows is the pilot's validation


def main(argv: list[str]) -> None:
    _, options, file = words(
        argv,
        tables=",".join(TABLES),
        generators=",".join(("real", *GENERATORS, *MIXED, "auto")),
        seeds=5,
        data=str(SHARED),
        work=str(Path(tempfile.gettempdir()) / "published"),
    )
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    work = Path(options["work"])
    work.mkdir(parents=True, exist_ok=True)
    lines = work / "cells.jsonl"
    asked = [
        (name, generator, seed)
        for seed in range(options["seeds"])  # a seed of all tables before the next: what is there early is whole
        for name in str(options["tables"]).split(",")
        for generator in str(options["generators"]).split(",")
        if not seed or generator not in ("real", "auto")
    ]
    for cell in asked:
        if cell not in finished(lines):  # looked up anew, for another process may have done it
            line = json.dumps(measured(*cell, work, options["data"]))
            with lines.open("a") as stream:
                stream.write(line + "\n")
            print(line, file=sys.stderr, flush=True)
    done = finished(lines)
    finish([done[cell] for cell in asked], file)


def finished(lines: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The records of the finished cells, by table, generator and seed."""
    cells = map(json.loads, lines.read_text().splitlines()) if lines.is_file() else ()
    return {(cell["table"], cell["generator"], cell["seed"]): cell for cell in cells}


def measured(name: str, generator: str, seed: int, work: Path, data: str) -> dict[str, Any]:
    """A cell's record."""
    train, test, schema = rows_of(name, data)
    head = {"benchmark": "published", "table": name, "generator": generator, "seed": seed, "rows": train.num_rows}
    codec = TableCodec(schema)
    real, held = codec.encode(train), codec.encode(test)
    if generator == "auto":
        return {**head, **pilot(train, schema)}
    if generator == "real":
        scores = {"copies": copy_share(held, real)} | {
            what: error(real, held) for what, error in (("shape_error", shape_error), ("trend_error", trend_error))
        }
        drawn = real
    else:
        rows, cost = made(name, generator, seed, train, test, schema, work)
        drawn = codec.encode(rows)
        order = numpy_generator(seed, Purpose.SUBSAMPLE).permutation(len(rows))
        many = min(train.num_rows, test.num_rows, NEAREST_ROWS)
        nearest = [some(part, order) for part in (real, held)]
        scores = cost | {
            "detector": detector(schema, real, drawn),
            "closer": closer_share(some(drawn, order[:NEAREST_ROWS]), *(first(part, many) for part in nearest)),
            "copies": copy_share(drawn, real),
            "shape_error": shape_error(real, drawn),
            "trend_error": trend_error(real, drawn),
            **class_error(schema, real, drawn),
        }
    many = min(train.num_rows, test.num_rows)
    order = numpy_generator(seed, Purpose.SUBSAMPLE, index=1).permutation(train.num_rows)
    scores["detector_test"] = detector(schema, first(held, many), some(drawn, order[:many]))
    return {**head, "booster": BOOSTER, **scores, **mle(schema, drawn, held)}


def class_error(schema: TableSchema, real: Columns, drawn: Columns) -> dict[str, float]:
    """`class_se`: how far the rarest class's share of the drawn rows is off, in binomial standard errors of so many."""
    if schema.task == "regression":
        return {}
    shares = [np.bincount(target_vector(rows, schema), minlength=len(schema.classes)) for rows in (real, drawn)]
    rare = shares[0].argmin()
    p, found = (float(share[rare] / share.sum()) for share in shares)
    return {"class_se": abs(found - p) / (p * (1 - p) / shares[1].sum()) ** 0.5}


def first(columns: Columns, many: int) -> Columns:
    return {name: values[:many] for name, values in columns.items()}


def some(columns: Columns, rows: np.ndarray) -> Columns:
    """Those of the rows, in this order, that the columns have."""
    return {name: values[rows[rows < len(values)]] for name, values in columns.items()}


def rows_of(name: str, data: str) -> tuple[pa.Table, pa.Table, TableSchema]:
    """Train and test rows, and the schema of both, as these tables are open."""
    file, target, dropped = TABLES[name]
    frame = pd.read_parquet(f"{data}/{file}.parquet")
    frame = frame[frame[target].notna()]
    parts = frame["split"].to_numpy() if "split" in dropped else None
    frame = frame.drop(columns=dropped)
    for column in frame:
        if frame[column].dtype == bool or column in CODED_NUMBERS or (column == target and name != "beijing"):
            frame[column] = frame[column].astype(str)
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    if parts is not None:
        train, test = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "test")
    else:
        order = np.random.default_rng(0).permutation(len(frame))
        train, test = np.split(order, [int(0.9 * len(frame))])
    return table.take(train), table.take(test), infer_schema(table, target=target)


def made(
    name: str, generator: str, seed: int, train: pa.Table, test: pa.Table, schema: TableSchema, work: Path
) -> tuple[pa.Table, dict[str, float]]:
    """As many rows as train has, and what they cost; from `work` where they are there."""
    file = work / f"{name}-{generator}-{seed}.parquet"
    if generator in MIXED:
        each = MIXED[generator]
        parts, costs = zip(*(made(name, one, seed, train, test, schema, work) for one in each), strict=True)
        half = train.num_rows // 2
        rows = pa.concat_tables([parts[0].slice(0, half), parts[1].slice(half)])
        return rows, {"fit_cpu_s": sum(cost["fit_cpu_s"] for cost in costs)}
    if not file.is_file():
        kind, settings = named(generator)
        rows, cost = draw(kind, settings, seed, train, schema, test)
        rows = rows.replace_schema_metadata({"cost": json.dumps(cost)})
        pq.write_table(rows, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)
    rows = pq.read_table(file)
    return rows, json.loads(rows.schema.metadata[b"cost"])


def draw(
    kind: str,
    settings: dict[str, Any],
    seed: int,
    train: pa.Table,
    schema: TableSchema,
    test: pa.Table | None = None,
) -> tuple[pa.Table, dict[str, float]]:
    begun = time.process_time()
    schema, _ = with_identities(schema, train)  # as in a study
    fitted = make_generator(kind, **settings).fit(train, schema, seed=integer(seed, Purpose.FIT))
    between = time.process_time()
    rows = fitted.sample(train.num_rows, seed=integer(seed, Purpose.SHARD))
    drawn = time.process_time()
    cost = {"fit_cpu_s": between - begun, "rows_per_cpu_s": train.num_rows / (drawn - between)}
    return rows, cost | ({} if test is None else {"attack": attack(fitted, train, test)})


def attack(fitted: Any, train: pa.Table, test: pa.Table) -> float:
    """AUC of the likelihood, by which rows that were fitted are told from test rows."""
    many = min(train.num_rows, test.num_rows, NEAREST_ROWS)
    found = np.concatenate([fitted.log_prob(rows.slice(0, many)) for rows in (train, test)])
    impossible = np.nextafter(found[np.isfinite(found)].min(), -np.inf)
    return float(roc_auc_score(np.arange(2 * many) < many, np.where(np.isfinite(found), found, impossible)))


def pilot(train: pa.Table, schema: TableSchema) -> dict[str, Any]:
    """What a study's pilot at 1x chooses, its scores on validation, and what it cost."""
    begun = time.process_time()
    order = numpy_generator(0, Purpose.SPLIT).permutation(train.num_rows)
    validation, fitted = np.split(order, [train.num_rows // PILOT_SHARE])
    codec, rows = TableCodec(schema), train.take(fitted)
    held = codec.encode(train.take(validation))
    found: dict[tuple[str, int], np.ndarray] = {}
    predictions = {}
    for candidate in CANDIDATES:
        if candidate.name == "diffusion" and train.num_rows >= FEW_ROWS:
            continue
        for member in range(MEMBERS):
            choice = candidate.generators[member % len(candidate.generators)]
            if candidate.fit(member) not in found:
                drawn, _ = draw(choice.name, dict(choice.settings), member, rows, schema)
                learner = make_learner("boosting", {}, schema, seed=integer(0, Purpose.LEARNER, bits=31))
                found[candidate.fit(member)] = learner.fit(codec.encode(drawn)).predict(held)
        predictions[candidate.name] = np.stack([found[candidate.fit(member)] for member in range(MEMBERS)])
    metric = SELECTION["regression" if schema.task == "regression" else "classification"]
    judged = judge(predictions, target_vector(held, schema), metric=metric, preferred=PREFERRED)
    return {
        "chosen": next(one["name"] for one in judged if one["chosen"]),
        "pilot_cpu_s": time.process_time() - begun,
        "metric": metric,
        "candidates": {one["name"]: {"score": one["score"], "to_best": one["to_best"]} for one in judged},
    }


if __name__ == "__main__":
    main(sys.argv[1:])
