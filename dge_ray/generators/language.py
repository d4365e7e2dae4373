"""The language generator: a text column by a small language model, given the other columns, which have a model too.

The other columns (the label, and what else the table has) are drawn first, by the autoregressive generator; then the
text, word by word, given them. All of it is plain torch and is trained from nothing on the training rows: for weights
that were trained elsewhere there is `causal_lm`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from dge_ray.generators.autoregressive import Autoregressive
from dge_ray.generators.base import Unsupported
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import check_count, text_column
from dge_ray.generators.conditions import encode_given, with_given
from dge_ray.generators.language_network import LanguageNetwork, Shape
from dge_ray.generators.language_training import WEIGHTS, LanguageFit
from dge_ray.generators.neural import Neural, Rows, Start, sample_stream, stream
from dge_ray.generators.rounds import Plan, run_rounds
from dge_ray.generators.settings import LanguageSettings
from dge_ray.generators.training import epochs_for
from dge_ray.generators.words import PAD, Words
from dge_ray.seeds import Purpose, integer
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.schema import Kind, TableSchema

WORDS, OTHERS = 0, 1  # the streams of a sample, its words' and the seed of the other columns': at Purpose.SHARD
REST_SEED = 1_000  # the seed of the other columns' fit: index at Purpose.FIT
MOST_OWN = 64  # categories of a target that have logits of their own for every word
LEAST_EPOCHS, LEAST_STEPS = 4, 600  # of a fit, where no epochs are set


@dataclass(frozen=True)
class LanguageModel:
    """`rest` models the columns of `others`, those that are no text; None where there are none."""

    others: TableSchema
    rest: Autoregressive | None
    words: Words
    network: LanguageNetwork

    def conditions(self, columns: Columns, n: int) -> torch.Tensor:
        """Tokens (c, n) int64 of the other columns; the one with logits of its own first."""
        return _conditions(self.rest, self.others, columns, n).to(self.network.device)


class Language(Neural[LanguageSettings, LanguageModel]):
    """A word-level language model of one text column. Settings: `LanguageSettings`."""

    name = "language"
    architecture = ("tokens", "hidden", "embedding")
    of_text = True

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the weights, n, seed and `given`.

        `given`: any columns of `n` rows but the text. They come back as they are, and the others are drawn from their
        law given them.

        Raises:
            InputError: not fitted, n < 1, or conditions that are not columns of n rows with known values.
            Unsupported: the text is among the conditions.
        """
        schema, model = self._state()
        check_count(n)
        text = text_column(schema).name
        known: list[str] = []
        if given is not None:
            if text in given.column_names:
                raise Unsupported("given", f"the text column '{text}'", "the other columns")
            known = list(encode_given(given, n, schema))
        columns: Columns = {}
        if model.rest is not None:
            part = None if given is None or not known else given.select(known)
            address = integer(seed, Purpose.SHARD, index=OTHERS)
            columns = TableCodec(model.others).encode(model.rest.sample(n, seed=address, given=part))
        random = sample_stream(seed, WORDS, model.network.device)
        tokens = model.network.draw(model.conditions(columns, n), random)
        columns[text] = model.words.decode(tokens.cpu().numpy())
        rows = TableCodec(schema).decode(columns, seed=seed)
        return rows if given is None else with_given(rows, given)

    def log_prob(self, table: pa.Table) -> np.ndarray:
        """log p(row) in nats, (n,) float64: of the other columns as the autoregressive generator has it, and of the
        text as far as it is modelled: its first `tokens` words and signs in lower case, words that are not kept being
        one unknown word.

        Raises:
            InputError: not fitted, or a modelled column is absent.
        """
        schema, model = self._state()
        columns = TableCodec(schema).encode(table)
        tokens = torch.from_numpy(model.words.encode(columns[text_column(schema).name])).to(model.network.device)
        others = np.zeros(table.num_rows) if model.rest is None else model.rest.log_prob(table)
        conditions = model.conditions(columns, table.num_rows)
        known = (conditions >= 0).all(0)
        log_p = torch.full((table.num_rows,), -torch.inf, dtype=torch.float64, device=known.device)
        log_p[known] = model.network.log_prob(tokens[known], conditions[:, known])
        return others + log_p.cpu().numpy()

    def _start(
        self, schema: TableSchema, rows: Rows, *, seed: int, device: str, source: Checkpoint | None
    ) -> Start[LanguageModel]:
        s, text = self.settings, text_column(schema)
        others = _others(schema)
        if source is None:
            rest = _fitted_rest(others, rows, s.epochs, seed=seed, device=device)
            words = Words.fit(rows.seen[text.name], size=s.vocabulary, rows=s.rows_per_word, most=s.tokens)
        else:
            rest, words = _saved_rest(source, others, device), _saved_words(source, s)
        network = _network(others, rest, words, s, missing=text.missing, device=device)
        model = LanguageModel(others, rest, words, network)
        train, heldout = (_encoded(model, text.name, part) for part in (rows.train, rows.heldout))
        epochs = s.epochs or epochs_for(rows.count, s.batch_size, least_epochs=LEAST_EPOCHS, least_steps=LEAST_STEPS)

        def begin(rate: float) -> LanguageFit:
            network.initialise(stream(seed, WEIGHTS), _shares(train, network.shape))
            if source is not None:
                network.flat.flat.copy_(torch.from_numpy(source.arrays["weights"]))
            return LanguageFit(
                network,
                train,
                heldout if len(heldout[0]) else None,
                batch_size=s.batch_size,
                lr=s.lr * rate,
                dropout=s.dropout,
                weight_decay=s.weight_decay,
                seed=seed,
            )

        return Start(model, begin, Plan(epochs, s.patience or max(2, round(epochs / 4)), s.budget_seconds))

    def _files(self, model: LanguageModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays = {"weights": model.network.flat.flat.cpu().numpy()}
        extra: dict[str, Any] = {"words": list(model.words.kept), "rest": None}
        if model.rest is not None:
            theirs, extra["rest"] = model.rest._files(model.rest._state()[1])
            arrays |= {f"rest.{name}": value for name, value in theirs.items()}
        return arrays, extra

    def _restored(self, saved: Checkpoint, device: str) -> LanguageModel:
        others = _others(saved.schema)
        rest, words = _saved_rest(saved, others, device), _saved_words(saved, self.settings)
        missing = text_column(saved.schema).missing
        network = _network(others, rest, words, self.settings, missing=missing, device=device)
        network.flat.flat.copy_(torch.from_numpy(saved.arrays["weights"]))
        return LanguageModel(others, rest, words, network)


def _others(schema: TableSchema) -> TableSchema:
    """The columns that are modelled and no text."""
    columns = tuple(column for column in schema.modelled if column.kind is not Kind.TEXT)
    return TableSchema(columns, schema.target, schema.task)


def _fitted_rest(
    others: TableSchema, rows: Rows, epochs: int | None, *, seed: int, device: str
) -> Autoregressive | None:
    if not others.columns:
        return None
    rest = Autoregressive(epochs=epochs)
    start = rest._start(others, rows, seed=integer(seed, Purpose.FIT, index=REST_SEED), device=device, source=None)
    rest.history = run_rounds(start.begin, start.plan, identity="")
    rest._fitted = others, start.model
    return rest


def _saved_rest(saved: Checkpoint, others: TableSchema, device: str) -> Autoregressive | None:
    if not others.columns:
        return None
    arrays = {n.removeprefix("rest."): value for n, value in saved.arrays.items() if n.startswith("rest.")}
    rest = Autoregressive()
    theirs = Checkpoint(rest.name, others, rest._plain_settings(), arrays, saved.extra["rest"])
    rest._fitted = others, rest._restored(theirs, device)
    return rest


def _saved_words(saved: Checkpoint, settings: LanguageSettings) -> Words:
    return Words(tuple(saved.extra["words"]), settings.tokens)


def _sizes(rest: Autoregressive | None, others: TableSchema) -> list[int]:
    """The other columns' tokens, in the order of `_conditions`."""
    sizes = [] if rest is None else rest._state()[1].discretiser.sizes
    order = _order(others)
    return [sizes[j] for j in order]


def _order(others: TableSchema) -> list[int]:
    """The other columns' places, the target's first."""
    return sorted(range(len(others.columns)), key=lambda j: others.columns[j].name != others.target)


def _conditions(rest: Autoregressive | None, others: TableSchema, columns: Columns, n: int) -> torch.Tensor:
    if rest is None:
        return torch.zeros(0, n, dtype=torch.int64)
    tokens = rest._state()[1].discretiser.encode(columns)
    return torch.from_numpy(tokens[_order(others)]).long()


def _network(
    others: TableSchema,
    rest: Autoregressive | None,
    words: Words,
    settings: LanguageSettings,
    *,
    missing: bool,
    device: str,
) -> LanguageNetwork:
    sizes = _sizes(rest, others)
    own = sizes[0] if others.target is not None and sizes[0] <= MOST_OWN else 1
    shape = Shape(words.size, tuple(sizes), own, settings.hidden, settings.embedding, settings.tokens)
    return LanguageNetwork(shape, missing=missing, device=device)


def _encoded(model: LanguageModel, text: str, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.from_numpy(model.words.encode(rows[text])).to(model.network.device)
    return tokens, model.conditions(rows, rows.count)


def _shares(rows: tuple[torch.Tensor, torch.Tensor], shape: Shape) -> np.ndarray:
    """Each word's share of an own category's words (own, words).

    A word's odds between categories are as if it had been seen once more, in proportion: so a word that is rare says
    little of the category, and words keep their shares over all.
    """
    tokens, conditions = (part.cpu().numpy() for part in rows)
    codes = conditions[0] if shape.own > 1 else np.zeros(len(tokens), dtype=np.int64)
    present = tokens != PAD
    counts = np.zeros((shape.own, shape.words))
    np.add.at(counts, (np.repeat(codes, present.sum(1)), tokens[present]), 1.0)
    total = counts.sum(0)
    category = (counts.sum(1) + 1.0) / (counts.sum() + shape.own)
    by_word = (counts + category[:, None]) / (total + 1.0)
    shares = (total + 0.1) / (total + 0.1).sum() * by_word / category[:, None]
    return shares / shares.sum(1, keepdims=True)
