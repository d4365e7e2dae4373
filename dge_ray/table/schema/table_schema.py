"""What a table's columns are: the one description that loading, generating, learning and publishing share."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal

import pyarrow as pa

from dge_ray.table.arrow.arrow_types import arrow_type, is_temporal, value_type
from dge_ray.table.schema.identities import Identity

Task = Literal["binary", "multiclass", "regression"]


class Kind(StrEnum):
    """How a column is modelled."""

    NUMERIC = "numeric"  # real-valued
    INTEGER = "integer"  # whole-valued, whatever its storage type
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"
    DATETIME = "datetime"
    TEXT = "text"  # words in their order; only a generator of text models it
    CONSTANT = "constant"  # one value; reproduced, never a feature
    IDENTIFIER = "identifier"  # all values differ; never modelled, synthetic rows get fresh surrogates


CODED = frozenset({Kind.BOOLEAN, Kind.CATEGORICAL})  # int32 codes in the codec
MEASURED = frozenset({Kind.NUMERIC, Kind.INTEGER, Kind.DATETIME})  # float64 in the codec


@dataclass(frozen=True)
class Column:
    """One column.

    `type` is the Arrow type's name (as `str(pa.DataType)`), given back by synthetic tables. `categories` holds a coded
    column's values in code order, as JSON scalars in the column's own type (temporal values as counts of the type's
    unit, decimals as strings); for a constant column its single value. `minimum`, `maximum` bound a measured column, as
    float64 (datetimes: counts of the type's unit). `decimals`: how many decimals its values have (None: more than 6).
    `step`: the coarsest of day, hour, minute, second, ms, us that all values of a datetime are whole multiples of, as a
    count of the type's unit. `missing`: nulls occur.
    """

    name: str
    kind: Kind
    type: str
    missing: bool = False
    categories: tuple = ()
    minimum: float | None = None
    maximum: float | None = None
    decimals: int | None = None
    step: int = 1


@dataclass(frozen=True)
class TableSchema:
    """The columns in table order, which one is the target, what columns are of others, in the order in which they are
    computed, and pairs of columns (greater, lesser) of which the first is never the smaller."""

    columns: tuple[Column, ...]
    target: str | None = None
    task: Task | None = None
    identities: tuple[Identity, ...] = ()
    orders: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def varying(self) -> list[Column]:
        """All columns but constants and identifiers."""
        return [c for c in self.columns if c.kind in CODED or c.kind in MEASURED or c.kind is Kind.TEXT]

    @property
    def modelled(self) -> list[Column]:
        """The columns a generator models: those that vary and are not computed from others."""
        computed = self.computed
        return [c for c in self.varying if c.name not in computed]

    @property
    def computed(self) -> set[str]:
        """The columns that no generator models, since others tell what they are."""
        return {i.column for i in self.kept if not i.modelled and i.column != self.target}

    @property
    def kept(self) -> list[Identity]:
        """The identities that drawn rows are made to keep: those that can be computed from columns of this schema."""
        names = set(self.names) if self.identities else set()
        return [i for i in self.identities if i.computable and names.issuperset((i.column, *i.of))]

    @property
    def kept_orders(self) -> list[tuple[str, str]]:
        """The orders that drawn rows are made to keep: those between columns of this schema."""
        names = set(self.names) if self.orders else set()
        return [pair for pair in self.orders if names.issuperset(pair)]

    @property
    def texts(self) -> list[Column]:
        """The text columns."""
        return [c for c in self.columns if c.kind is Kind.TEXT]

    @property
    def dated(self) -> dict[str, str]:
        """The kind, by column, as which text is read to the dates, times and durations of this schema."""
        return {c.name: Kind.DATETIME for c in self.columns if is_temporal(value_type(arrow_type(c.type)))}

    @property
    def features(self) -> list[Column]:
        """The columns that vary, but the target."""
        return [c for c in self.varying if c.name != self.target]

    @property
    def classes(self) -> tuple:
        """The target's classes in code order; empty in regression."""
        return () if self.task == "regression" or self.target is None else self[self.target].categories

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def to_json(self) -> str:
        facts = {"columns": [asdict(c) for c in self.columns], "target": self.target, "task": self.task}
        if self.identities:  # else the text is that of before there were any
            facts["identities"] = [identity.to_json() for identity in self.identities]
        if self.orders:
            facts["orders"] = [list(pair) for pair in self.orders]
        return json.dumps(facts, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "TableSchema":
        raw = json.loads(text)
        columns = tuple(
            Column(**{**c, "kind": Kind(c["kind"]), "categories": tuple(c["categories"])}) for c in raw["columns"]
        )
        identities = tuple(Identity.from_json(identity) for identity in raw.get("identities", []))
        orders = tuple((str(a), str(b)) for a, b in raw.get("orders", []))
        return cls(columns, raw["target"], raw["task"], identities, orders)


def names_fault(names: Sequence[object]) -> str | None:
    """Why these cannot be a table's column names, real or synthetic; None where they can.

    >>> names_fault(["a", "a"]), names_fault(["a", " "]), names_fault(["a", "b"])
    ("the name 'a' more than once", 'column 2 without a name', None)
    """
    for place, name in enumerate(names, 1):
        if not isinstance(name, str) or not name.strip():
            return f"column {place} without a name"
    repeated = [name for name, count in Counter(names).items() if count > 1]
    return f"the name {repeated[0]!r} more than once" if repeated else None


def task_of(column: Column) -> Task:
    """What predicting a column is: regression for a measured one."""
    if column.kind not in CODED:
        return "regression"
    return "binary" if len(column.categories) == 2 else "multiclass"


def arrow_schema(schema: TableSchema) -> pa.Schema:
    """Names, order and exact types of the real table, which every synthetic table has too."""
    return pa.schema([pa.field(column.name, arrow_type(column.type)) for column in schema.columns])
