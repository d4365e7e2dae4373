"""`dge-ray select` on one worker and on two: wall time, and that no fit is done twice.

usage: selection.py [BUNDLE] [estimators=logistic,tree,forest,boosting,mlp,knn,svm] [members=20] [rows=2000]
                    [workers=1,2] [--json FILE]

Without a bundle one is made: members of one law of 12 numbers and 2 classes (scikit-learn's make_classification). Each
number of workers has a Ray of its own with so many CPUs, started before the clock; worker processes start within it.
`fits_cpu_s` is what the fits themselves took, in their workers. The answers must be equal for all numbers of workers.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from measure import finish, words
from sklearn.datasets import make_classification

from dge_ray.commands.select import select
from dge_ray.distributed.session.ray_session import ray_session
from dge_ray.storage import Folder
from dge_ray.table import from_pandas, infer_schema

SEVEN = "logistic,tree,forest,boosting,mlp,knn,svm"
ANSWER = ("scores", "rankings", "stability", "pairs")


def main(argv: list[str]) -> None:
    given, options, file = words(argv, estimators=SEVEN, members=20, rows=2000, workers="1,2")
    counts = [int(part) for part in str(options["workers"]).split(",")]
    with tempfile.TemporaryDirectory() as scratch:
        bundle = given[0] if given else make_bundle(f"{scratch}/bundle", options["members"], options["rows"])
        timed = [measured(bundle, f"{scratch}/out{count}", count, options["estimators"]) for count in counts]
    first = timed[0]
    for row, answer in timed:
        row["speed_up"] = round(first[0]["wall_s"] / row["wall_s"], 2)
        row["same_answer"] = answer == first[1]
    finish([row for row, _ in timed], file)


def make_bundle(place: str, members: int, rows: int) -> str:
    """Write the members' rows, the schema and the facts."""
    x, y = make_classification(members * rows, 12, n_informative=6, flip_y=0.1, class_sep=0.7, random_state=0)
    names = {f"x{j}": x[:, j].round(4) for j in range(x.shape[1])}
    table = from_pandas(pd.DataFrame({**names, "y": y.astype(str)}))
    schema, folder = infer_schema(table, target="y"), Folder.open(place)
    for k in range(members):
        folder.write_table(f"member={k:03d}/part-00000.parquet", table.slice(k * rows, rows))
    folder.write_bytes("schema.json", schema.to_json().encode())
    facts = {"generator": "make_classification", "version": "0", "members": members, "rows_per_member": rows}
    folder.write_json("bundle.json", facts)
    return place


def measured(bundle: str, out: str, workers: int, estimators: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """One selection from nothing: its row, and its answer."""
    with ray_session(num_cpus=workers):
        started = time.perf_counter()
        found = select(bundle, {"estimators": estimators, "out": out}, lambda line: print(line, file=sys.stderr))
        wall = time.perf_counter() - started
    files = len(list(Path(out).rglob("*.json")))
    row = {
        "benchmark": "selection",
        "workers": workers,
        "estimators": found["estimators"],
        "members": found["members"],
        "rows": found["rows_per_member"],
        "wall_s": round(wall, 1),
        "fits_cpu_s": found["cpu_seconds"],
        "fits": found["fits"],
        "files": files,
        "fits_asked": len(found["estimators"]) * found["members"],
    }
    return row, {part: found[part] for part in ANSWER}


if __name__ == "__main__":
    main(sys.argv[1:])
