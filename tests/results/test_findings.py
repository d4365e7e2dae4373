"""What is found in a study's files, from predictions that are made up: every part is there, finite where it must be,
and told on the page and in figures; costs are those that the files note."""

import json
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.pages import parse
from scipy.stats import binomtest

from dge_ray.phrases import number
from dge_ray.report.figures.laws import LAW_FIGURES
from dge_ray.report.json_values import plain_json
from dge_ray.report.study_page import render_html
from dge_ray.report.words.findings import findings_rows, group_cells
from dge_ray.results import worst_case
from dge_ray.results.assemble import choose
from dge_ray.results.findings import findings, member_costs, members_law, written_date
from dge_ray.results.outcomes import Outcome
from dge_ray.stats.volume.learning_curve import TOO_SLOW, learning_curve
from dge_ray.stats.volume.volume_law import VolumeLaw, least_bound
from dge_ray.storage import Folder
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config
from dge_ray.study.records.predictions import Job, tensor, write_predictions
from dge_ray.table.schema.table_schema import Column, Kind


def made_up(source: str, words: list[str], tmp_path: Path, members: int) -> tuple[Folder, Outcome, dict[str, Any]]:
    """A study's files: predictions that near the truth as volumes grow, costs of 4 s a generator, 1 s a shard, 2 s a
    fit; and what `findings` takes of them."""
    prepared = prepare(read_config(source, ["learner=boosting", *words, f"members={members}", f"storage={tmp_path}"]))
    (arm,) = prepared.arms
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
        write_predictions(folder, arm.label, job, values(0.3 * (job.volume / volumes[0]) ** -0.5), classes)
        folder.write_json(f"costs/{arm.label}-{job.address}.json", {"cpu_seconds": 2.0})
    for k in range(members):
        folder.write_json(f"members/{k:03d}/member.json", {"cpu_seconds": 4.0})
        folder.write_json(f"members/{k:03d}/sampling.json", {"0": {"cpu_seconds": 1.0, "met": 1.0}})
    predictions = tensor(folder, arm.label, members=members, volumes=volumes, width=prepared.width, rows=prepared.rows)
    choice = choose(prepared, predictions["validation"], truth["validation"], volumes)
    for job in [Job("real"), *(Job("ensemble", 0, choice.volume, k) for k in range(1, members))]:
        write_predictions(folder, arm.label, job, values(0.2), classes)
    return folder, Outcome(prepared, arm, volumes, predictions, choice), truth


def test_classification(tmp_path: Path) -> None:
    folder, one, truth = made_up("breast_cancer", ["generator=copula", "ratios=0.25,0.5,1,2,4"], tmp_path, members=6)
    prepared, found = one.prepared, plain_json(findings(one, folder, truth))
    json.dumps(found, allow_nan=False)
    assert set(found) == {*("klaw", "joint_law", "learning_curve", "curve", "uncertainty", "classes", "subgroups")}
    assert found["curve"]["call"] in ("falls", "undecided") and len(found["curve"]["differences"]) == 5
    assert [row["members"] for row in found["klaw"]["held_back"]] == [4, 5, 6]
    assert found["joint_law"]["status"] in ("fitted", "unidentified")
    assert found["joint_law"]["cheapest"]["cpu_seconds"] <= found["joint_law"]["best"]["cpu_seconds"]
    parts = found["uncertainty"]["entropy"]
    assert parts["total"] == pytest.approx(parts["aleatoric"] + parts["epistemic"], abs=1e-9)
    rows = found["uncertainty"]["conformal"]
    assert rows["calibration_rows"] + rows["rows"] == prepared.rows["test"]
    exact = binomtest(round(rows["covered"] * rows["rows"]), rows["rows"]).proportion_ci(method="exact")
    assert rows["covered_interval"] == pytest.approx([exact.low, exact.high])
    assert len(found["subgroups"]) == 60  # two tails of thirty columns
    page = render_html({"study": "s", "data": {"task": prepared.task}, **found}, {})
    text = " ".join(unescape(part) for part in parse(page).text)
    sought = (
        "R(K, m) = C + D m^-a",
        "would better the log loss",
        "mean radius >=",
        "promise 0.9",
        "50 more",
        "Calibration by class",
    )
    assert all(words in text for words in sought)
    said = dict(findings_rows({"data": {"task": prepared.task}, **found})["Uncertainty"])
    sets = next(text for name, text in said.items() if name.startswith("conformal sets of classes"))
    assert f"(95 % interval {number(exact.low)} to {number(exact.high)}); sets hold" in sets
    no_surface = pa.table({})
    drawn = {figure.name: figure.draw(found, no_surface) for figure in LAW_FIGURES}
    # too few rows of either class, and a law that three volumes do not identify
    assert {name for name, figure in drawn.items() if figure is None} == {"subgroups", "learning_curve"}
    assert found["learning_curve"]["status"] == "unidentified"


