"""Nearest-record and attack reports on large tables: peak memory and CPU-seconds, each in a process of its own.

usage: nearest.py [rows=100000] [columns=15] [members=4] [seed=0] [what=nearest,sklearn,attacks] [--json FILE]

Train, test and each member have `rows` rows of mixed columns; members are fresh rows of the same law, so that nothing
is to be found. `nearest`: all rows of one member against all of train and all of test. `sklearn`: the same search by
scikit-learn's brute force. `attacks`: the whole report on `members` members, 10,000 rows asked about of each side, by
attackers who have the rows; a tenth of `rows` is auxiliary.
"""

import os
import resource
import subprocess
import sys
import time
import warnings
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json

import numpy as np
import pyarrow as pa
from measure import finish, words

from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.leakage.nearest import nearest, nearness, unit_points
from dge_ray.table import TableCodec, TableSchema, infer_schema

LEVELS = (2, 2, 5, 7, 9, 16, 41)  # categories of the coded columns, about as Adult's


def table(n: int, columns: int, seed: int, part: int) -> pa.Table:
    """Rows of columns that share a hidden value; about half are categories."""
    rng = numpy_generator(seed, Purpose.SPLIT, index=part)
    hidden = rng.standard_normal(n)
    found: dict[str, Any] = {}
    for j in range(columns):
        seen = hidden + rng.standard_normal(n)
        if j % 2:
            levels = LEVELS[j // 2 % len(LEVELS)]
            code = np.clip(np.rint((seen / 6 + 0.5) * (levels - 1)), 0, levels - 1).astype(int)
            found[f"c{j}"] = np.array([f"v{i}" for i in range(levels)])[code]
        else:
            found[f"x{j}"] = np.round(seen, 3)
    found[f"c{columns}"] = np.where(hidden > 0, "yes", "no")
    return pa.table(found)


def measure(what: str, options: dict[str, Any]) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    rows, columns, seed = options["rows"], options["columns"] - 1, options["seed"]
    train, test = table(rows, columns, seed, 0), table(rows, columns, seed, 1)
    schema = infer_schema(train, target=f"c{columns}")
    before, began = peak_gib(), time.process_time()
    found = WHAT[what](schema, train, test, options)
    return {
        "benchmark": "nearest",
        "what": what,
        **{key: options[key] for key in ("rows", "columns", "members")},
        "cpu_s": time.process_time() - began,
        "peak_gib_before": before,
        "peak_gib": peak_gib(),
        **found,
    }


def near(schema: TableSchema, train: pa.Table, test: pa.Table, options: dict[str, Any]) -> dict[str, Any]:
    codec = TableCodec(schema)
    made = table(options["rows"], options["columns"] - 1, options["seed"], 2)
    found = nearness(codec.encode(made), codec.encode(train), codec.encode(test))
    return {"closer": found.closer, "interval": list(found.interval)}


def by_sklearn(schema: TableSchema, train: pa.Table, test: pa.Table, options: dict[str, Any]) -> dict[str, Any]:
    """A tenth of the points against all of train: times ten, and twice (train, test), it is what `nearest` does."""
    from sklearn.metrics import pairwise_distances_argmin_min

    codec = TableCodec(schema)
    points, others = unit_points(*(codec.encode(one) for one in (test.slice(0, options["rows"] // 10), train)))
    at = [time.process_time()]
    theirs, _ = pairwise_distances_argmin_min(points, others)
    at.append(time.process_time())
    squared, _ = nearest(points, others)
    at.append(time.process_time())
    worse = ((points - others[theirs]) ** 2).sum(1) < squared - 1e-5
    return {"sklearn_cpu_s": at[1] - at[0], "our_cpu_s": at[2] - at[1], "farther_than_sklearn": int(worse.sum())}


def attacks(schema: TableSchema, train: pa.Table, test: pa.Table, options: dict[str, Any]) -> dict[str, Any]:
    import torch

    from dge_ray.privacy.attacks.assemble import attack, draw_candidates
    from dge_ray.privacy.attacks.attributes import guessed_columns
    from dge_ray.privacy.attacks.membership import Material

    torch.set_num_threads(1)
    rows, columns, seed = options["rows"], options["columns"] - 1, options["seed"]
    released = [table(rows, columns, seed, 3 + k) for k in range(options["members"])]
    candidates = draw_candidates(train, test, 10_000, seed=seed)
    material = Material(schema, released, table(rows // 10, columns, seed, 2), candidates.table(), (), seed)
    report = attack(material, candidates, guessed_columns(schema, None), None)
    return {"auc": {one["name"]: [one["auc"], *one["auc_interval"]] for one in report["attacks"]}}


WHAT = {"nearest": near, "sklearn": by_sklearn, "attacks": attacks}


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(argv: list[str]) -> None:
    positional, options, file = words(argv, rows=100_000, columns=15, members=4, seed=0, what="nearest,sklearn,attacks")
    if positional:  # one case, in this process
        print(json.dumps(measure(positional[0], options)))
        return
    found = []
    for what in options["what"].split(","):
        given = [f"{key}={options[key]}" for key in ("rows", "columns", "members", "seed")]
        done = subprocess.run([sys.executable, __file__, what, *given], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    finish(found, file)


if __name__ == "__main__":
    main(sys.argv[1:])
