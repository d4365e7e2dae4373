"""What was noted of a study's fits and draws when they ended: CPU-seconds, 0 where nothing was noted, and settings that
they had too few rows for.
"""

from collections.abc import Sequence
from typing import Any

from dge_ray.storage import Folder
from dge_ray.study.records.files import member_file, sampling_file
from dge_ray.study.records.predictions import Job, cost_file, cut_file


def member_seconds(folder: Folder, member: int) -> float:
    """Of the fit of a member's generator."""
    return _seconds(folder, member_file(member))


def job_seconds(folder: Folder, label: str, job: Job) -> float | None:
    """Of a downstream fit; None where nothing was noted."""
    name = cost_file(label, job)
    return _seconds(folder, name) if folder.exists(name) else None


def drawn_shards(folder: Folder, member: int) -> list[dict[str, Any]]:
    """By shard that was drawn: `cpu_seconds`, and `met`, the share of the rows drawn that met the constraints."""
    name = sampling_file(member)
    return list(folder.read_json(name).values()) if folder.exists(name) else []


def cut_settings(folder: Folder, label: str, jobs: Sequence[Job]) -> str | None:
    """One line of those of a learner's fits whose rows were too few for its settings; None where none were."""
    there = set(folder.list("cut"))
    files = [name for job in jobs if (name := cut_file(label, job)).rpartition("/")[2] in there]
    if not files:
        return None
    cuts = sorted((folder.read_json(name) for name in files), key=lambda cut: cut["rows"])
    first, last = cuts[0], cuts[-1]
    rows = f"{first['rows']:,}" + (f" to {last['rows']:,}" if last["rows"] > first["rows"] else "")
    return (
        f"learner {label}: settings did not fit the rows of {len(cuts)} of {len(jobs)} fits ({rows} rows), such as "
        f"{', '.join(first['settings'])} at {first['rows']:,} rows: what is compared there is not what was asked for"
    )


def _seconds(folder: Folder, name: str) -> float:
    return float(folder.read_json(name)["cpu_seconds"]) if folder.exists(name) else 0.0
