"""How a study's time falls with workers and nodes: measured on 1 and 2, simulated up to 1,000.

usage: scaling.py [SOURCE target=COLUMN split_column=COLUMN] [parts=ceiling,strong,raylets,weak,simulate] [members=8]
                  [ratios=1,2,4] [--json FILE]

ceiling   what two cores of this machine give two processes that know nothing of each other, without Ray: they share
          caches, memory and clock, so it is less than 2.
strong    the same study on one node of 1 CPU and of 2.
raylets   the same study on two nodes of 1 CPU each (two raylets on this machine).
weak      half of the members on 1 CPU, to be held against all of them on 2.
simulate  `cluster_sim.py`, fed with the task times of `strong` on 1 CPU: its prediction for 2 CPUs of this machine,
          where tasks take as much longer as `ceiling` says and Ray's own processes take their share, and for 1 to
          1,000 nodes, where they do not.

Phases: generators from the first fit's start to the last member's rows being ready; downstream from there to the last
fit. What is left of a study's time is its fixed cost.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from cluster_sim import Nodes, Times, floor, study_on, work
from measure import SHARED, Tree, finish, words

from dge_ray.commands.tune import run_study
from dge_ray.storage import Folder
from dge_ray.study.folder import study_folder
from dge_ray.study.read_config import read_config
from dge_ray.study.terminal.progress import Progress

ADULT = [str(SHARED / "adult.parquet"), "target=income", "split_column=split", "generator=autoregressive"]
STORE = 400 << 20
STRONG, REPEATS = 64, 5
NODES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
TROUBLES = {
    "calm": {},
    "stragglers": {"slow": 0.05},
    "spot": {"lost_an_hour": 0.2},
}


def main(argv: list[str]) -> None:
    source, options, file = words(
        argv, parts="ceiling,strong,raylets,weak,simulate", members=8, ratios="1,2,4", target=None, split_column=None
    )
    asked = source or ADULT
    asked += [f"{key}={options[key]}" for key in ("target", "split_column") if options[key] is not None]
    ratios = options["ratios"]
    asked.append("ratios=" + (",".join(map(str, ratios)) if isinstance(ratios, list | tuple) else str(ratios)))
    members, parts = int(options["members"]), str(options["parts"]).split(",")
    rows: list[dict[str, Any]] = []
    one = measured(asked, members, [1]) if {"strong", "raylets", "simulate"} & set(parts) else {}
    two = measured(asked, members, [2]) if {"strong", "weak", "simulate"} & set(parts) else {}
    top = ceiling(asked) if {"ceiling", "simulate"} & set(parts) else {}
    if "ceiling" in parts:
        rows.append({"benchmark": "scaling.ceiling", **top})
    if "strong" in parts:
        rows.append({"benchmark": "scaling.strong", **compared(one, two)})
    if "raylets" in parts:
        rows.append({"benchmark": "scaling.raylets", **compared(one, measured(asked, members, [1, 1]))})
    if "weak" in parts:
        half = measured(asked, members // 2, [1])
        keep = ("generators_s", "downstream_s", "wall_s")
        rows.append(
            {"benchmark": "scaling.weak", "one": half, "two": two}
            | {name.replace("_s", "_efficiency"): round(half[name] / two[name], 3) for name in keep}
        )
    if "simulate" in parts:
        rows += simulated(one, two, top)
    finish(rows, file)


ALONE = """
import json, sys, time
import torch
from plain import draw, fit_member
from dge_ray.study.read_config import read_config
from dge_ray.downstream import make_learner
from dge_ray.study.prepare import prepare
from dge_ray.table import TableCodec

torch.set_num_threads(1)
prepared = prepare(read_config(sys.argv[1], sys.argv[2:]))
print("ready", flush=True)
sys.stdin.readline()
started = time.perf_counter()
generator = fit_member(prepared, 0)
fit = time.perf_counter() - started
rows = TableCodec(prepared.schema).encode(draw(prepared, generator, 0, 4 * prepared.n))
started = time.perf_counter()
for seed in range(3):
    make_learner("boosting", {}, prepared.schema, seed=seed).fit(rows)
print(json.dumps({"fit": fit, "learn": (time.perf_counter() - started) / 3}))
"""


def ceiling(asked: list[str]) -> dict[str, Any]:
    """Seconds of a generator's fit and a learner's, in one process and in each of two at once; what two bring."""
    seconds = {}
    for count in (1, 2):
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", ALONE, *asked]
        here = os.path.dirname(__file__)
        path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"PYTHONPATH": path}
        started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) for _ in range(count)]
        for process in started:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        told = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
        seconds[count] = {name: sum(one[name] for one in told) / count for name in told[0]}
    slower = {name: round(seconds[2][name] / seconds[1][name], 3) for name in seconds[1]}
    speedup = {f"{name}_speedup": round(2 / factor, 3) for name, factor in slower.items()}
    return {"one": seconds[1], "two": seconds[2], "slower": slower, **speedup}


class _Events(Progress):
    """The Board's news, kept."""

    def __init__(self) -> None:
        super().__init__()
        self.news: list[dict[str, Any]] = []

    def event(self, event: dict[str, Any]) -> None:
        self.news.append(event)


