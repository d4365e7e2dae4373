"""A schema that no row was looked at for, and rows made to fit it: what a private fit may know of its columns.

What `infer_schema` reads off the rows (categories, bounds, decimals, missing values) is here the user's word, from a
schema's JSON or column by column, and so are the types: nothing of them is taken from the file, whose types a single
value may have decided. A row is then made to fit alone, whatever the others are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, InputErrors, nearest
from dge_ray.phrases import advice
from dge_ray.table.arrow.arrow_types import arrow_type, is_string, is_supported, is_temporal
from dge_ray.table.cast import as_said, cast_each, cast_numbers
from dge_ray.table.codec import TableCodec
from dge_ray.table.reading.options import AS_FOUND, Reading
from dge_ray.table.schema.check import check_schema
from dge_ray.table.schema.table_schema import CODED, MEASURED, Column, Kind, TableSchema, task_of
from dge_ray.table.types.null_values import KEY as NULL_VALUES

LEVELS, RANGE = "{categories: [...]}", "{minimum: a, maximum: b}"  # as a message shows what is to be filled in
_KEYS = sorted({field.name for field in fields(Column)} - {"name"} | {NULL_VALUES})
_TYPES = {Kind.BOOLEAN: "bool", Kind.INTEGER: "int64", Kind.NUMERIC: "double", Kind.IDENTIFIER: "string"}
_TYPES_OF_CATEGORIES = ((bool, "bool"), (int, "int64"), (int | float, "double"), (str, "string"))


def read_public_schema(text: str, names: Sequence[str], target: str | None, *, where: str) -> TableSchema:
    """A schema's JSON, as schema.json of a study or a bundle has it, for a table with columns of these names.

    `target`: in place of its own. `where`: what an error calls it.

    Raises:
        InputError: no JSON of a schema, other columns than the table's, or no such target.
    """
    try:
        schema = TableSchema.from_json(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("privacy.schema", where, "a schema's JSON, as schema.json of a study or a bundle") from None
    return _checked(_with_target(schema, target), names, where)


def declared_schema(
    names: Sequence[str], target: str | None, declared: Mapping[str, str | Mapping[str, Any]]
) -> TableSchema:
    """A schema for columns of these names, in this order, from what is `declared` of each.

    `declared`: column to kind, or to a mapping of `kind`, `type` (Arrow's name; by default that of the kind or the
    categories), `categories`, `missing` (default true, but for the target), `minimum`, `maximum`, `decimals` (default:
    any number of them), `step`, and `null_values`, which are for who reads the rows. A number's bounds may be left out:
    what a private fit then knows of its range comes from noisy counts.

    Raises:
        InputErrors: a line for each column of which something is missing or wrong.
    """
    known = list(names)
    faults = [InputError(f"columns.{n}", "no such column", nearest(n, known)) for n in declared if n not in known]
    columns = []
    for name in known:
        settings = declared.get(name, {})
        settings = {"kind": settings} if isinstance(settings, str) else dict(settings)
        try:
            columns.append(_declared(name, settings, is_target=name == target))
        except InputError as fault:
            faults.append(fault)
    if faults:
        raise InputErrors(faults)
    return _checked(_with_target(TableSchema(tuple(columns), None, None), target), known, "columns")


def _declared(name: str, settings: dict[str, Any], *, is_target: bool) -> Column:
    field = f"columns.{name}"
    for key in settings:
        if key not in _KEYS:
            raise InputError(f"{field}.{key}", "an unknown key", nearest(str(key), _KEYS))
    if "kind" in settings and settings["kind"] not in list(Kind):
        raise InputError(field, repr(settings["kind"]), nearest(str(settings["kind"]), list(Kind)))
    dtype = _type(field, settings)
    kind = Kind(settings["kind"]) if "kind" in settings else _kind(dtype, "categories" in settings)
    categories = tuple(settings.get("categories", (False, True) if kind is Kind.BOOLEAN else ()))
    if kind in CODED and not categories:
        raise InputError(field, "a column whose categories are not given", _public(field, LEVELS))
    if is_target and kind in MEASURED and "kind" not in settings:
        takes = f"{_public(field, LEVELS)} for classes, or {{kind: {kind}, minimum: a, maximum: b}}"
        raise InputError(field, "a target that may be classes or a quantity", takes)
    if kind is Kind.DATETIME and not {"minimum", "maximum"} <= set(settings):
        raise InputError(field, "a datetime without bounds", f"{_public(field, RANGE)} in its type's unit")
    if kind is Kind.TEXT:
        raise InputError(field, "text", "another kind, or drop it: no generator of text is fitted privately")
    bounds = {key: float(settings[key]) for key in ("minimum", "maximum") if settings.get(key) is not None}
    return Column(
        name,
        kind,
        str(dtype),
        missing=settings.get("missing", not is_target and kind in CODED | MEASURED),
        categories=categories,
        decimals=settings.get("decimals") if kind is Kind.NUMERIC else 0 if kind in MEASURED else None,
        step=settings.get("step", 1),
        **bounds,
    )


def _public(field: str, what: str) -> str:
    return f"privacy.schema=FILE or what is public of it: {advice(field, what)}"


def _type(field: str, settings: Mapping[str, Any]) -> pa.DataType:
    """A declared column's Arrow type: the one given, or that of its kind or its categories."""
    if (given := settings.get("type")) is not None:
        try:
            dtype = arrow_type(str(given))
        except (ValueError, TypeError, pa.ArrowException):
            dtype = None
        if dtype is None or not is_supported(dtype):
            takes = "an Arrow type's name, such as int64, double, string, bool, date32[day] or timestamp[s]"
            raise InputError(f"{field}.type", repr(given), takes)
        return dtype
    kind = settings.get("kind")
    if kind in _TYPES:
        return arrow_type(_TYPES[Kind(kind)])
    if kind == Kind.DATETIME:
        raise InputError(field, "a datetime whose type is not given", _public(field, "{type: timestamp[s], ...}"))
    if kind == Kind.TEXT:
        return pa.string()
    categories = settings.get("categories")
    if kind == Kind.CONSTANT and (not isinstance(categories, list | tuple) or len(categories) != 1):
        raise InputError(
            field, "a constant whose value is not given", _public(field, "{kind: constant, categories: [x]}")
        )
    if isinstance(categories, list | tuple) and categories:
        for python, name in _TYPES_OF_CATEGORIES:
            if all(isinstance(one, python) and (python is bool or not isinstance(one, bool)) for one in categories):
                return arrow_type(name)
        raise InputError(f"{field}.categories", repr(list(categories)), "values of one type, or {type: ...} beside")
    if kind == Kind.CATEGORICAL:
        raise InputError(field, "a column whose categories are not given", _public(field, LEVELS))
    of_numbers = _public(field, "{kind: integer, minimum: a, maximum: b}")
    takes = f"{of_numbers}, or {{kind: numeric, ...}}, or {LEVELS}"
    raise InputError(field, "a column whose type is not given", takes)


