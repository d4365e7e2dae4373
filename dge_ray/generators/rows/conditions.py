"""Conditions: some columns of rows to be completed, checked and encoded."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, nearest_column
from dge_ray.generators.base import Generator, Unsupported
from dge_ray.generators.checks import encode_rows
from dge_ray.generators.encoding.tokens import Discretiser
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import CODED, TableSchema


@dataclass(frozen=True)
class Held:
    """A generator of rows some of whose columns are held at the values of `row`, a table of one."""

    generator: Generator
    row: pa.Table

    def sample(self, n: int, *, seed: int) -> pa.Table:
        given = self.row.take(pa.array(np.zeros(n, dtype=np.int64)))
        return self.generator.sample(n, seed=seed, given=given)  # type: ignore[call-arg]  # optional in the Protocol


def encode_given(given: pa.Table, n: int, schema: TableSchema) -> Columns:
    """The modelled columns that `given` holds, encoded; constants and identifiers may be among the others.

    Raises:
        InputError: another number of rows, an unknown column, or a value that the column was never fitted with.
    """
    _check_given(given, n, schema)
    part = TableSchema(tuple(column for column in schema.modelled if column.name in given.column_names))
    return encode_rows(given, part) if part.columns else {}


def encode_one(given: pa.Table, n: int, schema: TableSchema, discretiser: Discretiser) -> tuple[str, np.ndarray]:
    """The one coded column that `given` holds, and its tokens (n,).

    Raises:
        InputError: another number of rows, an unknown column, or a value that the column was never fitted with.
        Unsupported: not one column, or a measured one.
    """
    _check_given(given, n, schema)
    wanted = [column for column in schema.modelled if column.name in given.column_names]
    coded = ", ".join(f"'{column.name}'" for column in schema.modelled if column.kind in CODED) or "none in this table"
    if len(wanted) != 1 or wanted[0].kind not in CODED:
        got = ", ".join(f"'{column.name}'" for column in wanted) or "no column that is modelled"
        raise Unsupported("given", got, f"one coded column: {coded}")
    column = wanted[0]
    values = encode_rows(given, TableSchema((column,)))
    return column.name, discretiser.columns[column.name].encode(values[column.name]).astype(np.int64)


def _check_given(given: pa.Table, n: int, schema: TableSchema) -> None:
    if given.num_rows != n:
        raise InputError("given", f"{given.num_rows} rows", f"n = {n} rows")
    for name in given.column_names:
        if name not in schema.names:
            raise InputError("given", f"column '{name}'", nearest_column(name, schema.names))


def with_given(rows: pa.Table, given: pa.Table) -> pa.Table:
    """The rows with the given columns as they were given, in the rows' types."""
    for name in given.column_names:
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, given.column(name).cast(field.type))
    return rows
