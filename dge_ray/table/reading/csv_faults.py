"""What is wrong with a CSV that cannot be read, and in which line; no line quotes a cell."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import fs

from dge_ray.errors import InputError
from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.reading.encoding import open_text
from dge_ray.table.reading.options import Dialect

MOST_REPEATS = 900  # of a part of a pattern, in Arrow's matcher
ROWS = "rows of as many cells; csv.delimiter=, csv.header= and csv.comment= say how they are written"


def refuse_ragged(filesystem: fs.FileSystem, path: str, source: str, dialect: Dialect) -> None:
    """Refuse a file for its first row with too few or too many cells, if it has one.

    Raises:
        InputError: with the number of its line, from 1.
    """
    width = len(dialect.names)
    with _lines(filesystem, path, dialect) as (above, lines):
        reader = _reader(lines, dialect)
        line = above + 1
        try:
            for cells in reader:
                comment = bool(cells) and dialect.comment is not None and cells[0].startswith(dialect.comment)
                if len(cells) != width and any(cell.strip() for cell in cells) and not comment:
                    got = f"'{source}', {_cells(len(cells))} in line {line:,} where the others have {width}"
                    raise InputError("source", got, ROWS)
                line = above + reader.line_num + 1
        except csv.Error:
            got = f"'{source}', a cell of more than {csv.field_size_limit():,} signs from line {line:,} on"
            raise InputError("source", got, ROWS) from None


def refuse_open_quote(filesystem: fs.FileSystem, path: str, source: str, dialect: Dialect, table: pa.Table) -> None:
    """Refuse a file whose quotes do not match: one that is never closed, or closed rows later, takes rows into a cell.

    Looked for where a cell has a line within it with as many delimiters as a row, or where the last row has line ends.

    Raises:
        InputError: with the number of the line where that row begins.
    """
    if not _may_hold_rows(table, dialect):
        return
    with _lines(filesystem, path, dialect) as (above, lines):
        reader = _reader(lines, dialect, strict=True)
        line = above + 1
        try:
            for _ in reader:
                line = above + reader.line_num + 1
        except csv.Error:
            got = f"'{source}', a quote in line {line:,} that is not closed before a delimiter or the end of a line"
            raise InputError("source", got, "quotes in pairs, those within a quoted cell doubled") from None


def _may_hold_rows(table: pa.Table, dialect: Dialect) -> bool:
    sign = re.escape(dialect.delimiter)
    delimiters = min(table.num_columns - 1, MOST_REPEATS)
    row = rf"\n(?:[^{sign}\n]*{sign}){{{delimiters}}}[^\n]*\n"
    for column in table.columns:
        if _has_line_end(column):
            broken = pc.match_substring(column, "\n")
            last = column[-1].as_py()
            long = column.filter(broken)
            if (last is not None and "\n" in last) or pc.any(pc.match_substring_regex(long, row)).as_py():
                return True
    return False


def _has_line_end(column: pa.ChunkedArray) -> bool:
    """Looked for in the texts as they lie one behind the other: nearly every table has none."""
    buffers = (chunk.buffers()[2] for chunk in column.chunks)
    return any(bool((np.frombuffer(buffer, np.uint8) == ord("\n")).any()) for buffer in buffers if buffer)


def _reader(lines: Iterator[str], dialect: Dialect, *, strict: bool = False) -> Any:
    return csv.reader(
        lines, delimiter=dialect.delimiter, quotechar=dialect.quote, escapechar=dialect.escape, strict=strict
    )


def _cells(count: int) -> str:
    return f"{count:,} cell" + ("" if count == 1 else "s")


@contextmanager
def _lines(filesystem: fs.FileSystem, path: str, dialect: Dialect) -> Iterator[tuple[int, Iterator[str]]]:
    """The number of lines above the rows, and the lines from there on."""
    with open_text(filesystem, path, dialect.encoding) as stream:
        start = b""
        while len(start) < dialect.begins and (part := stream.read(dialect.begins - len(start))):
            start += part
        above = sum(1 for _ in io.StringIO(start.decode("utf-8", "replace"), newline=""))
        yield above, io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")  # type: ignore[arg-type]
