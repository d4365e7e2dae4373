"""The Board: which downstream fits are wanted, who does them, and what is done.

`Ledger` is the plain state, without Ray; `Board` is the async actor around it. Nothing here is durable or needs to be:
predictions are files, and a new Board is told what exists.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from dge_ray.distributed.gauges import Gauges
from dge_ray.errors import StudyError
from dge_ray.study.records.jobs import Job

OVER = object()
NEWS_KEPT = 10_000


class Ledger:
    """Wanted, claimed, finished and dropped jobs; members that are ready to be read.

    Generator fits go first: while some run, a downstream fit is handed out only where a core is left for it. Both at
    once on one core would each take longer in CPU time too (they push one another out of the caches), and the last
    member would be ready later.
    """

    def __init__(self, cores: float = float("inf")) -> None:
        self.cores = cores
        self.fitting = 0  # generator fits that take a core each now
        self.wanted: set[Job] = set()
        self.done: set[Job] = set()
        self.dropped: set[tuple[str, int]] = set()  # learner and volume
        self.ready: set[int] = set()
        self.claims: dict[Job, int] = {}
        self.begun: dict[Job, float] = {}  # when each claimed job was, by a clock that never goes back
        self.spent: dict[str, list[float]] = {}  # by kind: fits, rows, rows squared, seconds, rows x seconds
        self.first: float | None = None  # when the first job was claimed
        self.sequence: list[Job] = []  # the order of cooperative fits, alike for every rank

    def open_jobs(self) -> list[Job]:
        """Jobs that can be started now, in no order."""
        return [
            job
            for job in self.wanted - self.done - self.claims.keys()
            if self.ready.issuperset(job.members) and not self.is_dropped(job)
        ]

    def is_dropped(self, job: Job) -> bool:
        return job.kind == "member" and (job.learner, job.volume) in self.dropped

    def is_crowded(self, width: int) -> bool:
        """Whether generator fits leave no cores for a downstream fit of `width` workers."""
        return self.fitting > 0 and self.fitting + len(self.claims) + width > self.cores

    def claim(self, worker: int, member: int | None, width: int = 1) -> Job | None:
        """A job for a worker that has `member`'s rows at hand, or None if there is none now.

        First the volumes of the member at hand, smallest first (each reads on where the last stopped); then a member
        that nobody is at; then, so that no worker idles at the end, the largest job of anybody's member.
        """
        jobs = [] if self.is_crowded(width) else self.open_jobs()
        if not jobs:
            return None
        at_hand = [j for j in jobs if j.members == [member]]
        if at_hand:
            chosen = min(at_hand, key=lambda j: (j.volume, j))
        else:
            busy = {m for job, owner in self.claims.items() if owner != worker for m in job.members}
            # Fits over many members (concatenated) cost most: start them before everything else.
            chosen = min(
                jobs, key=lambda j: (len(j.members) <= 1, not busy.isdisjoint(j.members), j.members, j.volume, j)
            )
            if not busy.isdisjoint(chosen.members):
                chosen = max(jobs, key=lambda j: (j.rows, j))
        self.claims[chosen] = worker
        self.begun[chosen] = time.monotonic()
        self.first = self.first or self.begun[chosen]
        return chosen

    def nth(self, index: int, width: int = 1) -> Job | None:
        """The `index`-th job that all `width` workers do together: each asks for 0, 1, 2, ... and gets the same."""
        if index == len(self.sequence):
            job = self.claim(-1, self.sequence[-1].member if self.sequence else None, width)
            if job is None:
                return None
            self.sequence.append(job)
        return self.sequence[index]

    def ahead(self, job: Job) -> int:
        """How many rows of the job's member are wanted in all: read at once, its stream need not stay open."""
        alike = (j for j in self.wanted - self.done if j.members == job.members and not self.is_dropped(j))
        return max((j.volume for j in alike), default=job.volume)

    def finish(self, job: Job) -> None:
        self.done.add(job)
        self.claims.pop(job, None)
        if (begun := self.begun.pop(job, None)) is not None:
            seconds, rows = time.monotonic() - begun, float(job.rows)
            sums = self.spent.setdefault(_kind(job), [0.0] * 5)
            self.spent[_kind(job)] = [
                a + b for a, b in zip(sums, (1.0, rows, rows**2, seconds, rows * seconds), strict=True)
            ]

    def release(self, worker: int) -> None:
        """Give back what a worker that started anew had claimed before it died."""
        self.claims = {job: owner for job, owner in self.claims.items() if owner != worker}

    def work(self, wanted: set[Job]) -> dict[str, Any]:
        """What `TimeLeft` takes: by kind the sums of finished fits and (fits, rows) left; seconds of all fits, of those
        under way, and since the first began."""
        now, left, rows = time.monotonic(), Counter[str](), Counter[str]()
        for job in wanted - self.done:
            left[_kind(job)] += 1
            rows[_kind(job)] += job.rows
        running = sum(now - self.begun[job] for job in self.claims)
        return {
            "work": {
                kind: {"done": self.spent.get(kind, [0.0] * 5), "left": [left[kind], rows[kind]]}
                for kind in {*left, *self.spent}
            },
            "running": running,
            "busy": running + sum(sums[3] for sums in self.spent.values()),
            "since": now - self.first if self.first is not None else 0.0,
        }


