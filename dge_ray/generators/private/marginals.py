"""All that a private fit knows of its columns before the first step: noisy counts over public cells.

The cells of a column come from the public schema alone. A coded column has one a category. A measured column has one a
value where its range holds few; in a wide range the values 0, minimum and maximum have their own (spikes sit there),
and the others are the pieces that equal cells and cells growing away from 0 cut each other into: one suits values
spread over the range, the other heavy tails. Missing is the last cell.

The histograms of all columns are one discrete Gaussian mechanism (Canonne, Kamath, Steinke 2020): a row adds 1 to one
cell of each of d columns, so its L2 sensitivity is sqrt(d). Counts and noise are whole numbers and are added as such:
no rounding tells of a count (Mironov 2012). Everything made of the noisy counts is free: ranges, atoms, quantiles,
shares.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dge_ray.errors import InputError
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.table.schema.table_schema import CODED, Column, Kind

LATTICE_CELLS = 512  # values of a column that all have cells of their own
EQUAL_CELLS = 256  # of a wide range
GROWTH = 1 / 12  # of the cells away from 0, a cell
KNOWN = 4.5  # standard deviations of the noise: of a thousand empty cells, one in 300 columns has more
SMALLEST_SHARE = 1e-4  # of a continuous range: the first cell beside 0
UNBOUNDED = 2.0**40  # where a column without a bound ends; in steps of a lattice
SMALLEST_UNBOUNDED = 2.0**-20  # the first cell beside 0 of a continuous column without bounds


@dataclass(frozen=True)
class Cells:
    """A column's cells. `levels` of a coded column; `edges` (c + 1,) coordinates of a measured one's, in increasing
    order; both and missing counted in `size`.

    Coordinates are those of `tokens.Bins`: with `step` the value's index on its lattice, whose cell is [k, k + 1); in a
    continuous column (step 0) the value itself. `spikes`: coordinates of cells that hold one value, [x, the next
    float), in a continuous column; on a lattice any cell of width 1 holds one value.
    """

    levels: int
    edges: np.ndarray
    step: float
    missing: bool
    spikes: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """Cells without missing."""
        return self.levels or len(self.edges) - 1

    @property
    def size(self) -> int:
        return self.count + self.missing

    def find(self, values: np.ndarray) -> np.ndarray:
        """The cell (n,) int64 of each encoded value (n,); beyond the ends the outer cells.

        A missing value of a column that has none by its schema is in no cell: -1.
        """
        absent = values < 0 if self.levels else np.isnan(values)
        if self.levels:
            cells = values.astype(np.int64)
        else:
            at = np.where(absent, 0.0, values)
            at = np.rint(at / self.step) if self.step else at
            cells = np.clip(np.searchsorted(self.edges, at, side="right") - 1, 0, self.count - 1)
        return np.where(absent, self.count if self.missing else -1, cells)


@dataclass(frozen=True)
class NoisyMarginal:
    """A column's cells and how many rows each seems to hold: `counts` (size,) float64, from 0, n together."""

    cells: Cells
    counts: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """The counts (count,) of cells with values."""
        return self.counts[: self.cells.count]


