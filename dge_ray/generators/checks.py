"""What every generator refuses, said in the same words."""

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, nearest_column
from dge_ray.generators.base import Unsupported
from dge_ray.generators.registry import abilities
from dge_ray.phrases import advice
from dge_ray.table.codec import Columns
from dge_ray.table.lazy import LazyColumns, TableSource, as_table
from dge_ray.table.schema.table_schema import CODED, Column, Kind, TableSchema

MINIMUM_ROWS = 10


def training_columns(table: TableSource, schema: TableSchema, *, text: bool = False) -> LazyColumns:
    """The training rows, checked: `row_columns`, and enough of them."""
    columns = row_columns(table, schema, text=text)
    if columns.count < MINIMUM_ROWS:
        raise InputError("table", f"{columns.count} rows", f"at least {MINIMUM_ROWS}")
    return columns


def encode_rows(table: TableSource, schema: TableSchema) -> Columns:
    """All columns of `row_columns`, encoded."""
    return dict(row_columns(table, schema))


def row_columns(source: TableSource, schema: TableSchema, *, text: bool = False) -> LazyColumns:
    """Rows checked against the schema, column by column. `text`: whether the generator models a text column.

    Raises:
        InputError: nothing to model, a text column where none is modelled, a column that is absent, of another type or
            with values that the schema has not, or a target that is absent or has nulls.
    """
    table = as_table(source)
    if not schema.modelled:
        raise InputError("schema", "only constants and identifiers", "at least one column to model")
    if schema.target is not None:
        if schema.target not in schema.names:
            raise InputError("target", repr(schema.target), nearest_column(schema.target, schema.names))
        if schema.target not in table.column_names:
            raise InputError(
                "target", f"no column '{schema.target}'", nearest_column(schema.target, table.column_names)
            )
        if nulls := _nulls(table.column(schema.target)):
            raise InputError("target", f"{nulls} nulls in '{schema.target}'", "no nulls")
    if not text:
        refuse_text(schema)
    columns = LazyColumns(table, schema)
    for column in schema.modelled:
        encoded = columns[column.name]
        if column.kind is Kind.TEXT:
            lost = sum(value is None for value in encoded)
        else:
            lost = int((encoded < 0).sum() if column.kind in CODED else np.isnan(encoded).sum())
        nulls = _nulls(table.column(column.name)) if lost else 0
        if lost > nulls:
            raise InputError(f"column '{column.name}'", f"{lost - nulls} values not in its schema", "its categories")
        if nulls and not column.missing:
            raise InputError(f"column '{column.name}'", f"{nulls} nulls", "no nulls, by its schema")
    return columns


def check_text(name: str, schema: TableSchema) -> None:
    """Raises InputError unless the generator of this name models the schema's text columns, or their absence."""
    if abilities(name).text:
        text_column(schema)
    else:
        refuse_text(schema)


def refuse_text(schema: TableSchema) -> None:
    """Raises InputError where the schema has a text column."""
    for column in schema.texts:
        takes = f"generator=language, which models text, or a table without: {advice('drop', [column.name])}"
        raise InputError(f"column '{column.name}'", "text", takes)


def refuse_made_elsewhere(name: str, why: str) -> None:
    """Raises InputError for a generator that holds rows, where one is to be fitted; `why`: to what."""
    if abilities(name).holds_rows:
        raise InputError("generator", f"{name!r}, whose rows were made elsewhere", f"a generator that is fitted {why}")


def text_column(schema: TableSchema) -> Column:
    """The one text column.

    Raises:
        InputError: there is none, or more than one.
    """
    if len(schema.texts) != 1:
        got = ", ".join(f"'{column.name}'" for column in schema.texts) or "no text column"
        raise InputError("columns", got, "one text column, told by columns.NAME=text; drop others with drop=NAME")
    return schema.texts[0]


def _nulls(column: pa.ChunkedArray) -> int:
    nulls = column.null_count
    if pa.types.is_floating(column.type):  # NaN is missing too
        nulls += int(np.isnan(column.drop_null().to_numpy()).sum())
    return nulls


def check_count(n: int) -> None:
    """Raises InputError unless `n` rows can be drawn."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise InputError("n", repr(n), "a whole number of rows, at least 1")


def not_fitted(name: str) -> InputError:
    """The refusal of a generator that has neither been fitted nor loaded."""
    return InputError("generator", f"an {name} generator that is not fitted", "fit(...) or load(...) first")


def no_warm_start(name: str, why: str) -> Unsupported:
    """The refusal of a generator that cannot start from another's weights."""
    return Unsupported("warm_start", f"a checkpoint for {name}", f"None: {why}")


def check_device(device: str) -> None:
    """Raises InputError unless torch can compute on `device` here."""
    import torch

    kind = device.partition(":")[0]
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("device", repr(device), "'cpu': no GPU is at hand here")
    if kind not in ("cpu", "cuda"):
        raise InputError("device", repr(device), "'cpu', 'cuda' or 'cuda:INDEX'")
