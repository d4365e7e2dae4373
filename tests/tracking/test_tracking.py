"""Tracking, checked against a real MLflow: SQLite files, and a real server that is started, killed and started again.

What is there is always read back with a client of its own, never from the tracker's memory.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import fake_study
from helpers.ensemble import make_ensemble
from mlflow_server import Server

from dge_ray.errors import InputError
from dge_ray.masking import MASK, mask
from dge_ray.tracking import server as tracking_server
from dge_ray.tracking.records import asked_by, flatten, legal, report_points
from dge_ray.tracking.tracker import Tracker

SECRET = "hunter2-do-not-tell"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("MLFLOW_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def database(folder: Path, empty_database: bytes) -> str:
    (folder / "mlflow.db").write_bytes(empty_database)
    return f"sqlite:///{folder}/mlflow.db"


def client(uri: str):
    from mlflow import MlflowClient

    return MlflowClient(uri, registry_uri=uri)


def runs(uri: str, experiment: str = "dge_ray") -> dict:
    """Runs by name."""
    reader = client(uri)
    found = reader.search_runs([reader.get_experiment_by_name(experiment).experiment_id])
    by_name = {run.info.run_name: run for run in found}
    assert len(by_name) == len(found), "a run is there twice"
    return by_name


def history(uri: str, run, key: str) -> list[tuple[int, float]]:
    found = client(uri).get_metric_history(run.info.run_id, key)
    return sorted((metric.step, metric.value) for metric in found)


def test_the_module_is_cheap_to_import():
    code = "import sys, dge_ray.tracking.tracker; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


def test_runs_are_nested_and_members_are_the_step(database: str):
    tracker = Tracker.open("adult", "abc")
    for members in (1, 2, 3):
        tracker.log_point(100, members, {"running/log_loss": 1 / members, "running/auc": 0.9})
        tracker.log_point(200, members, {"running/log_loss": 2 / members, "nothing": float("nan")})
    assert tracker.close() == 0
    found = runs(database)
    assert set(found) == {"adult", "volume=100", "volume=200"}
    parent = found["adult"]
    assert parent.data.tags["dge_ray.study_id"] == "abc" and parent.data.tags["version.python"]
    for name in ("volume=100", "volume=200"):
        assert found[name].data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert history(database, found["volume=200"], "running/log_loss") == [(1, 2.0), (2, 1.0), (3, 2 / 3)]
    assert history(database, found["volume=200"], "nothing") == []
    assert {run.info.status for run in found.values()} == {"FINISHED"}


def test_resuming_finds_the_runs_and_logs_nothing_twice(database: str):
    surface, report = fake_study.surface(members=3, ratios=(1, 2)), fake_study.report(members=3, ratios=(1, 2))

    def study(status) -> None:
        tracker = Tracker.open("adult", "abc")
        tracker.log_point(26048, 1, {"running/log_loss": 0.5})
        tracker.log_surface(surface)
        tracker.log_fit(2, [{"epoch": 1, "train": 3.0, "heldout": None}, {"epoch": 2, "train": 2.5, "heldout": 2.0}])
        tracker.log_report(report)
        tracker.close(status)

    study("KILLED")
    assert runs(database)["adult"].info.status == "KILLED"
    study("FINISHED")
    found = runs(database)
    assert set(found) == {"adult", "volume=26048", "volume=52096"}
    values = sorted((r["members"], r["value"]) for r in surface.to_pylist() if _is(r, 26048, "test", "auc"))
    assert history(database, found["volume=26048"], "test/auc") == values
    assert history(database, found["volume=26048"], "running/log_loss") == [(1, 0.5)]
    assert history(database, found["adult"], "fit/002/train") == [(1, 3.0), (2, 2.5)]
    assert history(database, found["adult"], "fit/002/heldout") == [(2, 2.0)]
    assert history(database, found["adult"], "reflection/volume") == [(3, 52096.0)]
    assert history(database, found["adult"], "answer/price_cpu_s") == [(0, 212.0)], "at a glance"
    assert found["adult"].data.tags["mlflow.note.content"].startswith("Use 1 generator with ")
    assert found["adult"].info.status == "FINISHED"


def test_the_parent_is_read_at_a_glance(database: str):
    """A dozen numbers at step 0, two curves, the answer with the table's name, and MLflow's own columns."""
    surface, report = fake_study.surface(members=3, ratios=(1, 2)), fake_study.report(members=3, ratios=(1, 2))
    tracker = Tracker.open("adult", "abc")
    tracker.set_tags(asked_by())
    tracker.log_report({**report, "config": {"source": "adult.parquet"}})
    tracker.log_curves(surface, report)
    tracker.close()
    parent, metric, answer = runs(database)["adult"], report["metric"], report["answer"]
    summary = {key for key in parent.data.metrics if key.startswith("answer/")}
    assert len(summary) == 13 and all([step for step, _ in history(database, parent, key)] == [0] for key in summary)
    assert parent.data.metrics["answer/real_rows_risk"] == pytest.approx(answer["risk"] - answer["difference"][0])
    at = {(r["members"], r["volume"]): r["value"] for r in surface.to_pylist() if _is(r, r["volume"], "test", metric)}
    assert history(database, parent, f"over_rows/{metric}") == [(m, v) for (k, m), v in sorted(at.items()) if k == 3]
    assert history(database, parent, f"over_members/{metric}") == [
        (k, v) for (k, m), v in sorted(at.items()) if m == answer["volume"]
    ]
    tags = parent.data.tags
    assert "Table `adult.parquet`" in tags["mlflow.note.content"] and tags["mlflow.source.name"] == "dge-ray tune"


def test_numbers_in_another_metric_are_in_another_run(database: str):
    """MLflow never changes a parameter: `params.metric` is that of the run's `reflection/...`, whatever comes next."""
    of = {}
    for metric in ("log_loss", "auc", "log_loss"):
        tracker = Tracker.open(metric, "abc", metric=metric)
        tracker.log_config({"metric": metric})
        tracker.log_report(fake_study.report())
        tracker.close()
        assert of.setdefault(metric, tracker.run_id) == tracker.run_id
    assert len(set(of.values())) == 2
    assert {name: run.data.params["metric"] for name, run in runs(database).items()} == {m: m for m in of}


