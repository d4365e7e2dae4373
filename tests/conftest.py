"""One thread a process, as in a study: OpenMP's waiting threads cost more than they bring on a busy machine."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import advice
from helpers.s3 import S3, s3_server
from helpers.shared_study import SharedStudy, run_shared_study
from hypothesis import settings

from dge_ray.cli import main
from dge_ray.storage import Folder

os.environ.setdefault("OMP_NUM_THREADS", "1")
# The tests start many processes, each of which would compile all that it imports: Python's own default is restored.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
settings.register_profile("busy", deadline=None)  # a deadline is of wall time, which other work takes a share of
settings.load_profile("busy")

Run = Callable[..., tuple[int, str, str]]
sys.path.insert(0, str(Path(__file__).parents[1] / "experiments" / "benchmarks"))


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what takes the session's Ray, or the study that was made with one."""
    for item in items:
        if {"cluster", "copula_study", "shared_study"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.ray)


@pytest.hookimpl(optionalhook=True)  # pytest-xdist's, asked with `-n`
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from helpers.schedule import OneRay

    return OneRay(config, log)


@pytest.fixture(scope="session", autouse=True)
def every_advice_can_be_pasted() -> Iterator[None]:
    """What messages advise while tests run is pasted into a shell at the end, and read as the command line reads it."""
    advice.listen()
    yield
    assert advice.faults() == []


@pytest.fixture(scope="session", autouse=True)
def small_tables_have_no_folds() -> Iterator[None]:
    """Five folds are five times the fits: tests of other things have a plain split where `folds` is left open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dge_ray.study.folds.FEW_ROWS", 0)
        yield


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
def shared_study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStudy]:
    """The study COPULA, run to its end in an S3 storage by `dge-ray tune`; its server goes on."""
    with run_shared_study(tmp_path_factory.mktemp("copula")) as study:
        yield study


@pytest.fixture(scope="session")
def copula_study(shared_study: SharedStudy) -> Path:
    """A working folder with a copy of that study below studies/, and its mlflow.db.

    Tests that change anything work on a copy of their own.
    """
    return shared_study.folder


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
