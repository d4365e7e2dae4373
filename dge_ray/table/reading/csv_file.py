"""A CSV file as a table of texts: each cell as it is written, whatever the dialect."""

import codecs
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
from pyarrow import csv, fs

from dge_ray.errors import InputError
from dge_ray.table.reading.csv_faults import refuse_open_quote, refuse_ragged
from dge_ray.table.reading.dialect import find_dialect, header_dialect
from dge_ray.table.reading.encoding import GUESSES, SAMPLE, find_encoding, may_hold, open_bytes, open_text, wrong_line
from dge_ray.table.reading.options import Dialect, Reading, ReadTable
from dge_ray.table.reading.rows import END, trimmed, unguarded, without_comments, without_no_rows
from dge_ray.table.reading.signs import number_signs

LARGEST_SAMPLE = 1 << 24  # of a table with very long lines
BLOCKS = (1 << 20, 1 << 26, 2**31 - 2)  # bytes read at once: a row must fit
LOOKED_AT = 300  # rows all over the file that the signs of numbers are found from
OTHER_ENCODINGS = (  # as Python calls them: a few of many
    "csv.encoding=cp1250 (of Central Europe), csv.encoding=cp1251 (Cyrillic), csv.encoding=mac_roman, csv.encoding=gbk"
)
SMALL = 1 << 24  # bytes of a file up to which threads cost more than they bring
TEXT = pa.string()  # of a block: 2 GiB are enough


class _WrongEncoding(Exception):
    pass


def read_csv(filesystem: fs.FileSystem, path: str, source: str, reading: Reading) -> ReadTable:
    """The table, and the dialect that was found or said.

    Raises:
        InputError: no text, rows of unlike lengths, a quote that is never closed, or another encoding than was said.
        OSError: the file cannot be read.
    """
    for encoding in _encodings(filesystem, path, source, reading):
        try:
            dialect = _dialect(filesystem, path, source, reading, encoding, find_dialect)
            table = _read(filesystem, path, source, reading, dialect)
        except _WrongEncoding:
            continue
        return _finished(table, dialect, reading, path, source)
    number = wrong_line(filesystem, path, reading.encoding or "utf-8")
    got = f"{reading.encoding!r}, which '{source}' is not" + (f" (line {number:,})" if number else "")
    raise InputError("csv.encoding", got, "the name of its encoding, as utf-8, cp1252 or utf-16")


def read_csv_rows(filesystem: fs.FileSystem, path: str, source: str, reading: Reading) -> pa.Table:
    """Every cell as text, each row by itself; the dialect is what is said of it, or what the header tells.

    A row with too few or too many cells has only nulls; bytes that are not of the encoding are replaced. (A quote that
    is never closed takes all that follows into its cell.)
    """
    encoding = reading.encoding or _header_encoding(filesystem, path, source)
    dialect = _dialect(filesystem, path, source, reading, encoding, header_dialect)
    with open_text(filesystem, path, encoding) as stream:
        _pass_over(stream, dialect.begins)
        raw = stream.read()
    # One block: a row longer than a block would be refused. One thread: rows are counted.
    read = csv.ReadOptions(use_threads=False, block_size=min(len(raw) + 1, BLOCKS[-1]), column_names=_numbered(dialect))
    broken: list[int] = []
    comments: list[int] = []

    def note(row: csv.InvalidRow) -> str:
        if row.number is not None:
            is_comment = dialect.comment is not None and row.text.startswith(dialect.comment)
            (comments if is_comment else broken).append(row.number - 1)
        return "skip"

    convert = _convert(dialect, reading, pa.large_binary())
    table = csv.read_csv(pa.BufferReader(raw), read, _parse(dialect, note), convert) if raw else _empty(dialect)
    table = _with_gaps(table, sorted(broken), comments)
    columns = [_decoded(column) for column in table.columns]
    table = pa.Table.from_arrays(columns, names=list(dialect.names))
    return without_comments(trimmed(table, dialect), dialect.comment)


def _encodings(filesystem: fs.FileSystem, path: str, source: str, reading: Reading) -> Iterator[str]:
    """Those that the file may be in, one after the other."""
    with open_bytes(filesystem, path) as stream:
        start = _some(stream, SAMPLE)
    if not start:
        raise InputError("source", f"'{source}', an empty file", "a header and rows")
    if reading.encoding is not None:
        yield reading.encoding
        return
    found = find_encoding(start, whole=len(start) < SAMPLE, source=source)
    yield from GUESSES[GUESSES.index(found) :] if found in GUESSES else [found]


def _header_encoding(filesystem: fs.FileSystem, path: str, source: str) -> str:
    with open_bytes(filesystem, path) as stream:
        start = _some(stream, SAMPLE)
    wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return find_encoding(start[:64] if wide else start.split(b"\n", 1)[0], whole=not wide, source=source)


def _dialect(
    filesystem: fs.FileSystem, path: str, source: str, reading: Reading, encoding: str, find: Callable[..., Dialect]
) -> Dialect:
    """The dialect from the beginning of the file, of which more is read where lines are long."""
    size = SAMPLE
    while True:
        with open_text(filesystem, path, encoding) as stream, _wrong_encoding():
            raw = _some(stream, size)
            start = codecs.getincrementaldecoder("utf-8")("replace" if find is header_dialect else "strict").decode(raw)
        whole = len(raw) < size
        if whole or start.count("\n") > 2 or size >= LARGEST_SAMPLE:
            return find(start, reading, source=source, encoding=encoding, whole=whole)
        size *= 16