def _is(row: dict, volume: int, split: str, metric: str) -> bool:
    return (row["volume"], row["split"], row["metric"]) == (volume, split, metric)


def test_points_stay_and_a_changed_surface_is_written_again(database: str):
    report = fake_study.report()
    for risk in (0.25, 0.25, 0.24):
        tracker = Tracker.open("adult", "abc")
        tracker.log_point(100, 1, {"running/log_loss": risk})
        report["reflection_point"]["risk"] = risk
        tracker.log_report(report)
        tracker.close()
    found = runs(database)
    assert history(database, found["volume=100"], "running/log_loss") == [(1, 0.25)]
    assert history(database, found["adult"], "reflection/risk") == [(8, 0.24), (8, 0.25)]
    assert found["adult"].data.metrics["reflection/risk"] == 0.24, "MLflow shows the later one"


def test_studies_and_experiments_are_kept_apart(database: str, monkeypatch: pytest.MonkeyPatch):
    first, second = Tracker.open("a", "1"), Tracker.open("b", "2")
    assert first.run_id != second.run_id and not second.resumed
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    third = Tracker.open("c", "1")
    assert third.run_id != first.run_id
    assert set(runs(database, "mine")) == {"c"}


def test_config_dataset_and_artifacts(database: str, folder: Path):
    tracker = Tracker.open("adult", "abc")
    config = {"members": 8, "generator": {"name": "copula", "settings": {}}, "long": "x" * 7000, "ratios": [1, 2]}
    (folder / "out" / "figures").mkdir(parents=True)
    (folder / "out" / "report.json").write_text("{}")
    (folder / "out" / "figures" / "surface.png").write_bytes(b"png")
    (folder / "out" / "private.txt").write_text("stays")
    for _ in range(2):
        tracker.log_config(config)
        tracker.log_dataset("adult.parquet", "ab" * 32, 1000, {"age": "int64", "income": "string"})
        tracker.log_artifacts(folder / "out", ["report.json", "figures", "absent.html"])
    tracker.log_config({**config, "members": 16})  # a study that has grown
    tracker.close()
    run = runs(database)["adult"]
    assert run.data.params["members"] == "8" and run.data.tags["now.members"] == "16"
    assert run.data.params["generator.name"] == "copula" and run.data.params["ratios"] == "[1, 2]"
    assert run.data.params["long"] == "x" * 497 + "..."
    [dataset] = [one.dataset for one in run.inputs.dataset_inputs]
    assert dataset.digest == "ab" * 18 and run.data.tags["data.sha256"] == "ab" * 32
    assert json.loads(dataset.profile) == {"num_rows": 1000, "num_columns": 2} and "age" in dataset.schema
    reader = client(database)
    assert {file.path for file in reader.list_artifacts(run.info.run_id)} == {"report.json", "figures"}
    assert [file.path for file in reader.list_artifacts(run.info.run_id, "figures")] == ["figures/surface.png"]


