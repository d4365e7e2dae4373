"""Parquet from elsewhere, unpacked some of it at a time: a file of a few kilobytes can stand for gigabytes of rows.

No limit comes from the file. What its footer says of sizes is not believed either: the headers of the pages are read,
which are what the Parquet library makes room for. Strings are read as dictionaries, so that a long one that is repeated
is there once, and are written out for a few rows at a time.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from dge_ray.table.arrow.arrow_types import is_string, is_string_view, pc, value_type

MOST_BATCH = 1 << 26  # bytes of rows that are unpacked at once
MOST_PART = 1 << 30  # bytes of a file's rows, of its pages, and of the file
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12


class TooLargeError(ValueError):
    """More than is unpacked of one file. The text says what."""


def as_stored(schema: pa.Schema) -> pa.Schema:
    """The schema as a Parquet file gives it back: the format has no seconds, and milliseconds come instead."""
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(schema.empty_table(), sink)
    except pa.ArrowNotImplementedError:  # a type that no file of this kind has
        return schema
    return pq.read_schema(pa.BufferReader(sink.getvalue()))


def batches(opened: pq.ParquetFile, content: bytes) -> Iterator[pa.Table]:
    """The rows of a file in tables of at most about `MOST_BATCH` bytes each, in the file's own types.

    Raises:
        TooLargeError: pages or rows of more than `MOST_PART` bytes.
        pyarrow.ArrowException, OSError, ValueError: the file is damaged.
    """
    unpacked = sum(page_bytes(opened.metadata, content))
    if unpacked > MOST_PART:
        raise TooLargeError(f"{unpacked:,} bytes in pages")
    schema, total = opened.schema_arrow, 0
    texts = [field.name for field in schema if is_string(field.type)]
    packed = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts, pre_buffer=False)
    width = sum(_width(field.type) for field in schema)
    for batch in packed.iter_batches(batch_size=max(1, min(1 << 16, MOST_BATCH // max(width, 1)))):
        for piece in _pieces(batch):
            table = pa.table([_written_out(piece[at], schema.types[at]) for at in range(len(schema))], schema=schema)
            total += sum(column.nbytes for column in table.columns)
            if total > MOST_PART:
                raise TooLargeError(f"rows of more than {MOST_PART:,} bytes")
            yield table
    if not total:
        yield schema.empty_table()


def _width(dtype: pa.DataType) -> int:
    """Bytes of a value whose size is known before it is read; of a text those of its place in a dictionary."""
    try:
        return -(-value_type(dtype).bit_width // 8)
    except ValueError:
        return 4


def _written_out(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    """In the file's own type. Arrow makes string views of strings alone."""
    return (column.cast(pa.string()) if is_string_view(dtype) else column).cast(dtype)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch, halved until its texts are short enough to be written out."""
    if batch.num_rows > 1 and sum(_text_bytes(column) for column in batch.columns) > MOST_BATCH:
        half = batch.num_rows // 2
        yield from _pieces(batch.slice(0, half))
        yield from _pieces(batch.slice(half))
    else:
        yield batch


def _text_bytes(column: pa.Array) -> int:
    if not isinstance(column, pa.DictionaryArray) or not len(column.dictionary):
        return 0
    lengths = pc.binary_length(column.dictionary) if is_string(column.type.value_type) else None
    return 0 if lengths is None else pc.sum(lengths.cast(pa.int64()).take(column.indices)).as_py() or 0


def page_bytes(metadata: pq.FileMetaData, content: bytes) -> Iterator[int]:
    """The unpacked size of each page, as the page's own header says it: what a reader makes room for.

    Raises:
        ValueError: what stands where a page should is none.
    """
    for group in range(metadata.num_row_groups):
        for at in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(at)
            if not chunk.num_values:  # no page of it is read
                continue
            first = chunk.dictionary_page_offset
            start = chunk.data_page_offset if first is None else min(first, chunk.data_page_offset)
            end = min(start + chunk.total_compressed_size, len(content))
            if start < 0:
                raise ValueError("a page before the file")
            while start < end:
                try:
                    start, unpacked, packed = _page_header(content, start)
                except (IndexError, RecursionError):
                    raise ValueError("no page") from None
                if unpacked < 0 or packed < 0:
                    raise ValueError("a page of less than nothing")
                yield unpacked
                start += packed


def _page_header(content: bytes, at: int) -> tuple[int, int, int]:
    """Where a page's header ends, and its sizes, unpacked and packed: fields 2 and 3 of a struct in Thrift's compact
    protocol (parquet.thrift, PageHeader)."""
    sizes, field = {2: -1, 3: -1}, 0
    while (kind := content[at] & 15) != _STOP:
        delta, at = content[at] >> 4, at + 1
        if delta:
            field += delta
        else:
            field, at = _number(content, at)
        if field in sizes and kind not in (_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT):
            sizes[field], at = _number(content, at)
        else:
            at = _skip(content, at, kind)
    return at + 1, sizes[2], sizes[3]


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while content[at] & 128:
        value, shift, at = value | (content[at] & 127) << shift, shift + 7, at + 1
        if shift > 63:
            raise ValueError("a number too long")
    return value | content[at] << shift, at + 1


def _number(content: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(content, at)
    return value >> 1 ^ -(value & 1), at


def _skip(content: bytes, at: int, kind: int, inside: bool = False) -> int:
    """Where a value of this kind ends; `inside` a list a truth value has a byte of its own."""
    if kind in (_TRUE, _FALSE):
        return at + inside
    if kind == _BYTE:
        return at + 1
    if kind == _DOUBLE:
        return at + 8
    if kind == _BINARY:
        length, at = _varint(content, at)
        return at + length
    if kind in (_LIST, _SET):
        count, item, at = content[at] >> 4, content[at] & 15, at + 1
        if count == 15:
            count, at = _varint(content, at)
        for _ in range(count):
            at = _skip(content, at, item, inside=True)
        return at
    if kind == _STRUCT:
        while (inner := content[at] & 15) != _STOP:
            delta, at = content[at] >> 4, at + 1
            if not delta:
                _, at = _varint(content, at)
            at = _skip(content, at, inner)
        return at + 1
    if kind == _MAP:
        raise ValueError("a map, which no page's header has")
    return _varint(content, at)[1]
