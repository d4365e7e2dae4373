"""What the search of one arm's volumes gave; which arm does best on validation; all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dge_ray.results.baselines import Baselines, read_baselines
from dge_ray.stats.comparison.baselines import metrics_of
from dge_ray.stats.comparison.differences import ensembles_difference
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.volume.nested import nested_cell
from dge_ray.stats.volume.pairs import best_pairs
from dge_ray.stats.volume.reflection import ReflectionPoint, risk_interval
from dge_ray.storage import Folder
from dge_ray.study.arms import Arm
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.costs import cut_settings
from dge_ray.study.records.predictions import Job, finished, in_folds


@dataclass(frozen=True)
class Outcome:
    """One arm of a study: its predictions at the volumes that were looked at, and the choice among these.

    Shape: `predictions[split]` (members, volumes, rows, classes), NaN for what was dropped. `nested`: of a cross-fitted
    study without test rows the place of each fold's volume, chosen on the other folds.
    """

    prepared: Prepared
    arm: Arm
    volumes: list[int]
    predictions: Mapping[str, np.ndarray]
    choice: ReflectionPoint
    candidates: tuple[int, ...] | None = None  # volumes that may be best of all learners'; None: of one learner alone
    nested: tuple[int, ...] = ()

    @property
    def at_choice(self) -> np.ndarray:
        """The members' test predictions at the chosen volume. Shape: (members, rows, classes)."""
        return self._at_choice("test")

    @property
    def once(self) -> np.ndarray:
        """`at_choice` with each row once: of the readings of a test row, one a fold, the first fold's."""
        return self.at_choice[:, : self.prepared.once]

    @property
    def by_fold(self) -> tuple[int, ...]:
        """The volume of each fold, at which its baselines are fitted; one volume in a study without folds."""
        if self.nested:
            return tuple(self.volumes[place] for place in self.nested)
        return (self.choice.volume,) * self.prepared.fold_count

    def _at_choice(self, split: str) -> np.ndarray:
        if self.nested:
            return nested_cell(self.predictions[split], self.prepared.held, self.nested)
        return self.predictions[split][:, self.choice.index]

    def baselines(self, folder: Folder, learners: Mapping[str, str]) -> Baselines:
        """The fits that its ensemble is compared with. `learners`: those of real rows, where they may be others."""
        members = {split: self._at_choice(split) for split in self.predictions}
        return read_baselines(self.prepared, folder, self.arm.label, members, self.by_fold, learners)

    @property
    def complete(self) -> list[int]:
        """The places of the volumes that every member has."""
        return [j for j in range(len(self.volumes)) if not np.isnan(self.predictions["validation"][:, j]).any()]

    @property
    def jobs(self) -> list[Job]:
        """Every fit of the arm: its grid's and its baselines'."""
        members = len(self.at_choice)
        grid = [job for k in range(members) for m in self.volumes for job in self.prepared.cell(self.arm, k, m)]
        return grid + self.prepared.baselines(self.arm, members, self.by_fold)


def compared_jointly(outcomes: Sequence[Outcome], truth: np.ndarray) -> list[Outcome]:
    """The arms with their `candidates`, where there are several; each interval holds these too. `truth`: validation's.

    Every pair of arm and volume is compared with every other (`stats.volume.pairs`)."""
    if len(outcomes) == 1:
        return list(outcomes)
    prepared = outcomes[0].prepared
    held = best_pairs(
        [outcome.predictions["validation"] for outcome in outcomes],
        truth,
        metric=prepared.metric,
        seed=prepared.config.seed,
        clusters=prepared.judged_clusters("validation"),
    )
    joined = []
    for outcome, mask in zip(outcomes, held, strict=True):
        volumes = tuple(volume for volume, one in zip(outcome.volumes, mask, strict=True) if one)
        ends = (*outcome.choice.interval, *volumes)
        choice = replace(outcome.choice, interval=(min(ends), max(ends)))
        joined.append(replace(outcome, choice=choice, candidates=volumes))
    return joined


def cut_warnings(outcomes: Sequence[Outcome], folder: Folder) -> list[str]:
    """A line for each learner whose settings some of its fits had too few rows for."""
    labels = {outcome.arm.label: outcome.jobs for outcome in outcomes}
    lines = (cut_settings(folder, label, sorted(finished(folder, label, jobs))) for label, jobs in labels.items())
    return [line for line in lines if line]


def best_on_validation(outcomes: Sequence[Outcome]) -> Outcome:
    """The arm whose risk at its own reflection point is least on validation; of equals the first."""
    sign = 1 if outcomes[0].prepared.lower_is_better else -1
    return min(outcomes, key=lambda outcome: sign * outcome.choice.value)


def learner_table(
    outcomes: Sequence[Outcome], chosen: Outcome, folder: Folder, truth: np.ndarray
) -> list[dict[str, Any]]:
    """Every arm at its own reflection point, for report.json: its choice on validation, its metrics on test.

    `candidates`: the volumes at which it may be the best of all arms and volumes, by one comparison of all of them.
    `difference`: the chosen one's ensemble less this arm's on test, over new members and rows. `truth`: the test rows'.
    """
    prepared = chosen.prepared
    metric, task = prepared.metric, prepared.task
    table = []
    for outcome in outcomes:
        label, choice = outcome.arm.label, outcome.choice
        ensemble = ensemble_mean(outcome.at_choice)
        clusters = prepared.judged_clusters("test")
        risk, lo, hi = risk_interval(outcome.at_choice, truth, task=task, metric=metric, clusters=clusters)
        real = prepared.read_fit(folder, label, in_folds(Job("real"), prepared.held))["test"]
        row = {
            "learner": label,
            "chosen": outcome is chosen,
            "volume": choice.volume,
            "ratio": choice.volume / prepared.base,
            "interval": list(choice.interval),
            "candidates": list(outcome.candidates or ()),
            "status": choice.status,
            "validation": choice.value,
            "risk": risk,
            "risk_interval": [lo, hi],
            "test": {"dge": metrics_of(ensemble, truth, task=task), "real": metrics_of(real, truth, task=task)},
        }
        if outcome is not chosen:
            best, own = (one.at_choice.astype(np.float64) for one in (chosen, outcome))
            apart = ensembles_difference(best, own, truth, metric, clusters=clusters)
            row["difference"] = [apart.value, apart.lo, apart.hi]
        table.append(row)
    return table
