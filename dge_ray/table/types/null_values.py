"""Values of a column that stand for missing ones because its owner says so: `columns.age={null_values: [-999]}`."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.table.arrow.arrow_types import is_string, is_string_view, pc, plain

KEY = "null_values"


def null_values(name: str, given: Any) -> tuple[str, ...]:
    """What a column's override says of them, as texts; () where it says nothing.

    Raises:
        InputError: no value, or no list of values.
    """
    if not isinstance(given, Mapping) or KEY not in given:
        return ()
    values = given[KEY]
    if (
        not isinstance(values, list | tuple)
        or not values
        or any(value is None or isinstance(value, bool | Mapping | list | tuple) for value in values)
    ):
        takes = f"values that stand for missing ones, as columns.{name}={{{KEY}: [-999]}}"
        raise InputError(f"columns.{name}.{KEY}", repr(given[KEY]), takes)
    return tuple(str(value).strip() for value in values)


def with_nulls(column: pa.ChunkedArray, values: tuple[str, ...]) -> tuple[pa.ChunkedArray, Counter[str]]:
    """The column (n,) with nulls for these values, and how often each of them was there.

    Text is compared as it is written, without white space around it, and as a number where both are some: -999 is
    -999.0 too. Dates are written as 9999-12-31, timestamps with a time of day behind.
    """
    counted: Counter[str] = Counter(dict.fromkeys(values, 0))
    flat = plain(column)
    if not values or pa.types.is_null(flat.type):
        return column, counted
    distinct = pc.unique(flat.drop_null())
    gone = pa.nulls(0, flat.type)
    for value in values:
        same = distinct.filter(_equal(distinct, value))
        counted[value] = pc.sum(pc.is_in(flat, value_set=same)).as_py() or 0
        gone = pa.concat_arrays([gone, same])
    if not counted.total():
        return column, counted
    kept = flat if is_string_view(column.type) else column
    return pc.if_else(pc.is_in(flat, value_set=gone), pa.scalar(None, kept.type), kept), counted


def without_null_values(table: pa.Table, overrides: Mapping[str, Any]) -> pa.Table:
    """The table with nulls for what the overrides of its columns say."""
    for place, name in enumerate(table.column_names):
        if said := null_values(name, overrides.get(name)):
            table = table.set_column(place, name, with_nulls(table.column(place), said)[0])
    return table


def _equal(distinct: pa.Array, value: str) -> pa.Array:
    """Which of the different values (n,) this one is."""
    if is_string(distinct.type):
        number = _number(value)
        texts = [text.strip() for text in distinct.to_pylist()]
        return pa.array([t == value or (number is not None and _number(t) == number) for t in texts], pa.bool_())
    return pc.fill_null(pc.equal(distinct, _scalar(value, distinct.type)), False)


def _scalar(value: str, dtype: pa.DataType) -> pa.Scalar:
    """The value in a type; null where it is none of it."""
    number = _number(value)
    readings = [pa.scalar(value), *([] if number is None else [pa.scalar(number)])]  # '-999.0' is a whole number too
    for reading in readings:
        try:
            return reading.cast(dtype)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
    return pa.scalar(None, dtype)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
