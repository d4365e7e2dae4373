"""The language generator: a text column by a small recurrent model of words, given the other columns.

All of it is plain torch and is trained from nothing on the training rows: for weights that were trained elsewhere there
is `causal_lm`.
"""

from typing import Any

import numpy as np
import torch

from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import text_column
from dge_ray.generators.fitting.neural import FitRows, Start, stream
from dge_ray.generators.text.base import Encoded, OfText, Rest, TextModel
from dge_ray.generators.text.language_network import LanguageNetwork, Shape
from dge_ray.generators.text.language_training import WEIGHTS
from dge_ray.generators.text.settings import LanguageSettings
from dge_ray.generators.text.words import PAD, Words
from dge_ray.table.schema.table_schema import TableSchema

MOST_OWN = 64  # categories of a target that have logits of their own for every word


class Language(OfText[LanguageSettings]):
    """A word-level language model of one text column. Settings: `LanguageSettings`."""

    name = "language"
    abilities = LanguageSettings.abilities
    least_epochs = 4
    architecture = ("tokens", "hidden", "embedding")

    def _start(
        self, schema: TableSchema, rows: FitRows, *, seed: int, device: str, source: Checkpoint | None
    ) -> Start[TextModel]:
        s, text = self.settings, text_column(schema).name
        if source is None:
            rest = Rest.fit(schema, rows, s.epochs, seed=seed, device=device)
            words = Words.fit(rows.seen[text], size=s.vocabulary, rows=s.rows_per_word, most=s.tokens)
        else:
            rest, words = Rest.restored(source, device), self._words(source)
        model = self._model(schema, rest, words, device)
        network: LanguageNetwork = model.network

        def first(train: Encoded) -> None:
            network.initialise(stream(seed, WEIGHTS), _shares(train, network.shape))
            if source is not None:
                network.flat.flat.copy_(torch.from_numpy(source.arrays["weights"]))

        return self._training(schema, rows, model, first, seed=seed)

    def _model(self, schema: TableSchema, rest: Rest, words: Words, device: str) -> TextModel:
        s, sizes = self.settings, rest.sizes
        own = sizes[0] if schema.target is not None and sizes[0] <= MOST_OWN else 1
        shape = Shape(words.size, sizes, own, s.hidden, s.embedding, s.tokens)
        network = LanguageNetwork(shape, missing=text_column(schema).missing, device=device)
        return TextModel(rest, words, network)

    def _words(self, saved: Checkpoint) -> Words:
        return Words(tuple(saved.extra["words"]), self.settings.tokens)

    def _files(self, model: TextModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, rest = model.rest.files()
        arrays["weights"] = model.network.flat.flat.cpu().numpy()
        assert isinstance(model.words, Words)
        return arrays, {"words": list(model.words.kept), "rest": rest}

    def _restored(self, saved: Checkpoint, device: str) -> TextModel:
        model = self._model(saved.schema, Rest.restored(saved, device), self._words(saved), device)
        model.network.flat.flat.copy_(torch.from_numpy(saved.arrays["weights"]))
        return model


def _shares(rows: Encoded, shape: Shape) -> np.ndarray:
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
