"""Where a study is, for other shells: a small file that its driver renews, and what is read from it and the rest."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from dge_ray.commands.pilot import pilot_under_way
from dge_ray.commands.verbs import StudyKeys
from dge_ray.phrases import duration, number
from dge_ray.report.words.pilot import pilot_under_way_lines
from dge_ray.storage import Folder
from dge_ray.study.folder import find_study, has_pilot
from dge_ray.study.folds import begun_folds
from dge_ray.study.members import fitted_members
from dge_ray.study.records.files import BASELINES, LOCK, PREDICTIONS, REPORT, STATUS
from dge_ray.study.records.jobs import member_of
from dge_ray.study.records.lock import BEAT_SECONDS

STATES = {
    "running": "running",
    "finished": "finished",
    "unfinished": "not running; the same command goes on with it",
    "left": "left by a driver that is gone; the same command goes on with it",
}


def status(
    study: str, options: Mapping[str, Any] | None = None, *, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """A study's state, from its files alone: `state` (one of STATES), what is done, and when that was.

    A lock is looked at for some seconds: it changes while its holder lives.

    Raises:
        InputError: an unknown key, or no such study.
    """
    folder = find_study(study, StudyKeys.read(options).storage, pilot=True)
    noted = folder.read_json(STATUS) if folder.exists(STATUS) else {}
    state = _state(folder, sleep)
    return {
        "study": folder.path.rpartition("/")[2],
        "state": state,
        "members": noted.get("members"),
        "members_fitted": _whole_members(folder),
        "fits_on_disk": len(folder.list(PREDICTIONS)) + len(folder.list(BASELINES)),
        "rows_drawn": noted.get("rows_drawn"),
        "fits_done": noted.get("fits_done") if state == "running" else None,
        "fits_wanted": noted.get("fits_wanted") if state == "running" else None,
        "seconds_left": noted.get("seconds_left") if state == "running" else None,
        "seconds_ago": time.time() - noted["at"] if "at" in noted else None,
        **({"pilot": pilot_under_way(folder)} if has_pilot(folder) else {}),
    }


def _whole_members(folder: Folder) -> int:
    """Members whose generators, one a fold, are all fitted."""
    fitted = Counter(member_of(number) for number in fitted_members(folder))
    return sum(count == begun_folds(folder).get("folds", 1) for count in fitted.values())


def _state(folder: Folder, sleep: Callable[[float], None]) -> str:
    if not folder.exists(LOCK):
        return "finished" if folder.exists(REPORT) else "unfinished"
    first = folder.read_bytes(LOCK)
    for _ in range(6):
        sleep(BEAT_SECONDS / 2)
        if not folder.exists(LOCK):
            return _state(folder, sleep)
        if folder.read_bytes(LOCK) != first:
            return "running"
    return "left"


def lines(result: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    if pilot := result.get("pilot"):
        return [f"study {result['study']}: {STATES[result['state']]}", *pilot_under_way_lines(pilot)]
    of = f" of {result['members']}" if result["members"] else ""
    shown = [
        f"study {result['study']}: {STATES[result['state']]}",
        f"members fitted: {result['members_fitted']}{of}",
        f"downstream fits on disk: {number(result['fits_on_disk'])}"
        + (
            f"; {number(result['fits_done'])} of {number(result['fits_wanted'])} wanted"
            if result["fits_wanted"]
            else ""
        ),
    ]
    if result["rows_drawn"] is not None:
        ago = f" ({duration(result['seconds_ago'])} ago)" if result["seconds_ago"] is not None else ""
        drawn = f"rows drawn by this or the last run, in whole shards: {number(result['rows_drawn'])}{ago}"
        shown.append(drawn + "; the report counts those that were used, up to the largest volume")
    if result["seconds_left"] is not None:
        shown.append(f"about {duration(result['seconds_left'])} left in this stage")
    return shown
