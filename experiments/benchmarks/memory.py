"""What a fit needs of memory: many rows and many columns, read from Parquet files one column at a time.

usage: memory.py [generator=autoregressive] [cases=long,wide,short] [epochs=1] [work=FOLDER] [--json FILE]

long    1,000,000 rows x 30 columns: numbers, whole numbers with an atom, dates, booleans, categories, a text key of
        20,000 values, all depending on a hidden factor
wide    20,000 rows x 200 columns of the same kinds
short   300 rows x 15 columns
longest 10,000,000 rows x 20 columns, if asked for: generators that learn from a part of the rows, such as trees
The files are written a part at a time, so that the process that fits never held the table. Each case is a process of
its own with one thread. Printed: peak resident memory, and what of it is there before the fit (imports, schema);
CPU-seconds of the schema and of the fit; rows drawn in a CPU-second, to Arrow, and whether they are valid. `epochs`
bounds the time, not the memory; the aim is under 3 GiB for `long`, and 20 CPU-minutes for a fit of `longest`.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import finish, words

from dge_ray.seeds import Purpose, integer, numpy_generator

CASES = {"long": (1_000_000, 30), "wide": (20_000, 200), "short": (300, 15), "longest": (10_000_000, 20)}
PART_ROWS = 50_000
KEYS = 20_000
DRAWN = 200_000  # rows by which drawing is timed, after a first, smaller draw


def main(argv: list[str]) -> None:
    _, options, file = words(argv, generator="autoregressive", cases="long,wide,short", epochs=1, seed=0, work=None)
    rows = []
    for case in str(options["cases"]).split(","):
        spawn = multiprocessing.get_context("spawn")
        with tempfile.TemporaryDirectory(dir=options["work"]) as folder, spawn.Pool(1) as pool:
            write(Path(folder), *CASES[case], seed=options["seed"])
            rows.append(pool.apply(measure, (case, folder, options)))
    finish(rows, file)


def write(folder: Path, n: int, columns: int, *, seed: int) -> None:
    """The table, in files of `PART_ROWS` rows."""
    for part, start in enumerate(range(0, n, PART_ROWS)):
        rng = numpy_generator(seed, Purpose.SUBSAMPLE, index=part)
        pq.write_table(made(min(PART_ROWS, n - start), columns, rng), folder / f"{part:04d}.parquet")


def made(n: int, columns: int, rng: np.random.Generator) -> pa.Table:
    """A hidden normal factor a row, and columns that each see it through noise."""
    hidden = rng.standard_normal(n)
    found: dict[str, pa.Array] = {}
    for j in range(columns - 1):
        seen = 0.7 * hidden + 0.7 * rng.standard_normal(n)
        lost = rng.random(n) < 0.05
        kind = j % 6
        if kind == 0:
            found[f"number_{j}"] = pa.array(np.exp(seen), mask=lost)
        elif kind == 1:
            found[f"whole_{j}"] = pa.array(np.maximum(np.rint(40 * seen), 0).astype(np.int32))
        elif kind == 2:
            found[f"day_{j}"] = pa.array((18_000 + 300 * seen).astype(np.int32)).cast(pa.date32())
        elif kind == 3:
            found[f"flag_{j}"] = pa.array(seen > 0.5, mask=lost)
        elif kind == 4:
            found[f"category_{j}"] = pa.array(np.char.add("c", np.rint(4 * np.abs(seen)).astype(int).astype(str)))
        else:
            key = np.minimum((KEYS * rng.random(n) ** 3).astype(int), KEYS - 1)
            found[f"key_{j}"] = pa.array(np.char.add("k", key.astype(str)))
    found["target"] = pa.array(np.where(hidden + rng.standard_normal(n) > 0, "yes", "no"))
    return pa.table(found)


def measure(case: str, folder: str, options: dict[str, Any]) -> dict[str, Any]:
    """Fit on the files and draw a few rows."""
    import torch
    from pyarrow.dataset import dataset

    from dge_ray.generators.registry import make_generator, settings_class
    from dge_ray.table import check_table, infer_schema

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    started = time.process_time()
    source = dataset(folder)
    schema = infer_schema(source, target="target")
    described, before = time.process_time(), peak_gib()
    name = options["generator"]
    settings = {"epochs": options["epochs"]} if "epochs" in settings_class(name).model_fields else {}
    generator = make_generator(name, **settings)
    generator.fit(source, schema, seed=integer(options["seed"], Purpose.FIT))
    fitted, peak = time.process_time(), peak_gib()
    drawn = generator.sample(10_000, seed=integer(options["seed"], Purpose.SHARD))
    begun = time.process_time()
    generator.sample(DRAWN, seed=integer(options["seed"], Purpose.SHARD))
    sampled = time.process_time()
    return {
        "benchmark": "memory",
        "case": case,
        "generator": name,
        "rows": CASES[case][0],
        "columns": CASES[case][1],
        "epochs": options["epochs"],
        "peak_gib_before": before,
        "peak_gib": peak,
        "schema_cpu_s": described - started,
        "fit_cpu_s": fitted - described,
        "rows_per_cpu_s": DRAWN / (sampled - begun),
        "faults": check_table(drawn, schema),
    }


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main(sys.argv[1:])
