"""SIGINT and SIGTERM in every phase of a study: 130, one line, soon; the same command goes on, with nothing done again.

"Soon" is 10 s on an idle machine. What it took is printed; the assertion allows for a busy one.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.fault_processes import looks, titled
from helpers.fault_study import PATIENCE, StudyProcess, differences, finished, half_written, settle

WORDS = ["generator=copula", "learner=boosting", "members=3", "ratios=0.5,1,2", "workers=1"]
BUSY = 90.0  # seconds


def _preparing(running: StudyProcess) -> bool:
    time.sleep(1.5)  # in the middle of the imports
    return True


def _ray_starts(running: StudyProcess) -> bool:
    return "to fit generators" in running.said


def _members_fit(running: StudyProcess) -> bool:
    return bool(titled(running.place, "GeneratorActor"))


def _search(running: StudyProcess) -> bool:
    return any(running.study.glob("predictions/*.parquet"))


def _baselines(running: StudyProcess) -> bool:
    return "chosen on validation" in running.said


def _report(running: StudyProcess) -> bool:
    return (running.study / "report.json").exists()


PHASES = [_preparing, _ray_starts, _members_fit, _search, _baselines, _report]


@pytest.fixture(scope="module")
def whole(copula_study: Path) -> Path:
    """The study undisturbed; with another number of workers, which makes no difference."""
    return copula_study / "studies" / "breast_cancer"


def _at(phase: Callable[[StudyProcess], bool], folder: Path) -> StudyProcess:
    running = StudyProcess(folder, WORDS)
    for _ in looks(PATIENCE):
        if running.is_over or phase(running):
            return running
    raise AssertionError(running.said)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_each_phase(number: signal.Signals, whole: Path, tmp_path: Path) -> None:
    """One study, stopped in one phase after the other: each run goes on from where the last was stopped."""
    kept: dict[str, tuple[int, int]] = {}
    for phase in PHASES:
        running = _at(phase, tmp_path)
        try:
            assert not running.is_over, running.said
            running.process.send_signal(number)
            started = time.monotonic()
            code = running.wait()
            took = time.monotonic() - started
            print(f"{number.name} in {phase.__name__}: {code} after {took:.1f} s")
            assert code == 130 and took < BUSY, running.said
            assert "goes on from here" in running.said and "Traceback" not in running.said
            assert running.ray_left(20) == []
            assert not (running.study / "lock.json").exists()
            now = finished(running.study)
            assert [name for name, stamp in kept.items() if now.get(name) != stamp] == []
            assert half_written(running.study) == []
            kept = now
        finally:
            running.close()
    running = StudyProcess(tmp_path, WORDS)
    running.finish()
    running.close()
    assert differences(running.study, whole) == []
    now = finished(running.study)
    assert [name for name, stamp in kept.items() if now.get(name) != stamp] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_signal_to_the_whole_group(tmp_path: Path) -> None:
    """What `timeout` and batch systems send: Ray's servers must not go before the study has ended its work."""
    running = _at(_search, tmp_path)
    try:
        started = time.monotonic()
        os.killpg(os.getpgid(running.process.pid), signal.SIGTERM)
        assert running.wait() == 130 and time.monotonic() - started < BUSY, running.said
        assert "goes on from here" in running.said and "Traceback" not in running.said
        assert running.ray_left(20) == []
        assert not (running.study / "lock.json").exists()
    finally:
        running.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_second_signal_ends_it_at_once(whole: Path, tmp_path: Path) -> None:
    running = _at(_search, tmp_path)
    try:
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert not running.is_over, "the graceful stop took less than that"
        running.process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert running.wait(BUSY) == 130
        print(f"second SIGINT: {time.monotonic() - started:.2f} s")
        assert running.said.strip().splitlines()[-1].startswith("interrupted again")
        assert running.ray_left(BUSY) == []
        settle()
        kept = finished(running.study)
        assert half_written(running.study) == []
    finally:
        running.close()
    running = StudyProcess(tmp_path, WORDS)
    running.finish()
    running.close()
    now = finished(running.study)
    assert [name for name, stamp in kept.items() if now.get(name) != stamp] == []
    assert differences(running.study, whole) == []
