"""One study, from a table to its report."""

import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from dge_ray.commands.arm_search import ArmSearch, arm_predictions
from dge_ray.commands.fit_again import fit_again
from dge_ray.commands.own_modules import refuse_on_cluster
from dge_ray.commands.pilot import keep_chosen, least_members, piloted, without_pilot
from dge_ray.distributed.demand import Demand
from dge_ray.distributed.engine import Engine
from dge_ray.distributed.placement import MemberDemand
from dge_ray.distributed.session.preflight import check_ray
from dge_ray.report.summary import summary_lines
from dge_ray.report.words.answer import parts_sentence
from dge_ray.report.words.pilot import pilot_to_do_lines
from dge_ray.results.assemble import (
    assemble_report,
    choose,
    nested_places,
    surface_table,
    tracked,
    write_page,
    write_report,
)
from dge_ray.results.baselines import real_learners
from dge_ray.results.fidelity import fidelity
from dge_ray.results.findings import FEWEST_OF_A_CLASS, findings
from dge_ray.results.outcomes import Outcome, best_on_validation, compared_jointly, cut_warnings
from dge_ray.results.stacking import stacking
from dge_ray.results.weighing import safe_weights
from dge_ray.stats.ensemble.klaw import gain_of_doubling
from dge_ray.stats.ensemble.klaw_interval import next_members
from dge_ray.stats.metrics.losses import metric_value
from dge_ray.storage import Folder
from dge_ray.study.arms import Arm
from dge_ray.study.config import StudyConfig
from dge_ray.study.downstream_spec import downstream_of
from dge_ray.study.folder import check_folder, check_storage, claim_folder, resolved, study_folder
from dge_ray.study.given import config_of
from dge_ray.study.pilot.record import pilot_section, settled
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.private import (
    charge_members,
    open_ledger,
    privacy_section,
    refuse_overspending,
    study_plan,
)
from dge_ray.study.records.files import PILOT, REPORT_PAGE, SURFACE
from dge_ray.study.records.identity import tracking_id
from dge_ray.study.records.lock import study_lock
from dge_ray.study.records.predictions import Job
from dge_ray.study.records.status import StatusFile
from dge_ray.study.terminal.interrupt import insistent
from dge_ray.study.terminal.log import JsonProgress
from dge_ray.study.terminal.progress import Progress
from dge_ray.tracking.study import close, log_end, log_start
from dge_ray.tracking.tracker import Status, Tracker


