"""The one Ray Train run of a study: workers pull downstream fits from the Board until it closes."""

import logging
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import ray
import ray.train
from ray.exceptions import RayError

# The only imports of Ray Train's V2 package: these have no public name elsewhere.
from ray.train.v2._internal.execution.callback import ControllerCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from dge_ray.distributed.reader import MemberReader, member_blocks
from dge_ray.distributed.session import first_line
from dge_ray.downstream import Learner, StreamingLearner, make_learner, slices
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.downstream.mixture import Mixture
from dge_ray.errors import StudyError
from dge_ray.seeds import NO_MEMBER, Purpose, integer
from dge_ray.storage import Folder
from dge_ray.study.downstream_spec import DownstreamSpec
from dge_ray.study.predictions import Job, model_folder, write_predictions
from dge_ray.table import Columns, TableCodec

logger = logging.getLogger(__name__)

WORKER_RESTARTS = 3
START_SECONDS = 20.0  # the longest that a run's controller takes to start, on a busy machine
LARGEST_MODEL = 64 << 20  # bytes of one fitted learner


def learner_seed(seed: int, job: Job) -> int:
    """The learner's seed: naive single is in naive ensemble (same member, index 0); the others have their own."""
    if job.kind in ("member", "ensemble"):
        return integer(seed, Purpose.LEARNER, member=job.member, index=job.index, bits=31)
    index = 2 * job.member + 1 if job.kind == "concatenated" else 2 * job.index
    return integer(seed, Purpose.LEARNER, member=NO_MEMBER, index=index, bits=31)


def downstream_worker(config: dict[str, Any]) -> None:
    """What each Train worker runs."""
    board = config["board"]
    try:
        worker = _Worker(config["spec"], ray.get(config["real"]), board, config["first"])
        worker.run()
    except (RuntimeError, OSError, RayError) as error:
        # Also what a worker sees when another one dies: Train restarts them all, a few times.
        if isinstance(error, StudyError):
            ray.get(board.fail.remote(str(error)))
        raise
    except Exception as error:  # it would come again: told at once, in one line, to everybody who waits
        ray.get(board.fail.remote(f"a downstream fit failed: {first_line(error)}"))
        raise


