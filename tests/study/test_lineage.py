"""A table that holds synthetic rows: how they are found, what the study says, and U over the generations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dge_ray.errors import InputError
from dge_ray.report.study_page import render_html
from dge_ray.report.utility_page import utility_lines
from dge_ray.stats.utility.loops import trend
from dge_ray.storage import Folder
from dge_ray.study.lineage import Lineage, generations, mark_of
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.table.marks import KEY, marked, read_mark

MARK = {"bundle": "b1", "member": 0, "generation": 1, "share": 0.0}


def entry(generation: int, value: float, *, loss: str = "log_loss", half: float = 0.001) -> dict[str, Any]:
    measured = {"loss": loss, "learner": "linear", "value": value, "interval": [value - half, value + half]}
    return {"generation": generation, "share": 0.0, "utility": measured}


def rows(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pa.table({"x": x, "y": np.where(x + rng.normal(size=n) > 0, "yes", "no")})


def prepared(source: Path, *words: str) -> tuple[Prepared, list[str]]:
    said: list[str] = []
    return prepare(read_config(str(source), ["target=y", "generator=copula", *words]), said.append), said


def folder_of(place: Path, *tables: pa.Table) -> Path:
    for j, table in enumerate(tables):
        pq.write_table(table, place / f"part-{j}.parquet")
    return place


def test_a_table_without_synthetic_rows_has_no_lineage(tmp_path: Path) -> None:
    found, said = prepared(folder_of(tmp_path, rows(200, 0), rows(200, 1)))
    assert found.lineage is None and said == []


def test_marked_files_among_others_are_counted(tmp_path: Path) -> None:
    older = marked(rows(300, 2), {**MARK, "generation": 3, "history": [entry(2, 0.01), entry(3, 0.02)]})
    found, said = prepared(folder_of(tmp_path, rows(600, 0), marked(rows(100, 1), MARK), older))
    lineage = found.lineage
    assert lineage is not None
    assert lineage.generation == 4  # one more than the youngest rows in it
    assert lineage.history == (entry(2, 0.01), entry(3, 0.02))
    assert sum(lineage.synthetic.values()) == 400
    assert lineage.rows == found.rows
    # The split is at random: every part has its share of them.
    assert lineage.share == pytest.approx(0.4, abs=0.08)
    assert lineage.ratio == pytest.approx(lineage.share / (1 - lineage.share))
    told = "\n".join(said)
    assert "generation 4" in told and "under the two thirds" in told and "test rows are synthetic" in told
    assert set(found.warnings) == {line.removeprefix("warning: ") for line in said}


def test_enough_real_rows_are_not_warned_of(tmp_path: Path) -> None:
    _, said = prepared(folder_of(tmp_path, rows(900, 0), marked(rows(100, 1), MARK)))
    assert any("keep the original real rows" in line for line in said)
    assert not any("two thirds" in line for line in said)


def test_one_marked_file_is_all_synthetic(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(marked(rows(200, 0), MARK), path)
    found, said = prepared(path)
    assert found.lineage is not None
    assert (found.lineage.share, found.lineage.ratio, found.lineage.generation) == (1, None, 2)
    assert any("no real one" in line for line in said)


def test_a_damaged_mark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(rows(200, 0).replace_schema_metadata({KEY: b"{"}), path)
    with pytest.raises(InputError, match="mark of synthetic rows"):
        prepared(path)


@pytest.mark.parametrize(
    "bad",
    [
        [1],
        [{}],
        [{**entry(1, 0.0), "generation": "1"}],
        [{**entry(1, 0.0), "share": None}],
        [{**entry(1, 0.0), "utility": 3}],
        [{**entry(1, 0.0), "utility": {"loss": "log_loss"}}],
        [entry(1, 0.0, half=0.0)],
        {"generation": 1},
    ],
)
def test_a_history_that_tells_nothing_is_a_damaged_mark(bad: Any) -> None:
    with pytest.raises(InputError, match="mark of synthetic rows"):
        marked(rows(5, 0), {**MARK, "history": bad})


def test_a_column_may_say_it_row_by_row(tmp_path: Path) -> None:
    table = rows(500, 0)
    made = np.random.default_rng(1).random(500) < 0.3
    split = np.where(np.arange(500) < 300, "train", np.where(made, "train", "test"))
    frame = table.to_pandas().assign(made=made, part=split)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    found, said = prepared(tmp_path / "t.parquet", "synthetic_column=made", "split_column=part")
    assert found.lineage is not None
    assert found.schema.names == ["x", "y"]  # it is no feature
    assert sum(found.lineage.synthetic.values()) == made.sum()
    assert found.lineage.synthetic["test"] == 0  # those of the test part are all real
    assert found.lineage.generation == 2
    assert not any("test rows are synthetic" in line for line in said)


def test_numbers_and_csv_will_do_and_no_synthetic_row_is_none(tmp_path: Path) -> None:
    frame = rows(200, 0).to_pandas()
    frame.assign(made=(np.arange(200) % 2)).to_csv(tmp_path / "t.csv", index=False)
    found, _ = prepared(tmp_path / "t.csv", "synthetic_column=made")
    assert found.lineage is not None and sum(found.lineage.synthetic.values()) == 100
    frame.assign(made=False).to_csv(tmp_path / "u.csv", index=False)
    none, _ = prepared(tmp_path / "u.csv", "synthetic_column=made")
    assert none.lineage is None and none.schema.names == ["x", "y"]


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("nobody", [True] * 200, "no column"),
        ("y", [True] * 200, "the target"),
        ("made", ["yes"] * 200, "true or false"),
        ("made", [2] * 200, "true or false"),
        ("made", [None, *[True] * 199], "true or false"),
    ],
)
def test_what_says_nothing_is_refused(tmp_path: Path, column: str, values: list, says: str) -> None:
    rows(200, 0).to_pandas().assign(made=pd.array(values)).to_parquet(tmp_path / "t.parquet", index=False)
    with pytest.raises(InputError, match=says):
        prepared(tmp_path / "t.parquet", f"synthetic_column={column}")


def test_rows_without_a_target_are_taken_out_of_the_count(tmp_path: Path) -> None:
    table = rows(200, 0)
    gaps = pa.array([None if j < 50 else y for j, y in enumerate(table["y"].to_pylist())])
    second = table.set_column(1, "y", gaps)
    found, _ = prepared(folder_of(tmp_path, rows(200, 1), marked(second, MARK)), "drop_missing_target=true")
    assert found.lineage is not None
    assert sum(found.lineage.synthetic.values()) == 150 and sum(found.rows.values()) == 350


LINEAGE = Lineage({"train": 100, "test": 20}, {"train": 60, "test": 0}, 3, (entry(1, 0.010), entry(2, 0.020)))


def test_it_is_in_the_report_and_on_its_page() -> None:
    found = LINEAGE.as_json()
    assert (found["share"], found["ratio"], found["generation"]) == (0.6, 1.5, 3)
    page = render_html({"study": "s", "data": {"rows": {"train": 100}}, "synthetic_input": found}, {})
    assert "generation of the rows that this study makes" in page and "1.5" in page
    assert "generation" not in render_html({"study": "s", "data": {"rows": {"train": 100}}}, {}).split("Versions")[0]


def utility_report(value: float, half: float, loss: str = "log_loss") -> dict[str, Any]:
    return {
        "loss": loss,
        "utility": {"linear": {loss: {"difference": value, "interval": (value - half, value + half)}}},
    }


@pytest.mark.parametrize(("value", "says"), [(0.03, "rising"), (0.0, "falling"), (0.0151, "undecided")])
def test_the_trend_of_u_over_generations(value: float, says: str) -> None:
    half = 0.001 if says != "undecided" else 0.05
    history = tuple(entry(g, v, half=half) for g, v in ((1, 0.010), (2, 0.020)))
    lineage = Lineage(LINEAGE.rows, LINEAGE.synthetic, 3, history)
    found = generations(lineage, utility_report(value, half))["generations"]
    assert [one["generation"] for one in found["known"]] == [1, 2, 3]
    told = trend([1, 2, 3], [0.010, 0.020, value], [half / 1.959963984540054] * 3)
    assert found["trend"]["slope"] == pytest.approx(told.slope)
    assert found["trend"]["interval"] == pytest.approx(told.interval)
    assert found["trend"]["direction"] == says
    assert json.loads(json.dumps(found)) is not None


def test_generations_in_another_loss_are_left_out() -> None:
    found = generations(LINEAGE, utility_report(0.1, 0.01, "squared_error"))["generations"]
    assert [one["generation"] for one in found["known"]] == [3]
    assert found["trend"] is None


def test_the_utility_report_says_it() -> None:
    report = {
        **utility_report(0.03, 0.001),
        "study": "s",
        "members": 2,
        "volume": 10,
        "rows": {"train": 100, "test": 20},
        "ranking": None,
        "ingredients": {"overlap": {"mean": {}}, "response_error": {"value": 0.0, "interval": (0.0, 0.0)}},
        "given": "given this",
    }
    report["utility"]["linear"]["log_loss"] |= {"verdict": "PASS", "bounds": (0, 0.05), "margin": 0.1}
    assert not any("generation" in line for line in utility_lines(report))
    lines = utility_lines(report | generations(LINEAGE, report))
    assert any("by generation: 1: " in line and "rising" in line for line in lines)


def test_what_a_bundle_carries_on(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    folder.write_json("report.json", {"study": "s"})
    fresh = mark_of(folder)  # of a study of real rows, without a utility report
    assert fresh == {"generation": 1, "share": 0.0, "history": [{"generation": 1, "share": 0.0, "utility": None}]}
    folder.write_json("report.json", {"synthetic_input": LINEAGE.as_json()})
    folder.write_json("utility.json", utility_report(0.03, 0.001))
    told = mark_of(folder)
    assert (told["generation"], told["share"]) == (3, 0.6)
    assert [one["generation"] for one in told["history"]] == [1, 2, 3]
    assert told["history"][-1]["utility"]["value"] == 0.03
    carried = read_mark(marked(rows(5, 0), {"bundle": "b", "member": 0, **told}).schema)
    assert carried is not None and carried["history"] == told["history"]