def test_a_folders_files_replace_those_of_an_earlier_end(database: str, folder: Path):
    """A figure that a later run of the study does not draw leaves MLflow's run too."""
    figures = folder / "out" / "figures"
    figures.mkdir(parents=True)
    for drawn in (["surface.png", "error_by_learner.png"], ["surface.png"]):
        for path in figures.iterdir():
            path.unlink()
        for name in drawn:
            (figures / name).write_bytes(b"png")
        tracker = Tracker.open("adult", "abc")
        tracker.log_artifacts(folder / "out")
        tracker.close()
    run = runs(database)["adult"].info.run_id
    assert [file.path for file in client(database).list_artifacts(run, "figures")] == ["figures/surface.png"]


def test_without_settings_a_quiet_database_in_the_working_folder(
    folder: Path, capfd: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
):
    tracker = Tracker.open("adult", "abc")
    tracker.close()
    assert (folder / "mlflow.db").exists() and tracker.uri == f"sqlite:///{folder}/mlflow.db"
    out, err = capfd.readouterr()
    assert out == "" and err == "" and not caplog.records
    assert not [name for name in os.environ if name.startswith("MLFLOW_")], "the environment is left as it was"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("./mlruns", "no longer writes"),
        ("file:///tmp/mlruns", "no longer writes"),
        ("http://", "names no host"),
        ("htp://somewhere:5000", "does not answer"),
        ("sqlite:////not/there/mlflow.db", "not there or not writable"),
        ("http://user:" + SECRET + "@127.0.0.1:{closed}", "connection refused"),
    ],
)
def test_a_bad_uri_is_told_in_one_line_and_at_once(uri: str, says: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.replace("{closed}", str(_free_port())))
    began = time.monotonic()
    with pytest.raises(InputError, match=says) as told:
        Tracker.open("adult", "abc")
    assert told.value.field == "MLFLOW_TRACKING_URI" and "\n" not in str(told.value)
    assert SECRET not in str(told.value)
    assert time.monotonic() - began < 8


def test_a_server_that_takes_the_connection_and_stays_silent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        tracking_server, "ENVIRONMENT", {**tracking_server.ENVIRONMENT, "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(InputError, match="no answer"):
            Tracker.open("adult", "abc", uri=uri)
    assert time.monotonic() - began < 12


def test_a_file_that_is_no_database(folder: Path):
    (folder / "mlflow.db").write_text("not a database, but long enough to look like one" * 50)
    with pytest.raises(InputError, match="not a database") as told:
        Tracker.open("adult", "abc")
    assert "\n" not in str(told.value)


def test_secrets_reach_nothing_that_is_logged(database: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET[::-1])
    tracker = Tracker.open("adult", "abc")
    source = f"s3://key:{SECRET}@bucket/table.parquet"
    tracker.log_config(
        {"source": source, "api_key": SECRET, "odd": f"x{SECRET[::-1]}x", "q": f"http://h/?token={SECRET}"}
    )
    tracker.log_dataset(source, "ab" * 32, 10, 3)
    tracker.set_tags({"note": SECRET})
    tracker.log_point(10, 1, {"loss": 1.0})
    tracker.close()
    stored = (folder / "mlflow.db").read_bytes()
    assert b"adult" in stored, "the search itself must be able to find something"
    assert SECRET.encode() not in stored and SECRET[::-1].encode() not in stored
    params = runs(database)["adult"].data.params
    assert params == {
        "source": f"s3://{MASK}@bucket/table.parquet",
        "api_key": MASK,
        "odd": f"x{MASK}x",
        "q": f"http://h/?token={MASK}",
    }


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://me:p@ss/w@db:5432/x", f"postgresql://{MASK}@db:5432/x"),
        ("http://host/?api_key=abc&x=1", f"http://host/?api_key={MASK}&x=1"),
        ("https://user@host", f"https://{MASK}@host"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("a plain sentence, me@example.org", "a plain sentence, me@example.org"),
    ],
)
def test_mask(text: str, masked: str):
    assert mask(text) == masked


