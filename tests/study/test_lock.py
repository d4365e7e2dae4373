"""The study lock: held once, taken over from the dead after its lease, never from the living; on any filesystem."""

import os
import socket
import threading
import time

import pytest

import dge_ray.study.records.lock as lock
from dge_ray.errors import StudyError
from dge_ray.storage import Folder
from dge_ray.study.records.files import LOCK


def _leave(folder: Folder, pid: int, host: str | None = None) -> None:
    folder.write_json(LOCK, {"token": "x", "host": host or socket.gethostname(), "pid": pid, "beat": 3})


def test_released_at_the_end(folder: Folder) -> None:
    with lock.study_lock(folder, print):
        assert folder.exists(LOCK)
    assert not folder.exists(LOCK)


def test_a_living_holder_is_respected(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    with (
        lock.study_lock(folder, print),
        pytest.raises(StudyError, match=f"process {os.getpid()}"),
        lock.study_lock(folder, print),
    ):
        pass
    assert not folder.exists(LOCK)


def test_a_dead_holder_is_taken_over_even_if_its_process_id_lives(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.2)
    _leave(folder, os.getppid())
    said: list[str] = []
    with lock.study_lock(folder, said.append):
        assert folder.read_json(LOCK)["pid"] == os.getpid()
    assert "holds this study's lock" in said[0]


def test_two_that_start_at_once_are_not_both_let_in(folder: Folder) -> None:
    entered, refused = [], []
    until = time.monotonic() + 20

    def drive() -> None:
        try:
            with lock.study_lock(folder, print):
                entered.append(1)
                while not refused and time.monotonic() < until:
                    time.sleep(0.05)
        except StudyError:
            refused.append(1)

    drivers = [threading.Thread(target=drive) for _ in range(2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert (len(entered), len(refused)) == (1, 1)


def test_a_holder_that_lost_its_lock_is_interrupted_and_leaves_the_others(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    with pytest.raises(KeyboardInterrupt), lock.study_lock(folder, print):
        for _ in range(200):  # a long sleep would not hear of it
            # At first, where a beat under way wrote over it, and where the test's server was read in the middle of one.
            if lock._read(folder).get("host") != "elsewhere":
                _leave(folder, 1, host="elsewhere")
            time.sleep(0.05)
    assert folder.read_json(LOCK)["host"] == "elsewhere"


def test_the_holder_renews_it(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    beats = set()
    with lock.study_lock(folder, print):
        deadline = time.monotonic() + 10
        while len(beats) < 3 and time.monotonic() < deadline:
            beats.add(folder.read_json(LOCK)["beat"])
    assert len(beats) >= 3
