"""Texts as sequences of words and signs, and back: lower case, the commonest words, the rest one unknown word.

A word that few rows have is not kept: it says little of the law and much of its row. What comes back is the text with
its case and its spacing gone, its end cut off where it is long, and no unknown word.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dge_ray.table.text import joined, pieces

END, UNKNOWN, MISSING = 0, 1, 2  # the first tokens: a text's end, a word that is not kept, the text of a null
SPECIAL = 3
PAD = -1  # behind a text's tokens


@dataclass(frozen=True)
class Words:
    """The words that are kept, the commonest first: token SPECIAL + i is `kept[i]`; `most`: tokens of a text."""

    kept: tuple[str, ...]
    most: int

    @classmethod
    def fit(cls, texts: Iterable[str | None], *, size: int, rows: int, most: int) -> "Words":
        """Of training texts: words of at least `rows` of them, at most `size`; ties by the alphabet."""
        occurs: Counter[str] = Counter()
        holds: Counter[str] = Counter()
        for text in texts:
            words = pieces(text)[:most] if text is not None else []
            occurs.update(words)
            holds.update(set(words))
        enough = sorted((word for word, count in holds.items() if count >= rows), key=lambda w: (-occurs[w], w))
        return cls(tuple(enough[:size]), most)

    @property
    def size(self) -> int:
        """Tokens, the special ones included."""
        return SPECIAL + len(self.kept)

    def encode(self, texts: Sequence[str | None]) -> np.ndarray:
        """Tokens (n, `most`) int32: those of a text, END if it was not cut off, PAD.

        A null is MISSING alone.
        """
        places = {word: SPECIAL + i for i, word in enumerate(self.kept)}
        tokens = np.full((len(texts), self.most), PAD, dtype=np.int32)
        for row, text in zip(tokens, texts, strict=True):
            if text is None:
                row[0] = MISSING
                continue
            codes = [places.get(word, UNKNOWN) for word in pieces(text)[: self.most]]
            row[: len(codes)] = codes
            if len(codes) < self.most:
                row[len(codes)] = END
        return tokens

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Texts (n,), objects, of tokens (n, `most`)."""
        texts = np.empty(len(tokens), dtype=object)
        for i, row in enumerate(tokens.tolist()):
            texts[i] = None if row[0] == MISSING else joined(self.kept[t - SPECIAL] for t in row if t >= SPECIAL)
        return texts
