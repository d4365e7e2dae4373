"""One driver a study: a lock file with a lease, renewed while the driver lives."""

import _thread
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dge_ray.errors import InputError, StudyError
from dge_ray.storage import Folder
from dge_ray.study.records.files import LOCK

BEAT_SECONDS = 2.0
SETTLE_SECONDS = 0.3
LEASE_SECONDS = 8.0  # workers outlive a killed driver by seconds; so does its lock


@contextmanager
def study_lock(folder: Folder, say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Hold a study's folder for the length of the block; gives what tells whether it still does.

    A lock whose holder no longer renews it is taken over after the lease. Clocks of two machines are never compared,
    nor is a process id believed (it may have been given anew): what counts is whether the file changes while we look.
    A holder that finds another's lock in place of its own (it was suspended past its lease) is interrupted.

    Raises:
        StudyError: another driver works on this study.
    """
    token, new = uuid.uuid4().hex, _absent(folder)
    _await_free(folder, say)
    _write(folder, token, 0)
    time.sleep(SETTLE_SECONDS)  # two drivers that start at once both write; the one whose token stays goes on
    if _read(folder).get("token") != token:
        raise StudyError(f"{folder}: another driver took this study at the same moment; run the command again")
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(folder, token, stop), name="lock", daemon=True)
    thread.start()

    def is_held() -> bool:
        try:
            return _read(folder).get("token") == token
        except OSError:
            return True  # nothing says that it is another's

    try:
        yield is_held
    finally:
        stop.set()
        thread.join()
        if is_held():
            folder.delete(LOCK)
            with suppress(OSError):  # not empty: the study has begun
                for place in new:
                    place.rmdir()


def _absent(folder: Folder) -> list[Path]:
    """Of a local folder: it and those above it that are not there, the innermost first."""
    path = Path(folder.path)
    return [place for place in (path, *path.parents) if not place.exists()] if folder.is_local else []


def _renew(folder: Folder, token: str, stop: threading.Event) -> None:
    beat = 0
    while not stop.wait(BEAT_SECONDS):
        beat += 1
        try:
            if _read(folder).get("token") != token:
                _thread.interrupt_main()
                return
            _write(folder, token, beat)
        except OSError:
            continue  # a hiccup of the storage; the lease is some beats long


def _await_free(folder: Folder, say: Callable[[str], None]) -> None:
    first = _read(folder)
    if not first:
        return
    holder = f"process {first.get('pid')} on {first.get('host')}"
    say(f"{holder} holds this study's lock; looking for {LEASE_SECONDS:g} s whether it lives")
    until = time.monotonic() + LEASE_SECONDS
    while time.monotonic() < until:
        time.sleep(min(0.5, LEASE_SECONDS / 4))
        now = _read(folder)
        if not now:
            return
        if now != first:
            raise StudyError(f"{folder}: {holder} works on this study; wait for it, or end it")


def _write(folder: Folder, token: str, beat: int) -> None:
    folder.write_json(LOCK, {"token": token, "host": socket.gethostname(), "pid": os.getpid(), "beat": beat})


def _read(folder: Folder) -> dict:
    try:
        return folder.read_json(LOCK)
    except FileNotFoundError:
        return {}
    except InputError:
        return {"host": "?", "pid": "?"}
