"""One study, from a table to its report."""

import shlex
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dge_ray.config import StudyConfig
from dge_ray.distributed.actors import MemberSpec
from dge_ray.distributed.demand import Demand
from dge_ray.distributed.engine import Engine
from dge_ray.distributed.placement import MemberDemand
from dge_ray.distributed.train import DownstreamSpec
from dge_ray.distributed.trial import SearchSpec
from dge_ray.errors import StudyError
from dge_ray.findings import findings
from dge_ray.folder import check_folder, claim_folder, resolved, tracking_id
from dge_ray.interrupt import insistent
from dge_ray.lock import study_lock
from dge_ray.predictions import Job, baseline_jobs, tensor
from dge_ray.prepare import Prepared, prepare
from dge_ray.progress import Progress
from dge_ray.refining import refined_volumes
from dge_ray.results import assemble_report, choose, surface_table, write_report
from dge_ray.stats.klaw import gain_of_doubling
from dge_ray.stats.klaw_interval import next_members
from dge_ray.stats.losses import metric_value
from dge_ray.stats.pruning import hopeless_volumes
from dge_ray.status import StatusFile
from dge_ray.storage import Folder
from dge_ray.track import close, log_end, log_start
from dge_ray.tracking import Status, Tracker

FIRST_MEMBERS = 4  # a variance from fewer has too few degrees of freedom to decide anything


def run_study(config: StudyConfig, progress: Progress | None = None) -> dict[str, Any]:
    """Run a study, or go on with it where it was left. Returns report.json's content.

    Raises:
        InputError, InputErrors: the input is at fault; nothing was written over.
        StudyError: the study cannot go on; what is finished stays.
    """
    progress = progress or Progress()
    started = time.monotonic()
    prepared = prepare(config, progress.say)
    Folder.open(config.storage).check_writable()
    folder = check_folder(prepared)
    tracker = Tracker.open(prepared.name, tracking_id(prepared.identity(), prepared.name)) if config.tracking else None
    status: Status = "FAILED"
    scratch = tempfile.TemporaryDirectory(prefix="dge-ray-")
    try:
        # One thread a process: sums keep their order whatever the machine, and the cores are left to the fits.
        with study_lock(folder, progress.say), threadpool_limits(limits=1):
            claim_folder(prepared, folder)
            report = Study(prepared, folder, progress, tracker).run(started)
            if tracker is not None:
                log_end(tracker, folder, prepared.schema, report, progress.say, scratch=Path(scratch.name))
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        progress.end()
        if tracker is not None and (left := close(tracker, folder, status)):
            progress.say(f"warning: MLflow lacks {left} records; `dge-ray track {shlex.quote(str(folder))}` sends them")
        scratch.cleanup()
    return report


def demand_of(prepared: Prepared) -> Demand:
    """What a study asks of the cluster."""
    config = prepared.config
    member = MemberDemand(
        accelerator_type=config.accelerator_type,
        resources=config.resources_per_member,
        placement=config.placement,
    )
    fits = prepared.most_members * len(prepared.volumes)
    return Demand(config.workers, config.gpus_per_member, member, config.members_per_actor, fits)


