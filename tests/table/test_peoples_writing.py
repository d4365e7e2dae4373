"""More ways in which people and programs write tables, against what was written: rows above the names, guards of
spreadsheets, backslashes, padding, figures of other scripts, minutes and seconds."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers.peoples_tables import AGE, AMOUNTS, N, Y, as_text, checked, csv_of

from dge_ray.commands.check import check
from dge_ray.errors import InputError
from dge_ray.table import load_table


def values(place: Path, cells: Sequence[Any]) -> list[Any]:
    return load_table(str(csv_of(place, {"x": cells})))["x"].to_pylist()


PLAIN = as_text({"gross": AMOUNTS, "city": ["Rome", "Oslo", "Bonn"] * (N // 3)})
ROWS_ABOVE = {
    "two cells": "Report,2024,,\nprinted,2024-01-31,,\n,,,\n",
    "two words": "Report: a\nDate: 2024-01-31, by me\n\n",
    "groups": "who,,what,\n",
    "groups of one column too": "who,,what,else\n",
}


@pytest.mark.parametrize("above", ROWS_ABOVE)
def test_rows_above_the_names_that_are_no_titles_alone(tmp_path: Path, above: str) -> None:
    (tmp_path / "t.csv").write_text(ROWS_ABOVE[above] + PLAIN)
    found = checked(tmp_path / "t.csv")
    assert [column["kind"] for column in found.columns.values()] == ["integer", "numeric", *["categorical"] * 2]
    assert list(found.columns) == ["age", "gross", "city", "y"] and sum(found.rows.values()) == N


def test_a_nameless_column_is_no_row_of_groups(tmp_path: Path) -> None:
    rows = "".join(f"{i},{a},{y}\n" for i, (a, y) in enumerate(zip(AGE, Y, strict=True)))
    (tmp_path / "t.csv").write_text(",age,y\n" + rows)
    assert checked(tmp_path / "t.csv").kind("age") == "integer"


def test_decimal_commas_between_commas_are_refused(tmp_path: Path) -> None:
    """Nobody can tell 1,25 from two cells: rows have one cell more than names, and no names of their own."""
    (tmp_path / "t.csv").write_text(PLAIN.replace(".", ","))
    with pytest.raises(InputError, match="4 names in line 1 above rows of 5 cells"):
        checked(tmp_path / "t.csv")


def test_texts_that_are_guarded_from_spreadsheets(tmp_path: Path) -> None:
    codes = [f"{i * 37 % 400:05d}" for i in range(N)]
    cells = {
        "zip": [f'="{code}"' for code in codes],
        "sum": [f'="{v}"' for v in AMOUNTS],
        "id": [f"'{c}" for c in codes],
    }
    with pytest.warns(UserWarning, match="'zip': = and quotes around its texts taken off"):
        table = load_table(str(csv_of(tmp_path, cells)))
    assert table["zip"].to_pylist() == codes == table["id"].to_pylist() and table["sum"].to_pylist() == AMOUNTS


def test_backslashes_and_padding(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(PLAIN.replace("Rome", r'"Ro\"me"').replace("Oslo", '"Os,lo"'))
    assert set(load_table(str(tmp_path / "t.csv"))["city"].to_pylist()) == {'Ro"me', "Os,lo", "Bonn"}
    (tmp_path / "t.csv").write_text(PLAIN.replace(",", " | "))
    with pytest.warns(UserWarning, match="a blank around each delimiter"):
        table = load_table(str(tmp_path / "t.csv"))
    assert table.column_names == ["age", "gross", "city", "y"] and set(table["city"].to_pylist()) == {
        "Rome",
        "Oslo",
        "Bonn",
    }


@pytest.mark.parametrize("zero", "٠۰०０")
def test_figures_of_other_scripts(tmp_path: Path, zero: str) -> None:
    figures = str.maketrans("0123456789", "".join(chr(ord(zero) + i) for i in range(10)))
    assert values(tmp_path, [str(age).translate(figures) for age in AGE]) == AGE


def test_hexadecimal_codes_and_intervals_stay_text(tmp_path: Path) -> None:
    table = load_table(
        str(csv_of(tmp_path, {"code": [hex(age) for age in AGE], "span": [f"[{a},{a + 1})" for a in AGE]}))
    )
    assert table["code"].to_pylist() == [hex(age) for age in AGE] and table["age"].to_pylist() == AGE
    assert table["span"].to_pylist() == [f"[{a},{a + 1})" for a in AGE]


def test_minutes_and_seconds_of_races(tmp_path: Path) -> None:
    assert values(tmp_path, [f"{a % 9}:{a % 60:02d}.{a % 10}" for a in AGE]) == [
        dt.timedelta(minutes=a % 9, seconds=a % 60, milliseconds=100 * (a % 10)) for a in AGE
    ]


def test_keys_of_signs_hold_for_typed_sources_too() -> None:
    table = pa.table({"v": [f"{a},{a % 7}25" for a in AGE], "w": AGE, "y": Y})
    columns = {
        c["name"]: c for c in check(table, {"target": "y", "generator": "copula", "csv.decimal": "comma"})["columns"]
    }
    assert columns["v"]["kind"] == "numeric" and columns["v"]["values"].startswith("18.")
