"""A study whose learners and rows grow: synthetic rows and one learner, then several, then raw rows beside them.

Every fit is checked, bit by bit, against the same learner fitted here on the rows that are on disk.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.downstream import make_learner
from dge_ray.storage import Folder
from dge_ray.study.folder import read_study_config
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.predictions import Job, finished, learner_seed, read_predictions
from dge_ray.table import Columns, TableCodec, load_table, to_pandas

WORDS = ["t.parquet", "target=target", "split_column=part", "generator=copula", "members=2", "ratios=0.5,2"]
SEVERAL = "learner=[linear, tree, boosting_stopped]"


def _start(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
    command = [sys.executable, "-m", "dge_ray.cli", "tune", *WORDS, *words, "folds=1", "workers=2", "--json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def _tune(folder: Path, *words: str) -> dict:
    process = _start(folder, *words)
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    return json.loads(out)


def _stamps(study: Path) -> dict[str, int]:
    """When each finished thing was written; the surface is one of all learners."""
    kept = [*study.rglob("*.parquet"), *study.rglob("member.json")]
    return {str(path): path.stat().st_mtime_ns for path in kept if path.name != "surface.parquet"}


def _write_table(folder: Path) -> None:
    frame = to_pandas(load_table("breast_cancer")).iloc[:, [0, 1, 4, -1]]
    draws = np.random.default_rng(0).random(len(frame))
    frame["part"] = np.select([draws < 0.5, draws < 0.65, draws < 0.8], ["train", "raw", "validation"], "test")
    frame.to_parquet(folder / "t.parquet")


def _rows(prepared: Prepared, folder: Folder, job: Job) -> Columns:
    """The real rows and the synthetic ones that a fit learns from, encoded."""
    tables = []
    if job.kind in ("real", "raw"):
        tables.append(prepared.parts["train" if job.kind == "real" else "raw"])
    elif prepared.augmented:
        tables.append(prepared.parts["raw"])
    for k in job.members:
        names = sorted(folder.list(f"shards/member={k:03d}"))
        shards = [folder.read_table(f"shards/member={k:03d}/{name}") for name in names]
        tables.append(pa.concat_tables(shards).slice(0, job.volume))
    codec = TableCodec(prepared.schema)
    parts = [codec.encode(table) for table in tables]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _check_bits(study: Path, storage: str) -> int:
    """Every prediction of the study's learners, refitted here; gives how many there are."""
    folder = Folder.open(str(study))
    config = read_study_config(folder).model_copy(update={"source": str(study.parents[1] / "t.parquet")})
    checked = 0
    prepared = prepare(config)
    real = prepared.encoded()
    for arm in prepared.arms:
        name, settings = arm.learner.name, arm.learner.settings
        if name == "torch_mlp":  # its bits are promised for the same number of threads alone
            continue
        grid = [Job("member", k, m) for k in range(2) for m in arm.volumes]
        others = [job for m in arm.volumes for job in prepared.baselines(arm, 2, [m])]
        for job in finished(folder, arm.label, [*grid, *others]):
            learner = make_learner(name, settings, prepared.schema, seed=learner_seed(config.seed, job))
            rows = _rows(prepared, folder, job)
            count, weight = len(rows["target"]), arm.weight
            if weight and job.rows:
                raw = prepared.base
                learner.fit(rows, np.where(np.arange(count) < raw, 1.0, weight * raw / job.rows))  # type: ignore[call-arg]
            else:
                learner.fit(rows)
            kept = read_predictions(folder, arm.label, job, 2)
            for part in ("validation", "test"):
                np.testing.assert_array_equal(kept[part], learner.predict(real[part]), err_msg=f"{storage} {job}")
            checked += 1
    return checked


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_learners_and_raw_rows_are_added_and_nothing_is_done_again(tmp_path: Path) -> None:
    _write_table(tmp_path)
    study = tmp_path / "studies" / "t"
    first = _tune(tmp_path, "learner=linear", "tracking=false")
    assert first["learner"] == "linear" and "learners" not in first and "raw" in first["test"]
    kept = _stamps(study)

    several = _tune(tmp_path, SEVERAL)
    assert [row["learner"] for row in several["learners"]][:2] == ["linear", "tree"]
    best = min(several["learners"], key=lambda row: row["validation"])
    assert best["chosen"] and several["learner"] == best["learner"]
    shared = ("volume", "ratio", "interval", "status", "risk", "risk_interval")
    assert {key: several["reflection_point"][key] for key in shared} == {key: best[key] for key in shared}
    linear = next(row for row in several["learners"] if row["learner"] == "linear")
    assert {key: linear[key] for key in shared} == {key: first["reflection_point"][key] for key in shared}
    assert _check_bits(study, "synthetic") >= 3 * (2 * 2 + 4)
    now = _stamps(study)
    assert {path: now[path] for path in kept} == kept and len(now) > len(kept)

    augmented = _tune(tmp_path, SEVERAL, "rows=augmented", "ratios=0,0.5,2", "tracking=false")
    assert augmented["rows"] == "augmented" and augmented["volumes"][0] == 0 and "joint_law" not in augmented
    assert {row["learner"] for row in augmented["learners"]} == {
        "linear-augmented",
        "tree-augmented",
        "boosting_stopped-augmented",
    }
    assert _check_bits(study, "augmented") >= 3 * (2 * 3 + 4)
    later = _stamps(study)
    assert {path: later[path] for path in now} == now  # generators, shards and the other fits are as they were
    surface = Folder.open(str(study)).read_table("surface.parquet")
    assert len(set(surface["learner"].to_pylist())) == 6

    again = _tune(tmp_path, SEVERAL, "rows=augmented", "ratios=0,0.5,2", "tracking=false")
    assert _stamps(study) == later
    for part in ("reflection_point", "learners", "test", "test_differences", "volumes"):
        assert again[part] == augmented[part]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_weights_are_an_axis_of_the_study(tmp_path: Path) -> None:
    """Two learners at three weights; members grow by themselves. Then one more weight: only its fits are done."""
    _write_table(tmp_path)
    study = tmp_path / "studies" / "t"
    learners = "learner=[linear, {name: torch_mlp, loss: beta_divergence, min_steps: 60}]"
    words = [learners, "rows=augmented", "members=auto", "max_members=4", "tracking=false"]
    report = _tune(tmp_path, *words, "weights=0.3,1")
    assert report["config"]["weights"] == [0.0, 0.3, 1.0] and len(report["learners"]) == 6 and report["members"] == 4
    found = {(row["learner"], row["weight"]): row for row in report["weights"]}
    assert len(found) == 6 and sum(row["safe"] for row in found.values()) == 2
    safe = [f"weight={row['weight']:g}" for row in report["weights"] if row["safe"]]
    assert report["learner"].endswith(tuple(safe))
    for (_, weight), row in found.items():
        assert (row["volume"] == 0) == (weight == 0) and (weight or row["difference"] == 0)
        assert row["safe"] <= (weight == 0 or row["limit"] < 0)
    # of each learner 4 fits on the raw rows and 4 at two volumes for each weight; 3 seeds, C, real and raw each
    assert report["cost"]["downstream_fits"] == 2 * (4 + 2 * 4 * 2 + 3 * 6)
    assert _check_bits(study, "weights") >= 2 * 5 + 2 * 2 * 2
    kept = _stamps(study)
    again = _tune(tmp_path, *words, "weights=0.3,1,3")
    now = _stamps(study)
    assert {path: now[path] for path in kept} == kept and len(now) > len(kept)
    volumes = {(row["learner"], row["weight"]): row["volume"] for row in again["weights"]}
    assert {key: volumes[key] for key in found} == {key: row["volume"] for key, row in found.items()}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_among_several_learners(tmp_path: Path) -> None:
    """kill -9 once a few fits are done; the same command ends with the undisturbed study's bytes."""
    _write_table(tmp_path)
    words = [SEVERAL, "rows=augmented", "ratios=0,1", "tracking=false"]
    _tune(tmp_path, *words, "storage=undisturbed")
    process = _start(tmp_path, *words, "storage=disturbed")
    study, deadline = tmp_path / "disturbed" / "t", time.monotonic() + 300
    while len(list((study / "predictions").glob("*"))) < 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(5)  # workers outlive their driver by seconds; what they still write is whole
    kept = _stamps(study)
    assert kept and not (study / "report.json").exists()
    _tune(tmp_path, *words, "storage=disturbed")
    now = _stamps(study)
    assert {path: now[path] for path in kept} == kept
    both = [
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*-0*.parquet")}
        for name in ("undisturbed", "disturbed")
    ]
    assert both[0] == both[1] and len(both[0]) >= 3 * 8