def test_regression_and_few_members(tmp_path: Path) -> None:
    folder, one, truth = made_up("diabetes", ["ratios=0.5,1,2"], tmp_path, members=3)
    found = plain_json(findings(one, folder, truth))
    json.dumps(found, allow_nan=False)
    assert "klaw" not in found and found["joint_law"]["status"] == "unidentified"
    assert "3 volumes" in found["learning_curve"]["reason"]
    assert set(found["uncertainty"]) == {"variance", "epistemic_share_of_squared_error", "conformal"}
    parse(render_html({"study": "s", "data": {"task": "regression"}, **found}, {}))


def group(name: str, lost: float, *, rows: int = 40, differs: str = "") -> dict[str, Any]:
    ends = [lost - 0.01, lost + 0.01] if rows >= 10 else [None, None]
    differences = {method: [lost, *ends] for method in ("naive_single", "naive_ensemble", "real")}
    clear = {method: method == differs for method in differences}
    return {
        "group": name,
        "share": 0.05,
        "rows": rows,
        "risk": [0.2, *ends],
        "differences": differences,
        "clear": clear,
    }


def test_groups_worth_a_look_come_first_and_the_rest_is_folded() -> None:
    """Those that differ from the naive ensemble or real rows, then the dearest against real rows, then small ones."""
    plain = [group(f"plain {i:02d}", i / 1000) for i in range(20)]
    small = group("small", 0.9, rows=7)
    report = {"subgroups": [small, *plain, group("apart", -0.2, differs="real"), group("single", -0.3)]}
    _, lines, _ = group_cells(report)
    names = [line[0] for line in lines]
    assert names == ["apart", *(f"plain {i:02d}" for i in range(19, -1, -1)), "single", "small"]
    assert lines[-1][2] == "7: too few to say" and lines[-1][3] == "0.2000" and lines[0][2] == "40"
    page = render_html({"study": "s", **report}, {})
    shown, folded = page.split("<details><summary>13 more</summary>")
    assert "apart" in shown and "plain 11" in shown and "plain 10" in folded and "small" in folded
    assert "more</summary>" not in render_html({"study": "s", "subgroups": plain[:10]}, {})


CELL = {"members": 4, "volume": 800, "cpu_seconds": 12.0, "risk": 0.1, "excess": [0.005, 0.001, 0.012]}
JOINT = {
    "status": "fitted",
    "reason": "r",
    "metric": "brier",
    "epsilon": 0.02,
    **{part: [0.1, 0.05, 0.2] for part in ("floor", "rows", "generators", "variance")},
    "best": {**CELL, "members": 8, "excess": [0.0, 0.0, 0.0]},
    "cheapest": CELL,
    "members_range": [2, 5],
    "volume_range": [400, 1600],
}
CURVE = {"status": "fitted", "reason": "r", "metric": "log_loss", "floor": [0.3, 0.2, 0.4], "exponent": [0.7, 0.2, 1.1]}


def test_figures_of_the_laws_are_named_and_left_out_where_they_are_not_known() -> None:
    def said(joint: dict[str, Any], gain: list[float]) -> tuple[dict[str, str], dict[str, str]]:
        curve = {**CURVE, "status": joint["status"], "reason": joint["reason"], "still_to_gain": gain}
        sections = findings_rows({"joint_law": joint, "learning_curve": curve})
        return dict(sections["Law in members and volume"]), dict(sections["More rows, or a better generator?"])

    joint, curve = said(JOINT, [0.02, 0.01, 0.03])
    assert joint["best cell of the grid"] == "8 members with 800 rows each, 12 CPU-seconds"
    cheapest = next(text for name, text in joint.items() if name.startswith("cheapest cell within 2 %"))
    assert cheapest.endswith("; risk above the best cell's by 0.50 % (95 % interval 0.10 % to 1.20 %)")
    gained = "endlessly many rows would better the log loss of the largest volume by"
    assert curve[gained] == "0.0200 (95 % interval 0.0100 to 0.0300)" and "exponent a" in curve
    joint, curve = said({**JOINT, "status": "unidentified"}, [0.0, 0.0, 0.2564])
    assert not any("floor" in name or "variance" in name for name in joint) and "best cell of the grid" in joint
    assert curve[gained] == "nothing that could be told from 0, and 0.2564 at the most"
    assert set(curve) == {"error = D m^-a + C", gained, "floor C (log loss), whatever the rows"}
    _, curve = said({**JOINT, "status": "unidentified", "reason": TOO_SLOW}, [0.0, 0.0, 0.2564])
    assert set(curve) == {"error = D m^-a + C", gained}


