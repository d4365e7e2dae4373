"""How a CSV is written, found from its first lines: delimiter, quote, lines above the table, names or none.

Of each delimiter and quote the first rows are read, and the one is taken under which they are rows of a table: as many
cells in each, few lines above, no other delimiter left within the cells.
"""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dge_ray.errors import InputError
from dge_ray.table.reading.header import Row, all_names, empty_end, has_names, names_above, titles
from dge_ray.table.reading.options import NO_HEADER, Dialect, Reading
from dge_ray.table.reading.signs import is_number

DELIMITERS = (",", ";", "\t", "|")
MOST_ROWS = 200  # that a dialect is found from
COMMENT = "#"
# A quote behind a backslash that ends no cell, within one that began with a quote.
_ESCAPED = re.compile(r'(?:^|[,;\t|])"(?:[^"\\\n]|\\.)*\\"(?=[^,;\t|\r\n"])', re.MULTILINE)
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class _Layout:
    """How the first lines look with one delimiter and quote. `rows`: without those above the table."""

    delimiter: str
    quote: str
    escape: str | None
    rows: list[Row]
    width: int
    regular: float  # the share of rows of this width
    unexplained: float  # the share of cells that hold another delimiter

    @property
    def worth(self) -> tuple:
        skipped = self.rows[0].line if self.rows else 0
        return (round(self.regular - self.unexplained, 1), -skipped, self._is_quoted(), self.width, self.regular)

    def _is_quoted(self) -> bool:
        """Whether another quote than the usual one wraps cells, and stands at the beginning of none that it does not
        wrap."""
        if self.quote == '"':
            return False
        return not any(cell.startswith(self.quote) for row in self.rows for cell in row.cells)


def find_dialect(start: str, reading: Reading, *, source: str, encoding: str = "utf-8", whole: bool = True) -> Dialect:
    """The dialect of a CSV that begins so (`whole`: that is all of it), as far as `reading` does not say it.

    Raises:
        InputError: no row, or no line of the number that the names are said to be on.
    """
    lines = _lines(start, whole)
    first, delimiter = _sep_line(lines)
    delimiter = reading.delimiter or delimiter
    if isinstance(reading.header, int):
        first = reading.header - 1
        if first >= len(lines):
            raise InputError("csv.header", str(reading.header), f"a line of '{source}' with names, near its beginning")
    layouts = [
        _layout(lines, first, d, quote, escape, reading)
        for d in ([delimiter] if delimiter else _present(lines))
        for quote, escape in _quotes(lines)
    ]
    best = max(layouts, key=lambda layout: layout.worth)  # of equals the first: a comma, and the usual quote
    if not best.rows:
        raise InputError("source", f"'{source}', no row", "a header and rows")
    rows, comment = _below_comments(best, reading, lines, first)
    best = replace(best, rows=rows)
    named = isinstance(reading.header, int) or (reading.header is None and has_names(best.rows))
    return _described(best, lines, named, comment, source, encoding)


def header_dialect(
    start: str, reading: Reading, *, source: str, encoding: str = "utf-8", whole: bool = True
) -> Dialect:
    """As `find_dialect`, from the line with the names alone: no row below it has a say.

    That line is the first one that is neither empty nor a comment, and the delimiter the one that is most often in it.
    """
    lines = _lines(start, whole)
    first, delimiter = _sep_line(lines)
    delimiter = reading.delimiter or delimiter
    if isinstance(reading.header, int):
        first = reading.header - 1
    while first < len(lines) and (
        not lines[first].strip() or (reading.comment is not None and lines[first].startswith(reading.comment))
    ):
        first += 1
    if first >= len(lines):
        raise InputError("source", f"'{source}', no row", "a header and rows")
    if delimiter is None:
        counts = {sign: len(_parsed(lines[first:], sign, '"', None, most=1)[0].cells) for sign in DELIMITERS}
        delimiter = max(counts, key=lambda sign: counts[sign])
    row = _parsed(lines[first:], delimiter, '"', None, most=1)[0]
    row = Row(first, first + row.after, row.cells)
    layout = _Layout(delimiter, '"', None, [row], len(row.cells), 1.0, 0.0)
    return _described(layout, lines, reading.header != NO_HEADER, reading.comment, source, encoding)


def first_names(rows: Sequence[Row], header: int | str | None) -> tuple[int, bool]:
    """Of rows that are all as wide, filled up with empty cells: the place of the first one of the table, and whether it
    is the names. `header`: as `Reading` has it.

    Raises:
        InputError: no row in the line that the names are said to be in.
    """
    if isinstance(header, int):
        place = next((i for i, row in enumerate(rows) if row.line == header - 1), None)
        if place is None:
            raise InputError("csv.header", str(header), "a line with names, near the beginning")
        return place, True
    place = titles(rows)
    return place, header != NO_HEADER and has_names(rows[place:])


def _lines(start: str, whole: bool) -> list[str]:
    """Lines with their ends, a carriage return being one; without the last one where it may be cut."""
    lines = list(io.StringIO(start, newline=""))
    return lines if whole or len(lines) < 2 else lines[:-1]


def _sep_line(lines: Sequence[str]) -> tuple[int, str | None]:
    """Excel's `sep=;` above a table: lines to pass over, and the delimiter."""
    found = _SEP.fullmatch(lines[0]) if lines else None
    return (1, found[1]) if found else (0, None)


def _present(lines: Sequence[str]) -> list[str]:
    text = "".join(lines[:MOST_ROWS])
    return [sign for sign in DELIMITERS if sign in text] or [","]


