"""What every benchmark needs: its words, the CPU-seconds and memory of a process tree, versions, and its JSON."""

import json
import os
import platform
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import yaml

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def words(argv: list[str], **defaults: Any) -> tuple[list[str], dict[str, Any], Path | None]:
    """Positional words, `key=value` options over the defaults, and the file behind --json."""
    file, rest = None, list(argv)
    if "--json" in rest:
        at = rest.index("--json")
        file = Path(rest[at + 1])
        del rest[at : at + 2]
    options = dict(defaults)
    positional = []
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals:
            positional.append(word)
        elif key in defaults:
            options[key] = yaml.safe_load(value)
        else:
            sys.exit(f"{key}: got an unknown key; takes one of {', '.join(defaults)}")
    return positional, options, file


def named(generator: str) -> tuple[str, dict[str, Any]]:
    """The name and settings of NAME:key=value:key=value."""
    name, *given = generator.split(":")
    return name, {key: yaml.safe_load(value) for key, _, value in (setting.partition("=") for setting in given)}


def environment() -> dict[str, Any]:
    """Versions and cores, for the JSON."""
    packages = ("dge-ray", "ray", "torch", "scikit-learn", "pyarrow", "numpy")
    return {
        "versions": {name: version(name) for name in packages} | {"python": platform.python_version()},
        "cores": os.cpu_count(),
    }


def finish(rows: list[dict[str, Any]], file: Path | None) -> None:
    """Print the rows, and write them where asked."""
    for row in rows:
        print(json.dumps(row))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([{**row, **environment()} for row in rows], indent=1) + "\n")


class Tree:
    """CPU-seconds and resident memory of this process and all below it, looked at once a second.

    A process's CPU-seconds are its last reading: what it used between that and its end is lost. Looking at thirty
    processes costs itself some milliseconds, which are counted.
    """

    def __init__(self, every: float = 1.0) -> None:
        self.every = every
        self._seconds: dict[tuple[int, float], float] = {}
        self.memory: list[dict[str, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Tree":
        self._look()
        self._first = dict(self._seconds)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    @property
    def cpu_seconds(self) -> float:
        return sum(used - self._first.get(key, 0.0) for key, used in self._seconds.items())

    def _run(self) -> None:
        while not self._stop.wait(self.every):
            self._look()

    def _look(self) -> None:
        me = psutil.Process()
        largest: dict[str, float] = {}
        for process in [me, *me.children(recursive=True)]:
            try:
                times = process.cpu_times()
                # Private memory: the object store's pages are shared and would be counted in every reader.
                info = process.memory_info()
                private = (info.rss - getattr(info, "shared", 0)) / 2**20
                self._seconds[process.pid, process.create_time()] = times.user + times.system
                name = process.name()
                largest[name] = max(largest.get(name, 0.0), private)
            except psutil.Error:
                continue
        self.memory.append(largest)
