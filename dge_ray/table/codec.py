"""Arrow tables to arrays that models work on, and back with the real table's exact types."""

from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, nearest_column
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table.arrow.arrow_types import (
    arrow_type,
    from_counts,
    from_json_scalars,
    is_number,
    is_string,
    is_string_view,
    is_temporal,
    measured,
    pc,
    plain,
    value_type,
)
from dge_ray.table.filling import bounds_of, fill, settled
from dge_ray.table.schema.table_schema import CODED, MEASURED, Column, Kind, TableSchema, arrow_schema

Columns: TypeAlias = dict[str, np.ndarray]
"""A table's columns that vary, each of shape (n,): int32 codes into the schema's categories for coded kinds (-1:
missing or unseen), float64 for measured kinds (nan: missing), objects that are `str` for text (None: missing).
Constants and identifiers are absent."""

_SURROGATE_BITS = 52  # integers that a float64 holds, so that no reader rounds two surrogates into one
_PREFIX = np.frombuffer(b"synthetic-", dtype=np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


class TableCodec:
    """Encodes tables of one schema to `Columns` and decodes them back.

    `decode(encode(t))` equals `t` for tables of the schema whose numbers a float64 holds (integers up to 2**53;
    datetimes to the column's step, or the 256 ns that a float64 resolves today), identifiers aside.
    """

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self.arrow_schema = arrow_schema(schema)
        self._values = {
            c.name: from_json_scalars(c.categories, arrow_type(c.type)) for c in schema.columns if c.categories
        }
        # What the column's values are looked up in: the same flat type that `plain` gives.
        self._lookup = {n: plain(pa.chunked_array([v])).combine_chunks() for n, v in self._values.items()}

    def encode(self, table: pa.Table, names: Sequence[str] | None = None) -> Columns:
        """The table's columns that vary as arrays, in schema order; other columns of the table are ignored.

        `names`: encode these of them only (default: all).

        Raises:
            InputError: a column is absent, or has values that the schema's type cannot hold.
        """
        wanted = self.schema.varying if names is None else [self.schema[name] for name in names]
        return {column.name: self._encode(column, self._column(table, column)) for column in wanted}

    def decode(self, columns: Columns, *, seed: int, as_they_are: bool = False) -> pa.Table:
        """A table of the schema: its column order, Arrow types, categories, bounds and precision.

        Codes of -1 and nan become null; measured values are rounded to the column's precision and clipped to its
        bounds; constants are refilled; identifiers get fresh surrogates, a pure function of (seed, column, n). What
        identities tell is computed from the other columns, unless all columns are to stay `as_they_are`.
        """
        if not as_they_are:
            columns = fill(columns, self.schema)
        n = len(next(iter(columns.values())))
        arrays = []
        for index, (column, field) in enumerate(zip(self.schema.columns, self.arrow_schema, strict=True)):
            if column.kind is Kind.CONSTANT:
                arrays.append(self._decode_codes(column, field.type, np.zeros(n, dtype=np.int32)))
            elif column.kind is Kind.IDENTIFIER:
                arrays.append(surrogates(field.type, n, seed=seed, index=index))
            elif column.kind in CODED:
                arrays.append(self._decode_codes(column, field.type, columns[column.name]))
            elif column.kind is Kind.TEXT:
                arrays.append(pa.array(columns[column.name], pa.large_string()).cast(field.type))
            else:
                arrays.append(_decode_measured(column, field.type, columns[column.name]))
        return pa.Table.from_arrays(arrays, schema=self.arrow_schema)

    def refill(self, table: pa.Table, held: Collection[str]) -> pa.Table:
        """A table of the schema whose columns `held` were set anew: the others that identities name follow them."""
        named = {name for i in self.schema.kept for name in (i.column, *i.of)}
        named.update(name for pair in self.schema.kept_orders for name in pair)
        names = [column.name for column in self.schema.varying if column.name in named]
        for name, values in fill(self.encode(table, names), self.schema, held).items() if names else ():
            column, at = self.schema[name], table.schema.get_field_index(name)
            if name not in held:
                dtype = self.arrow_schema.field(name).type
                made = self._decode_codes if column.kind in CODED else _decode_measured
                table = table.set_column(at, table.schema.field(at), made(column, dtype, values))
        return table

    def _column(self, table: pa.Table, column: Column) -> pa.ChunkedArray:
        indices = table.schema.get_all_field_indices(column.name)
        if len(indices) != 1:
            got = "no such column" if not indices else f"{len(indices)} columns of that name"
            raise InputError(f"column '{column.name}'", got, nearest_column(column.name, table.column_names))
        values = table.column(indices[0])
        dtype = arrow_type(column.type)
        if value_type(values.type) == value_type(dtype) or (column.kind in MEASURED and _measures(values.type, dtype)):
            return values
        try:
            return plain(values).cast(value_type(dtype))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"column '{column.name}'", f"type {values.type}", f"type {dtype}") from error

    def _encode(self, column: Column, values: pa.ChunkedArray) -> np.ndarray:
        if column.kind is Kind.TEXT:
            return np.array(plain(values).to_pylist(), dtype=object)
        if column.kind not in CODED:
            return measured(values)
        codes = pc.fill_null(pc.index_in(plain(values), value_set=self._lookup[column.name]), -1)
        return np.asarray(codes.to_numpy(), dtype=np.int32)

    def _decode_codes(self, column: Column, dtype: pa.DataType, codes: np.ndarray) -> pa.Array:
        codes = np.asarray(codes, dtype=np.int32)
        missing = codes < 0
        indices = pa.array(codes, mask=missing if missing.any() else None)
        values = self._values[column.name]
        if isinstance(dtype, pa.DictionaryType):
            return pa.DictionaryArray.from_arrays(indices.cast(dtype.index_type), values, ordered=dtype.ordered)
        if is_string_view(dtype):  # Arrow cannot take from a view
            return values.cast(pa.large_string()).take(indices).cast(dtype)
        return values.take(indices)


