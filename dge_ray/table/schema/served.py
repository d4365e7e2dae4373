"""Rows as a server hands them over, in a schema's types: dates as text, whole numbers as floats, missing values.

CSV and JSON know few types, and what reads them guesses the rest. Here the schema decides what a value means.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, nearest_column
from dge_ray.table.arrow.arrow_types import (
    arrow_type,
    from_json_scalars,
    is_clock,
    is_number,
    is_temporal,
    pc,
    value_type,
)
from dge_ray.table.arrow.frame import from_pandas
from dge_ray.table.schema.table_schema import CODED, Column, Kind
from dge_ray.table.types.clock import parse_durations, parse_times

if TYPE_CHECKING:
    import pandas as pd

CLOCKS = ("times of day, such as 08:30 or 08:30:15", "durations, such as 2:30:00, 1 days 02:30:00 or PT2H30M")
DATES = "ISO dates, such as 2024-01-31 or 2024-01-31T12:00:00 (UTC where no zone is said)"


def served_rows(frame: "pd.DataFrame", columns: Sequence[Column]) -> pa.Table:
    """The columns of a frame as a `TableCodec` takes them.

    A column that may be missing may also be absent. A category that is none of the column's is missing. Blank text is
    missing, and so is nan.

    Raises:
        InputError: a column is absent, or a value cannot be read as its column's type.
    """
    names = [str(name) for name in frame.columns]
    arrays = []
    for column in columns:
        if names.count(column.name) > 1:
            raise InputError(f"column '{column.name}'", "more than one of that name", "one")
        if column.name in names:
            arrays.append(_read(frame.iloc[:, names.index(column.name)], column))
        elif column.missing:
            arrays.append(pa.nulls(len(frame), value_type(arrow_type(column.type))))
        else:
            raise InputError(f"column '{column.name}'", "no such column", nearest_column(column.name, names))
    return pa.Table.from_arrays(arrays, names=[column.name for column in columns])


def _read(series: "pd.Series", column: Column) -> pa.Array | pa.ChunkedArray:
    wanted = value_type(arrow_type(column.type))
    try:
        given = from_pandas(series.to_frame(column.name)).column(0)
    except InputError:  # values of several types, as JSON may hold them: each is read by itself
        given = None
    if given is not None and _is_so(value_type(given.type), wanted, column):
        return given
    values = [None if _is_missing(value) else value for value in series.astype(object).tolist()]
    if column.kind in CODED:
        return _categories(values, from_json_scalars(column.categories, wanted))
    if column.kind is Kind.TEXT:
        return pa.array([None if value is None else str(value) for value in values], pa.large_string())
    if is_clock(wanted):
        return _clock_values(values, column, wanted)
    if is_temporal(wanted):
        return pa.array(_each(values, _instant, column, DATES), pa.timestamp("us"))
    return pa.array(_each(values, _number, column, "numbers"), pa.float64())


def _is_so(given: pa.DataType, wanted: pa.DataType, column: Column) -> bool:
    """Whether the codec reads the one type as the other."""
    measured = column.kind not in CODED and column.kind is not Kind.TEXT
    same_family = (is_number(given) and is_number(wanted)) or (is_temporal(given) and is_temporal(wanted))
    return given == wanted or (measured and same_family)


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def _each(values: list[Any], read: Callable[[Any], Any], column: Column, takes: str) -> list[Any]:
    done: dict[Any, Any] = {None: None}
    for value in values:
        try:
            if value not in done:
                done[value] = read(value)
        except (TypeError, ValueError, OverflowError):
            takes += " or nothing" if column.missing else ""
            raise InputError(f"column '{column.name}'", repr(value)[:80], takes) from None
    return [done[value] for value in values]


def _number(value: Any) -> float:
    number = float(value)
    if math.isinf(number) or (isinstance(value, str) and math.isnan(number)):
        raise ValueError("not finite")
    return number


def _instant(value: Any) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if not isinstance(value, date):
        raise TypeError("a count without a unit")
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


def _clock_values(values: list[Any], column: Column, wanted: pa.DataType) -> pa.ChunkedArray:
    """Times of day or durations as Python has them, or as text."""
    parse, kinds = (parse_times, (time,)) if pa.types.is_time(wanted) else (parse_durations, (timedelta,))
    texts = pa.array([value if isinstance(value, str) else None for value in values], pa.large_string())
    read = parse(texts).values
    for value, text, good in zip(values, texts, np.asarray(read.is_valid()), strict=True):
        if value is not None and not isinstance(value, kinds) and not (text.is_valid and good):
            takes = CLOCKS[0] if pa.types.is_time(wanted) else CLOCKS[1]
            raise InputError(
                f"column '{column.name}'", repr(value)[:80], takes + (" or nothing" if column.missing else "")
            )
    fine = pa.time64("us") if pa.types.is_time(wanted) else pa.duration("us")
    given = pa.array([value if isinstance(value, kinds) else None for value in values], fine)
    return pa.chunked_array([pc.coalesce(given, read.cast(fine, safe=False))]).cast(wanted, safe=False)


def _categories(values: list[Any], categories: pa.Array) -> pa.Array:
    """Each value as the category that it is, or else the only one that it can mean: 2.0 is "2" or "02"."""
    listed = categories.to_pylist()
    exact = {(type(value), value): code for code, value in enumerate(listed)}
    meant: dict[Any, int | None] = {}
    for code, value in enumerate(listed):
        meaning = _meaning(value)
        meant[meaning] = None if meaning in meant else code
    codes = [exact.get((type(value), value), meant.get(_meaning(value))) for value in values]
    return categories.take(pa.array(codes, pa.int32()))


def _meaning(value: Any) -> Any:
    """What a value stands for, whatever its type: a number, an instant, or else its text."""
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and text.lower() in ("true", "false"):
        return float(text.lower() == "true")
    if isinstance(text, str | bool | int | float | Decimal) or hasattr(text, "item"):
        try:
            return float(text)
        except (TypeError, ValueError):
            pass
    try:
        return _instant(text)
    except (TypeError, ValueError):
        return text
