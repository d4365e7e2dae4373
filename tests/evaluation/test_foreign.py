"""Tables of other tools, judged by real rows: written as those tools write them they are the same rows, a good table is
told from a bad one, and real rows that are handed in as synthetic are found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dge_ray
from dge_ray.errors import InputError
from dge_ray.evaluation.foreign import (
    ALL,
    REAL,
    ForeignTables,
    _likeness,
    _nearest,
    _nearness,
    _predictions,
    _usefulness,
    halves,
    rows_of,
)
from dge_ray.generators.tables.reading import MadeTables
from dge_ray.report.foreign_page import render_page
from dge_ray.report.words.foreign import foreign_lines, sentences, told_apart
from dge_ray.table import TableCodec, from_pandas, infer_schema

Run = Callable[..., tuple[int, str, str]]


def people(rows: int, seed: int, *, bad: bool = False) -> pd.DataFrame:
    """A whole number, an amount, a category, a truth value, a day and the target. `bad`: the columns are right one by
    one but for the amounts, and know nothing of each other."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 90, rows)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), "D")
    city, member = rng.choice(["Ayr", "Bonn", "Cork"], rows, p=[0.5, 0.3, 0.2]), rng.random(rows) < 0.4
    income = np.round(np.exp(rng.normal(7 + 0.01 * age, 0.4)) * (1.6 if bad else 1.0), 2)
    signal = 0.05 * (age - 50) + (city == "Ayr") + rng.normal(0, 0.7, rows)
    y = np.where(signal > 0.5, "yes", "no")
    frame = pd.DataFrame({"age": age, "income": income, "city": city, "member": member, "day": day, "y": y})
    return frame.assign(age=rng.permutation(age)) if bad else frame


def as_sdv(frame: pd.DataFrame, place: Path) -> None:
    """CSV: categories and truth values as texts, whole numbers as floats, days as texts."""
    texts = {"age": frame["age"].astype(float), "member": frame["member"].astype(str).astype(object)}
    frame.assign(**texts, day=frame["day"].dt.strftime("%Y-%m-%d"), city=frame["city"].astype(object)).to_csv(
        place / "sdv.csv", index=False
    )


def as_ctgan(frame: pd.DataFrame, place: Path) -> None:
    """CSV with row numbers: floats that nothing has rounded."""
    odd = frame.assign(
        age=frame["age"] + 0.0312, income=frame["income"] + 1.3e-4, city=frame["city"].astype("category")
    )
    odd.to_csv(place / "ctgan.csv")


def as_mostlyai(frame: pd.DataFrame, place: Path) -> None:
    """Parquet: whole numbers that may be null, days as dates, texts as Arrow's."""
    table = pa.table(
        {
            "age": pa.array(frame["age"].astype("Int64")),
            "income": pa.array(frame["income"].astype("Float64")),
            "city": pa.array(frame["city"], pa.large_string()),
            "member": pa.array(frame["member"].astype("boolean")),
            "day": pa.array(frame["day"].dt.date, pa.date32()),
            "y": pa.array(frame["y"], pa.string()).dictionary_encode(),
        }
    )
    pq.write_table(table, place / "mostlyai.parquet")


FRAME = people(500, 0)
SCHEMA = infer_schema(from_pandas(FRAME), target="y")
WRITERS = {"sdv.csv": as_sdv, "ctgan.csv": as_ctgan, "mostlyai.parquet": as_mostlyai}


def encoded(frame: pd.DataFrame) -> Any:
    return TableCodec(SCHEMA).encode(from_pandas(frame))


def foreign(tables: list[pd.DataFrame], *, held_out: bool = True, seed: int = 0) -> ForeignTables:
    real = encoded(FRAME)
    seen, unseen = (real, encoded(people(300, 1))) if held_out else halves(real, SCHEMA, seed)
    return ForeignTables(SCHEMA, [encoded(one) for one in tables], seen, unseen, held_out, "logistic", {}, seed)


@pytest.mark.parametrize("name", WRITERS)
def test_what_other_tools_write_are_the_same_rows(name: str, tmp_path: Path) -> None:
    frame = people(80, 3)
    frame["day"] = frame["day"].clip(FRAME["day"].min(), FRAME["day"].max())
    frame["income"] = frame["income"].clip(FRAME["income"].min(), FRAME["income"].max())
    WRITERS[name](frame, tmp_path)
    for place in (tmp_path, tmp_path / name):  # a folder with a table a file, and one file
        tables = MadeTables(str(place))
        found = tables.find(0, SCHEMA)
        assert tables.names == [name] and found.strange == {}
        for column, values in encoded(frame).items():
            np.testing.assert_allclose(found.columns[column], values, atol=1e-9, err_msg=column)


