"""A table's schema with the identities and orders that its rows show, and how they are told."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from dge_ray.phrases import advice, one_line
from dge_ray.table.codec import TableCodec
from dge_ray.table.relations.find import find_identities, leaks
from dge_ray.table.relations.orders import find_orders
from dge_ray.table.schema.identities import Identity, in_words, order_in_words
from dge_ray.table.schema.table_schema import CODED, MEASURED, TableSchema

MOST_ROWS = 1_000_000  # evenly over the table: what holds in so many holds
MOST_TOLD = 4  # orders in a line; the others are counted


def with_identities(
    schema: TableSchema, train: pa.Table, known: TableSchema | None = None
) -> tuple[TableSchema, tuple[str, ...]]:
    """The schema with what columns are of others in all train rows and which are never the smaller, or with what is
    `known`, and a line on each identity and one on the orders."""
    if train.num_rows > MOST_ROWS:
        train = train.take(pa.array(np.linspace(0, train.num_rows - 1, MOST_ROWS).astype(np.int64)))
    names = [column.name for column in schema.columns if column.kind in CODED or column.kind in MEASURED]
    columns = TableCodec(schema).encode(train, names)
    found = find_identities(columns, schema) if known is None else known.identities
    orders = find_orders(columns, schema, found) if known is None else known.orders
    lines = [_told(identity, schema, train.num_rows) for identity in found]
    lines += [_leak(identity, schema) for identity in found if leaks(identity, schema, columns)]
    lines += _told_orders(orders, train.num_rows)
    return replace(schema, identities=found, orders=orders), tuple(lines)


def _told_orders(orders: tuple[tuple[str, str], ...], rows: int) -> list[str]:
    if not orders:
        return []
    words = "; ".join(one_line(order_in_words(order)) for order in orders[:MOST_TOLD])
    more = f" and {len(orders) - MOST_TOLD} more" if len(orders) > MOST_TOLD else ""
    return [
        f"{words}{more} in all {rows:,} train rows that have both: values of synthetic rows that would break it change "
        f"places; {advice('identities', 'none')} leaves them"
    ]


def _told(identity: Identity, schema: TableSchema, rows: int) -> str:
    words = one_line(in_words(identity))
    how = "is put right in" if identity.modelled else "is not modelled, and computed in"
    return (
        f"{words} in all {rows:,} train rows that have them: '{one_line(identity.column)}' {how} synthetic rows; "
        f"{advice('identities', 'none')} models every column by itself"
    )


def _leak(identity: Identity, schema: TableSchema) -> str:
    others = [name for name in (identity.column, *identity.of) if name != schema.target]
    names = " and ".join(f"'{one_line(name)}'" for name in others)
    return (
        f"target '{one_line(str(schema.target))}': {names} tell it exactly in the train rows, so that there is nothing "
        f"to predict; leave out what is not known before it, with {advice('drop', others[:1])}"
    )
