"""Columns of extension types (pandas' periods and intervals, booleans in bytes, JSON) in Arrow's own types."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from dge_ray.table.arrow.arrow_types import pc

_PERIOD, _INTERVAL = "pandas.period", "pandas.interval"
_UNITS = {"h": 3_600, "min": 60, "s": 1, "ms": "ms", "us": "us", "ns": "ns"}


def own_type(field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without its extension type: a period as the date or instant of its beginning, an interval as text.

    Of other extension types their storage; of a dictionary of them, the dictionary in Arrow's types. `field`: the
    column's; where nobody has registered the type, its metadata say what it is.
    """
    if isinstance(field.type, pa.DictionaryType) and isinstance(field.type.value_type, pa.BaseExtensionType):
        return _own_dictionary(field.type, column)
    name, described = _extension(field)
    if name is None:
        return column
    storage = column.cast(field.type.storage_type) if isinstance(field.type, pa.BaseExtensionType) else column
    if name == _PERIOD:
        return _beginnings(storage, str(described.get("freq", "")))
    if name == _INTERVAL:
        return _as_text(storage, str(described.get("closed", "right")))
    return storage.cast(pa.bool_()) if name == "arrow.bool8" else storage


def _own_dictionary(dtype: pa.DictionaryType, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Codes of values of an extension type (pandas' cuts have intervals) as codes of what `own_type` makes of these."""
    codes = column.unify_dictionaries()
    if not codes.num_chunks:
        return pa.chunked_array([], pa.dictionary(dtype.index_type, pa.string(), dtype.ordered))
    values = own_type(pa.field("", dtype.value_type), pa.chunked_array([codes.chunk(0).dictionary])).combine_chunks()
    return pa.chunked_array(
        [pa.DictionaryArray.from_arrays(chunk.indices, values, ordered=dtype.ordered) for chunk in codes.chunks]
    )


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