def test_what_no_real_row_has_is_counted_and_not_refused(tmp_path: Path) -> None:
    frame = people(50, 4).astype({"age": float})
    frame.loc[:3, "city"], frame.loc[4:5, "age"], frame.loc[6, "age"] = "Oslo", np.nan, 300.0
    frame["income"] = 2000.0
    frame.to_csv(tmp_path / "a.csv", index=False)
    found = MadeTables(str(tmp_path)).find(0, SCHEMA)
    assert found.strange == {"city": 4, "age": 3}
    assert (found.columns["city"][:4] == -1).all() and found.columns["age"][6] == 300
    with pytest.raises(InputError, match="2 missing values in 'age'; takes none there"):
        MadeTables(str(tmp_path)).read(0, SCHEMA, seed=0)


@pytest.mark.slow
def test_a_good_table_is_told_from_a_bad_one() -> None:
    """Tables of the real law are as real rows are: within three standard errors of an AUC of 300 rows a side, .024
    each. The bad one's amounts are 60 % too high, and its target knows nothing of age."""
    judged = foreign([people(300, 5), people(300, 6, bad=True)])
    real, good, bad = (_likeness(judged, k, 300) for k in (REAL, 0, 1))
    assert abs(good["two_sample_auc"] - 0.5) < 0.075 and abs(real["two_sample_auc"] - 0.5) < 0.075
    assert bad["interval"][0] > max(real["interval"][1], good["interval"][1])
    assert bad["shape_error"] > 1.5 * good["shape_error"] and bad["trend_error"] > 1.3 * good["trend_error"]
    assert bad["columns"]["income"] == max(bad["columns"].values())


def test_a_useless_table_is_told_from_a_useful_one() -> None:
    judged = foreign([people(300, 5), people(300, 6, bad=True)])
    predicted = [_predictions(judged, k, 300)[None] for k in (0, 1)]
    fits = np.stack([_predictions(judged, f"{REAL} {b}", 300) for b in range(2)])
    useful, useless = (_usefulness(judged, one, fits) for one in predicted)
    assert useful["one"] is None and abs(useful["together"]["difference"][0]) < 0.05
    assert useless["together"]["verdict"] == "worse"
    assert useless["scores"]["log_loss"]["together"]["interval"][0] > useful["scores"]["log_loss"]["real"]["value"]
    both = _usefulness(judged, np.concatenate(predicted), fits)
    assert both["one"]["difference"][0] > both["together"]["difference"][0]  # log loss: the mean of two is better


@pytest.mark.parametrize("held_out", [True, False])
def test_real_rows_handed_in_are_found_as_copies(held_out: bool) -> None:
    judged = foreign([FRAME.sample(200, random_state=0), people(300, 7)], held_out=held_out)
    chance = _nearness(judged, REAL, 0)
    copied, fresh = (_nearness(judged, k, 0) for k in (0, 1))
    assert copied["copies"] == copied["rows"] == 200 and fresh["copies"] == 0
    assert _nearest(judged, copied, chance)["leak"] and not _nearest(judged, fresh, chance)["leak"]
    if held_out:
        # Of 500 rows seen 300 are looked at: .6 of the copies are found in them, half of the others by chance.
        assert copied["near"]["interval"][0] > 0.6 and fresh["near"]["interval"][0] < 0.5 < fresh["near"]["interval"][1]
    else:
        assert copied["near"] is None
    assert _nearness(judged, ALL, 0)["rows"] == 500


def test_rows_that_repeat_by_chance_are_no_copies() -> None:
    """Of a table of two coarse columns nearly every row is there already; so are real rows that nobody saw."""
    coarse = FRAME[["city", "y"]]
    schema = infer_schema(from_pandas(coarse), target="y")
    codec = TableCodec(schema)
    parts = [codec.encode(from_pandas(people(300, seed)[["city", "y"]])) for seed in (1, 2)]
    judged = ForeignTables(schema, parts[:1], codec.encode(from_pandas(coarse)), parts[1], True, "logistic", {}, 0)
    found = _nearest(judged, _nearness(judged, ALL, 0), _nearness(judged, REAL, 0))
    assert found["copies"] == found["copies_by_chance"] == 1 and not found["leak"]


