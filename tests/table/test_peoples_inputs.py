"""Inputs that an adversary would try, against what was written into them: each is read rightly, or ends in one line."""

import datetime as dt
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.peoples_tables import AMOUNTS, RNG, N, as_text, checked, checked_csv, csv_of, german

from dge_ray.errors import InputError
from dge_ray.table import load_table
from dge_ray.table.reading.signs import number_signs

DAYS = [dt.date(2019, 1, 1) + dt.timedelta(days=int(day)) for day in RNG.integers(0, 1500, N)]
MOMENTS = [dt.datetime(2020, 1, 1) + dt.timedelta(minutes=int(m)) for m in RNG.integers(0, 10**6, N)]
WHOLE = [int(value) for value in AMOUNTS]
KEYS = {"target": "y", "generator": "copula"}


def values(place: Path, cells: Sequence[Any], *, sign: str = ",", other: Sequence[Any] | None = None) -> list[Any]:
    """A column of a CSV as it is read, beside another one."""
    columns = {"x": cells, **({} if other is None else {"z": other})}
    with pytest.warns(UserWarning):
        return load_table(str(csv_of(place, columns, sign=sign)))["x"].to_pylist()


# What stands for the decimals


@pytest.mark.parametrize("odd", ["9,999,999 incl. others", "9.999.999 inkl. anderer", "1,5", "n,a"])
@pytest.mark.parametrize("sign", [",", ";"])
def test_one_odd_cell_turns_no_other_number(tmp_path: Path, odd: str, sign: str) -> None:
    for cells, other, meant in (
        (AMOUNTS, [f"{v:.3f}" for v in AMOUNTS], AMOUNTS),
        (WHOLE, AMOUNTS, WHOLE),
        ([german(v) for v in AMOUNTS], [german(v / 7) for v in AMOUNTS], AMOUNTS),
    ):
        read = values(tmp_path, [odd, *cells[1:]], sign=sign, other=other)
        assert read[1:] == meant[1:] and read[0] in (None, 1.5)


@pytest.mark.parametrize("slip", ["1,5", "1.5"])
@pytest.mark.parametrize("style", ["{:,.0f}", "german"])
def test_one_slip_among_thousands_leaves_them_thousands(tmp_path: Path, slip: str, style: str) -> None:
    whole = [value + 1_000_000 if row % 9 == 0 else value + 1000 for row, value in enumerate(WHOLE)]
    cells = [german(v).partition(",")[0] if style == "german" else style.format(v) for v in whole]
    assert values(tmp_path, [slip, *cells[1:]])[1:] == whole[1:]


def test_columns_that_write_numbers_otherwise_are_told(tmp_path: Path) -> None:
    columns = {"point": AMOUNTS, "comma": [german(v) for v in AMOUNTS], "comma2": [german(v / 3) for v in AMOUNTS]}
    path = csv_of(tmp_path, columns, sign=";")
    found = checked(path)
    assert found.told("csv.decimal=','") and found.told("'point'", "decimal point, unlike the table's others")
    with pytest.warns(UserWarning):
        table = load_table(str(path))
    assert table["point"].to_pylist() == table["comma"].to_pylist() == AMOUNTS


def test_signs_are_those_of_most_columns_and_then_of_most_cells() -> None:
    comma, point, whole = ["1,5", "2,25"] * 9, ["1.5", "2.25"] * 9, ["1", "2"] * 9
    assert number_signs([comma, comma, point], delimiter=",") == (",", None)
    assert number_signs([comma, point, point], delimiter=";") == (".", None)
    assert number_signs([comma, point * 3], delimiter=",") == (".", None)
    assert number_signs([comma, point], delimiter=";") == (",", None)
    assert number_signs([whole, point], delimiter=";") == (".", None)
    assert number_signs([["1,234e+05", "5,678e-02"] * 9], delimiter=";") == (",", None)


def test_powers_with_a_decimal_comma(tmp_path: Path) -> None:
    cells = [f"{v:.3e}".replace(".", ",") for v in AMOUNTS]
    for sign in ",;":
        assert values(tmp_path, cells, sign=sign) == [float(f"{v:.3e}") for v in AMOUNTS]


# Numbers


