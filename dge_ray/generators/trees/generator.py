"""Sequential histogram trees: each column from trees on the columns before it, the target last.

A row follows one tree a column, drawn at random, and takes a value of its leaf's law (leaves.py). Trees see predictors
as ranks in at most 256 bins, and split on the whole law of the column (splitter.py).
"""

from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import check_count, training_columns
from dge_ray.generators.encoding.tokens import Discretiser
from dge_ray.generators.fitting.base import BaseGenerator, FitOptions
from dge_ray.generators.rows.conditions import encode_given, with_given
from dge_ray.generators.rows.likelihood import row_log_prob
from dge_ray.generators.trees.conditional import complete
from dge_ray.generators.trees.files import stages_from, stages_state
from dge_ray.generators.trees.model import MOST_ROWS, UNKNOWN, TreesModel, fit_stages
from dge_ray.generators.trees.settings import TreesSettings
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table.codec import TableCodec
from dge_ray.table.lazy import TableSource
from dge_ray.table.schema.table_schema import TableSchema

FOREST, SUBSAMPLE = 0, 1  # the streams of a fit: indices at Purpose.FIT
TOKENS, PLACES = 0, 1  # the streams of a sample: indices at Purpose.SHARD


class Trees(BaseGenerator[TreesSettings, TreesModel]):
    """Sequential trees. Settings: `TreesSettings`. Members differ by the rows that their trees are grown on."""

    name = "trees"
    abilities = TreesSettings.abilities
    no_warm_start = "its trees are grown anew"
    keeps_history = False

    def _fit(self, table: TableSource, schema: TableSchema, options: FitOptions) -> TreesModel:
        """Fit on `table`, reading one column at a time; of more than MOST_ROWS rows, on so many at random, but for the
        bins. Of the options, only `seed` has a use here.

        Raises:
            InputError: rows that do not match the schema, text, or a target by boosting where there is none.
        """
        values, s = training_columns(table, schema), self.settings
        if s.target == "boosted" and schema.target is None:
            raise InputError("generator.target", "'boosted', of a table without a target", "'tree'")
        names = [column.name for column in schema.modelled if column.name != schema.target]
        names += [schema.target] if schema.target in schema.names and schema.target in list(values) else []
        tokens = Discretiser.fit([schema[name] for name in names], values, bins=s.bins)
        rows = values
        if values.count > MOST_ROWS:
            chosen = numpy_generator(options.seed, Purpose.FIT, index=SUBSAMPLE).choice(values.count, MOST_ROWS, False)
            rows = values.take(np.sort(chosen))
        rng = numpy_generator(options.seed, Purpose.FIT, index=FOREST)
        columns = list(tokens.columns.values())
        boosted = s.target == "boosted" and names[-1] == schema.target
        encoded = tokens.encode(rows)
        stages = fit_stages(columns, encoded, rng, trees=s.trees, leaf=s.leaf, boosted=boosted)
        return TreesModel(tokens, stages).settled(encoded.shape[1], rng)

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the fit, n, seed and `given`.

        `given`: any columns of `n` rows. They come back as they are, and the others are drawn given them: directly
        where the given ones are the first of the tree's order, else by weighing (conditional.py). A measured value
        counts as the cell that was fitted.

        Raises:
            InputError: not fitted, n < 1, or conditions that are not columns of n rows with known values.
        """
        schema, model = self._state()
        check_count(n)
        values = {} if given is None else encode_given(given, n, schema)
        tokens = np.full((len(model.stages), n), UNKNOWN, np.int32)
        for j, (name, column) in enumerate(model.tokens.columns.items()):
            if name in values:
                tokens[j] = column.encode(values[name])
        rng = numpy_generator(seed, Purpose.SHARD, index=TOKENS)
        complete(model, tokens, rng)
        drawn = model.tokens.decode(tokens, numpy_generator(seed, Purpose.SHARD, index=PLACES))
        rows = TableCodec(schema).decode(drawn, seed=seed)
        return rows if given is None else with_given(rows, given, schema)

    def log_prob(self, table: pa.Table) -> np.ndarray:
        """log p(row) in nats, (n,) float64: exact, and -inf outside the support; as the autoregressor's.

        Raises:
            InputError: not fitted, or a modelled column is absent.
        """
        schema, model = self._state()
        return row_log_prob(table, schema, model.tokens, model.log_prob)

    def _files(self, model: TreesModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, tokens = model.tokens.state()
        more, stages = stages_state(model.stages)
        return arrays | more, {"tokens": tokens, "stages": stages}

    def _restored(self, saved: Checkpoint, device: str) -> TreesModel:
        tokens = Discretiser.from_state(saved.arrays, saved.extra["tokens"])
        return TreesModel(tokens, stages_from(tokens, saved.arrays, saved.extra["stages"]))
