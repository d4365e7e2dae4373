"""The study that many tests share: run once, in an S3 storage with planted secrets, and watched while it runs."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from dge_ray.storage import Folder

from .copula import COPULA
from .driver import start_tune
from .s3 import S3, SECRET, serving

NAME = "breast_cancer"
SERVERS = {"gcs_server", "raylet"}
PLANTED = {
    "AWS_SECRET_ACCESS_KEY": SECRET,  # the one that the server goes by
    "MLFLOW_TRACKING_PASSWORD": "planted-mlflow-password",
    "MLFLOW_TRACKING_TOKEN": "planted-mlflow-token",
}


@dataclass
class SharedStudy:
    """The finished study, and what was seen while it ran."""

    folder: Path  # its working directory: mlflow.db, and a local copy of the study below studies/
    ray: Path  # where Ray's session folder was
    s3: S3
    storage: str
    uri: str
    said: str = ""
    report: dict = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)  # command lines of those that had mlflow.db open
    listening: set[tuple[str, str]] = field(default_factory=set)  # (process, address)
    commands: set[str] = field(default_factory=set)  # of the processes
    modes: set[str | None] = field(default_factory=set)  # of Ray's authentication, as its servers have it
    logs: dict[str, bytes] = field(default_factory=dict)  # what was in Ray's folder, last seen

    def watch(self, process: subprocess.Popen[str]) -> None:
        """Look every second until it ends. At its end Ray's folder is removed."""
        while process.poll() is None:
            self.opened |= openers(self.folder / "mlflow.db")
            for path in self.ray.rglob("*.*"):
                with suppress(OSError):  # a socket, or gone meanwhile
                    self.logs[str(path)] = path.read_bytes()
            self._look(process.pid)
            time.sleep(1)

    def _look(self, driver: int) -> None:
        with suppress(psutil.NoSuchProcess):
            for process in [psutil.Process(driver), *psutil.Process(driver).children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    self.commands.add(" ".join(process.cmdline()))
                    sockets = [c for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
                    self.listening |= {(process.name(), c.laddr.ip) for c in sockets}
                    if process.name() in SERVERS:  # workers overwrite what shows of their environment with their title
                        self.modes.add(process.environ().get("RAY_AUTH_MODE"))


@contextmanager
def run_shared_study(folder: Path) -> Iterator[SharedStudy]:
    """Run COPULA in `folder`, undisturbed, with two downstream workers, and copy it to `folder`/studies."""
    ray = Path(tempfile.mkdtemp(prefix="r"))  # Ray's sockets lie in its session folder, and their paths must be short
    with serving() as s3:
        study = SharedStudy(folder, ray, s3, s3.uri("shared"), s3.uri(f"shared/{NAME}"))
        with s3.credentials():
            words = [*COPULA, "workers=2", f"storage={study.storage}", "--json"]
            with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
                process = start_tune(folder, words, PLANTED | {"RAY_TMPDIR": str(ray)}, stdout=out, stderr=err)
                try:
                    study.watch(process)
                finally:
                    if process.poll() is None:
                        os.killpg(process.pid, signal.SIGKILL)
                        process.wait()
            told = (folder / "out").read_text()
            study.said = (folder / "err").read_text() + told
            assert process.returncode == 0, study.said
            study.report = json.loads(told)
            with Folder.open(study.uri).downloaded() as copy:
                shutil.copytree(copy, folder / "studies" / NAME)
        try:
            yield study
        finally:
            shutil.rmtree(ray, ignore_errors=True)


def openers(file: Path) -> set[str]:
    """The command lines of the processes that have the file open, where the system tells (Linux).

    Not their numbers: a process that the driver starts has the driver's files, and its command line, for a moment.
    """
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(file):
                found.add(link.parents[1].joinpath("cmdline").read_bytes().decode())
        except OSError:  # it has ended, or is another user's
            continue
    return found
