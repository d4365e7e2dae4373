"""One member: what a generator costs to fit and to sample, and how good its rows are.

usage: member.py SOURCE target=COLUMN [split_column=COLUMN] [members=5] [generators=autoregressive,copula]
                 [sample_rows=200000] [mostlyai_python=PATH] [--json FILE]

SOURCE defaults to Adult where the public tables lie beside the repository, else to breast_cancer. Each generator runs
in a process of its own with one thread, for its peak memory. Fit: CPU-seconds on all rows but the test rows, of which a
generator may cut some to stop early. Sampling: rows per CPU-second, decoded to Arrow. TSTR: HistGradientBoosting at
defaults (early_stopping=False) trained on as many synthetic rows as there are real ones, scored on the real test rows;
the row `real` is trained on the real ones, and its two errors are those of the real test rows. `mostlyai_python`: an
interpreter that has mostlyai-engine, measured on the same split (one member: it takes minutes).
"""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import SHARED, finish, words
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

from dge_ray.generators.base import make_generator
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.fidelity import shape_error, trend_error
from dge_ray.table import (
    TableCodec,
    TableSchema,
    default_target,
    feature_matrix,
    infer_schema,
    load_table,
    split_table,
    take_split_column,
    target_vector,
)

TSTR_SEED = 0


def main(argv: list[str]) -> None:
    positional, options, file = words(
        argv,
        target=None,
        split_column=None,
        members=5,
        generators="autoregressive,copula",
        sample_rows=200_000,
        seed=0,
        mostlyai_python=None,
    )
    source, options = default_source(positional, options)
    schema, train, test = real_rows(source, options)
    name = Path(source).stem
    rows = [{"benchmark": "member", "source": name, "generator": "real", **quality(schema, train, train, test)}]
    codec = TableCodec(schema)
    real, other = codec.encode(train), codec.encode(test)
    rows[0] |= {"shape_error": shape_error(real, other), "trend_error": trend_error(real, other)}
    spawn = multiprocessing.get_context("spawn")
    for generator in str(options["generators"]).split(","):
        with spawn.Pool(1) as pool:
            measured = pool.apply(measure_generator, (generator, schema, train, test, options))
        rows.append({"benchmark": "member", "source": name, "generator": generator, **measured})
    if options["mostlyai_python"] is None:
        print("mostlyai-engine: skipped, no mostlyai_python=PATH", file=sys.stderr)
    else:
        measured = measure_mostlyai(str(options["mostlyai_python"]), schema, train, test, options)
        rows.append({"benchmark": "member", "source": name, "generator": "mostlyai-engine", **measured})
    finish(rows, file)


def default_source(positional: list[str], options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if positional:
        return positional[0], options | {"target": options["target"] or default_target(positional[0])}
    if (SHARED / "adult.parquet").is_file():
        return str(SHARED / "adult.parquet"), options | {"target": "income", "split_column": "split"}
    return "breast_cancer", options | {"target": "target"}


def real_rows(source: str, options: dict[str, Any]) -> tuple[TableSchema, pa.Table, pa.Table]:
    """The schema, all real rows that are not test rows, and the test rows."""
    table, labels = take_split_column(load_table(source), options["split_column"])
    schema = infer_schema(table, target=options["target"])
    split = split_table(table, schema, seed=options["seed"], labels=labels)
    fitted = np.sort(np.concatenate([split.train, split.stopping, split.validation]))
    return schema, table.take(fitted), table.take(split.test)


def measure_generator(
    generator: str, schema: TableSchema, train: pa.Table, test: pa.Table, options: dict[str, Any]
) -> dict[str, Any]:
    """Fit, sample and score `members` members; means, and standard deviations as `_sd`."""
    import torch

    torch.set_num_threads(1)
    found = []
    for member in range(options["members"]):
        model = make_generator(generator)
        started = time.process_time()
        model.fit(train, schema, seed=integer(options["seed"], Purpose.FIT, member=member))
        fitted = time.process_time()
        seed = integer(options["seed"], Purpose.SHARD, member=member)
        synthetic = model.sample(train.num_rows, seed=seed)
        # Timed after a first, smaller draw: what is made once a generator is not what a row costs.
        begun = time.process_time()
        model.sample(options["sample_rows"], seed=seed)
        drawn = time.process_time()
        record = {"fit_cpu_s": fitted - started, "rows_per_cpu_s": options["sample_rows"] / (drawn - begun)}
        found.append(record | quality(schema, synthetic, train, test))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"version": version("dge-ray"), "members": len(found), **mean_and_sd(found), "peak_rss_gib": peak}


def mean_and_sd(records: list[dict[str, float]]) -> dict[str, float]:
    out = {}
    for key in records[0]:
        values = [record[key] for record in records]
        out[key] = float(np.mean(values))
        if len(values) > 1:
            out[f"{key}_sd"] = float(np.std(values, ddof=1))
    return out


def quality(schema: TableSchema, synthetic: pa.Table, train: pa.Table, test: pa.Table) -> dict[str, float]:
    """TSTR and the two errors of `synthetic` against `train`."""
    codec = TableCodec(schema)
    drawn, real, held = codec.encode(synthetic), codec.encode(train), codec.encode(test)
    metric, value = tstr(schema, drawn, held)
    return {metric: value, "shape_error": shape_error(real, drawn), "trend_error": trend_error(real, drawn)}


def tstr(schema: TableSchema, drawn: dict[str, np.ndarray], held: dict[str, np.ndarray]) -> tuple[str, float]:
    """(AUC, accuracy where there are more than two classes, or R2) on the real test rows."""
    x, categorical = feature_matrix(drawn, schema)
    x_test, _ = feature_matrix(held, schema)
    y, y_test = target_vector(drawn, schema), target_vector(held, schema)
    # HistGradientBoosting takes at most 255 categories; longer columns enter as ordered codes.
    fits = np.array([len(c.categories) <= 255 for c in schema.features]) & categorical
    settings: dict[str, Any] = dict(early_stopping=False, random_state=TSTR_SEED, categorical_features=fits)
    if schema.task == "regression":
        return "r2_hgb", float(r2_score(y_test, HistGradientBoostingRegressor(**settings).fit(x, y).predict(x_test)))
    learner = HistGradientBoostingClassifier(**settings).fit(x, y)
    if schema.task == "binary":
        return "auc_hgb", float(roc_auc_score(y_test == learner.classes_[1], learner.predict_proba(x_test)[:, 1]))
    return "accuracy_hgb", float(accuracy_score(y_test, learner.predict(x_test)))


def measure_mostlyai(
    python: str, schema: TableSchema, train: pa.Table, test: pa.Table, options: dict[str, Any]
) -> dict[str, Any]:
    """One member of mostlyai-engine at its defaults, in its own interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(train, f"{folder}/train.parquet")
        script = Path(__file__).with_name("mostlyai_member.py")
        count = str(max(train.num_rows, options["sample_rows"]))
        done = subprocess.run(
            [python, str(script), folder, count, str(train.num_rows)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"mostlyai-engine: failed, {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return {"failed": done.stderr.strip()[-500:]}
        record = json.loads(done.stdout.strip().splitlines()[-1])
        synthetic = pq.read_table(f"{folder}/synthetic.parquet")
    columns = [synthetic[c.name] for c in schema.columns]
    synthetic = pa.table(columns, names=schema.names)
    return {"members": 1, **record, **quality(schema, synthetic, train, test)}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
