"""Values that may stand for missing ones: told of where a planted code is apart, never where draws are random, and
missing only by the key, in every kind of source."""

import datetime as dt
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.advice import fault
from helpers.peoples_tables import AGE, N, Y, checked, csv_of

from dge_ray.commands.check import check
from dge_ray.errors import InputError
from dge_ray.phrases import missing_if, spoken_in_python
from dge_ray.table import infer_schema, load_table
from dge_ray.table.sentinels import find_sentinels
from dge_ray.table.types.null_values import null_values, with_nulls

RNG = np.random.default_rng(6)
DAYS = np.array([dt.date(1931, 5, 2) + dt.timedelta(int(day)) for day in RNG.integers(0, 25_000, N)])
FEW = RNG.permutation(N)[:12]


def planted(values: np.ndarray, *codes: float) -> np.ndarray:
    values = np.array(values, dtype=float)
    for place, code in enumerate(codes):
        values[FEW[place :: len(codes)]] = code
    return values


NORMAL = RNG.normal(120, 30, N).round(1)
CODED = {
    "below": (NORMAL, -999),
    "above": (NORMAL, 9999),
    "both ends": (NORMAL, -999, 9999),
    "two at one end": (RNG.integers(18, 90, N), 888, 999),
    "a scale": (RNG.integers(1, 6, N), 9),
    "a scale, long": (RNG.integers(1, 6, N), 97, 98, 99),
    "minus one": (RNG.integers(1, 400, N), -1),
    "the only negative ones": (RNG.lognormal(8, 2, N).round(2), -9, -99),
    "nines above amounts": (RNG.uniform(0, 82_000, N).round(), 99_999),
    "an end of a type": (NORMAL, -32_768),
    "the fill of a grid": (NORMAL, 1e20),
    "no code": (NORMAL, 54_321),
}


@pytest.mark.parametrize("case", CODED)
def test_codes_are_found(case: str) -> None:
    values, *codes = CODED[case]
    assert {one.value for one in find_sentinels(planted(values, *codes))} == set(codes)
    assert sum(one.count for one in find_sentinels(planted(values, *codes))) == len(FEW)


def test_none_is_found_in_random_draws() -> None:
    """One of 10,000 such columns is expected at most; of 400, none."""
    rng = np.random.default_rng(0)
    laws = (
        lambda n: rng.normal(rng.uniform(-3, 8), 2, n).round(int(rng.integers(0, 3))),
        lambda n: np.floor(rng.lognormal(rng.uniform(0, 8), 2, n)),
        lambda n: np.floor(100 * rng.pareto(rng.uniform(0.5, 3), n)),
        lambda n: rng.poisson(rng.choice([0.05, 0.3, 1, 5, 30]), n).astype(float),
        lambda n: np.where(rng.random(n) < 0.7, 0, rng.lognormal(6, 1, n).round()),
        lambda n: rng.integers(0, 10 ** rng.integers(1, 6), n).astype(float),
        lambda n: rng.integers(-9, 10, n).astype(float),
        lambda n: rng.choice([-1.0, 0.0, 1.0], n),
    )
    for turn in range(400):
        values = laws[turn % len(laws)](int(rng.choice([50, 200, 1000])))
        assert find_sentinels(values) == [], (turn, np.unique(values)[[0, -1]])


@pytest.mark.parametrize(
    "values", [[0, 0, 0, 5, 9, 12, 12], [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9], [1, 1, -1, -1, -1, 1], []]
)
def test_true_values_are_none(values: list[int]) -> None:
    assert find_sentinels(np.array(values, dtype=float)) == []


@pytest.mark.parametrize("unit", ["day", "s", "us"])
def test_dates_of_nobody(unit: str) -> None:
    day = {"day": 1, "s": 86_400, "us": 86_400_000_000}[unit]
    days = np.array([(one - dt.date(1970, 1, 1)).days for one in DAYS]) * float(day)
    for code in (dt.date(9999, 12, 31), dt.date(1900, 1, 1), dt.date(1753, 1, 1)):
        value = float((code - dt.date(1970, 1, 1)).days * day)
        assert [one.value for one in find_sentinels(planted(days, value), day=day)] == [value]
    assert find_sentinels(days, day=day) == []


def frame() -> pd.DataFrame:
    born = DAYS.copy()
    born[FEW] = dt.date(1900, 1, 1)
    day = np.array([int(f"{one:%Y%m%d}") for one in DAYS])
    day[FEW] = 99_991_231
    return pd.DataFrame(
        {"lab value": planted(NORMAL, -999), "born": born, "day": day, "age": planted(np.array(AGE), 999), "y": Y}
    )


