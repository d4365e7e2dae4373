"""What columns are, given others: computed on encoded rows, so that identities of the real table hold in drawn ones."""

from collections.abc import Collection, Mapping

import numpy as np

from dge_ray.table.ordering import bounds_of, put_in_order
from dge_ray.table.relations.arithmetic import exact, near, unit
from dge_ray.table.schema.identities import Identity, in_words, order_in_words
from dge_ray.table.schema.table_schema import CODED, MEASURED, Column, Kind, TableSchema

ROUNDS = 3  # of moving what a computed column out of its bounds comes from


def settled(column: Column, values: np.ndarray) -> np.ndarray:
    """Values of a measured column rounded to its precision and clipped to its bounds, float64 (n,)."""
    low, high = bounds_of(column)
    if column.kind is Kind.NUMERIC:
        return np.clip(rounded(column, values), low, high)
    # In steps, so that bounds beyond 2**53 (nanoseconds) stay exact multiples.
    steps = np.clip(np.rint(values / column.step), np.rint(low / column.step), np.rint(high / column.step))
    return steps * column.step


def rounded(column: Column, values: np.ndarray) -> np.ndarray:
    """Values of a measured column in its precision, float64 (n,)."""
    if column.kind is not Kind.NUMERIC:
        return np.rint(values / column.step) * column.step
    return values if column.decimals is None else np.round(values, column.decimals)


