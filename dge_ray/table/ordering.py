"""Orders between columns in drawn rows: of two that would break theirs the values change places."""

from collections.abc import Collection, Sequence

import numpy as np

from dge_ray.table.arrow.arrow_types import arrow_type, type_bounds
from dge_ray.table.schema.table_schema import Column, Kind, TableSchema

ROUNDS = 8  # of changing places, in chains of columns


def bounds_of(column: Column) -> tuple[float, float]:
    """The smallest and largest value of a measured column that its bounds and its type allow."""
    low, high = type_bounds(arrow_type(column.type))
    low = low if column.minimum is None else max(low, column.minimum)
    return low, high if column.maximum is None else min(high, column.maximum)


def put_in_order(columns: dict[str, np.ndarray], schema: TableSchema, fixed: Collection[str]) -> bool:
    """Bring the encoded rows into the schema's orders; whether anything was changed.

    Two free columns exchange their values, so that the law of the distance between them is folded at 0. Beside a column
    that is `fixed` the other one is moved to the same distance on its right side. What bounds and rounding leave wrong
    is made equal, as far as a value of the column's precision is.
    """
    orders = [(a, b) for a, b in schema.kept_orders if a in columns and b in columns]
    changed = False
    for _ in range(ROUNDS):
        moved = False
        for a, b in orders:
            wrong = np.flatnonzero(columns[a] < columns[b])
            if not len(wrong) or (a in fixed and b in fixed):
                continue
            high, low = columns[b][wrong], columns[a][wrong]
            if b in fixed:
                low, high = high, 2 * high - low
            elif a in fixed:
                low, high = 2 * low - high, low
            for name, values in ((a, high), (b, low)):
                if name not in fixed:
                    columns[name] = columns[name].copy()
                    columns[name][wrong] = _at(schema[name], values, up=name == a)
            moved = changed = True
        if not moved:
            break
    for up, pairs in ((True, _from_below(orders)), (False, _from_below(orders)[::-1])):
        for a, b in pairs:
            name, other = (a, b) if up else (b, a)
            wrong = np.flatnonzero(columns[a] < columns[b])
            if len(wrong) and name not in fixed:
                columns[name] = columns[name].copy()
                columns[name][wrong] = _at(schema[name], columns[other][wrong], up=up)
                changed = True
    return changed


def _from_below(orders: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The orders so that those of a column's lesser ones come before those in which it is the lesser."""
    depth: dict[str, int] = {}

    def of(name: str) -> int:
        if name not in depth:
            depth[name] = 0  # against circles, which a checked schema has none of
            depth[name] = 1 + max((of(b) for a, b in orders if a == name), default=0)
        return depth[name]

    return sorted(orders, key=lambda pair: (of(pair[0]), of(pair[1])))


def _at(column: Column, values: np.ndarray, *, up: bool) -> np.ndarray:
    """The nearest values of the column that are not smaller (`up`), or not greater, within its bounds."""
    low, high = bounds_of(column)
    whole = np.ceil if up else np.floor
    slack = -1e-6 if up else 1e-6
    if column.kind is not Kind.NUMERIC:
        return np.clip(whole(values / column.step + slack) * column.step, low, high)
    if column.decimals is None:
        return np.clip(values, low, high)
    unit = 10.0**column.decimals
    return np.clip(np.round(whole(values * unit + slack) / unit, column.decimals), low, high)
