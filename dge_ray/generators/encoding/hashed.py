"""Coded columns of very many categories, such as text keys: the frequent ones as tokens, the others in hashed buckets.

A network cannot learn a weight for each of ten thousand categories from a handful of rows each, nor afford to. So the
most frequent categories keep a token of their own, and the tail shares buckets, which a category falls into by the
hash of its text: the same in every table. Within a bucket categories have the shares of the training rows, whatever the
other columns say.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from dge_ray.generators.encoding.codes import Codes

MOST_CODES = 512  # categories that all have tokens of their own; of more, ...
FREQUENT = 384  # ... so many do,
BUCKETS = 128  # and the others share so many
PRIOR_ROWS = 0.1  # so that no category is impossible


@dataclass(frozen=True)
class Hashed(Codes):
    """The tokens of a coded column: frequent categories, buckets that hold some category, and missing.

    `token` (levels,): each category's token; `share` (levels,): p(category | its token).
    """

    token: np.ndarray
    share: np.ndarray
    placed = True

    @classmethod
    def fit(cls, categories: Sequence[Any], missing: bool, codes: np.ndarray) -> Self:
        """From a column's categories, and the codes (n,) of its training rows."""
        counts = np.bincount(codes[codes >= 0], minlength=len(categories)) + PRIOR_ROWS
        token = FREQUENT + np.array([_bucket(value) for value in categories])
        token[np.argsort(-counts, kind="stable")[:FREQUENT]] = np.arange(FREQUENT)
        return cls._dense(token, missing, counts)[0]

    def for_table(
        self, known: Sequence[Any], categories: Sequence[Any], missing: bool, codes: np.ndarray
    ) -> tuple["Hashed", np.ndarray]:
        """The tokens of another table's column, and which of these tokens each one was, (size,) without missing.

        `known` (levels,): the categories here; `categories` and `codes` (n,): there. A category that was unknown falls
        into the bucket of its hash, or into any where that one held nothing.
        """
        own = dict(zip(known, self.token.tolist(), strict=True))
        buckets = {_bucket(value): token for value, token in own.items() if token >= FREQUENT}
        held = sorted(set(buckets.values()))

        def token_of(value: Any) -> int:
            at = _bucket(value)
            return own.get(value, buckets.get(at, held[at % len(held)]))

        counts = np.bincount(codes[codes >= 0], minlength=len(categories)) + PRIOR_ROWS
        return self._dense(np.array([token_of(value) for value in categories]), missing, counts)

    @classmethod
    def _dense(cls, token: np.ndarray, missing: bool, counts: np.ndarray) -> tuple[Self, np.ndarray]:
        """Only tokens that hold a category, and which number each one had."""
        origin, token = np.unique(token, return_inverse=True)
        share = counts / np.bincount(token, counts)[token]
        return cls(len(token), missing, token.astype(np.int32), share), origin

    @property
    def size(self) -> int:
        return int(self.token.max()) + 1 + self.missing

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Tokens (n,) int32 of codes (n,); -1 where the column cannot hold the value."""
        return np.where(values < 0, self.size - 1 if self.missing else -1, self.token[values]).astype(np.int32)

    def decode(self, tokens: np.ndarray, place: np.ndarray | None = None) -> np.ndarray:
        """Codes (n,) int32 of tokens (n,) and places (n,) in [0, 1), where among the token's categories the code is."""
        if place is None:
            raise ValueError("hashed tokens need places")
        order, ends = self._intervals
        at = np.minimum(np.searchsorted(ends, tokens + place, side="right"), self.levels - 1)
        codes = order[at].astype(np.int32)
        return np.where(tokens == self.size - 1, np.int32(-1), codes) if self.missing else codes

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """log p(code | its token), (n,); -inf where the column cannot hold the value."""
        inside = np.where(values < 0, 0.0, np.log(self.share)[values])
        return np.where(self.encode(values) < 0, -np.inf, inside)

    @cached_property
    def _intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """The codes by token (levels,), and the ends of their intervals, those of token t within [t, t + 1]."""
        order = np.argsort(self.token, kind="stable")
        ends = np.cumsum(self.share[order])
        last = np.flatnonzero(np.diff(self.token[order], append=-1))
        ends[last] = self.token[order][last] + 1.0  # sums of shares round
        return order, ends


def _bucket(value: Any) -> int:
    digest = hashlib.blake2b(str(value).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % BUCKETS
