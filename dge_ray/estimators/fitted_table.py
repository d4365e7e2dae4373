"""The table behind a synthesizer: its schema, its frame's dtypes, and further rows read as it was read."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.rows.conditions import encode_given
from dge_ray.generators.rows.constraints import Constraint, broken_by_real_rows
from dge_ray.study.config import StudyConfig
from dge_ray.study.real_table import in_types, known_kinds, read_kept
from dge_ray.table.arrow.arrow_types import arrow_type, is_number, is_string, is_temporal, value_type
from dge_ray.table.arrow.frame import from_pandas
from dge_ray.table.infer import infer_schema
from dge_ray.table.kept import with_identities
from dge_ray.table.reading.load import typed_table
from dge_ray.table.reading.options import AS_FOUND, Reading, ReadTable
from dge_ray.table.schema.table_schema import Column, TableSchema
from dge_ray.table.source import InfiniteWarning, infinite_as_missing, plain_nulls
from dge_ray.table.types import RepairWarning
from dge_ray.table.types.null_values import without_null_values


@dataclass(frozen=True)
class FittedTable:
    """What is kept of a real table of `rows` rows. `dtypes`: of its columns as a frame, by their labels there."""

    schema: TableSchema
    dtypes: pd.Series
    rows: int

    def warn_of_broken(self, constraints: Sequence[Constraint], table: pa.Table) -> None:
        """A warning for each constraint that real rows break: synthetic rows will follow another law than they."""
        for line in broken_by_real_rows(constraints, table):
            warnings.warn(line, UserWarning, stacklevel=3)

    def one_row(self, values: Mapping[Any, Any]) -> pa.Table:
        """A row of {column: value}, in the types of the table.

        Raises:
            InputError: a list in place of a value, or a value that is none of its column's kind.
        """
        for name, value in values.items():
            if pd.api.types.is_list_like(value):
                takes = "one value for all rows, or in place of the mapping a frame of rows"
                raise InputError("given", f"a {type(value).__name__} for column '{name}'", takes)
        frame = pd.DataFrame({str(name): pd.Series([value]) for name, value in values.items()})
        table = self._as_given(ReadTable(from_pandas(frame)), AS_FOUND)
        return _without_infinite(table, missing=False)

    def rows_given(self, config: StudyConfig, source: Any) -> pa.Table:
        """The rows of a source that may lack columns, in the types of the table.

        Raises:
            InputError: a source that cannot be read, without rows, or with values that are none of a column's kind.
        """
        table = self._as_given(self._read(config, source), config.reading)
        return _without_infinite(table, missing=config.infinite == "missing")

    def rows_like(self, config: StudyConfig, source: Any) -> pa.Table:
        """The rows of a source, read as the fitted table was: what is no value of a column's kind is missing.

        Raises:
            InputError: a source that cannot be read, or without rows.
        """
        table = self._typed(self._read(config, source), config.reading)
        return _without_infinite(table, missing=config.infinite == "missing")

    def _read(self, config: StudyConfig, source: Any) -> ReadTable:
        read = read_kept(config.model_copy(update={"columns": {}, "drop": ()}), source)
        table = read.table.drop_columns([name for name in config.unwanted if name in read.table.column_names])
        if table.num_rows == 0:
            raise InputError("table", "0 rows", "at least one row")
        return replace(read, table=without_null_values(table, config.columns))

    def _as_given(self, read: ReadTable, reading: Reading) -> pa.Table:
        table = read.table
        for name in table.column_names:
            if name not in self.schema.names:
                continue  # told with all others below
            takes = f"values of a column that is {self.schema[name].kind}"
            try:
                typed = self._typed(replace(read, table=table.select([name])), reading)[name]
            except InputError:  # more than a few are none of the kind
                raise InputError(f"column '{name}'", "texts that say none", takes) from None
            if lost := plain_nulls(typed) - plain_nulls(table[name]):
                raise InputError(f"column '{name}'", f"{lost} texts that say none", takes)
            table = table.set_column(table.schema.get_field_index(name), name, typed)
        texts = [column.name for column in self.schema.texts if column.name in table.column_names]
        encode_given(table.drop_columns(texts), table.num_rows, self.schema)  # told of these rows, not of those drawn
        return table

    def _typed(self, read: ReadTable, reading: Reading) -> pa.Table:
        """What was read, its columns of text as the kinds that they were fitted as."""
        table, kinds = read.table, {}
        for field in table.schema:
            if field.name in self.schema.names and is_string(value_type(field.type)):
                kind = _kind_read_from_text(self.schema[field.name])
                kinds |= {} if kind is None else {field.name: kind}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RepairWarning)  # how texts are read was told of the fit
            typed = typed_table(replace(read, table=table.select(list(kinds))), reading, kinds)
        for name, column in zip(kinds, typed.columns, strict=True):
            table = table.set_column(table.schema.get_field_index(name), name, column)
        return table


def fit_table(config: StudyConfig, source: Any, target: str | None) -> tuple[pa.Table, FittedTable]:
    """A source's rows as a study with these keys reads them, all of them, and what is kept of them.

    Raises:
        InputError: the source, the target or a key is at fault.
    """
    read = read_kept(config, source)
    table = in_types(config, read, target)
    schema = infer_schema(table, target=target, overrides=known_kinds(config, table))
    if config.identities == "find":
        schema, told = with_identities(schema, table)
        for line in told:
            warnings.warn(line, UserWarning, stacklevel=4)
    return table, FittedTable(schema, _dtypes(source, read.table, table), table.num_rows)


def _without_infinite(table: pa.Table, *, missing: bool) -> pa.Table:
    """The table with nulls for infinities, if they may become `missing`.

    Raises:
        InputError: there are infinities, and they may not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InfiniteWarning)
        settled = infinite_as_missing(table)
    for name, before, after in zip(table.column_names, table.columns, settled.columns, strict=True):
        if not missing and (count := plain_nulls(after) - plain_nulls(before)):
            raise InputError(f"column '{name}'", f"{count} infinite values", "finite values")
    return settled


def _kind_read_from_text(column: Column) -> str | None:
    """The kind as which text is read to the values of a column; None for a column of text."""
    dtype = value_type(arrow_type(column.type))
    if is_string(dtype):
        return None
    if is_temporal(dtype):
        return "datetime"
    if pa.types.is_boolean(dtype):
        return "boolean"
    return "integer" if pa.types.is_integer(dtype) else "numeric" if is_number(dtype) else None


def _dtypes(source: Any, read: pa.Table, table: pa.Table) -> pd.Series:
    """The dtypes of a frame's columns, by their labels; those that Arrow gives of what is no frame, or was repaired."""
    labels = {str(label): label for label in source.columns} if isinstance(source, pd.DataFrame) else {}
    found = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        label = labels.get(field.name, field.name)
        own = field.name in labels and read.schema.field(field.name).type == field.type
        found[label] = source[label].dtype if own else _natural(column)
    return pd.Series(list(found.values()), index=pd.Index(list(found), dtype=object), dtype=object)


def _natural(column: pa.ChunkedArray) -> Any:
    """The dtype of a column in a frame: that of one with missing values where it has some."""
    coded = isinstance(column.type, pa.DictionaryType)  # whose dictionary is in every row
    one = pa.nulls(1, column.type) if column.null_count and not coded else column.slice(0, 1)
    return pa.table({"x": one}).to_pandas()["x"].dtype
