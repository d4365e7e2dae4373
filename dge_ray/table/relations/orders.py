"""Orders between columns: of two numbers or times the one that is never the smaller, in every row that has both."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from dge_ray.table.relations.chance import LEVEL
from dge_ray.table.schema.identities import Identity
from dge_ray.table.schema.table_schema import MEASURED, Column, Kind, TableSchema

MOST_COLUMNS = 200  # whose pairs are looked at
FIRST_ROWS = 2_000  # of a pair, before all
LEAST_ROWS = 30
OVERLAP = (
    0.01  # of pairs of values from different rows must break it: of ranges that are apart there is nothing to tell
)


def find_orders(
    columns: Mapping[str, np.ndarray], schema: TableSchema, identities: tuple[Identity, ...]
) -> tuple[tuple[str, str], ...]:
    """The pairs (greater, lesser) of columns whose order holds in all encoded rows, and would not by chance.

    Of independent columns each of the n rows would keep it with the share p of pairs of different rows that do: p^n is
    to be below 10^-12. What follows from others is left out, and columns that identities compute, which follow theirs.
    """
    computed = {identity.column for identity in identities}
    free = [c for c in schema.columns if c.kind in MEASURED and c.name not in computed][:MOST_COLUMNS]
    found = {(a.name, b.name) for a, b in _never_smaller(columns, free)}
    found -= {(b, a) for a, b in found}  # equal in all rows: a copy, which is no order
    return tuple(sorted(_reduced(found), key=lambda pair: (schema.names.index(pair[0]), schema.names.index(pair[1]))))


def _never_smaller(columns: Mapping[str, np.ndarray], free: list[Column]) -> Iterator[tuple[Column, Column]]:
    for a in free:
        for b in free:
            if a is b or (a.kind is Kind.DATETIME) != (b.kind is Kind.DATETIME) or _type(a) != _type(b):
                continue
            x, y = columns[a.name], columns[b.name]
            if (x[:FIRST_ROWS] < y[:FIRST_ROWS]).any() or not _is_told(x, y):
                continue
            if not (x < y).any():  # last: most pairs have ended before
                yield a, b


def _type(column: Column) -> str:
    """What is stored alike: a float32 may be beside the number that it stands for."""
    return column.type if column.type in ("float", "halffloat") else ""


def _is_told(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the rows that have both are enough to tell the order, judged by some of them. Shapes: (rows,)."""
    some = np.linspace(0, len(a) - 1, min(len(a), FIRST_ROWS)).astype(int)
    a, b, rows = a[some], b[some], len(a)
    both = ~(np.isnan(a) | np.isnan(b))
    if both.sum() < LEAST_ROWS:
        return False
    n = both.mean() * rows
    share = np.searchsorted(np.sort(b[both]), a[both], "right").mean() / both.sum()
    return share <= 1 - OVERLAP and n * math.log(share) < LEVEL


def _reduced(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs without those that follow from others: of a >= b, b >= c and a >= c the first two."""
    below: dict[str, set[str]] = {}
    for a, b in pairs:
        below.setdefault(a, set()).add(b)
    return {(a, b) for a, b in pairs if not any(b in below.get(c, ()) for c in below[a] if c != b)}
