"""A column's tokens as the trees see them: in the order of their values, as symbols of a law, and as coarse codes."""

from dataclasses import dataclass

import numpy as np

from dge_ray.generators.encoding.codes import Codes
from dge_ray.generators.encoding.ranks import by_value
from dge_ray.generators.encoding.tokens import Bins, ColumnTokens
from dge_ray.generators.trees.splitter import Response

MOST_CODES = 256  # codes of a predictor: they are uint8


@dataclass(frozen=True)
class Axis:
    """How the tokens of a column lie.

    `rank` (size,): a token's place in the order of the values, missing lowest; categories by code. `symbol` (size,): a
    token's symbol: the first `smooth` symbols are bins in order, which others may be drawn between; the others are
    single values, missing and categories. `token` (symbols,): the way back.
    """

    rank: np.ndarray
    symbol: np.ndarray
    token: np.ndarray
    smooth: int

    @property
    def size(self) -> int:
        """How many symbols there are."""
        return len(self.token)

    @classmethod
    def of(cls, column: ColumnTokens) -> "Axis":
        tokens = np.arange(column.size)
        if isinstance(column, Codes):
            return cls(tokens, tokens, tokens, 0)
        order = by_value(column)
        rank = np.empty(column.size, np.int64)
        rank[order] = tokens
        ordered = order[:0]
        if isinstance(column, Bins):  # values of which each has many rows are as good as categories
            ordered = order[(order >= len(column.atoms)) & ~np.isnan(column.centres()[order])]
        token = np.concatenate([ordered, np.setdiff1d(tokens, ordered)])
        symbol = np.empty(column.size, np.int64)
        symbol[token] = tokens
        return cls(rank, symbol, token, len(ordered))


def coarse_codes(order: np.ndarray, counts: np.ndarray, first_alone: bool = False) -> np.ndarray:
    """A code (size,) uint8 for each token, rising along `order` (size,); neighbours share one where there are too many.

    `first_alone`: the first token of the order shares its code with no other.
    """
    place = np.empty(len(order), np.int64)
    if len(order) <= MOST_CODES:
        place[order] = np.arange(len(order))
        return place.astype(np.uint8)
    mass = np.cumsum(counts[order]) - counts[order] / 2
    group = np.minimum(mass / max(counts.sum(), 1e-300) * (MOST_CODES - 1), MOST_CODES - 2).astype(np.int64) + 1
    if first_alone:
        group[0] = 0
    _, group = np.unique(group, return_inverse=True)
    place[order] = group
    return place.astype(np.uint8)


def ordered_codes(column: ColumnTokens, axis: Axis, counts: np.ndarray) -> np.ndarray | None:
    """A measured column's codes as a predictor (size,); None for categories, whose order each response decides."""
    if isinstance(column, Codes):
        return None
    order = np.argsort(axis.rank)
    return coarse_codes(order, counts, first_alone=bool(np.isnan(column.centres()[order[0]])))


def response_codes(tokens: np.ndarray, size: int, response: Response) -> np.ndarray:
    """A coded predictor's codes (size,) in the order of a response, from tokens (n,).

    By the mean rank of an ordered response, and else by the first principal direction of the categories' shares of its
    levels; rare categories are drawn to the middle.
    """
    rank, levels = response.rank, response.levels
    counts = np.bincount(tokens, minlength=size).astype(float)
    if response.ordered:
        middle = np.cumsum(np.bincount(rank, minlength=levels)) / len(rank)
        total = np.bincount(tokens, middle[rank], minlength=size)
        lead = (total + middle[rank].mean()) / (counts + 1)
    else:
        table = np.bincount(tokens * levels + rank, minlength=size * levels).reshape(size, levels)
        overall = table.sum(0) / len(rank)
        shares = (table + overall) / (counts[:, None] + 1) - overall
        weighed = shares * np.sqrt(counts)[:, None]
        _, vectors = np.linalg.eigh(weighed.T @ weighed)
        lead = shares @ vectors[:, -1]
    return coarse_codes(np.argsort(lead, kind="stable"), counts)
