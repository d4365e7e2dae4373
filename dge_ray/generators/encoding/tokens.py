"""Columns as tokens: a small set of symbols a column, and exact densities of values within a symbol.

A coded column's tokens are its codes (of very many: hashed.py). A measured column with few values has a token a value.
Other measured columns have a token an atom (a value that many rows share, such as a gain of 0) and quantile bins for
the rest; within a bin, values follow the finer quantiles of the training rows, so that wide outer bins do not flatten
heavy tails, and values on which rows heap up (1/3, round sums) keep their rows. Missing is the last token of a column
that has missing values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from dge_ray.generators.encoding.codes import Codes
from dge_ray.generators.encoding.hashed import MOST_CODES, Hashed
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import CODED, Column, Kind

ATOM_SHARE = 0.005  # a value that this share of the rows has is a symbol of its own ...
ATOM_ROWS = 10  # ... if at least this many rows have it
ROWS_PER_VALUE = 4  # fewer rows a value than this, and the values themselves would be memorised: bins instead
ROWS_PER_CELL = 8  # the finer quantiles within a bin stop here
CELLS_PER_BIN = 8
HEAPED = 0.5  # of the rows of such a cell: a value that has more, and ATOM_ROWS at least, keeps them to itself
GUIDES = 32  # parts of a bin of which is kept in which of its cells they begin


@dataclass(frozen=True)
class Values:
    """The tokens of a measured column with few values: the values in increasing order, and missing."""

    values: np.ndarray
    missing: bool
    placed = False

    @property
    def size(self) -> int:
        return len(self.values) + self.missing

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Tokens (n,) int32: the nearest value's."""
        middles = (self.values[1:] + self.values[:-1]) / 2
        return _with_missing(self, np.searchsorted(middles, values), values)

    def decode(self, tokens: np.ndarray, place: np.ndarray | None = None) -> np.ndarray:
        """Values (n,) float64 of tokens (n,)."""
        return np.append(self.values, np.nan)[tokens]

    def centres(self) -> np.ndarray:
        """A value for each token (size,); nan for missing."""
        return self.decode(np.arange(self.size, dtype=np.int32))

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """log p(value | its token), (n,): 0 for the values themselves, -inf for any other."""
        at = np.clip(np.searchsorted(self.values, values), 0, len(self.values) - 1)
        known = (self.values[at] == values) | (np.isnan(values) & self.missing)
        return np.where(known, 0.0, -np.inf)