def _kind(dtype: pa.DataType, listed: bool) -> Kind:
    if pa.types.is_boolean(dtype):
        return Kind.BOOLEAN
    if listed or is_string(dtype):
        return Kind.CATEGORICAL
    if is_temporal(dtype):
        return Kind.DATETIME
    return Kind.INTEGER if pa.types.is_integer(dtype) else Kind.NUMERIC


def _with_target(schema: TableSchema, target: str | None) -> TableSchema:
    target = target or schema.target
    if target is None or target not in schema.names:
        return replace(schema, target=target, task=None)
    return replace(schema, target=target, task=task_of(schema[target]))


def _checked(schema: TableSchema, names: Sequence[str], where: str) -> TableSchema:
    stray = [name for name in names if name not in schema.names]
    absent = [name for name in schema.names if name not in names]
    if stray:
        raise InputError(
            "privacy.schema", f"{where} without '{stray[0]}'", f"all columns; {advice('drop', stray)} drops others"
        )
    if absent:
        raise InputError("privacy.schema", f"{where} with '{absent[0]}', which the table has not", "its columns alone")
    faults = check_schema(schema)
    if not faults and schema.target is not None and schema[schema.target].missing:
        faults = [f"target '{schema.target}' may be missing"]
    if faults:
        raise InputError("privacy.schema", f"{where}: {faults[0]}", "a schema that a table can have")
    return schema


def conform(table: pa.Table, schema: TableSchema, reading: Reading = AS_FOUND) -> pa.Table:
    """The rows, each made to fit the schema by itself: columns, order and types are the schema's too.

    `reading`: how numbers and dates are written, as far as it is said: nothing of it is looked for in the values.

    Values are read as the schema's types, one by one. Numbers are clipped to their bounds and rounded to their
    precision; a value that is none of its type, a category that is not listed, and a number that is not finite, become
    missing. Where nothing may be missing they become the first category, or the value
    nearest to 0 within the bounds. Identifiers are surrogates.

    Raises:
        InputError: a column of which no value could be read as the schema's type, whatever it is.
    """
    codec = TableCodec(schema)
    read = {c.name: (cast_numbers if c.kind in MEASURED else cast_each) for c in schema.varying}
    typed = {}
    for name, cast in read.items():
        dtype = arrow_type(schema[name].type)
        values = as_said(table[name], dtype, reading) if schema[name].kind in MEASURED else table[name]
        typed[name] = cast(values, dtype, column=name)
    columns = codec.encode(pa.table(typed))
    for column in schema.varying:
        values = columns[column.name]
        if column.kind in CODED:
            if not column.missing:
                columns[column.name] = np.maximum(values, 0)
            continue
        low = -np.inf if column.minimum is None else column.minimum
        high = np.inf if column.maximum is None else column.maximum
        values = np.clip(np.where(np.isfinite(values), values, np.nan), low, high)
        if not column.missing:
            values = np.where(np.isnan(values), np.clip(0.0, low, high), values)
        columns[column.name] = values
    return codec.decode(columns, seed=0, as_they_are=True)