@pytest.mark.parametrize(
    ("cells", "meant"),
    [
        ([f"{german(v)} EUR" for v in AMOUNTS], AMOUNTS),
        ([f"({v:,.2f})" if row % 3 else f"{v:,.2f}" for row, v in enumerate(AMOUNTS)], "brackets"),
        ([f"{v:.1f} %" for v in AMOUNTS], [round(float(f"{v:.1f}"), 1) for v in AMOUNTS]),
        ([v if row % 5 else "$ -" for row, v in enumerate(AMOUNTS)], "zero"),
        ([f"{v} €" if row % 5 else "-   €" for row, v in enumerate(AMOUNTS)], "zero"),
        ([f"~{v}" if row % 3 else v for row, v in enumerate(AMOUNTS)], AMOUNTS),
        ([f"{v}*" if row % 3 else v for row, v in enumerate(AMOUNTS)], AMOUNTS),
        ([f"{v} mg/dl" for v in AMOUNTS], AMOUNTS),
        ([f"{row} {('Mio. €', 'Mrd. €')[row % 2]}" for row in range(N)], [r * (10**6, 10**9)[r % 2] for r in range(N)]),
        ([f"{v} kg" if row % 30 else f"{v} lb" for row, v in enumerate(AMOUNTS)], "other unit"),
        ([v if row % 5 else "-" for row, v in enumerate(AMOUNTS)], "missing"),
    ],
)  # fmt: skip
def test_numbers_with_something_around(tmp_path: Path, cells: list[Any], meant: Any) -> None:
    if meant == "brackets":
        meant = [-v if row % 3 else v for row, v in enumerate(AMOUNTS)]
    elif meant == "zero":
        meant = [v if row % 5 else 0 for row, v in enumerate(AMOUNTS)]
    elif meant in ("other unit", "missing"):
        every = 30 if meant == "other unit" else 5
        meant = [v if row % every else None for row, v in enumerate(AMOUNTS)]
    assert values(tmp_path, cells) == meant


@pytest.mark.parametrize(
    "cells",
    [
        [f"{10 + i % 30}E{i % 9}" for i in range(N)],
        [f"{i % 9}-{i % 9 + 5}" for i in range(N)],
        [f"{2000 + i % 11}/{2001 + i % 11 - 2000:02d}" for i in range(N)],
        [f"{i % 3 + 1}.{i % 7}.{i % 5}" for i in range(N)],
        [f"E{10 + i % 50}.{i % 9}" for i in range(150)] * 2,
        ["TRUE" if i % 2 else "?" for i in range(N)],
        [f"{60600 + i % 50}" for i in range(N)],
    ],
    ids=["codes with an E", "ranges", "seasons", "versions", "diagnoses", "one word of truth", "postal codes"],
)  # fmt: skip
def test_what_only_looks_like_numbers_stays_as_it_is_written(tmp_path: Path, cells: list[str]) -> None:
    (tmp_path / "t.csv").write_text(as_text({"zip": cells}))
    found = checked(tmp_path / "t.csv")
    assert found.kind("zip") == "categorical" and found.columns["zip"]["distinct"] == len(set(cells))


# Dates


@pytest.mark.parametrize("style", ["%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%m.%Y", "%b %Y", "%B %Y", "%b-%Y"])
def test_months_are_dates_of_their_first_day(tmp_path: Path, style: str) -> None:
    cells = ["?", "unknown", *(day.strftime(style) for day in DAYS[2:])]
    assert values(tmp_path, cells) == [None, None, *(day.replace(day=1) for day in DAYS[2:])]
    assert checked(tmp_path / "t.csv").told("'x'", "months as their first days", "'?' 1")


