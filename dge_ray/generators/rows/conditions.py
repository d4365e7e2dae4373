"""Conditions: some columns of rows to be completed, checked and encoded."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, nearest_column
from dge_ray.generators.base import Generator, Unsupported
from dge_ray.generators.checks import encode_rows
from dge_ray.generators.encoding.tokens import Discretiser
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.filling import solved
from dge_ray.table.schema.identities import in_words
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
    """The modelled columns that `given` holds or tells, encoded; constants and identifiers may be among the others.

    Raises:
        InputError: another number of rows, an unknown column, or a value that the column was never fitted with.
        Unsupported: a computed column whose value does not tell the one column of its identity that is not given.
    """
    _check_given(given, n, schema)
    given = with_told(given, schema)
    part = TableSchema(tuple(column for column in schema.modelled if column.name in given.column_names))
    return encode_rows(given, part) if part.columns else {}


def encode_one(given: pa.Table, n: int, schema: TableSchema, discretiser: Discretiser) -> tuple[str, np.ndarray]:
    """The one coded column that `given` holds, and its tokens (n,).

    Raises:
        InputError: another number of rows, an unknown column, or a value that the column was never fitted with.
        Unsupported: not one column, or a measured one.
    """
    _check_given(given, n, schema)
    given = with_told(given, schema)
    wanted = [column for column in schema.modelled if column.name in given.column_names]
    coded = ", ".join(f"'{column.name}'" for column in schema.modelled if column.kind in CODED) or "none in this table"
    if len(wanted) != 1 or wanted[0].kind not in CODED:
        got = ", ".join(f"'{column.name}'" for column in wanted) or "no column that is modelled"
        raise Unsupported("given", got, f"one coded column: {coded}")
    column = wanted[0]
    values = encode_rows(given, TableSchema((column,)))
    return column.name, discretiser.columns[column.name].encode(values[column.name]).astype(np.int64)


def with_told(given: pa.Table, schema: TableSchema) -> pa.Table:
    """The given columns, and those that computed ones among them tell: an addend by the sum and the other ones.

    Raises:
        Unsupported: a computed column whose value does not tell the one column of its identity that is not given.
    """
    for identity in reversed(schema.kept):
        if identity.column not in given.column_names or identity.column not in schema.computed:
            continue
        lacking = [name for name in identity.of if name not in given.column_names]
        if not lacking:
            continue
        involved = TableSchema(tuple(schema[n] for n in (identity.column, *identity.of) if n not in lacking))
        values = solved(identity, lacking[0], encode_rows(given, involved)) if len(lacking) == 1 else None
        if values is None:
            takes = f"what it is computed from beside it ({in_words(identity)}), or a fit with identities=none"
            raise Unsupported("given", f"column '{identity.column}' without {', '.join(map(repr, lacking))}", takes)
        told = TableCodec(TableSchema((schema[lacking[0]],))).decode({lacking[0]: values}, seed=0)
        given = given.append_column(told.schema.field(0), told.column(0))
    return given


def _check_given(given: pa.Table, n: int, schema: TableSchema) -> None:
    if given.num_rows != n:
        raise InputError("given", f"{given.num_rows} rows", f"n = {n} rows")
    for name in given.column_names:
        if name not in schema.names:
            raise InputError("given", f"column '{name}'", nearest_column(name, schema.names))


def with_given(rows: pa.Table, given: pa.Table, schema: TableSchema) -> pa.Table:
    """The rows with the given columns as they were given, in the rows' types, and what is computed from them."""
    given = with_told(given, schema)
    for name in given.column_names:
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, given.column(name).cast(field.type))
    return TableCodec(schema).refill(rows, given.column_names)
