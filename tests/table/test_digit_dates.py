"""Dates that look like numbers, codes or words: told of, never read in silence, and read by the user's word, against
the days that were written."""

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.peoples_tables import N, Y, checked, csv_of, prepared, rows_of

from dge_ray.commands.judging_request import _real
from dge_ray.table import TableCodec, load_table
from dge_ray.table.reading.options import Reading
from dge_ray.table.types import typed

RNG = np.random.default_rng(8)
DAYS = [dt.date(1985, 3, 4) + dt.timedelta(int(day)) for day in RNG.integers(0, 14_000, N)]
FORMS = ("%y%m%d", "%d%m%y", "%m%d%y", "%d%m%Y", "%m%d%Y", "%Y%j", "%Y-%j")
ORDER = {"%d": "day_first", "%m": "month_first", "%y": None, "%Y": None}


@pytest.mark.parametrize("form", FORMS)
def test_digits_are_told_of_and_read_when_said(tmp_path: Path, form: str) -> None:
    path = csv_of(tmp_path, {"seen": [day.strftime(form) for day in DAYS]})
    found = checked(path)
    assert found.kind("seen") != "datetime" and found.told("'seen'", "could be dates", "columns.seen=datetime")
    dates = [] if (order := ORDER[form[:2]]) is None else [f"csv.dates={order}"]
    said = checked(path, "columns.seen=datetime", *dates)
    assert said.kind("seen") == "datetime" and not said.told("could be dates")
    assert said.columns["seen"]["values"] == f"{min(DAYS)} to {max(DAYS)}"


def test_numbers_that_lost_a_zero(tmp_path: Path) -> None:
    """Of Parquet 4 March 1985 as 40385: a number has no leading zero."""
    numbers = [int(day.strftime("%d%m%y")) for day in DAYS]
    pq.write_table(pa.table({"seen": numbers, "y": Y}), tmp_path / "t.parquet")
    found = checked(tmp_path / "t.parquet")
    assert found.kind("seen") in ("integer", "identifier")
    assert found.told("'seen'", "day, month and year", "columns.seen=datetime")
    with pytest.warns(UserWarning, match="digits of day, month and year"):
        table = load_table(str(tmp_path / "t.parquet"), overrides={"seen": "datetime"})
    assert table["seen"].to_pylist() == DAYS


def test_several_orders_are_named(tmp_path: Path) -> None:
    days = [dt.date(2001, 1, 1) + dt.timedelta(int(day)) for day in RNG.integers(0, 8_000, N)]
    path = csv_of(tmp_path, {"seen": [day.strftime("%d%m%y") for day in days]})
    assert checked(path).told("year, month and day, or day, month and year", "csv.dates=day_first")
    read = checked(path, "columns.seen=datetime", "csv.dates=day_first").columns["seen"]["values"]
    assert read == f"{min(days)} to {max(days)}"


@pytest.mark.parametrize(
    "values",
    [
        [f"{value}" for value in RNG.integers(100_000, 999_999, N)],
        [f"{value:06d}" for value in RNG.integers(0, 90_000, N)],
        [f"{value}" for value in RNG.integers(10_000_000, 99_999_999, N)],
        ["310399", "010100"] * (N // 2),
        ["word"] * N,
    ],
    ids=["numbers", "codes", "long", "two", "words"],
)
def test_other_digits_are_not(values: list[str]) -> None:
    _, repairs = typed(pa.table({"x": values}))
    assert "x" not in repairs or "could be" not in repairs["x"].text()


@pytest.mark.parametrize(
    "text, day",
    [
        ("Oct-18", dt.date(2018, 10, 1)),
        ("18-Oct", dt.date(2018, 10, 1)),
        ("2018-W41-4", dt.date(2018, 10, 11)),
        ("2018-284", dt.date(2018, 10, 11)),
        ("2016366", dt.date(2016, 12, 31)),
    ],
)
def test_short_months_and_days_of_weeks(text: str, day: dt.date) -> None:
    table = pa.table({"x": [text, text, None]})
    read, _ = typed(table, overrides={"x": "datetime"})
    assert read["x"].to_pylist() == [day, day, None]
    untouched, repairs = typed(pa.table({"x": [text] * 40}))
    assert not pa.types.is_temporal(untouched["x"].type)
    if not text[:4].isdigit() or "W" in text:
        assert "months" in repairs["x"].note


def test_counts_since_1970_that_nothing_tells() -> None:
    """Over more than five years, under a name that does not speak of time."""
    moments = RNG.integers(10**9, 16 * 10**8, N)
    columns = {"s": moments, "ms": moments * 1000, "part": moments + 0.25, "few": moments % 10**6}
    read, repairs = typed(pa.table(columns))
    assert not any(pa.types.is_temporal(column.type) for column in read.columns)
    assert {name for name in repairs if "could be moments" in repairs[name].note} == {"s", "ms", "part"}
    said, _ = typed(pa.table(columns), overrides=dict.fromkeys(("s", "ms", "part"), "datetime"))
    for name, ms in (("s", 0), ("ms", 0), ("part", 250)):
        wanted = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=int(moments[0]), milliseconds=ms)
        assert said[name].to_pylist()[0] == wanted


STAMP = dt.datetime(2014, 11, 23, 3, 40, 56)
WRITTEN = {
    "23Nov2014:03:40:56": STAMP,  # SAS
    "2014-11-23-03.40.56": STAMP,  # DB2
    "2014-11-23_03:40:56": STAMP,
    "20141123 034056": STAMP,
    "23/11/2014 03h40": STAMP.replace(second=0),
    "23.11.2014 3.40": STAMP.replace(second=0),
    "2014年11月23日": STAMP.date(),
    "Sun 23 Nov 2014": STAMP.date(),
    "Nov/23/2014": STAMP.date(),
    "23Nov2014": STAMP.date(),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_dates_as_programs_write_them(text: str) -> None:
    read, _ = typed(pa.table({"x": [text, text, None]}))
    assert read["x"].to_pylist() == [WRITTEN[text], WRITTEN[text], None]


@pytest.mark.parametrize("form", ["%d%m%y", "%Y%j", "%b-%y"])
def test_rows_that_are_judged_on_are_read_as_the_bundle_is(tmp_path: Path, form: str) -> None:
    path = csv_of(tmp_path, {"seen": [day.strftime(form) for day in DAYS]})
    found = prepared(path, "columns.seen=datetime", "csv.dates=day_first")
    with pytest.warns(UserWarning):
        columns, _ = _real(str(path), Reading(dates="day_first"), found.schema)
    assert columns is not None and not np.isnan(columns["seen"]).any()
    assert set(columns["seen"]) == set(TableCodec(found.schema).encode(rows_of(found), ["seen"])["seen"])


def test_a_column_of_nothing_is_of_any_kind() -> None:
    empty = pa.table({"x": pa.nulls(3), "y": pa.nulls(3, pa.string())})
    for kind in ("datetime", "numeric", "integer", "boolean"):
        assert typed(empty, overrides={"x": kind, "y": kind})[0].column(0).null_count == 3
