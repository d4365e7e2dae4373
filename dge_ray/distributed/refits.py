"""Replicates of a pipeline as Ray tasks, each done once: a result on disk is read, and one that comes in is written at
once. What the replicates start from (fitted generators) is made first, and kept in the same way.

It knows nothing of what a replicate is: `fits` are named pieces of work that give files, and `work` makes of those
files what is called with a replicate's number and gives its result as JSON values.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dge_ray.distributed.session.ray_session import ray_session
from dge_ray.distributed.tasks import Shared, Task, run
from dge_ray.storage import Folder

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
    place: str = "replicates",
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Results of replicates 0 to `count` - 1, and what it took: replicates `done` now and `read`, and `cpu_seconds`.

    One task a replicate, on one CPU. Inputs travel through Ray's object store, so that nodes need not see the storage,
    and only this process writes: `replicates/000000.json` (or below another `place`), whole or not at all, as each
    ends. A call that is cut off is gone on with, and does again what was in flight alone.

    Raises:
        StudyError, InputError: what a task raised, or what became of it.
    """
    there = set(folder.list(place))
    files = [f"{place}/{replicate:06d}.json" for replicate in range(count)]
    kept = {file: folder.read_json(file) for file in files if file.rpartition("/")[2] in there}
    results, seconds = kept, 0.0
    if len(kept) < count:
        with ray_session():
            starts, seconds = _fitted(fits, folder, say)
            replicate_of = work(starts)
            results, taken = run(
                [Task(file, Shared("work"), (replicate,)) for replicate, file in enumerate(files)],
                done=kept,
                keep=folder.write_json,
                say=say,
                shared={"work": lambda: replicate_of},
                noun="replicates",
            )
            seconds += taken
    cost = {"done": count - len(kept), "read": len(kept), "cpu_seconds": round(seconds, 1)}
    return [results[file] for file in files], cost


def _fitted(
    fits: Mapping[str, Callable[[], Files]], folder: Folder, say: Callable[[str], None]
) -> tuple[dict[str, Files], float]:
    """The files of every fit, read or made now, and the CPU-seconds that this took."""
    absent = [name for name in fits if not folder.exists(f"{name}/{LISTED}")]
    if absent:
        say(f"fitting what the replicates start from: {', '.join(absent)}")

    def keep(name: str, files: Files) -> None:
        for file, data in files.items():
            folder.write_bytes(f"{name}/{file}", data)
        folder.write_json(f"{name}/{LISTED}", sorted(files))

    _, seconds = run([Task(name, fits[name]) for name in absent], done={}, keep=keep, say=lambda _: None)
    listed = {name: folder.read_json(f"{name}/{LISTED}") for name in fits}
    return {name: {f: folder.read_bytes(f"{name}/{f}") for f in files} for name, files in listed.items()}, seconds
