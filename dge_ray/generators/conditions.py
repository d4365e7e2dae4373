"""Conditions: some columns of rows to be completed, checked and encoded."""

import pyarrow as pa

from dge_ray.errors import InputError, nearest
from dge_ray.generators.checks import encode_rows
from dge_ray.table.codec import Columns
from dge_ray.table.schema import TableSchema


def encode_given(given: pa.Table, n: int, schema: TableSchema) -> Columns:
    """The modelled columns that `given` holds, encoded; constants and identifiers may be among the others.

    Raises:
        InputError: another number of rows, an unknown column, or a value that the column was never fitted with.
    """
    if given.num_rows != n:
        raise InputError("given", f"{given.num_rows} rows", f"n = {n} rows")
    for name in given.column_names:
        if name not in schema.names:
            raise InputError("given", f"column '{name}'", nearest(name, schema.names))
    part = TableSchema(tuple(column for column in schema.modelled if column.name in given.column_names))
    return encode_rows(given, part) if part.columns else {}


def with_given(rows: pa.Table, given: pa.Table) -> pa.Table:
    """The rows with the given columns as they were given, in the rows' types."""
    for name in given.column_names:
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, given.column(name).cast(field.type))
    return rows
