"""`dge-ray track`, against what the study itself logged, run by run, with nothing there twice.

One real study serves most tests; a second one runs on a real server that is killed under it. What MLflow holds is read
back with a client of its own, and counted in its database.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.copula import COPULA
from helpers.driver import start_tune
from helpers.shared_study import SharedStudy
from mlflow_server import Server
from tracking import killed, together

from dge_ray.storage import Folder
from dge_ray.study.records.files import UNTRACKED
from dge_ray.study.records.lock import study_lock
from dge_ray.tracking.outbox import log as outbox_log
from dge_ray.tracking.tracker import Tracker

WORDS = COPULA
STUDY = Path("studies") / "breast_cancer"
DRIVER_ONLY = Path("/proc/self/fd").is_dir()  # where the system tells who has a file open

Run = Callable[..., tuple[int, str, str]]


def tune(folder: Path, *words: str, uri: str | None = None) -> subprocess.Popen[str]:
    return start_tune(folder, [*WORDS, *words], {"MLFLOW_TRACKING_URI": uri} if uri else None)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 200
    while not condition():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def done(copula_study: Path) -> Path:
    """A folder with a finished study, undisturbed, and mlflow.db."""
    return copula_study


@pytest.fixture
def here(run: Run, tmp_path: Path, done: Path, empty_database: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a copy of the finished study, and an MLflow database without runs."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    shutil.copytree(done / "studies", tmp_path / "studies")
    (tmp_path / "mlflow.db").write_bytes(empty_database)
    monkeypatch.setattr(outbox_log, "disabled", True)  # its warnings are not what is tested here
    return tmp_path


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def content(uri: str) -> dict[str, dict[str, Any]]:
    """All that MLflow holds, by run name, without ids and times."""
    from mlflow import MlflowClient

    client = MlflowClient(uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("dge_ray")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    names = {run.info.run_id: run.info.run_name for run in runs}
    models = client.search_logged_models([experiment.experiment_id])
    held: dict[str, dict[str, Any]] = {}
    for run in runs:
        ident = run.info.run_id
        histories = {key: client.get_metric_history(ident, key) for key in run.data.metrics}
        held[run.info.run_name] = {
            "status": run.info.status,
            "params": run.data.params,
            "tags": {key: names.get(text, text) for key, text in run.data.tags.items()},
            "metrics": {key: sorted((m.step, m.value) for m in found) for key, found in histories.items()},
            "files": sorted(_files(lambda path, ident=ident: client.list_artifacts(ident, path))),
            "datasets": [
                (one.dataset.name, one.dataset.digest, one.dataset.profile) for one in run.inputs.dataset_inputs
            ],
            "models": [
                {
                    "name": model.name,
                    "status": str(model.status),
                    "tags": {key: text for key, text in model.tags.items() if key.startswith("dge_ray")},
                    "files": sorted(_files(lambda path, m=model: client.list_logged_model_artifacts(m.model_id, path))),
                }
                for model in models
                if model.source_run_id == ident
            ],
            "outputs": len(run.outputs.model_outputs) if run.outputs else 0,
        }
    assert len(held) == len(runs), "a run is there twice"
    return held


def _files(ls: Callable[[str | None], Any], path: str | None = None) -> Iterator[tuple[str, int]]:
    for file in ls(path):
        if file.is_dir:
            yield from _files(ls, file.path)
        else:
            yield file.path, file.file_size


def without(held: dict[str, dict[str, Any]], prefix: str) -> dict[str, dict[str, Any]]:
    """What is held, without the metrics whose keys begin so."""
    return {
        name: {**run, "metrics": {key: of for key, of in run["metrics"].items() if not key.startswith(prefix)}}
        for name, run in held.items()
    }


def same(mine: dict[str, dict[str, Any]], theirs: dict[str, dict[str, Any]]) -> None:
    """What two runs of one study hold alike: all but their cost, the pages that tell it, and where they lie."""
    assert mine.keys() == theirs.keys()
    mine, theirs = without(mine, "cost/"), without(theirs, "cost/")
    for name, run in mine.items():
        other = theirs[name]
        for held in (run, other):
            held["params"] = {key: text for key, text in held["params"].items() if key != "storage"}
            held["files"] = [path for path, _ in held["files"]]
            for model in held[
                "models"
            ]:  # MLmodel says where it lies; two saves of one learner differ in their zip's times
                model["tags"] = sorted(model["tags"])
                model["files"] = [file for file in model["files"] if file[0] != "MLmodel"]
        for part in run:
            assert run[part] == other[part], (name, part)


def counts(file: Path) -> dict[str, int]:
    """Rows in each table of a database."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: connection.execute(f'select count(*) from "{name}"').fetchone()[0] for name in tables}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_only_the_driver_opens_the_database(shared_study: SharedStudy) -> None:
    if not DRIVER_ONLY:
        pytest.skip("needs /proc")
    (opened,) = shared_study.opened
    assert "dge_ray.cli\0tune" in opened