def test_keys_are_legal():
    assert legal("error/k=20/m=5000") == "error/k_20/m_5000"
    assert legal("../größe") == "gr__e"
    assert flatten({"a": {"b=c": None}, "d": {}}) == {"a.b_c": "null", "d": "{}"}
    points = {point.key: point for point in report_points(fake_study.report())}
    assert points["reflection/lo"].value == 52096 and points["difference/real/auc_lo"].volume is None
    assert all(legal(key) == key for key in points)
    assert list(report_points({"study": "bare"})) == []


def test_artifacts_lie_beside_the_database_wherever_the_study_was_begun(
    tmp_path: Path, empty_database: bytes, monkeypatch: pytest.MonkeyPatch
):
    place, scratch = tmp_path / "a place #1", tmp_path / "scratch"
    for made in (place, scratch):
        made.mkdir()
    (place / "runs.db").write_bytes(empty_database)
    monkeypatch.chdir(scratch)
    tracker = Tracker.open("adult", "abc", uri=f"sqlite:///{place}/runs.db")
    (scratch / "out").mkdir()
    (scratch / "out" / "report.json").write_text("{}")
    tracker.log_artifacts(scratch / "out")
    assert tracker.close() == 0
    monkeypatch.chdir(tmp_path)
    assert [file.name for file in (place / "mlruns" / "dge_ray").rglob("report.json")] == ["report.json"]
    assert sorted(path.name for path in scratch.iterdir()) == ["out"]
    [file] = client(f"sqlite:///{place}/runs.db").list_artifacts(tracker.run_id)
    assert file.path == "report.json"


def test_mlflows_own_settings_are_followed(database: str, monkeypatch: pytest.MonkeyPatch):

    reader = client(database)
    by_id, by_name = reader.create_experiment("by id"), reader.create_experiment("by name")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "by name")
    assert Tracker.open("a", "1").experiment_id == by_name
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", by_id)
    assert Tracker.open("a", "1").experiment_id == by_id
    outer = reader.create_run(by_name)
    monkeypatch.setenv("MLFLOW_RUN_ID", outer.info.run_id)
    inside = Tracker.open("b", "2")
    assert inside.experiment_id == by_name
    assert reader.get_run(inside.run_id).data.tags["mlflow.parentRunId"] == outer.info.run_id
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name)


def test_an_experiment_and_a_run_of_the_process_are_followed(database: str, folder: Path):
    """In a process of its own: MLflow keeps both in module globals."""
    code = """
import json, mlflow
from dge_ray.tracking.tracker import Tracker
chosen = mlflow.set_experiment("chosen").experiment_id
alone = Tracker.open("c", "3")
with mlflow.start_run() as active:
    study = Tracker.open("d", "4")
    study.log_point(10, 1, {"loss": 1.0})
    assert study.close() == 0
    assert mlflow.active_run().info.run_id == active.info.run_id
print(json.dumps([chosen, alone.experiment_id, study.run_id, active.info.run_id]))
"""
    here = str(Path(__file__).parents[2])
    environment = {**os.environ, "MLFLOW_TRACKING_URI": database, "PYTHONPATH": here}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    chosen, alone, study, active = json.loads(done.stdout.splitlines()[-1])
    held = client(database).get_run(study)
    assert alone == held.info.experiment_id == chosen
    assert held.data.tags["mlflow.parentRunId"] == active
    assert runs(database, "chosen")["volume=10"].data.tags["mlflow.parentRunId"] == study


