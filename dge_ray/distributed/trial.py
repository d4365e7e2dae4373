"""What one Tune trial runs. In a file of its own, so that a trial's process starts with few imports."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import ray.tune
from ray.exceptions import RayActorError

from dge_ray.errors import StudyError
from dge_ray.stats.metrics.losses import metric_value
from dge_ray.storage import Folder
from dge_ray.study.records.predictions import Job, read_predictions


@dataclass(frozen=True)
class SearchSpec:
    """What a trial needs to read and score its volume's predictions."""

    folder: Folder
    label: str
    members: int
    width: int
    metric: str
    lower_is_better: bool


def volume_trial(config: dict[str, Any], *, spec: SearchSpec, board: Any, truth: np.ndarray) -> None:
    """Ask the Board for one volume; report the risk of the first K members on validation as they arrive."""
    volume = int(config["volume"])
    jobs = [Job("member", k, volume, learner=spec.label) for k in range(spec.members)]
    ray.get(board.want.remote(jobs))
    total = np.zeros((len(truth), spec.width))
    for k, job in enumerate(jobs):
        try:
            if not ray.get(board.wait.remote(job)):
                return
        except (StudyError, RayActorError):
            return  # the study failed, or its Board is gone: the driver hears of that itself, and once
        total += read_predictions(spec.folder, spec.label, job, spec.width)["validation"]
        risk = metric_value(spec.metric, total / (k + 1), truth)
        ray.tune.report({"members": k + 1, "risk": risk, "volume": volume})
