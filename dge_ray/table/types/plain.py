"""Well-formed text read as pyarrow's CSV reader reads it: the same types in the same order, and the same values."""

import pyarrow as pa

from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.types.words import CSV_NULLS

_SAMPLE = 200  # values that are tried before a whole column is
_TRUE, _FALSE = ("1", "true", "True", "TRUE"), ("0", "false", "False", "FALSE")
_TYPES = (
    pa.int64(), pa.bool_(), pa.date32(), pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("s", "UTC"),
    pa.timestamp("ns", "UTC"), pa.float64(),
)  # fmt: skip


def read_plain(column: pa.ChunkedArray, *, decimal: str = ".") -> pa.ChunkedArray | None:
    """The column of strings in the first type that all of its values are written in, words of `CSV_NULLS` as nulls.

    None where it stays text: values of no one type, numbers of which one begins with a needless zero (02134), which a
    number would lose, whole numbers that no int64 holds and that are of one length, and, in a table with a decimal
    comma, numbers with a point. A column of such words alone is of type null.
    """
    present = column.drop_null()
    if not len(present):
        return None
    sample = pc.unique(present[:_SAMPLE])
    words = pa.array(sorted(CSV_NULLS), column.type)
    start = _first_type(sample.filter(pc.invert(pc.is_in(sample, value_set=words))), 0)
    if start is None:
        return None
    for dtype in _TYPES[start:]:
        read = _cast(column, dtype)
        if read is None:
            missing = pc.is_in(column, value_set=words)
            if pc.any(missing).as_py():
                column = pc.if_else(missing, pa.scalar(None, column.type), column)
                if column.null_count == len(column):
                    return pa.chunked_array([pa.nulls(len(column))])
                read = _cast(column, dtype)
        if read is not None:
            return None if _would_change(column, dtype, decimal) else read
    return None


def _first_type(sample: pa.Array, start: int) -> int | None:
    """The place of the first type that the whole sample is of; of an empty one the first."""
    chunked = pa.chunked_array([sample])
    return next((i for i in range(start, len(_TYPES)) if _cast(chunked, _TYPES[i]) is not None), None)


def _cast(column: pa.ChunkedArray, dtype: pa.DataType) -> pa.ChunkedArray | None:
    if pa.types.is_boolean(dtype):
        true, false = (pc.is_in(column, value_set=pa.array(words, column.type)) for words in (_TRUE, _FALSE))
        if not pc.all(pc.or_(pc.or_(true, false), pc.is_null(column))).as_py():
            return None
        return pc.if_else(pc.is_null(column), pa.scalar(None, pa.bool_()), true)
    try:
        read = column.cast(dtype)
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(column)
        return None if trimmed.equals(column) else _cast(trimmed, dtype)
    if pa.types.is_floating(dtype) and pc.any(pc.is_nan(read)).as_py():
        return pc.if_else(pc.is_nan(read), pa.scalar(None, dtype), read)
    return read


def _would_change(column: pa.ChunkedArray, dtype: pa.DataType, decimal: str) -> bool:
    """Whether a number would not be what is written."""
    if pa.types.is_integer(dtype):
        zero = pc.and_(pc.starts_with(column, "0"), pc.greater(pc.utf8_length(column), 1))
        odd = pc.match_substring_regex(column.filter(pc.fill_null(zero, False)), r"^0\d")
        spaced = pc.match_substring_regex(column[:_SAMPLE], r"^\s*0\d")
        return bool(pc.any(odd).as_py() or pc.any(spaced).as_py())
    if pa.types.is_floating(dtype):
        if decimal == "," and pc.any(pc.match_substring(column, ".")).as_py():
            return True
        if pc.all(pc.match_substring_regex(column[:_SAMPLE], r"^\s*\d{19,}\s*$")).as_py():
            lengths = pc.utf8_length(column)
            return bool(pc.equal(pc.min(lengths), pc.max(lengths)).as_py())
    return False
