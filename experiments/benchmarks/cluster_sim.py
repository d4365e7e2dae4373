"""A study on a cluster as a discrete simulation: measured task times, the Board's own scheduling, and nodes that fail.

What is simulated: generator actors (one a core) fit a member, draw its rows and take the next; downstream workers (one
a core) ask `Ledger`, the Board's own state, for a fit, read the member's rows and learn. The Board answers one call at
a time and takes as long as `Ledger.claim` really took here. A lost node's generator goes on elsewhere from the state
kept a minute before at most; all downstream workers start anew, as Ray Train has it. What is left out: contention for
storage, object stores that overflow, and the search's own processes, which are in `fixed`.
"""

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from dge_ray.distributed.board import Ledger
from dge_ray.study.records.predictions import Job, baseline_jobs


@dataclass(frozen=True)
class Times:
    """Seconds of one task on one core, as measured on the machine that the prediction is for."""

    fit: float  # a generator
    draw: float  # a member's rows up to the largest volume
    learn: dict[int, float]  # a downstream fit at each volume
    concatenated: float
    real: float
    fixed: float  # of a study: start, search, choice, report, end
    rows_bytes: float  # of a member at the largest volume
    spread: float = 0.05  # standard deviation of the logarithm of a task's time


@dataclass(frozen=True)
class Nodes:
    """A cluster. `slow`: the share of nodes that take `slow_factor` as long. `lost_an_hour`: how often a node goes."""

    count: int
    cores: int = 1
    network: float = 125e6  # bytes a second into a node
    slow: float = 0.0
    slow_factor: float = 3.0
    lost_an_hour: float = 0.0
    back_after: float = 120.0
    restart: float = 15.0  # of the group of downstream workers
    kept_every: float = 60.0  # a generator's state


@dataclass
class Outcome:
    """Seconds: the generators' phase, the downstream one, all; and what happened."""

    generators: float = 0.0
    downstream: float = 0.0
    wall: float = 0.0
    board_busy: float = 0.0
    group_restarts: int = 0
    lost_work: float = 0.0


@dataclass
class _Core:
    node: int
    alive: bool = True
    task: int = 0  # counts up: an event of an older task is void
    began: float = 0.0
    job: Job | None = None
    member: int | None = None  # whose rows are at hand, or that is being fitted
    left: float = 0.0  # of the generator's work, at `began`


