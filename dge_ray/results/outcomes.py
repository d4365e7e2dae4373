"""What the search of one learner's volumes gave; which learner does best on validation; all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dge_ray.stats.comparison.baselines import metrics_of, paired_difference
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.volume.reflection import ReflectionPoint, risk_interval
from dge_ray.storage import Folder
from dge_ray.study.predictions import Job, read_predictions
from dge_ray.study.prepare import Prepared


@dataclass(frozen=True)
class Outcome:
    """One learner of a study: `prepared` has it alone.

    Shape: `predictions[split]` (members, volumes, rows, classes), NaN for what was dropped.
    """

    prepared: Prepared
    volumes: list[int]
    predictions: Mapping[str, np.ndarray]
    choice: ReflectionPoint

    @property
    def at_choice(self) -> np.ndarray:
        """The members' test predictions at the chosen volume. Shape: (members, rows, classes)."""
        return self.predictions["test"][:, self.choice.index]

    @property
    def complete_volumes(self) -> list[int]:
        """The places of the volumes that every member has."""
        return [j for j in range(len(self.volumes)) if not np.isnan(self.predictions["validation"][:, j]).any()]

    @property
    def jobs(self) -> list[Job]:
        """Every fit of the learner: its grid's and its baselines'."""
        members = len(self.at_choice)
        grid = [Job("member", k, m, learner=self.prepared.label) for k in range(members) for m in self.volumes]
        return grid + self.prepared.baselines(members, self.choice.volume)


def best_on_validation(outcomes: Sequence[Outcome]) -> Outcome:
    """The learner whose risk at its own reflection point is least on validation; of equals the first."""
    return min(outcomes, key=lambda one: one.choice.value if one.prepared.lower_is_better else -one.choice.value)


def learner_table(
    outcomes: Sequence[Outcome], chosen: Outcome, folder: Folder, truth: np.ndarray
) -> list[dict[str, Any]]:
    """Every learner at its own reflection point, for report.json: its choice on validation, its metrics on test.

    `difference`: the chosen one's ensemble less this one's on test, paired on rows. `truth`: the test rows'.
    """
    metric, task = chosen.prepared.metric, chosen.prepared.task
    table = []
    for one in outcomes:
        label, choice = one.prepared.label, one.choice
        ensemble = ensemble_mean(one.at_choice)
        risk, lo, hi = risk_interval(one.at_choice, truth, task=task, metric=metric)
        real = read_predictions(folder, label, Job("real"), one.prepared.width)["test"]
        row = {
            "learner": label,
            "chosen": one is chosen,
            "volume": choice.volume,
            "ratio": choice.volume / one.prepared.base,
            "interval": list(choice.interval),
            "status": choice.status,
            "validation": choice.value,
            "risk": risk,
            "risk_interval": [lo, hi],
            "test": {"dge": metrics_of(ensemble, truth, task=task), "real": metrics_of(real, truth, task=task)},
        }
        if one is not chosen:
            best = ensemble_mean(chosen.at_choice)
            row["difference"] = list(paired_difference(best, ensemble, truth, metric, task=task))
        table.append(row)
    return table