def test_a_lost_database_is_made_again_and_nothing_twice(here: Path, done: Path, run: Run) -> None:
    code, out, err = run("track", "breast_cancer", "--json")
    assert (code, err) == (0, "")
    sent = json.loads(out)
    assert sent["study"] == "breast_cancer" and sent["uri"] == database(here)
    mine, theirs = content(database(here)), content(database(done))
    assert len(theirs) == 4 and theirs["breast_cancer"]["models"], "or there is nothing to compare"
    assert any(key.startswith("running/") for key in theirs["volume=" + str(_volumes(done)[0])]["metrics"])
    assert mine == without(theirs, "running/")
    rows, kept = counts(here / "mlflow.db"), files(here)
    assert rows["metrics"] > 50 and rows["logged_models"] == 1
    code, out, err = run("track", str(here / STUDY))
    assert (code, err) == (0, "") and out == f"study breast_cancer: run {sent['run']} in {sent['uri']}\n"
    assert counts(here / "mlflow.db") == rows and files(here) == kept
    assert content(database(here)) == mine


def _volumes(folder: Path) -> list[int]:
    return json.loads((folder / STUDY / "report.json").read_text())["volumes"]


def test_a_complete_database_gets_nothing(here: Path, done: Path, run: Run) -> None:
    """The study's own database, whose artifacts stay where they are."""
    shutil.copy(done / "mlflow.db", here / "mlflow.db")
    before, rows = content(database(here)), counts(here / "mlflow.db")
    assert run("track", "breast_cancer")[0] == 0
    assert content(database(here)) == before and counts(here / "mlflow.db") == rows


def test_an_unfinished_study_is_told_as_far_as_it_came(here: Path, run: Run) -> None:
    """What a kill leaves: members, predictions, perhaps points that were not sent, no report."""
    study = here / STUDY
    for name in ("report.json", "report.html", "surface.parquet"):
        (study / name).unlink()
    shutil.rmtree(study / "figures")
    member = json.loads((study / "members" / "001" / "member.json").read_text())
    member["loss"] = [{"epoch": 1, "train": 3.0, "heldout": None}, {"epoch": 2, "train": 2.5, "heldout": 2.0}]
    (study / "members" / "001" / "member.json").write_text(json.dumps(member))
    left = {"volume": 100, "key": "running/boosting/log_loss", "value": 0.25, "step": 1, "latest": False}
    (study / UNTRACKED).write_text(json.dumps([left]))
    for _ in range(2):
        assert run("track", "breast_cancer")[0] == 0
        held = content(database(here))
        parent = held["breast_cancer"]
        assert parent["metrics"] == {"fit/001/train": [(1, 3.0), (2, 2.5)], "fit/001/heldout": [(2, 2.0)]}
        assert parent["params"]["members"] == "3" and parent["models"] == [] and parent["files"] == []
        assert held["volume=100"]["metrics"] == {left["key"]: [(1, 0.25)]}
        assert {one["status"] for one in held.values()} == {"KILLED"}
        assert not (study / UNTRACKED).exists()


