"""The study against the same grid done cell by cell, each cell (K, m) fitting and sampling afresh.

usage: sweep.py [SOURCE] [target=...] [split_column=...] [volumes=0.5,1,2,4,8] [members=1,2,4,8] [--json FILE]

Both with the same seeds; the predictions must be the same bits. CPU-seconds: the study's with everything that Ray
uses (its whole process tree); the cells' of one plain process, which has no overhead at all. A study also fits the
baselines at the chosen volume, which are no cells of the grid: `ratio_cpu` leaves those fits out, `ratio_cpu_all` has
them in.
"""

import sys
import tempfile
import time

import numpy as np
import torch
from measure import SHARED, Tree, finish, words
from plain import cut, draw, fit_learner, fit_member

from dge_ray.commands.tune import run_study
from dge_ray.storage import Folder
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.predictions import Job, baseline_jobs, read_predictions
from dge_ray.table import TableCodec


def main(argv: list[str]) -> None:
    defaults = dict(
        target=None, split_column=None, volumes="0.5,1,2,4,8", members="1,2,4,8", generator="autoregressive"
    )
    positional, options, file = words(argv, **defaults)
    if positional:
        source = positional[0]
    else:
        source = str(SHARED / "adult.parquet")
        options |= {"target": "income", "split_column": "split"}
    sizes = [int(k) for k in str(options["members"]).split(",")]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as storage:
        asked = [f"members={max(sizes)}", f"ratios={options['volumes']}", f"storage={storage}", "tracking=false"]
        asked += [f"{key}={options[key]}" for key in ("target", "split_column", "generator") if options[key]]
        prepared = prepare(read_config(source, asked))
        started = time.perf_counter()
        with Tree() as tree:
            report = run_study(read_config(source, asked))
        study = {"cpu_s": tree.cpu_seconds, "wall_s": time.perf_counter() - started}
        folder = Folder.open(storage) / prepared.name
        baselines = _baselines(prepared, folder, max(sizes), report["reflection_point"]["volume"])
        cells, identical = _cells(prepared, sizes, folder)
    finish(
        [
            {
                "benchmark": "sweep",
                "source": prepared.name,
                "rows": prepared.n,
                "members": sizes,
                "volumes": list(prepared.volumes),
                "study_cpu_s": round(study["cpu_s"], 1),
                "study_wall_s": round(study["wall_s"], 1),
                "baseline_fits_cpu_s": round(baselines, 1),
                "cells_cpu_s": round(cells, 1),
                "ratio_cpu": round(cells / (study["cpu_s"] - baselines), 2),
                "ratio_cpu_all": round(cells / study["cpu_s"], 2),
                "predictions_identical": identical,
            }
        ],
        file,
    )


def _baselines(prepared: Prepared, folder: Folder, members: int, volume: int) -> float:
    jobs, label = baseline_jobs(members, volume), prepared.arms[0].label
    return sum(folder.read_json(f"costs/{label}-{job.address}.json")["cpu_seconds"] for job in jobs)


def _cells(prepared: Prepared, sizes: list[int], folder: Folder) -> tuple[float, bool]:
    """CPU-seconds of the grid done cell by cell, and whether every prediction is the study's."""
    codec, real, identical = TableCodec(prepared.schema), prepared.encoded(), True
    started = time.process_time()
    checking = 0.0
    for size in sizes:
        for volume in prepared.volumes:
            for k in range(size):
                job = Job("member", k, volume)
                rows = codec.encode(draw(prepared, fit_member(prepared, k), k, volume))
                mine = fit_learner(prepared, job, cut(rows, volume), real)
                at = time.process_time()
                kept = read_predictions(folder, prepared.arms[0].label, job, prepared.width)
                identical &= all(np.array_equal(mine[split], kept[split]) for split in mine)
                checking += time.process_time() - at
            print(f"K={size} m={volume}: {time.process_time() - started:.0f} CPU-s so far", file=sys.stderr, flush=True)
    return time.process_time() - started - checking, identical


if __name__ == "__main__":
    main(sys.argv[1:])
