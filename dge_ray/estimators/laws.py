"""A target's law in each row, by each member's generator, as weighted atoms."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.generators.registry import abilities
from dge_ray.stats.metrics.crps import crps, mixture, quantiles
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import TableSchema

Law = tuple[np.ndarray, np.ndarray]  # a member's values and weights, each (n or 1, s)


@dataclass(frozen=True)
class Laws:
    """y's law in each of n rows by each of K members, as weighted atoms, and their mixture.

    `values` and `weights` (K, n or 1, s), float64: 1 where they are the same in all rows. `spread`: the factor by which
    the mixture's atoms are moved from its mean.
    """

    values: np.ndarray
    weights: np.ndarray
    spread: float = 1.0

    @property
    def rows(self) -> int:
        """n."""
        return max(self.values.shape[1], self.weights.shape[1])

    def mean(self) -> np.ndarray:
        """Each member's expectation of y, (K, n)."""
        return (self.values * self.weights).sum(axis=2)

    def mixture(self) -> tuple[np.ndarray, np.ndarray]:
        """The predicted law: atoms (n or 1, K s or s) and their weights (n or 1, K s or s)."""
        values, weights = mixture(self.values, self.weights)
        if self.spread == 1:
            return values, weights
        mean = (values * weights).sum(axis=1, keepdims=True)
        return mean + self.spread * (values - mean), weights

    def quantiles(self, q: np.ndarray) -> np.ndarray:
        """Quantiles of the mixture at the levels q (q,): (n, q)."""
        return quantiles(*self.mixture(), q)

    def crps(self, y: np.ndarray) -> np.ndarray:
        """The continuous ranked probability score of the mixture at y (n,), in units of y: (n,)."""
        return crps(*self.mixture(), y)


def member_law(generator: Any, given: pa.Table, schema: TableSchema, *, draws: int, seed: int) -> Law:
    """The target's law given the known features of each row, in encoded values."""
    n, names = given.num_rows, [column.name for column in schema.features]
    known = np.ones((n, len(names)), dtype=bool)
    for j, column in enumerate(schema.features):
        if not column.missing:
            known[:, j] = given.column(column.name).is_valid().to_numpy()
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    parts: list[tuple[np.ndarray, Law]] = []
    for i, pattern in enumerate(patterns):
        rows = np.flatnonzero(which.ravel() == i)
        part = given.take(rows).select([name for name, is_known in zip(names, pattern, strict=True) if is_known])
        law = None
        if pattern.all() and names and abilities(generator).target_law:
            law = generator.target_law(part, points=draws)
        parts.append((rows, law or _drawn(generator, part, len(rows), schema, draws, seed)))
    return parts[0][1] if len(parts) == 1 else joined(parts, n)


def _drawn(generator: Any, given: pa.Table, n: int, schema: TableSchema, draws: int, seed: int) -> Law:
    """As many draws a row, from rows that the generator completes."""
    repeated = given.take(np.arange(n).repeat(draws)) if given.num_columns else None
    rows = generator.sample(n * draws, seed=seed, given=repeated)
    values = TableCodec(schema).encode(rows, [str(schema.target)])[str(schema.target)]
    return values.reshape(n, draws).astype(np.float64), np.full((1, draws), 1 / draws)


def joined(parts: list[tuple[np.ndarray, Law]], n: int) -> Law:
    """Laws of some rows each as one law of all n; short ones are filled up with atoms of no weight."""
    first = parts[0][1][0]
    shared = all(len(values) == 1 and np.array_equal(values, first) for _, (values, _) in parts)
    size = max(values.shape[1] for _, (values, _) in parts)
    atoms, share = np.zeros((n, size)), np.zeros((n, size))
    for rows, (values, weights) in parts:
        atoms[rows] = values[:, :1]
        atoms[rows, : values.shape[1]] = values
        share[rows, : values.shape[1]] = weights
    return (first if shared else atoms), share


def stack(laws: list[Law], spread: float) -> Laws:
    """Members' laws, which have the same shapes: all rows' atoms come from the same real rows or the same draws."""
    return Laws(np.stack([values for values, _ in laws]), np.stack([weights for _, weights in laws]), spread)
