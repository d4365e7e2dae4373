"""Prediction tensors of a whole grid of volumes, a table and a seed each, kept for replays.

    python experiments/syn2023/tensors.py [tables=abalone,california] [seeds=5] [members=6] [cache=tensors]

One process, no Ray, the same weights, rows and fits as a study has (experiments/benchmarks/plain.py). The grid is
ratios 1 to 30 one by one, on Adult 1 to 30 in doublings. The split leaves about 1,600 (Abalone), 900 (California) and
2,100 (Adult) rows to learn from, the setting in which the papers expect volume to matter, and the rest to measure on.
`cache` is a folder outside the repository's own files. Abalone takes 52 CPU-seconds a seed, California 45 at 4 members.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
from measure import SHARED, words
from plain import plain_study

from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import make_config
from dge_ray.study.records.predictions import Job

RATIOS = list(range(1, 31))
TABLES = {
    "abalone": {
        "source": "abalone.parquet",
        "target": "Rings",
        "generator": "copula",
        "test_fraction": 0.3,
        "validation_fraction": 0.4,
    },
    "california": {
        "source": "california_housing.parquet",
        "target": "MedHouseVal",
        "generator": "autoregressive",
        "test_fraction": 0.6,
        "validation_fraction": 0.88,
    },
    "adult": {
        "source": "adult.parquet",
        "target": "income",
        "generator": "autoregressive",
        "drop": ["split"],
        "ratios": [1, 2, 4, 8, 16, 30],
        "test_fraction": 0.6,
        "validation_fraction": 0.88,
    },
}


def prepared_case(table: str, seed: int, members: int) -> Prepared:
    """The study that a replay stands for."""
    case = TABLES[table]
    raw = {"ratios": RATIOS, **case, "source": str(SHARED / case["source"]), "seed": seed, "members": members}
    return prepare(make_config({**raw, "study": table}))


def tensor_of(table: str, seed: int, members: int, cache: Path) -> tuple[Prepared, dict[str, np.ndarray]]:
    """The study, and its predictions by split (members, volumes, rows, 1), from the cache if they are there."""
    prepared = prepared_case(table, seed, members)
    file = cache / f"{table}-{seed}-{members}.npz"
    if not file.exists():
        started = time.process_time()
        done = plain_study(prepared, members, prepared.volumes)
        jobs = [[Job("member", k, m) for m in prepared.volumes] for k in range(members)]
        validation, test = (np.stack([[done[j][s] for j in row] for row in jobs]) for s in ("validation", "test"))
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(file, validation=validation, test=test)
        print(f"{file.name}: {time.process_time() - started:.0f} CPU-seconds", file=sys.stderr, flush=True)
    with np.load(file) as kept:
        return prepared, {split: kept[split] for split in ("validation", "test")}


def main(argv: list[str]) -> None:
    _, options, _ = words(argv, tables="abalone,california", seeds=5, members=6, cache="tensors")
    for table in str(options["tables"]).split(","):
        for seed in range(options["seeds"]):
            tensor_of(table, seed, options["members"], Path(options["cache"]))


if __name__ == "__main__":
    main(sys.argv[1:])
