"""The quality card: what each generator costs, and how good its rows are, on one split, in one run.

usage: generators.py SOURCE target=COLUMN [split_column=COLUMN] [members=5] [generators=autoregressive,copula]
                     [sample_rows=200000] [peers=mostlyai-engine:PYTHON,ctgan:PYTHON,tvae:PYTHON] [--json FILE]

SOURCE defaults to Adult where the public tables lie beside the repository, else to breast_cancer. Each generator runs
in a process of its own with one thread, for its peak memory; `generators=all` takes every installed one, and
NAME:key=value:key=value gives settings; `cart` and `mixed` are of the benchmarks alone (cart.py). Fit: CPU-seconds on
all rows but the test rows, of which a generator may cut some to stop early. Sampling: rows per CPU-second, decoded to
Arrow. What is measured of the rows: card.py. The row `real` is the ceiling: learners trained on the real rows; its
errors and copies are those of the real test rows, the floor. A peer is one member, in the interpreter that has it
(ctgan and tvae at 40 and 100 epochs).
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
from card import quality, tstr
from cart import OWN
from measure import SHARED, finish, named, words

from dge_ray.generators.registry import REGISTRY, installed, make_generator
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.leakage.nearest import copy_share
from dge_ray.stats.utility.fidelity import shape_error, trend_error
from dge_ray.table import (
    TableCodec,
    TableSchema,
    default_target,
    infer_schema,
    load_table,
    split_table,
    take_split_column,
)
from dge_ray.table.kept import with_identities

EPOCHS = {"ctgan": 40, "tvae": 100}


def main(argv: list[str], *, benchmark: str = "generators") -> None:
    positional, options, file = words(
        argv,
        target=None,
        split_column=None,
        members=5,
        generators="autoregressive,copula",
        sample_rows=200_000,
        seed=0,
        peers="",
    )
    source, options = default_source(positional, options)
    schema, train, test = real_rows(source, options)
    head = {"benchmark": benchmark, "source": Path(source).stem}
    rows = [{**head, "generator": "real", **real_quality(schema, train, test, options)}]
    show(rows[-1])
    spawn = multiprocessing.get_context("spawn")
    asked = str(options["generators"])
    for generator in filter(installed, sorted(REGISTRY)) if asked == "all" else asked.split(","):
        with spawn.Pool(1) as pool:
            measured = pool.apply(measure_generator, (generator, schema, train, test, options))
        rows.append({**head, "generator": generator, **measured})
        show(rows[-1])
    for peer in filter(None, str(options["peers"] or "").split(",")):
        name, _, python = peer.partition(":")
        rows.append({**head, "generator": name, **measure_peer(name, python, schema, train, test, options)})
        show(rows[-1])
    finish(rows, file)


def show(row: dict[str, Any]) -> None:
    """One line of progress on standard error."""
    plain = {k: v for k, v in row.items() if k not in ("benchmark", "source") and not k.endswith("_sd")}
    print(" ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in plain.items()), file=sys.stderr)


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


def subsampling(options: dict[str, Any], member: int) -> np.random.Generator:
    return numpy_generator(options["seed"], Purpose.SUBSAMPLE, member=member)


def real_quality(schema: TableSchema, train: pa.Table, test: pa.Table, options: dict[str, Any]) -> dict[str, float]:
    """Ceiling and floor: learners on train; the errors and copies of test; where rows of test are the reference
    themselves, one half of it against the other."""
    order = subsampling(options, 1).permutation(test.num_rows)
    half = len(order) // 2
    floor = quality(schema, test.take(order[:half]), train, test.take(order[half:]), subsampling(options, 2))
    codec = TableCodec(schema)
    real, held = codec.encode(train), codec.encode(test)
    errors = {"shape_error": shape_error(real, held), "trend_error": trend_error(real, held)}
    return {**floor, **tstr(schema, real, held), **errors, "copies": copy_share(held, real)}


def measure_generator(
    generator: str, schema: TableSchema, train: pa.Table, test: pa.Table, options: dict[str, Any]
) -> dict[str, Any]:
    """Fit, sample and score `members` members; means, and standard deviations as `_sd`."""
    import torch

    torch.set_num_threads(1)
    name, settings = named(generator)
    known, _ = with_identities(schema, train)  # as in a study
    found = []
    for member in range(options["members"]):
        model = OWN[name]() if name in OWN else make_generator(name, **settings)
        started = time.process_time()
        model.fit(train, known, seed=integer(options["seed"], Purpose.FIT, member=member))
        fitted = time.process_time()
        seed = integer(options["seed"], Purpose.SHARD, member=member)
        synthetic = model.sample(train.num_rows, seed=seed)
        # Timed after a first, smaller draw: what is made once a generator is not what a row costs.
        begun = time.process_time()
        model.sample(options["sample_rows"], seed=seed)
        drawn = time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # before the learners have theirs
        record = {"fit_cpu_s": fitted - started, "rows_per_cpu_s": options["sample_rows"] / (drawn - begun)}
        record["peak_rss_gib"] = found[0]["peak_rss_gib"] if found else peak
        found.append(record | quality(schema, synthetic, train, test, subsampling(options, member)))
    return {"version": version("dge-ray"), "members": len(found), **mean_and_sd(found)}


def mean_and_sd(records: list[dict[str, float]]) -> dict[str, float]:
    out = {}
    for key in records[0]:
        values = [record[key] for record in records]
        out[key] = float(np.mean(values))
        if len(values) > 1:
            out[f"{key}_sd"] = float(np.std(values, ddof=1))
    return out


def measure_peer(
    name: str, python: str, schema: TableSchema, train: pa.Table, test: pa.Table, options: dict[str, Any]
) -> dict[str, Any]:
    """One member of a peer in its own interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(train, f"{folder}/train.parquet")
        script = Path(__file__).with_name("peer_member.py")
        count = str(max(train.num_rows, options["sample_rows"]))
        words = [python, str(script), name, folder, count, str(train.num_rows), str(EPOCHS.get(name, 0))]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: failed, {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return {"failed": done.stderr.strip()[-500:]}
        record = json.loads(done.stdout.strip().splitlines()[-1])
        synthetic = pq.read_table(f"{folder}/synthetic.parquet")
    columns = [synthetic[c.name] for c in schema.columns]
    synthetic = pa.table(columns, names=schema.names)
    return {"members": 1, **record, **quality(schema, synthetic, train, test, subsampling(options, 0))}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
