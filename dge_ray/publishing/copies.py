"""Synthetic rows that are exact copies of rare real rows.

On a table of few discrete columns copies are unavoidable and harmless: everybody has such a row. So rarity is judged. A
real row is **rare** if no other real row equals it, and if its copy could hardly be chance: were the columns
independent, with the shares that their values have among the real rows, one such row would come up in fewer than 1 of
100 publications of this size. With M synthetic rows and U real rows that occur once, that is M U s_1 s_2 ... < 0.01,
where s_j is the share of the row's value in column j: its count over n, and for a value that occurs once Good and
Turing's 2 (N_2 + 1) / (N_1 n), at most 1/n, with N_r values that occur r times: a continuous column's value hardly
comes up again. Columns do depend on each other, so chance does better than that, and the rule errs on the careful side.
It sees nothing in a table with one continuous column alone, where one value is all that a row is.

Memory: 8 bytes a real row, and one column or one part at a time.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dge_ray.publishing.rows import Cut
from dge_ray.table.hashes import cell_hashes, row_hashes
from dge_ray.table.schema.table_schema import TableSchema

MOST_BY_CHANCE = 0.01  # expected rows of a bundle that equal a rare real row by chance


@dataclass(frozen=True)
class Copies:
    """Synthetic rows that equal a real row which occurs once, and those of them whose real row is rare."""

    unique: int
    rare: int


class RealRows:
    """The real table (`table`, `count` rows), to look for copies of its rows."""

    def __init__(self, table: pa.Table, schema: TableSchema) -> None:
        """Raises InputError: the table lacks a column of the schema, or has values that its type cannot hold."""
        self.table, self._schema, self.count = table, schema, table.num_rows
        self._hashes = row_hashes(table, schema)
        values, counts = np.unique(self._hashes, return_counts=True)
        self.once = values[counts == 1]  # ascending

    def copies(self, times: np.ndarray, rows: int) -> Copies:
        """How many of `rows` synthetic rows are copies, where `once[i]` came up `times[i]` times among them."""
        hit = np.flatnonzero(times)
        if not len(hit):
            return Copies(0, 0)
        order = np.argsort(self._hashes)
        at = order[np.searchsorted(self._hashes, self.once[hit], sorter=order)]
        chance = np.full(len(at), np.log(rows) + np.log(len(self.once)))
        for column in self._schema.varying:
            cells = cell_hashes(self.table, self._schema, column.name)
            _, codes, counts = np.unique(cells, return_inverse=True, return_counts=True)
            chance += np.log(_shares(counts)[codes[at]])
        return Copies(int(times.sum()), int(times[hit][chance < np.log(MOST_BY_CHANCE)].sum()))


def _shares(counts: np.ndarray) -> np.ndarray:
    """How likely a fresh row is to have each value, from how often the real rows have it, at least once each."""
    once, twice = np.sum(counts == 1), np.sum(counts == 2)
    return np.where(counts == 1, min(1.0, 2 * (twice + 1) / max(once, 1)), counts) / counts.sum()


@dataclass(frozen=True)
class Matches:
    """For `over_parts`: how often each real row that occurs once (`RealRows.once`) is among the rows of some parts."""

    once: np.ndarray
    schema: TableSchema

    def __call__(self, cut: Cut, member: int, parts: list[int]) -> np.ndarray:
        return sum((self.of(table) for _, table in cut.tables(member, parts)), np.zeros(len(self.once), np.int64))

    def of(self, table: pa.Table) -> np.ndarray:
        """Among the rows of one table, int64 (len(once),)."""
        if not len(self.once):
            return np.zeros(0, np.int64)
        hashes = row_hashes(table, self.schema)
        where = np.minimum(np.searchsorted(self.once, hashes), len(self.once) - 1)
        return np.bincount(where[self.once[where] == hashes], minlength=len(self.once))