def _read(filesystem: fs.FileSystem, path: str, source: str, reading: Reading, dialect: Dialect) -> pa.Table:
    """The rows below the names, as texts; names may occur twice."""

    def note(row: csv.InvalidRow) -> str:
        empty = row.text.strip() in ("", END) or (dialect.comment is not None and row.text.startswith(dialect.comment))
        return "skip" if empty else "error"

    large = (filesystem.get_file_info(path).size or SMALL) >= SMALL
    quoted = may_hold(filesystem, path, dialect.quote)
    parse = _parse(dialect, note, line_ends=quoted)
    for block in BLOCKS:
        read = csv.ReadOptions(use_threads=large, block_size=block, column_names=_numbered(dialect))
        try:
            with open_text(filesystem, path, dialect.encoding) as stream, _wrong_encoding():
                _pass_over(stream, dialect.begins)
                table = csv.read_csv(stream, read, parse, _convert(dialect, reading, TEXT))
        except pa.ArrowInvalid as error:
            text = str(error)
            if "straddl" in text and block != BLOCKS[-1]:
                continue
            if "Empty CSV" in text:
                table = _empty(dialect)
            else:
                refuse_ragged(filesystem, path, source, dialect)
                raise InputError("source", f"'{source}', which is no table of text", "rows of cells") from None
        table = table.rename_columns(list(dialect.names))
        if quoted:
            refuse_open_quote(filesystem, path, source, dialect, table)
        return table
    raise AssertionError("the last block is tried")


@contextmanager
def _wrong_encoding() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise _WrongEncoding from None
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error) or "UTF-8" in str(error):
            raise _WrongEncoding from None
        raise


def _finished(table: pa.Table, dialect: Dialect, reading: Reading, path: str, source: str) -> ReadTable:
    """What the dialect says is no part of the table taken off, and the signs of its numbers found."""
    notes = []
    # Of a comment that was found, lines with as many cells as a row may be rows: '#5' is a number of something too.
    table = without_comments(trimmed(table, dialect), reading.comment)
    if dialect.extra == "last":
        if table.column(table.num_columns - 1).null_count < table.num_rows:
            got = f"'{source}', rows of {table.num_columns} cells below {table.num_columns - 1} names"
            raise InputError("source", got, "a name for each column")
        table = table.select(range(table.num_columns - 1))
        dialect = replace(dialect, names=dialect.names[:-1])
        notes.append("each row ends with a delimiter that begins no column")
    if dialect.extra == "first":
        notes.append("each row begins with a cell that has no name: it is taken for the row's own")
    table, gone = without_no_rows(table, dialect)
    table, guarded = unguarded(table)
    notes += [*gone, *guarded]
    step = max(1, table.num_rows // LOOKED_AT)
    some = table.take(pa.array(range(0, table.num_rows, step), pa.int64()))
    cells = [[cell for cell in column.to_pylist() if cell is not None] for column in some.columns]
    signs = number_signs(cells, delimiter=dialect.delimiter, decimal=reading.decimal, thousands=reading.thousands)
    dialect = replace(dialect, decimal=signs[0], thousands=signs[1])
    if words := dialect.words("\t" if ".tsv" in path.lower() else ","):
        guess = reading.encoding is None and dialect.encoding in GUESSES[1:]
        poor = ", and a poor one, as it gives control characters" if dialect.encoding == GUESSES[-1] else ""
        more = (
            f"; the encoding is a guess, as it is no UTF-8{poor}: {OTHER_ENCODINGS} read other letters" if guess else ""
        )
        notes.insert(0, f"read with {', '.join(words)}{more}")
    return ReadTable(table, dialect, tuple(notes))


def _numbered(dialect: Dialect) -> list[str]:
    """Names for the reader, to whom each must be another."""
    return [str(place) for place in range(len(dialect.names))]


def _empty(dialect: Dialect) -> pa.Table:
    return pa.table({name: pa.nulls(0, TEXT) for name in _numbered(dialect)})


def _convert(dialect: Dialect, reading: Reading, dtype: pa.DataType) -> csv.ConvertOptions:
    return csv.ConvertOptions(
        column_types=dict.fromkeys(_numbered(dialect), dtype),
        null_values=["", *reading.null_values],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )


def _parse(dialect: Dialect, note: Callable[[csv.InvalidRow], str], *, line_ends: bool = True) -> csv.ParseOptions:
    """`line_ends`: whether a cell may have some; a file is read faster without."""
    return csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote,
        escape_char=dialect.escape or False,
        newlines_in_values=line_ends,
        invalid_row_handler=note,
    )


def _with_gaps(table: pa.Table, broken: list[int], comments: list[int]) -> pa.Table:
    """The rows, and a row of nulls at each place of a broken one. `comments`: places that are no rows."""
    if not broken and not comments:
        return table
    gaps, left_out = set(broken), set(comments)
    whole = iter(range(table.num_rows))
    places = range(table.num_rows + len(broken) + len(comments))
    taken = [None if place in gaps else next(whole) for place in places if place not in left_out]
    return table.take(pa.array(taken, pa.int64()))


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = [None if value is None else value.decode("utf-8", "replace") for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])


def _some(stream: pa.NativeFile, size: int) -> bytes:
    """So many bytes, or all there are."""
    parts = io.BytesIO()
    while parts.tell() < size and (part := stream.read(size - parts.tell())):
        parts.write(part)
    return parts.getvalue()


def _pass_over(stream: pa.NativeFile, size: int) -> None:
    while size > 0 and (part := stream.read(min(size, SAMPLE))):
        size -= len(part)