def _kind(job: Job) -> str:
    """Fits that cost alike for each row."""
    return f"{job.learner} {job.kind}"


class Board:
    """The async actor. Every waiting call wakes on every change and looks again. `study`: its name, for metrics."""

    def __init__(self, cores: float = float("inf"), study: str | None = None) -> None:
        self.ledger = Ledger(cores)
        self.gauges = None if study is None else Gauges(study)
        self._news: deque[dict[str, Any]] = deque(maxlen=NEWS_KEPT)
        self._event_count = 0
        self.epochs: dict[int, dict[str, Any]] = {}
        self.rows: Counter[int] = Counter()
        self.taken_rows: Counter[int] = Counter()
        self.holders: dict[int, str] = {}
        self.read: set[int] = set()
        self.turns: Counter[int] = Counter()
        self.controllers: dict[int, Any] = {}
        self.failure: str | None = None
        self.closed = False
        self._changed = asyncio.Event()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, condition: Any) -> Any:
        while True:
            if self.failure:
                raise StudyError(self.failure)
            if (value := condition()) is not None:
                return value
            await self._changed.wait()

    def _record_event(self, event: str, **fields: Any) -> None:
        self._event_count += 1
        self._news.append({"event": event, "at": time.time(), **fields})

    async def news(self, after: int) -> tuple[int, list[dict[str, Any]]]:
        """What happened since the first `after` events, and how many there were by now."""
        missed = min(self._event_count - after, len(self._news))
        return self._event_count, list(self._news)[len(self._news) - missed :] if missed else []

    async def want(self, jobs: Iterable[Job]) -> None:
        self.ledger.wanted.update(jobs)
        self._wake()

    async def exist(self, jobs: Iterable[Job]) -> None:
        """These jobs are on disk already."""
        for job in jobs:
            self.ledger.finish(job)
        self._wake()

    async def fitting(self, fits: int) -> None:
        """So many generator fits take a core each now."""
        self.ledger.fitting = fits
        self._wake()

    async def member_ready(self, member: int, holder: str | None = None) -> None:
        """The member's rows can be read; where shards are missing, the actor `holder` draws them."""
        self.ledger.ready.add(member)
        self._record_event("member ready", member=member)
        if holder is not None:
            self.holders[member] = holder
        self._wake()

    async def holder(self, member: int) -> str:
        """The actor to stream the member's rows from.

        Raises:
            StudyError: there is none, because all shards were on disk; some have gone since.
        """
        if member not in self.holders:
            raise StudyError(f"shards of member {member} were there and are gone: run the same command again")
        self.read.add(member)
        return self.holders[member]

    async def streamed(self) -> set[int]:
        """Members whose rows somebody streams, or has streamed."""
        return self.read

    async def register(self, worker: int) -> int:
        """A downstream worker starts, perhaps in place of one that died; gives its turn.

        A call of the dead one may still wait here: by its old turn it is known, and gets no job that nobody would do.
        """
        self.turns[worker] += 1
        if self.turns[worker] > 1:
            self._record_event("worker restarted", worker=worker)
        self.ledger.release(worker)
        if worker == 0:
            self.ledger.release(-1)
            self.ledger.sequence.clear()
        self._wake()
        return self.turns[worker]

    async def controlled_by(self, first: int, controller: Any) -> None:
        """The actor that runs the downstream workers from number `first` on."""
        self.controllers[first] = controller

    async def controller_handle(self, first: int) -> Any:
        """None before it has started."""
        return self.controllers.get(first)

    async def left(self, workers: list[int]) -> None:
        """These downstream workers are gone and will not come back: others do what they had claimed."""
        for worker in workers:
            self.turns[worker] += 1
            self.ledger.release(worker)
        self._wake()

    async def has_cores(self, cores: float) -> None:
        """The cluster has so many now."""
        self.ledger.cores = cores
        self._wake()

    def _over(self, worker: int, turn: int) -> bool:
        return self.closed or turn != self.turns[worker]

    async def next(self, worker: int, turn: int, member: int | None) -> tuple[Job, int] | None:
        """The next job of a worker and how many of its member's rows will be wanted; None once the Board is closed."""
        return await self._handed(worker, turn, lambda: self.ledger.claim(worker, member))

    async def nth(self, index: int, worker: int, turn: int) -> tuple[Job, int] | None:
        """The same for a group of workers that do every fit together."""
        return await self._handed(worker, turn, lambda: self.ledger.nth(index, len(self.turns)))

    async def _handed(self, worker: int, turn: int, claim: Callable[[], Job | None]) -> tuple[Job, int] | None:
        job = await self._until(lambda: OVER if self._over(worker, turn) else claim())
        return None if job is OVER else (job, self.ledger.ahead(job))

    async def finish(self, job: Job) -> None:
        self.ledger.finish(job)
        self._record_event("fit done", learner=job.learner, kind=job.kind, member=job.member, volume=job.volume)
        self._wake()

    async def leading(self, learner: str, volumes: list[int], folds: int = 1) -> int:
        """How many members, from the first without a gap, are done at every one of these volumes, in every fold."""
        done = self.ledger.done

        def lacks(k: int) -> bool:
            cells = (Job("member", k, m, learner=learner) for m in volumes)
            return any(job.in_fold(fold) not in done for job in cells for fold in range(folds))

        return next(k for k in count() if lacks(k))

    async def drop(self, learner: str, volume: int) -> None:
        """No more fits of this learner at this volume are worth it."""
        self.ledger.dropped.add((learner, volume))
        self._wake()

    async def wait(self, job: Job) -> bool:
        """True once the job is done, False once its volume is dropped.

        Raises:
            StudyError: the study failed.
        """

        def state() -> bool | None:
            if job in self.ledger.done:
                return True
            return False if self.ledger.is_dropped(job) else None

        return await self._until(state)

    async def fail(self, message: str) -> None:
        """Tell everybody who waits that the study cannot go on. The first message stays."""
        self.failure = self.failure or message
        self._record_event("failed", message=message)
        self._wake()

    async def close(self) -> None:
        self.closed = True
        self._wake()

    async def epoch(self, member: int, record: dict[str, Any]) -> None:
        self.epochs[member] = record

    async def drew(self, member: int, shard: int, rows: int, seconds: float) -> None:
        self.rows[member] += rows
        self._record_event("shard drawn", member=member, shard=shard, rows=rows, seconds=seconds)

    async def took(self, member: int, rows: int) -> None:
        """A worker has read the member's stream up to this row."""
        self.taken_rows[member] = max(self.taken_rows[member], rows)

    async def status(self) -> dict[str, Any]:
        ledger = self.ledger
        wanted = {job for job in ledger.wanted if not ledger.is_dropped(job)}
        status = {
            "fits_done": len(ledger.done & wanted),
            "fits_wanted": len(wanted),
            **ledger.work(wanted),
            "rows_drawn": sum(self.rows.values()),
            "rows_waiting": sum(max(self.rows[k] - self.taken_rows[k], 0) for k in self.taken_rows),
            "members_ready": len(ledger.ready),
            "epochs": dict(self.epochs),
            "failure": self.failure,
        }
        if self.gauges is not None:
            self.gauges.show(status)
        return status
