"""Faults, and the injector that lets one of them happen to a running study at a random moment, drawn from a seed."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from helpers.fault_nodes import STORE, Nodes
from helpers.fault_processes import kill, looks, titled
from helpers.fault_study import PATIENCE, StudyProcess, differences, finished, half_written, rows, settle

DISK = 64 << 20  # bytes of the disk that is filled
PAUSE = 2.0  # seconds; a fault comes up to so long after the file that it waits for

FILLER = """
import sys, time
import numpy as np, ray
ray.init(log_to_driver=False, logging_level="ERROR")
kept = [ray.put(np.full(4_000_000, i, np.uint8)) for i in range(int(sys.argv[1]) // 4_000_000 + 4)]
print("full", flush=True)
time.sleep(3600)
"""


class Fault:
    """One kind of fault: what must be there before the study, the fault itself, and what mends it.

    `until`: the share of a study's files up to which it has something to happen to.
    """

    until = 1.0

    def __init__(self) -> None:
        self.words = ["tracking=false"]
        self.environment: dict[str, str] = {}

    def prepare(self, folder: Path) -> None:
        """Called before the study starts, in whose working folder `folder` is."""

    def strike(self, running: StudyProcess) -> bool:
        """Let it happen; False where there is nothing yet that it could happen to."""
        raise NotImplementedError

    def mend(self) -> None:
        """Called when the struck study has ended, before it is run again."""

    def close(self) -> None:
        """Undo `prepare`."""


class Killed(Fault):
    """kill -9 of one of Ray's processes, known by its class."""

    def __init__(self, title: str, until: float = 1.0) -> None:
        super().__init__()
        self.title, self.until = title, until

    def strike(self, running: StudyProcess) -> bool:
        found = titled(running.place, self.title)
        if found:
            kill(found[-1].pid)
        return bool(found)


class DriverKilled(Fault):
    def strike(self, running: StudyProcess) -> bool:
        os.kill(running.pid, signal.SIGKILL)
        return True

    def mend(self) -> None:
        settle()


class NodeKilled(Fault):
    """kill -9 of the raylet of the second of two nodes."""

    def prepare(self, folder: Path) -> None:
        self.nodes = Nodes(2)
        self.environment = self.nodes.environment

    def strike(self, running: StudyProcess) -> bool:
        if not running.study.exists():
            return False
        self.nodes.kill_second()
        return True

    def close(self) -> None:
        self.nodes.close()


class StoreFilled(Fault):
    """Another driver on the same node fills the object store, whose size is capped, and keeps it full."""

    def prepare(self, folder: Path) -> None:
        self.nodes = Nodes(1, cpus=2)
        self.environment = self.nodes.environment
        self.filler: subprocess.Popen[str] | None = None

    def strike(self, running: StudyProcess) -> bool:
        self.filler = subprocess.Popen(
            [sys.executable, "-c", FILLER, str(STORE)],
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.filler.stdout is not None
        return self.filler.stdout.readline().strip() == "full"

    def close(self) -> None:
        if self.filler is not None:
            self.filler.kill()
            self.filler.wait()
        self.nodes.close()


class DiskFilled(Fault):
    """The study's storage is a small file system of its own (a tmpfs, which only root can mount), filled to its end."""

    def prepare(self, folder: Path) -> None:
        self.disk = folder / "studies"
        self.disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self.disk)]
        mounted = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if mounted.returncode:
            raise PermissionError(f"a disk to fill cannot be mounted: {mounted.stderr.strip()}")

    def strike(self, running: StudyProcess) -> bool:
        with (self.disk / "filler").open("wb", buffering=0) as filler:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        filler.write(b"\0" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
        return True

    def mend(self) -> None:
        (self.disk / "filler").unlink()

    def close(self) -> None:
        if self.disk.is_mount():
            subprocess.run(["umount", "-l", str(self.disk)], check=True)


class ServerKilled(Fault):
    """kill -9 of the MLflow server that the study logs to."""

    def prepare(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.environment = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
        self.words = ["tracking=true"]
        self.command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
        self.command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
        self.command += ["--artifacts-destination", str(folder / "artifacts")]
        self.log = folder / "server.txt"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as out:
            kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
            self.server = subprocess.Popen(self.command, env=kept, stdout=out, stderr=out, start_new_session=True)
        for _ in looks(180, every=0.5):
            with suppress(OSError):
                urllib.request.urlopen(self.environment["MLFLOW_TRACKING_URI"] + "/health", timeout=5)
                return
        raise AssertionError(self.log.read_text())

    def strike(self, running: StudyProcess) -> bool:
        if not running.study.exists():
            return False  # without a server it would not begin
        self._kill()
        return True

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()

    def close(self) -> None:
        self._kill()


FAULTS = {
    "board": lambda: Killed("Board"),
    "node": NodeKilled,
    "actor": lambda: Killed("GeneratorActor", until=0.25),  # it ends when its shards are drawn
    "disk": DiskFilled,
    "driver": DriverKilled,
    "store": StoreFilled,
    "server": ServerKilled,
    "worker": lambda: Killed("RayTrainWorker"),
    "controller": lambda: Killed("TrainController"),
    "trial": lambda: Killed("ImplicitFunc", until=0.7),  # it ends with the search
}


@dataclass(frozen=True)
class Outcome:
    """What became of a struck study.

    `after`: files, of `of`, that were finished when the fault came, or, where the command had to be run again, by then.
    `codes`: of the struck run and of that second one. `line`: what a run that failed said. `traceback`: there must
    be none.
    """

    kind: str
    after: int
    of: int
    codes: tuple[int, ...]
    line: str
    traceback: str
    seconds: float
    differences: tuple[str, ...]
    redone: tuple[str, ...]
    half_written: tuple[str, ...]
    rows: int

    @property
    def is_good(self) -> bool:
        wrong = self.differences or self.redone or self.half_written or self.traceback
        return self.codes[-1] == 0 and not wrong

    def as_dict(self) -> dict:
        return asdict(self) | {"good": self.is_good}


class FaultInjector:
    """Runs a study, lets a fault happen at a moment that `(seed, index)` gives, runs the same command again where the
    study did not end well, and compares it with the undisturbed one.

    The moment is a share of the undisturbed study's files, and a pause after the last of them was there. A study that
    is over before the fault had anything to happen to was not struck: `None`.
    """

    def __init__(self, kind: str, *, seed: int, index: int = 0) -> None:
        draw = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
        self.kind, self.share, self.pause = kind, float(draw.uniform()), float(draw.uniform(0, PAUSE))

    def run(self, folder: Path, words: list[str], whole: Path) -> Outcome | None:
        fault = FAULTS[self.kind]()
        of = len(finished(whole))
        files = int(self.share * fault.until * of)
        started = time.monotonic()
        studies: list[StudyProcess] = []
        try:
            fault.prepare(folder)

            def start() -> StudyProcess:
                studies.append(StudyProcess(folder, [*words, *fault.words], fault.environment))
                return studies[-1]

            running = start()
            if not self._strike(fault, running, files):
                return None
            kept = finished(running.study)
            broken = half_written(running.study)
            codes, line = [running.wait()], ""
            if codes[0] != 0:
                line = ([text for text in running.said.splitlines() if text.startswith("dge-ray: ")] or [""])[-1]
                fault.mend()
                broken += half_written(running.study)
                kept = finished(running.study) | kept
                codes.append(start().wait())
            now = finished(running.study)
            return Outcome(
                kind=self.kind,
                after=len(kept),
                of=of,
                codes=tuple(codes),
                line=line,
                traceback="".join(study.said for study in studies if "Traceback" in study.said)[-3000:],
                seconds=round(time.monotonic() - started, 1),
                differences=tuple(differences(running.study, whole)),
                redone=tuple(name for name, stamp in kept.items() if now.get(name) != stamp),
                half_written=tuple(broken + half_written(running.study)),
                rows=rows(running.study),
            )
        finally:
            for running in studies:
                running.close()
            fault.close()

    def _strike(self, fault: Fault, running: StudyProcess, files: int) -> bool:
        for _ in looks(PATIENCE):
            if running.is_over:
                return False
            if len(finished(running.study)) >= files:
                break
        time.sleep(self.pause)
        for _ in looks(PATIENCE):
            if running.is_over:
                return False
            if fault.strike(running):
                return True
        return False
