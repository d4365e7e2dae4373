"""The study lock: held once, taken over from the dead after its lease, never from the living."""

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest

import dge_ray.lock as lock
from dge_ray.errors import StudyError
from dge_ray.storage import Folder


def _leave(folder: Path, pid: int, host: str | None = None) -> None:
    content = {"token": "x", "host": host or socket.gethostname(), "pid": pid, "beat": 3}
    (folder / lock.FILE).write_text(json.dumps(content))


def test_released_at_the_end(tmp_path: Path) -> None:
    with lock.study_lock(Folder.open(tmp_path), print):
        assert (tmp_path / lock.FILE).exists()
    assert not (tmp_path / lock.FILE).exists()


def test_a_living_holder_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    folder = Folder.open(tmp_path)
    with (
        lock.study_lock(folder, print),
        pytest.raises(StudyError, match=f"process {os.getpid()}"),
        lock.study_lock(folder, print),
    ):
        pass
    assert not (tmp_path / lock.FILE).exists()


def test_a_dead_holder_is_taken_over_even_if_its_process_id_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.2)
    _leave(tmp_path, os.getppid())
    said: list[str] = []
    with lock.study_lock(Folder.open(tmp_path), said.append):
        assert json.loads((tmp_path / lock.FILE).read_text())["pid"] == os.getpid()
    assert "holds this study's lock" in said[0]


def test_two_that_start_at_once_are_not_both_let_in(tmp_path: Path) -> None:
    folder, entered, refused = Folder.open(tmp_path), [], []
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.05)
    with pytest.raises(KeyboardInterrupt), lock.study_lock(Folder.open(tmp_path), print):
        _leave(tmp_path, 1, host="elsewhere")
        time.sleep(5)
    assert json.loads((tmp_path / lock.FILE).read_text())["host"] == "elsewhere"


def test_the_holder_renews_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    beats = set()
    with lock.study_lock(Folder.open(tmp_path), print):
        deadline = time.monotonic() + 10
        while len(beats) < 3 and time.monotonic() < deadline:
            beats.add(json.loads((tmp_path / lock.FILE).read_text())["beat"])
    assert len(beats) >= 3
