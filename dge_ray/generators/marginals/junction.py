"""Graphical models of whole numbers: a junction tree of bags of columns, and exact marginals, draws and probabilities.

Columns are 0..d-1 with `sizes` (d,) values. A clique is an ascending tuple of columns; its table is an array with an
axis a column.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

Clique: TypeAlias = tuple[int, ...]
Tables: TypeAlias = dict[Clique, np.ndarray]


def bags_of(sizes: Sequence[int], cliques: Iterable[Clique]) -> list[Clique]:
    """The maximal cliques of a triangulated graph that holds `cliques`: the column that makes the smallest one is
    eliminated first."""
    near = {v: {v} for v in range(len(sizes))}
    for clique in cliques:
        for v in clique:
            near[v] |= set(clique)
    bags: list[set[int]] = []
    while near:
        v = min(near, key=lambda v: math.prod(sizes[u] for u in near[v]))
        bag = near.pop(v)
        for u in bag - {v}:
            near[u] = (near[u] | bag) - {v}
        if not any(bag <= other for other in bags):
            bags.append(bag)
    return [tuple(sorted(bag)) for bag in bags]


def cells_of(sizes: Sequence[int], cliques: Iterable[Clique]) -> int:
    """The cells of all bags of a model with these cliques."""
    return sum(math.prod(sizes[v] for v in bag) for bag in bags_of(sizes, cliques))


@dataclass(frozen=True)
class Joint:
    """What a bag shares with its parent: the axes that a message sums over, and its shape in each of the two."""

    columns: Clique
    up: tuple[int, ...]  # the bag's axes that the parent lacks
    down: tuple[int, ...]  # the parent's axes that the bag lacks
    inside: list[int]
    above: list[int]


@dataclass(frozen=True)
class JunctionTree:
    """Bags in an order in which each one's parent comes before it; `parent` of the first is -1."""

    sizes: tuple[int, ...]
    bags: tuple[Clique, ...]
    parent: tuple[int, ...]

    @classmethod
    def over(cls, sizes: Sequence[int], cliques: Iterable[Clique]) -> "JunctionTree":
        """The tree in which each bag shares as much as it can with its parent: a largest spanning tree."""
        left = bags_of(sizes, cliques)
        bags, parent = [left.pop()], [-1]
        while left:
            shared = ((len(set(bag) & set(at)), -i, -j) for i, bag in enumerate(left) for j, at in enumerate(bags))
            _, i, j = max(shared)
            bags.append(left.pop(-i))
            parent.append(-j)
        return cls(tuple(sizes), tuple(bags), tuple(parent))

    @cached_property
    def joints(self) -> list[Joint]:
        """Of each bag; the first shares nothing. Kept, for a fit sends messages through the tree thousands of times."""
        found = []
        for i, bag in enumerate(self.bags):
            above = self.bags[self.parent[i]] if i else ()
            shared = tuple(v for v in bag if v in above)
            inside, outside = (self._shape(shared, of) for of in (bag, above))
            found.append(Joint(shared, others(bag, shared), others(above, shared), inside, outside))
        return found

    @cached_property
    def _homes(self) -> dict[Clique, int | None]:
        return {}

    def shared(self, i: int) -> Clique:
        """The columns that a bag has in common with its parent."""
        return self.joints[i].columns

    def home(self, clique: Clique) -> int | None:
        """The first bag that holds a clique."""
        if clique not in self._homes:
            self._homes[clique] = next((i for i, bag in enumerate(self.bags) if set(clique) <= set(bag)), None)
        return self._homes[clique]

    def _shape(self, clique: Clique, bag: Clique) -> list[int]:
        return [self.sizes[v] if v in clique else 1 for v in bag]

    def spread(self, table: np.ndarray, clique: Clique, bag: Clique) -> np.ndarray:
        """A clique's table with axes of length 1 for the bag's other columns."""
        return table.reshape(self._shape(clique, bag))

    def calibrated(self, potentials: Mapping[Clique, np.ndarray]) -> list[np.ndarray]:
        """Each bag's probabilities under the model with these log potentials, by messages up the tree and down."""
        logs = [np.zeros([self.sizes[v] for v in bag]) for bag in self.bags]
        for clique, table in potentials.items():
            home = self.home(clique)
            assert home is not None
            logs[home] += self.spread(table, clique, self.bags[home])
        tables = [np.exp(log - log.max()) for log in logs]
        sent: dict[int, np.ndarray] = {}
        for i in range(len(tables) - 1, 0, -1):
            joint, above = self.joints[i], self.parent[i]
            up = tables[i].sum(axis=joint.up)
            sent[i] = up / up.sum()
            tables[above] *= sent[i].reshape(joint.above)
            tables[above] /= tables[above].max()
        tables[0] /= tables[0].sum()
        for i in range(1, len(tables)):
            joint = self.joints[i]
            down = tables[self.parent[i]].sum(axis=joint.down)
            tables[i] *= ratio(down, sent[i]).reshape(joint.inside)
            tables[i] /= tables[i].sum()
        return tables


