"""Identities between the columns of real rows: sums, products, and what a category tells.

What is found holds in every row that was looked at where none of its columns is missing, and would not by chance.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from dge_ray.table.relations import arithmetic
from dge_ray.table.relations.arithmetic import Numbers
from dge_ray.table.relations.chance import told_by_chance
from dge_ray.table.schema.identities import Identity, in_order
from dge_ray.table.schema.table_schema import CODED, MEASURED, Column, TableSchema

MOST_PATTERNS = 8  # of missing values, in which sums and products are looked for
MOST_CODED = 200  # coded columns whose pairs are looked at
FIRST_ROWS = 4_000  # of a pair, before all


def find_identities(columns: Mapping[str, np.ndarray], schema: TableSchema) -> tuple[Identity, ...]:
    """What columns are of others in the encoded rows, in an order in which they can be computed.

    The target is computed only where a category tells it, and is then modelled too. Of two columns that tell each
    other, the later one is computed.
    """
    found = [*_sums(columns, schema), *_products(columns, schema), *_lookups(columns, schema)]
    return tuple(in_order(found))


def leaks(identity: Identity, schema: TableSchema, columns: Mapping[str, np.ndarray]) -> bool:
    """Whether the target is told by the other columns of an identity, in the rows that it was found in."""
    target = schema.target
    if identity.column == target:
        return True
    if target not in identity.of:
        return False
    if identity.rule != "lookup":
        return True
    seen = np.unique(columns[str(target)])
    told = [identity.values[code] for code in seen.tolist()]
    return len(set(told)) == len(told)


def _numbers(columns: Mapping[str, np.ndarray], schema: TableSchema) -> Iterator[Numbers]:
    """The measured columns, by the rows in which one and those that are complete beside it are present."""
    measured = sorted((c for c in schema.columns if c.kind in MEASURED), key=lambda c: c.name != schema.target)
    absent = {c.name: np.isnan(columns[c.name]) for c in measured}
    patterns = list({mask.tobytes(): mask for mask in absent.values()}.values())
    patterns.sort(key=lambda mask: int(mask.sum()))
    for mask in patterns[:MOST_PATTERNS]:
        rows = np.flatnonzero(~mask)
        there = tuple(c for c in measured if not (absent[c.name] & ~mask).any())
        if len(there) > 1 and len(rows) >= arithmetic.LEAST_ROWS:
            yield Numbers(np.stack([columns[c.name][rows] for c in there], axis=1), there)


def _sums(columns: Mapping[str, np.ndarray], schema: TableSchema) -> Iterator[Identity]:
    for numbers in _numbers(columns, schema):
        taken: set[str] = set()
        for weights, constant in arithmetic.sums(numbers):
            best: tuple[tuple[bool, ...], Identity] | None = None
            for place in np.flatnonzero(weights).tolist():
                identity, of = arithmetic.solved_for(weights, constant, numbers.columns, place)
                column = numbers.columns[place]
                if column.name == schema.target or column.name in taken:
                    continue
                predicted = (
                    numbers.values[:, np.flatnonzero(weights)]
                    @ np.array(
                        [0.0 if i == place else -weights[i] / weights[place] for i in np.flatnonzero(weights).tolist()]
                    )
                    + constant / weights[place]
                )
                rounding = arithmetic.near(column, of, identity.factors)
                if not arithmetic.holds(column, numbers.values[:, place], predicted, rounding, len(of) + 1):
                    continue
                identity = _with_missing(identity, columns, schema)
                rank = (not identity.modelled, all(f > 0 for f in identity.factors))
                if best is None or rank >= best[0]:
                    best = rank, identity
            if best is not None:
                taken.add(best[1].column)
                yield best[1]


def _products(columns: Mapping[str, np.ndarray], schema: TableSchema) -> Iterator[Identity]:
    found = []
    for numbers in _numbers(columns, schema):
        for place, two, powers, constant in arithmetic.products(numbers):
            column, of = numbers.columns[place], tuple(numbers.columns[i].name for i in two)
            if column.name == schema.target:
                continue
            y, (a, b) = numbers.values[:, place], numbers.values[:, list(two)].T
            with np.errstate(divide="ignore", invalid="ignore"):
                predicted = constant * a * b ** powers[1]
            if arithmetic.holds(column, y, predicted, 0.5 * arithmetic.unit(column) * (1 + 1e-6), 1):
                exact = np.abs(y - predicted).max() <= arithmetic.exact(column, y)
                # An exact product before its quotients; but for rounding, first what is finest, and tells the most.
                rank = (not exact, powers[1] < 0 if exact else arithmetic.unit(column) / y.std())
                identity = Identity(column.name, "product", of, powers, constant)
                found.append((rank, _with_missing(identity, columns, schema)))
    yield from (identity for _, identity in sorted(found, key=lambda pair: pair[0]))


def _with_missing(identity: Identity, columns: Mapping[str, np.ndarray], schema: TableSchema) -> Identity:
    """The identity, modelled unless its column is missing exactly where one of the others is."""
    absent = np.logical_or.reduce([_missing(columns[name]) for name in identity.of])
    follows = bool((_missing(columns[identity.column]) == absent).all())
    return Identity(
        identity.column, identity.rule, identity.of, identity.factors, identity.constant, identity.values, not follows
    )


def _missing(values: np.ndarray) -> np.ndarray:
    return values < 0 if values.dtype.kind == "i" else np.isnan(values)


def _lookups(columns: Mapping[str, np.ndarray], schema: TableSchema) -> Iterator[Identity]:
    """What the categories of a column tell of others. Pairs in which both tell each other come first."""
    coded = [c for c in schema.columns if c.kind in CODED][:MOST_CODED]
    others = [c for c in schema.columns if c.kind in CODED or c.kind in MEASURED]
    found: dict[tuple[str, str], Identity] = {}
    for a in coded:
        for b in others:
            if a is not b and (identity := _lookup(a, b, columns, schema)) is not None:
                found[a.name, b.name] = identity
    places = {name: place for place, name in enumerate(schema.names)}

    def rank(pair: tuple[str, str]) -> tuple[bool, bool, int]:
        a, b = pair
        return b == schema.target, places[b] < places[a], -len(schema[a].categories)

    yield from (found[pair] for pair in sorted(found, key=rank))


def _lookup(a: Column, b: Column, columns: Mapping[str, np.ndarray], schema: TableSchema) -> Identity | None:
    """What each category of `a` tells of `b`, if all do. A category that no row has gets the commonest value."""
    count, values = len(a.categories), columns[b.name]
    groups = np.where(columns[a.name] < 0, count, columns[a.name])
    if not all(_told(groups[:rows], values[:rows], count) for rows in (FIRST_ROWS, len(groups))):
        return None
    both = ~_missing(values) & (groups < count)
    different, codes = np.unique(values[both], return_inverse=True)
    if both.sum() < arithmetic.LEAST_ROWS or len(different) < 2 or told_by_chance(groups[both], codes):
        return None
    absent = np.where(_missing(values), np.inf, values)  # as a value of its own, which a group may have
    least, most = _ends(groups, absent, count + 1)
    seen = least <= most
    follows = bool((least == most)[seen].all())
    told = np.where(seen, least, different[np.bincount(codes).argmax()])
    if not (follows and seen[-1]):
        told[-1] = np.inf
    as_stored = int if b.kind in CODED else float
    plain = tuple(None if value == np.inf else as_stored(value) for value in told.tolist())
    return Identity(b.name, "lookup", (a.name,), values=plain, modelled=not follows or b.name == schema.target)


def _told(groups: np.ndarray, values: np.ndarray, count: int) -> bool:
    """Whether the values that are there are the same in every group but the last, that of missing ones."""
    there = ~_missing(values) & (groups < count)
    least, most = _ends(groups[there], values[there], count)
    return bool((least >= most).all())


def _ends(groups: np.ndarray, values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest value of each group, inf and -inf where it is empty."""
    least, most = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, groups, values)
    np.maximum.at(most, groups, values)
    return least, most
