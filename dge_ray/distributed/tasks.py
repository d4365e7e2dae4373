"""Replicates of a pipeline as Ray tasks, each done once: a result on disk is read, and one that comes in is written at
once. What the replicates start from (fitted generators) is made first, and kept in the same way.

It knows nothing of what a replicate is: `fits` are named pieces of work that give files, and `work` makes of those
files what is called with a replicate's number and gives its result as JSON values.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray

from dge_ray.distributed.session import ask, one_thread, ray_session
from dge_ray.phrases import duration
from dge_ray.storage import Folder

SAY_SECONDS = 5.0
LISTED = "files.json"  # of a fit: names its files, and is written last

Files = Mapping[str, bytes]
Work = Callable[[int], dict[str, Any]]


def run_refits(
    fits: Mapping[str, Callable[[], Files]],
    work: Callable[[Mapping[str, Files]], Work],
    count: int,
    *,
    folder: Folder,
    say: Callable[[str], None],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Results of replicates 0 to `count` - 1, and what it took: replicates `done` now and `read`, and `cpu_seconds`.

    One task a replicate, on one CPU. Inputs travel through Ray's object store, so that nodes need not see the storage,
    and only this process writes: `replicates/000000.json`, whole or not at all, as each ends. A call that is cut off is
    gone on with, and does again what was in flight alone.

    Raises:
        StudyError, InputError: what a task raised, or what became of it.
    """
    there = set(folder.list("replicates"))
    found = {r: folder.read_json(_file(r)) for r in range(count) if _file(r).rpartition("/")[2] in there}
    todo = [r for r in range(count) if r not in found]
    if found:
        say(f"{len(found)} replicates were done before")
    seconds = 0.0
    if todo:
        with ray_session():
            made, fitting = _fitted(fits, folder, say)
            seconds = fitting + _run(work(made), todo, found, folder, say)
    cost = {"done": len(todo), "read": count - len(todo), "cpu_seconds": round(seconds, 1)}
    return [found[r] for r in range(count)], cost


def _file(replicate: int) -> str:
    return f"replicates/{replicate:06d}.json"


def _fitted(
    fits: Mapping[str, Callable[[], Files]], folder: Folder, say: Callable[[str], None]
) -> tuple[dict[str, Files], float]:
    absent = [name for name in fits if not folder.exists(f"{name}/{LISTED}")]
    if absent:
        say(f"fitting what the replicates start from: {', '.join(absent)}")
    task, seconds = _task(), 0.0
    for name, reference in [(name, task.remote(fits[name])) for name in absent]:
        files, taken = ask(reference)
        seconds += taken
        for file, data in files.items():
            folder.write_bytes(f"{name}/{file}", data)
        folder.write_json(f"{name}/{LISTED}", sorted(files))
    listed = {name: folder.read_json(f"{name}/{LISTED}") for name in fits}
    made: dict[str, Files] = {}
    for name, files in listed.items():
        made[name] = {file: folder.read_bytes(f"{name}/{file}") for file in files}
    return made, seconds


def _run(
    work: Work, todo: list[int], found: dict[int, dict[str, Any]], folder: Folder, say: Callable[[str], None]
) -> float:
    task, seconds = _task(), 0.0
    shared = ray.put(work)
    running = {task.remote(shared, replicate): replicate for replicate in todo}
    total, began, told = len(running), time.monotonic(), 0.0
    while running:
        (ended,), _ = ray.wait(list(running), num_returns=1)
        replicate = running.pop(ended)
        found[replicate], taken = ask(ended)
        seconds += taken
        folder.write_json(_file(replicate), found[replicate])
        now = time.monotonic()
        if now - told >= SAY_SECONDS or not running:
            told = now
            left = (now - began) * len(running) / (total - len(running))
            say(f"{total - len(running)} of {total} replicates" + (f", about {duration(left)} left" if running else ""))
    return seconds


def _task() -> Any:
    return ray.remote(num_cpus=1, max_retries=3)(_alone)


def _alone(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What it gives, and the CPU-seconds that it took."""
    one_thread()
    began = time.process_time()
    made = work(*arguments)
    return made, time.process_time() - began
