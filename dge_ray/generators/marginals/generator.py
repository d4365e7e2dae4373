"""A graphical model of chosen marginals: the law of highest entropy that has them, exact in closed form.

Columns are cut into tokens; the marginals where a simpler model is most wrong are counted (choose.py), a model is
fitted to the counts (estimate.py), and rows are drawn from its junction tree (junction.py). What it cannot show: what
more columns at once do than a marginal has, and values within a bin.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.generators.base import Unsupported
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import check_count, training_columns
from dge_ray.generators.encoding.tokens import Discretiser
from dge_ray.generators.fitting.base import BaseGenerator, FitOptions
from dge_ray.generators.marginals.choose import Candidates, plain_estimate, private_estimate
from dge_ray.generators.marginals.junction import JunctionTree, Model
from dge_ray.generators.marginals.settings import MarginalsSettings
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.marginals import noisy_marginals
from dge_ray.generators.private.tokens import private_discretiser
from dge_ray.generators.rows.likelihood import row_log_prob
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table.codec import TableCodec
from dge_ray.table.lazy import TableSource
from dge_ray.table.schema.table_schema import TableSchema


@dataclass(frozen=True)
class MarginalsModel:
    """Tokens, and the law over them."""

    discretiser: Discretiser
    law: Model


class Marginals(BaseGenerator[MarginalsSettings, MarginalsModel]):
    """A graphical model of chosen marginals. Settings: `MarginalsSettings`.

    Without privacy a fit has no random start: as the copula's, it then weights the rows at random (`resample`).
    """

    name = "marginals"
    abilities = MarginalsSettings.abilities
    no_warm_start = "its marginals are counted anew"
    keeps_history = False

    def _fit(self, table: TableSource, schema: TableSchema, options: FitOptions) -> MarginalsModel:
        """Fit on all rows of `table`, and of `options.stopping` in a private fit; reads them then by the mechanisms of
        `options.private` alone."""
        if options.private is not None:
            return self._fit_private(table, schema, options, options.private)
        values = training_columns(table, schema)
        discretiser = Discretiser.fit(schema.modelled, values, bins=self.settings.bins)
        weights = np.ones(values.count)
        if self.settings.resample:
            weights = numpy_generator(options.seed, Purpose.FIT).standard_exponential(values.count)
            weights *= values.count / weights.sum()
        candidates = self._candidates(discretiser, discretiser.encode(values), weights)
        return MarginalsModel(discretiser, plain_estimate(candidates).model)

    def _fit_private(
        self, table: TableSource, schema: TableSchema, options: FitOptions, private: PrivateFit
    ) -> MarginalsModel:
        from dge_ray.generators.fitting.neural import private_rows

        rows = private_rows(table, options.stopping, schema)
        histogram = noisy_marginals(schema.modelled, rows.train, rows.count, private)
        discretiser = private_discretiser(schema.modelled, histogram, bins=self.settings.bins)
        candidates = self._candidates(discretiser, discretiser.encode(rows.train), None)
        return MarginalsModel(discretiser, private_estimate(candidates, private).model)

    def _candidates(self, discretiser: Discretiser, tokens: np.ndarray, weights: np.ndarray | None) -> Candidates:
        s = self.settings
        return Candidates.of(tokens, discretiser.sizes, degree=s.degree, cells=s.cells, weights=weights)

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the fit, n and seed.

        Raises:
            InputError: not fitted, or n < 1.
            Unsupported: any `given`.
        """
        schema, model = self._state()
        check_count(n)
        if given is not None:
            raise Unsupported("given", f"{given.num_columns} columns for marginals", "None: it draws whole rows")
        rng = numpy_generator(seed, Purpose.SHARD)
        tokens = model.law.draw(n, rng)
        return TableCodec(schema).decode(model.discretiser.decode(tokens, rng), seed=seed)

    def log_prob(self, table: pa.Table) -> np.ndarray:
        """log p(row) in nats, (n,) float64: exact, and -inf outside the support; as the autoregressor's.

        Raises:
            InputError: not fitted, or a modelled column is absent.
        """
        schema, model = self._state()
        return row_log_prob(table, schema, model.discretiser, model.law.log_prob)

    def _files(self, model: MarginalsModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, tokens = model.discretiser.state()
        tree = model.law.tree
        arrays["weights"] = np.concatenate([table.ravel() for table in model.law.tables])
        return arrays, {"tokens": tokens, "bags": [list(bag) for bag in tree.bags], "parent": list(tree.parent)}

    def _restored(self, saved: Checkpoint, device: str) -> MarginalsModel:
        discretiser = Discretiser.from_state(saved.arrays, saved.extra["tokens"])
        sizes = tuple(discretiser.sizes)
        bags = tuple(tuple(bag) for bag in saved.extra["bags"])
        shapes = [tuple(sizes[v] for v in bag) for bag in bags]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        parts = np.split(saved.arrays["weights"], ends[:-1])
        tables = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return MarginalsModel(discretiser, Model(JunctionTree(sizes, bags, tuple(saved.extra["parent"])), tables))
