"""Well-formed text read as pyarrow's CSV reader reads it: the same types in the same order, and the same values."""

import re
from collections.abc import Iterator
from typing import cast

import numpy as np
import pyarrow as pa

from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.types.words import CSV_NULLS, one_of

SAMPLE = 300  # values that are tried before a whole column is
_TRUE, _FALSE = ("1", "true", "True", "TRUE"), ("0", "false", "False", "FALSE")
_MAY_BE = re.compile(r"^\s*[-+.]?(?:\d|(?:true|True|TRUE|false|False|FALSE)$|[nN][aA][nN]|[iI][nN][fF])")
_POINTED = re.compile(r"-?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d{1,3})$")  # in thousands, or below them
_MANY_POINTED = 30  # numbers of three decimals, of which a tenth would end in a zero that no writer writes
_OTHERWISE = (  # numbers to look at: 03.2024 is a month, and nobody writes 120000 as 12E4
    r"^\s*(?:0[1-9]|1[0-2])\.(?:19|20)\d\d\s*$",
    r"^\s*\d{2,}[eE]\d{1,3}\s*$",
)
_ZERO = re.compile(r"0[\dxX]")
_TYPES = (
    pa.int64(), pa.bool_(), pa.date32(), pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("s", "UTC"),
    pa.timestamp("ns", "UTC"), pa.float64(),
)  # fmt: skip


def read_plain(
    column: pa.ChunkedArray, *, decimal: str = ".", looked: pa.ChunkedArray | None = None
) -> pa.ChunkedArray | None:
    """The column of strings in the first type that all of its values are written in, words of `CSV_NULLS` as nulls.

    None where it stays text: values of no one type, numbers of which one begins with a needless zero (02134), which a
    number would lose, whole numbers that no int64 holds and that are of one length, and, in a table with a decimal
    comma, numbers with a point. A column of such words alone is of type null. `looked`: some of its values (`spaced`).
    """
    # Of all rows: a cast that fails at last has cost the most.
    tried = cast(pa.ChunkedArray, (spaced(column) if looked is None else looked).drop_null())
    sample = cast(pa.Array, pc.unique(tried if len(tried) else column.drop_null()[:SAMPLE]))
    if not len(sample):
        return None
    words = one_of(CSV_NULLS, column.type)
    for dtype in _types_of(sample.filter(pc.invert(pc.is_in(sample, value_set=words)))):
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


def spaced(column: pa.ChunkedArray, count: int = SAMPLE) -> pa.ChunkedArray:
    """About so many of the values, evenly spaced."""
    taken, step, at = [], max(1, len(column) // count), 0
    for chunk in column.chunks:  # a chunked array takes slowly
        taken.append(chunk.take(pa.array(np.arange(-at % step, len(chunk), step))))
        at += len(chunk)
    return pa.chunked_array(taken, column.type)


def _types_of(sample: pa.Array) -> Iterator[pa.DataType]:
    """The types that the whole sample is of, in their order."""
    if len(sample) and not all(map(_MAY_BE.match, sample.to_pylist())):
        return iter(())
    chunked = pa.chunked_array([sample])
    return (dtype for dtype in _TYPES if _cast(chunked, dtype) is not None)


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
        return _leading_zeros(column)  # 0x1F too, which casts take for a number
    if pa.types.is_floating(dtype):
        if decimal == "," and pc.any(pc.match_substring(column, ".")).as_py():
            return True
        if is_otherwise(column):
            return True
        if grouped_by_points(column):
            return True
        if pc.all(pc.match_substring_regex(column[:SAMPLE], r"^\s*\d{19,}\s*$")).as_py():
            lengths = pc.utf8_length(column)
            return bool(pc.equal(pc.min(lengths), pc.max(lengths)).as_py())
    return False


def is_otherwise(column: pa.ChunkedArray | pa.Array) -> bool:
    """Whether all are months as 03.2024, or all codes as 12E4."""
    texts = [text for text in column[:SAMPLE].to_pylist() if text is not None]
    for pattern in _OTHERWISE:
        if all(re.match(pattern, text) for text in texts):
            return bool(pc.all(pc.match_substring_regex(column, pattern)).as_py())
    return False


def grouped_by_points(column: pa.ChunkedArray | pa.Array) -> bool:
    """Whether points stand between thousands (1.234 beside 56): three digits stand behind each and one to three before,
    in so many different numbers that shorter decimals would be among them, and whole numbers from 1000 on are not."""
    texts = [text.strip() for text in column[:SAMPLE].to_pylist() if text is not None]
    if any(_POINTED.match(text) is None for text in texts):
        return False
    distinct = [text.strip() for text in pc.unique(column.drop_null()).to_pylist()]
    if any(_POINTED.match(text) is None for text in distinct):
        return False
    pointed = sum("." in text for text in distinct)
    return pointed >= _MANY_POINTED and pointed < len(distinct)


def _leading_zeros(column: pa.ChunkedArray) -> bool:
    """Whether a whole number begins with a zero: 02134."""
    if any(text is not None and text[:1].isspace() for text in column[:SAMPLE].to_pylist()):
        column = pc.utf8_ltrim_whitespace(column)
    zero = pc.and_(pc.starts_with(column, "0"), pc.greater(pc.binary_length(column), 1))
    if not pc.any(zero).as_py():
        return False
    return any(map(_ZERO.match, pc.unique(column.filter(zero)).to_pylist()))
