"""The main path's other ways: members grown by themselves, Optuna's volumes, a torch learner on two workers, dropped
volumes, regression, more than two classes with missing values, and a kill at each stage.

Checked against the contract and against a second run. Each is a whole study, and marked slow.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from dge_ray.storage import Folder
from dge_ray.study.folder import read_study_config
from dge_ray.study.prepare import prepare
from dge_ray.study.records.predictions import Job, read_predictions
from dge_ray.table import TableSchema, check_table

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def _start(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
    command = [sys.executable, "-m", "dge_ray.cli", "tune", *words, "folds=1", "tracking=false", "--json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def _tune(folder: Path, *words: str) -> tuple[dict, str]:
    """(report, what was said) of a study run to its end."""
    process = _start(folder, *words)
    out, err = process.communicate(timeout=1500)
    assert process.returncode == 0, err
    return json.loads(out), err


def _files(folder: Path, pattern: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob(pattern)}


@pytest.mark.slow
def test_grown_members_proposed_volumes_and_a_torch_learner_on_two_workers(tmp_path: Path) -> None:
    words = ["members=auto", "max_members=4", "search=optuna", "search.trials=3", "ratios=0.5,2", "learner=torch_mlp"]
    words += ["learner.min_steps=60", "learner.min_epochs=1", "workers=2"]
    report, said = _tune(tmp_path, "breast_cancer", "generator=copula", *words)
    assert report["members"] == 4
    assert "4 members at" in said and "off the risk" in said
    n = report["data"]["rows"]["train"]
    assert {round(0.5 * n), 2 * n} <= set(report["volumes"]) and len(report["volumes"]) == 3
    assert report["test"]["dge"]["auc"] > 0.9  # far above chance: the learner learned from the stream
    assert report["cost"]["downstream_fits"] == 4 * 3 + 3 + 2


@pytest.mark.slow
def test_members_of_two_generators_under_constraints_in_two_groups(tmp_path: Path) -> None:
    generators = "generator=[copula, {name: autoregressive, epochs: 4}]"
    rule = "mean radius >= 12.5"
    words = ["breast_cancer", generators, "learner=boosting", "members=4", "ratios=1,2"]
    report, said = _tune(tmp_path, *words, f"constraints=[{rule}]", "groups=2")
    assert report["generator"] == "copula+autoregressive"
    assert f"constraint '{rule}'" in said and "of the real rows break it" in said
    study = tmp_path / "studies" / "breast_cancer"
    kinds = [json.loads((study / f"members/{k:03d}/member.json").read_text())["generator"] for k in range(4)]
    assert kinds == ["copula", "autoregressive"] * 2
    for file in study.rglob("shards/*/*.parquet"):
        assert pc.min(pq.ParquetFile(file).read(["mean radius"])["mean radius"]).as_py() >= 12.5
    assert 0.2 < report["constraints"]["met"] < 0.9  # about 6 in 10 real rows meet it
    assert report["families"]["members"] == {"copula": 2, "autoregressive": 2}
    assert 0 <= report["families"]["between"] <= 1
    _check_groups(report, Folder.open(study))
    # Another set of constraints is another study.
    process = _start(tmp_path, *words)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2 and "exists with another constraints" in err


def _check_groups(report: dict, folder: Folder) -> None:
    """Two groups of two: members 0, 1 and 2, 3; each with its baselines, none of them fitted twice."""
    found, volume = report["groups"], report["reflection_point"]["volume"]
    assert (found["groups"], found["size"]) == (2, 2)
    # 8 members' fits; naive ensemble's 3 other seeds and one of member 2's; 3 concatenated; 2 on real rows
    assert report["cost"]["downstream_fits"] == 8 + 4 + 3 + 2
    truth = prepare(read_study_config(folder)).truth("test")

    def read(kind: str, member: int, index: int) -> np.ndarray:
        job = Job(kind, member, 0 if kind == "real" else volume, index)  # type: ignore[arg-type]
        return read_predictions(folder, report["learner"], job, 2)["test"].astype(np.float64)

    members = [read("member", k, 0) for k in range(4)]
    want = {
        "dge_2": [members[0] + members[1], members[2] + members[3]],
        "naive_single": [members[0], members[2]],
        "naive_ensemble": [members[k] + read("ensemble", k, 1) for k in (0, 2)],
        "naive_concatenated": [read("concatenated", k, 2) for k in (0, 2)],
        "real_ensemble": [read("real", 0, 0) + read("real", 0, 1)],
    }
    for method, sums in want.items():
        aucs = [roc_auc_score(truth, total[:, 1]) for total in sums]
        assert found["methods"][method]["auc"]["values"] == pytest.approx(aucs)


@pytest.mark.slow
def test_members_start_from_a_saved_generator(tmp_path: Path) -> None:
    """Half of the table first, the whole table from it: the members' first epochs begin where the other's ended."""
    words = ["breast_cancer", "generator=autoregressive", "members=1", "ratios=1", "learner=linear"]
    _tune(tmp_path, *words, "study=first", "test_fraction=0.5", "generator.epochs=8")
    saved = tmp_path / "studies" / "first" / "members" / "000"
    before = json.loads((saved / "member.json").read_text())["loss"]
    place = f"pretrained={saved / 'generator'}"
    _tune(tmp_path, *words, "study=second", place, "generator.epochs=2", "members=2")
    for k in range(2):
        tuned = json.loads((tmp_path / f"studies/second/members/{k:03d}/member.json").read_text())["loss"]
        assert tuned[0]["train"] < before[0]["train"] and "rate" in tuned[0]
    for word, says in (("pretrained=nowhere", "no generator.json"), ("generator=copula", "a saved copula generator")):
        process = _start(tmp_path, *words, "study=third", place, word)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 2 and "pretrained: got" in err and says in err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_torch_learner_gives_the_same_bits_at_the_same_number_of_workers(tmp_path: Path) -> None:
    words = ["breast_cancer", "generator=copula", "members=3", "ratios=1,2", "learner=torch_mlp", "workers=2"]
    for name in ("first", "second"):
        _tune(tmp_path, *words, f"storage={name}")
    first, second = (_files(tmp_path / name, "*-member-*.parquet") for name in ("first", "second"))
    assert first == second and first


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_hopeless_volumes_are_dropped_and_marked(tmp_path: Path) -> None:
    words = ["members=12", "ratios=0.01,1,2", "search.drop_hopeless=true", "target=MedHouseVal", "generator=copula"]
    words.append("learner=boosting")
    report, said = _tune(tmp_path, str(SHARED / "california_housing.parquet"), *words)
    assert "cannot become the best" in said
    assert report["cost"]["downstream_fits"] < 12 * 3 + 13
    surface = Folder.open(tmp_path / "studies" / "california_housing").read_table("surface.parquet").to_pylist()
    smallest = min(report["volumes"])
    assert {row["volume"] for row in surface if row["dropped"]} == {smallest}


TABLES = {
    "california_housing": ["target=MedHouseVal"],
    "heart_disease": ["target=num"],
    "credit_default": ["target=default.payment.next.month"],
    "abalone": ["target=Rings"],
}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", TABLES)
def test_real_tables_end_with_every_metric_and_valid_rows(tmp_path: Path, name: str) -> None:
    if not SHARED.exists():
        pytest.skip("the shared data folder is not beside the repository")
    report, _ = _tune(tmp_path, str(SHARED / f"{name}.parquet"), *TABLES[name], "members=4", "ratios=1,2")
    for method in ("dge", "naive_single", "naive_ensemble", "naive_concatenated", "real"):
        assert all(value is not None for value in report["test"][method].values()), method
    folder = Folder.open(tmp_path / "studies" / name)
    schema = TableSchema.from_json(folder.read_bytes("schema.json").decode())
    for member in folder.list("shards"):
        for part in folder.list(f"shards/{member}"):
            assert check_table(folder.read_table(f"shards/{member}/{part}"), schema) == []


def _fitting(study: Path) -> bool:
    return (study / "members" / "000" / "member.json").exists()


def _drawing(study: Path) -> bool:
    return (study / "shards").exists() and any((study / "shards").rglob("*.parquet"))


def _learning(study: Path) -> bool:
    return (study / "predictions").exists() and len(list((study / "predictions").glob("*.parquet"))) >= 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_every_stage(tmp_path: Path) -> None:
    """kill -9 of the driver while members fit, shards are drawn, and learners fit; the same command each time."""
    words = ["breast_cancer", "learner=boosting", "members=6", "ratios=1,2,4", "generator.epochs=20"]
    _tune(tmp_path, *words, "storage=undisturbed")
    study = tmp_path / "disturbed" / "breast_cancer"
    stages: list[Callable[[Path], bool]] = [_fitting, _drawing, _learning]
    kept: dict[str, int] = {}
    for stage in stages:
        process = _start(tmp_path, *words, "storage=disturbed")
        deadline = time.monotonic() + 300
        while not stage(study) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        time.sleep(5)  # workers outlive their driver by seconds; what they still write is whole
        now = {str(path): path.stat().st_mtime_ns for path in study.rglob("*.parquet")}
        now |= {str(path): path.stat().st_mtime_ns for path in study.rglob("member.json")}
        assert all(now[path] == stamp for path, stamp in kept.items())
        kept = now
    assert not (study / "report.json").exists()
    _tune(tmp_path, *words, "storage=disturbed")
    assert all(Path(path).stat().st_mtime_ns == stamp for path, stamp in kept.items())
    undisturbed = _files(tmp_path / "undisturbed", "*-00*.parquet")
    assert _files(tmp_path / "disturbed", "*-00*.parquet") == undisturbed and len(undisturbed) > 20
