"""An Excel workbook's sheet (.xlsx) as a table, through openpyxl."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import fs

from dge_ray.errors import InputError, nearest
from dge_ray.table.reading.dialect import first_names
from dge_ray.table.reading.header import Row
from dge_ray.table.reading.options import Reading

FAULTS = frozenset({"#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NULL!", "#NAME?"})


def read_sheet(filesystem: fs.FileSystem, path: str, source: str, reading: Reading) -> tuple[pa.Table, tuple[str, ...]]:
    """The sheet that `reading` names, or else the first, and notes: cells in their types, of formulas the kept values.

    Of sheets that none is said of, those that are hidden, empty or pages of words come last. The names are in the first
    row that is as wide as those below it. A column of cells of several types is text.

    Raises:
        InputError: openpyxl is not installed, no such sheet, or no workbook.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        got = f"'{source}', for which openpyxl is needed"
        raise InputError("source", got, "pip install 'dge-ray[excel]'") from None
    with filesystem.open_input_file(path) as file:
        try:
            book = load_workbook(file, read_only=True, data_only=True)
        except Exception as error:  # of a damaged workbook openpyxl raises whatever its parts raise
            got = f"'{source}', which is no workbook ({type(error).__name__})"
            raise InputError("source", got, "an .xlsx file") from None
        sheets = {sheet.title: sheet for sheet in book.worksheets}  # without those of charts
        names = list(sheets)
        if reading.sheet is not None and reading.sheet not in names:
            raise InputError("sheet", f"'{reading.sheet}'", nearest(reading.sheet, names))
        wanted = [reading.sheet] if reading.sheet is not None else _shown_first(sheets)
        tables = (
            (name, [[_value(cell) for cell in row] for row in sheets[name].iter_rows(values_only=True)])
            for name in wanted
        )
        first = name, rows = next(tables, (reading.sheet or "", []))
        while not _is_table(rows) and (following := next(tables, None)):
            name, rows = following
        name, rows = (name, rows) if _is_table(rows) else first
        book.close()
        table, line = _table(rows, source, reading)
        notes = [] if line in (None, 1) else [f"read with the names in line {line}"]
        if reading.sheet is None and len(names) > 1:
            which = "" if name == names[0] else " that is shown and has a table"
            notes.append(f"of {len(names)} sheets the first{which} is read: {name!r}; sheet=NAME reads another")
        empty = [j for j, column in enumerate(table.columns) if table.num_rows and column.null_count == len(column)]
        if empty and (count := _without_values(load_workbook(file, read_only=True), name, empty)):
            text = f"{count:,} cells are formulas without a value, and missing"
            notes.append(f"{text}: a spreadsheet program that opens and saves the file keeps their values")
    return table, tuple(notes)


def _shown_first(sheets: Mapping[str, Any]) -> list[str]:
    return sorted(sheets, key=lambda name: sheets[name].sheet_state != "visible")


def _is_table(rows: list[list[Any]]) -> bool:
    """Whether a sheet has two rows or more of two cells or more: none that is empty or a page of words does."""
    return sum(sum(cell is not None for cell in row) > 1 for row in rows) > 1


def _without_values(book: Any, name: str, columns: Sequence[int]) -> int:
    """How many cells in some columns of a sheet are formulas."""
    rows = book[name].iter_rows(values_only=True)
    count = sum(str(row[j]).startswith("=") for row in rows for j in columns if j < len(row))
    book.close()
    return count


def _value(cell: Any) -> Any:
    return None if cell in FAULTS or (isinstance(cell, str) and not cell.strip()) else cell


def _table(rows: list[list[Any]], source: str, reading: Reading) -> tuple[pa.Table, int | None]:
    numbered = [(i, row) for i, row in enumerate(rows) if any(cell is not None for cell in row)]
    width = max((max(j for j, cell in enumerate(row) if cell is not None) + 1 for _, row in numbered), default=0)
    numbered = [(i, row[:width] + [None] * (width - len(row))) for i, row in numbered]
    if not numbered:
        raise InputError("source", f"'{source}', no row", "names and rows")
    looked = [Row(i, i + 1, ["" if cell is None else str(cell) for cell in row]) for i, row in numbered[:200]]
    head, named = first_names(looked, reading.header)
    names = looked[head].cells if named else [f"column_{j}" for j in range(1, width + 1)]
    below = [row for _, row in numbered[head + named :]]
    columns = [_column([row[j] for row in below]) for j in range(width)]
    return pa.Table.from_arrays(columns, names=names), looked[head].line + 1 if named else None


def _column(values: Sequence[Any]) -> pa.Array:
    if {type(v) for v in values} >= {bool, int} or {type(v) for v in values} >= {bool, float}:
        values = [None if v is None else str(v) for v in values]
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None if v is None else str(v) for v in values], pa.large_string())