def value_of(identity: Identity, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a column is by its identity, float64 (n,), neither rounded nor clipped; codes are floats, nan is missing."""
    if identity.rule == "lookup":
        table = np.array([np.nan if value is None else value for value in identity.values], dtype=np.float64)
        return table[columns[identity.of[0]]]  # a code of -1, missing, is the last
    if identity.rule == "sum":
        parts = [factor * columns[name] for name, factor in zip(identity.of, identity.factors, strict=True)]
        return np.sum(parts, axis=0) + identity.constant
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        powers = [columns[name] ** float(power) for name, power in zip(identity.of, identity.factors, strict=True)]
        value = identity.constant * np.prod(powers, axis=0)
    return np.where(np.isfinite(value), value, np.nan)


def solved(identity: Identity, name: str, columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """What the column `name`, one of `of`, must be for the values of all others; None where they do not tell."""
    at = identity.of.index(name)
    factor, wanted = identity.factors[at] if identity.factors else 1.0, columns[identity.column]
    others = [other for other in identity.of if other != name]
    if identity.rule == "sum":
        rest = sum(identity.factors[identity.of.index(other)] * columns[other] for other in others)
        return (wanted - identity.constant - rest) / factor
    if identity.rule == "product":
        rest = {**columns, name: np.ones(len(wanted))}
        with np.errstate(divide="ignore", invalid="ignore"):
            value = (wanted / value_of(identity, rest)) ** factor
        return np.where(np.isfinite(value), value, np.nan)
    told = identity.values
    codes = {value: -1 if code == len(told) - 1 else code for code, value in enumerate(told)}
    missing = wanted < 0 if wanted.dtype.kind == "i" else np.isnan(wanted)
    asked = [None if lacks else value for value, lacks in zip(wanted.tolist(), missing, strict=True)]
    if any(told.count(value) != 1 for value in set(asked)):
        return None
    return np.array([codes[value] for value in asked], dtype=np.int32)


def fill(columns: Mapping[str, np.ndarray], schema: TableSchema, held: Collection[str] = ()) -> dict[str, np.ndarray]:
    """The columns, and those computed from them, as they are decoded: rounded and within bounds.

    What is computed beyond its bounds is brought back by moving what it comes from, but for the columns `held`, which
    stay as they are; where that is not enough, it is clipped. Columns that have an order are brought into it.
    """
    filled = dict(columns)
    if not schema.identities and not schema.orders:
        return filled
    identities = [i for i in schema.kept if i.column not in held]
    ordered = dict.fromkeys(name for pair in schema.kept_orders for name in pair)
    for name in dict.fromkeys([*(name for identity in identities for name in identity.of), *ordered]):
        if schema[name].kind in MEASURED and name in columns and name not in held:
            filled[name] = settled(schema[name], np.asarray(filled[name], dtype=np.float64))
    computed = {i.column for i in identities}
    for _ in range(ROUNDS):
        moved = put_in_order(filled, schema, {*held, *computed})
        for identity in identities:
            values = _with(identity, filled, schema[identity.column], filled.get(identity.column))
            filled[identity.column] = values
            if identity.rule != "lookup":
                moved |= _bring_back(identity, filled, schema, {*held, *computed})
        if not moved:
            break
    put_in_order(filled, schema, {*held, *computed})
    for identity in identities:
        column, own = schema[identity.column], columns.get(identity.column) if identity.modelled else None
        values = _with(identity, filled, column, own)
        filled[identity.column] = values if column.kind in CODED else settled(column, values)
    return filled


def _with(identity: Identity, columns: Mapping[str, np.ndarray], column: Column, own: np.ndarray | None) -> np.ndarray:
    """The column's values by the identity; in one that is drawn too, where it has a value and is told one."""
    values = value_of(identity, columns)
    if column.kind in CODED:
        values = np.where(np.isnan(values), -1, values).astype(np.int32)
        absent = values < 0
    else:
        absent = np.isnan(values)
    if not identity.modelled or own is None:
        return values
    lacking = own < 0 if column.kind in CODED else np.isnan(own)
    return np.where(lacking | absent, own, values)


def _bring_back(identity: Identity, columns: dict[str, np.ndarray], schema: TableSchema, held: Collection[str]) -> bool:
    """Move what the computed column comes from where it is out of its bounds; whether anything was moved."""
    column = schema[identity.column]
    low, high = bounds_of(column)
    moved = False
    for name in identity.of:
        values = rounded(column, value_of(identity, columns))
        out = np.flatnonzero((values < low) | (values > high))
        if not len(out):
            break
        if name in held:
            continue
        part = {of: columns[of][out] for of in identity.of}
        wanted = solved(identity, name, {**part, identity.column: np.clip(values[out], low, high)})
        if wanted is None:
            continue
        fresh = columns[name].copy()
        fresh[out] = np.where(np.isnan(wanted), part[name], settled(schema[name], wanted))
        moved |= bool((fresh[out] != part[name]).any())
        columns[name] = fresh
    return moved


def broken(columns: Mapping[str, np.ndarray], schema: TableSchema) -> dict[str, np.ndarray]:
    """By each identity and order in words, the encoded rows (n,) that break it: those that have all of its columns, and
    other values than it tells but for rounding. What a schema leaves untold is not looked at."""
    found = {order_in_words(pair): columns[pair[0]] < columns[pair[1]] for pair in schema.kept_orders}
    for identity in schema.kept:
        column, own, told = schema[identity.column], columns[identity.column], value_of(identity, columns)
        if column.kind in CODED:
            found[in_words(identity)] = (own >= 0) & ~np.isnan(told) & (own != told)
            continue
        with np.errstate(invalid="ignore"):
            found[in_words(identity)] = np.abs(own - told) > _left_open(identity, schema, own)
    return found


def _left_open(identity: Identity, schema: TableSchema, values: np.ndarray) -> float:
    """What rounding and float arithmetic may leave between the two sides of an identity, as it was found."""
    column = schema[identity.column]
    if identity.rule == "lookup":
        return 0.0
    known = [bound for bound in (column.minimum, column.maximum) if bound is not None]
    arithmetic = exact(column, np.array([*known, *values[~np.isnan(values)], 0.0]))
    if identity.rule == "product":
        return arithmetic + 0.5 * unit(column) * (1 + 1e-6)
    return arithmetic + max(near(column, [schema[name] for name in identity.of], identity.factors), 0.5 * unit(column))
