"""What is found in a study's files, from predictions that are made up: every part is there, finite where it must be,
and told on the page and in figures; costs are those that the files note."""

import json
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report import parse

from dge_ray.config import read_config
from dge_ray.figures_laws import draw_laws
from dge_ray.findings import findings, member_costs
from dge_ray.outcomes import Outcome
from dge_ray.predictions import Job, tensor, write_predictions
from dge_ray.prepare import prepare
from dge_ray.report import render_html
from dge_ray.results import choose, plain_json
from dge_ray.storage import Folder


def made_up(source: str, words: list[str], tmp_path: Path, members: int) -> tuple[Folder, Outcome, dict[str, Any]]:
    """A study's files: predictions that near the truth as volumes grow, costs of 4 s a generator, 1 s a shard, 2 s a
    fit; and what `findings` takes of them."""
    prepared = prepare(read_config(source, [*words, f"members={members}", f"storage={tmp_path}"]))
    folder, generator = Folder.open(str(tmp_path / "made-up")), np.random.default_rng(0)
    truth = {part: prepared.truth(part) for part in ("validation", "test")}
    volumes = list(prepared.volumes)

    def values(error: float) -> dict[str, np.ndarray]:
        out = {}
        for part, y in truth.items():
            noise = 0.1 + error * generator.standard_normal((len(y), prepared.width))
            if prepared.task == "regression":
                out[part] = y[:, None] + y.std() * (0.5 * np.sin(np.arange(len(y)))[:, None] + noise)
            else:
                raw = np.clip(np.eye(prepared.width)[y] * 0.7 + 0.2 + noise, 0.01, None)
                out[part] = raw / raw.sum(axis=1, keepdims=True)
        return out

    classes = prepared.schema.classes
    jobs = [Job("member", k, m) for k in range(members) for m in volumes]
    for job in jobs:
        write_predictions(folder, prepared.label, job, values(0.3 * (job.volume / volumes[0]) ** -0.5), classes)
        folder.write_json(f"costs/{prepared.label}-{job.address}.json", {"cpu_seconds": 2.0})
    for k in range(members):
        folder.write_json(f"members/{k:03d}/member.json", {"cpu_seconds": 4.0})
        folder.write_json(f"members/{k:03d}/sampling.json", {"0": {"cpu_seconds": 1.0, "met": 1.0}})
    predictions = tensor(
        folder, prepared.label, members=members, volumes=volumes, width=prepared.width, rows=prepared.rows
    )
    choice = choose(prepared, predictions["validation"], truth["validation"], volumes)
    for job in [Job("real"), *(Job("ensemble", 0, choice.volume, k) for k in range(1, members))]:
        write_predictions(folder, prepared.label, job, values(0.2), classes)
    return folder, Outcome(prepared, volumes, predictions, choice), truth


def test_classification(tmp_path: Path) -> None:
    folder, one, truth = made_up("breast_cancer", ["generator=copula", "ratios=0.25,0.5,1,2,4"], tmp_path, members=6)
    prepared, found = one.prepared, plain_json(findings(one, folder, truth))
    json.dumps(found, allow_nan=False)
    assert set(found) == {"klaw", "joint_law", "learning_curve", "uncertainty", "subgroups"}
    assert [row["members"] for row in found["klaw"]["held_back"]] == [4, 5, 6]
    assert found["joint_law"]["status"] in ("fitted", "unidentified")
    assert found["joint_law"]["cheapest"]["cpu_seconds"] <= found["joint_law"]["best"]["cpu_seconds"]
    parts = found["uncertainty"]["entropy"]
    assert parts["total"] == pytest.approx(parts["aleatoric"] + parts["epistemic"], abs=1e-9)
    rows = found["uncertainty"]["conformal"]
    assert rows["calibration_rows"] + rows["rows"] == prepared.rows["test"]
    assert len(found["subgroups"]) == 60  # two tails of thirty columns
    page = render_html({"study": "s", "data": {"task": prepared.task}, **found}, {})
    text = " ".join(unescape(part) for part in parse(page).text)
    for words in ("R(K, m) = C + D m^-a", "left to a better generator", "mean radius >=", "conformal at 0.9"):
        assert words in text
    drawn = draw_laws(found)
    assert all(figure is not None for figure in drawn.values()), drawn


def test_regression_and_few_members(tmp_path: Path) -> None:
    folder, one, truth = made_up("diabetes", ["ratios=0.5,1,2"], tmp_path, members=3)
    found = plain_json(findings(one, folder, truth))
    json.dumps(found, allow_nan=False)
    assert "klaw" not in found and found["joint_law"]["status"] == "unidentified"
    assert "3 volumes" in found["learning_curve"]["reason"]
    assert set(found["uncertainty"]) == {"variance", "epistemic_share_of_squared_error", "conformal"}
    parse(render_html({"study": "s", "data": {"task": "regression"}, **found}, {}))


def test_costs_are_those_of_the_files(tmp_path: Path) -> None:
    folder, one, _ = made_up("diabetes", ["ratios=0.5,1,2", "shard_rows=100"], tmp_path, members=2)
    shards = [-(-m // 100) for m in one.volumes]
    costs = member_costs(folder, one.prepared.label, 2, one.volumes, 100)
    assert costs.tolist() == [4.0 + count + 2.0 for count in shards]
    assert member_costs(folder, one.prepared.label, 2, [*one.volumes, 10**6], 100)[-1] == 0.0