def tune(source: Any, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run a study of a source and keys, or go on with it; see `run_study`. Progress goes to standard error.

    `source`: as on the command line, or a table: a pandas frame, or what has Arrow's PyCapsule interface. A table is
    kept in the storage, below `sources`, for the verbs that read the real rows again.
    """
    with config_of(source, options, keep=True) as config:
        return run_config(config)


def run_config(config: StudyConfig) -> dict[str, Any]:
    """`run_study`, with progress in the form that the configuration says."""
    if config.log != "json":
        return run_study(config)
    progress = JsonProgress(str(config.study))
    with progress.logged():
        return run_study(config, progress)


lines = summary_lines


def run_study(config: StudyConfig, progress: Progress | None = None) -> dict[str, Any]:
    """Run a study, or go on with it where it was left. Returns report.json's content, and the `page`'s place.

    Raises:
        InputError, InputErrors: the input is at fault, the storage cannot be written to, Ray cannot start or be joined,
            or the tracking server does not answer; nothing was written over, and nothing tracked.
        StudyError: the study cannot go on; what is finished stays.
    """
    progress = progress or Progress()
    started = time.monotonic()
    check_storage(config)
    folder = study_folder(config.storage, str(config.study))
    given, (config, auto) = config, settled(config, folder)
    refuse_overspending(config, folder)
    refuse_on_cluster(learner.name for learner in config.learners)
    prepared = prepare(config, progress.say)
    check_folder(prepared, pilot=auto)
    for line in pilot_to_do_lines({} if auto else without_pilot(given, config)):
        progress.say(line)
    try:
        # One thread a process: sums keep their order whatever the machine, and the cores are left to the fits.
        with study_lock(folder, progress.say) as is_held, threadpool_limits(limits=1):
            check_ray()
            if auto:
                if config.tracking and not folder.exists(PILOT):
                    Tracker.connect()  # before anything is fitted, and the run is not known yet
                prepared = piloted(prepared, folder, demand_of(prepared), progress.say)
            check_folder(prepared, pilot=auto)  # another study may have taken the name meanwhile
            with _tracked(prepared, folder, progress, is_held) as (tracker, scratch):
                claim_folder(prepared, folder, pilot=auto)
                keep_chosen(prepared, folder)
                report = Study(prepared, folder, progress, tracker).run(started)
                if tracker is None:
                    write_page(folder, report, folder.read_table(SURFACE))
                else:
                    log_end(
                        tracker,
                        folder,
                        prepared.config,
                        prepared.schema,
                        report,
                        progress.say,
                        scratch=scratch,
                        told=lambda: write_page(folder, report, folder.read_table(SURFACE)),
                    )
    finally:
        progress.end()
    return {**report, **(tracked(folder) if config.tracking else {}), "page": str(folder / REPORT_PAGE)}


@contextmanager
def _tracked(
    prepared: Prepared, folder: Folder, progress: Progress, is_held: Callable[[], bool]
) -> Iterator[tuple[Tracker | None, Path]]:
    """The study's tracker, if it is tracked, and a folder for what it sends. Its runs end with the block, unless
    another driver has taken the study over, and them with it."""
    if not prepared.config.tracking:
        yield None, Path()
        return
    identity = tracking_id(prepared.identity(), prepared.name)
    tracker = Tracker.open(prepared.name, identity, metric=prepared.metric)
    status: Status = "FAILED"
    with tempfile.TemporaryDirectory(prefix="dge-ray-") as scratch:
        try:
            yield tracker, Path(scratch)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            progress.end()
            if is_held() and (left := close(tracker, folder, status)):
                track = f"dge-ray track {shlex.quote(str(folder))}"
                progress.say(f"warning: MLflow lacks {left} records; `{track}` sends them")


def demand_of(prepared: Prepared) -> Demand:
    """What a study asks of the cluster."""
    config = prepared.config
    member = MemberDemand(
        accelerator_type=config.accelerator_type,
        resources=config.resources_per_member,
        placement=config.placement,
    )
    fits = prepared.fold_count * prepared.most_members * sum(len(arm.volumes) for arm in prepared.arms)
    return Demand(config.workers, config.gpus_per_member, member, config.members_per_actor, fits)


class Study:
    """The steps of a study. Each asks the engine for what is missing and reads the rest from the folder."""

    def __init__(self, prepared: Prepared, folder: Folder, progress: Progress, tracker: Tracker | None) -> None:
        self.prepared, self.folder, self.progress, self.tracker = prepared, folder, progress, tracker
        config, plan, self.ledger = prepared.config, None, None
        if config.private:
            plan = study_plan(config, folder, prepared.most_members, prepared.n)
            self.ledger = open_ledger(config, folder, plan, progress.say)
        self.downstream = downstream_of(prepared, folder, prepared.arms, prepared.volumes[-1], private=plan)
        self.status_file = StatusFile(folder)
        self.truth = {split: prepared.judged_truth(split) for split in ("validation", "test")}

    def run(self, started: float) -> dict[str, Any]:
        prepared, config = self.prepared, self.prepared.config
        self.progress.say(f"study {prepared.name}: {parts_sentence(prepared.rows, prepared.fold_count)}")
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
                others=[(prepared.tables[fold], prepared.encoded(fold)) for fold in range(1, prepared.fold_count)],
            ) as engine,
            insistent(),
        ):
            members = self.grow(engine)
            if len(prepared.arms) > 1 and config.search.name == "grid" and not config.search.drop_hopeless:
                engine.want(self._grid(members), members=members)  # a member's rows are read once for all arms
            outcomes, waiting = [], []
            for arm in prepared.arms:
                outcomes.append(self.outcome(engine, arm, members))
                first = prepared.first_baselines(arm, members, outcomes[-1].by_fold)
                waiting += engine.want(first, members=members)
            outcomes = compared_jointly(outcomes, self.truth["validation"])
            candidates, weights = safe_weights(outcomes, self.truth["validation"])
            chosen = best_on_validation(candidates)
            theirs = prepared.baselines(chosen.arm, members, chosen.by_fold)
            waiting += engine.want([job for job in theirs if job not in waiting], members=members)
            surfaces = [surface_table(outcome, self.truth) for outcome in outcomes]  # meanwhile
            engine.wait(waiting)
            engine.dismiss()
            learners = real_learners(prepared, self.folder, members)
            privacy = {} if self.ledger is None else {"privacy": privacy_section(self.ledger)}
            cut = cut_warnings(outcomes, self.folder)
            for line in cut:
                self.progress.say(f"warning: {line}")
            report = assemble_report(
                prepared,
                self.folder,
                chosen,
                outcomes,
                self.truth,
                learners=learners,
                wall_seconds=time.monotonic() - started,
                more={
                    **weights,
                    **findings(chosen, self.folder, self.truth, real_learner=learners.get("real")),
                    **stacking(chosen, self.truth),
                    **fidelity(prepared, self.folder, members),
                    **privacy,
                    **pilot_section(self.folder),
                },
                warnings=cut,
            )
            write_report(self.folder, report, pa.concat_tables(surfaces))
            if config.refit == "all":
                volume = report["answer"]["volume"] or chosen.choice.volume
                demand, say = demand_of(prepared), self.progress.say
                report["refit"] = fit_again(prepared, self.folder, chosen, volume, demand, say)
                write_report(self.folder, report, pa.concat_tables(surfaces))
        return report

    def _grid(self, members: int) -> list[Job]:
        cells = ((arm, k, m) for arm in self.prepared.arms for m in arm.volumes for k in range(members))
        return [job for arm, k, m in cells for job in self.prepared.cell(arm, k, m)]

    def outcome(self, engine: Engine, arm: Arm, members: int) -> Outcome:
        """One arm's search and the choice of its volume."""
        prepared, truth = self.prepared, self.truth["validation"]
        self._tell(members)
        search = ArmSearch(prepared, arm, members, engine=engine, folder=self.folder, truth=truth)
        volumes = search.run(self.progress, self.tracker)
        predictions = arm_predictions(prepared, self.folder, arm, members, volumes)
        choice = choose(prepared, predictions["validation"], truth, volumes)
        ratio = choice.volume / prepared.base
        whose = "" if len(prepared.arms) == 1 else f" of {arm.label}"
        self.progress.say(f"chosen on validation{whose}: {choice.volume:,} rows a member ({ratio:g}x)")
        places = nested_places(prepared, predictions, truth, volumes)
        return Outcome(prepared, arm, volumes, predictions, choice, nested=places)

    def _tell(self, members: int) -> None:
        self.progress.members, self.progress.folds = members, self.prepared.fold_count

    def _on_status(self, counts: dict[str, Any]) -> None:
        self.progress.status(counts)
        self.status_file.put(self.progress.members, counts, self.progress.seconds_left(counts))

    def grow(self, engine: Engine) -> int:
        """The number of members: as asked, or raised at the pilot volume until doubling them is worth it to no arm.

        It is worth it while the upper confidence bound of its gain in Brier score or squared error is above the
        tolerance's share of the pilot's risk. They are raised to the number that meets the bound by the K-law, at most
        doubled: a third fewer members than doubling each time, stopped too early as rarely (experiments/dge2023).
        """
        config, pilot = self.prepared.config, self.prepared.pilot_volume
        if config.members != "auto":
            self._charge(config.members)
            self._tell(config.members)
            return config.members
        members = least_members(config)
        arms = [arm for arm in self.prepared.arms if arm.synthetic]
        while True:
            self._charge(members)
            self._tell(members)
            jobs = [job for arm in arms for k in range(members) for job in self.prepared.cell(arm, k, pilot)]
            engine.wait(engine.want(jobs, members=members))
            upper, gain = max(self._gain(arm, members) for arm in arms)
            enough = upper < config.tolerance
            self.progress.say(
                f"{members} members at {pilot:,} rows: doubling them would take {gain:.2%} "
                f"(at most {upper:.2%}{self._caution()}) off the risk; "
                + ("enough" if enough else "the limit (max_members)" if members >= config.max_members else "going on")
            )
            if enough or members >= config.max_members:
                return members
            members = min(next_members(members, upper, config.tolerance), config.max_members)

    def _caution(self) -> str:
        """What is said beside the bound where the rarest class has too few validation rows for it."""
        if self.prepared.task == "regression":
            return ""
        counts = np.bincount(self.truth["validation"])
        few = int(counts[counts > 0].min())
        return f"; a rough bound, of {few} rows of the rarest class" if few < FEWEST_OF_A_CLASS else ""

    def _charge(self, members: int) -> None:
        """Of a private study: note what so many members cost, before the first of them sees a row."""
        if self.ledger is not None:
            charge_members(self.ledger, self.prepared.config, members)

    def _gain(self, arm: Arm, members: int) -> tuple[float, float]:
        """What doubling the members would take off an arm's pilot risk, at most and as estimated; shares of it."""
        prepared = self.prepared
        cell = arm_predictions(prepared, self.folder, arm, members, [prepared.pilot_volume])["validation"][:, 0]
        law = "rmse" if prepared.task == "regression" else "brier"
        risk = metric_value(law, cell.mean(axis=0, dtype=np.float64), self.truth["validation"])
        risk = risk**2 if law == "rmse" else risk
        risk = max(risk, np.finfo(np.float64).tiny)  # a risk of 0 has no shares
        gain, upper = gain_of_doubling(cell)
        return upper / risk, gain / risk
