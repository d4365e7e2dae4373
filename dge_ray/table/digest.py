"""One number for a table's content, to tell whether two studies saw the same data."""

import hashlib

import numpy as np
import pyarrow as pa

from dge_ray.table.arrow.arrow_types import counts, is_string, is_temporal, pc, plain


def data_digest(table: pa.Table) -> str:
    """sha256 (hex) of column names, types, order and values; chunking and what lies under nulls do not matter."""
    digest = hashlib.sha256(f"{table.num_rows}".encode())
    for name, column in zip(table.column_names, table.columns, strict=True):
        digest.update(f"\0{name}\0{column.type}\0".encode())
        for part in _parts(column):
            digest.update(part.data)
    return digest.hexdigest()


def _parts(column: pa.ChunkedArray) -> list[np.ndarray]:
    """The column as contiguous arrays: which values are present, then the values with zeros for nulls."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.large_string())
    values = plain(column)
    present = np.packbits(pc.is_valid(values).to_numpy())
    if pa.types.is_null(values.type):
        return [present]
    if is_string(values.type):
        return [present, *_text(values.cast(pa.large_string()))]
    if is_temporal(values.type):
        values = counts(values)
    zero = pa.scalar(False if pa.types.is_boolean(values.type) else 0, values.type)
    return [present, np.ascontiguousarray(pc.fill_null(values, zero).to_numpy())]


def _text(values: pa.ChunkedArray) -> list[np.ndarray]:
    """Byte lengths and joined UTF-8 bytes."""
    joined = pc.fill_null(values, "").combine_chunks()
    array = joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)
    _, offset_buffer, data = array.buffers()
    if not len(array):
        return []
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    text = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
    return [np.diff(offsets), np.ascontiguousarray(text[offsets[0] : offsets[-1]])]
