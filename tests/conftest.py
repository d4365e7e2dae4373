"""One thread a process, as in a study: OpenMP's waiting threads cost more than they bring on a busy machine."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dge_ray.cli import main

Run = Callable[..., tuple[int, str, str]]
sys.path.insert(0, str(Path(__file__).parents[1] / "experiments" / "benchmarks"))


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
        return code, out, err

    return call


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A set-up MLflow database without runs: setting one up takes seconds, copying it does not."""
    from mlflow import MlflowClient

    from dge_ray.tracking_server import quiet

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    with quiet():
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path.read_bytes()
