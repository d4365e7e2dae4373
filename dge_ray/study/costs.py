"""What a study's fits and draws cost, as they were noted when they ended: CPU-seconds, 0 where nothing was noted."""

from typing import Any

from dge_ray.storage import Folder
from dge_ray.study.files import member_file, sampling_file
from dge_ray.study.predictions import Job, cost_file


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


def _seconds(folder: Folder, name: str) -> float:
    return float(folder.read_json(name)["cpu_seconds"]) if folder.exists(name) else 0.0