@dataclass
class Simulation:
    """One study of `members` on `nodes`."""

    members: int
    times: Times
    nodes: Nodes
    seed: int = 0
    now: float = 0.0
    outcome: Outcome = field(default_factory=Outcome)

    def run(self) -> Outcome:
        nodes, self.volumes = self.nodes, sorted(self.times.learn)
        self.random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(nodes.count, self.members)))
        slow = self.random.random(nodes.count) < nodes.slow
        self.factor = np.where(slow, nodes.slow_factor, 1.0)
        self.generators, self.workers = (
            [_Core(node) for node in range(nodes.count) for _ in range(nodes.cores)] for _ in range(2)
        )
        fits = self.members * len(self.volumes)
        self.workers = self.workers[: max(1, min(len(self.workers), fits))]
        self.ledger = Ledger(nodes.count * nodes.cores)
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.counter, self.board_free = 0, 0.0
        self.waiting = [(k, self.times.fit + self.times.draw) for k in range(self.members)]
        self.group_from = 0.0
        if nodes.lost_an_hour:
            for node in range(nodes.count):
                self._after(self.random.exponential(3600 / nodes.lost_an_hour), lambda node=node: self._lose(node))
        self.ledger.wanted.update(Job("member", k, m) for k in range(self.members) for m in self.volumes)
        self._start_generators()
        self._until(lambda: self.ledger.wanted <= self.ledger.done)
        self.ledger.wanted.update(baseline_jobs(self.members, self.volumes[-1]))
        self._start_workers()
        self._until(lambda: self.ledger.wanted <= self.ledger.done)
        self.outcome.downstream = self.now - self.outcome.generators
        self.outcome.wall = self.now + self.times.fixed
        return self.outcome

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        self.counter += 1
        heapq.heappush(self.events, (self.now + seconds, self.counter, what))

    def _until(self, over: Callable[[], bool]) -> None:
        while not over():
            self.now, _, what = heapq.heappop(self.events)
            what()

    def _taken(self, core: _Core, seconds: float) -> float:
        noise = np.exp(self.random.normal(0.0, self.times.spread) - self.times.spread**2 / 2)
        return float(seconds * self.factor[core.node] * noise)

    def _start_generators(self) -> None:
        for core in self.generators:
            if core.alive and core.member is None and self.waiting:
                core.member, left = self.waiting.pop(0)
                core.began, core.left = self.now, self._taken(core, left)
                core.task += 1
                self._after(core.left, lambda core=core, task=core.task: self._fitted(core, task))
        self.ledger.fitting = sum(core.member is not None for core in self.generators)

    def _fitted(self, core: _Core, task: int) -> None:
        if core.task != task or core.member is None:
            return
        self.ledger.ready.add(core.member)
        core.member = None
        if len(self.ledger.ready) == self.members:
            self.outcome.generators = self.now
        self._start_generators()
        self._start_workers()

    def _start_workers(self) -> None:
        for index, core in enumerate(self.workers):
            if not core.alive or core.job is not None:
                continue
            started = time.perf_counter()
            job = self.ledger.claim(index, core.member)
            service = time.perf_counter() - started
            if job is None:
                return  # what one gets none of, the others get none of
            self.board_free = max(self.board_free, self.now) + service
            self.outcome.board_busy += service
            core.job, core.task, core.began = job, core.task + 1, self.now
            seconds = max(self.board_free, self.group_from) - self.now + self._work(core, job)
            self._after(seconds, lambda core=core, task=core.task: self._learned(core, task))

    def _work(self, core: _Core, job: Job) -> float:
        """Reading the rows that are not at hand, and learning."""
        read = 0.0
        for member in job.members:
            if [member] != [core.member]:
                read += self.times.rows_bytes * job.volume / self.volumes[-1] / self.nodes.network
        core.member = job.members[0] if len(job.members) == 1 else None
        return read + self._taken(core, _learning(job, self.members, self.times))

    def _learned(self, core: _Core, task: int) -> None:
        if core.task != task or core.job is None:
            return
        self.ledger.finish(core.job)
        core.job = None
        self._start_workers()

    def _lose(self, node: int) -> None:
        for core in self.generators:
            if core.node == node and core.alive:
                core.alive, core.task = False, core.task + 1
                if core.member is not None:
                    # Time at this node's pace; what was kept is gone on with at the next one's.
                    done = (self.now - core.began) // self.nodes.kept_every * self.nodes.kept_every
                    left = (core.left - done) / self.factor[node]
                    self.outcome.lost_work += self.now - core.began - done
                    self.waiting.insert(0, (core.member, float(left)))
                    core.member = None
        hit = [core for core in self.workers if core.node == node]
        if hit and any(core.job is not None for core in self.workers):
            self.outcome.group_restarts += 1
            self.group_from = self.now + self.nodes.restart
        for index, core in enumerate(self.workers):
            core.alive = core.alive and core.node != node
            if hit and core.job is not None:  # Train starts the whole group anew
                self.outcome.lost_work += self.now - core.began
                core.job, core.member, core.task = None, None, core.task + 1
                self.ledger.release(index)
        self._after(self.nodes.back_after, lambda: self._return(node))
        self._start_generators()
        self._start_workers()

    def _return(self, node: int) -> None:
        for core in [*self.generators, *self.workers]:
            if core.node == node:
                core.alive = True
        self._after(self.random.exponential(3600 / self.nodes.lost_an_hour), lambda: self._lose(node))
        self._start_generators()
        self._start_workers()


def study_on(members: int, times: Times, nodes: Nodes, *, repeats: int = 1) -> Outcome:
    """The mean outcome of some studies; tasks' times, slow nodes and losses are drawn anew in each."""
    outcomes = [Simulation(members, times, nodes, seed).run() for seed in range(repeats)]
    names = list(Outcome.__dataclass_fields__)
    return replace(Outcome(), **{name: float(np.mean([getattr(o, name) for o in outcomes])) for name in names})


def work(members: int, times: Times) -> float:
    """Seconds of all tasks of a study, one after the other."""
    fits = sum(times.learn.values()) * members
    fits += sum(_learning(job, members, times) for job in baseline_jobs(members, max(times.learn)))
    return members * (times.fit + times.draw) + fits


def _learning(job: Job, members: int, times: Times) -> float:
    """Seconds of one fit; of a model on several members' rows by their share."""
    if job.kind in ("concatenated", "without"):
        return times.concatenated * len(job.members) / members
    return times.learn[job.volume] if job.members else times.real


def floor(members: int, times: Times, cores: int) -> float:
    """Seconds that no schedule can beat: all work spread evenly, or the longest chain of it."""
    chain = times.fit + times.draw + times.learn[max(times.learn)] + times.concatenated
    return max(work(members, times) / cores, chain) + times.fixed
