"""What a downstream worker does: it pulls fits from the Board, reads their rows and keeps their predictions."""

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import ray
import ray.train
from ray.exceptions import RayError

from dge_ray.distributed.reader import MemberReader, member_blocks
from dge_ray.distributed.session.ray_session import first_line
from dge_ray.downstream import Learner, StreamingLearner, make_learner, slices
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.downstream.mixture import Mixture
from dge_ray.errors import StudyError
from dge_ray.storage import Folder
from dge_ray.study.downstream_spec import DownstreamSpec, simple_learner
from dge_ray.study.records.predictions import (
    Job,
    bootstrapped_rows,
    cost_file,
    cut_file,
    learner_seed,
    model_folder,
    write_predictions,
)
from dge_ray.table import Columns, TableCodec

logger = logging.getLogger(__name__)

LARGEST_MODEL = 64 << 20  # bytes of one fitted learner


def fits_together(spec: DownstreamSpec) -> bool:
    """Whether several workers do every fit together, each on a part of its rows: where all learners can."""
    return all(make_learner(*learner, spec.members.schema, seed=0).streams for learner in spec.learners.values())


class Fits:
    """Downstream fits of one process, alone: each fit's predictions are written when it ends. `real`: of each fold the
    real rows; of a study that is not cross-fitted those of the study alone."""

    _real_of: tuple[Job, Columns | None] | None = None  # the last job, and its real rows

    def __init__(self, spec: DownstreamSpec, real: Sequence[dict[str, Columns]]) -> None:
        self.rank, self.world, self.together = 0, 1, False
        self.spec, self.real = spec, real
        self.schema = spec.members.schema
        self.reader = MemberReader(TableCodec(self.schema), self._stream, spec.members.shard_rows)

    def _stream(self, member: int, shards: Sequence[int]) -> Iterator[pa.Table]:
        """A member's shards."""
        yield from member_blocks(self.spec.members, member, shards)

    def fit(self, job: Job, ahead: int = 0) -> None:
        """One fit, its predictions, and what it cost. `ahead`: how far its member's rows are read, if further."""
        started, cpu = time.perf_counter(), time.process_time()
        name, settings = self._learner(job)
        learner = make_learner(name, settings, self.schema, seed=learner_seed(self.spec.members.seed, job))
        mixture = self._mixture(job)
        if isinstance(learner, StreamingLearner):
            average = _sum_over_workers if self.together else None
            part = (self.rank, self.world) if self.together else (0, 1)
            with _named(job, alone=False):
                learner.fit_stream(
                    lambda ranges: self._rows_of(job, ahead, ranges),
                    self._rows(job),
                    average=average,
                    part=part,
                    mixture=mixture,
                )
        elif job.kind == "real_ensemble" and isinstance(learner, EstimatorLearner) and learner.stops_on_its_rows:
            # A row drawn twice must not be fitted on and stopped on: it is one row that counts twice.
            train = self.real[job.fold]["train"]
            drawn = bootstrapped_rows(self.spec.members.seed, job, _length(train))
            rows, times = np.unique(drawn, return_counts=True)
            with _named(job, alone=True):
                learner.fit({n: values[rows] for n, values in train.items()}, times.astype(np.float64))
        else:
            columns = self._columns(job, ahead)
            with _named(job, alone=True):
                if mixture is None or not job.rows:
                    learner.fit(columns)
                else:  # `prepare` saw to it that the estimator takes weights
                    cast(EstimatorLearner, learner).fit(columns, mixture.weights(self._rows(job)))
        fit_cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
        if not self.together or self.rank == 0:
            self._keep(job, learner, {"cpu_seconds": fit_cpu, "seconds": seconds, "worker": self.rank})

    def _keep(self, job: Job, learner: Learner, cost: dict[str, float]) -> None:
        """Predictions last: their file says that the fit is finished."""
        folder = self.spec.members.folder
        real = self.real[job.fold]
        with _named(job, alone=True):
            values = {split: learner.predict(real[split]) for split in ("validation", "test") if split in real}
        if job.kind == "member":
            _keep_model(folder, job, learner)
        folder.write_json(cost_file(job.learner, job), cost)
        if cut := getattr(learner, "reduced", ()):
            folder.write_json(cut_file(job.learner, job), {"settings": cut, "rows": self._rows(job)})
        held = self.spec.held[job.fold] if self.spec.held else None
        write_predictions(folder, job.learner, job, values, self.schema.classes, held)

    def _learner(self, job: Job) -> tuple[str, dict[str, Any]]:
        """The learner of a job, by name, and its settings."""
        if job.kind == "simple":
            return simple_learner(self.schema), {}
        return self.spec.learners[job.learner]

    def _real_rows(self, job: Job) -> Columns | None:
        """The real rows that a job learns from, before its synthetic ones; made once a job, whoever asks how often."""
        if self._real_of is None or self._real_of[0] != job:
            self._real_of = job, self._make_real_rows(job)
        return self._real_of[1]

    def _make_real_rows(self, job: Job) -> Columns | None:
        own, real = bool(self.spec.held), self.real[job.fold]
        if job.kind in ("real", "simple"):
            return real["train"]
        if job.kind == "real_all":  # all that the synthetic side has used: of a fold the rows of the others
            parts = [real[part] for part in ("train", "stopping", "validation")[: 2 if own else 3]]
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        if job.kind == "real_ensemble":
            train = real["train"]
            rows = bootstrapped_rows(self.spec.members.seed, job, _length(train))
            return {name: values[rows] for name, values in train.items()}
        return real["raw"] if job.kind == "raw" or self.spec.augmented else None

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


class Worker(Fits):
    """One Train worker: it takes jobs from the Board, one after another; several may do every fit together."""

    def __init__(self, spec: DownstreamSpec, real: Sequence[dict[str, Columns]], board: Any, first: int) -> None:
        super().__init__(spec, real)
        context = ray.train.get_context()
        self.rank, self.world = first + context.get_world_rank(), context.get_world_size()
        self.board = board
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
        for block in super()._stream(member, shards):
            yield block
            read += block.num_rows
            self.board.took.remote(member, shards[(read - 1) // rows] * rows + (read - 1) % rows + 1)

    def _do(self, job: Job, ahead: int) -> None:
        self.fit(job, ahead)
        if self.together:
            import torch.distributed

            torch.distributed.barrier()
        if not self.together or self.rank == 0:
            ray.get(self.board.finish.remote(job))


@contextmanager
def _named(job: Job, *, alone: bool) -> Iterator[None]:
    """What a learner raises within the block says which fit it was. `alone`: no other worker has a part in it, whose
    end would be met here too."""
    try:
        yield
    except RayError:
        raise
    except Exception as error:
        if not alone and isinstance(error, RuntimeError | OSError) and not isinstance(error, StudyError):
            raise
        said = str(error) if isinstance(error, StudyError) else first_line(error)
        raise StudyError(f"a downstream fit failed: learner {job.learner}, {job.words}: {said}") from error


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