@dataclass(frozen=True)
class Model:
    """A law of rows: a tree, and `tables`, the probabilities of its bags, which agree in what they share."""

    tree: JunctionTree
    tables: list[np.ndarray]

    @cached_property
    def given_shared(self) -> list[np.ndarray]:
        """Each bag's law given what it shares with its parent; the first bag's law itself."""
        tree, found = self.tree, self.tables[:1]
        for i, table in enumerate(self.tables[1:], 1):
            above = tree.spread(marginal(table, tree.bags[i], tree.shared(i)), tree.shared(i), tree.bags[i])
            found.append(ratio(table, np.broadcast_to(above, table.shape)))
        return found

    def project(self, clique: Clique) -> np.ndarray:
        """A clique's probabilities, whether a bag holds it or not."""
        tree, home = self.tree, self.tree.home(clique)
        if home is not None:
            return marginal(self.tables[home], tree.bags[home], clique)
        operands: list = []
        for i in self._between(clique):
            operands += [self.given_shared[i], list(tree.bags[i])]
        return np.einsum(*operands, list(clique), optimize="greedy")

    def _between(self, clique: Clique) -> list[int]:
        """The bags on the ways from the first one to the clique's columns: all others add up to 1."""
        kept = {0}
        for column in clique:
            at = next(i for i, bag in enumerate(self.tree.bags) if column in bag)
            while at > 0:
                kept.add(at)
                at = self.tree.parent[at]
        return sorted(kept)

    def draw(self, rows: int, rng: np.random.Generator) -> np.ndarray:
        """Tokens (d, rows) int32."""
        tree, sizes = self.tree, self.tree.sizes
        found = np.zeros((len(sizes), rows), dtype=np.int32)
        for i, (bag, table) in enumerate(zip(tree.bags, self.tables, strict=True)):
            shared = tree.shared(i)
            new = [v for v in bag if v not in shared]
            flat = np.moveaxis(table, [bag.index(v) for v in shared], range(len(shared)))
            flat = flat.reshape(math.prod(sizes[v] for v in shared), -1)
            ends = np.cumsum(flat, axis=1)
            at = np.zeros(rows, dtype=np.int64)
            for v in shared:
                at = at * sizes[v] + found[v]
            # One search for all rows: what belongs to shared cell k lies between k and k + 1.
            with np.errstate(invalid="ignore"):
                ends = np.nan_to_num(ends / ends[:, -1:], nan=1.0) + np.arange(len(ends))[:, None]
            place = np.searchsorted(ends.ravel(), at + rng.random(rows), side="right") - at * flat.shape[1]
            cells = np.unravel_index(np.clip(place, 0, flat.shape[1] - 1), [sizes[v] for v in new])
            for v, values in zip(new, cells, strict=True):
                found[v] = values
        return found

    def log_prob(self, tokens: np.ndarray) -> np.ndarray:
        """log p (n,) of tokens (d, n)."""
        found = np.zeros(tokens.shape[1])
        with np.errstate(divide="ignore"):
            for bag, law in zip(self.tree.bags, self.given_shared, strict=True):
                found += np.log(law[tuple(tokens[v] for v in bag)])
        return found


def marginal(table: np.ndarray, bag: Clique, clique: Clique) -> np.ndarray:
    """A part's table, of a bag's."""
    return table.sum(axis=others(bag, clique))


def others(bag: Clique, clique: Clique) -> tuple[int, ...]:
    """A bag's axes whose columns a part of it lacks."""
    return tuple(i for i, v in enumerate(bag) if v not in clique)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Above over below, 0 where below is 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