@dataclass(frozen=True)
class Bins:
    """The tokens of a measured column with many values: atoms, then quantile bins, then missing.

    A lattice column (whole numbers, or a fixed number of decimals) has values step * k; a value's cell is [k, k + 1).
    In a continuous column (step 0) the value is its own coordinate. `edges` (c + 1,) are coordinates in increasing
    order and `knots` (c + 1,) the places of these edges on the axis of bins, where bin b is [b, b + 1); between edges
    both are linear, which makes the density within a bin the constant slope of a cell. A value of a continuous column
    on which rows heap up is an edge twice, with its rows' mass in between: a cell without width.
    """

    atoms: np.ndarray
    edges: np.ndarray
    knots: np.ndarray
    step: float
    missing: bool
    placed = True

    @property
    def bins(self) -> int:
        return round(float(self.knots[-1]))

    @property
    def size(self) -> int:
        return len(self.atoms) + self.bins + self.missing

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """The cell in which each part of the axis of bins begins, GUIDES parts a bin; and the slopes of the cells."""
        first = np.searchsorted(self.knots, np.arange(GUIDES * self.bins) / GUIDES, side="right") - 1
        run, rise = np.diff(self.knots), np.diff(self.edges)
        return first, np.divide(rise, run, out=np.zeros_like(run), where=run > 0)

    def _coordinate_at(self, along: np.ndarray) -> np.ndarray:
        """np.interp(along, knots, edges) of places (n,) on the axis of bins. A place's cell is looked up where numpy
        searches for it, which takes twice as long; those beyond the ends give any coordinate."""
        first, slopes = self._cells
        cell = first.take((along * GUIDES).astype(np.int64), mode="clip")
        later = np.flatnonzero(along >= self.knots.take(cell + 1, mode="clip"))
        if len(later):  # an edge lies between the part's beginning and the place
            found = np.searchsorted(self.knots, along[later], side="right") - 1
            cell[later] = np.minimum(found, len(slopes) - 1)
        at = along - self.knots.take(cell, mode="clip")
        at *= slopes.take(cell, mode="clip")
        at += self.edges.take(cell, mode="clip")
        return at

    def _coordinates(self, values: np.ndarray) -> np.ndarray:
        return np.rint(values / self.step) + 0.5 if self.step else values

    @cached_property
    def _heaped(self) -> np.ndarray:
        """Which cells (c,) are of one value alone, on which rows heap up."""
        return np.diff(self.edges) == 0

    def _cell(self, values: np.ndarray) -> np.ndarray:
        """The cell (n,) of each value: its own where rows heap up on it."""
        coordinates = self._coordinates(values)
        cell = np.searchsorted(self.edges, coordinates, side="right") - 1
        if self._heaped.any():
            before = np.maximum(cell - 1, 0)
            cell = np.where(self._heaped[before] & (self.edges[np.maximum(cell, 0)] == coordinates), before, cell)
        return np.clip(cell, 0, len(self.edges) - 2)

    def _is_atom(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not len(self.atoms):
            return np.zeros(len(values), dtype=bool), np.zeros(len(values), dtype=np.int64)
        at = np.clip(np.searchsorted(self.atoms, values), 0, len(self.atoms) - 1)
        return self.atoms[at] == values, at

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Tokens (n,) int32; values beyond the ends belong to the outer bins."""
        bins = np.minimum(self.knots[self._cell(values)].astype(np.int64), self.bins - 1)
        is_atom, at = self._is_atom(values)
        return _with_missing(self, np.where(is_atom, at, len(self.atoms) + bins), values)

    def decode(self, tokens: np.ndarray, place: np.ndarray | None = None) -> np.ndarray:
        """Values (n,) float64 of tokens (n,) and places (n,) in [0, 1), where in the bin's mass the value lies."""
        if place is None:
            raise ValueError("bins need places")
        coordinates = self._coordinate_at(tokens - float(len(self.atoms)) + place)
        values = np.minimum(np.floor(coordinates), self.edges[-1] - 1) * self.step if self.step else coordinates
        if len(self.atoms):
            values = np.where(tokens < len(self.atoms), self.atoms[np.minimum(tokens, len(self.atoms) - 1)], values)
        return np.where(tokens == self.size - 1, np.nan, values) if self.missing else values

    def centres(self) -> np.ndarray:
        """A value for each token (size,), a bin's median; nan for missing."""
        return self.decode(np.arange(self.size, dtype=np.int32), np.full(self.size, 0.5))

    def places(self, values: np.ndarray, dither: np.ndarray) -> np.ndarray:
        """Where in its bin's mass each value (n,) lies, in [0, 1); ties, atoms and missing fall by `dither` (n,)."""
        coordinates = np.rint(values / self.step) + dither if self.step else values
        along = np.interp(coordinates, self.edges, self.knots)
        if self._heaped.any():
            cell = self._cell(values)
            heaped = self._heaped[cell] & (self.edges[cell] == values)
            along[heaped] = (self.knots[cell] + dither * (self.knots[cell + 1] - self.knots[cell]))[heaped]
        is_atom, _ = self._is_atom(values)
        loose = is_atom | np.isnan(values)
        # A value at a bin's upper end belongs to it, as `encode` has it.
        bins = np.minimum(np.floor(along), self.bins - 1)
        return np.clip(np.where(loose, dither, along - bins), 0, np.nextafter(1, 0))

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """log p(value | its token), (n,): a probability on a lattice and for atoms, a density elsewhere."""
        coordinates, cell = self._coordinates(values), self._cell(values)
        with np.errstate(divide="ignore"):
            # The ratio itself is beyond any float where two values differ by less than 1e-308.
            width = np.where(self._heaped, 1.0, np.diff(self.edges))
            slope = (np.log(np.diff(self.knots)) - np.log(width))[cell]
        inside = (coordinates >= self.edges[0]) & (coordinates <= self.edges[-1])
        is_atom, _ = self._is_atom(values)
        known = is_atom | (np.isnan(values) & self.missing)
        return np.where(known, 0.0, np.where(inside, slope, -np.inf))


ColumnTokens = Codes | Values | Bins  # Hashed is a kind of Codes


def _with_missing(tokens: ColumnTokens, codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    missing = np.isnan(values)
    return np.where(missing, tokens.size - 1 if tokens.missing else -1, codes).astype(np.int32)


def fit_column(column: Column, values: np.ndarray, *, bins: int) -> ColumnTokens:
    """The tokens of a column, from its encoded training values (n,). `bins`: the most values or bins it may have."""
    if column.kind in CODED:
        if len(column.categories) > MOST_CODES:
            return Hashed.fit(column.categories, column.missing, values)
        return Codes(len(column.categories), column.missing)
    present = values[~np.isnan(values)]
    distinct, counts = np.unique(present, return_counts=True)
    few = len(distinct) <= bins and len(present) >= ROWS_PER_VALUE * len(distinct)
    is_atom = counts >= max(ATOM_ROWS, ATOM_SHARE * len(present))
    rest, weights = distinct[~is_atom], counts[~is_atom]
    if few or len(rest) < 3:
        return Values(distinct, column.missing)
    return _fit_bins(distinct[is_atom], rest, weights, bins=bins, step=_lattice_step(column), missing=column.missing)


def _lattice_step(column: Column) -> float:
    if column.kind is Kind.NUMERIC:
        return 0.0 if column.decimals is None else 10.0**-column.decimals
    return float(column.step)


def _fit_bins(
    atoms: np.ndarray, rest: np.ndarray, weights: np.ndarray, *, bins: int, step: float, missing: bool
) -> Bins:
    rows = int(weights.sum())
    below = np.cumsum(weights)  # rows at or below each distinct value
    # A bin's share must be learnt from its rows: about n^(3/5) / 2 rows a bin.
    bins = int(np.clip(round(2 * rows**0.4), 2, bins))
    cells = bins * int(np.clip(rows // (ROWS_PER_CELL * bins), 1, CELLS_PER_BIN))
    levels = np.rint(rest / step) if step else rest  # lattice index, or the value itself
    end = levels[-1] + 1 if step else levels[-1]

    def starts(count: int) -> np.ndarray:  # the distinct values at which `count` cells of equal mass start
        first = np.searchsorted(below, np.arange(count) * rows / count, side="right")
        # A continuous column's last value closes the last cell, so it cannot start one.
        return np.unique(levels[np.minimum(first, len(levels) - (1 if step else 2))])

    coarse = np.append(starts(bins), end)
    is_heaped = weights >= max(ATOM_ROWS, HEAPED * rows / cells)
    heaped = levels[is_heaped]
    fine = [starts(cells), coarse, heaped]
    taken = np.empty(0)  # edges of a lattice whose cells have rows of their own, or none
    if step:
        at = np.rint(atoms / step)
        at = at[(at > levels[0]) & (at < levels[-1])]
        # Cells of atoms hold no other row, so that a bin never draws an atom's value again.
        fine += [heaped + 1, at, at + 1]
        taken = np.concatenate([coarse, at])
    edges = np.unique(np.concatenate(fine))
    # Rows below an edge, among the rows that are no atoms. The last edge has all of them below.
    mass = np.concatenate([[0], below])[np.searchsorted(levels, edges[:-1])].astype(np.float64)
    mass = np.append(mass, rows)
    coarse_mass = mass[np.searchsorted(edges, coarse)]
    if not step:  # cells without width
        at = np.searchsorted(edges, heaped)
        through, own = below[is_heaped], weights[is_heaped]
        edges, mass = np.insert(edges, at, heaped), np.insert(mass, at, through - own)
        mass[np.searchsorted(edges, heaped) + 1] = through
    # The values behind a heap get half a row of it, so that no part of a bin is impossible.
    behind = np.searchsorted(edges, heaped) + 1
    mass[behind[(behind < len(edges) - 1) & ~np.isin(edges[behind], taken)]] -= 0.5
    knots = np.interp(mass, coarse_mass, np.arange(len(coarse), dtype=np.float64))
    return Bins(atoms, edges, knots, step, missing)


TOKENS = {"codes": Codes, "hashed": Hashed, "values": Values, "bins": Bins}


class Discretiser:
    """The tokens of all modelled columns, in schema order."""

    def __init__(self, columns: dict[str, ColumnTokens]) -> None:
        self.columns = columns

    @classmethod
    def fit(cls, schema_columns: list[Column], values: Mapping[str, np.ndarray], *, bins: int) -> "Discretiser":
        """From encoded training rows."""
        return cls({c.name: fit_column(c, values[c.name], bins=bins) for c in schema_columns})

    @property
    def sizes(self) -> list[int]:
        return [tokens.size for tokens in self.columns.values()]

    def ranks(self) -> list[np.ndarray | None]:
        """Each measured column's tokens (size,) by the order of their values, as places in [0, 1]; nan for missing.

        None for coded columns, whose tokens have no order.
        """
        ranks: list[np.ndarray | None] = []
        for tokens in self.columns.values():
            if isinstance(tokens, Codes):
                ranks.append(None)
                continue
            centres = tokens.centres()
            place = (np.argsort(np.argsort(centres)) + 0.5) / np.count_nonzero(~np.isnan(centres))
            ranks.append(np.where(np.isnan(centres), np.nan, place))  # nan sorts last, so it shifts no other place
        return ranks

    def encode(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Tokens (d, n) of n encoded rows, int16 where they fit; -1 where a column cannot hold the value."""
        small = max(self.sizes) <= np.iinfo(np.int16).max
        out = np.empty((0, 0))
        for j, (name, tokens) in enumerate(self.columns.items()):
            row = tokens.encode(values[name])
            if j == 0:
                out = np.empty((len(self.columns), len(row)), np.int16 if small else np.int32)
            out[j] = row
        return out

    def decode(self, tokens: np.ndarray, rng: np.random.Generator) -> Columns:
        """Encoded rows of tokens (d, n), placed within their bins at random."""
        n = tokens.shape[1]
        return {
            name: column.decode(row, rng.random(n) if column.placed else None)
            for (name, column), row in zip(self.columns.items(), tokens, strict=True)
        }

    def log_prob(self, values: Columns, law: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """log p (n,) of encoded values: of their tokens, by a `law` of known ones (d, m), and of their places within
        them; -inf where a value has no token."""
        tokens = self.encode(values)
        known = (tokens >= 0).all(axis=0)
        log_p = np.full(tokens.shape[1], -np.inf)
        log_p[known] = law(tokens[:, known])
        return log_p + self.log_density(values)

    def log_density(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """log p(row | its tokens), (n,) float64."""
        return np.sum([tokens.log_density(values[name]) for name, tokens in self.columns.items()], axis=0)

    def state(self) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
        """Arrays by name, and JSON values by column, from which `from_state` makes the same discretiser."""
        arrays, plain = {}, []
        for j, (name, tokens) in enumerate(self.columns.items()):
            record: dict[str, Any] = {"name": name, "tokens": type(tokens).__name__.lower()}
            for field in fields(tokens):
                value = getattr(tokens, field.name)
                if isinstance(value, np.ndarray):
                    arrays[f"tokens.{j}.{field.name}"] = value
                else:
                    record[field.name] = value
            plain.append(record)
        return arrays, plain

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], plain: list[dict[str, Any]]) -> "Discretiser":
        columns = {}
        for j, record in enumerate(plain):
            fields = {k: v for k, v in record.items() if k not in ("name", "tokens")}
            prefix = f"tokens.{j}."
            fields |= {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            columns[record["name"]] = TOKENS[record["tokens"]](**fields)
        return cls(columns)
