"""The one runner of tasks: done once, in the order of their dependencies, shared arguments made once, failures in one
line. The functions are plain; what a result must be is worked out by hand."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dge_ray.distributed import tasks
from dge_ray.distributed.tasks import Pace, Result, Shared, Task, map_members, run, stream
from dge_ray.errors import StudyError


def no_word(_: str) -> None:
    return None


def _functions() -> tuple[Callable[..., Any], ...]:
    """Plain functions. They travel by value, since workers cannot import a test module."""

    def add(*numbers: int) -> int:
        return sum(numbers)

    def touch(path: str, needs: str | None = None) -> bool:
        """Whether the file that it needs was there before its own."""
        there = needs is None or Path(needs).exists()
        Path(path).touch()
        return there

    def fail(kind: str) -> None:
        raise {"study": StudyError("no luck"), "other": ZeroDivisionError("by nought")}[kind]

    return add, touch, fail


add, touch, fail = _functions()


def test_progress_tells_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """3,000 of 10,000 rows were there; 1,000 a second are added, a line is due after 5 seconds, and the
    rest is told once a quarter of 7,000 was done after the first ones."""
    clock = iter([100.0, 101.0, 104.0, 106.0, 107.0])
    monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    said: list[str] = []
    pace = Pace(10_000, "rows", said.append, before=3000)
    for rows in (1000, 3000, 2000, 1000):
        pace.add(rows)
    assert said == [
        "4,000 of 10,000 rows, 1,000 a second",
        "9,000 of 10,000 rows, 1,000 a second, about 1 s left",
        "10,000 of 10,000 rows, 1,000 a second",
    ]


def test_nothing_to_do_starts_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("Ray was asked for")

    monkeypatch.setattr(tasks, "ray_session", never)
    said: list[str] = []
    assert run([], done={}, keep=never, say=said.append) == ({}, 0.0) and said == []
    kept = [Task("a", add, (1,)), Task("b", add, (Result("a"),))]
    made = run(kept, done={"a": 1, "b": 1, "other": 9}, keep=never, say=said.append, shared={"x": never})
    assert made == ({"a": 1, "b": 1}, 0.0) and said == ["2 tasks were done before"]


@pytest.mark.usefixtures("cluster")
def test_results_shared_arguments_and_order(tmp_path: Path) -> None:
    made: list[str] = []

    def rows() -> int:
        made.append("rows")
        return 10

    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    chain = [
        Task("kept", add, (1,)),
        Task("one", add, (Shared("rows"), 1)),
        Task("two", add, (Shared("rows"), Result("one"), Result("kept"))),
        Task("two", add, (99,)),  # an equal key is the same task
        Task("shared function", Shared("add"), (2, 3)),
        Task("first", touch, (first,)),
        Task("second", touch, (second, first), after=("first", "kept")),
    ]
    kept: dict[str, Any] = {}
    said: list[str] = []
    shared = {"rows": rows, "add": lambda: add, "unused": lambda: made.append("unused")}
    results, seconds = run(
        chain, done={"kept": 5}, keep=kept.__setitem__, say=said.append, shared=shared, noun="pieces"
    )
    expected = {"kept": 5, "one": 11, "two": 26, "shared function": 5, "first": True, "second": True}
    assert results == expected and kept == {k: v for k, v in expected.items() if k != "kept"}
    assert made == ["rows"] and seconds >= 0
    assert said[0] == "1 pieces were done before" and re.fullmatch(r"5 of 5 pieces, [\d.,]+ a second", said[-1])


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(("kind", "line"), [("study", "no luck"), ("other", "ZeroDivisionError: by nought")])
def test_a_failure_is_one_line_and_what_had_ended_is_kept(kind: str, line: str) -> None:
    kept: dict[str, Any] = {}
    chain = [
        Task("good", add, (1, 1)),
        Task("bad", fail, (kind,), after=("good",)),
        Task("late", add, (Result("bad"),)),
    ]
    with pytest.raises(StudyError) as caught:
        run(chain, done={}, keep=kept.__setitem__, say=no_word)
    assert str(caught.value) == line and kept == {"good": 2}
    results, _ = run(chain[:1], done=kept, keep=kept.__setitem__, say=no_word)
    assert results == {"good": 2}


@pytest.mark.usefixtures("cluster")
def test_a_call_that_is_cut_off_goes_on() -> None:
    chain = [Task(str(n), add, (n, 1)) for n in range(4)]
    kept: dict[str, Any] = {}

    def cut_off(key: str, result: Any) -> None:
        kept[key] = result
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(chain, done={}, keep=cut_off, say=no_word)
    assert len(kept) == 1
    again: dict[str, Any] = {}
    results, _ = run(chain, done=kept, keep=again.__setitem__, say=no_word)
    assert results == {str(n): n + 1 for n in range(4)} and len(again) == 3


@pytest.mark.usefixtures("cluster")
def test_what_a_task_depends_on_stands_before_it() -> None:
    with pytest.raises(ValueError, match="task 'b' depends on 'a', which is no task before it"):
        list(stream([Task("b", add, (Result("a"),)), Task("a", add, (1,))], done={}))


def test_members_are_mapped_in_order(cluster: object) -> None:
    assert map_members(lambda k: k * k, 3) == [0, 1, 4]
