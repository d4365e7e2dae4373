"""Classes of the target with too few rows for every part of the split: merged into one, or left out with their rows."""

import warnings
from typing import Literal

import numpy as np
import pyarrow as pa

from dge_ray.errors import ColumnWarning, InputError
from dge_ray.phrases import one_line
from dge_ray.table.arrow.arrow_types import from_json_scalars, is_string, pc, plain, value_type
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import TableSchema
from dge_ray.table.source import counted_rows
from dge_ray.table.split import class_pools, rare_classes

OTHER = "other"  # the name of merged classes of words


class RareClassWarning(ColumnWarning):
    """Classes of the target were merged, or left out with their rows."""


def settle_rare(
    table: pa.Table, schema: TableSchema, labels: np.ndarray | None, how: Literal["merge", "drop"]
) -> tuple[pa.Table, np.ndarray | None]:
    """The table with its rare classes merged, or without their rows, with a warning; and the rows that stay, by index,
    None where all do.

    `labels`: the split column's values, from `take_split_column`. Merged classes of words are called `other`, those of
    numbers the number behind the greatest; classes that are not rare, rarest first, are merged with them where they are
    too few for a class of their own.

    Raises:
        InputError: fewer than two classes would be left.
    """
    rare = rare_classes(table, schema, labels)
    if not rare:
        return table, None
    field, column = f"target '{schema.target}'", plain(table[str(schema.target)])
    counted = {code: int((_codes(table, schema) == code).sum()) for code in range(len(schema.classes))}
    if how == "merge":
        needed = sum(pool.needed for pool in class_pools(table.num_rows, labels))
        left = sorted(set(counted) - set(rare), key=lambda code: counted[code])
        while sum(counted[code] for code in rare) < needed and left:
            rare.append(left.pop(0))
    kept = [code for code in counted if code not in rare]
    if len(kept) + (how == "merge") < 2:
        raise InputError("rare_classes", f"{how}, which leaves one class of {field}", "more rows of the rare classes")
    names = ", ".join(repr(schema.classes[code]) for code in rare)
    rows = counted_rows(sum(counted[code] for code in rare))
    values = from_json_scalars([schema.classes[code] for code in rare], column.type)
    hit = pc.is_in(column, value_set=plain(pa.chunked_array([values])).combine_chunks())
    if how == "drop":
        _warn(schema, f"{len(rare)} classes of too few rows ({names}) are left out, with {rows}")
        stay = np.flatnonzero(~np.asarray(hit))
        return table.take(pa.array(stay)), stay
    merged = _merged(field, column, schema, kept)
    _warn(schema, f"{len(rare)} classes of too few rows ({names}; {rows}) are merged as {merged.as_py()!r}")
    return _with_target(table, schema, pc.if_else(hit, merged, column)), None


def _codes(table: pa.Table, schema: TableSchema) -> np.ndarray:
    return TableCodec(schema).encode(table, [str(schema.target)])[str(schema.target)]


def _merged(field: str, column: pa.ChunkedArray, schema: TableSchema, kept: list[int]) -> pa.Scalar:
    if is_string(column.type):
        taken = {schema.classes[code] for code in kept}
        name = (
            OTHER
            if OTHER not in taken
            else next(f"{OTHER} {i}" for i in range(2, 10_000) if f"{OTHER} {i}" not in taken)
        )
        return pa.scalar(name, column.type)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return pa.scalar(pc.max(column).as_py() + 1, column.type)
    raise InputError("rare_classes", f"merge for {field} of type {column.type}", "drop")


def _with_target(table: pa.Table, schema: TableSchema, values: pa.ChunkedArray) -> pa.Table:
    place = table.column_names.index(str(schema.target))
    dtype = table.schema.field(place).type
    if isinstance(dtype, pa.DictionaryType):
        values = values.dictionary_encode().cast(pa.dictionary(dtype.index_type, value_type(dtype)))
    elif values.type != dtype:
        values = values.cast(dtype)
    return table.set_column(place, table.schema.field(place).name, values)


def _warn(schema: TableSchema, done: str) -> None:
    target = str(schema.target)
    warnings.warn(RareClassWarning(f"target '{one_line(target)}': {done}", target, done), stacklevel=3)
