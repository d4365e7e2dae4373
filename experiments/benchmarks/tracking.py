"""Tracking at scale: one large study, and several at once, into one MLflow server and into one SQLite file.

usage: tracking.py [parts=killed,server,sqlite] [volumes=500] [members=16] [studies=4] [--json FILE]

killed  a study of `volumes` child runs into a server that is killed in the middle and away until the study has ended;
        then the server is started again and everything is sent again, as `dge-ray track` does it, twice
server  `studies` processes at once, each a study of a tenth of the volumes, into one server
sqlite  the same into one SQLite file, which none of them finds set up
Counted in the database itself: runs and points that are missing, points that are there twice, runs that have not ended.
Lock errors are counted in the server's log and in what the trackers' processes print.
"""

import json
import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import requests
from measure import Tree, finish, words
from mlflow_server import Server

from dge_ray.tracking.tracker import Tracker

METRICS = ("log_loss", "auc", "brier", "accuracy", "macro_f1")
SPLITS = ("validation", "test")


def main(argv: list[str]) -> None:
    _, options, file = words(argv, parts="killed,server,sqlite", volumes=500, members=16, studies=4)
    todo: dict[str, Callable[[Path], dict[str, Any]]] = {
        "killed": lambda folder: killed(folder, options["volumes"], options["members"]),
        "server": lambda folder: together(folder, options["studies"], options["volumes"] // 10, options["members"]),
        "sqlite": lambda folder: together(
            folder, options["studies"], options["volumes"] // 10, options["members"], server=False
        ),
    }
    rows = []
    for part in str(options["parts"]).split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"benchmark": f"tracking.{part}", "members": options["members"], **todo[part](Path(folder))})
    finish(rows, file)


