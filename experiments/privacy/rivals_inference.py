"""Small inference for graphical models of whole numbers: a junction tree, mirror descent on measured marginals, draws.

McKenna, Sheldon, Miklau 2019 (algorithm 1, with its line search): the model with the highest entropy among those that
fit noisy marginals best. Columns are 0..d-1 with `sizes` (d,) values; a clique is an ascending tuple of columns, its
table an array with an axis a column.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

Clique: TypeAlias = tuple[int, ...]
Tables: TypeAlias = dict[Clique, np.ndarray]
GROW, SHRINK = 1.1, 0.5  # of the step, where it did and did not lower the loss enough


def bags_of(sizes: Sequence[int], cliques: Iterable[Clique]) -> list[Clique]:
    """The cliques of a triangulated graph, by eliminating the column that makes the smallest one."""
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
    """The cells of all tables of a model with these cliques."""
    return sum(math.prod(sizes[v] for v in bag) for bag in bags_of(sizes, cliques))


class JunctionTree:
    """Bags in an order in which each one's parent comes before it, and what they share with it."""

    def __init__(self, sizes: Sequence[int], cliques: Iterable[Clique]) -> None:
        self.sizes = tuple(sizes)
        left = bags_of(sizes, cliques)
        self.bags, self.parent, self.shared = [left.pop()], [-1], [()]
        while left:
            pairs = ((len(set(bag) & set(at)), -i, -j) for i, bag in enumerate(left) for j, at in enumerate(self.bags))
            _, i, j = max(pairs)
            bag = left.pop(-i)
            self.parent.append(-j)
            self.shared.append(tuple(sorted(set(bag) & set(self.bags[-j]))))
            self.bags.append(bag)

    def home(self, clique: Clique) -> int:
        """The first bag that holds a clique."""
        return next(i for i, bag in enumerate(self.bags) if set(clique) <= set(bag))

    def spread(self, table: np.ndarray, clique: Clique, bag: Clique) -> np.ndarray:
        """A clique's table with axes of length 1 for the bag's other columns."""
        return table.reshape([self.sizes[v] if v in clique else 1 for v in bag])

    def calibrated(self, potentials: Mapping[Clique, np.ndarray]) -> list[np.ndarray]:
        """Each bag's probabilities under the model with these log potentials."""
        logs = [np.zeros([self.sizes[v] for v in bag]) for bag in self.bags]
        for clique, table in potentials.items():
            at = self.home(clique)
            logs[at] += self.spread(table, clique, self.bags[at])
        tables = [np.exp(log - log.max()) for log in logs]
        sent: list[np.ndarray] = [np.ones(())] * len(tables)
        for i in range(len(tables) - 1, 0, -1):
            up = marginal(tables[i], self.bags[i], self.shared[i])
            sent[i] = up / up.sum()
            tables[self.parent[i]] *= self.spread(sent[i], self.shared[i], self.bags[self.parent[i]])
        tables[0] /= tables[0].sum()
        for i in range(1, len(tables)):
            down = marginal(tables[self.parent[i]], self.bags[self.parent[i]], self.shared[i])
            tables[i] *= self.spread(ratio(down, sent[i]), self.shared[i], self.bags[i])
            tables[i] /= tables[i].sum()
        return tables


def marginal(table: np.ndarray, bag: Clique, clique: Clique) -> np.ndarray:
    return table.sum(axis=tuple(i for i, v in enumerate(bag) if v not in clique))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Above over below, 0 where below is 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


@dataclass(frozen=True)
class Measured:
    """A marginal's noisy counts, and the sd of their noise."""

    clique: Clique
    counts: np.ndarray
    sd: float


