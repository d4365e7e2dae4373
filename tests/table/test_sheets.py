"""Excel workbooks, against what openpyxl wrote into them."""

import datetime
import sys
from pathlib import Path

import pytest

from dge_ray.errors import InputError
from dge_ray.table.reading.load import load_table, read_table
from dge_ray.table.reading.options import Reading

ROWS = [
    ["id", "amount", "day", "note", "mixed"],
    [1, 2.5, datetime.date(2020, 1, 31), "a", 1],
    [2, None, datetime.date(9999, 12, 31), "#N/A", "two"],
    [3, 7, None, "c", 3],
]


def workbook(folder: Path, **sheets: list[list]) -> str:
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(folder / "t.xlsx")
    return str(folder / "t.xlsx")


def test_cells_have_their_types(tmp_path: Path) -> None:
    table = load_table(workbook(tmp_path, people=ROWS))
    assert table["id"].to_pylist() == [1, 2, 3] and table["amount"].to_pylist() == [2.5, None, 7.0]
    days = [None if day is None else str(day)[:10] for day in table["day"].to_pylist()]
    assert days == ["2020-01-31", "9999-12-31", None]
    assert table["note"].to_pylist() == ["a", None, "c"]
    assert read_table(str(tmp_path / "t.xlsx")).table["mixed"].to_pylist() == ["1", "two", "3"]


def test_sheets_titles_and_a_header_that_is_said(tmp_path: Path) -> None:
    titled = [["Sales of 2020"], [], *ROWS]
    place = workbook(tmp_path, first=titled, second=ROWS[:2])
    read = read_table(place)
    assert read.table.num_rows == 3 and read.notes == (
        "read with the names in line 3",
        "of 2 sheets the first is read: 'first'; sheet=NAME reads another",
    )
    assert read_table(place, Reading(sheet="second")).table.num_rows == 1
    assert read_table(place, Reading(header="none", sheet="second")).table.column_names[0] == "column_1"
    with pytest.raises(InputError, match=r"sheet: got 'secnd'; takes one of first, second \(did you mean 'second'"):
        read_table(place, Reading(sheet="secnd"))
    with pytest.raises(InputError, match=r"sheet: got 'a' for another kind of source; takes an \.xlsx file"):
        read_table("iris", Reading(sheet="a"))


NAMED = ["id", "amount", "day", "note", "mixed"]
ABOVE = {
    "groups of columns": [["who", None, "what", None, None]],
    "a word and what it is": [["Sales of 2020"], ["printed", datetime.date(2020, 1, 1)], []],
    "one title over all": [["Sales"]],
}


@pytest.mark.parametrize("above", ABOVE)
def test_rows_above_the_names(tmp_path: Path, above: str) -> None:
    read = read_table(workbook(tmp_path, people=[*ABOVE[above], *ROWS]))
    assert read.table.column_names == NAMED and read.table.num_rows == 3


@pytest.mark.parametrize("first", [[], [["Read me"], ["The data are on the next sheet"]], "hidden"], ids=str)
def test_the_first_sheet_with_a_table_is_read(tmp_path: Path, first: list | str) -> None:
    place = workbook(tmp_path, cover=ROWS if first == "hidden" else first, data=ROWS)
    if first == "hidden":
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.load_workbook(place)
        book["cover"].sheet_state, book.active = "hidden", 1
        book.save(place)
    read = read_table(place)
    assert read.table.column_names == NAMED
    assert read.notes == (
        "of 2 sheets the first that is shown and has a table is read: 'data'; sheet=NAME reads another",
    )


def test_formulas_that_nobody_has_computed(tmp_path: Path) -> None:
    place = workbook(tmp_path, people=[["a", "b"], [1, "=A2*2"], [2, "=A3*2"]])
    assert read_table(place).notes[-1].startswith("2 cells are formulas without a value, and missing")
    place = workbook(tmp_path, people=[["a", "b", "c"], [1, "=A2*2", None], [2, "=A3*2", None]])
    assert read_table(place).notes[-1].startswith("2 cells are formulas")


def test_days_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    rows = [["day", "x", "y"], *([43_466 + 11 * i, i * i % 17, "ab"[i % 2]] for i in range(60))]
    place = workbook(tmp_path, people=rows)
    with pytest.warns(UserWarning, match="'day': could be days as spreadsheets count them.* columns.day=datetime"):
        assert load_table(place)["day"].type == "int64"
    with pytest.warns(UserWarning):
        assert load_table(place, overrides={"day": "datetime"})["day"][0].as_py() == datetime.date(2019, 1, 1)


def test_what_is_no_workbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04 this is none")
    pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    with pytest.raises(InputError, match=r"t\.xlsx', which is no workbook \("):
        load_table(str(tmp_path / "t.xlsx"))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r"for which openpyxl is needed; takes pip install 'dge-ray\[excel\]'"):
        load_table(str(tmp_path / "t.xlsx"))
