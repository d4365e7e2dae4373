"""What Ray costs and what it brings, in four parts.

usage: overhead.py [parts=study,fixed,rate,stream] [members=16] [rows=10000000] [--json FILE]

study   Adult study on Ray against the plain single-process loop: wall time, one thread a process.
fixed   a study with next to no work: its wall time is the fixed cost; 12 volumes against 2 give the cost of a volume
        beyond its fits.
rate    rows per second of a generator in a plain loop against the same rows through Ray Data, shards written.
stream  10 million rows streamed with the object store capped at 1 GB: is memory flat?
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import SHARED, Tree, finish, words
from plain import draw, fit_member, plain_study

from dge_ray.commands.tune import run_study
from dge_ray.results.assemble import choose, surface_table
from dge_ray.results.outcomes import Outcome
from dge_ray.storage import Folder
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.predictions import SPLITS, Job

ADULT = [str(SHARED / "adult.parquet"), ["target=income", "split_column=split", "generator=autoregressive"]]


def main(argv: list[str]) -> None:
    _, options, file = words(argv, parts="study,fixed,rate,stream", members=16, rows=10_000_000)
    torch.set_num_threads(1)
    todo = {"study": study, "fixed": fixed, "rate": rate, "stream": stream}
    finish(
        [{"benchmark": f"overhead.{part}", **todo[part](options)} for part in str(options["parts"]).split(",")], file
    )


def study(options: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as storage:
        asked = [
            *ADULT[1],
            f"members={options['members']}",
            "ratios=0.5,1,2,4,8",
            f"storage={storage}",
            "tracking=false",
        ]
        config = read_config(ADULT[0], asked)
        started = time.perf_counter()
        with Tree() as tree:
            report = run_study(config)
        wall = time.perf_counter() - started
        prepared = prepare(config)
        chosen = report["reflection_point"]["volume"]
    started, cpu = time.perf_counter(), time.process_time()
    predictions = plain_study(prepared, options["members"], prepared.volumes, baselines_at=chosen)
    _read_off(prepared, predictions, options["members"])
    loop, loop_cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "members": options["members"],
        "ray_wall_s": round(wall, 1),
        "ray_cpu_s": round(tree.cpu_seconds, 1),
        "loop_wall_s": round(loop, 1),
        "loop_cpu_s": round(loop_cpu, 1),
        # The loop is one thread that waits for nothing: on an idle core its wall time is its CPU time. The lesser of
        # the two keeps a machine that was busy meanwhile from flattering Ray.
        "ratio_wall": round(wall / min(loop, loop_cpu), 3),
    }


def _read_off(prepared: Prepared, predictions: dict[Job, dict[str, np.ndarray]], members: int) -> None:
    """What the study makes of its predictions: the choice, and the surface of every metric on both splits."""
    truth = {split: prepared.truth(split) for split in SPLITS}
    cells = {
        split: np.stack([[predictions[Job("member", k, m)][split] for m in prepared.volumes] for k in range(members)])
        for split in SPLITS
    }
    volumes = list(prepared.volumes)
    choice = choose(prepared, cells["validation"], truth["validation"], volumes)
    surface_table(Outcome(prepared, prepared.arms[0], volumes, cells, choice), truth)


def fixed(options: dict[str, Any]) -> dict[str, Any]:
    walls, fits = {}, {}
    for count in (2, 12):
        ratios = ",".join(str(1 + i / 10) for i in range(count))
        with tempfile.TemporaryDirectory() as storage:
            asked = ["generator=copula", "members=1", f"ratios={ratios}", "learner=linear", f"storage={storage}"]
            started = time.perf_counter()
            report = run_study(read_config("breast_cancer", [*asked, "tracking=false"]))
            walls[count] = time.perf_counter() - started
            fits[count] = report["cost"]["cpu_seconds"]["downstream"]
    volume = (walls[12] - walls[2] - (fits[12] - fits[2])) / 10
    return {"fixed_wall_s": round(walls[2], 1), "volume_wall_s": round(volume, 2)}


def rate(options: dict[str, Any]) -> dict[str, Any]:
    """One member, one generator process: the plain loop and the stream both write nothing but shards."""
    prepared = _adult()
    generator = fit_member(prepared, 0)
    shards = 64
    volume = shards * prepared.shard_rows
    with tempfile.TemporaryDirectory() as scratch:
        folder = Folder.open(scratch)
        spec = _spec(prepared, folder, generator)
        draw(prepared, generator, 0, prepared.shard_rows)
        started = time.perf_counter()
        for j in range(shards):
            folder.write_table(f"plain/{j}.parquet", draw(prepared, generator, 0, prepared.shard_rows))
        raw = volume / (time.perf_counter() - started)
        streamed, _ = _stream(spec, volume, None)
    return {
        "raw_rows_per_s": round(raw),
        "stream_rows_per_s": round(streamed),
        "ratio": round(streamed / raw, 3),
    }


def stream(options: dict[str, Any]) -> dict[str, Any]:
    prepared = _adult()
    with tempfile.TemporaryDirectory() as scratch:
        spec = _spec(prepared, Folder.open(scratch), fit_member(prepared, 0))
        with Tree(every=1.0) as tree:
            per_second, _ = _stream(spec, int(options["rows"]), 1 << 30)
    readings = [max(largest.values()) for largest in tree.memory]
    warm = readings[len(readings) // 4 :]
    third = len(warm) // 3
    return {
        "rows": options["rows"],
        "rows_per_s": round(per_second),
        "object_store_gib": 1.0,
        "largest_process_mib_early": round(max(warm[:third])),
        "largest_process_mib_late": round(max(warm[-third:])),
        "growth_mib": round(max(warm[-third:]) - max(warm[:third])),
    }


def _adult() -> Prepared:
    return prepare(read_config(ADULT[0], [*ADULT[1], "members=1"]))


def _spec(prepared: Prepared, folder: Folder, generator: Any) -> Any:
    from dge_ray.study.members import MemberSpec
    from dge_ray.study.records.files import generator_folder, member_file

    spec = MemberSpec(
        folder, prepared.schema, prepared.config.generators, prepared.config.seed, prepared.shard_rows, "bench"
    )
    with tempfile.TemporaryDirectory() as scratch:
        generator.save(Path(scratch))
        folder.upload(Path(scratch), generator_folder(0))
    folder.write_json(member_file(0), {})
    return spec


def _stream(spec: Any, volume: int, store: int | None) -> tuple[float, int]:
    """Rows per second from a warm actor through Ray Data to a consumer that only counts."""
    import ray

    from dge_ray.distributed.actors import start_actor
    from dge_ray.distributed.board import Board
    from dge_ray.distributed.placement import MemberDemand
    from dge_ray.distributed.session.ray_session import NAMESPACE, TINY, ray_session
    from dge_ray.distributed.stream import member_dataset

    with ray_session(object_store_memory=store):
        board = ray.remote(Board).options(name=spec.board_name, namespace=NAMESPACE, num_cpus=TINY).remote()
        actor = start_actor(spec, 0, MemberDemand())
        ray.get(actor.shard.remote(0, volume // spec.shard_rows + 9))  # loads the weights, warms the kernels
        _count(member_dataset(spec, 0, [0], spec.actor_name(0)))  # Ray Data's first start is the study's fixed cost
        shutil.rmtree(Path(spec.folder.path) / "shards")
        started = time.perf_counter()
        rows = _count(member_dataset(spec, 0, range(spec.shards(volume)), spec.actor_name(0)))
        seconds = time.perf_counter() - started
        del board
    return rows / seconds, rows


def _count(dataset: Any) -> int:
    return sum(block.num_rows for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow"))


if __name__ == "__main__":
    main(sys.argv[1:])
