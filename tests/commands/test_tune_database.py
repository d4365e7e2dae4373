"""A study of a query of PostgreSQL, from its start to the verbs that read its rows again: its password is nowhere."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import postgres

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PASSWORD = postgres.PASSWORD
TABLE = (
    "create table visits as select i as id, i % 7 as a, sin(i) as b, case when i % 3 = 0 then 'yes' else 'no' end as y "
    "from generate_series(1, 240) g(i)"
)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as running:
        running.run(TABLE)
        yield running


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Ray's sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def call(folder: Path, ray: Path, *words: str) -> tuple[int, str]:
    """A verb in a process of its own: its exit code, and all that it said."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_", "PG"))}
    environment |= {"PGUSER": postgres.USER, "PGPASSWORD": PASSWORD, "RAY_TMPDIR": str(ray)}
    command = [sys.executable, "-m", "dge_ray.cli", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_study_of_a_query(server: postgres.Server, tmp_path: Path, ray_folder: Path) -> None:
    words = ["query=select a, b, y from visits order by id", "target=y", "study=visits", "generator=copula", "folds=1"]
    code, said = call(tmp_path, ray_folder, "tune", server.url, *words, "members=2", "ratios=1", "learner=logistic")
    assert code == 0, said
    sampled, more = call(tmp_path, ray_folder, "sample", "visits", "out=bundle", "volume=50")
    attacked, again = call(tmp_path, ray_folder, "attack", "visits", "rows=40")  # reads the real rows again
    assert (sampled, attacked) == (0, 0), more + again
    assert json.loads((tmp_path / "studies" / "visits" / "report.json").read_text())["data"]["rows"]["test"] == 48
    with sqlite3.connect(tmp_path / "mlflow.db") as tracked:
        assert tracked.execute("select count(*) from runs").fetchone()[0] > 1
    kept = [path for place in (tmp_path, ray_folder) for path in place.rglob("*") if path.is_file()]
    assert len(kept) > 20
    assert [str(path) for path in kept if PASSWORD.encode() in path.read_bytes()] == []
    assert PASSWORD not in said + more + again
