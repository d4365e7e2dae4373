"""The study lock: held once, taken over from the dead after its lease, never from the living."""

import json
import os
import socket
import subprocess
import sys
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


def test_a_living_holder_is_respected(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        _leave(tmp_path, process.pid)
        with pytest.raises(StudyError, match=f"process {process.pid}"), lock.study_lock(Folder.open(tmp_path), print):
            pass
        process.communicate(b"\n")


def test_a_dead_holder_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.1)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    _leave(tmp_path, process.pid)
    said: list[str] = []
    with lock.study_lock(Folder.open(tmp_path), said.append):
        assert json.loads((tmp_path / lock.FILE).read_text())["pid"] == os.getpid()
    assert "taking it over" in said[0]


def test_a_beating_lock_of_another_host_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _leave(tmp_path, 1, host="elsewhere")
    monkeypatch.setattr(lock.time, "sleep", lambda _: _leave(tmp_path, 2, host="elsewhere"))
    with pytest.raises(StudyError, match="elsewhere"), lock.study_lock(Folder.open(tmp_path), print):
        pass


def test_the_holder_renews_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    beats = set()
    with lock.study_lock(Folder.open(tmp_path), print):
        deadline = time.monotonic() + 10
        while len(beats) < 3 and time.monotonic() < deadline:
            beats.add(json.loads((tmp_path / lock.FILE).read_text())["beat"])
    assert len(beats) >= 3
