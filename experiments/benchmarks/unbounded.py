"""A stream much larger than memory: 100,000,000 rows to Parquet, and one downstream fit on as many.

usage: unbounded.py [SOURCE target=COLUMN ...] [parts=sample,fit] [rows=100000000] [workers=1,2] [--json FILE]

sample  `dge-ray sample STUDY volume=ROWS` to Parquet, on every core.
fit     one epoch of the torch learner over a member's stream of ROWS rows: a generator actor draws them, Ray Data
        carries them, and so many Train workers read disjoint parts and average their gradients. Object store capped at
        1 GB. On 2 cores a second worker shares its core with the generator.

Both are held against the raw generator: a loop in one process, rows to Arrow and nothing else, measured in the same
run, in wall time (`ratio`) and, for what a busy machine says, in rows per CPU-second (`ratio_cpu`). Memory is what each
kind of process holds for itself, in the first and the last third after a quarter of the time.
"""

# ruff: noqa: E402 (Ray reads its object store's limit when it is imported)

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STORE = 1 << 30
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES"] = str(STORE)

import torch
from measure import SHARED, Tree, finish, words
from plain import draw, fit_member

from dge_ray.commands.sample import sample as write_bundle
from dge_ray.commands.tune import Study
from dge_ray.storage import Folder
from dge_ray.study.folder import claim_folder, study_folder
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.predictions import Job
from dge_ray.study.terminal.progress import Progress

ADULT = [str(SHARED / "adult.parquet"), "target=income", "split_column=split", "generator=autoregressive"]
LEARNER = ["learner=torch_mlp", "learner.epochs=1", "learner.batch_size=4096", "learner.hidden=[64,64]"]
RAW_SHARDS = 32
KINDS = 12  # of processes, the largest ones, that the result names


def main(argv: list[str]) -> None:
    source, options, file = words(
        argv, parts="sample,fit", rows=100_000_000, workers="1,2", target=None, split_column=None
    )
    torch.set_num_threads(1)
    asked = source or ADULT
    asked += [f"{key}={options[key]}" for key in ("target", "split_column") if options[key] is not None]
    volume, parts, rows = int(options["rows"]), str(options["parts"]).split(","), []
    if "sample" in parts:
        with tempfile.TemporaryDirectory() as storage:
            rows.append({"benchmark": "unbounded.sample", **sample(asked, volume, storage)})
    for workers in str(options["workers"]).split(",") if "fit" in parts else ():
        with tempfile.TemporaryDirectory() as storage:
            rows.append({"benchmark": "unbounded.fit", **fit(asked, volume, storage, int(workers))})
    finish(rows, file)


def _prepared(asked: list[str], volume: int, storage: str, workers: int = 1) -> Prepared:
    """A study of one member whose largest volume is `volume`."""
    n = prepare(read_config(asked[0], [*asked[1:], "members=1"])).n
    ours = [*LEARNER, "members=1", f"ratios={volume / n}", f"max_rows={2 * volume}", f"storage={storage}"]
    return prepare(read_config(asked[0], [*asked[1:], *ours, f"workers={workers}", "tracking=false"]))


def _raw_rates(prepared: Prepared, generator: Any) -> tuple[float, float]:
    """Rows per second, and per CPU-second, of one process that does nothing else."""
    draw(prepared, generator, 0, prepared.shard_rows)
    rows = RAW_SHARDS * prepared.shard_rows
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(RAW_SHARDS):
        draw(prepared, generator, 0, prepared.shard_rows)
    return rows / (time.perf_counter() - started), rows / (time.process_time() - cpu)


