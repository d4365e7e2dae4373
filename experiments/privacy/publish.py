"""What publishing costs and what it refuses: a bundle of Adult, K = 8 at one times the real rows.

    python experiments/privacy/publish.py source=adult.parquet work=DIR --json experiments/privacy/results/publish.json

Runs `dge-ray tune`, `publish` and `verify` as a user would, each a process of its own; CPU-seconds are those of the
process and its children. A study that is there is not run again. Then, how many copies of real rows are called rare: of
the members' rows, and of real rows held apart, with all columns and without the weight column that tells rows apart.
"""

import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray import load_members
from dge_ray.publishing.copies import Matches, RealRows
from dge_ray.table import TableSchema, load_table

MEMBERS = 8
WEIGHT = "fnlwgt"


def measured(*words: str) -> dict[str, Any]:
    """Run `dge-ray` with these words: its answer, wall and CPU seconds, and peak memory (of the largest process)."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run([sys.executable, "-m", "dge_ray.cli", *words, "--json"], capture_output=True, text=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"answer": json.loads(done.stdout), "exit": done.returncode, "wall_seconds": wall, "cpu_seconds": cpu}


def cost(run: dict[str, Any]) -> dict[str, float]:
    return {"wall_seconds": round(run["wall_seconds"], 2), "cpu_seconds": round(run["cpu_seconds"], 2)}


def copies(real: pa.Table, rows: pa.Table, schema: TableSchema) -> dict[str, int]:
    known = RealRows(real, schema)
    found = known.copies(Matches(known.once, schema).of(rows), rows.num_rows)
    return {"rows": rows.num_rows, "real": known.count, "of_rows_alone": found.unique, "of_rare_rows": found.rare}


def main(words: list[str]) -> None:
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    source, work = settings["source"], Path(settings["work"])
    storage, out = f"storage={work / 'studies'}", work / "bundle"
    if not (work / "studies" / "adult" / "report.json").exists():
        keys = ["study=adult", "target=income", "split_column=split", f"members={MEMBERS}", "ratios=1"]
        measured("tune", source, *keys, storage, "tracking=false")
    shutil.rmtree(out, ignore_errors=True)
    published = measured("publish", "adult", storage, f"out={out}", "licence=CC BY 4.0")
    verified, against_real = measured("verify", str(out)), measured("verify", str(out), f"real={source}")
    members = load_members(out)
    rows = pa.concat_tables([members.table(k) for k in range(len(members))])
    real = load_table(source)
    without = replace(members.schema, columns=tuple(c for c in members.schema.columns if c.name != WEIGHT))
    order = np.random.default_rng(0).permutation(real.num_rows)
    half, rest = (real.take(pa.array(at)) for at in np.array_split(order, 2))
    found = {
        "members": len(members),
        "rows_per_member": members.volume,
        "bytes": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        "publish": cost(published),
        "verify": {**cost(verified), "clean": verified["answer"]["clean"]},
        "verify_real": {**cost(against_real), "clean": against_real["answer"]["clean"]},
        "copies": {
            "members, all columns": copies(real, rows, members.schema),
            f"members, without {WEIGHT}": copies(real, rows, without),
            "real rows held apart, all columns": copies(half, rest, members.schema),
            f"real rows held apart, without {WEIGHT}": copies(half, rest, without),
        },
    }
    place = words[words.index("--json") + 1] if "--json" in words else None
    text = json.dumps(found, indent=1)
    Path(place).write_text(text + "\n") if place else print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
