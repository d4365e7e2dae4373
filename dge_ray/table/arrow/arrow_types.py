"""Arrow types by name, the flat form in which columns are computed on, and JSON scalars in a column's own type."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

# pyarrow makes its compute functions at import, where no type checker sees them.
pc: Any = pyarrow.compute

_DECIMAL = re.compile(r"(decimal(?:32|64|128|256))\((\d+), (-?\d+)\)")
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]")
_DICTIONARY = re.compile(r"dictionary<values=(.+), indices=(u?int\d+), ordered=([01])>")

STEPS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type whose `str` is `name`.

    Raises:
        ValueError: no such type, or one that no table column may have.

    >>> arrow_type("timestamp[us, tz=UTC]")
    TimestampType(timestamp[us, tz=UTC])
    """
    if match := _DECIMAL.fullmatch(name):
        return getattr(pa, match[1])(int(match[2]), int(match[3]))
    if match := _TIMESTAMP.fullmatch(name):
        return pa.timestamp(match[1], match[2])
    if match := _DICTIONARY.fullmatch(name):
        return pa.dictionary(arrow_type(match[2]), arrow_type(match[1]), match[3] == "1")
    return pa.type_for_alias(name)


def value_type(dtype: pa.DataType) -> pa.DataType:
    """The type of the values: a dictionary's value type, any other type itself."""
    return dtype.value_type if isinstance(dtype, pa.DictionaryType) else dtype


def is_string(dtype: pa.DataType) -> bool:
    return pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or is_string_view(dtype)


def is_string_view(dtype: pa.DataType) -> bool:
    return str(dtype) == "string_view"


def is_temporal(dtype: pa.DataType) -> bool:
    """Timestamps, dates, times of day and durations: all are counts of a unit."""
    return pa.types.is_timestamp(dtype) or pa.types.is_date(dtype) or is_clock(dtype)


def is_clock(dtype: pa.DataType) -> bool:
    """Times of day and durations, which name no day."""
    return pa.types.is_time(dtype) or pa.types.is_duration(dtype)


def is_number(dtype: pa.DataType) -> bool:
    return pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)


def is_nested(dtype: pa.DataType) -> bool:
    return pa.types.is_nested(value_type(dtype)) or pa.types.is_union(value_type(dtype))


def is_supported(dtype: pa.DataType) -> bool:
    """Whether a column may have this type. (Arrow cannot unpack a dictionary of string views.)"""
    if isinstance(dtype, pa.DictionaryType) and is_string_view(dtype.value_type):
        return False
    dtype = value_type(dtype)
    return pa.types.is_boolean(dtype) or is_number(dtype) or is_string(dtype) or is_temporal(dtype)


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column's values in a type that Arrow's kernels all know: no dictionary, float16 or string view.

    Timestamps lose their time zone (the instants stay), NaN becomes null.
    """
    dtype = value_type(column.type)
    if column.type != dtype:
        column = column.cast(dtype)
    if is_string_view(dtype):
        return column.cast(pa.large_string())
    if pa.types.is_timestamp(dtype) and dtype.tz is not None:
        return column.cast(pa.timestamp(dtype.unit, "UTC")).cast(pa.timestamp(dtype.unit))
    if pa.types.is_decimal(dtype) and not pa.types.is_decimal128(dtype):
        return column.cast(pa.decimal128(min(dtype.precision, 38), dtype.scale))
    if pa.types.is_floating(dtype):
        if pa.types.is_float16(dtype):
            column = column.cast(pa.float32())
        if pc.any(pc.is_nan(column)).as_py():
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column


def measured(column: pa.ChunkedArray) -> np.ndarray:
    """A number or temporal column as float64, shape (n,): nan for null, temporal values as counts of their unit."""
    column = plain(column)
    if is_temporal(column.type):
        column = counts(column)
    if pa.types.is_decimal(column.type):  # by way of text: Arrow's own way is off by the last bit
        column = column.cast(pa.string())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def counts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A temporal column without time zone as int64 counts of its unit."""
    narrow = column.cast(pa.int32()) if _is_narrow(column.type) else column
    return narrow.cast(pa.int64())


def from_counts(values: np.ndarray, dtype: pa.DataType, mask: np.ndarray | None = None) -> pa.Array:
    """int64 counts as a temporal array, null where `mask`."""
    array = pa.array(values, pa.int64(), mask=mask)
    return array.cast(pa.int32()).cast(dtype) if _is_narrow(dtype) else array.cast(dtype)


def _is_narrow(dtype: pa.DataType) -> bool:
    """Whether 32 bits hold a count."""
    return pa.types.is_date32(dtype) or pa.types.is_time32(dtype)


def to_json_scalars(values: pa.ChunkedArray) -> tuple:
    """Distinct values as JSON scalars: temporal values as counts of their unit, decimals as strings."""
    values = plain(values)
    if is_temporal(values.type):
        values = counts(values)
    listed = values.to_pylist()
    return tuple(str(v) if isinstance(v, Decimal) else v for v in listed)


def from_json_scalars(scalars: Sequence, dtype: pa.DataType) -> pa.Array:
    """The inverse of `to_json_scalars`, in the value type of `dtype`."""
    dtype = value_type(dtype)
    if is_temporal(dtype):
        return from_counts(np.array(scalars, dtype=np.int64), dtype)
    if pa.types.is_decimal(dtype):
        return pa.array([Decimal(s) for s in scalars], dtype)
    if pa.types.is_float16(dtype):
        return pa.array(np.array(scalars, dtype=np.float16))
    return pa.array(scalars, dtype)


def type_bounds(dtype: pa.DataType) -> tuple[float, float]:
    """The smallest and largest float64 that the type can hold (temporal types: as counts of their unit)."""
    if pa.types.is_decimal(dtype):
        top = float(Decimal(10) ** (dtype.precision - dtype.scale) - Decimal(10) ** -dtype.scale)
        top = top if Decimal(top) < Decimal(10) ** (dtype.precision - dtype.scale) else float(np.nextafter(top, 0))
        return -top, top
    if pa.types.is_floating(dtype):
        info = np.finfo(dtype.to_pandas_dtype())
        return float(info.min), float(info.max)
    numpy_type = np.dtype("int64")
    if pa.types.is_integer(dtype):
        numpy_type = np.dtype(dtype.to_pandas_dtype())
    elif pa.types.is_time(dtype):  # of one day
        return 0.0, 86_400.0 * STEPS_PER_SECOND[dtype.unit] - 1
    elif pa.types.is_date32(dtype):
        numpy_type = np.dtype("int32")
    info = np.iinfo(numpy_type)
    top = float(info.max)
    return float(info.min), float(np.nextafter(top, 0)) if int(top) > info.max else top