def test_halves_are_alike_and_nothing_is_lost() -> None:
    first, second = halves(encoded(FRAME), SCHEMA, 0)
    assert rows_of(first) + rows_of(second) == 500
    assert abs(int((first["y"] == 1).sum()) - int((second["y"] == 1).sum())) <= 1


def here(tasks: Any, *, shared: Any, **_: Any) -> Any:
    """The tasks' results, without Ray."""
    tables = shared["tables"]()
    return {task.key: task.function(tables, *task.arguments[1:]) for task in tasks}, 0.0


def test_frames_of_python_are_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real rows in place of synthetic ones, beside a table of the same law."""
    monkeypatch.setattr("dge_ray.evaluation.foreign.run", here)
    keys = {"target": "y", "learner": "tree", "storage": str(tmp_path)}
    answer = dge_ray.evaluate(real=FRAME.head(80), synthetic=[FRAME.head(30), people(30, 9)], **keys)
    assert answer["synthetic"] == "2 tables of Python's" and answer["rows"] == {"real": 80, "test": None}
    assert [one["copies"] for one in answer["tables"]] == [1.0, 0.0] and answer["nearest"]["leak"]
    assert answer["fidelity"]["rows"] == 30 and answer["usefulness"]["one"]["verdict"] in ("worse", "untold")
    said = dict(sentences(answer))
    assert said["Are they copies?"].startswith("Yes") and said["Do they look like real rows?"].startswith("Not known")
    assert not told_apart({"interval": [0.6, 0.7], "real": {"interval": [0.4, 0.65]}})
    assert any("No test= was given" in line for line in foreign_lines(answer))
    page = Path(answer["page"]).read_text()
    assert page == render_page(answer) and "Do they look like real rows?" in page and "<script" not in page


@pytest.mark.slow
@pytest.mark.ray
def test_one_command_judges_a_folder(
    cluster: object, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("real.csv", index=False)
    people(200, 1).to_csv("test.csv", index=False)
    made = tmp_path / "made"
    made.mkdir()
    for writer in WRITERS.values():
        writer(people(120, 8), made)
    words = ("real=real.csv", "synthetic=made/", "target=y", "learner=logistic", "test=test.csv")
    code, out, err = run("evaluate", *words, "gate=two_sample_auc <= 0.9")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[-3:-1] == ["gate=two_sample_auc <= 0.9: met", next(x for x in lines if x.startswith("Report: file:"))]
    assert lines[-1].startswith("Written: file:") and "3 tables of 120 rows (made/)" in lines[0]
    page = Path(lines[-2].removeprefix("Report: file://")).read_text()
    assert "Do they look like real rows?" in page and "mostlyai.parquet" in page and "<script" not in page
    code, out, _ = run("evaluate", *words, "gate=copies <= -1")
    assert code == 3 and "gate=copies <= -1: not met" in out


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"synthetic": "made"}, r"^real: got nothing beside synthetic="),
        ({"real": "real.csv"}, r"^synthetic: got nothing; takes a folder"),
        ({"real": "none.csv", "synthetic": "made"}, r"^real: got 'none.csv', which does not exist"),
        ({"real": "real.csv", "synthetic": "none"}, r"^synthetic: got .*none, which is not there"),
        ({"real": "real.csv", "synthetic": "made/short.csv"}, r"^synthetic, '.*': got 3 rows with a target"),
        ({"real": "real.csv", "synthetic": "made/odd.csv"}, r"^synthetic: got 'odd.csv' without a column 'age'"),
        ({"real": "real.csv", "synthetic": "made/short.csv", "target": "yy"}, r"^target: got 'yy'"),
        ({"real": "real.csv", "synthetic": "made/short.csv", "folds": 3}, r"^folds: got 3; takes nothing beside real="),
        ({"real": "real.csv", "synthetic": "made/short.csv", "learner": "nope"}, r"^learner: got 'nope'"),
        ({"real": 3, "synthetic": "made"}, r"^real: got a builtins.int"),
        ({"real": "real.csv", "synthetic": []}, r"^synthetic: got 0 tables"),
    ],
)
def test_what_cannot_be_judged_is_one_line(
    keys: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").mkdir()
    FRAME.to_csv("real.csv", index=False)
    FRAME.head(3).to_csv("made/short.csv", index=False)
    FRAME.head(30).drop(columns="age").to_csv("made/odd.csv", index=False)
    with pytest.raises(InputError, match=said) as caught:
        dge_ray.evaluate(None, {"target": "y", **keys})
    assert "\n" not in str(caught.value)