def test_the_worst_case_law_needs_rows_that_can_be_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, one, truth = made_up("diabetes", ["ratios=0.125,0.25,0.5,1"], tmp_path, members=3)
    prepared, validation, y = one.prepared, one.predictions["validation"], truth["validation"]
    curve = learning_curve(validation, y, task="regression", volumes=one.volumes)
    assert curve.metric == "rmse"

    def law(status: str = "fitted") -> VolumeLaw | None:
        known = replace(curve, status=status, exponent=(0.7, 0.5, 0.9), scale=50.0)
        return worst_case.worst_case_volume(prepared, folder, validation, y, one.volumes, known)

    assert law() is None, "without rows there is nothing to tell apart"
    train = prepared.parts["train"]
    place = train.schema.get_field_index("s5")
    strange = train.set_column(place, "s5", pa.array(2.0 * train["s5"].to_numpy()))
    folder.write_table("shards/member=000/part-00000.parquet", strange)
    found = law()
    assert found is not None and found.volume is not None and found.distance is not None
    worst = float(((validation[:, -1].mean(axis=0)[:, 0] - y) ** 2).max())
    assert found.loss_bound == pytest.approx(worst, rel=1e-5)
    assert found.volume == pytest.approx(least_bound(2 * curve.curve[-1] * 50.0, 0.7, worst, found.distance), rel=1e-4)
    assert law("unidentified") is None
    blind = SimpleNamespace(c2st=0.52, c2st_interval=(0.47, 0.57))
    monkeypatch.setattr(worst_case, "density_ratio", lambda *_, **__: (None, blind))
    found = law()
    assert found is not None and (found.volume, found.distance, found.accuracy) == (None, None, 0.52)


@pytest.mark.parametrize(
    ("kind", "count", "shown"),
    [
        ("date32[day]", 18120.2, "2019-08-12"),
        ("timestamp[s]", 1_500_000_000.0, "2017-07-14 02:40:00"),
        ("timestamp[us]", 1.5e15, "2017-07-14 02:40:00"),
    ],
)
def test_a_date_is_written_as_one(kind: str, count: float, shown: str) -> None:
    assert written_date(Column("seen", Kind.DATETIME, kind), count) == shown


def test_costs_are_those_of_the_files(tmp_path: Path) -> None:
    folder, one, _ = made_up("diabetes", ["ratios=0.5,1,2", "shard_rows=100"], tmp_path, members=2)
    shards = [-(-m // 100) for m in one.volumes]
    costs = member_costs(folder, one.arm.label, 2, one.volumes, 100)
    assert costs.tolist() == [4.0 + count + 2.0 for count in shards]
    assert member_costs(folder, one.arm.label, 2, [*one.volumes, 10**6], 100)[-1] == 0.0


def test_few_rows_of_the_rarest_class_give_no_bound_on_the_members(tmp_path: Path) -> None:
    """Of 42 test rows of the rarest class a bound is told; of the first 60 test rows, with fewer than 30, none is."""
    _, one, truth = made_up("breast_cancer", ["generator=copula", "ratios=1"], tmp_path, members=4)
    p, y = np.asarray(one.at_choice, dtype=np.float64), truth["test"]
    enough, few = members_law(one.prepared, p, y, cost=1.0), members_law(one.prepared, p[:, :60], y[:60], cost=1.0)
    assert enough["rows_of_the_rarest"] == 42 and enough["members_within_upper"] >= enough["members_within"]
    assert few["rows_of_the_rarest"] < 30 and few["members_within_upper"] is None
    said = dict(findings_rows({"klaw": few})["Enough members?"])
    assert any("too few for a bound" in text for text in said.values())
