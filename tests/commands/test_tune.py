"""The main path, run for real: Ray, Train, Tune, Data, MLflow on SQLite.

Checked against the contract's files and columns, against the same study done in one plain loop (bit for bit), and
against itself after a `kill -9`. One study of breast_cancer with the copula serves most tests: a start costs seconds.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.copula import COPULA
from helpers.driver import start_tune

from dge_ray import load_members
from dge_ray.commands.status import status
from dge_ray.storage import Folder
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import LOCK
from dge_ray.study.records.lock import study_lock
from dge_ray.study.records.predictions import Job, prediction_file, read_predictions

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "benchmarks"))

WORDS = COPULA
Run = Callable[..., tuple[int, str, str]]
FITS = 3 * 3 + 2 + 1 + 5 + 5 + 3 + 1  # members x volumes, naive ensemble's other seeds, concatenated; on real rows


def _tune(folder: Path, *words: str) -> subprocess.Popen[str]:
    return start_tune(folder, [*WORDS, *words, "--json"])


@pytest.fixture(scope="module")
def done(copula_study: Path) -> Path:
    """A folder in which the study has run to its end, with two downstream workers."""
    return copula_study


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return prepare(read_config(WORDS[0], WORDS[1:]))


def _study(folder: Path) -> Folder:
    return Folder.open(folder / "studies" / "breast_cancer")


def _report(folder: Path) -> dict:
    return _study(folder).read_json("report.json")


def test_report_is_the_contract(done: Path, prepared: Prepared) -> None:
    report = _report(done)
    assert set(report["versions"]) >= {"dge_ray", "ray", "torch", "mlflow", "python"}
    assert report["data"]["rows"] == prepared.rows and report["data"]["task"] == "binary"
    assert (report["generator"], report["learner"], report["metric"]) == ("copula", "boosting", "log_loss")
    assert report["members"] == 3 and report["volumes"] == list(prepared.volumes)
    point = report["reflection_point"]
    assert point["volume"] in prepared.volumes and point["ratio"] == pytest.approx(point["volume"] / prepared.n)
    assert point["status"] in {"interior", "plateau", "not_reached", "undecided"}
    assert point["interval"][0] <= point["volume"] <= point["interval"][1]
    assert point["risk_interval"][0] < point["risk"] < point["risk_interval"][1]
    methods = {"dge", "naive_single", "naive_ensemble", "naive_concatenated"}
    methods |= {"constant", "simple", "real", "real_all", "real_ensemble"}
    assert set(report["test"]) == methods and set(report["test_differences"]) == methods - {"dge"}
    assert set(report["test"]["dge"]) == {
        *("log_loss", "auc", "brier", "accuracy", "macro_f1", "average_precision", "recall")
    }
    rarest = report["classes"]["rarest"]
    assert rarest["recall"][0] == pytest.approx(report["test"]["dge"]["recall"])
    assert rarest["recall"][1] <= rarest["recall"][0] <= rarest["recall"][2]
    assert point["risk"] == pytest.approx(report["test"]["dge"]["log_loss"])
    answer = report["answer"]
    named = {"members", "volume", "price_cpu_s", "against", "difference", "verdict", "what_would_tell"}
    assert set(answer) >= named and answer["verdict"] in {"better", "same", "worse", "not told apart"}
    assert 1 <= answer["members"] <= 3 and answer["volume"] in prepared.volumes and answer["price_cpu_s"] > 0
    apart = report["members_differ"]
    assert 0 < apart["disagreement"] < 0.5 and apart["interval"][0] <= apart["disagreement"] <= apart["interval"][1]
    assert report["cost"]["downstream_fits"] == FITS
    assert report["cost"]["rows_generated"] == 3 * 2 * prepared.n
    assert all(seconds > 0 for seconds in report["cost"]["cpu_seconds"].values())


def test_files_are_the_contract(done: Path, prepared: Prepared) -> None:
    folder = _study(done)
    surface = folder.read_table("surface.parquet")
    assert [(f.name, str(f.type)) for f in surface.schema] == [
        ("learner", "string"),
        ("members", "int32"),
        ("volume", "int64"),
        ("split", "string"),
        ("metric", "string"),
        ("value", "double"),
        ("se", "double"),
        ("se_rows", "double"),
        ("dropped", "bool"),
    ]
    assert surface.num_rows == 3 * 3 * 7 * 2  # members x volumes x metrics x splits
    record = folder.read_json("members/001/member.json")
    assert record["rows"] == prepared.n and record["cpu_seconds"] > 0
    assert len(folder.list("predictions")) == 9
    assert {name.rpartition(".")[2] for name in folder.list("figures")} == {"png"}
    assert not folder.exists("lock.json")
    assert read_config(str(done / "studies/breast_cancer/config.yaml")).members == 3
    text = (done / "studies/breast_cancer/report.html").read_text()
    assert text.startswith("<!") and "<svg" in text and "Fidelity" in text


def test_predictions_are_the_plain_loops(done: Path, prepared: Prepared) -> None:
    """Two workers, actors, streams and shards on disk give the bits that one process gives with none of them."""
    from plain import plain_study

    volume = _report(done)["reflection_point"]["volume"]
    for job, mine in plain_study(prepared, 3, prepared.volumes, baselines_at=volume).items():
        kept = read_predictions(_study(done), "boosting", job, 2)
        assert all(np.array_equal(mine[split], kept[split]) for split in mine), job


def test_mlflow_holds_it_all(done: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow
    import pandas as pd
    from mlflow import MlflowClient

    uri = f"sqlite:///{done / 'mlflow.db'}"
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("dge_ray").experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert len(parents) == 1 and len(children) == len(prepared.volumes)
    assert {run.info.status for run in runs} == {"FINISHED"}
    history = client.get_metric_history(children[0].info.run_id, "test/log_loss")
    assert sorted(metric.step for metric in history) == [1, 2, 3]
    assert {file.path for file in client.list_artifacts(parents[0].info.run_id)} >= {"report.json", "report.html"}
    assert parents[0].inputs.dataset_inputs[0].dataset.digest
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # mlflow.set_tracking_uri would last for the whole process
    model = mlflow.pyfunc.load_model(f"runs:/{parents[0].info.run_id}/model")
    test = prepared.parts["test"].drop_columns(["target"]).to_pandas()
    answer = model.predict(test)
    assert isinstance(answer, pd.DataFrame)
    chosen = _report(done)["answer"]
    jobs = [Job("member", k, chosen["volume"]) for k in range(chosen["members"])]
    each = [read_predictions(_study(done), "boosting", job, 2)["test"] for job in jobs]
    mean = np.mean(each, axis=0, dtype=np.float64)
    assert np.allclose(answer["proba_malignant"], mean[:, 1], atol=1e-7)


@pytest.mark.usefixtures("cluster")
def test_a_second_run_redoes_nothing(done: Path, tmp_path: Path, run: Run) -> None:
    shutil.copytree(done / "studies", tmp_path / "studies")
    shutil.copy(done / "mlflow.db", tmp_path / "mlflow.db")
    folder = tmp_path / "studies" / "breast_cancer"

    def stamps() -> dict[str, int]:
        kept = ("members", "shards", "predictions", "baselines", "models")
        return {str(p): p.stat().st_mtime_ns for part in kept for p in (folder / part).rglob("*") if p.is_file()}

    before, first = stamps(), _report(done)
    code, out, err = run("tune", *WORDS, "--json")
    assert code == 0, err
    assert stamps() == before
    again = json.loads(out)
    assert again["reflection_point"] == first["reflection_point"] and again["test"] == first["test"]


@pytest.mark.usefixtures("cluster")
@pytest.mark.slow
def test_what_a_killed_driver_left_is_finished(done: Path, tmp_path: Path, run: Run) -> None:
    """Two members of three, some fits, no end, a dead process's lock: what is there is not done again, and the bits are
    the undisturbed study's. The slow tests kill a real driver, here and in an S3 storage."""

    def lost(where: str, names: list[str]) -> set[str]:
        at = str(Path(where).relative_to(done / "studies" / "breast_cancer"))
        ended = {"baselines", "figures", "report.json", "report.html", "surface.parquet", "models", "costs"}
        third = {"002"} if at == "members" else {"member=002"} if at == "shards" else set()
        fits = {
            n for n in names if at == "predictions" and ("member-0002" in n or n.startswith("boosting-member-0001"))
        }
        return (ended if at == "." else set()) | third | fits

    study = tmp_path / "studies" / "breast_cancer"
    shutil.copytree(done / "studies" / "breast_cancer", study, ignore=lost)
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    folder, other = _study(tmp_path), _study(done)
    with study_lock(folder, print):
        held = folder.read_json(LOCK)
    folder.write_json(LOCK, {**held, "pid": dead.pid})
    parts = ("members", "shards", "predictions")
    left = {p: p.stat().st_mtime_ns for part in parts for p in (study / part).rglob("*") if p.is_file()}
    assert len(left) >= 10 and len(folder.list("predictions")) == 3
    code, _, err = run("tune", *WORDS, "tracking=false", "--json")
    assert code == 0 and "holds this study's lock" in err, err
    assert {p: p.stat().st_mtime_ns for p in left} == left and not folder.exists(LOCK)
    for part in ("predictions", "baselines", "shards/member=002"):
        assert folder.list(part) == other.list(part)
        for name in folder.list(part):
            assert folder.read_bytes(f"{part}/{name}") == other.read_bytes(f"{part}/{name}"), name


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_killed_and_resumed_is_undisturbed(done: Path, tmp_path: Path, run: Run) -> None:
    """kill -9 of the driver once fits have begun; then the same bits, nothing redone.

    With one worker where the undisturbed study had two: that makes no difference either. Ctrl-C, in every phase of a
    study, is in tests/faults/test_signals.py.
    """
    study = tmp_path / "studies" / "breast_cancer"
    process = _tune(tmp_path, "workers=1", "tracking=false")
    _await(lambda: (study / "members" / "000" / "member.json").exists())
    found = status(str(study), {})  # from another process; looking takes seconds
    assert found["state"] == "running" and found["members_fitted"] >= 1
    _await(lambda: len(list(study.glob("predictions/*.parquet"))) >= 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    found = status(str(study), {}, sleep=lambda _: None)
    assert found["state"] == "left" and found["members_fitted"] == 3 and found["fits_on_disk"] >= 2
    assert not (study / "report.json").exists()
    finished = {str(p): p.stat().st_mtime_ns for p in study.rglob("*.parquet")} | {
        str(p): p.stat().st_mtime_ns for p in study.rglob("member.json")
    }
    assert len(finished) >= 4
    code, _, said = run("tune", *WORDS, "workers=1", "tracking=false", "log=json", "--json")
    assert code == 0, said
    told = [json.loads(line) for line in said.splitlines()]
    assert {line["study"] for line in told} == {"breast_cancer"}
    assert any(line["event"] == "fit done" and line["volume"] > 0 for line in told)
    assert any(line["event"] == "member ready" and line["member"] == 2 for line in told)
    assert all(Path(p).stat().st_mtime_ns == stamp for p, stamp in finished.items())
    mine, other = _study(tmp_path), _study(done)
    for part in ("predictions", "baselines"):
        assert mine.list(part) == other.list(part)
        for name in mine.list(part):
            assert mine.read_bytes(f"{part}/{name}") == other.read_bytes(f"{part}/{name}"), name
    for name in mine.list("shards/member=000"):
        assert mine.read_bytes(f"shards/member=000/{name}") == other.read_bytes(f"shards/member=000/{name}")


def test_a_bundle_holds_the_members_rows_and_no_more(done: Path, prepared: Prepared, tmp_path: Path) -> None:
    from dge_ray.commands.sample import sample
    from dge_ray.errors import InputError
    from dge_ray.table import TableSchema, check_table

    study, out = str(done / "studies" / "breast_cancer"), tmp_path / "bundle"
    volume = 2 * prepared.n + 700  # beyond what the study has drawn
    options = {"out": str(out), "volume": volume, "members": 2}

    def cut_off(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(study, options, cut_off)
    finished = {p: p.stat().st_mtime_ns for p in out.glob("*/*.parquet")}
    assert finished and not (out / "bundle.json").exists()
    with pytest.raises(InputError, match=r"^out: got .*a bundle of another call"):
        sample(study, {**options, "volume": volume + 1}, print)
    said: list[str] = []
    made = sample(study, options, said.append)
    assert made["members"] == 2 and "were written before" in said[0]
    assert f"{2 * volume:,} of {2 * volume:,} rows" in said[-1]
    assert {p: p.stat().st_mtime_ns for p in finished} == finished
    assert sorted(p.name for p in out.iterdir()) == ["bundle.json", "member=000", "member=001", "schema.json"]
    schema = TableSchema.from_json((out / "schema.json").read_text())
    parts = [pq.ParquetFile(p).read() for p in sorted((out / "member=001").iterdir())]
    assert sum(part.num_rows for part in parts) == volume
    assert all(check_table(part, schema) == [] for part in parts)
    first = _study(done).read_table("shards/member=001/part-00000.parquet")
    assert parts[0].equals(first)
    facts = json.loads((out / "bundle.json").read_text())
    assert facts["rows_per_member"] == volume and facts["real_rows"] == prepared.n and "balanced" not in facts
    received = load_members(out.rename(tmp_path / "received"))
    assert len(received) == 2 and received.schema == schema and received.facts == facts
    assert received.table(1).equals(pa.concat_tables(parts))


def test_a_balanced_bundle_has_equal_classes_in_every_shard(done: Path, tmp_path: Path) -> None:
    from dge_ray.commands.sample import sample
    from dge_ray.errors import InputError

    study, out = str(done / "studies" / "breast_cancer"), tmp_path / "bundle"
    options = {"out": str(out), "volume": 512, "members": 1, "balance": "target"}
    with pytest.raises(InputError, match=r"^balance: got 'targets'; takes one of target"):
        sample(study, {**options, "balance": "targets"}, print)
    sample(study, options, print)
    assert json.loads((out / "bundle.json").read_text())["balanced"] == "target"
    parts = [pq.ParquetFile(p).read() for p in sorted((out / "member=000").iterdir())]
    for part in parts:  # of an even number of rows
        ones = sum(str(value) == str(part["target"][0]) for value in part["target"])
        assert ones == part.num_rows / 2


def test_report_is_rebuilt_from_the_files(done: Path) -> None:
    from dge_ray.commands.report import report

    page = done / "studies" / "breast_cancer" / "report.html"
    before = page.read_bytes()
    page.unlink()
    report("breast_cancer", {"storage": str(done / "studies")})
    assert page.read_bytes() == before


@pytest.mark.usefixtures("cluster")
def test_damaged_predictions_are_named(done: Path, tmp_path: Path, run: Run) -> None:
    shutil.copytree(done / "studies", tmp_path / "studies")
    name = prediction_file("boosting", Job("member", 1, prepare(read_config(WORDS[0], WORDS[1:])).volumes[0]))
    (tmp_path / "studies" / "breast_cancer" / name).write_bytes(b"PAR1")
    code, _, err = run("tune", *WORDS, "tracking=false", "--json")
    assert code == 2
    assert name in err and "damaged" in err.strip().splitlines()[-1]