def killed(folder: Path, volumes: int, members: int, database: bytes | None = None) -> dict[str, Any]:
    """One study, its server killed when half of the points were logged. `database`: one that is set up already."""
    with Tree() as tree, Server(folder, database) as server, Requests() as asked:
        own, started = time.process_time(), time.perf_counter()
        tracker = Tracker.open("study", "0", uri=server.uri)
        for count in range(1, members + 1):
            for volume in range(volumes):
                if (count, volume) == (members // 2, volumes // 2):
                    server.kill()
                tracker.log_point(volume, count, {"running/log_loss": value(0, volume, count)})
        tracker.log_surface(surface(0, volumes, members))
        held = tracker.close()
        kept = json.dumps(tracker.unsent_points())
        study = {"seconds": time.perf_counter() - started, "requests": asked.count}
        server.start()
        started = time.perf_counter()
        replay(server.uri, json.loads(kept), volumes, members)
        first = {"seconds": time.perf_counter() - started, "requests": asked.count - study["requests"]}
        before, started = asked.count, time.perf_counter()
        replay(server.uri, json.loads(kept), volumes, members)
        again = {"seconds": time.perf_counter() - started, "requests": asked.count - before}
        own = time.process_time() - own
        locked = server.log.read_text().count("locked")
    return {
        "volumes": volumes,
        "held_when_it_ended": held,
        **found(server.database, 1, volumes, members),
        "lock_errors": locked,
        **{
            f"{name}_{k}": round(v, 1)
            for name, part in zip(TIMES, (study, first, again), strict=True)
            for k, v in part.items()
        },
        "driver_cpu_s": round(own, 1),
        "all_cpu_s": round(tree.cpu_seconds, 1),
    }


TIMES = ("study", "replay", "second_replay")


def replay(uri: str, kept: list[dict[str, Any]], volumes: int, members: int) -> None:
    tracker = Tracker.open("study", "0", uri=uri)
    tracker.log_points(kept)
    tracker.log_surface(surface(0, volumes, members))
    assert tracker.close() == 0


def together(folder: Path, studies: int, volumes: int, members: int, *, server: bool = True) -> dict[str, Any]:
    """Several studies at once, each in a process of its own."""
    served = Server(folder)
    if server:
        served.start()
    database = served.database if server else folder / "mlflow.db"
    uri = served.uri if server else f"sqlite:///{database}"
    started = time.perf_counter()
    with Tree() as tree, multiprocessing.get_context("spawn").Pool(studies) as pool:
        jobs = [(uri, study, volumes, members, str(folder)) for study in range(studies)]
        told = pool.starmap(one_study, jobs, chunksize=1)
        seconds = time.perf_counter() - started
    served.kill()
    said = [text for _, text in told] + ([served.log.read_text()] if server else [])
    return {
        "studies": studies,
        "volumes": volumes,
        **found(database, studies, volumes, members),
        "lock_errors": sum(text.count("locked") for text in said),
        "records_left": sum(left for left, _ in told),
        "seconds": round(seconds, 1),
        "all_cpu_s": round(tree.cpu_seconds, 1),
    }


def one_study(uri: str, study: int, volumes: int, members: int, folder: str) -> tuple[int, str]:
    """How many records were left, and the warnings."""
    import logging

    log = Path(folder) / f"{study}.log"
    logging.basicConfig(level=logging.WARNING, filename=log)
    tracker = Tracker.open(f"study {study}", str(study), uri=uri)
    for count in range(1, members + 1):
        for volume in range(volumes):
            tracker.log_point(volume, count, {"running/log_loss": value(study, volume, count)})
    tracker.log_surface(surface(study, volumes, members))
    return tracker.close(), log.read_text()


def value(study: int, volume: int, count: int) -> float:
    return study + 1 / (1 + volume) + 1 / count


def surface(study: int, volumes: int, members: int) -> pa.Table:
    """One learner's surface, as far as tracking reads it."""
    cells = [
        (count, v, s, m) for v in range(volumes) for count in range(1, members + 1) for s in SPLITS for m in METRICS
    ]
    counts, at, splits, metrics = zip(*cells, strict=True)
    values = [value(study, volume, count) for count, volume, _, _ in cells]
    names = ["learner", "members", "volume", "split", "metric", "value"]
    return pa.table([["boosting"] * len(cells), counts, at, splits, metrics, values], names=names)


def found(database: Path, studies: int, volumes: int, members: int) -> dict[str, int]:
    """What the database lacks and has too much of."""
    wanted = {
        (f"study {study}" if studies > 1 else "study", str(volume), key, count, value(study, volume, count))
        for study in range(studies)
        for volume in range(volumes)
        for count in range(1, members + 1)
        for key in ["running/log_loss", *(f"{split}/{metric}" for split in SPLITS for metric in METRICS)]
    }
    query = """
        select parent.name, volume.value, metrics.key, metrics.step, metrics.value from metrics
        join runs on runs.run_uuid = metrics.run_uuid
        join tags as volume on volume.run_uuid = runs.run_uuid and volume.key = 'dge_ray.volume'
        join tags as up on up.run_uuid = runs.run_uuid and up.key = 'mlflow.parentRunId'
        join runs as parent on parent.run_uuid = up.value
    """
    with closing(sqlite3.connect(database)) as connection:
        points = [tuple(row) for row in connection.execute(query)]
        runs = connection.execute("select name, status from runs").fetchall()
    return {
        "lost_runs": studies * (volumes + 1) - len(runs),  # below 0: some are there twice
        "unfinished_runs": sum(status != "FINISHED" for _, status in runs),
        "points": len(wanted),
        "lost_points": len(wanted - set(points)),
        "doubled_points": len(points) - len({point[:4] for point in points}),
    }


class Requests:
    """Counts the requests of this process, the answered and the others, for the length of the block."""

    def __enter__(self) -> "Requests":
        self.count, self._send = 0, requests.Session.send

        def send(session: requests.Session, *args: Any, **more: Any) -> requests.Response:
            self.count += 1
            return self._send(session, *args, **more)

        requests.Session.send = send  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        requests.Session.send = self._send  # type: ignore[method-assign]


if __name__ == "__main__":
    main(sys.argv[1:])
