"""The search of one arm's volumes: which are fitted, which are given up on the way."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from dge_ray.distributed.engine import Engine
from dge_ray.distributed.trial import SearchSpec
from dge_ray.errors import StudyError
from dge_ray.results.refining import refined_volumes
from dge_ray.stats.volume.pruning import hopeless_volumes
from dge_ray.storage import Folder
from dge_ray.study.arms import Arm
from dge_ray.study.config import Search
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.predictions import dropped_file, tensor
from dge_ray.study.terminal.progress import Progress
from dge_ray.tracking.tracker import Tracker

FIRST_MEMBERS = 4  # a variance from fewer has too few degrees of freedom to decide anything


def arm_predictions(
    prepared: Prepared, folder: Folder, arm: Arm, members: int, volumes: Sequence[int]
) -> dict[str, np.ndarray]:
    """P per split: (members, volumes, rows, classes). Of a cross-fitted study validation is all rows that are not test,
    and test stands there once a fold, or is validation again (`study.folds`)."""
    sizes = {"width": prepared.width, "rows": prepared.rows, "held": prepared.held}
    values = tensor(folder, arm.label, members=members, volumes=volumes, **sizes)
    return values | {"test": values["validation"]} if prepared.is_nested else values


class ArmSearch:
    """One arm's search at a number of members. `truth`: validation's. `dropped`: volumes that this or an earlier run
    gave up."""

    def __init__(
        self, prepared: Prepared, arm: Arm, members: int, *, engine: Engine, folder: Folder, truth: np.ndarray
    ) -> None:
        self.prepared, self.arm, self.members = prepared, arm, members
        self.engine, self.folder, self.truth = engine, folder, truth
        self.request = prepared.config.search if arm.synthetic else Search()  # the raw rows alone are one volume
        self.dropped = self._read_dropped() if self.request.drop_hopeless else set[int]()
        self._least_seen = 0  # members of every volume when hopeless ones were last looked for

    def run(self, progress: Progress, tracker: Tracker | None) -> list[int]:
        """Have every volume's members fitted; gives the volumes.

        Raises:
            StudyError: it was cut short: no choice is made on what it left.
        """
        prepared, request = self.prepared, self.request
        spec = SearchSpec(
            folder=self.folder,
            label=self.arm.label,
            members=self.members,
            width=prepared.width,
            metric=prepared.metric,
            lower_is_better=prepared.lower_is_better,
            held=prepared.held,
        )

        def on_report(volume: int, count: int, risk: float) -> None:
            if tracker is not None:
                tracker.log_point(volume, count, {f"running/{self.arm.label}/{prepared.metric}": risk})
            if request.drop_hopeless:
                self._drop_hopeless(progress)

        search = partial(
            self.engine.search,
            spec,
            self.truth,
            trials=request.trials,
            dropped=frozenset(self.dropped),
            on_report=on_report,
        )
        if request.name == "refine":
            volumes = refined_volumes(
                prepared,
                self.truth,
                search=lambda batch: search(searcher="grid", volumes=batch),
                predictions=lambda done: self._predictions(self.members, done),
                say=progress.say,
            )
        else:
            volumes = search(searcher=request.name, volumes=self.arm.volumes)
        self._check_complete(volumes)
        return volumes

    def _check_complete(self, volumes: list[int]) -> None:
        kept = [m for m in volumes if m not in self.dropped]
        wanted = [job for m in kept for k in range(self.members) for job in self.prepared.cell(self.arm, k, m)]
        if missing := self.engine.missing(wanted):
            raise StudyError(f"the search ended with {len(missing)} fits missing, first {missing[0].address}")

    def _predictions(self, members: int, volumes: Sequence[int]) -> np.ndarray:
        return arm_predictions(self.prepared, self.folder, self.arm, members, volumes)["validation"]

    @property
    def _dropped_file(self) -> str:
        """The file of the volumes that were given up."""
        return dropped_file(self.arm.label, self.prepared.metric, self.members)

    def _read_dropped(self) -> set[int]:
        if not self.folder.exists(self._dropped_file):
            return set()
        return set(self.folder.read_json(self._dropped_file)) & set(self.arm.volumes)

    def _drop_hopeless(self, progress: Progress) -> None:
        """Give up the volumes that can no longer become the best one, once every other has one more member."""
        # By what is done, not by what the trials reported: some of them may not have started yet.
        least = self.engine.leading(self.arm.label, [m for m in self.arm.volumes if m not in self.dropped])
        if not self._least_seen < least < self.members:
            return
        self._least_seen = least
        for volume in sorted(set(self._hopeless(least)) - self.dropped):
            self.dropped.add(volume)
            self.folder.write_json(self._dropped_file, sorted(self.dropped))
            self.engine.drop(self.arm.label, volume)
            progress.say(f"dropped {volume:,} rows a member: it cannot become the best any more")

    def _hopeless(self, count: int) -> list[int]:
        """Volumes that, judged by their first `count` members, cannot be best at the full number of members."""
        if count < FIRST_MEMBERS:
            return []
        return hopeless_volumes(
            self._predictions(count, self.arm.volumes),
            self.truth,
            task=self.prepared.task,
            volumes=self.arm.volumes,
            metric=self.prepared.metric,
            target_members=self.members,
        )
