"""The processes of one study, read from /proc: only what a test started itself is found here, and so ended."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    state: str  # the kernel's letter; Z: ended, not yet waited for
    command: str


def processes() -> dict[int, Process]:
    """Every process of this machine."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it ended meanwhile
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            found[int(entry.name)] = Process(int(entry.name), int(parent), state, command)
    return found


def ray_processes(place: str) -> list[Process]:
    """Ray's processes whose session lies below the folder `place`, and all that those started."""
    every = processes()
    chosen = {pid for pid, one in every.items() if f"{place}/" in one.command and _is_ray(one.command)}
    while more := {one.pid for one in every.values() if one.parent in chosen} - chosen:
        chosen |= more
    return [every[pid] for pid in sorted(chosen) if every[pid].state != "Z"]


def _is_ray(command: str) -> bool:
    return any(part in command for part in ("/raylet ", "/gcs_server ", "ray/_private/", "ray start"))


def titled(place: str, title: str) -> list[Process]:
    """Ray's worker processes with this class in their title: `ray::Class.method`, or `ray::NAME:Class.__init__`."""
    pattern = re.compile(rf"ray::(\S+:)?{title}(\.|\s|$)")
    return [one for one in ray_processes(place) if pattern.match(one.command)]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end_all(place: str) -> None:
    """Kill what is left below `place`."""
    until = time.monotonic() + 20
    while (left := ray_processes(place)) and time.monotonic() < until:
        for one in left:
            kill(one.pid)
        time.sleep(0.2)


def looks(seconds: float, every: float = 0.02) -> Iterator[None]:
    """A loop's looks at something, until the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(every)
