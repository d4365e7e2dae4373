"""Tables larger than memory: a dataset's columns read one at a time, and encoded one at a time."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
import pyarrow as pa

from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import TableSchema

if TYPE_CHECKING:  # importing it brings pandas
    from pyarrow.dataset import Dataset


class LazyTable:
    """What is asked of an Arrow table, over a dataset (such as a folder of Parquet files) that stays on disk.

    A column is read when it is asked for and is not kept.
    """

    def __init__(self, dataset: "Dataset") -> None:
        self._dataset = dataset
        self.schema: pa.Schema = dataset.schema
        self.num_rows: int = dataset.count_rows()

    @property
    def column_names(self) -> list[str]:
        return self.schema.names

    @property
    def num_columns(self) -> int:
        return len(self.schema)

    def column(self, at: int | str) -> pa.ChunkedArray:
        """The column of this name or position."""
        name = at if isinstance(at, str) else self.schema.names[at]
        return self._dataset.to_table(columns=[name]).column(0)

    __getitem__ = column


TableSource: TypeAlias = Union[pa.Table, "Dataset"]
"""Rows in memory, or a pyarrow dataset."""


def as_table(source: TableSource) -> pa.Table | LazyTable:
    """The source as something with columns."""
    return source if isinstance(source, pa.Table) else LazyTable(source)


class LazyColumns(Mapping[str, np.ndarray]):
    """A table's modelled columns (`Columns`, codec.py), each encoded when it is asked for and not kept.

    Encoded columns are 8 bytes a number and 4 a code: of a large table, only one at a time is in memory.
    `rows`: the rows that are meant, in this order; None for all.
    """

    def __init__(self, table: pa.Table | LazyTable, schema: TableSchema, rows: np.ndarray | None = None) -> None:
        self._table, self._codec, self._rows = table, TableCodec(schema), rows
        self.count = table.num_rows if rows is None else len(rows)

    def __getitem__(self, name: str) -> np.ndarray:
        values = self._codec.encode(self._table, [name])[name]
        return values if self._rows is None else values[self._rows]

    def __iter__(self) -> Iterator[str]:
        return (column.name for column in self._codec.schema.modelled)

    def __len__(self) -> int:
        return len(self._codec.schema.modelled)

    def take(self, rows: np.ndarray) -> "LazyColumns":
        """Some of the rows, in this order."""
        return LazyColumns(self._table, self._codec.schema, rows if self._rows is None else self._rows[rows])
