"""Columns of types that not all of Arrow's kernels know, in those that they do: extension types (pandas' periods and
intervals, booleans in bytes, JSON, UUIDs), views of text, runs."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from dge_ray.table.arrow.arrow_types import is_string_view, pc

_PERIOD, _INTERVAL, _UUID = "pandas.period", "pandas.interval", "arrow.uuid"
_UNITS = {"h": 3_600, "min": 60, "s": 1, "ms": "ms", "us": "us", "ns": "ns"}


def own_type(field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without its extension type: a period as the date or instant of its beginning, an interval and a UUID
    as text. Of other extension types their storage; views of text as text, and runs as the values that they stand for.

    `field`: the column's; where nobody has registered the type, its metadata say what it is.
    """
    if isinstance(field.type, pa.DictionaryType):
        return _own_categories(field.type, column)
    if is_string_view(field.type):
        return column.cast(pa.large_string())
    if pa.types.is_run_end_encoded(field.type):
        return pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], field.type.value_type)
    name, described = _extension(field)
    if name is None:
        return column
    storage = column.cast(field.type.storage_type) if isinstance(field.type, pa.BaseExtensionType) else column
    if name == _PERIOD:
        return _beginnings(storage, str(described.get("freq", "")))
    if name == _INTERVAL:
        return _as_text(storage, str(described.get("closed", "right")))
    if name == _UUID:
        texts = [None if value is None else str(uuid.UUID(bytes=value)) for value in storage.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return storage.cast(pa.bool_()) if name == "arrow.bool8" else storage


def _own_categories(dtype: pa.DictionaryType, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A dictionary whose values have such a type: `pandas.cut` makes some of intervals, polars of views of text."""
    if not (is_string_view(dtype.value_type) or isinstance(dtype.value_type, pa.BaseExtensionType)):
        return column
    chunks, empty = [], pa.dictionary(dtype.index_type, pa.string(), dtype.ordered)
    for chunk in column.chunks:
        values = own_type(pa.field("", dtype.value_type), pa.chunked_array([chunk.dictionary])).combine_chunks()
        values = values if isinstance(values, pa.Array) else pa.concat_arrays(values.chunks)
        chunks.append(pa.DictionaryArray.from_arrays(chunk.indices, values, ordered=dtype.ordered))
    return pa.chunked_array(chunks) if chunks else pa.chunked_array([], empty)


def _extension(field: pa.Field) -> tuple[str | None, Mapping[str, object]]:
    """The name of a column's extension type, and what it is described by; None of a column without one."""
    if isinstance(field.type, pa.BaseExtensionType):
        name = field.type.extension_name
        described = getattr(field.type, "freq", None), getattr(field.type, "closed", None)
        return name, {"freq": described[0], "closed": described[1]}
    metadata = field.metadata or {}
    name = metadata.get(b"ARROW:extension:name")
    if name is None:
        return None, {}
    try:
        return name.decode(), dict(json.loads(metadata.get(b"ARROW:extension:metadata") or b"{}"))
    except (ValueError, TypeError):
        return name.decode(), {}


def _beginnings(ordinals: pa.ChunkedArray, frequency: str) -> pa.ChunkedArray:
    """The first day or instant of periods, which are counted from 1970."""
    base = frequency.split("-")[0]
    if base in _UNITS:
        unit = _UNITS[base]
        if isinstance(unit, str):
            return ordinals.cast(pa.timestamp(unit))
        return pc.multiply(ordinals, unit).cast(pa.timestamp("s"))
    if base in ("D", "B", "M", "W") or base[:1] in ("Q", "Y", "A"):
        import pandas as pd  # a frame's period, or one that was written from a frame: pandas knows its calendar

        periods: Any = pd.PeriodIndex  # whose stubs lack from_ordinals
        starts = periods.from_ordinals(ordinals.drop_null().to_numpy(), freq=frequency).to_timestamp()
        days = pa.array(starts.to_numpy().astype("datetime64[D]"))
        places = pc.cumulative_sum(pc.is_valid(ordinals).cast(pa.int64()))
        places = pc.if_else(pc.is_valid(ordinals), pc.subtract(places, 1), None)
        return pa.chunked_array([days.take(places.combine_chunks())])
    return ordinals


def _as_text(intervals: pa.ChunkedArray, closed: str) -> pa.ChunkedArray:
    """Intervals as pandas writes them: (0.5, 1.2]."""
    whole = intervals.combine_chunks()
    left, right = (pc.struct_field(whole, [side]).cast(pa.string()) for side in ("left", "right"))
    first, last = "[" if closed in ("left", "both") else "(", "]" if closed in ("right", "both") else ")"
    text = pc.binary_join_element_wise(
        pc.binary_join_element_wise(first, left, ""), pc.binary_join_element_wise(right, last, ""), ", "
    )
    return pa.chunked_array([pc.if_else(pc.is_valid(whole), text, None)])
