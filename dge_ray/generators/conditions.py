"""Conditions: columns of rows to be completed, checked and encoded."""

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, nearest
from dge_ray.generators.base import Unsupported
from dge_ray.generators.checks import encode_rows
from dge_ray.generators.tokens import Discretiser
from dge_ray.table.codec import Columns
from dge_ray.table.schema import TableSchema


def encode_given(given: pa.Table, n: int, schema: TableSchema) -> Columns:
    """The encoded values (n,) of the modelled columns that `given` holds, in table order.

    Raises:
        InputError: another number of rows, an unknown column, or a value that its schema has not.
    """
    wanted = _given_names(given, n, schema)
    part = TableSchema(tuple(column for column in schema.columns if column.name in wanted))
    return encode_rows(given, part) if wanted else {}


def encode_leading(given: pa.Table, n: int, schema: TableSchema, discretiser: Discretiser) -> np.ndarray:
    """Tokens (c, n) of the c leading modelled columns that `given` holds.

    Raises:
        InputError: as `encode_given`.
        Unsupported: columns that are not the leading ones.
    """
    wanted = _given_names(given, n, schema)
    modelled = [column.name for column in schema.modelled]
    if wanted != modelled[: len(wanted)]:
        first = next(name for name, lead in zip(wanted, modelled, strict=False) if name != lead)
        missing = modelled[: modelled.index(first)]
        absent = ", ".join(f"'{name}'" for name in missing if name not in wanted)
        raise Unsupported("given", f"column '{first}' without {absent}", "leading columns, in table order")
    if not wanted:
        return np.empty((0, n), dtype=np.int32)
    values = encode_given(given, n, schema)
    return np.stack([discretiser.columns[name].encode(values[name]) for name in wanted])


def _given_names(given: pa.Table, n: int, schema: TableSchema) -> list[str]:
    if given.num_rows != n:
        raise InputError("given", f"{given.num_rows} rows", f"n = {n} rows")
    for name in given.column_names:
        if name not in schema.names:
            raise InputError("given", f"column '{name}'", nearest(name, schema.names))
    return [column.name for column in schema.modelled if column.name in given.column_names]


def with_given(rows: pa.Table, given: pa.Table) -> pa.Table:
    """The rows with the given columns as they were given, in the rows' types."""
    for name in given.column_names:
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, given.column(name).cast(field.type))
    return rows