def public_cells(column: Column) -> Cells:
    """A modelled column's cells, by its description alone.

    Raises:
        InputError: a text column, or a datetime without bounds.
    """
    empty = np.empty(0)
    if column.kind in CODED:
        return Cells(len(column.categories), empty, 0.0, column.missing)
    if column.kind is Kind.TEXT:
        raise InputError(f"columns.{column.name}", "text in a private fit", "another kind, or drop it")
    if column.kind is Kind.DATETIME and (column.minimum is None or column.maximum is None):
        raise InputError(f"columns.{column.name}", "a datetime without bounds in a private fit", "minimum and maximum")
    step = lattice_step(column)
    scale = step or 1.0
    low = -UNBOUNDED if column.minimum is None else column.minimum / scale
    high = UNBOUNDED if column.maximum is None else column.maximum / scale
    if step:
        low, high = float(np.rint(low)), float(np.rint(high))
        if high - low < LATTICE_CELLS:
            return Cells(0, np.arange(low, high + 2), step, column.missing)
        edges = np.concatenate([_wide(low, high + 1, 1.0), [low, low + 1, high, high + 1]])
        if low < 0 < high:
            edges = np.append(edges, [0, 1])
        edges = np.unique(np.clip(np.rint(edges), low, high + 1))
        return Cells(0, edges, step, column.missing)
    bounded = column.minimum is not None and column.maximum is not None
    spikes = [low, high] if low < high else [low]
    spikes += [0.0] if low < 0 < high else []
    slivers = [x for spike in spikes for x in (spike, float(np.nextafter(spike, math.inf)))]
    smallest = SMALLEST_SHARE * (high - low) if bounded else SMALLEST_UNBOUNDED
    edges = np.unique(np.concatenate([_wide(low, high, smallest) if low < high else empty, slivers]))
    return Cells(0, edges, 0.0, column.missing, tuple(sorted(spikes)))


def lattice_step(column: Column) -> float:
    """The distance between a measured column's values; 0 where they are any."""
    if column.kind is Kind.NUMERIC:
        return 0.0 if column.decimals is None else 10.0**-column.decimals
    return float(column.step)


def _wide(low: float, high: float, smallest: float) -> np.ndarray:
    """Edges of equal cells, and of cells that grow away from 0 beginning with `smallest`, in [low, high]."""
    reach = max(abs(low), abs(high))
    count = max(0, math.ceil(math.log(reach / smallest) / math.log1p(GROWTH)))
    growing = smallest * (1 + GROWTH) ** np.arange(count + 1)
    equal = np.linspace(low, high, EQUAL_CELLS + 1)
    edges = np.concatenate([equal, growing, -growing])
    return edges[(edges >= low) & (edges <= high)]


def noisy_marginals(
    columns: Sequence[Column], values: Mapping[str, np.ndarray], n: int, private: PrivateFit
) -> dict[str, NoisyMarginal]:
    """Each column's noisy counts, from the encoded train rows (n,): the mechanism, and then what costs nothing.

    A row outside a column's cells (missing where the schema has no missing) counts in none.
    """
    cells = {column.name: public_cells(column) for column in columns}
    counts = []
    for name, column in cells.items():
        places = column.find(values[name])
        counts.append(np.bincount(places[places >= 0], minlength=column.size))
    whole = np.concatenate(counts)
    noisy = (whole + private.histogram_noise(len(whole), len(columns))).astype(np.float64)
    parts = np.split(noisy, np.cumsum([len(part) for part in counts])[:-1])
    level = KNOWN * private.histogram_sd(len(columns))
    found = {}
    for column, part in zip(columns, parts, strict=True):
        kept = np.ones(len(part), dtype=bool)
        if column.kind not in CODED and (column.minimum is None or column.maximum is None):
            count = cells[column.name].count
            kept[:count] = _within_bounds(part[:count], level)
        projected = np.zeros(len(part))
        projected[kept] = on_simplex(part[kept], n)
        found[column.name] = NoisyMarginal(cells[column.name], projected)
    return found


def _within_bounds(noisy: np.ndarray, level: float) -> np.ndarray:
    """The cells (c,) bool of a column without bounds from the first to the last with a count that is no noise; all
    where there is none. Without this, noise alone would fill a range of billions."""
    known = np.flatnonzero(noisy > level)
    if not len(known):
        return np.ones(len(noisy), dtype=bool)
    at = np.arange(len(noisy))
    return (known[0] <= at) & (at <= known[-1])


def on_simplex(counts: np.ndarray, total: float) -> np.ndarray:
    """The nearest counts (c,) in squared distance that are at least 0 and add up to `total`.

    The same is taken off all of them, and what falls below 0 is 0 (Duchi et al. 2008): empty cells' noise goes.
    """
    falling = np.sort(counts)[::-1]
    off = (np.cumsum(falling) - total) / np.arange(1, len(counts) + 1)
    kept = np.flatnonzero(falling > off)
    return np.maximum(counts - off[kept[-1]], 0.0)