def test_days_and_times_in_words_of_their_countries(tmp_path: Path) -> None:
    def ordinal(day: int) -> str:
        return f"{day}{'th' if day // 10 == 1 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"

    assert values(tmp_path, [f"{ordinal(day.day)} {day:%B %Y}" for day in DAYS]) == DAYS
    clock = [dt.time(row % 24, row % 60) for row in range(N)]
    columns = {"de": [f"{t:%H:%M} Uhr" for t in clock], "fr": [f"{t.hour}h{t:%M}" for t in clock]}
    columns["basic"] = [f"{m:%Y%m%dT%H%M%SZ}" for m in MOMENTS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = load_table(str(csv_of(tmp_path, columns)))
    assert table["de"].to_pylist() == table["fr"].to_pylist() == clock
    assert table["basic"].to_pylist() == [moment.replace(tzinfo=dt.UTC) for moment in MOMENTS]


def test_a_month_among_days_is_none(tmp_path: Path) -> None:
    assert values(tmp_path, ["2020-03", *map(str, DAYS[1:])]) == [None, *DAYS[1:]]


@pytest.mark.parametrize("style", ["%G-W%V", "%GW%V", "Q%Y", "%YQ", "%Y-Q"])
def test_weeks_and_quarters_stay_categories_and_are_told(tmp_path: Path, style: str) -> None:
    def written(day: dt.date) -> str:
        quarter = f"Q{(day.month + 2) // 3}"
        return f"{quarter} {day.year}" if style == "Q%Y" else day.strftime(style.replace("Q", quarter))

    def first(day: dt.date) -> dt.date:
        if "V" in style:
            return dt.date.fromisocalendar(*day.isocalendar()[:2], 1)
        return dt.date(day.year, (day.month - 1) // 3 * 3 + 1, 1)

    path = csv_of(tmp_path, {"x": [written(day) for day in DAYS]})
    found = checked(path)
    assert found.kind("x") == "categorical" and found.told("'x'", "quarters or weeks")
    with pytest.warns(UserWarning):
        table = load_table(str(path), overrides={"x": "datetime"})
    assert table["x"].to_pylist() == [first(day) for day in DAYS]


@pytest.mark.parametrize(
    ("written", "hours"),
    [
        (lambda t: f"{t.isoformat()}Z", 0),
        (lambda t: f"{t.isoformat()}+02:00", 2),
        (lambda t: f"{t.isoformat()}+01:00[Europe/Berlin]", 1),
        (lambda t: f"{t:%Y-%m-%d %H:%M} CET", 1),
        (lambda t: f"{t:%m/%d/%Y %I:%M %p} EST", -5),
        (lambda t: f"{t:%a %b %d %H:%M:%S} UTC {t:%Y}", 0),
        (lambda t: f"{t:%a %b %d %H:%M:%S} +0000 {t:%Y}", 0),
        (lambda t: f"{t:%d/%b/%Y:%H:%M:%S} +0200", 2),
    ],
)
def test_moments_with_zones(tmp_path: Path, written: Any, hours: int) -> None:
    path = csv_of(tmp_path, {"x": [written(moment) for moment in MOMENTS]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ISO's own way there is none
        column = load_table(str(path))["x"]
    meant = [(t - dt.timedelta(hours=hours)).replace(tzinfo=dt.UTC) for t in MOMENTS]
    assert column.to_pylist() == meant


def test_days_as_spreadsheets_count_them(tmp_path: Path) -> None:
    serial = [(day - dt.date(1899, 12, 30)).days for day in DAYS]
    path = csv_of(tmp_path, {"x": serial})
    assert load_table(str(path))["x"].to_pylist() == serial  # a number, until somebody says what it is
    with pytest.warns(UserWarning, match="as spreadsheets count them"):
        assert load_table(str(path), overrides={"x": "datetime"})["x"].to_pylist() == DAYS


# Persons


FIRST, LAST = ["Anna", "Peter", "Marta", "John"], ["Schmidt", "Jones", "Garcia", "Nowak", "Berg"]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Telefon", [f"0{i * 7919 % 10**9:09d}" for i in range(40)]),
        ("employee", [f"{FIRST[i % 4]} {LAST[i // 4 % 5]}".lower() for i in range(40)]),
        ("Name", [f"{'АБВГД'[i % 5]}{'еиоу'[i // 5 % 4]}ван {'КЛМНП'[i % 5]}етров" for i in range(40)]),
        ("фамилия", [f"{'КЛМНП'[i % 5]}етров" for i in range(40)]),
        ("username", [f"user_{i}" for i in range(40)]),
        ("address", [f"{i * 3 + 1} {LAST[i % 5]} Street" for i in range(40)]),
        ("seen_from", [f"192.168.{i}.{i * 3 % 255}" for i in range(40)]),
        ("device", [f"00:1A:2B:{i:02X}:{i * 3 % 256:02X}:07" for i in range(40)]),
        ("account", [f"DE89 3704 0044 0532 0130 {i:02d}" for i in range(40)]),
        ("key", [str(uuid.UUID(int=2**100 + i * 7919)) for i in range(40)]),
    ],
)
def test_who_somebody_is_in_forty_rows(tmp_path: Path, name: str, cells: list[str]) -> None:
    found = checked_csv(tmp_path, {name: cells})
    assert found.kind(name) == "identifier" and found.told(f"'{name}'", "identifier")


# Texts that hold a table, and others


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32", "latin-1", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    towns = [("Köln", "Århus")[i % 2] for i in range(N)]
    path = csv_of(tmp_path, {"town": towns}, encoding=encoding)
    found = checked(path)
    assert found.columns["town"]["values"] in ("Köln 50%, Århus 50%", "Århus 50%, Köln 50%")
    assert found.told("is a guess", "csv.encoding=") == (encoding in ("latin-1", "cp1252"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"\n\n", "no row"),
        (b"\xef\xbb\xbf", "no row"),
        (b"age,x,y\n", "0 rows"),
        (b"y\nyes\nno\n", "1 column; takes at least 2 columns; csv.delimiter= says"),
        (b"age:x:y\n1:2:yes\n", "1 column; takes at least 2 columns; csv.delimiter= says"),
        (b"age,x,y\n1,2,yes\n", "constant"),
        (b"age,x,y\n1,2,yes\n2,3,no\n", "at least 4 of each class"),
        (b"age,x,y\n1,\x00,yes\n2,3,no\n", "a zero byte in line 2"),
        (bytes(range(256)) * 20, "binary data"),
        (b'[{"a": 1, "y": "yes"}]\n', "JSON by its first signs"),
        (b'{"a": 1, "y": "yes"}\n{"a": 2, "y": "no"}\n', "JSON by its first signs"),
        (b"<!DOCTYPE html><table><tr><td>1</td></tr></table>\n", "HTML or XML by its first signs"),
        (as_text({}).encode() + b'1,"yes\n3,no\n', f"a quote in line {N + 2} that is not closed"),
    ],
)
def test_what_is_no_table_ends_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        checked(tmp_path / "t.csv")
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
def test_two_thousand_columns(tmp_path: Path) -> None:
    wide = {f"c{i}": RNG.integers(0, 9, 40).tolist() for i in range(2000)}
    assert len(checked_csv(tmp_path, wide).columns) == 2002
