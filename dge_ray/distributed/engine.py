"""Everything of one study that runs on Ray, started when the first missing thing is asked for."""

import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dge_ray.distributed.board import Board
from dge_ray.distributed.demand import Demand
from dge_ray.distributed.pool import MemberPool
from dge_ray.distributed.search import search_volumes
from dge_ray.distributed.session.ray_session import (
    NAMESPACE,
    TINY,
    Resources,
    ask,
    check_shared,
    current_resources,
    ray_session,
)
from dge_ray.distributed.train import DownstreamRun
from dge_ray.distributed.trial import SearchSpec
from dge_ray.distributed.worker import fits_together
from dge_ray.errors import InputError, StudyError
from dge_ray.study.downstream_spec import DownstreamSpec
from dge_ray.study.members import MemberSpec
from dge_ray.study.records.files import PREDICTIONS
from dge_ray.study.records.jobs import member_of
from dge_ray.study.records.predictions import Job, finished

POLL_SECONDS = 1.0
LOOK_EVERY = 5  # polls between two looks for nodes that joined


class Engine:
    """Members, downstream fits and the volume search of one study on Ray.

    Args:
        spec: what the downstream workers need; its `members.run` is set here.
        tables: the generators' `train` and `stopping` rows.
        real: encoded `train`, `validation`, `test` rows for the learners.
        others: the same two of folds 1, 2, ... of a cross-fitted study; those above are fold 0's.
        on_status: called about once a second with the Board's status.
        on_news: called for each event on the Board, soon after it.
        study: the study's name, for metrics.
    """

    def __init__(
        self,
        spec: DownstreamSpec,
        *,
        tables: dict[str, pa.Table],
        real: dict[str, dict[str, np.ndarray]],
        demand: Demand,
        on_status: Callable[[dict[str, Any]], None],
        on_news: Callable[[dict[str, Any]], None],
        study: str,
        others: Sequence[tuple[dict[str, pa.Table], dict[str, dict[str, np.ndarray]]]] = (),
    ) -> None:
        run = uuid.uuid4().hex[:12]
        self.spec = replace(spec, members=replace(spec.members, run=run))
        self.tables = [tables, *(other for other, _ in others)]
        self.real = [real, *(other for _, other in others)]
        self.demand, self.on_status, self.on_news, self.study = demand, on_status, on_news, study
        self.resources: Resources | None = None
        self.board: Any = None
        self.downstream: list[DownstreamRun] = []
        self.pool: MemberPool | None = None
        self._numbered = 0  # downstream workers so far, those that have gone too
        self._together = fits_together(spec)
        self._stack = ExitStack()
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def members(self) -> MemberSpec:
        return self.spec.members

    @property
    def started(self) -> bool:
        return self.resources is not None

    def _start(self) -> None:
        if self.started:
            return
        self.resources = self._stack.enter_context(ray_session())
        share = self.demand.on(self.resources)
        if self.resources.nodes > 1 and self.members.folder.is_local:
            check_shared(self.members.folder.path)
        self.scratch = tempfile.mkdtemp(prefix="dge-ray-")
        self._stack.callback(shutil.rmtree, self.scratch, ignore_errors=True)
        self.board = (
            ray.remote(Board)
            .options(
                name=self.members.board_name,
                namespace=NAMESPACE,
                num_cpus=TINY,
                max_concurrency=4096,
                # Where the driver is, if that node takes actors: another node's end is then no end of the study.
                scheduling_strategy=NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True),
            )
            .remote(self.resources.cpus, self.study)
        )
        self._rows = ray.put(self.real)
        self._add_workers(share.workers, share.cpus_per_worker)
        self.pool = MemberPool(
            self.members,
            [(tables["train"], tables["stopping"]) for tables in self.tables],
            self.board,
            share.member,
            members_per_actor=self.demand.members_per_actor,
            volume=self.spec.volume,
        )
        self._watcher = threading.Thread(target=self._watch, name="status", daemon=True)
        self._watcher.start()

    def _add_workers(self, workers: int, cpus: float) -> None:
        first = self._numbered
        self._numbered += workers
        self.downstream.append(
            DownstreamRun(
                self.spec,
                self._rows,
                self.board,
                workers=workers,
                cpus_per_worker=cpus,
                scratch=self.scratch,
                first=first,
                own_ray=self.resources is not None and self.resources.own,
            )
        )

    def _use_new_nodes(self) -> None:
        """Downstream workers for CPUs that joined, where the number of workers is left to us.

        Not where all workers do every fit together: their number is part of what such a fit gives.
        """
        if self.demand.workers != "auto" or self._together or self.downstream[0].is_over:
            return
        resources = current_resources()
        share = self.demand.on(resources)
        at_work = sum(run.workers for run in self.downstream if not run.is_over)
        if share.workers > at_work:
            ask(self.board.has_cores.remote(resources.cpus))
            self._add_workers(share.workers - at_work, share.cpus_per_worker)

    def _watch(self) -> None:
        last, look = 0, LOOK_EVERY
        while not self._closing.wait(POLL_SECONDS):
            look -= 1
            try:
                if not look:
                    look = LOOK_EVERY
                    self._use_new_nodes()
                status, (last, news) = ray.get([self.board.status.remote(), self.board.news.remote(last)], timeout=3)
            except (RayError, TimeoutError, InputError, StudyError):
                continue  # the next look may succeed; the study's own calls say when it cannot
            for event in news:
                self.on_news(event)
            self.on_status(status)

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        done: set[Job] = set()
        for label in {job.learner for job in jobs}:
            done |= finished(self.members.folder, label, [job for job in jobs if job.learner == label])
        return [job for job in jobs if job not in done]

    def _begin(self, jobs: Sequence[Job], members: int) -> list[Job]:
        """Start what is needed for these jobs and tell the Board of those on disk; gives the missing ones."""
        missing = self.missing(jobs)
        if missing:
            self._start()
            self._grow(members)
            lacking = set(missing)
            ask(self.board.exist.remote([job for job in jobs if job not in lacking]))
        return missing

    def want(self, jobs: Sequence[Job], *, members: int) -> list[Job]:
        """Have these fits begun, with members 0..members-1 fitted for them; gives those to wait for."""
        missing = self._begin(jobs, members)
        if missing:
            ask(self.board.want.remote(missing))
        return missing

    def wait(self, jobs: Sequence[Job]) -> None:
        """Return when these fits are done.

        Raises:
            StudyError: something failed for good.
        """
        for job in jobs:
            if not ask(self.board.wait.remote(job)):
                raise StudyError(f"the fit {job.learner}-{job.address} was dropped")

    def search(
        self,
        search: SearchSpec,
        truth: np.ndarray,
        *,
        searcher: str,
        volumes: Sequence[int],
        trials: int,
        dropped: Collection[int],
        on_report: Callable[[int, int, float], None],
    ) -> list[int]:
        """Search one learner's volumes with `search.members` members; gives the volumes looked at, ascending.

        Volumes `dropped` by an earlier run of the study stay dropped.

        A grid whose fits are all on disk needs no Ray.
        """
        kept = [m for m in volumes if m not in dropped]
        jobs = [job for m in kept for k in range(search.members) for job in search.cell(k, m)]
        if searcher == "grid" and not self.missing(jobs):
            return sorted(volumes)
        self._start()
        self._begin(jobs, search.members)
        self._grow(search.members)
        ask(self.board.exist.remote(self._on_disk(search)))
        for volume in dropped:
            self.drop(search.label, volume)
        if searcher == "grid":
            ask(self.board.want.remote(jobs))  # the fits need not wait for the trials' processes to start
        return search_volumes(
            search,
            self.board,
            truth,
            searcher=searcher,
            volumes=volumes,
            trials=trials,
            seed=self.members.seed,
            scratch=self.scratch,
            on_report=on_report,
        )

    def _on_disk(self, search: SearchSpec) -> list[Job]:
        """A learner's member jobs whose files are there, whatever their volume: a searcher may propose any."""
        prefix = f"{search.label}-member-"
        jobs = []
        for name in self.members.folder.list(PREDICTIONS):
            if name.startswith(prefix) and name.endswith(".parquet"):
                member, volume, index = name[len(prefix) : -len(".parquet")].split("-")
                if member_of(int(member)) < search.members:
                    jobs.append(Job("member", int(member), int(volume), int(index), search.label))
        return jobs

    def leading(self, learner: str, volumes: Sequence[int]) -> int:
        """How many members, from the first without a gap, are done at every one of these volumes, in every fold."""
        return ask(self.board.leading.remote(learner, list(volumes), len(self.tables)))

    def drop(self, learner: str, volume: int) -> None:
        ask(self.board.drop.remote(learner, volume))

    def _grow(self, members: int) -> None:
        assert self.pool is not None  # started before
        self.pool.grow(members)

    def dismiss(self) -> None:
        """No more fits will be wanted: the workers may end while the caller goes on."""
        if self.board is not None:
            self.board.close.remote()

    def close(self, *, patience: float = 30.0) -> None:
        """End the workers and actors, and Ray if it was started here."""
        self._closing.set()
        try:
            # Each step on its own: what is gone already, or never began, must not keep the others from their end.
            if self.board is not None:
                with suppress(RayError, TimeoutError):
                    ray.get(self.board.close.remote(), timeout=patience)
            # After Ray's end, a thread's call to it would end the whole process.
            if self._watcher is not None:
                self._watcher.join(timeout=10)
            for run in self.downstream:
                run.end(timeout=patience)
            if self.pool is not None:
                self.pool.stop()
            if self.board is not None:
                ray.kill(self.board)
        finally:
            self._stack.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        self.close(patience=30.0 if kind is None else 2.0)