def _measures(actual: pa.DataType, expected: pa.DataType) -> bool:
    """Whether one number type can stand for another: a table with nulls often has floats where the real one had not."""
    return is_number(actual) and is_number(expected)


def _decode_measured(column: Column, dtype: pa.DataType, values: np.ndarray) -> pa.Array:
    values = np.asarray(values, dtype=np.float64)
    if column.kind is Kind.NUMERIC:
        return _from_floats(settled(column, values), dtype, column.decimals)
    low, high = bounds_of(column)
    # Whole numbers: rounded and clipped in steps, so that bounds beyond 2**53 (nanoseconds) stay exact multiples.
    steps = np.clip(np.rint(values / column.step), np.rint(low / column.step), np.rint(high / column.step))
    if pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
        return _from_floats(steps * column.step, dtype)
    missing = np.isnan(steps)
    mask = missing if missing.any() else None
    if mask is not None:
        steps = np.where(mask, 0.0, steps)
    if is_temporal(dtype):
        return from_counts(steps.astype(np.int64) * column.step, dtype, mask)
    return pa.array(steps.astype(dtype.to_pandas_dtype()), dtype, mask=mask)


def _from_floats(values: np.ndarray, dtype: pa.DataType, decimals: int | None = 0) -> pa.Array:
    if pa.types.is_decimal(dtype):
        if decimals is not None and decimals < dtype.scale:  # a float64 is near its decimals, and not they
            rounded = pa.array(values, from_pandas=True).cast(_decimal(dtype, decimals), safe=False)
            return rounded.cast(dtype)
        return pa.array(values, from_pandas=True).cast(dtype, safe=False)
    return pa.array(values.astype(dtype.to_pandas_dtype(), copy=False), from_pandas=True)


def _decimal(dtype: pa.DataType, scale: int) -> pa.DataType:
    """The decimal type with fewer decimals that holds the same whole numbers."""
    make = pa.decimal256 if pa.types.is_decimal256(dtype) else pa.decimal128
    return make(dtype.precision - dtype.scale + scale, scale)


def surrogates(dtype: pa.DataType, n: int, *, seed: int, index: int = 0) -> pa.Array:
    """`n` stand-ins for identifiers: 'synthetic-' and 16 hex digits in a string type, else random whole numbers.

    `index`: the column's position, so that two identifier columns differ.
    """
    rng = numpy_generator(seed, Purpose.SURROGATE, index=index)
    if is_string(dtype):
        digits = _HEX[rng.integers(0, 16, size=(n, 16), dtype=np.uint8)]
        text = np.concatenate([np.broadcast_to(_PREFIX, (n, len(_PREFIX))), digits], axis=1)
        offsets = np.arange(n + 1, dtype=np.int64) * text.shape[1]
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text))]
        return pa.LargeStringArray.from_buffers(n, *buffers[1:]).cast(dtype)
    if pa.types.is_decimal(dtype):
        most = min(10 ** (dtype.precision - dtype.scale), 2**_SURROGATE_BITS)
        return pa.array(rng.integers(0, most, size=n)).cast(pa.decimal128(38, 0)).cast(dtype)
    numpy_type = np.dtype(dtype.to_pandas_dtype())
    holds = np.finfo(numpy_type).nmant if numpy_type.kind == "f" else np.iinfo(numpy_type).bits - 1
    return pa.array(rng.integers(0, 2 ** min(holds, _SURROGATE_BITS), size=n).astype(numpy_type), dtype)
