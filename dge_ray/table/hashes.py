"""Rows as 64-bit numbers, so that tables can be searched for each other's rows without both in memory."""

import numpy as np
import pyarrow as pa

from dge_ray.table.codec import TableCodec
from dge_ray.table.lazy import LazyTable
from dge_ray.table.schema.table_schema import TableSchema

_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # of splitmix64, as is
_MISSING = np.uint64(0x9E3779B97F4A7C15)


def cell_hashes(table: pa.Table | LazyTable, schema: TableSchema, name: str) -> np.ndarray:
    """A column's values as numbers, uint64 (rows,): equal values, missing ones too, have equal numbers.

    Raises:
        InputError: no such column in the table, or values that the schema's type cannot hold.
    """
    values = TableCodec(schema).encode(table, [name])[name]
    if values.dtype == object:
        from pandas.util import hash_array

        present = np.array([text is not None for text in values], dtype=bool)
        hashes = hash_array(np.where(present, values, ""), categorize=True)
        return np.where(present, hashes, _MISSING)
    if values.dtype == np.float64:
        values = values + 0.0  # -0.0 equals 0.0, and so must its bits
        values[np.isnan(values)] = np.nan  # one of the many
        return _mixed(values.view(np.uint64))
    return _mixed(values.astype(np.int64).view(np.uint64))


def row_hashes(table: pa.Table | LazyTable, schema: TableSchema) -> np.ndarray:
    """Rows as numbers, uint64 (rows,), one column at a time: equal rows have equal numbers.

    Constants and identifiers don't count: of the latter synthetic rows have surrogates. That two given rows which
    differ have the same number has a chance of 2^-64.
    """
    hashes = np.zeros(table.num_rows, np.uint64)
    for column in schema.varying:
        hashes = _mixed(hashes ^ cell_hashes(table, schema, column.name))
    return hashes


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser: a bijection in which every bit of the input moves half of the output's."""
    numbers = numbers ^ (numbers >> np.uint64(30))
    numbers = numbers * _FIRST
    numbers = numbers ^ (numbers >> np.uint64(27))
    numbers = numbers * _SECOND
    return numbers ^ (numbers >> np.uint64(31))