def advised(warnings: Sequence[str]) -> list[str]:
    """The words that the warnings advise, as a shell gives them."""
    found = [re.search(r"if they stand for missing ones, (.*) says so$", line) for line in warnings]
    words = [shlex.split(one[1]) for one in found if one is not None]
    assert all(len(one) == 1 and fault(one[0]) is None for one in words)
    return [one[0] for one in words]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_advice_of_each_warning_makes_them_missing(tmp_path: Path, ending: str) -> None:
    source = tmp_path / f"t.{ending}"
    frame().to_csv(source, index=False) if ending == "csv" else frame().to_parquet(source)
    found = checked(source)
    for name, value in {"lab value": "-999", "born": "1900-01-01", "day": "9999-12-31", "age": "999"}.items():
        assert found.told(f"'{name}'", f"12 (4.00%) are {value}", "null_values")
        assert found.columns[name]["missing"] == 0 and found.columns[name]["repaired"] != "missing"
    words = advised(found.warnings)
    mended = checked(source, *words)
    assert len(words) == 4 and advised(mended.warnings) == []
    assert [mended.columns[name]["missing"] for name in ("lab value", "born", "day", "age")] == [12] * 4
    assert mended.kind("day") == "datetime" and "'-999' 12" in mended.columns["lab value"]["repaired"]


def test_kinds_and_earlier_values_stay_in_the_advice(tmp_path: Path) -> None:
    source = csv_of(tmp_path, {"score": planted(NORMAL.round(), -999, -888).astype(int).tolist()})
    found = checked(source, "columns.score={kind: integer, null_values: [-888]}")
    assert found.columns["score"]["missing"] == 6 and found.kind("score") == "integer"
    assert advised(found.warnings) == ["columns.score={kind: integer, null_values: [-888, -999]}"]
    with spoken_in_python():
        assert "columns" not in missing_if("score", ["-999"], {})


def test_a_frame_and_csv_null_values_of_any_source() -> None:
    keys = {"target": "y", "generator": "copula", "columns": {"age": {"null_values": [999]}}, "csv.null_values": [-999]}
    columns = {one["name"]: one for one in check(frame(), keys)["columns"]}
    assert columns["age"]["missing"] == columns["lab value"]["missing"] == 12


@pytest.mark.parametrize(
    "column, value, left",
    [
        (pa.array(["7", " -999.0", "unknown"]), "-999", ["7", None, "unknown"]),
        (pa.array([2**62, 2**62 + 1]), str(2**62 + 1), [2**62, None]),
        (pa.array(["a", "b"]).dictionary_encode(), "a", [None, "b"]),
        (pa.array([1, 255], pa.uint8()), "-999", [1, 255]),
        (pa.array([dt.datetime(9999, 12, 31, 23, 59, 59)], pa.timestamp("s")), "9999-12-31 23:59:59", [None]),
        (pa.nulls(2), "1", [None, None]),
    ],
    ids=["text", "long", "dictionary", "narrow", "moment", "nothing"],
)
def test_values_in_every_type(column: pa.Array, value: str, left: list) -> None:
    read, counted = with_nulls(pa.chunked_array([column]), (value,))
    assert read.to_pylist() == left and read.type == column.type
    assert counted == {value: left.count(None) - column.null_count}


@pytest.mark.parametrize("given", [[], [None], [True], [[1]], 5, "5", {"a": 1}])
def test_what_is_no_list_of_values_is_refused(given: object) -> None:
    with pytest.raises(InputError, match=r"columns\.x\.null_values"):
        null_values("x", {"null_values": given})
    with pytest.raises(InputError, match=r"columns\.x\.null_values"):
        infer_schema(pa.table({"x": [1, 2], "y": [1, 2]}), overrides={"x": {"null_values": given}})


MARKS = ("?", "\\N", "NA", "n/a", "-", "null", ".")


def test_marks_among_words_are_told_of(tmp_path: Path) -> None:
    words = {f"c{i}": [mark if row in FEW else "abcdef"[row % 6] for row in range(N)] for i, mark in enumerate(MARKS)}
    words |= {
        "none": [("None", "unknown", "other")[row % 3] for row in range(N)],
        "signs": ["+-"[row % 2] for row in range(N)],
    }
    found = checked(csv_of(tmp_path, words), "identities=none")
    told = advised(found.warnings)
    assert len(told) == len(MARKS) and found.told("'c0'", "12 (4.00%) are '?'")
    mended = checked(tmp_path / "t.csv", "identities=none", *told)
    assert [mended.columns[f"c{i}"]["missing"] for i in range(len(MARKS))] == [12] * len(MARKS)
    assert advised(mended.warnings) == []


def test_marks_among_classes_are_told_of(tmp_path: Path) -> None:
    classes = ["?" if row in FEW else y for row, y in enumerate(Y)]
    pq.write_table(pa.table({"x": NORMAL, "y": classes}), tmp_path / "t.parquet")
    found = checked(tmp_path / "t.parquet")
    assert advised(found.warnings) == ['columns.y={null_values: ["?"]}'] and found.columns["y"]["distinct"] == 3
    with pytest.raises(InputError, match=r"12 missing of 300 values in 'y'.*drop_missing_target=true"):
        checked(tmp_path / "t.parquet", *advised(found.warnings))


def test_a_value_that_is_not_there_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": NORMAL, "y": Y}), tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match="as null_values says, '-5' 0"):
        load_table(str(tmp_path / "t.parquet"), overrides={"x": {"null_values": [-5]}})