def _quotes(lines: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Quotes, and what stands before one within a cell: the usual ones first, the others where they are seen."""
    text = "".join(lines[:MOST_ROWS])
    if _ESCAPED.search(text):
        yield '"', "\\"
    else:
        yield '"', None
        if '\\"' in text:
            yield '"', "\\"
    if re.search(r"(?:^|[,;\t|])'(?:[^']|'')*'(?:$|[,;\t|\r])", text, re.MULTILINE):
        yield "'", None


def _parsed(lines: Sequence[str], delimiter: str, quote: str, escape: str | None, *, most: int) -> list[Row]:
    """The first rows, without empty lines."""
    reader = csv.reader(iter(lines), delimiter=delimiter, quotechar=quote, escapechar=escape, doublequote=True)
    rows: list[Row] = []
    before = 0
    try:
        for cells in reader:
            if cells:
                rows.append(Row(before, reader.line_num, cells))
            before = reader.line_num
            if len(rows) == most:
                break
    except csv.Error:  # a cell longer than the module takes: of a quote that is not closed
        pass
    return rows


def _layout(
    lines: Sequence[str], first: int, delimiter: str, quote: str, escape: str | None, reading: Reading
) -> _Layout:
    parsed = _parsed(lines[first:], delimiter, quote, escape, most=MOST_ROWS)
    rows = [Row(row.line + first, row.after + first, row.cells) for row in parsed]
    if reading.comment is not None:
        rows = [row for row in rows if not lines[row.line].startswith(reading.comment)]
    counts = Counter(len(row.cells) for row in rows if len(row.cells) > 1 and not _is_comment(row))
    if not counts:
        return _Layout(delimiter, quote, escape, rows, 1, 0.0, 0.0)
    width = max(counts, key=lambda n: (counts[n], n))
    begins = next(i for i, row in enumerate(rows) if len(row.cells) == width)
    if isinstance(reading.header, int):
        begins = 0
    elif begins and names_above(rows[begins - 1], rows[begins]):
        begins -= 1
    same = list(itertools.takewhile(lambda row: len(row.cells) == width, rows[begins:]))
    rows = rows[begins + (0 if isinstance(reading.header, int) else titles(same)) :]
    below = [row for row in rows[1:] if not _is_comment(row)] or rows[:1]
    others = [sign for sign in DELIMITERS if sign != delimiter]
    cells = [cell for row in below[:50] for cell in row.cells]
    held = [cell for cell in cells if any(sign in cell for sign in others) and not is_number(cell)]
    regular = sum(len(row.cells) == width for row in below) / len(below)
    return _Layout(delimiter, quote, escape, rows, width, regular, len(held) / max(len(cells), 1))


def _is_comment(row: Row) -> bool:
    return bool(row.cells) and row.cells[0].startswith(COMMENT)


def _below_comments(
    layout: _Layout, reading: Reading, lines: Sequence[str], first: int
) -> tuple[list[Row], str | None]:
    """The rows without comments, and the sign of these where there are some: the one that was said, or `#`.

    A line with `#` that has as many cells as the others may be the names (`#chrom,start,end`): it is, where the one
    below it is none.
    """
    rows = layout.rows
    if reading.comment is not None:
        return rows, reading.comment
    at = 0
    while at + 1 < len(rows) and _is_comment(rows[at]) and all_names(rows[at + 1].cells) and len(rows[at].cells) > 1:
        at += 1
    rows = rows[at:]
    above = any(lines[number].startswith(COMMENT) for number in range(first, rows[0].line))
    kept = [row for row in rows if not _is_comment(row) or row is rows[0] or len(row.cells) == layout.width]
    return kept, COMMENT if above or len(kept) < len(rows) else None


def _described(
    layout: _Layout, lines: Sequence[str], named: bool, comment: str | None, source: str, encoding: str
) -> Dialect:
    head, width = layout.rows[0], layout.width
    names, extra = list(head.cells), None
    if not named:
        names = [f"column_{i}" for i in range(1, width + 1)]
    elif len(layout.rows) > 1 and len(names) != width:
        if len(names) > width:
            names = names[: max(width, len(names) - empty_end(names))]
        elif len(names) == width - 1:
            whole = [row.cells for row in layout.rows[1:] if len(row.cells) == width]
            own = len({cells[0] for cells in whole}) == len(whole)  # no row has another's name
            extra = "last" if not any(cells[-1].strip() for cells in whole) else "first" if own else None
            names = ["", *names] if extra == "first" else [*names, ""] if extra else names
        if len(names) != width:
            got = f"'{source}', {len(names)} names in line {head.line + 1:,} above rows of {width} cells"
            raise InputError("source", got, "a name for each column; csv.header=NUMBER says which line has them")
    blanks = _blanks(layout.rows)
    padded = blanks and all(cell.endswith(" ") for row in layout.rows for cell in row.cells[:-1])
    names = [_bare(name, layout.quote) if blanks else name for name in names]
    names = [name.rstrip(" ") for name in names] if padded else names
    behind = head.after if named else head.line
    return Dialect(
        names=tuple(names),
        begins=len("".join(lines[:behind]).encode()),
        delimiter=layout.delimiter,
        quote=layout.quote,
        escape=layout.escape,
        encoding=encoding,
        header=head.line + 1 if named else None,
        comment=comment,
        blanks=blanks,
        padded=padded,
        extra=extra,
    )


def _bare(name: str, quote: str) -> str:
    """The name without a blank before it, and the quotes behind that."""
    name = name.lstrip(" ")
    quoted = len(name) > 1 and name.startswith(quote) and name.endswith(quote)
    return name[1:-1].replace(2 * quote, quote) if quoted else name


def _blanks(rows: Sequence[Row]) -> bool:
    """Whether each delimiter is followed by a blank."""
    cells = [cell for row in rows for cell in row.cells[1:]]
    return bool(cells) and all(cell.startswith(" ") for cell in cells)
