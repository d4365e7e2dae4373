"""Many fits as Ray tasks, each done once: a result on disk is read, and one that comes in is written at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from dge_ray.distributed.session import ask, one_thread, ray_session
from dge_ray.evaluation.crossfit import Fit, run_fit
from dge_ray.storage import Folder
from dge_ray.table import Columns, TableSchema

SAY_SECONDS = 5.0


def run_fits(
    fits: Sequence[Fit],
    *,
    keys: Sequence[str],
    folder: Folder,
    schema: TableSchema,
    columns: Callable[[int], Columns],
    real: Columns | None,
    seed: int,
    say: Callable[[str], None],
) -> tuple[list[dict[str, Any]], int]:
    """The fits' results in their order, and how many of them were done now: those whose file was not in `folder`.

    One task a fit, on one CPU. Rows travel through Ray's object store, so that nodes need not see the bundle, and only
    this process writes: `KEY.json`, whole or not at all, as each fit ends. A call that is cut off is gone on with.

    Args:
        keys: the fits' addresses; equal ones are one fit.
        columns: a member's encoded rows, asked for once and only if a fit is left that needs it.
    """
    there = set(folder.list())
    results = {key: folder.read_json(f"{key}.json") for key in keys if f"{key}.json" in there}
    todo = {key: fit for key, fit in zip(keys, fits, strict=True) if key not in results}
    if results:
        say(f"{len(results)} fits were done before")
    if todo:
        with ray_session():
            _run(todo, results, folder, schema, columns, real, seed, say)
    return [results[key] for key in keys], len(todo)


def _run(
    todo: Mapping[str, Fit],
    results: dict[str, dict[str, Any]],
    folder: Folder,
    schema: TableSchema,
    columns: Callable[[int], Columns],
    real: Columns | None,
    seed: int,
    say: Callable[[str], None],
) -> None:
    task = ray.remote(num_cpus=1, max_retries=3)(_task)
    needed = sorted({k for fit in todo.values() for k in fit.members})
    rows = {k: ray.put(columns(k)) for k in needed}
    judge = ray.put(real)
    running = {task.remote(fit, schema, seed, judge, *(rows[k] for k in fit.members)): key for key, fit in todo.items()}
    total, told = len(running), 0.0
    while running:
        (done,), _ = ray.wait(list(running), num_returns=1)
        key = running.pop(done)
        results[key] = ask(done)
        folder.write_json(f"{key}.json", results[key])
        if time.monotonic() - told >= SAY_SECONDS or not running:
            told = time.monotonic()
            say(f"{total - len(running)} of {total} fits, the last one {todo[key].estimator}")


def _task(fit: Fit, schema: TableSchema, seed: int, real: Columns | None, *rows: Columns) -> dict[str, Any]:
    one_thread()
    return run_fit(fit, schema, dict(zip(fit.members, rows, strict=True)), real, seed)
