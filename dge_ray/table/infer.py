"""Schema inference: each column's kind, categories, bounds and precision, from the real table and the user's word."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import ColumnWarning, InputError, nearest
from dge_ray.phrases import modelled, or_set, without
from dge_ray.table.arrow.arrow_types import (
    STEPS_PER_SECOND,
    counts,
    is_number,
    is_string,
    is_temporal,
    measured,
    pc,
    plain,
    to_json_scalars,
    type_bounds,
    value_type,
)
from dge_ray.table.identifiers.detect import EXACT, all_differ, long_codes, text_key, whole_key
from dge_ray.table.lazy import TableSource, as_table
from dge_ray.table.schema.table_schema import CODED, MEASURED, Column, Kind, TableSchema, task_of
from dge_ray.table.sentinels import warn_of_marks, warn_of_sentinels
from dge_ray.table.source import check_column_name, check_source
from dge_ray.table.types.null_values import KEY as NULL_VALUES
from dge_ray.table.types.null_values import null_values

MAX_LEVELS = 100_000  # categories of one column
MAX_CLASSES_OF_INTEGER = 10  # a whole-valued target with more distinct values is a quantity
MAX_DECIMALS = 6
WORDS_OF_TEXT = 6  # in half of the values: what is written, not names or keys
_NATURAL_SECONDS = (86_400, 3_600, 60, 1)
_NATURAL_PARTS = (1_000, 1_000_000)  # milliseconds, microseconds
DROP = "drop"  # what a study's keys may also say of a column, which is then not here any more
_NUMBER_KEYS = ["minimum", "maximum", "decimals"]
_OVERRIDE_KEYS = ["kind", *_NUMBER_KEYS, NULL_VALUES]


class IdentifierWarning(ColumnWarning):
    """A column was taken for an identifier: a generator would memorise it."""


def infer_schema(
    source: TableSource, *, target: str | None = None, overrides: Mapping[str, str | Mapping[str, Any]] | None = None
) -> TableSchema:
    """The table's schema; of a dataset, one column is in memory at a time.

    Booleans, strings and dictionaries are categories (at most 100,000 levels); whole-valued numbers are integers,
    whatever their storage; timestamps and dates are datetimes; one value without nulls is a constant; strings that
    (nearly) all differ, and whole numbers that differ where chance would repeat some, are identifiers (with a
    warning). Text is only what `overrides` call text. The target is a class if it is a string, boolean or dictionary,
    or whole-valued with at most 10 distinct values; otherwise it is a quantity. A value that may stand for missing ones
    is warned of. `overrides`: column to kind, or to a mapping with `kind`, `decimals`, `minimum` and `maximum` (at
    least as wide as the data), and `null_values`, which `load_table` heeds.

    Raises:
        InputError: the table, the target or an override is at fault.
    """
    table = as_table(source)
    check_source(table)
    if target is not None:
        check_column_name("target", target, table.column_names)
        _check_target(plain(table[target]), target)
    wanted = {name: _override(name, value, table.column_names) for name, value in (overrides or {}).items()}
    columns = tuple(_column(name, table[name], name == target, wanted.get(name, {})) for name in table.column_names)
    schema = TableSchema(columns, target, None)
    if target is not None:
        schema = replace(schema, task=task_of(schema[target]))
    if not schema.modelled:
        raise InputError("table", "only constant and identifier columns", "at least one column that varies")
    if target is not None and not schema.features:
        raise InputError("table", f"no column but the target '{target}' that varies", "at least one feature")
    return schema


def _check_target(values: pa.ChunkedArray, target: str) -> None:
    if values.null_count:
        got = f"{values.null_count:,} missing of {len(values):,} values in '{target}'"
        raise InputError("target", got, "no missing values; drop_missing_target=true drops those rows")
    if len(pc.unique(values)) == 1:
        got = f"'{target}', which is constant ({values[0].as_py()!r} in every row)"
        raise InputError("target", got, "a column with at least two values")


def _override(name: str, value: str | Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    field = f"columns.{name}"
    check_column_name(field, name, known)
    if not isinstance(value, str | Mapping):
        raise InputError(field, repr(value), "a kind: " + ", ".join(Kind))
    settings = {"kind": value} if isinstance(value, str) else dict(value)
    for key, setting in settings.items():
        if key not in _OVERRIDE_KEYS:
            raise InputError(f"{field}.{key}", "an unknown key", nearest(str(key), _OVERRIDE_KEYS))
        if key == "kind":
            if setting not in list(Kind):
                raise InputError(field, repr(setting), nearest(str(setting), [*Kind, DROP]))
        elif key == NULL_VALUES:
            null_values(name, settings)
        elif isinstance(setting, bool) or not isinstance(setting, int | float) or not np.isfinite(setting):
            raise InputError(f"{field}.{key}", repr(setting), "a finite number")
        elif key == "decimals" and not (isinstance(setting, int) and 0 <= setting <= MAX_DECIMALS):
            raise InputError(f"{field}.{key}", repr(setting), f"a whole number from 0 to {MAX_DECIMALS}")
    return settings


def _column(name: str, column: pa.ChunkedArray, is_target: bool, settings: Mapping[str, Any]) -> Column:
    values = plain(column)
    dtype = value_type(column.type)
    numbers = measured(values) if is_number(values.type) or is_temporal(values.type) else np.empty(0)
    different = pc.unique(values.drop_null())
    if "kind" in settings:
        kind = Kind(settings["kind"])
        _check_kind(name, kind, column, values, numbers, len(different), is_target)
    else:
        kind = _kind(name, column, values, numbers, different, is_target)
    described = Column(name, kind, str(column.type), missing=values.null_count > 0)
    bounds = {key: settings[key] for key in _NUMBER_KEYS if key in settings}
    if bounds and kind not in MEASURED:
        raise InputError(f"columns.{name}.{next(iter(bounds))}", f"a {kind} column", "a numeric, integer or datetime")
    if kind in MEASURED:
        warn_of_sentinels(name, values, numbers, settings)
        return _measured(described, values, numbers, dtype, bounds)
    if kind in (Kind.IDENTIFIER, Kind.TEXT):
        return described
    categories = _categories(name, column, different)
    warn_of_marks(name, values, categories, settings)
    return replace(described, categories=categories)


def _kind(
    name: str,
    column: pa.ChunkedArray,
    values: pa.ChunkedArray,
    numbers: np.ndarray,
    different: pa.Array,
    is_target: bool,
) -> Kind:
    distinct = len(different)
    if distinct == 1 and not values.null_count:
        return Kind.CONSTANT
    if pa.types.is_boolean(values.type):
        return Kind.BOOLEAN
    in_dictionary = isinstance(column.type, pa.DictionaryType)
    if in_dictionary or is_string(values.type):
        return Kind.CATEGORICAL if is_target else _kind_of_words(name, values, different, in_dictionary)
    if is_temporal(values.type):
        return Kind.DATETIME
    if not _all_integers(values.type, numbers):
        return Kind.NUMERIC
    if is_target:
        return Kind.CATEGORICAL if distinct <= MAX_CLASSES_OF_INTEGER else Kind.INTEGER
    if reason := whole_key(name, values, numbers, distinct):
        _warn(name, distinct, Kind.INTEGER, reason, depth=6)
        return Kind.IDENTIFIER
    if long_codes(values, numbers, distinct):
        return Kind.CATEGORICAL if distinct <= MAX_LEVELS else Kind.IDENTIFIER
    return Kind.INTEGER


def _kind_of_words(name: str, values: pa.ChunkedArray, different: pa.Array, in_dictionary: bool) -> Kind:
    distinct = len(different)
    if in_dictionary:
        if all_differ(values, distinct):
            _warn_dictionary(name, distinct)
        return Kind.CATEGORICAL
    if reason := text_key(name, values, different):
        _warn(name, distinct, Kind.CATEGORICAL, f"values are {reason}")
        return Kind.IDENTIFIER
    if all_differ(values, distinct):
        _warn(name, distinct, Kind.TEXT if _prose(values) else Kind.CATEGORICAL)
        return Kind.IDENTIFIER
    return Kind.CATEGORICAL


def _all_integers(dtype: pa.DataType, numbers: np.ndarray) -> bool:
    """Whether every value is a whole number. Floats beyond 2**53 are whole by storage: that says nothing of them."""
    if pa.types.is_integer(dtype):
        return True
    present = numbers[~np.isnan(numbers)]
    return bool(np.all(present == np.rint(present)) and np.abs(present).max() <= EXACT)


def _prose(values: pa.ChunkedArray) -> bool:
    """Whether strings look written: half of them have WORDS_OF_TEXT words or more."""
    words = pc.add(pc.count_substring(pc.utf8_trim_whitespace(values.drop_null()), " "), 1)
    return bool(np.median(words.to_numpy()) >= WORDS_OF_TEXT)


def _warn(name: str, distinct: int, instead: Kind, reason: str = "values differ", *, depth: int = 7) -> None:
    text = (
        f"column '{name}': {distinct:,} {reason}, so it is taken for an identifier (a generator would memorise "
        f"it): not modelled, synthetic rows get surrogates; {modelled(name, instead)}"
        f"{' with generator=language' if instead is Kind.TEXT else ''}; {without(name)}"
    )
    warnings.warn(IdentifierWarning(text, name), stacklevel=depth)


def _warn_dictionary(name: str, distinct: int) -> None:
    text = f"column '{name}': all {distinct:,} categories differ and would be memorised; {without(name)}"
    warnings.warn(IdentifierWarning(text, name), stacklevel=7)


def _check_kind(
    name: str,
    kind: Kind,
    column: pa.ChunkedArray,
    values: pa.ChunkedArray,
    numbers: np.ndarray,
    distinct: int,
    is_target: bool,
) -> None:
    """Refuse an override that the column's values do not allow."""
    dtype = values.type
    flat_number = is_number(dtype) and not isinstance(column.type, pa.DictionaryType)
    refusals = {
        Kind.NUMERIC: not flat_number and f"type {column.type}, no number",
        Kind.INTEGER: (not flat_number and f"type {column.type}, no number")
        or (flat_number and not _all_integers(dtype, numbers) and "values with decimals"),
        Kind.BOOLEAN: distinct > 2 and f"{distinct:,} distinct values",
        Kind.CATEGORICAL: False,
        Kind.DATETIME: not is_temporal(dtype) and f"type {column.type}, no date, time or duration",
        Kind.TEXT: not is_string(column.type) and f"type {column.type}, no strings",
        Kind.CONSTANT: (distinct > 1 or values.null_count > 0) and "values that differ",
        Kind.IDENTIFIER: not (is_string(column.type) or (flat_number and _all_integers(dtype, numbers)))
        and f"type {column.type}",
    }
    if is_target and kind not in CODED | MEASURED - {Kind.DATETIME}:
        raise InputError(f"columns.{name}", f"{kind} for the target", "boolean, categorical, integer or numeric")
    if reason := refusals[kind]:
        takes = ", ".join(k for k in Kind if not refusals[k])
        raise InputError(f"columns.{name}", f"{kind} for a column with {reason}", f"one of {takes}")