@contextmanager
def raylets(cpus: list[int]) -> Iterator[None]:
    """A Ray of one raylet for each number of CPUs; this process joins it."""
    import ray
    from ray.cluster_utils import Cluster

    from dge_ray.distributed.session.ray_session import NAMESPACE

    first, *others = ({"num_cpus": count, "object_store_memory": STORE} for count in cpus)
    cluster = Cluster(initialize_head=True, head_node_args=first)
    for node in others:
        cluster.add_node(**node)
    ray.init(address=cluster.address, namespace=NAMESPACE, logging_level="ERROR", log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


def measured(asked: list[str], members: int, cpus: list[int]) -> dict[str, Any]:
    """One study: its phases, and what its tasks took."""
    with tempfile.TemporaryDirectory() as storage:
        words = [*asked[1:], f"members={members}", f"storage={storage}", "tracking=false", f"workers={sum(cpus)}"]
        config, progress = read_config(asked[0], words), _Events()
        started = time.time()
        with raylets(cpus), Tree() as tree:
            joined = time.time()
            report = run_study(config, progress)
            ended = time.time()
        folder = study_folder(storage, str(report["study"]))
        return {
            "members": members,
            "cpus": cpus,
            "ray_start_s": round(joined - started, 1),
            **_phases(progress.news, folder, members, ended - joined),
            "cpu_s": round(tree.cpu_seconds, 1),
            "tasks": _tasks(folder, report, members),
        }


def _phases(news: list[dict[str, Any]], folder: Folder, members: int, wall: float) -> dict[str, float]:
    ready = {event["member"]: event["at"] for event in news if event["event"] == "member ready"}
    fits = [event["at"] for event in news if event["event"] == "fit done"]
    records = [folder.read_json(f"members/{k:03d}/member.json") for k in range(members)]
    begun = min(ready[k] - record["seconds"] for k, record in enumerate(records))
    generators, downstream = max(ready.values()) - begun, max(fits) - max(ready.values())
    return {
        "generators_s": round(generators, 2),
        "downstream_s": round(downstream, 2),
        "fixed_s": round(wall - generators - downstream, 2),
        "wall_s": round(wall, 2),
    }


def _tasks(folder: Folder, report: dict[str, Any], members: int) -> dict[str, Any]:
    """Mean seconds of each kind of task, and bytes of a member's rows."""
    records = [folder.read_json(f"members/{k:03d}/member.json") for k in range(members)]
    sampled = [folder.read_json(f"members/{k:03d}/sampling.json") for k in range(members)]
    costs = {name.partition(".")[0]: folder.read_json(f"costs/{name}")["seconds"] for name in folder.list("costs")}
    learn = {}
    for volume in report["volumes"]:
        found = [s for name, s in costs.items() if "-member-" in name and f"-{volume:010d}-" in name]
        learn[volume] = sum(found) / len(found)
    kinds = {kind: next(s for n, s in costs.items() if f"-{kind}-" in n) for kind in ("concatenated", "real")}
    shards = folder.list("shards/member=000")
    size = sum(len(folder.read_bytes(f"shards/member=000/{name}")) for name in shards)
    return {
        "fit": sum(record["seconds"] for record in records) / members,
        "draw": sum(shard["cpu_seconds"] for record in sampled for shard in record.values()) / members,
        "learn": learn,
        **kinds,
        "rows_bytes": size,
    }


def compared(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    names = ("generators_s", "downstream_s", "wall_s")
    gains = {name.replace("_s", "_speedup"): round(one[name] / two[name], 3) for name in names}
    return {"one": one, "two": two, **gains}


def simulated(one: dict[str, Any], two: dict[str, Any], top: dict[str, Any]) -> list[dict[str, Any]]:
    """The prediction for this machine's two CPUs, and clusters of up to 1,000 nodes of one."""
    times = Times(**one["tasks"], fixed=one["fixed_s"])
    fit, learn = top["slower"]["fit"], top["slower"]["learn"]
    crowded = replace(
        times,
        fit=times.fit * fit,
        draw=times.draw * fit,
        learn={volume: seconds * learn for volume, seconds in times.learn.items()},
        concatenated=times.concatenated * learn,
        real=times.real * learn,
    )
    alike = study_on(two["members"], crowded, Nodes(1, cores=2), repeats=REPEATS)
    # Ray's own processes: with 1 CPU given to Ray they had this machine's other core to themselves.
    own = max(one["cpu_s"] - work(one["members"], times), 0.0)
    wall = alike.wall + own / 2
    rows: list[dict[str, Any]] = [
        {
            "benchmark": "scaling.predicted",
            "measured": {name: two[name] for name in ("generators_s", "downstream_s", "wall_s")},
            "predicted": {
                "generators_s": round(alike.generators, 2),
                "downstream_s": round(alike.downstream, 2),
                "wall_s": round(wall, 2),
                "of_it_rays_own_s": round(own / 2, 2),
            },
            "wall_error": round(wall / two["wall_s"] - 1, 3),
        }
    ]
    for trouble, settings in TROUBLES.items():
        for kind in ("strong", "weak"):
            for count in NODES:
                members = STRONG if kind == "strong" else count
                found = study_on(members, times, Nodes(count, **settings), repeats=REPEATS if count < 500 else 1)
                rows.append(
                    {
                        "benchmark": f"scaling.simulated.{kind}",
                        "nodes": count,
                        "members": members,
                        "trouble": trouble,
                        "wall_s": round(found.wall, 1),
                        "floor_s": round(floor(members, times, count), 1),
                        "generators_s": round(found.generators, 1),
                        "downstream_s": round(found.downstream, 1),
                        "board_busy_s": round(found.board_busy, 2),
                        "group_restarts": found.group_restarts,
                        "lost_work_s": round(found.lost_work, 1),
                    }
                )
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
