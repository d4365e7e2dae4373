"""The symbols of a column's rows: of the table's law, and of the rows of each node, to draw from and to count."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dge_ray.generators.trees.axis import Axis

MOST_CELLS = 2**22  # of a table of nodes and symbols
PRIOR_ROWS = 0.1  # rows that each symbol has in the table beside its own, so that none is impossible


def take(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """values[at], without the check of `at` that costs as much again."""
    return values.take(at, mode="clip")


@dataclass(frozen=True)
class Scale:
    """The table's law of a column. `shares` (symbols,), of which the first `smooth` are ordered."""

    shares: np.ndarray
    smooth: int

    @classmethod
    def of(cls, symbols: np.ndarray, axis: Axis) -> "Scale":
        """From the rows' symbols (n,)."""
        counts = np.bincount(symbols, minlength=axis.size) + PRIOR_ROWS
        return cls(counts / counts.sum(), axis.smooth)

    @cached_property
    def ends(self) -> np.ndarray:
        """Upper ends (symbols,) of the symbols' intervals of (0, 1)."""
        ends = self.shares.cumsum()
        return ends / ends[-1]

    @cached_property
    def middles(self) -> np.ndarray:
        return self.ends - self.shares / 2

    @cached_property
    def _guide(self) -> np.ndarray:
        """The symbols at the lower ends of equal cells of (0, 1), a power of two of them: where to begin to look."""
        cells = 2 ** int(np.ceil(np.log2(8 * len(self.ends))))
        return np.searchsorted(self.ends, np.arange(cells) / cells, side="right")

    def symbol(self, uniform: np.ndarray) -> np.ndarray:
        """The symbols (n,) whose intervals hold uniforms (n,) in [0, 1)."""
        guide, ends = self._guide, self.ends
        out = take(guide, (uniform * len(guide)).astype(np.int64))
        out += uniform >= take(ends, out)
        more = np.flatnonzero(uniform >= take(ends, out))  # of cells that hold more than one end
        if len(more):
            out[more] = np.minimum(np.searchsorted(ends, uniform[more], side="right"), len(ends) - 1)
        return out


