"""Where a study is, for other shells: a small file that its driver renews, and what is read from it and the rest."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from dge_ray.errors import InputError, nearest
from dge_ray.phrases import duration, number
from dge_ray.storage import Folder
from dge_ray.study.files import STATUS
from dge_ray.study.folder import find_study
from dge_ray.study.lock import BEAT_SECONDS
from dge_ray.study.lock import FILE as LOCK

STATES = {
    "running": "running",
    "finished": "finished",
    "unfinished": "not running; the same command goes on with it",
    "left": "left by a driver that is gone; the same command goes on with it",
}


def study_status(
    study: str, options: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """A study's state, from its files alone: `state` (one of STATES), what is done, and when that was.

    A lock is looked at for some seconds: it changes while its holder lives.

    Raises:
        InputError: an unknown key, or no such study.
    """
    for key in options:
        if key != "storage":
            raise InputError(key, "an unknown key", nearest(key, ["storage"]))
    folder = find_study(study, str(options.get("storage", "./studies")))
    found = folder.read_json(STATUS) if folder.exists(STATUS) else {}
    state = _state(folder, sleep)
    members = [name for name in folder.list("members") if folder.exists(f"members/{name}/member.json")]
    return {
        "study": folder.path.rpartition("/")[2],
        "state": state,
        "members": found.get("members"),
        "members_fitted": len(members),
        "fits_on_disk": len(folder.list("predictions")) + len(folder.list("baselines")),
        "rows_drawn": found.get("rows_drawn"),
        "fits_done": found.get("fits_done") if state == "running" else None,
        "fits_wanted": found.get("fits_wanted") if state == "running" else None,
        "seconds_left": found.get("seconds_left") if state == "running" else None,
        "seconds_ago": time.time() - found["at"] if "at" in found else None,
    }


def _state(folder: Folder, sleep: Callable[[float], None]) -> str:
    if not folder.exists(LOCK):
        return "finished" if folder.exists("report.json") else "unfinished"
    first = folder.read_bytes(LOCK)
    for _ in range(6):
        sleep(BEAT_SECONDS / 2)
        if not folder.exists(LOCK):
            return _state(folder, sleep)
        if folder.read_bytes(LOCK) != first:
            return "running"
    return "left"


def status_lines(found: Mapping[str, Any]) -> list[str]:
    """`study_status`'s answer for people."""
    of = f" of {found['members']}" if found["members"] else ""
    lines = [
        f"study {found['study']}: {STATES[found['state']]}",
        f"members fitted: {found['members_fitted']}{of}",
        f"downstream fits on disk: {number(found['fits_on_disk'])}"
        + (f"; {number(found['fits_done'])} of {number(found['fits_wanted'])} wanted" if found["fits_wanted"] else ""),
    ]
    if found["rows_drawn"] is not None:
        ago = f" ({duration(found['seconds_ago'])} ago)" if found["seconds_ago"] is not None else ""
        drawn = f"rows drawn by this or the last run, in whole shards: {number(found['rows_drawn'])}{ago}"
        lines.append(drawn + "; the report counts those that were used, up to the largest volume")
    if found["seconds_left"] is not None:
        lines.append(f"about {duration(found['seconds_left'])} left in this stage")
    return lines