class Study:
    """The steps of a study. Each asks the engine for what is missing and reads the rest from the folder."""

    def __init__(self, prepared: Prepared, folder: Folder, progress: Progress, tracker: Tracker | None) -> None:
        self.prepared, self.folder, self.progress, self.tracker = prepared, folder, progress, tracker
        config = prepared.config
        members = MemberSpec(
            folder=folder,
            schema=prepared.schema,
            generators=config.generators,
            seed=config.seed,
            shard_rows=prepared.shard_rows,
            constraints=config.constraints,
            pretrained=config.pretrained,
        )
        self.downstream = DownstreamSpec(
            members=members,
            learner=config.learner.name,
            settings=config.learner.settings,
            label=prepared.label,
            volume=prepared.volumes[-1],
        )
        self.status_file = StatusFile(folder)
        self.dropped: set[int] = set()  # volumes that this or an earlier run of the study gave up
        self.truth = {part: prepared.truth(part) for part in ("validation", "test")}

    def run(self, started: float) -> dict[str, Any]:
        prepared = self.prepared
        self.progress.say(
            f"study {prepared.name}: {prepared.n:,} rows to learn from, {prepared.rows['validation']:,} to choose on, "
            f"{prepared.rows['test']:,} to report on"
        )
        if self.tracker is not None:
            columns = prepared.parts["train"].num_columns
            settled = resolved(prepared)
            log_start(self.tracker, self.folder, settled, digest=prepared.digest, rows=prepared.rows, columns=columns)
        with (
            Engine(
                self.downstream,
                tables=prepared.parts,
                real=prepared.encoded(),
                demand=demand_of(prepared),
                on_status=self._on_status,
                on_news=self.progress.event,
                study=prepared.name,
            ) as engine,
            insistent(),
        ):
            members = self.grow(engine)
            volumes = self.search(engine, members)
            predictions = self.predictions(members, volumes)
            choice = choose(prepared, predictions["validation"], self.truth["validation"], volumes)
            self.progress.say(
                f"reflection point: {choice.volume:,} rows a member ({choice.volume / prepared.n:g}x), {choice.status}"
            )
            wanted = baseline_jobs(members, choice.volume, prepared.config.groups)
            baselines = engine.want(wanted, members=members)
            surface = surface_table(prepared, predictions, self.truth, volumes)  # meanwhile
            engine.wait(baselines)
            engine.dismiss()
            report = assemble_report(
                prepared,
                self.folder,
                predictions["test"][:, choice.index],
                self.truth["test"],
                choice,
                volumes=volumes,
                wall_seconds=time.monotonic() - started,
                more=findings(prepared, self.folder, predictions, self.truth, choice, volumes),
            )
            write_report(self.folder, report, surface)
        return report

    def _on_status(self, counts: dict[str, Any]) -> None:
        self.progress.status(counts)
        self.status_file.put(self.progress.members, counts, self.progress.seconds_left(counts))

    def grow(self, engine: Engine) -> int:
        """The number of members: as asked, or raised at the pilot volume until doubling them is not worth it.

        It is worth it while the upper confidence bound of its gain in Brier score or squared error is above the
        tolerance's share of the pilot's risk. They are raised to the number that meets the bound by the K-law, at most
        doubled: a third fewer members than doubling each time, stopped too early as rarely (experiments/dge2023).
        """
        config, pilot = self.prepared.config, self.prepared.pilot_volume
        if config.members != "auto":
            self.progress.members = config.members
            return config.members
        members = min(FIRST_MEMBERS, config.max_members)
        while True:
            self.progress.members = members
            engine.wait(engine.want([Job("member", k, pilot) for k in range(members)], members=members))
            cell = self.predictions(members, [pilot])["validation"][:, 0]
            truth = self.truth["validation"]
            law = "rmse" if self.prepared.task == "regression" else "brier"
            risk = metric_value(law, cell.mean(axis=0, dtype=np.float64), truth)
            risk = risk**2 if law == "rmse" else risk
            gain, upper = gain_of_doubling(cell)
            enough = upper < config.tolerance * risk
            self.progress.say(
                f"{members} members at {pilot:,} rows: doubling them would take {gain / risk:.2%} "
                f"(at most {upper / risk:.2%}) off the risk; "
                + ("enough" if enough else "the limit (max_members)" if members >= config.max_members else "going on")
            )
            if enough or members >= config.max_members:
                return members
            members = min(next_members(members, upper, config.tolerance * risk), config.max_members)

    def search(self, engine: Engine, members: int) -> list[int]:
        """Have every volume's members fitted; gives the volumes."""
        prepared, config = self.prepared, self.prepared.config
        self.progress.members = members
        self.dropped = self._read_dropped(members) if config.search.drop_hopeless else set()
        spec = SearchSpec(
            folder=self.folder,
            label=prepared.label,
            members=members,
            width=prepared.width,
            metric=prepared.metric,
            lower_is_better=prepared.lower_is_better,
        )
        look = partial(
            engine.search,
            spec,
            self.truth["validation"],
            trials=config.search.trials,
            dropped=frozenset(self.dropped),
            on_report=self._on_report(engine, members),
        )
        if config.search.name == "refine":
            volumes = refined_volumes(
                prepared,
                self.truth["validation"],
                look=lambda batch: look(searcher="grid", volumes=batch),
                predictions=lambda done: self.predictions(members, done)["validation"],
                say=self.progress.say,
            )
        else:
            volumes = look(searcher=config.search.name, volumes=prepared.volumes)
        self._check_whole(engine, members, volumes)
        return volumes

    def _check_whole(self, engine: Engine, members: int, volumes: list[int]) -> None:
        """No choice is made on a search that was cut short."""
        wanted = [Job("member", k, m) for m in volumes if m not in self.dropped for k in range(members)]
        if missing := engine.missing(wanted):
            raise StudyError(f"the search ended with {len(missing)} fits missing, first {missing[0].address}")

    def _on_report(self, engine: Engine, members: int) -> Callable[[int, int, float], None]:
        looked = 0
        drops = self.prepared.config.search.drop_hopeless

        def on_report(volume: int, count: int, risk: float) -> None:
            nonlocal looked
            if self.tracker is not None:
                key = f"running/{self.prepared.label}/{self.prepared.metric}"
                self.tracker.log_point(volume, count, {key: risk})
            if not drops:
                return
            # By what is done, not by what the trials reported: some of them may not have started yet.
            least = engine.leading([m for m in self.prepared.volumes if m not in self.dropped])
            if looked < least < members:
                looked = least
                for hopeless in sorted(set(self._hopeless(least, members)) - self.dropped):
                    self.dropped.add(hopeless)
                    self.folder.write_json(self._dropped_file(members), sorted(self.dropped))
                    engine.drop(hopeless)
                    self.progress.say(f"dropped {hopeless:,} rows a member: it cannot become the best any more")

        return on_report

    def _dropped_file(self, members: int) -> str:
        return f"dropped/{self.prepared.label}-{self.prepared.metric}-{members}.json"

    def _read_dropped(self, members: int) -> set[int]:
        name = self._dropped_file(members)
        return set(self.folder.read_json(name)) & set(self.prepared.volumes) if self.folder.exists(name) else set()

    def _hopeless(self, count: int, members: int) -> list[int]:
        """Volumes that, judged by their first `count` members, cannot be best at the full number of members."""
        if count < FIRST_MEMBERS:
            return []
        predictions = self.predictions(count, self.prepared.volumes)["validation"]
        return hopeless_volumes(
            predictions,
            self.truth["validation"],
            task=self.prepared.task,
            volumes=self.prepared.volumes,
            metric=self.prepared.metric,
            target_members=members,
        )

    def predictions(self, members: int, volumes: Any) -> dict[str, np.ndarray]:
        """P per split: (members, volumes, rows, classes)."""
        return tensor(
            self.folder,
            self.prepared.label,
            members=members,
            volumes=volumes,
            width=self.prepared.width,
            rows=self.prepared.rows,
        )
