"""What a real table must be before anything is inferred from it, and the edits a user may ask for."""

import warnings
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from dge_ray.errors import ColumnWarning, InputError, nearest_column
from dge_ray.phrases import one_line, or_key, without
from dge_ray.table.arrow.arrow_types import is_nested, is_supported, pc, plain, value_type
from dge_ray.table.lazy import LazyTable
from dge_ray.table.schema.table_schema import names_fault

TAKES_TYPES = (
    "numbers, decimals, booleans, strings, dictionaries of these, dates, timestamps, times of day or durations"
)


def check_source(table: pa.Table | LazyTable) -> None:
    """Refuse a table that nothing can be learned from.

    Raises:
        InputError: duplicate or blank column names, no or one column, no rows, a nested column, a type without a kind,
            a column of missing values only, or infinities.
    """
    repeated = [name for name, count in Counter(table.column_names).items() if count > 1]
    if repeated:
        raise InputError(_field(repeated), "a name that occurs more than once", "distinct column names")
    if fault := names_fault(table.column_names):
        raise InputError("table", fault, "a name for every column")
    if table.num_columns < 2:
        got = f"{table.num_columns} column" + ("" if table.num_columns == 1 else "s")
        takes = "at least 2 columns; csv.delimiter= says what stands between those of a text file"
        raise InputError("table", got, takes)
    if table.num_rows == 0:
        raise InputError("table", "0 rows", "at least one row")
    check_types(table)
    _refuse_columns(table, [n for n in table.column_names if table[n].null_count == table.num_rows])
    # NaN and a dictionary's null count as missing, so a column may turn out empty once its values are looked at.
    hidden = {f.name: plain(table[f.name]) for f in table.schema if value_type(f.type) != f.type or _floating(f.type)}
    _refuse_columns(table, [name for name, column in hidden.items() if column.null_count == len(column)])
    numbers = {name: column for name, column in hidden.items() if _floating(column.type)}
    infinite = [name for name, column in numbers.items() if pc.any(pc.is_inf(column)).as_py()]
    if infinite:
        count = pc.sum(pc.is_inf(numbers[infinite[0]])).as_py()
        raise InputError(
            _field(infinite),
            f"infinite values ({count:,} in '{infinite[0]}')",
            f"finite values or nulls{or_key('infinite=missing')}; {without(*infinite)}",
        )


def drop_columns(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The table without the named columns.

    Raises:
        InputError: no such column.
    """
    for name in names:
        check_column_name("drop", name, table.column_names)
    return table.drop_columns(list(dict.fromkeys(names)))


class DroppedWarning(ColumnWarning):
    """A column that nothing can be learned from was left out."""


def drop_empty(table: pa.Table, keep: Sequence[str | None] = ()) -> pa.Table:
    """The table without its nameless columns and those of missing values only, with a warning for each.

    `keep`: names of columns that stay, for they are the target or hold the split.
    """
    kept = []
    for place, name in enumerate(table.column_names):
        reason = _reason_to_drop(name, table.column(place))
        if reason is None or name in keep:
            kept.append(place)
        else:
            text = f"column {place + 1}, '{one_line(name)}': {reason}: left out"
            warnings.warn(DroppedWarning(text, name, "left out"), stacklevel=2)
    return table.select(kept) if len(kept) < table.num_columns else table


def _reason_to_drop(name: str, column: pa.ChunkedArray) -> str | None:
    if names_fault([name]):
        return "has no name"
    return "only missing values" if len(column) and plain_nulls(column) == len(column) else None


def plain_nulls(column: pa.ChunkedArray) -> int:
    """How many values are missing: NaN and a dictionary's null too."""
    if column.null_count == len(column):
        return len(column)
    looked = value_type(column.type) != column.type or _floating(column.type)
    return plain(column).null_count if looked and is_supported(column.type) else column.null_count


def infinite_as_missing(table: pa.Table) -> pa.Table:
    """The table with nulls for infinities, with a warning that counts them."""
    for place, field in enumerate(table.schema):
        if not _floating(value_type(field.type)):
            continue
        values = plain(table.column(place))
        infinite = pc.is_inf(values)
        if count := pc.sum(infinite).as_py():
            warnings.warn(
                f"column '{one_line(field.name)}': {count:,} infinite values are missing now",
                InfiniteWarning,
                stacklevel=2,
            )
            table = table.set_column(place, field.name, pc.if_else(infinite, pa.scalar(None, values.type), values))
    return table


class InfiniteWarning(ColumnWarning):
    """Infinite values became missing."""


def drop_missing_target(table: pa.Table, target: str) -> pa.Table:
    """The rows whose target is not missing.

    Raises:
        InputError: no such column.
    """
    check_column_name("target", target, table.column_names)
    values = plain(table[target])
    return table.filter(pc.is_valid(values)) if values.null_count else table


def check_column_name(field: str, name: str, known: list[str]) -> None:
    """Refuse a name that is no column.

    Raises:
        InputError: with the nearest column name.
    """
    if name not in known:
        raise InputError(field, f"'{name}', which is no column", nearest_column(name, known))


def _floating(dtype: pa.DataType) -> bool:
    return pa.types.is_floating(dtype)


def takes_type(dtype: pa.DataType) -> bool:
    """Whether `check_types` lets a column of this type pass."""
    return (is_supported(dtype) or pa.types.is_null(dtype)) and not is_nested(dtype)


def check_types(table: pa.Table | LazyTable) -> None:
    """Refuse a column of a type that has no kind.

    Raises:
        InputError: the first one, and how to leave it out.
    """
    for field in table.schema:
        if is_nested(field.type):
            raise InputError(
                _field([field.name]),
                f"nested values ({str(field.type)[:80]})",
                f"flat columns: flatten it; {without(field.name)}",
            )
        if not takes_type(field.type):
            takes = f"{TAKES_TYPES}; {without(field.name)}"
            raise InputError(_field([field.name]), f"type {field.type}", takes)


def _refuse_columns(table: pa.Table | LazyTable, empty: list[str]) -> None:
    if empty:
        got = f"only missing values in all {counted_rows(table.num_rows)}"
        raise InputError(_field(empty), got, f"at least one value; {without(*empty)}")


def _field(names: list[str]) -> str:
    return ("column " if len(names) == 1 else "columns ") + ", ".join(f"'{name}'" for name in names)


def counted_rows(n: int) -> str:
    """A number of rows as text: `1 row`, `1,234 rows`."""
    return f"{n:,} row" + ("" if n == 1 else "s")
