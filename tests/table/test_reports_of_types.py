"""Rows of the collection of public reports, by their numbers there, on what values and columns are.

A table of the same kind, drawn here, ends as it should. (`test_reported_files.py` holds the tests to be of all rows.)
"""

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.peoples_tables import (
    AMOUNTS,
    DAYS,
    PLAIN,
    RNG,
    N,
    Y,
    checked,
    checked_csv,
    csv_of,
    drawn,
    prepared,
    rows_of,
)

from dge_ray.commands.check import check
from dge_ray.errors import InputError
from dge_ray.table import TableCodec, load_table


def test_row_01_marks_of_missing_numbers(tmp_path: Path) -> None:
    marks = ("?", "None", "-", ".", "<NA>", "unknown")
    lost = set(RNG.permutation(N)[: N * 3 // 100].tolist())
    columns = {f"c{i}": [mark if row in lost else AMOUNTS[row] for row in range(N)] for i, mark in enumerate(marks)}
    found = checked_csv(tmp_path, columns)
    for name, mark in zip(columns, marks, strict=True):
        assert found.kind(name) == "numeric" and found.columns[name]["missing"] == len(lost)
        assert found.told(f"'{name}'", repr(mark), str(len(lost)), "3.00%")


def test_row_03_single_blanks_in_a_charge(tmp_path: Path) -> None:
    found = checked_csv(tmp_path, {"charges": [" " if row in (4, 90) else AMOUNTS[row] for row in range(N)]})
    assert found.kind("charges") == "numeric" and found.columns["charges"]["missing"] == 2
    assert found.told("'charges'", "' ' 2")
    assert checked(tmp_path / "t.csv", "columns.charges=numeric").kind("charges") == "numeric"


def test_row_07_dates_as_they_are_written(tmp_path: Path) -> None:
    styles = ("%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%b-%Y")
    columns = {style: [day.strftime(style) for day in DAYS] for style in styles}
    columns["mixed"] = [day.strftime(styles[1 + row % 3]) for row, day in enumerate(DAYS)]
    columns["gaps"] = [("NaT", "None", "0000-00-00")[row] if row < 3 else str(day) for row, day in enumerate(DAYS)]
    columns["timed"] = [f"{day:%m/%d/%Y} 04:05 PM" for day in DAYS]
    path = csv_of(tmp_path, columns)
    found = checked(path)
    assert {found.kind(name) for name in columns} == {"datetime"} and found.columns["gaps"]["missing"] == 3
    with pytest.warns(UserWarning):
        table = load_table(str(path))
    assert all(table[name].to_pylist() == DAYS for name in (*styles, "mixed"))
    assert table["timed"].to_pylist()[0] == dt.datetime.combine(DAYS[0], dt.time(16, 5))


def test_row_08_codes_keep_their_zeros(tmp_path: Path) -> None:
    columns = {
        "zip": [f"{RNG.integers(1000, 1040):05d}" for _ in range(N)],
        "branch": [f"{RNG.integers(0, 30):03d}" for _ in range(N)],
        "visit": [day.strftime("%d%m%Y") for day in DAYS],
    }
    path = csv_of(tmp_path, columns, quoting=2)
    found = prepared(path)
    back = TableCodec(found.schema).decode(TableCodec(found.schema).encode(rows_of(found)), seed=0)
    for name, codes in columns.items():
        assert found.schema[name].kind == "categorical" and set(back[name].to_pylist()) == set(codes)
    days = checked(path, "columns.visit=datetime", "columns.zip=integer")
    assert days.kind("visit") == "datetime" and days.kind("zip") == "integer"
    inland = [str(RNG.integers(60601, 60661)) for _ in range(N)]  # of a state without a zero: the name says it
    assert checked_csv(tmp_path, {"zip_code": inland}).kind("zip_code") == "categorical"


def test_row_09_dates_as_whole_numbers(tmp_path: Path) -> None:
    columns = {
        "day": [int(day.strftime("%Y%m%d")) for day in DAYS],
        "month": [int(day.strftime("%Y%m")) for day in DAYS],
    }
    found = prepared(csv_of(tmp_path, columns))
    assert {found.schema[name].kind for name in columns} == {"datetime"}
    made = drawn(found)
    assert all(isinstance(value, dt.date) for name in columns for value in made[name].to_pylist())


def test_row_22_columns_of_nothing(tmp_path: Path) -> None:
    found = checked_csv(tmp_path, {"empty": [""] * N, "na": ["NA"] * N, "c": [7] * N, "x": AMOUNTS})
    assert found.kind("empty") == found.kind("na") == "left out" and found.kind("c") == "constant"
    assert found.told("'empty'", "left out") and found.told("'na'", "left out")


def test_row_23_infinities(tmp_path: Path) -> None:
    words = {0: "inf", 1: "-inf", 2: "1e400"}
    path = csv_of(tmp_path, {"ratio": [words.get(row, AMOUNTS[row]) for row in range(N)]})
    with pytest.raises(InputError, match=r"infinite values \(3 in 'ratio'\).*infinite=missing") as caught:
        checked(path)
    assert "\n" not in str(caught.value)
    found = checked(path, "infinite=missing")
    assert found.columns["ratio"]["missing"] == 3 and found.told("'ratio'", "3 infinite values are missing")


def test_row_24_times_durations_and_periods(tmp_path: Path) -> None:
    minutes = RNG.integers(0, 1440, N)
    texts = {"at": [f"{m // 60:02d}:{m % 60:02d}" for m in minutes], "stay": [f"{m // 60}h {m % 60}m" for m in minutes]}
    assert {checked_csv(tmp_path, texts).kind(name) for name in texts} == {"datetime"}
    frame = pd.DataFrame({"y": Y, "stay": pd.to_timedelta(minutes, unit="min")})
    frame["month"] = pd.PeriodIndex(DAYS, freq="M")
    kinds = {c["name"]: c["kind"] for c in check(frame, {"target": "y", "generator": "copula"})["columns"]}
    assert kinds["stay"] == kinds["month"] == "datetime"


def test_row_34_words_that_look_like_nothing(tmp_path: Path) -> None:
    words = ["NA", "ZA", "None", "nan", "null"]
    columns = {"country": [words[i] for i in RNG.integers(0, 5, N)], "score": [["NA", 5, 7][i % 3] for i in range(N)]}
    found = checked_csv(tmp_path, columns)
    assert (found.kind("country"), found.columns["country"]["distinct"]) == ("categorical", 5)
    assert (found.kind("score"), found.columns["score"]["missing"]) == ("integer", N // 3)


def test_row_35_truth_values(tmp_path: Path) -> None:
    columns = {
        "smoker": [("true", "false", "")[i % 3] for i in range(N)],
        "flag": [("TRUE", "FALSE", "NA")[i % 3] for i in range(N)],
        "tf": ["tf"[i % 2] for i in range(N)],
        "yn": ["YN"[i % 2] for i in range(N)],
        "only": [("TRUE", "-", "None")[i % 3] for i in range(N)],
    }
    found = checked_csv(tmp_path, columns)
    assert [found.kind(name) for name in columns] == ["boolean", "boolean", *["categorical"] * 3]
    assert found.columns["smoker"]["missing"] == found.columns["flag"]["missing"] == N // 3
    assert found.columns["only"]["distinct"] == 3  # one word of truth beside others is a category


def test_row_37_an_order_and_a_level_that_nobody_has(tmp_path: Path) -> None:
    grades = pd.Categorical(RNG.choice(["low", "high"], N), ["low", "mid", "high"], ordered=True)
    pd.DataFrame({"grade": grades, "x": AMOUNTS, "y": Y}).to_parquet(tmp_path / "t.parquet")
    found = prepared(tmp_path / "t.parquet")
    assert found.schema["grade"].categories == ("low", "high") and "ordered=1" in found.schema["grade"].type
    assert set(drawn(found)["grade"].to_pylist()) == {"low", "high"}


def test_row_53_nested_values_and_names_twice(tmp_path: Path) -> None:
    table = pa.table({"tags": [["a"]] * N, "x": AMOUNTS, "y": Y})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"column 'tags': got nested values .*drop=\[tags\]"):
        checked(tmp_path / "t.parquet")
    assert "tags" not in checked(tmp_path / "t.parquet", "drop=[tags]").columns
    with pytest.raises(InputError, match=r"column 'tags': got nested values"):
        check(table, {"target": "y", "generator": "copula"})
    assert check(table, {"target": "y", "generator": "copula", "drop": ["tags"]})["rows"]
    (tmp_path / "t.csv").write_text(PLAIN.replace("gross", "age", 1))
    with pytest.raises(InputError, match="column 'age': got a name that occurs more than once"):
        checked(tmp_path / "t.csv")


def test_row_54_censored_values(tmp_path: Path) -> None:
    values = ["<0.5" if row % 20 == 0 else "trace" if row % 50 == 1 else AMOUNTS[row] for row in range(N)]
    found = checked_csv(tmp_path, {"lab": values})
    assert found.kind("lab") == "numeric" and found.columns["lab"]["missing"] == values.count("trace")
    assert found.told("'lab'", "read as the bound '<0.5' 15", "'trace'")