class _Worker:
    def __init__(self, spec: DownstreamSpec, real: dict[str, Columns], board: Any, first: int) -> None:
        context = ray.train.get_context()
        self.rank, self.world = first + context.get_world_rank(), context.get_world_size()
        self.spec, self.real, self.board = spec, real, board
        self.schema = spec.members.schema
        self.reader = MemberReader(TableCodec(self.schema), self._stream, spec.members.shard_rows)
        self.together = fits_together(spec) and self.world > 1
        self.turn = ray.get(board.register.remote(self.rank))

    def run(self) -> None:
        done = 0
        if self.together:
            import torch.distributed

            torch.distributed.barrier()  # after every rank registered: a restart must not see the old sequence
        while True:
            if self.together:
                handed = ray.get(self.board.nth.remote(done, self.rank, self.turn))
            else:
                handed = ray.get(self.board.next.remote(self.rank, self.turn, self.reader.member))
            if handed is None:
                return
            self._do(*handed)
            done += 1

    def _stream(self, member: int, shards: Sequence[int]) -> Iterator[pa.Table]:
        """A member's shards; the Board hears how far they are read."""
        rows, read = self.spec.members.shard_rows, 0
        for block in member_blocks(self.spec.members, member, shards):
            yield block
            read += block.num_rows
            self.board.took.remote(member, shards[(read - 1) // rows] * rows + (read - 1) % rows + 1)

    def _do(self, job: Job, ahead: int) -> None:
        started, cpu = time.perf_counter(), time.process_time()
        name, settings = self.spec.learners[job.learner]
        learner = make_learner(name, settings, self.schema, seed=learner_seed(self.spec.members.seed, job))
        mixture = self._mixture(job)
        if isinstance(learner, StreamingLearner):
            average = _sum_over_workers if self.together else None
            part = (self.rank, self.world) if self.together else (0, 1)
            learner.fit_stream(
                lambda ranges: self._rows_of(job, ahead, ranges),
                self._rows(job),
                average=average,
                part=part,
                mixture=mixture,
            )
        elif mixture is None or not job.rows:
            learner.fit(self._columns(job, ahead))
        else:  # `prepare` saw to it that the estimator takes weights
            cast(EstimatorLearner, learner).fit(self._columns(job, ahead), mixture.weights(self._rows(job)))
        fit_cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
        if not self.together or self.rank == 0:
            self._keep(job, learner, {"cpu_seconds": fit_cpu, "seconds": seconds, "worker": self.rank})
        if self.together:
            import torch.distributed

            torch.distributed.barrier()
        if not self.together or self.rank == 0:
            ray.get(self.board.finish.remote(job))

    def _keep(self, job: Job, learner: Learner, cost: dict[str, float]) -> None:
        """Predictions last: their file says that the fit is finished."""
        folder = self.spec.members.folder
        values = {split: learner.predict(self.real[split]) for split in ("validation", "test")}
        if job.kind == "member":
            _keep_model(folder, job, learner)
        folder.write_json(f"costs/{job.learner}-{job.address}.json", cost)
        write_predictions(folder, job.learner, job, values, self.schema.classes)

    def _real_rows(self, job: Job) -> Columns | None:
        """The real rows that a job learns from, before its synthetic ones."""
        if job.kind == "real":
            return self.real["train"]
        return self.real["raw"] if job.kind == "raw" or self.spec.augmented else None

    def _mixture(self, job: Job) -> Mixture | None:
        """Which of a job's rows are real and how much the others count, where they do not count as real ones do."""
        weight = self.spec.weights.get(job.learner)
        return None if weight is None else Mixture(_length(self._real_rows(job)), weight)

    def _rows(self, job: Job) -> int:
        return _length(self._real_rows(job)) + job.rows

    def _columns(self, job: Job, ahead: int) -> Columns:
        real, drawn = self._real_rows(job), job.members if job.volume else []
        parts = [] if real is None else [real]
        parts += [self.reader.prefix(member, job.volume, ahead if len(drawn) == 1 else 0) for member in drawn]
        return parts[0] if len(parts) == 1 else {n: np.concatenate([part[n] for part in parts]) for n in parts[0]}

    def _rows_of(self, job: Job, ahead: int, ranges: Sequence[range]) -> Iterator[Columns]:
        """Ranges of the rows that a job learns from: real ones, then its members', one after another."""
        real = self._real_rows(job)
        first = _length(real)
        if real is not None:
            yield from slices(real, _within(ranges, 0, first))
        for i, member in enumerate(job.members):
            if own := _within(ranges, first + i * job.volume, job.volume):
                yield from self.reader.rows(member, job.volume, own, ahead)


def _length(columns: Columns | None) -> int:
    return 0 if columns is None else len(next(iter(columns.values())))


def _within(ranges: Sequence[range], first: int, rows: int) -> list[range]:
    """What of some ranges lies in the `rows` rows from row `first` on, counted from there."""
    spans = (range(max(s.start - first, 0), min(s.stop - first, rows)) for s in ranges)
    return [span for span in spans if span]


def _keep_model(folder: Folder, job: Job, learner: Learner) -> None:
    """Keep a fitted learner, for the ensemble that is logged at the end. One that is huge, or that only a pickle could
    hold, is not kept: the predictions are what a study needs."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            learner.save(Path(scratch))
        except StudyError as error:
            logger.info("member %d, volume %d: %s", job.member, job.volume, error)
            return
        if sum(file.stat().st_size for file in Path(scratch).rglob("*")) <= LARGEST_MODEL:
            folder.upload(Path(scratch), model_folder(job.learner, job))


def _sum_over_workers(gradients: list[Any]) -> None:
    """All-reduce in place, as one flat tensor: a message a step, whatever the number of layers."""
    import torch
    import torch.distributed

    flat = torch.cat([g.reshape(-1) for g in gradients])
    torch.distributed.all_reduce(flat)
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].reshape(gradient.shape))
        start += gradient.numel()


class _TellController(ControllerCallback):
    """Has the run's controller tell the Board who it is: Train gives the driver no handle to end it by."""

    def __init__(self, board: Any, first: int) -> None:
        self.board, self.first = board, first

    def after_controller_start(self, train_run_context: Any) -> None:
        ray.get(self.board.controlled_by.remote(self.first, ray.get_runtime_context().current_actor))


def fits_together(spec: DownstreamSpec) -> bool:
    """Whether several workers do every fit together, each on a part of its rows: where all learners can."""
    return all(make_learner(*learner, spec.members.schema, seed=0).streams for learner in spec.learners.values())


class DownstreamRun:
    """A Train run in a thread of the driver: workers `first`, `first` + 1, ... of the study.

    If the study's first run fails, the Board tells everybody. A later one, on nodes that joined, may end with them:
    what its workers had claimed goes back to the Board, and the others do it.
    """

    def __init__(
        self,
        spec: DownstreamSpec,
        real: Any,
        board: Any,
        *,
        workers: int,
        cpus_per_worker: float,
        scratch: str,
        first: int = 0,
    ) -> None:
        self.board, self.first, self.workers = board, first, workers
        self._ending = False
        backend: ray.train.BackendConfig | None = None
        if fits_together(spec) and workers > 1:
            from ray.train.torch import TorchConfig

            backend = TorchConfig(backend="gloo")
        restarts = 0 if first else WORKER_RESTARTS
        self._trainer = DataParallelTrainer(
            downstream_worker,
            train_loop_config={"spec": spec, "real": real, "board": board, "first": first},
            backend_config=backend,
            scaling_config=ray.train.ScalingConfig(
                num_workers=workers, resources_per_worker={"CPU": cpus_per_worker}, placement_strategy="SPREAD"
            ),
            run_config=ray.train.RunConfig(
                storage_path=scratch,
                name=f"downstream-{first}",
                failure_config=ray.train.FailureConfig(max_failures=restarts, controller_failure_limit=restarts),
                callbacks=[_TellController(board, first)],  # type: ignore[list-item]
            ),
        )
        self._thread = threading.Thread(target=self._run, name="ray-train", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._trainer.fit()
        except Exception as error:  # whatever ended the run, those who wait for it must hear of it
            if self._ending:
                return
            if self.first:
                with suppress(RayError):
                    ray.get(self.board.left.remote(list(range(self.first, self.first + self.workers))))
                return
            failures = list(getattr(error, "worker_failures", {}).values())
            cause = getattr(failures[0], "cause", None) or failures[0] if failures else error
            self._tell(f"the downstream workers failed: {first_line(cause)}")

    def _tell(self, message: str) -> None:
        try:
            ray.get(self.board.fail.remote(message))
        except RayError:
            return  # the Board is gone too: its own waiters have heard

    def end(self, timeout: float) -> None:
        """Wait for the run to end, the Board being closed; then end it.

        Its thread must be over before Ray is: a call that is under way when Ray ends takes the whole process with it.
        """
        self._ending = True
        self._thread.join(timeout)
        until = time.monotonic() + START_SECONDS
        while self._thread.is_alive() and time.monotonic() < until:
            with suppress(RayError, TimeoutError):  # without its Board a run ends by itself
                controller: Any = ray.get(self.board.controller_handle.remote(self.first), timeout=1)
                if controller is not None:
                    ray.kill(controller)
            self._thread.join(0.5)
