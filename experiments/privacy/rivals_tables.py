"""The tables of rivals.py: Adult with its official parts, and parity tables whose target is an interaction alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from dge_ray.table import TableSchema, load_table
from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.public import conform, declared_schema

TRAIN, TEST = 20_000, 10_000  # rows of a parity table, where its name does not say how many to fit on
VALUES = 8  # of its columns of whole numbers
FLIPPED = 0.1  # share of its targets that are the other class


@dataclass(frozen=True)
class Rows:
    """A table's parts, made to fit its public schema."""

    train: pa.Table
    test: pa.Table
    schema: TableSchema


def read_rows(name: str, source: str) -> Rows:
    """`adult` from the file `source`; `parityK` or `parityK-ROWS`: the target is the parity of the upper halves of K
    columns."""
    if name == "adult":
        schema = TableSchema.from_json((Path(__file__).parent / "adult_schema.json").read_text())
        table = load_table(source)
        parts = [table.filter(pc.equal(table["split"], part)).drop_columns(["split"]) for part in ("train", "test")]
        return Rows(*(conform(part, schema) for part in parts), schema)
    order, _, train = name.removeprefix("parity").partition("-")
    return parity_rows(int(order), int(train or TRAIN))


def parity_rows(order: int, train: int) -> Rows:
    """`order` columns of 8 values each whose parity the target is, but for a tenth of the rows; three columns that
    depend on one another in a chain, and one of four categories, have nothing to do with it. The best AUC is .9."""
    rng = np.random.default_rng(order)
    n = train + TEST
    causes = rng.integers(0, VALUES, (order, n))
    chain = [rng.integers(0, VALUES, n)]
    for _ in range(2):
        chain.append((chain[-1] + rng.integers(0, 3, n)) % VALUES)
    parity = (causes >= VALUES // 2).sum(axis=0) % 2
    target = np.where(rng.random(n) < FLIPPED, 1 - parity, parity)
    columns = {f"cause{j}": pa.array(values) for j, values in enumerate(causes)}
    columns |= {f"other{j}": pa.array(values) for j, values in enumerate(chain)}
    columns |= {"kind": pa.array(np.array(["a", "b", "c", "d"])[rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])])}
    columns |= {"target": pa.array(np.array(["even", "odd"])[target])}
    whole = {"kind": "integer", "minimum": 0, "maximum": VALUES - 1, "missing": False}
    declared: dict = {name: whole for name in columns if name not in ("kind", "target")}
    declared |= {"kind": {"categories": ["a", "b", "c", "d"], "missing": False}}
    declared |= {"target": {"categories": ["even", "odd"]}}
    table = pa.table(columns)
    schema = declared_schema(table.column_names, "target", declared)
    rows = conform(table, schema)
    return Rows(rows.slice(0, train), rows.slice(train), schema)