class Rows:
    """Symbols of rows by node, to draw from and to count.

    `begin`, `size` (nodes,): where a node's rows are among the `symbols` (rows,). `held`: the nodes that have rows, in
    order of these. Where some symbols are bins, a node's are in order, and values are spread between rows that lie so
    many `apart`.
    """

    def __init__(
        self, begin: np.ndarray, size: np.ndarray, held: np.ndarray, symbols: np.ndarray, scale: Scale, apart: int
    ) -> None:
        self.begin, self.size, self.held, self.symbols, self.scale, self.apart = (
            begin,
            size,
            held,
            symbols,
            scale,
            apart,
        )
        self.asked = 0

    @classmethod
    def of(cls, node: np.ndarray, size: np.ndarray, symbols: np.ndarray, scale: Scale, apart: int) -> "Rows":
        """From rows in any order: the nodes (rows,) that they are in, and symbols (rows,)."""
        many = len(scale.shares)
        held = np.flatnonzero(size)
        return cls(size.cumsum() - size, size, held, np.sort(node * many + symbols) % many, scale, apart)

    @cached_property
    def ordered(self) -> np.ndarray:
        """How many of each node's rows (nodes,) are in bins."""
        before = np.append(0, np.cumsum(self.symbols < self.scale.smooth))
        return before[self.begin + self.size] - before[self.begin]

    def _below(self, node: np.ndarray, symbol: np.ndarray) -> np.ndarray:
        """How many of the nodes' rows have smaller symbols, (n,) each; from a table once many were looked for."""
        cells = len(self.size) * (len(self.scale.shares) + 1)
        self.asked += len(node)
        if cells <= MOST_CELLS and cells <= self.asked:
            return take(self._table, node * (len(self.scale.shares) + 1) + symbol)
        base = self.begin[node]
        count = np.searchsorted(self._keys, base * len(self.scale.shares) + symbol) - base
        return np.clip(count, 0, self.size[node])

    @cached_property
    def _keys(self) -> np.ndarray:
        """The rows (rows,) by their nodes' places and then by their symbols, as one number."""
        places = np.repeat(self.begin[self.held], self.size[self.held])
        return np.sort(places * len(self.scale.shares) + self.symbols)

    @cached_property
    def _table(self) -> np.ndarray:
        """What `_below` gives, for each node and symbol (nodes * (symbols + 1),)."""
        symbols = len(self.scale.shares)
        node = np.repeat(self.held, self.size[self.held])
        cells = np.bincount(node * (symbols + 1) + self.symbols + 1, minlength=len(self.size) * (symbols + 1))
        return cells.reshape(-1, symbols + 1).cumsum(1).ravel()

    def draw(self, node: np.ndarray, along: np.ndarray) -> np.ndarray:
        """A symbol (n,) of each node (n,), from numbers (n,) that are even between 0 and the nodes' sizes."""
        base = take(self.begin, node)
        if self.scale.smooth < 2:
            base += along.astype(np.int64)
            return take(self.symbols, base).astype(np.int64)
        ordered, out = take(self.ordered, node), None
        near = np.flatnonzero((along < ordered) & (ordered > 1))
        if len(near) < len(node):
            out = take(self.symbols, base + along.astype(np.int64)).astype(np.int64)
            along, base, ordered = along[near], base[near], ordered[near]
        last = ordered - 1
        along = along * (last / ordered)
        low = (along * (1 / self.apart)).astype(np.int64) * self.apart
        low = np.minimum(low, (last - 1) // self.apart * self.apart)
        high = np.minimum(low + self.apart, last)
        first = take(self.scale.middles, take(self.symbols, base + low))
        final = take(self.scale.middles, take(self.symbols, base + high))
        drawn = self.scale.symbol(first + (along - low) / (high - low) * (final - first))
        if out is None:
            return drawn
        out[near] = drawn
        return out

    def probability(self, node: np.ndarray, symbol: np.ndarray) -> np.ndarray:
        """p(symbol | node), (n,) each."""
        below = self._below(node, symbol)
        same = self._below(node, symbol + 1) - below
        count = same.astype(float)
        ordered = self.ordered[node]
        near = np.flatnonzero((symbol < self.scale.smooth) & (ordered > 1))
        if len(near):
            count[near] = self._spread(node[near], symbol[near], below[near], same[near])
        return count / np.maximum(self.size[node], 1)

    def _spread(self, node: np.ndarray, symbol: np.ndarray, below: np.ndarray, same: np.ndarray) -> np.ndarray:
        """How many of the nodes' ordered rows (n,) symbols stand for, of which they have so many below and the same."""
        base, last = self.begin[node], self.ordered[node] - 1
        ends = below + same - 1  # the last row of this symbol, or the last below it
        middles, width = self.scale.middles, self.scale.shares[symbol]

        def part(low: np.ndarray, high: np.ndarray) -> np.ndarray:
            """A symbol's part of the rows between two, which are not both its own: half its width at an end."""
            start, stop = self.symbols[base + low], self.symbols[base + high]
            share = np.where((start == symbol) | (stop == symbol), width / 2, width)
            with np.errstate(divide="ignore", invalid="ignore"):
                return (high - low) * share / (middles[stop] - middles[start])

        low = np.maximum(below - 1, 0) // self.apart * self.apart
        high = np.minimum(low + self.apart, last)
        total = np.where((below > 0) & (below <= last), part(low, high), 0.0)
        first = np.minimum(-(-below // self.apart) * self.apart, last)
        final = np.where(ends == last, last, np.maximum(ends, 0) // self.apart * self.apart)
        own = (same > 0) & (first >= below) & (first <= ends)  # a row between which others are spread
        total += np.where(own, final - first, 0)
        high = np.minimum(final + self.apart, last)
        total += np.where(own & (ends < last), part(final, high), 0.0)
        return total * (last + 1) / last