@pytest.mark.parametrize(("field", "kind"), [("MLFLOW_EXPERIMENT_ID", "experiment"), ("MLFLOW_RUN_ID", "run")])
def test_what_mlflow_does_not_have_is_refused(field: str, kind: str, database: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(field, "77")
    with pytest.raises(InputError, match=f"'77', which is no {kind}") as told:
        Tracker.open("adult", "abc")
    assert told.value.field == field


@pytest.mark.parametrize("error", [AttributeError("no such thing"), OSError("disk full"), RuntimeError("a\nb")])
def test_a_model_that_cannot_be_saved_is_one_warning(
    error: Exception, database: str, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    import mlflow.pyfunc

    def fail(*_: object, **__: object) -> None:
        raise error

    make_ensemble(folder / "ensemble", "regression")
    tracker = Tracker.open("adult", "abc")
    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING, "dge_ray"):
        broken.setattr(mlflow.pyfunc, "save_model", fail)
        tracker.log_model(folder / "ensemble")
    assert tracker.close() == 0
    [record] = caplog.records
    assert "MLflow refuses model: it cannot be saved" in record.getMessage() and "\n" not in record.getMessage()
    assert runs(database)["adult"].info.status == "FINISHED"


def test_a_refusal_is_told_and_holds_nothing_up(database: str, caplog: pytest.LogCaptureFixture, folder: Path):
    tracker = Tracker.open("adult", "abc")
    with caplog.at_level(logging.WARNING, "dge_ray"):
        tracker.log_artifacts(folder / "gone")
        tracker.log_point(10, 1, {"loss": 1.0})
    assert tracker.pending == 0 and len(caplog.records) == 1 and "refuses" in caplog.text
    assert history(database, runs(database)["volume=10"], "loss") == [(1, 1.0)]


def test_a_failure_is_kept_and_repeated(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The requests fail after they were carried out, which is the worst moment for doing nothing twice."""
    tracker = Tracker.open("adult", "abc")
    sent, started = tracker._client.log_batch, tracker._client.create_run

    def cut_off(send):
        def call(*args, **more):
            send(*args, **more)
            raise ConnectionError("cut off")

        return call

    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING, "dge_ray"):
        broken.setattr(tracker._client, "log_batch", cut_off(sent))
        broken.setattr(tracker._client, "create_run", cut_off(started))
        for members in (1, 2, 3):
            tracker.log_point(10, members, {"loss": 1 / members})
            assert tracker.flush() == members
        assert len(caplog.records) == 1, "one warning for one outage"
    assert tracker.close() == 0
    assert history(database, runs(database)["volume=10"], "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def server(folder: Path, empty_database: bytes) -> Iterator[Server]:
    with Server(folder, empty_database) as served:
        yield served


@pytest.mark.slow
def test_what_is_logged_while_the_server_is_away(folder: Path, server: Server, caplog: pytest.LogCaptureFixture):
    (folder / "out").mkdir()
    (folder / "out" / "report.json").write_text("{}")
    make_ensemble(folder / "ensemble", "regression")
    tracker = Tracker.open("adult", "abc", uri=server.uri)
    tracker.log_point(10, 1, {"loss": 1.0})
    server.kill()
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, "dge_ray"):
        for members in (2, 3):
            for volume in (10, 20):
                tracker.log_point(volume, members, {"loss": 1 / members})
        tracker.log_config({"members": 3})
        tracker.log_artifacts(folder / "out")
        tracker.log_model(folder / "ensemble")
        assert tracker.flush() == 7
    assert time.monotonic() - began < 5 and len(caplog.records) == 1
    server.start()
    assert tracker.close() == 0
    found = runs(server.uri)
    assert set(found) == {"adult", "volume=10", "volume=20"}
    assert history(server.uri, found["volume=10"], "loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert history(server.uri, found["volume=20"], "loss") == [(2, 0.5), (3, 1 / 3)]
    assert found["adult"].data.params == {"members": "3"} and found["adult"].info.status == "FINISHED"
    assert [file.path for file in client(server.uri).list_artifacts(tracker.run_id)] == ["report.json"]
    [model] = client(server.uri).search_logged_models([tracker.experiment_id])
    assert str(model.status) == "READY" and model.source_run_id == tracker.run_id
