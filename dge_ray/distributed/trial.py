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
from dge_ray.study.records.predictions import Job, in_folds, joined, read_predictions


@dataclass(frozen=True)
class SearchSpec:
    """What a trial needs to read and score its volume's predictions. `held`: of each fold of a cross-fitted study which
    validation rows are its own."""

    folder: Folder
    label: str
    members: int
    width: int
    metric: str
    lower_is_better: bool
    held: tuple[np.ndarray, ...] = ()

    def cell(self, member: int, volume: int) -> list[Job]:
        """The fits of a member at a volume, one a fold."""
        return in_folds(Job("member", member, volume, learner=self.label), self.held)


def volume_trial(config: dict[str, Any], *, spec: SearchSpec, board: Any, truth: np.ndarray) -> None:
    """Ask the Board for one volume; report the risk of the first K members on validation as they arrive."""
    volume = int(config["volume"])
    cells = [spec.cell(k, volume) for k in range(spec.members)]
    ray.get(board.want.remote([job for cell in cells for job in cell]))
    total = np.zeros((len(truth), spec.width))
    for k, cell in enumerate(cells):
        try:
            if not all([ray.get(board.wait.remote(job)) for job in cell]):
                return
        except (StudyError, RayActorError):
            return  # the study failed, or its Board is gone: the driver hears of that itself, and once
        parts = [read_predictions(spec.folder, spec.label, job, spec.width) for job in cell]
        total += joined(parts, spec.held)["validation"]
        risk = metric_value(spec.metric, total / (k + 1), truth)
        ray.tune.report({"members": k + 1, "risk": risk, "volume": volume})
