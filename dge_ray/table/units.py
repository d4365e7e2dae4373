"""Rows that stay together in a split: those of one person, household or day, and those of one moment."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.table.arrow.arrow_types import is_number, is_temporal, pc, plain
from dge_ray.table.source import check_column_name, counted_rows

DRAWS = 32  # random choices of groups, of which the one nearest to the wanted shares is taken


@dataclass(frozen=True)
class Units:
    """What a split takes whole. `field`: the key that says so, for messages.

    `unit`: the unit of each row, int64 (rows,). `rank`: the place in time of each row's unit, int64 (rows,), equal for
    units that stay together in time; None where units are parted at random.
    """

    field: str
    unit: np.ndarray
    rank: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Units":
        """Of some of the rows."""
        return Units(self.field, self.unit[rows], None if self.rank is None else self.rank[rows])

    def check_labels(self, labels: np.ndarray) -> None:
        """Raises InputError where the split column puts rows of one group into two parts."""
        if self.field != "group_column":
            return
        names, label = np.unique(labels, return_inverse=True)
        torn = int((np.bincount(np.unique(self.unit * len(names) + label) // len(names)) > 1).sum())
        if torn:
            takes = "every row of a group in one part (a split column that does so, or group_column alone)"
            raise InputError("group_column", f"{torn:,} groups whose rows split_column puts into several parts", takes)

    def check_count(self, rows: np.ndarray, needed: int) -> None:
        """Raises InputError where these rows are fewer units than parts are to be made of them."""
        count = len(np.unique((self.unit if self.rank is None else self.rank)[rows]))
        if count < needed:
            what = "group" if self.field == "group_column" else "time"
            got = f"{count} different {what}{'' if count == 1 else 's'} for {needed} parts"
            raise InputError(self.field, got, f"at least {needed}, one a part")

    def carve(
        self, rows: np.ndarray, strata: np.ndarray, fraction: float, reserve: int, rng: np.random.Generator
    ) -> np.ndarray:
        """About `fraction` of the rows (ascending numbers), in whole units; `reserve` units stay for the other parts.

        Of units in time the latest; otherwise of units at random, so that each stratum gives its share as well as whole
        units allow. `strata`: the class, or target decile, of each of the rows.
        """
        if self.rank is not None:
            return rows[_latest(self.rank[rows], fraction, reserve)]
        return rows[_at_random(self.unit[rows], strata, fraction, reserve, rng)]


def read_units(table: pa.Table, group_column: str | None, time_column: str | None) -> Units | None:
    """What stays together in the split of a table; None where every row may go its own way.

    With both columns whole groups are put in order by the time of their last row, so that no row that is learned from
    is later than the parts behind it begin.

    Raises:
        InputError: no such column, missing values, one value alone, or a time that is neither date nor number.
    """
    if group_column is None and time_column is None:
        return None
    unit, rank = np.arange(table.num_rows), None
    if group_column is not None:
        unit = _codes(_values(table, "group_column", group_column, "groups"))
    if time_column is not None:
        times = _values(table, "time_column", time_column, "times")
        if not (is_temporal(times.type) or is_number(times.type)):
            takes = "dates, timestamps or numbers (or a kind that makes it so: columns.NAME=datetime)"
            raise InputError("time_column", f"'{time_column}' of type {times.type}", takes)
        rank = pc.rank(times, tiebreaker="dense").to_numpy().astype(np.int64)
        if group_column is not None:
            last = np.zeros(unit.max() + 1, np.int64)
            np.maximum.at(last, unit, rank)
            rank = last[unit]
    return Units("group_column" if group_column is not None else "time_column", unit, rank)


def _values(table: pa.Table, field: str, name: str, what: str) -> pa.ChunkedArray:
    check_column_name(field, name, table.column_names)
    values = plain(table[name])
    if values.null_count:
        got = f"missing values in {counted_rows(values.null_count)} of '{name}'"
        raise InputError(field, got, "a value in every row: nobody can tell where a row without one belongs")
    if len(values) and len(pc.unique(values)) == 1:
        raise InputError(field, f"'{name}', which is the same in every row", f"a column of several {what}")
    return values


def _codes(values: pa.ChunkedArray) -> np.ndarray:
    """Equal values as equal whole numbers from 0."""
    return np.asarray(values.combine_chunks().dictionary_encode().indices.to_numpy(), dtype=np.int64)


def _latest(rank: np.ndarray, fraction: float, reserve: int) -> np.ndarray:
    """Which rows are the latest: the cut between two times that comes nearest to the fraction, bool (rows,)."""
    times, counts = np.unique(rank, return_counts=True)
    behind = np.cumsum(counts[::-1])  # rows of the latest 1, 2, ... times
    most = max(len(times) - reserve, 1)
    count = 1 + int(np.argmin(np.abs(behind[:most] - fraction * len(rank))))
    return rank >= times[-count]


def _at_random(
    unit: np.ndarray, strata: np.ndarray, fraction: float, reserve: int, rng: np.random.Generator
) -> np.ndarray:
    """Which rows are taken, bool (rows,): whole units, of DRAWS choices the one whose strata are nearest to the shares.

    A choice takes every (1 / share)-th unit in the order of their strata, then sizes: a stratified systematic sample.
    """
    _, unit, sizes = np.unique(unit, return_inverse=True, return_counts=True)
    _, row_stratum, in_stratum = np.unique(strata, return_inverse=True, return_counts=True)
    # A unit's stratum is its rarest one, so that rare classes are spread over the parts.
    rarity = np.empty(len(in_stratum), np.int64)
    rarity[np.argsort(-in_stratum, kind="stable")] = np.arange(len(in_stratum))
    stratum = np.zeros(len(sizes), np.int64)
    np.maximum.at(stratum, unit, rarity[row_stratum])
    size_class = np.floor(np.log2(sizes))
    able = sizes <= fraction * len(unit)  # a unit larger than the part stays
    if not able.any():
        able[:] = True
    share = fraction * len(unit) / sizes[able].sum()
    if not able.all():  # the parts behind this one need some, too
        share = min(share, max(fraction, 0.5))
    best: tuple[tuple[float, ...], np.ndarray] | None = None
    for _ in range(DRAWS):
        order = np.lexsort((rng.random(len(sizes)), size_class, stratum))
        order = order[able[order]]
        places = np.floor(np.arange(len(order) + 1) * share + rng.random())
        taken = np.zeros(len(sizes), bool)
        taken[order[np.diff(places) > 0]] = True
        counts = np.bincount(row_stratum[taken[unit]], minlength=len(in_stratum))
        lacking = np.sum(counts == 0) + np.sum(counts == in_stratum)
        lacking += max(1 - int(taken.sum()), 0) + max(reserve - int((~taken).sum()), 0)
        off = np.abs(counts - fraction * in_stratum).sum() + abs(counts.sum() - fraction * len(unit))
        if best is None or (lacking, off) < best[0]:
            best = (lacking, off), taken
    assert best is not None
    return best[1][unit]
