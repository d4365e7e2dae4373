"""Tables that Python holds already: pandas frames, and whatever has Arrow's PyCapsule interface."""

import sys
from typing import Any

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.table.arrow.extensions import own_type
from dge_ray.table.arrow.frame import from_pandas

CAPSULE = "__arrow_c_stream__"


def is_table(given: Any) -> bool:
    """Whether `arrow_table` takes it."""
    return _is_frame(given) or hasattr(given, CAPSULE) or hasattr(given, "collect_schema")


def arrow_table(given: Any) -> pa.Table:
    """The table as Arrow has it; of a pandas frame the index is left out.

    `given`: a pandas frame, or what gives an Arrow stream (PyCapsule interface): Arrow's tables and readers, polars'
    frames, DuckDB's relations.

    Raises:
        InputError: something else, a frame with a column whose values have no one type, or types that Arrow has not.
    """
    if _is_frame(given):
        return from_pandas(given)
    if not hasattr(given, CAPSULE) and hasattr(given, "collect"):  # a lazy frame of polars
        given = given.collect()
    try:
        table = given if isinstance(given, pa.Table) else pa.RecordBatchReader.from_stream(given).read_all()
    except (TypeError, pa.ArrowException):  # no interface, or that of one column (a series), or a type of its own
        got = f"a {type(given).__module__.partition('.')[0]}.{type(given).__name__}"
        takes = "a source's name, a pandas frame, or a table with Arrow's PyCapsule interface, of types that Arrow has"
        whole = hasattr(given, CAPSULE) and hasattr(given, "columns")  # a table, and so it is a column's type
        raise InputError("source", f"{got} that Arrow cannot take" if whole else got, takes) from None
    columns = [own_type(field, column) for field, column in zip(table.schema, table.columns, strict=True)]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _is_frame(given: Any) -> bool:
    pandas = sys.modules.get("pandas")  # without it nobody has a frame
    return pandas is not None and isinstance(given, pandas.DataFrame)
