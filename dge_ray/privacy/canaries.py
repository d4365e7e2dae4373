"""Canaries: unlikely rows planted in train, and twins of the same law held back, to see what a release gives away.

Each column is drawn on its own, from the ends of its values in train or from its rare categories, so that a row's
values hardly occur together. Planted rows and twins are one sample, parted at random: what ranks one above the other
can only be that it was fitted on.

Of a private study they are made of the public schema alone: what was planted, or whether it could be, tells nothing of
a real row, and a real row that is changed changes no other.
"""

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.leakage.nearest import row_bytes
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.schema.table_schema import CODED, Column, TableSchema

ENDS = 0.05  # share of a measured column's values, or of its declared range, at either end that they are drawn from
DRAWS = 20  # rows drawn for each that is kept, at most: small tables of categories have few unlikely rows


def draw_canaries(
    parts: dict[str, pa.Table], schema: TableSchema, count: int, *, seed: int
) -> tuple[pa.Table, pa.Table]:
    """`count` rows to plant and as many twins, all different, and none a real row. A pure function of train and seed.

    Args:
        parts: the study's real rows; canaries are made of those of `train`.

    Raises:
        InputError: the table has too few unlikely rows to draw so many different ones, or a text column.
    """
    _refuse_texts(schema, count)
    codec = TableCodec(schema)
    train = codec.encode(parts["train"])
    rng = numpy_generator(seed, Purpose.CANARY)
    columns = {c.name: _unlikely(train[c.name], c.kind in CODED, DRAWS * 2 * count, rng) for c in schema.varying}
    known = {row for table in parts.values() for row in row_bytes(codec.encode(table))}
    return _parted(columns, known, codec, count, seed=seed)


def draw_public_canaries(schema: TableSchema, count: int, *, seed: int) -> tuple[pa.Table, pa.Table]:
    """The same of a private study: a pure function of the public schema and the seed. Categories are drawn alike, and
    numbers from the ends of their declared range. No real row is looked at, so one may equal a canary by chance.

    Raises:
        InputError: the schema has too few such rows, a number without bounds, or a text column.
    """
    _refuse_texts(schema, count)
    for column in schema.varying:
        if column.kind not in CODED and (column.minimum is None or column.maximum is None):
            got = f"{count} with privacy.epsilon and a column '{column.name}' without bounds"
            takes = f"0, or columns.{column.name}={{minimum: a, maximum: b}}: canaries come from what is public alone"
            raise InputError("canaries", got, takes)
    codec = TableCodec(schema)
    rng = numpy_generator(seed, Purpose.CANARY)
    columns = {c.name: _declared(c, DRAWS * 2 * count, rng) for c in schema.varying}
    # By way of a table, so that numbers are those of the column's type and decimals.
    columns = codec.encode(codec.decode(columns, seed=integer(seed, Purpose.CANARY, index=1), as_they_are=True))
    return _parted(columns, set(), codec, count, seed=seed)


def _refuse_texts(schema: TableSchema, count: int) -> None:
    if schema.texts:
        raise InputError("canaries", f"{count} with the text column '{schema.texts[0].name}'", "0, or no text column")


def _parted(
    columns: Columns, known: set[bytes], codec: TableCodec, count: int, *, seed: int
) -> tuple[pa.Table, pa.Table]:
    """The first 2 `count` different rows that are not `known`, half of them to plant."""
    kept: list[int] = []
    for i, row in enumerate(row_bytes(columns)):
        if row not in known:
            known.add(row)
            kept.append(i)
        if len(kept) == 2 * count:
            break
    if len(kept) < 2 * count:
        raise InputError("canaries", str(count), f"at most {len(kept) // 2}: this table has no more unlikely rows")
    chosen = {name: values[kept] for name, values in columns.items()}
    made = codec.decode(chosen, seed=integer(seed, Purpose.CANARY, index=1), as_they_are=True)
    return made.slice(0, count), made.slice(count)


def plant(train: pa.Table, canaries: pa.Table) -> pa.Table:
    """Train with the canaries as its last rows."""
    return pa.concat_tables([train, canaries.select(train.column_names).cast(train.schema)])


def _unlikely(values: np.ndarray, coded: bool, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` values of a column: its categories by the inverse of their shares, or values at its ends; none missing where
    there is another."""
    if coded:
        codes, counts = np.unique(values[values >= 0], return_counts=True)
        if not len(codes):
            return np.full(n, -1, np.int32)
        return rng.choice(codes, n, p=1 / counts / (1 / counts).sum()).astype(np.int32)
    ordered = np.sort(values[~np.isnan(values)])
    if not len(ordered):
        return np.full(n, np.nan)
    share = rng.random(n) * ENDS
    place = np.where(rng.random(n) < 0.5, share, 1 - share)
    return ordered[np.minimum((place * len(ordered)).astype(np.int64), len(ordered) - 1)]


def _declared(column: Column, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` values of a column by its declaration: categories with equal chance, or numbers from the ends of its range;
    none missing."""
    if column.kind in CODED:
        return rng.integers(0, len(column.categories), n).astype(np.int32)
    assert column.minimum is not None and column.maximum is not None
    share = rng.random(n) * ENDS
    return column.minimum + np.where(rng.random(n) < 0.5, share, 1 - share) * (column.maximum - column.minimum)
