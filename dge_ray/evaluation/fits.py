"""Fits on members' rows, each done once: a result on disk is read, and one that comes in is written at once."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dge_ray.distributed.tasks import Shared, Task, run
from dge_ray.evaluation.crossfit import CrossFit, run_fit
from dge_ray.storage import Folder
from dge_ray.table import Columns, TableSchema


def run_fits(
    fits: Sequence[CrossFit],
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
    kept = {key: folder.read_json(f"{key}.json") for key in keys if f"{key}.json" in there}
    tasks = [
        Task(key, _fit, (fit, schema, seed, Shared("real"), *(Shared(str(k)) for k in fit.members)))
        for key, fit in zip(keys, fits, strict=True)
    ]
    members = {k for fit in fits for k in fit.members}
    results, _ = run(
        tasks,
        done=kept,
        keep=lambda key, result: folder.write_json(f"{key}.json", result),
        say=say,
        shared={"real": lambda: real, **{str(k): partial(columns, k) for k in members}},
        noun="fits",
    )
    return [results[key] for key in keys], len(results) - len(kept)


def _fit(fit: CrossFit, schema: TableSchema, seed: int, real: Columns | None, *rows: Columns) -> dict[str, Any]:
    return run_fit(fit, schema, dict(zip(fit.members, rows, strict=True)), real, seed)