def test_bad_input_is_one_line(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, says in {
        ("nowhere",): "study: got 'nowhere'; takes a study's folder, or one of breast_cancer",
        ("breast_cancer", "stroage=x"): "stroage: got an unknown key; takes",
        ("breast_cancer", f"storage={here}/other"): "study: got 'breast_cancer'",
    }.items():
        _refused(run("track", *words), 2, says)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    _refused(run("track", "breast_cancer"), 2, "MLFLOW_TRACKING_URI: got 'http://127.0.0.1:9', which does not answer")
    assert not (here / STUDY / "lock.json").exists()


def test_a_running_study_is_left_alone(here: Path, run: Run) -> None:
    with study_lock(Folder.open(here / STUDY), print):
        code, out, err = run("track", "breast_cancer")
    said = err.strip().splitlines()
    assert (code, out, len(said)) == (1, "", 2) and "works on this study; wait for it" in said[1]
    assert counts(here / "mlflow.db")["runs"] == 0


def test_a_server_that_goes_away_meanwhile(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise ConnectionError("connection refused")

    with monkeypatch.context() as broken:
        broken.setattr(Tracker, "_send_points", gone)
        _refused(run("track", "breast_cancer"), 1, "MLflow still lacks")
    assert (here / STUDY / UNTRACKED).exists()
    assert run("track", "breast_cancer")[0] == 0
    assert not (here / STUDY / UNTRACKED).exists()
    rows = counts(here / "mlflow.db")
    assert run("track", "breast_cancer")[0] == 0 and counts(here / "mlflow.db") == rows


def _refused(answer: tuple[int, str, str], code: int, says: str) -> None:
    lines = answer[2].strip().splitlines()
    assert answer[:2] == (code, "") and len(lines) == 1, answer
    assert lines[0].startswith("dge-ray: ") and says in lines[0]


def test_a_database_that_was_replaced_loses_nothing(here: Path) -> None:
    """The runs that the tracker knows are not there any more: all is held, and goes to new ones of a second tracker."""
    tracker = Tracker.open("adult", "abc")
    tracker.log_point(100, 1, {"loss": 1.0})
    with closing(sqlite3.connect(here / "mlflow.db")) as connection, connection:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            connection.execute(f"delete from {table}")
    for volume in (100, 200):
        tracker.log_point(volume, 2, {"loss": 0.5})
    assert tracker.close("FAILED") > 0
    second = Tracker.open("adult", "abc")
    assert not second.resumed
    second.log_points(tracker.unsent_points())
    assert second.close() == 0
    held = content(database(here))
    assert held["volume=100"]["metrics"] == held["volume=200"]["metrics"] == {"loss": [(2, 0.5)]}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_that_dies_mid_study(
    done: Path, tmp_path: Path, empty_database: bytes, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study ends well and says what is missing; `track` then brings all that an undisturbed study has."""
    with Server(tmp_path, empty_database) as server:
        process = tune(tmp_path, uri=server.uri)
        wait_for(lambda: any((tmp_path / STUDY).glob("predictions/*.parquet")), process)
        server.kill()
        out, err = process.communicate(timeout=250)
        assert process.returncode == 0 and "reflection point" in out, err
        warnings = [line for line in err.splitlines() if "MLflow" in line]
        assert len(warnings) == 2 and "kept and sent later" in warnings[0]
        assert f"records; `dge-ray track {tmp_path / STUDY}` sends them" in warnings[1]
        points = json.loads((tmp_path / STUDY / UNTRACKED).read_text())
        assert {point["volume"] for point in points} >= set(_volumes(tmp_path))
        server.start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        code, _, err = run("track", "breast_cancer")
        assert (code, err) == (0, "")
        mine, theirs = content(server.uri), content(database(done))
        assert not (tmp_path / STUDY / UNTRACKED).exists()
        rows = counts(server.database)
        assert run("track", "breast_cancer")[0] == 0 and counts(server.database) == rows
        assert "locked" not in server.log.read_text()
    parent = mine["breast_cancer"]["metrics"]
    assert {key for key in parent if key.startswith("cost/")} >= {"cost/wall_seconds", "cost/cpu_seconds/generators"}
    same(mine, theirs)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_and_its_server_both_killed(
    done: Path, tmp_path: Path, empty_database: bytes, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kill -9` of the server, then of the driver; told as killed; resumed, and then like an undisturbed study."""
    with Server(tmp_path, empty_database) as server:
        process = tune(tmp_path, uri=server.uri)
        wait_for(lambda: (tmp_path / STUDY / "members" / "000" / "member.json").exists(), process)
        server.kill()
        wait_for(lambda: len(list((tmp_path / STUDY).glob("predictions/*.parquet"))) >= 2, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        server.start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        assert run("track", "breast_cancer")[0] == 0
        assert content(server.uri)["breast_cancer"]["status"] == "KILLED"
        process = tune(tmp_path, uri=server.uri)
        _, err = process.communicate(timeout=400)
        assert process.returncode == 0, err
        mine, theirs = content(server.uri), content(database(done))
    same(mine, theirs)


NOTHING = {"lost_runs": 0, "unfinished_runs": 0, "lost_points": 0, "doubled_points": 0, "lock_errors": 0}


@pytest.mark.slow
@pytest.mark.parametrize(("volumes", "members"), [(4, 2), pytest.param(500, 16, marks=pytest.mark.timeout(1200))])
def test_many_runs_outlast_a_killed_server(tmp_path: Path, volumes: int, members: int, empty_database: bytes) -> None:
    found = killed(tmp_path, volumes, members, empty_database)
    assert found["held_when_it_ended"] > volumes and found["points"] == 11 * volumes * members
    assert {key: found[key] for key in NOTHING} == NOTHING


@pytest.mark.slow
@pytest.mark.parametrize(("server", "studies", "volumes"), [(False, 2, 2), (False, 4, 50), (True, 4, 50)])
def test_several_studies_write_at_once(tmp_path: Path, server: bool, studies: int, volumes: int) -> None:
    found = together(tmp_path, studies, volumes, 4, server=server)
    assert found["records_left"] == 0 and {key: found[key] for key in NOTHING} == NOTHING
