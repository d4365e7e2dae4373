"""One driver a study: a lock file with a lease, renewed while the driver lives."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dge_ray.errors import InputError, StudyError
from dge_ray.storage import Folder

FILE = "lock.json"
BEAT_SECONDS = 2.0
LEASE_SECONDS = 8.0  # workers outlive a killed driver by seconds; so does its lock


@contextmanager
def study_lock(folder: Folder, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a study's folder for the length of the block.

    A lock whose holder no longer renews it is taken over after the lease. Clocks of two machines are never compared:
    what counts is whether the file changes while we look.

    Raises:
        StudyError: another driver works on this study.
    """
    token = uuid.uuid4().hex
    _await_free(folder, say)
    _write(folder, token, 0)
    if _read(folder).get("token") != token:
        raise StudyError(f"{folder}: another driver took this study at the same moment; run the command again")
    stop = threading.Event()

    def renew() -> None:
        beat = 0
        while not stop.wait(BEAT_SECONDS):
            beat += 1
            _write(folder, token, beat)

    thread = threading.Thread(target=renew, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        folder.delete(FILE)


def _await_free(folder: Folder, say: Callable[[str], None]) -> None:
    first = _read(folder)
    if not first:
        return
    here = first.get("host") == socket.gethostname()
    holder = f"process {first.get('pid')} on {first.get('host')}"
    if here and first.get("pid") != os.getpid() and _is_running(int(first.get("pid", 0))):
        raise StudyError(f"{folder}: {holder} works on this study; wait for it, or end it")
    say(f"{holder} left this study without unlocking it; taking it over in {LEASE_SECONDS:g} s")
    time.sleep(LEASE_SECONDS)
    if _read(folder) not in ({}, first):
        raise StudyError(f"{folder}: {holder} works on this study; wait for it, or end it")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write(folder: Folder, token: str, beat: int) -> None:
    folder.write_json(FILE, {"token": token, "host": socket.gethostname(), "pid": os.getpid(), "beat": beat})


def _read(folder: Folder) -> dict:
    try:
        return folder.read_json(FILE)
    except FileNotFoundError:
        return {}
    except InputError:
        return {"host": "?", "pid": "?"}
