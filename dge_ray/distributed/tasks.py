"""Pieces of work as Ray tasks, each done once: plain functions, in any order that their dependencies allow.

A task runs on one CPU with one thread and is tried again up to three times when its worker is lost. What it gives is
handed to the caller as it ends, who keeps it; a task whose result the caller already has is not run. Where nothing is
left to run, Ray does not start.

    tasks = [Task("model", fit, (Shared("rows"),)), Task("score", score, (Result("model"), 3))]
    results, seconds = run(tasks, done={}, keep=write, say=print, shared={"rows": read_rows})
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray

from dge_ray.distributed.session.ray_session import ask, one_thread, ray_session
from dge_ray.phrases import duration

RETRIES = 3
SAY_SECONDS = 5.0


@dataclass(frozen=True)
class Shared:
    """An argument that many tasks take: it is made when the first of them starts, and stored once."""

    name: str


@dataclass(frozen=True)
class Result:
    """An argument that is another task's result. The task waits for it."""

    key: str


@dataclass(frozen=True)
class Task:
    """`function(*arguments)` at an address of its own. `function` and the arguments may be `Shared` or `Result`.

    `after`: keys of tasks that must have ended before, where their results are not arguments. `options`: what it takes
    beside a CPU, as Ray names it.
    """

    key: str
    function: Any
    arguments: tuple[Any, ...] = ()
    after: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


TOLD_FROM = 0.25  # of what a call has to do


class Pace:
    """Says how much of a whole is done, how fast, and how long the rest will take: every few seconds, and at the end.

    The rate is that since the first was done, for what comes before it (Ray's start, the first of several at once) is
    paid once; the rest is told once a quarter of this call's work has been done since.

    Args:
        total, before: how much there is, and how much of it was done in an earlier call.
        noun: what is counted, in the plural.
    """

    def __init__(self, total: int, noun: str, say: Callable[[str], None], *, before: int = 0) -> None:
        self.total, self.noun, self.say, self.before = total, noun, say, before
        self._now = 0  # done in this call
        self._started = time.monotonic()
        self._last_line = 0.0
        self._first: tuple[float, int] | None = None  # when the first of this call was done, and how much that was

    def add(self, count: int) -> None:
        """So much more is done."""
        self._now += count
        done, now = self.before + self._now, time.monotonic()
        self._first = self._first or (now, self._now)
        if now - self._last_line < SAY_SECONDS and done < self.total:
            return
        self._last_line = now
        rate = self._now / max(now - self._started, 1e-9)
        text = f"{done:,} of {self.total:,} {self.noun}"
        if rate >= 0.1:
            text += f", {rate:,.{0 if rate >= 10 else 1}f} a second"
        since, first = self._first
        if done < self.total and self._now - first >= TOLD_FROM * (self.total - self.before):
            text += f", about {duration((self.total - done) * (now - since) / (self._now - first))} left"
        self.say(text)


def run(
    tasks: Sequence[Task],
    *,
    done: Mapping[str, Any],
    keep: Callable[[str, Any], None],
    say: Callable[[str], None],
    shared: Mapping[str, Callable[[], Any]] | None = None,
    noun: str = "tasks",
) -> tuple[dict[str, Any], float]:
    """Every task's result by its key, and the CPU-seconds that the tasks run now took.

    Args:
        tasks: each after those that it depends on; equal keys are one task.
        done: results of earlier calls. Those tasks are not run.
        keep: called in this process with key and result as each task ends, before the next is waited for.
        say: gets how many are done, how fast, and how long the rest will take (`Pace`).
        shared: what makes each `Shared` argument; called only if a task that runs takes it.

    Raises:
        StudyError, InputError: what a task raised, or what became of it. Results that had ended are kept.
    """
    results = {task.key: done[task.key] for task in tasks if task.key in done}
    total = len({task.key for task in tasks} - results.keys())
    seconds, pace = 0.0, Pace(total, noun, say)
    if results:
        say(f"{len(results)} {noun} were done before")
    for key, result, taken in stream(tasks, done=done, shared=shared):
        results[key] = result
        seconds += taken
        keep(key, result)
        pace.add(1)
    return results, seconds


def stream(
    tasks: Sequence[Task],
    *,
    done: Mapping[str, Any],
    shared: Mapping[str, Callable[[], Any]] | None = None,
    as_raised: bool = False,
) -> Iterator[tuple[str, Any, float]]:
    """(key, result, CPU-seconds) of each task that is not `done`, as they end. See `run`.

    `as_raised`: what a task raises is raised here as it is, and not as a StudyError of one line.
    """
    if all(task.key in done for task in tasks):
        return
    with ray_session():
        running = _start(tasks, done, shared or {})
        try:
            while running:
                (ended,), _ = ray.wait(list(running), num_returns=1)
                key, value = running.pop(ended)
                seconds = ask(ended, as_raised=as_raised)
                yield key, ask(value), seconds
        finally:
            for reference in running:  # of a cluster that goes on, after a failure
                ray.cancel(reference)


def map_members(function: Callable[[int], Any], count: int) -> list[Any]:
    """`[function(0), ..., function(count - 1)]`, a task a member; what one raises is raised, as it is."""
    tasks = [Task(str(k), Shared("function"), (k,)) for k in range(count)]
    members = stream(tasks, done={}, shared={"function": lambda: function}, as_raised=True)
    results = {key: result for key, result, _ in members}
    return [results[task.key] for task in tasks]


def _start(
    tasks: Sequence[Task], done: Mapping[str, Any], shared: Mapping[str, Callable[[], Any]]
) -> dict[Any, tuple[str, Any]]:
    """Key and value reference of every task that is not done, by the reference that says that it has ended."""
    remote: Any = ray.remote(num_cpus=1, max_retries=RETRIES, num_returns=2)(_call)
    os.umask(umask := os.umask(0o077))  # it is read by setting it
    values: dict[str, Any] = {}
    stored: dict[str, Any] = {}
    running = {}

    def reference(argument: Any) -> Any:
        if isinstance(argument, Shared):
            if argument.name not in stored:
                stored[argument.name] = ray.put(shared[argument.name]())
            return stored[argument.name]
        if isinstance(argument, Result):
            if argument.key not in values:
                values[argument.key] = ray.put(done[argument.key])
            return values[argument.key]
        return argument

    for task in tasks:
        if task.key in done or task.key in values:
            continue
        missing = [a.key for a in task.arguments if isinstance(a, Result) and a.key not in {*values, *done}]
        if missing := [*missing, *(key for key in task.after if key not in {*values, *done})]:
            raise ValueError(f"task {task.key!r} depends on {missing[0]!r}, which is no task before it")
        arguments = [reference(argument) for argument in (task.function, *task.arguments)]
        order = [values[key] for key in task.after if key not in done]
        values[task.key], ended = remote.options(**task.options).remote(umask, len(task.arguments), *arguments, *order)
        running[ended] = task.key, values[task.key]
    return running


def _call(umask: int, count: int, function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """The function's result on the first `count` arguments, and the CPU-seconds it took; the others are waited for.

    Files that it makes have modes by the caller's umask: the processes of one's own Ray have another.
    """
    one_thread()
    before = os.umask(umask)
    began = time.process_time()
    try:
        result = function(*arguments[:count])
    finally:
        os.umask(before)
    return result, time.process_time() - began
