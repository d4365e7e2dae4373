"""Generators that benchmarks compare with and the package does not have: a sequential CART, and two half and half.

The sequential CART follows the recipe of R's synthpop at its defaults: one column after the other, from a decision
tree on those before it, grown to leaves of 5 rows, of which one drawn at random gives its value as it is. The target
is last. A categorical predictor is split in the order of its levels' mean response, or of their first direction.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from dge_ray.generators.registry import make_generator
from dge_ray.generators.trees.axis import response_codes
from dge_ray.generators.trees.splitter import Response
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table import Columns, TableCodec, TableSchema

LEAF = 5


@dataclass(frozen=True)
class Stage:
    """One column: its tree (None: it is the first), the codes of coded predictors, and the donors by leaf."""

    tree: Any
    orders: dict[str, np.ndarray]
    donors: np.ndarray
    begin: np.ndarray
    size: np.ndarray


class Cart:
    """Sequential trees with donors; `fit` and `sample` as the package's generators have them."""

    def fit(self, train: pa.Table, schema: TableSchema, *, seed: int) -> "Cart":
        self.schema, self.stages = schema, dict[str, Stage]()
        real = TableCodec(schema).encode(train)
        for name in sorted(real, key=lambda name: name == schema.target):
            values = real[name]
            # Missing is below all others.
            ordered = np.where(np.isnan(values), np.nanmin(values) - 1, values) if values.dtype.kind == "f" else values
            if not self.stages:
                self.stages[name] = Stage(None, {}, values, np.zeros(1, np.int64), np.array([len(values)]))
                continue
            levels, rank = np.unique(ordered, return_inverse=True)
            response = Response(rank, len(levels), ordered=values.dtype.kind == "f")
            orders = {}
            for other in self.stages:
                if real[other].dtype.kind != "f":
                    tokens = real[other].astype(np.int64) + 1
                    orders[other] = response_codes(tokens, len(schema[other].categories) + 1, response)
            kind = DecisionTreeRegressor if response.ordered else DecisionTreeClassifier
            x = self._inputs({other: real[other] for other in self.stages}, orders)
            tree = kind(min_samples_leaf=LEAF, random_state=seed % 2**32).fit(x, ordered)
            leaf = tree.apply(x)
            size = np.bincount(leaf, minlength=tree.tree_.node_count)
            donors = values[np.argsort(leaf, kind="stable")]
            self.stages[name] = Stage(tree, orders, donors, size.cumsum() - size, size)
        return self

    def sample(self, n: int, *, seed: int) -> pa.Table:
        rng, drawn = numpy_generator(seed, Purpose.SHARD), dict[str, np.ndarray]()
        for name, stage in self.stages.items():
            leaf = np.zeros(n, np.int64) if stage.tree is None else stage.tree.apply(self._inputs(drawn, stage.orders))
            drawn[name] = stage.donors[stage.begin[leaf] + (rng.random(n) * stage.size[leaf]).astype(np.int64)]
        return TableCodec(self.schema).decode(drawn, seed=seed)

    def _inputs(self, columns: Columns, orders: dict[str, np.ndarray]) -> np.ndarray:
        """The columns so far as predictors (n, p), missing a value of its own."""
        parts = [orders[c][v.astype(np.int64) + 1] if c in orders else v for c, v in columns.items()]
        return np.stack(parts, axis=1).astype(np.float32)


class Mixed:
    """Two generators, each fitted on all rows; half of the drawn rows are of either."""

    KINDS = ("autoregressive", "trees")

    def fit(self, train: pa.Table, schema: TableSchema, *, seed: int) -> "Mixed":
        self.parts = [make_generator(kind).fit(train, schema, seed=seed) for kind in self.KINDS]
        return self

    def sample(self, n: int, *, seed: int) -> pa.Table:
        halves = (n - n // 2, n // 2)
        return pa.concat_tables([p.sample(half, seed=seed) for p, half in zip(self.parts, halves, strict=True) if half])


OWN: dict[str, Any] = {"cart": Cart, "mixed": Mixed}
