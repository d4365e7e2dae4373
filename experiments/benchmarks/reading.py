"""What it costs to read a table and to infer its types.

usage: reading.py [parts=adult,long,database] [rows=10000000] [database_rows=1000000] [base=d00170d] [rounds=5]
       [--json FILE]

adult      Adult as CSV, loaded and its schema inferred: CPU against the commit `base`, in pairs of fresh processes.
long       a CSV of `rows` x 10 columns: peak memory of a process that loads it, over what the table takes.
database   `database_rows` x 10 columns of SQLite: the same.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from measure import SHARED, finish, words

ROOT = Path(__file__).parents[2]
BLOCK = 500_000  # rows made at once

# In a fresh process each: the CPU-seconds of reading and inferring, the middle of seven; its peak memory in MiB.
CPU = """
import statistics, sys, time, warnings
warnings.simplefilter("ignore")
from dge_ray.table import infer_schema, load_table
def once():
    started = time.process_time()
    infer_schema(load_table(sys.argv[1]), target="income")
    return time.process_time() - started
once()
print(statistics.median(once() for _ in range(7)))
"""
PEAK = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import pyarrow as pa
from dge_ray.table.reading.load import load_table
from dge_ray.table.reading.options import Reading
def peak():  # of this program alone: ru_maxrss would be that of whoever started it, too
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
before = peak()
started = time.perf_counter()
table = load_table(sys.argv[1], Reading(table=sys.argv[2] or None))
wall = time.perf_counter() - started
print(json.dumps({
    "rows": table.num_rows, "columns": table.num_columns, "types": [str(t) for t in table.schema.types],
    "table_mib": table.nbytes / 2**20, "before_mib": before, "peak_mib": peak(), "wall_s": wall,
}))
"""


def main(argv: list[str]) -> None:
    _, options, file = words(
        argv, parts="adult,long,database", rows=10_000_000, database_rows=1_000_000, base="d00170d", rounds=5
    )
    todo = {"adult": adult, "long": long, "database": database}
    with tempfile.TemporaryDirectory() as place:
        rows = [
            {"benchmark": f"reading.{part}", **todo[part](options, Path(place))}
            for part in str(options["parts"]).split(",")
        ]
    finish(rows, file)


def adult(options: dict[str, Any], place: Path) -> dict[str, Any]:
    """The ratio of CPU-seconds, new over old, of each pair."""
    source, old = place / "adult.csv", place / "old"
    pacsv.write_csv(pq.read_table(SHARED / "adult.parquet"), source)
    old.mkdir()
    packed = subprocess.run(["git", "archive", options["base"], "dge_ray"], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "x", "-C", old], input=packed.stdout, check=True)
    pairs = [(float(_child(CPU, old, source)), float(_child(CPU, ROOT, source))) for _ in range(options["rounds"])]
    ratios = [new / before for before, new in pairs]
    return {
        "base": options["base"],
        "old_cpu_s": statistics.median(before for before, _ in pairs),
        "new_cpu_s": statistics.median(new for _, new in pairs),
        "ratios": ratios,
        "ratio": statistics.median(ratios),
    }


def long(options: dict[str, Any], place: Path) -> dict[str, Any]:
    source = place / "long.csv"
    with source.open("wb") as file:
        for i, block in enumerate(_blocks(options["rows"])):
            pacsv.write_csv(block, file, pacsv.WriteOptions(include_header=i == 0))
    answer = {"file_mib": source.stat().st_size / 2**20, **json.loads(_child(PEAK, ROOT, source, ""))}
    source.unlink()
    return answer


def database(options: dict[str, Any], place: Path) -> dict[str, Any]:
    with sqlite3.connect(place / "long.db") as connection:
        for block in _blocks(options["database_rows"]):
            names = ", ".join(block.column_names)
            connection.execute(f"create table if not exists t ({names})")
            marks = ", ".join("?" * block.num_columns)
            rows = zip(*(column.to_pylist() for column in block.columns), strict=True)
            connection.executemany(f"insert into t values ({marks})", rows)
    return json.loads(_child(PEAK, ROOT, f"sqlite:///{place}/long.db", "t"))


def _blocks(rows: int) -> Iterator[pa.Table]:
    """Four columns of decimals, three of whole numbers, one of days (as text) and two of words."""
    rng = np.random.default_rng(0)
    days = np.datetime_as_string(np.datetime64("2000-01-01") + np.arange(9000))
    for start in range(0, rows, BLOCK):
        n = min(BLOCK, rows - start)
        columns: dict[str, Any] = {f"x{i}": rng.normal(size=n).round(4) for i in range(4)}
        columns |= {f"n{i}": rng.integers(0, 10 ** (2 + 2 * i), n) for i in range(3)}
        columns["day"] = days[rng.integers(len(days), size=n)]
        columns |= {f"w{i}": np.array(["low", "mid", "high", "none"])[rng.integers(4, size=n)] for i in range(2)}
        yield pa.table(columns)


def _child(code: str, tree: Path, *arguments: Any) -> str:
    """What the code prints in a fresh process that imports the project from a folder."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main(sys.argv[1:])