class Model:
    """A fitted model: log potentials of the measured cliques, and `tables`, its bags' probabilities."""

    def __init__(self, sizes: Sequence[int], potentials: Tables, total: float) -> None:
        self.sizes, self.potentials, self.total = tuple(sizes), potentials, total

    @cached_property
    def tree(self) -> JunctionTree:
        return JunctionTree(self.sizes, self.potentials)

    @cached_property
    def tables(self) -> list[np.ndarray]:
        return self.tree.calibrated(self.potentials)

    def project(self, clique: Clique) -> np.ndarray:
        """The expected counts of a clique, whether a bag holds it or not."""
        tree = self.tree
        held = [i for i, bag in enumerate(tree.bags) if set(clique) <= set(bag)]
        if held:
            return self.total * marginal(self.tables[held[0]], tree.bags[held[0]], clique)
        operands: list = []  # the first bag's law, and those of the others that matter, given what they share above
        for i in self._kept(clique):
            table, bag = self.tables[i], tree.bags[i]
            above = tree.spread(marginal(table, bag, tree.shared[i]), tree.shared[i], bag)
            operands += [ratio(table, np.broadcast_to(above, table.shape)) if i else table, list(bag)]
        return self.total * np.einsum(*operands, list(clique), optimize="greedy")

    def _kept(self, clique: Clique) -> set[int]:
        """The bags on the ways from the first one to the clique's columns."""
        tree, kept = self.tree, {0}
        for column in clique:
            at = next(i for i, bag in enumerate(tree.bags) if column in bag)
            while at > 0:
                kept.add(at)
                at = tree.parent[at]
        return kept

    def draw(self, rows: int, rng: np.random.Generator) -> np.ndarray:
        """Tokens (d, rows)."""
        tree, found = self.tree, np.zeros((len(self.sizes), rows), dtype=np.int32)
        for bag, shared, table in zip(tree.bags, tree.shared, self.tables, strict=True):
            new = [v for v in bag if v not in shared]
            flat = np.moveaxis(table, [bag.index(v) for v in shared], range(len(shared)))
            flat = flat.reshape(math.prod(self.sizes[v] for v in shared), -1) + 1e-300
            ends = np.cumsum(flat, axis=1) / flat.sum(axis=1, keepdims=True)
            at = np.zeros(rows, dtype=np.int64)
            for v in shared:
                at = at * self.sizes[v] + found[v]
            # One search for all rows: a row of `ends` lies between its index and the next.
            place = np.searchsorted((ends + np.arange(len(ends))[:, None]).ravel(), at + rng.random(rows), side="right")
            cell = np.clip(place - at * flat.shape[1], 0, flat.shape[1] - 1)
            for v, values in zip(new, np.unravel_index(cell, [self.sizes[v] for v in new]), strict=True):
                found[v] = values
        return found


def estimate(start: Model, measured: Sequence[Measured], iterations: int) -> Model:
    """The model of highest entropy that fits the measurements, from another's potentials on."""
    total = start.total
    potentials = {m.clique: np.zeros(m.counts.shape) for m in measured} | start.potentials
    tree = JunctionTree(start.sizes, potentials)

    def loss(tables: list[np.ndarray]) -> tuple[float, Tables, Tables]:
        value, slopes, at = 0.0, {}, {}
        for m in measured:
            if m.clique not in at:
                home = tree.home(m.clique)
                at[m.clique] = total * marginal(tables[home], tree.bags[home], m.clique)
                slopes[m.clique] = np.zeros(m.counts.shape)
            off = at[m.clique] - m.counts
            value += 0.5 * float((off**2).sum()) / m.sd**2
            slopes[m.clique] += off / m.sd**2
        return value, slopes, at

    weights: dict[Clique, float] = {}
    for m in measured:
        weights[m.clique] = weights.get(m.clique, 0.0) + m.sd**-2
    step = 2.0 / (max(weights.values()) * total)
    now, slopes, at = loss(tree.calibrated(potentials))
    for _ in range(iterations):
        moved = {c: table - step * slopes[c] if c in slopes else table for c, table in potentials.items()}
        new, new_slopes, new_at = loss(tree.calibrated(moved))
        gain = sum(float((slopes[c] * (at[c] - new_at[c])).sum()) for c in slopes)
        if now - new >= 0.5 * gain:
            potentials, now, slopes, at, step = moved, new, new_slopes, new_at, step * GROW
        else:
            step *= SHRINK
    return Model(start.sizes, potentials, total)
