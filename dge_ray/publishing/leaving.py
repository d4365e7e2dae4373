"""What a bundle tells of each column of the real table, and what of it is held back.

- **Bounds** are moved outward (`outward.py`) unless 10 real rows have the bound itself, or the publisher gave it.
- **Categories** that one real row alone has are published as the column's commonest one, in the rows and in the schema.
- **Identities** between columns are told; what single categories tell of another column is not.
- A private study's schema was public before a row was looked at, and stays as it is.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.phrases import number
from dge_ray.study.config import StudyConfig
from dge_ray.table.arrow.arrow_types import arrow_type, from_counts, is_temporal
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.outward import outward
from dge_ray.table.schema.table_schema import CODED, MEASURED, Column, Kind, TableSchema

ENOUGH = 10  # rows that share a value, which then tells of none of them


@dataclass(frozen=True)
class Leaving:
    """A schema as it leaves, what its columns tell, and how rows are made to fit it.

    `columns`: of each column `column`, `kind` and `tells`, a sentence. `codes`: by column, the new code of each of the
    study's categories.
    """

    schema: TableSchema
    columns: tuple[dict[str, str], ...]
    study: TableSchema
    codes: Mapping[str, np.ndarray] = field(default_factory=dict)

    def rows(self, table: pa.Table) -> pa.Table:
        """Synthetic rows of the study as they leave."""
        computed = {identity.column for identity in self.study.kept}
        drawn = {name: codes for name, codes in self.codes.items() if name not in computed}
        table = self._recoded(table, drawn)
        if drawn and computed:  # what a category told is now what its stand-in tells
            table = TableCodec(self.study).refill(table, list(drawn))
        return self._recoded(table, {name: codes for name, codes in self.codes.items() if name in computed})

    def _recoded(self, table: pa.Table, by_column: Mapping[str, np.ndarray]) -> pa.Table:
        for name, codes in by_column.items():
            old, new = (TableSchema((schema[name],)) for schema in (self.study, self.schema))
            found = TableCodec(old).encode(table, [name])[name]
            told = np.where(found < 0, -1, codes[found]).astype(np.int32)
            column = TableCodec(new).decode({name: told}, seed=0)
            table = table.set_column(table.column_names.index(name), column.schema.field(0), column.column(0))
        return table


def leaving(
    schema: TableSchema, config: StudyConfig | None, real: pa.Table | None, *, allowed: Collection[str] = ()
) -> Leaving:
    """What leaves of a study's schema.

    Args:
        config: the study's; None for a private one, whose schema was declared.
        real: the real table, where it may be looked at.
        allowed: columns whose categories are published though each tells who a row is.
    """
    if config is None:
        told = tuple(_line(column, "as it was declared, which tells of no row") for column in schema.columns)
        return Leaving(schema, told, schema)
    columns, lines, codes = [], [], {}
    for column in schema.columns:
        if column.kind in MEASURED:
            column, tells = _bounded(column, config, None if real is None else real.select([column.name]), schema)
        elif column.kind in CODED:
            column, tells, merged = _categories(column, schema, real, keep=column.name in allowed)
            if merged is not None:
                codes[column.name] = merged
        else:
            tells = {
                Kind.CONSTANT: "its one value",
                Kind.IDENTIFIER: "nothing: its values are made up",
            }.get(column.kind, "no value of its own: texts are in the rows alone")
        columns.append(column)
        lines.append(_line(column, tells))
    untold = tuple(identity.untold() for identity in schema.identities)
    return Leaving(replace(schema, columns=tuple(columns), identities=untold), tuple(lines), schema, codes)


def told_group(row: Mapping[str, Any], schema: TableSchema, rows: int | None) -> str:
    """A group's name of report.json without a value that few of the `rows` train rows have.

    >>> a = TableSchema((Column("a", Kind.NUMERIC, "double"),))
    >>> told_group({"group": "a >= 17.99", "share": 0.1}, a, 500), told_group({"group": "a = 3", "share": 0.01}, a, 500)
    ('a, its highest tenth', 'a, a rare value')
    """
    name = str(row["group"])
    for column in schema.names:
        if name.startswith(f"{column} <= "):
            return f"{column}, its lowest tenth"
        if name.startswith(f"{column} >= "):
            return f"{column}, its highest tenth"
        if name.startswith(f"{column} = ") and row["share"] * (rows or 0) < ENOUGH:
            return f"{column}, a rare value"
    return name


def _line(column: Column, tells: str) -> dict[str, str]:
    missing = "; that values are missing" if column.missing else ""
    return {"column": column.name, "kind": column.kind.value, "tells": tells + missing}


def _bounded(column: Column, config: StudyConfig, real: pa.Table | None, schema: TableSchema) -> tuple[Column, str]:
    given = config.columns.get(column.name)
    own = set(given) & {"minimum", "maximum"} if isinstance(given, Mapping) else set()
    values = np.empty(0) if real is None else TableCodec(schema).encode(real, [column.name])[column.name]
    words, moves = [], {}
    for which in ("minimum", "maximum"):
        bound = getattr(column, which)
        common = int((values == bound).sum()) >= ENOUGH
        moves[which] = bound is not None and not common and which not in own
        words.append(
            "given by the publisher" if which in own else f"which {ENOUGH} rows or more have" if common else "rounded"
        )
    moved = outward(column, low=moves["minimum"], high=moves["maximum"])
    low, high = (_shown(moved, bound) for bound in (moved.minimum, moved.maximum))
    if words == ["rounded", "rounded"]:
        return moved, f"bounds {low} and {high}, rounded outward"
    return moved, f"bounds {low} ({words[0]}) and {high} ({words[1]})".replace("rounded", "rounded outward")


def _shown(column: Column, bound: float | None) -> str:
    """A bound for people: of a datetime in its own words."""
    dtype = arrow_type(column.type)
    if bound is None or not is_temporal(dtype):
        return number(bound)
    return str(from_counts(np.array([int(bound)]), dtype).cast(pa.string())[0].as_py())


def _categories(
    column: Column, schema: TableSchema, real: pa.Table | None, *, keep: bool
) -> tuple[Column, str, np.ndarray | None]:
    """The column, what it tells, and the new code of each category where some are left out."""
    count = len(column.categories)
    if real is None:
        return column, f"its {count:,} categories, not looked through for those of one row alone", None
    found = TableCodec(schema).encode(real, [column.name])[column.name]
    rows = np.bincount(found[found >= 0], minlength=count)
    alone = rows == 1
    if keep or column.name == schema.target or not alone.any():
        return column, f"its {count:,} categories", None
    common = int(rows.argmax())
    codes = np.cumsum(~alone) - 1
    codes[alone] = codes[common]
    kept = tuple(value for value, one in zip(column.categories, alone, strict=True) if not one)
    tells = f"{len(kept):,} of its {count:,} categories; {alone.sum():,} that one row alone has "
    tells += f"{'is' if alone.sum() == 1 else 'are'} published as {str(column.categories[common])!r}"
    return replace(column, categories=kept), tells, codes.astype(np.int32)
