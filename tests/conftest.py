"""One thread a process, as in a study: OpenMP's waiting threads cost more than they bring on a busy machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import advice
from helpers.copula import COPULA
from helpers.s3 import S3, s3_server

from dge_ray.cli import main
from dge_ray.storage import Folder

os.environ.setdefault("OMP_NUM_THREADS", "1")

Run = Callable[..., tuple[int, str, str]]
sys.path.insert(0, str(Path(__file__).parents[1] / "experiments" / "benchmarks"))


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what takes the session's Ray, or the study that was made with one."""
    for item in items:
        if {"cluster", "copula_study"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.ray)


@pytest.fixture(scope="session", autouse=True)
def every_advice_can_be_pasted() -> Iterator[None]:
    """What messages advise while tests run is pasted into a shell at the end, and read as the command line reads it."""
    advice.listen()
    yield
    assert advice.faults() == []


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's, asked with `-n`
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from helpers.schedule import OneRay

    return OneRay(config, log)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call the command line in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dge-ray", *words])
        monkeypatch.setattr(sys, "__stdout__", sys.stdout)
        code = 0
        try:
            main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        out, err = capfd.readouterr()
        advice.heard.update([err, *(line for line in out.splitlines() if "warning: " in line)])
        return code, out, err

    return call


@pytest.fixture(scope="session")
def copula_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which `dge-ray tune` has run COPULA to its end, undisturbed, with two downstream workers.

    Beside the study: mlflow.db, and opened_by.json, who had it open. Tests that change anything work on a copy.
    """
    folder = tmp_path_factory.mktemp("copula")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
    command = [sys.executable, "-m", "dge_ray.cli", "tune", *COPULA, "workers=2"]
    opened = set[str]()
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
        while process.poll() is None:
            opened |= openers(folder / "mlflow.db")
            time.sleep(0.5)
        said.seek(0)
        assert process.returncode == 0, said.read()
    (folder / "opened_by.json").write_text(json.dumps(sorted(opened)))
    return folder


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


@pytest.fixture(scope="session")
def cluster() -> Iterator[object]:
    """One Ray for all tests in this process: starting it costs seconds."""
    from dge_ray.distributed.session.ray_session import ray_session

    with ray_session(num_cpus=2, object_store_memory=300 * 2**20) as resources:
        yield resources


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A set-up MLflow database without runs: setting one up takes seconds, copying it does not."""
    from mlflow import MlflowClient

    from dge_ray.tracking.server import quiet

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    with quiet():
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    """An S3 server on localhost with an empty bucket; its credentials are in the environment."""
    with s3_server() as server:
        yield server


@pytest.fixture(params=["path", "file URI", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder, on each kind of filesystem in turn."""
    if request.param == "s3":
        return Folder.open(request.getfixturevalue("s3").uri(tmp_path.name))
    return Folder.open(tmp_path if request.param == "path" else tmp_path.as_uri())