def _memory(tree: Tree) -> dict[str, Any]:
    """MiB of each kind of process, early and late; the largest growth of any."""
    warm = tree.memory[len(tree.memory) // 4 :]
    third = len(warm) // 3
    found = {}
    for name in {name for reading in warm for name in reading}:
        early, late = (max(r.get(name, 0.0) for r in part) for part in (warm[:third], warm[-third:]))
        if early and late:
            found[name] = [round(early), round(late)]
    largest = dict(sorted(found.items(), key=lambda item: -item[1][1])[:KINDS])
    return {
        "memory_mib_early_late": largest,
        "growth_mib": max(late - early for early, late in found.values()),
        "object_store_gib": STORE / 2**30,
    }


def _rates(volume: int, wall: float, tree: Tree, raw: float, raw_cpu: float) -> dict[str, int]:
    """Rows a second and a CPU-second, ours and the raw generator's."""
    return {
        "rows": volume,
        "rows_per_s": round(volume / wall),
        "rows_per_cpu_s": round(volume / tree.cpu_seconds),
        "raw_rows_per_s": round(raw),
        "raw_rows_per_cpu_s": round(raw_cpu),
    }


def sample(asked: list[str], volume: int, storage: str) -> dict[str, Any]:
    prepared = _prepared(asked, volume, storage)
    folder = study_folder(storage, prepared.name)
    claim_folder(prepared, folder)
    generator = fit_member(prepared, 0)
    with tempfile.TemporaryDirectory() as scratch:
        generator.save(Path(scratch))
        folder.upload(Path(scratch), "members/000/generator")
    folder.write_json("members/000/member.json", {"rows": prepared.n})
    raw, raw_cpu = _raw_rates(prepared, generator)
    started = time.perf_counter()
    out = Path(storage) / "bundle"
    with Tree(every=2.0) as tree:
        write_bundle(str(folder), {"out": str(out), "volume": volume}, lambda line: print(line, file=sys.stderr))
    wall = time.perf_counter() - started
    files = list(out.rglob("*.parquet"))
    cores = os.cpu_count() or 1
    return {
        **_rates(volume, wall, tree, raw, raw_cpu),
        "ratio": round(volume / wall / (raw * cores), 3),
        "ratio_cpu": round(volume / tree.cpu_seconds / raw_cpu, 3),
        "processes": cores,
        "bytes_per_row": round(sum(f.stat().st_size for f in files) / volume, 1),
        "files": len(files),
        **_memory(tree),
    }


def fit(asked: list[str], volume: int, storage: str, workers: int) -> dict[str, Any]:
    from dge_ray.commands.tune import demand_of
    from dge_ray.distributed.engine import Engine

    prepared = _prepared(asked, volume, storage, workers)
    volume = prepared.volumes[-1]
    raw, raw_cpu = _raw_rates(prepared, fit_member(prepared, 0))
    folder = study_folder(storage, prepared.name)
    claim_folder(prepared, folder)
    study = Study(prepared, folder, Progress(), None)
    begun: list[float] = []
    waiting: list[int] = []

    def on_status(counts: dict[str, Any]) -> None:
        study.progress.status(counts)
        waiting.append(counts["rows_waiting"])

    def on_news(event: dict[str, Any]) -> None:
        if event["event"] == "member ready":
            begun.append(time.perf_counter())

    tree = Tree(every=2.0)
    with Engine(
        study.downstream,
        tables=prepared.parts,
        real=prepared.encoded(),
        demand=demand_of(prepared),
        on_status=on_status,
        on_news=on_news,
        study=prepared.name,
    ) as engine:
        job = engine.want([Job("member", 0, volume)], members=1)
        while not begun:
            time.sleep(0.1)
        with tree:
            engine.wait(job)
        wall = time.perf_counter() - begun[0]
    alone = _learner_rate(prepared, folder)
    floor = 1 / raw_cpu + 1 / alone  # CPU-seconds a row of drawing and learning alone
    return {
        **_rates(volume, wall, tree, raw, raw_cpu),
        "ratio": round(volume / wall / raw, 3),
        "learner_rows_per_cpu_s": round(alone),
        "ratio_cpu": round(floor * volume / tree.cpu_seconds, 3),
        "rows_waiting_at_most": max(waiting),
        "workers": workers,
        **_memory(tree),
    }


def _learner_rate(prepared: Prepared, folder: Folder) -> float:
    """Rows per CPU-second of the learner by itself, in one process, from shards in memory."""
    import pyarrow as pa

    from dge_ray.downstream import make_learner
    from dge_ray.table import TableCodec

    shards = [folder.read_table(f"shards/member=000/part-{j:05d}.parquet") for j in range(RAW_SHARDS)]
    table = pa.concat_tables(shards)
    learner = make_learner("torch_mlp", prepared.config.learner.settings, prepared.schema, seed=0)
    started = time.process_time()
    learner.fit(TableCodec(prepared.schema).encode(table))
    return table.num_rows / (time.process_time() - started)


if __name__ == "__main__":
    main(sys.argv[1:])
