"""Is a synthetic table valid against the real table's schema?"""

import numpy as np
import pyarrow as pa

from dge_ray.table.arrow_types import arrow_type, from_json_scalars, measured, plain
from dge_ray.table.kernels import pc
from dge_ray.table.schema import CODED, Column, Kind, TableSchema, arrow_schema


def check_table(table: pa.Table, schema: TableSchema) -> list[str]:
    """What is wrong with the table, a line a fault; empty for a table that the real one could have been.

    Checked: columns, order and exact types; categories; bounds; whole numbers, steps and decimals; nulls only where
    the real column has some; constants.
    """
    expected = arrow_schema(schema)
    if table.column_names != expected.names:
        return [f"columns {table.column_names}, expected {expected.names}"]
    faults = []
    for column, field, values in zip(schema.columns, expected, table.columns, strict=True):
        if values.type != field.type:
            faults.append(f"column '{column.name}': type {values.type}, expected {field.type}")
        else:
            faults.extend(f"column '{column.name}': {fault}" for fault in _faults(column, values))
    return faults


def _faults(column: Column, values: pa.ChunkedArray) -> list[str]:
    flat = plain(values)
    faults = []
    if flat.null_count and not column.missing:
        faults.append(f"{flat.null_count} nulls, expected none")
    if column.kind in CODED or column.kind is Kind.CONSTANT:
        allowed = plain(pa.chunked_array([from_json_scalars(column.categories, arrow_type(column.type))]))
        present = flat.drop_null()
        unknown = present.filter(pc.invert(pc.is_in(present, value_set=allowed)))
        if len(unknown):
            faults.append(
                f"{len(unknown)} values outside its {len(allowed)} categories, such as {unknown[0].as_py()!r}"
            )
    elif column.kind is not Kind.IDENTIFIER:
        numbers = measured(values)
        faults.extend(_number_faults(column, numbers[~np.isnan(numbers)]))
    return faults


def _number_faults(column: Column, numbers: np.ndarray) -> list[str]:
    faults = []
    if column.minimum is not None and (numbers < column.minimum).any():
        faults.append(f"{float(numbers.min())!r} below its minimum {column.minimum!r}")
    if column.maximum is not None and (numbers > column.maximum).any():
        faults.append(f"{float(numbers.max())!r} above its maximum {column.maximum!r}")
    if column.kind is not Kind.NUMERIC:
        if (numbers != np.rint(numbers / column.step) * column.step).any():
            faults.append(f"values that are no multiples of {column.step}")
    elif column.decimals is not None:
        # A stored float32 or float16 is not the decimal itself but the nearest value of its type.
        dtype = arrow_type(column.type)
        storage = dtype.to_pandas_dtype() if pa.types.is_floating(dtype) else np.float64
        rounded = np.round(numbers, column.decimals)
        if (rounded.astype(storage) != numbers.astype(storage)).any():
            faults.append(f"values with more than {column.decimals} decimals")
    return faults
