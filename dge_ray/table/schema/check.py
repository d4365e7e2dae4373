"""Is a synthetic table valid against the real table's schema, and is a schema from elsewhere one at all?"""

import sys

import numpy as np
import pyarrow as pa

from dge_ray.table.arrow.arrow_types import (
    arrow_type,
    from_json_scalars,
    is_number,
    is_string,
    is_supported,
    is_temporal,
    measured,
    pc,
    plain,
)
from dge_ray.table.schema.identities import identity_faults, order_faults
from dge_ray.table.schema.table_schema import (
    CODED,
    MEASURED,
    Column,
    Kind,
    TableSchema,
    arrow_schema,
    names_fault,
    task_of,
)


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
    elif column.kind in MEASURED:
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


def check_schema(schema: TableSchema) -> list[str]:
    """What is wrong with a schema that somebody else wrote, a line a fault; empty for one that a table can have.

    Checked: names, kinds, types and what belongs to them (categories, bounds, decimals, steps); target and task.
    """
    faults = []
    if fault := names_fault(schema.names):
        return [f"{fault}, expected distinct texts"]
    for column in schema.columns:
        faults.extend(f"column '{column.name}': {fault}" for fault in _description_faults(column))
    measured_names = [column.name for column in schema.columns if column.kind in MEASURED]
    coded = {column.name: len(column.categories) for column in schema.columns if column.kind in CODED}
    faults.extend(identity_faults(schema.identities, measured_names, coded, schema.target))
    faults.extend(order_faults(schema.orders, measured_names))
    if schema.target is None:
        return [*faults, *([] if schema.task is None else [f"task {schema.task!r} without a target"])]
    if schema.target not in [column.name for column in schema.varying]:
        return [*faults, f"target {schema.target!r}, which is no column that can be predicted"]
    if not faults and schema.task != task_of(schema[schema.target]):
        faults.append(f"task {schema.task!r}, expected {task_of(schema[schema.target])!r}")
    return faults


def _description_faults(column: Column) -> list[str]:
    if not isinstance(column.missing, bool):
        return [f"missing {column.missing!r}, expected true or false"]
    try:
        dtype = arrow_type(column.type)
    except (ValueError, TypeError, pa.ArrowException):
        return [f"type {column.type!r}, which is none of Arrow's"]
    if not is_supported(dtype):
        return [f"type {column.type!r}, which no table column may have"]
    if column.kind in CODED or column.kind is Kind.CONSTANT:
        return _category_faults(column, dtype)
    if column.kind is Kind.TEXT and not is_string(dtype):
        return [f"kind '{column.kind}' with type {column.type}"]
    if column.kind in MEASURED and is_temporal(dtype) != (column.kind is Kind.DATETIME):
        return [f"kind '{column.kind}' with type {column.type}"]
    if column.kind in MEASURED and not (is_number(dtype) or is_temporal(dtype)):
        return [f"kind '{column.kind}' with type {column.type}"]
    faults = []
    for name, value in (("minimum", column.minimum), ("maximum", column.maximum)):
        if value is not None and not _finite(value):
            faults.append(f"{name} {value!r}, expected a finite number or null")
    if not faults and column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
        faults.append(f"minimum {column.minimum!r} above maximum {column.maximum!r}")
    if column.decimals is not None and not (type(column.decimals) is int and 0 <= column.decimals <= 30):
        faults.append(f"decimals {column.decimals!r}, expected a whole number from 0 to 30, or null")
    if type(column.step) is not int or not 1 <= column.step < 2**63:
        faults.append(f"step {column.step!r}, expected a whole number from 1")
    return faults


def _category_faults(column: Column, dtype: pa.DataType) -> list[str]:
    count = len(column.categories)
    if count == 0 or (column.kind is Kind.CONSTANT and count > 1):
        return [f"{count} categories for kind '{column.kind}'"]
    try:
        values = plain(pa.chunked_array([from_json_scalars(column.categories, dtype)]))
    except (ValueError, TypeError, ArithmeticError, pa.ArrowException):
        return [f"categories that are no values of type {column.type}"]
    if values.null_count or len(pc.unique(values)) < len(values):
        return ["categories with nulls or repeats"]
    return []


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