def _categories(name: str, column: pa.ChunkedArray, distinct: pa.Array) -> tuple:
    """Distinct values in code order: a dictionary's own order if it is ordered, else sorted (not by appearance)."""
    if len(distinct) > MAX_LEVELS:
        raise InputError(
            f"column '{name}'",
            f"{len(distinct):,} distinct values",
            f"at most {MAX_LEVELS:,} categories; {without(name)}{or_set(name, Kind.IDENTIFIER)}",
        )
    if isinstance(column.type, pa.DictionaryType) and column.type.ordered:
        order = plain(pa.chunked_array([column.unify_dictionaries().chunk(0).dictionary]))
        return to_json_scalars(order.filter(pc.is_in(order, value_set=distinct)))
    return to_json_scalars(pa.chunked_array([distinct.take(pc.sort_indices(distinct))]))


def _measured(
    column: Column, values: pa.ChunkedArray, numbers: np.ndarray, dtype: pa.DataType, settings: Mapping[str, Any]
) -> Column:
    numbers = numbers[~np.isnan(numbers)]
    low, high = float(numbers.min()), float(numbers.max())
    minimum, maximum = settings.get("minimum", low), settings.get("maximum", high)
    if minimum > low:
        raise InputError(f"columns.{column.name}.minimum", f"{minimum:g}", f"at most the data's minimum {low:g}")
    if maximum < high:
        raise InputError(f"columns.{column.name}.maximum", f"{maximum:g}", f"at least the data's maximum {high:g}")
    # An int64 near its end rounds to a float64 outside the type.
    least, most = type_bounds(dtype)
    minimum, maximum = float(minimum), float(maximum)
    described = replace(column, minimum=min(max(minimum, least), most), maximum=min(max(maximum, least), most))
    if column.kind is Kind.DATETIME:
        return replace(described, decimals=0, step=_step(values, dtype))
    if column.kind is Kind.INTEGER:
        return replace(described, decimals=0)
    return replace(described, decimals=settings.get("decimals", _decimals(numbers, dtype)))


def _decimals(numbers: np.ndarray, dtype: pa.DataType) -> int | None:
    """The fewest decimals, at most 6, that give every value back in its own type; None if there are none."""
    storage = dtype.to_pandas_dtype() if pa.types.is_floating(dtype) else np.float64
    stored = numbers.astype(storage)
    with np.errstate(over="ignore", invalid="ignore"):  # values near the float64 maximum do not round: None
        for decimals in range(MAX_DECIMALS + 1):
            if np.array_equal(np.round(numbers, decimals).astype(storage), stored):
                return decimals
    return None


def _step(values: pa.ChunkedArray, dtype: pa.DataType) -> int:
    """The coarsest of day, hour, minute, second, ms, us that every value is a whole multiple of, in the type's unit."""
    if pa.types.is_date32(dtype):
        return 1
    second = STEPS_PER_SECOND["ms" if pa.types.is_date64(dtype) else dtype.unit]
    steps = [second * seconds for seconds in _NATURAL_SECONDS]
    steps += [second // part for part in _NATURAL_PARTS if second >= part]
    counted = counts(values.drop_null()).to_numpy()
    return next((step for step in steps if np.all(counted % step == 0)), 1)
