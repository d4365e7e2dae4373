"""An Excel workbook's sheet (.xlsx) as a table, through openpyxl."""

from collections.abc import Sequence
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

    The names are in the first row that is as wide as those below it. A column of cells of several types is text.

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
        names = book.sheetnames
        if reading.sheet is not None and reading.sheet not in names:
            raise InputError("sheet", f"'{reading.sheet}'", nearest(reading.sheet, names))
        rows = [[_value(cell) for cell in row] for row in book[reading.sheet or names[0]].iter_rows(values_only=True)]
        book.close()
    table, line = _table(rows, source, reading)
    notes = [] if line in (None, 1) else [f"read with the names in line {line}"]
    if reading.sheet is None and len(names) > 1:
        notes.append(f"the first of {len(names)} sheets is read: {names[0]!r}; sheet=NAME reads another")
    return table, tuple(notes)


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
