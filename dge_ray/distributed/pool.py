"""The members of a study: fitted in parallel, in waves where they are more than the cluster holds at once."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import ray
from ray.exceptions import ActorUnavailableError, RayError

from dge_ray.distributed.actors import FIT_RETRIES, start_actor
from dge_ray.distributed.placement import MemberDemand, node_places
from dge_ray.distributed.session.ray_session import first_line
from dge_ray.errors import InputError
from dge_ray.study.members import MemberSpec
from dge_ray.study.records.jobs import called, fold_of, generator_numbers

LOOK_SECONDS = 1.0  # between two listings of the shards
UNREACHABLE_SECONDS = 10.0  # Ray takes seconds to see that a node is gone, and then starts its actors elsewhere
AHEAD_ROWS = 1 << 22  # of a member, drawn before anybody reads: more wait for a reader, and take disk only as it reads
DRAWN_AT_ONCE = 8  # shards drawn ahead before the actor looks for a reader's requests


@dataclass(frozen=True)
class _Task:
    """A call of an actor that is under way. `submit` makes it (again); `then` is called for each member when done."""

    members: list[int]
    submit: Callable[[], Any]
    then: Callable[[int], None]
    tries: int = 1


class MemberPool:
    """Starts, fits, and ends generator actors, in a thread of the driver.

    An actor keeps its member until the shards are on disk, and then takes the next one. It draws them ahead, a few at a
    time and up to AHEAD_ROWS, as long as nobody streams them: rows on disk are read without Ray Data's processes, 15
    CPU-seconds a study. Where other members wait for its place, or it holds a GPU, it draws on, also while they are
    streamed. With `members_per_actor` it fits so many as one program where their generator can, and keeps them until
    all are drawn.

    How many actors there are at once follows the cluster: nodes that join or leave meanwhile count.

    `rows`: of each fold of a cross-fitted study its train and stopping rows; of another study one pair. Members go by
    the numbers of their generators, one a fold.
    """

    def __init__(
        self,
        spec: MemberSpec,
        rows: Sequence[tuple[pa.Table, pa.Table]],
        board: Any,
        demand: MemberDemand,
        *,
        members_per_actor: int,
        volume: int,
    ) -> None:
        self.spec, self.board, self.volume = spec, board, volume
        self.at_once = members_per_actor
        self.demand = demand
        self._places = node_places(demand)
        self._nodes: dict[str, str | None] = {}  # where each actor was put, by its name
        self._rows = [(ray.put(train), ray.put(stopping)) for train, stopping in rows]  # by fold
        self._waiting: list[int] = []
        self._requested = self._announced = 0
        self._started = 0
        self._free: list[tuple[str, Any]] = []  # name and handle of an actor without a member
        self._live: dict[int, tuple[str, Any]] = {}
        self._tasks: dict[Any, _Task] = {}
        self._lock = threading.Lock()
        self._look_next = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="members", daemon=True)
        self._thread.start()

    def grow(self, count: int) -> None:
        """Ask for members 0..count-1, in every fold; the Board learns of each generator that is ready."""
        with self._lock:
            self._waiting.extend(generator_numbers(range(self._requested, count), len(self._rows)))
            self._requested = max(self._requested, count)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=10)
        self._end(self._live.values())
        self._end(self._free)

    def _end(self, actors: Iterable[tuple[str, Any]]) -> None:
        for _, actor in actors:
            with suppress(RayError):
                ray.kill(actor)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._start_waiting()
                self._announce()
                self._await_tasks()
                self._end_drawn()
        except Exception as error:  # a thread's death must reach those who wait for its members
            if not self._stopped.is_set():
                with suppress(RayError):  # the Board itself may be what is gone: its own waiters have heard
                    ray.get(self.board.fail.remote(f"the member pool failed: {first_line(error)}"))

    def _announce(self) -> None:
        """Tell the Board how many cores the members take, so that downstream fits leave them to it."""
        fits = 0 if self.demand.gpus else len(self._tasks)
        if fits != self._announced:
            self._announced = fits
            self.board.fitting.remote(fits)

    def _busy(self) -> set[int]:
        return {member for task in self._tasks.values() for member in task.members}

    def _submit(self, task: _Task) -> None:
        self._tasks[task.submit()] = task

    def _start_waiting(self) -> None:
        while self._waiting:
            member = self._waiting[0]
            fitted = self.spec.is_fitted(member)
            idle = fitted and not self.spec.missing_shards(member, self.volume)  # all there: no actor is needed
            if not idle and self._is_full():
                return
            if not fitted and (model := self.spec.model_of(member)) != member and not self.spec.is_fitted(model):
                return  # that one's first
            members = [member] if fitted else self._crew()
            with self._lock:
                self._waiting = [k for k in self._waiting if k not in members]
            if idle:
                self._ready(member)
                continue
            holder = _, actor = self._free.pop() if self._free else self._new()
            self._live |= dict.fromkeys(members, holder)
            if fitted:
                self._ready(member)
            elif len(members) == 1:
                call = partial(actor.fit.remote, member, *self._rows[fold_of(member)])
                self._submit(_Task(members, call, self._ready))
            else:
                call = partial(actor.fit_together.remote, members, *self._rows[fold_of(member)])
                self._submit(_Task(members, call, self._ready))

    def _crew(self) -> list[int]:
        """The first waiting member, and those that one actor fits with it."""
        first = self._waiting[0]
        if self.at_once == 1 or not self.spec.fits_together(first):
            return [first]
        choice = self.spec.generator(first)
        alike = [k for k in self._waiting if self.spec.generator(k) == choice and not self.spec.is_fitted(k)]
        return [k for k in alike if fold_of(k) == fold_of(first)][: self.at_once]

    def _is_full(self) -> bool:
        # A cluster of less than a core, or whose nodes are all away now, still has one place to wait for.
        return len({name for name, _ in self._live.values()}) >= max(1, sum(self._places.values()))

    def _new(self) -> tuple[str, Any]:
        slot, self._started = self._started, self._started + 1
        name = self.spec.actor_name(slot)
        there = {holder for holder, _ in [*self._live.values(), *self._free]}
        taken = Counter(node for holder, node in self._nodes.items() if holder in there and node is not None)
        self._nodes[name] = node = self.demand.next_node(self._places, taken)
        return name, start_actor(self.spec, slot, self.demand, node)

    def _await_tasks(self) -> None:
        if not self._tasks:
            self._stopped.wait(0.1)
            return
        done, _ = ray.wait(list(self._tasks), timeout=0.2)
        for reference in done:
            task = self._tasks.pop(reference)
            self._look_next = 0.0  # its actor may be wanted elsewhere
            try:
                ray.get(reference)
            except RayError as error:
                # While a lost node is not known as such, Ray's own retries fail one right after the other.
                if isinstance(error, ActorUnavailableError) and task.tries <= FIT_RETRIES:
                    self._stopped.wait(UNREACHABLE_SECONDS)
                    self._submit(replace(task, tries=task.tries + 1))
                    continue
                cause = getattr(error, "cause", None) or error
                message = str(cause) if isinstance(cause, InputError) else first_line(cause)
                which = " and ".join(map(called, task.members))
                ray.get(self.board.fail.remote(f"member {which} could not be fitted: {message}"))
                continue
            for member in task.members:
                task.then(member)

    def _ready(self, member: int) -> None:
        holder = self._live[member][0] if member in self._live else None
        ray.get(self.board.member_ready.remote(member, holder))

    def _end_drawn(self) -> None:
        """Free actors whose shards are all written; have others write theirs."""
        if time.monotonic() < self._look_next:
            return
        self._look_next = time.monotonic() + LOOK_SECONDS
        self._places = node_places(self.demand)
        busy = self._busy()
        resting = [m for m in self._live if m not in busy]
        streamed = ray.get(self.board.streamed.remote()) if resting else set()
        for member in resting:
            missing = self.spec.missing_shards(member, self.volume)
            needed = self.demand.gpus or (self._waiting and self._is_full())
            if not missing:
                holder = self._live.pop(member)
                if all(name != holder[0] for name, _ in self._live.values()):
                    self._free.append(holder)
            elif needed or member not in streamed:
                ahead = [j for j in missing if j * self.spec.shard_rows < AHEAD_ROWS]
                some = missing if needed else ahead[:DRAWN_AT_ONCE]
                if some:
                    actor = self._live[member][1]
                    self._submit(_Task([member], partial(actor.draw.remote, member, some), lambda _: None))
        if not self._waiting:
            self._end(self._free)
            self._free.clear()
