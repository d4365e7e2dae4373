"""Rows of a CSV as it is written that are no rows of the table, and what stands around a cell."""

import re

import pyarrow as pa

from dge_ray.phrases import one_line
from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.reading.options import Dialect

_GUARDS = (r'^="([^"]*)"$', r"^'([^']+)$")
_LOOKED_AT = 20
END = "\x1a"  # of a text file, as CP/M and DOS had it


def trimmed(table: pa.Table, dialect: Dialect) -> pa.Table:
    """Without the blank behind each delimiter, and that before it; and then without the quotes around a cell behind a
    blank, which no reader takes for some."""
    if not dialect.blanks:
        return table
    columns = [pc.utf8_rtrim(column, " ") for column in table.columns] if dialect.padded else table.columns
    columns = [columns[0], *(_unquoted(pc.utf8_ltrim(column, " "), dialect) for column in columns[1:])]
    columns = [pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column) for column in columns]
    return pa.Table.from_arrays(columns, names=table.column_names)


def without_comments(table: pa.Table, sign: str | None) -> pa.Table:
    """The rows whose first cell does not begin with the sign."""
    if sign is None:
        return table
    return table.filter(pc.invert(pc.fill_null(pc.starts_with(table.column(0), sign), False)))


def without_no_rows(table: pa.Table, dialect: Dialect) -> tuple[pa.Table, list[str]]:
    """The table without rows that hold nothing, and without those that are the names again, as where files were put one
    behind the other; and what to tell of it."""
    notes = []
    columns = sorted(table.columns, key=lambda column: column.null_count)
    if table.num_rows and columns[0].null_count:
        empty = pc.is_null(columns[0])
        for column in columns[1:]:
            empty = pc.and_(empty, pc.is_null(column))
        if count := pc.sum(empty).as_py():
            table = table.filter(pc.invert(empty))
            notes.append(f"{_rows(count)} without any value left out")
    place = next((place for place, name in enumerate(dialect.names) if name), None)
    if dialect.header is not None and place is not None:
        names = [name or None for name in dialect.names]
        same = pc.fill_null(pc.equal(table.column(place), names[place]), False)
        if pc.any(same).as_py():
            for column, name in zip(table.columns, names, strict=True):
                own = pc.is_null(column) if name is None else pc.fill_null(pc.equal(column, name), False)
                same = pc.and_(same, own)
        if count := pc.sum(same).as_py():
            table = table.filter(pc.invert(same))
            notes.append(f"{_rows(count)} with the names again left out")
    return table, notes


def unguarded(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """The table without what guards texts from spreadsheets (="00501", '00501) in columns all of whose cells have it,
    and what to tell of it."""
    notes = []
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        first = next((cell for cell in column[:_LOOKED_AT].to_pylist() if cell is not None), "")
        bare = _guard(first)
        if bare is None or not pc.all(pc.match_substring_regex(column, bare)).as_py():
            continue
        column = pc.replace_substring_regex(column, bare, r"\1")
        table = table.set_column(place, name, pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column))
        notes.append(
            f"column '{one_line(name)}': {first[0]} and quotes around its texts taken off, as of a spreadsheet"
        )
    return table, notes


def _guard(cell: str) -> str | None:
    """The pattern of cells that are guarded as this one is; None where it is not."""
    return next((pattern for pattern in _GUARDS if re.match(pattern, cell)), None)


def _unquoted(column: pa.ChunkedArray, dialect: Dialect) -> pa.ChunkedArray:
    quoted = pc.and_(pc.starts_with(column, dialect.quote), pc.ends_with(column, dialect.quote))
    quoted = pc.and_(pc.fill_null(quoted, False), pc.greater(pc.utf8_length(column), 1))
    if not pc.any(quoted).as_py():
        return column
    bare = pc.replace_substring(pc.utf8_slice_codeunits(column, 1, -1), 2 * dialect.quote, dialect.quote)
    return pc.if_else(quoted, bare, column)


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")
