"""Columns one after the other, each from trees on those before it: fitting, drawing, likelihoods."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dge_ray.generators.encoding.tokens import ColumnTokens, Discretiser
from dge_ray.generators.trees.axis import Axis, ordered_codes, response_codes
from dge_ray.generators.trees.boosted import MOST_CLASSES, Boosted, fit_boosted
from dge_ray.generators.trees.leaves import Law, fit_law
from dge_ray.generators.trees.rows import Scale
from dge_ray.generators.trees.splitter import Nodes, Response, grow

BLOCK_ROWS = 32_768  # large enough that numpy's calls cost nothing, and small enough that a block stays in the cache
BAGGED = 0.632  # the share of the rows that a tree is grown on: of different ones, a bootstrap sample has as many
MOST_BAGGED = 2**18
MOST_ROWS = 2**20  # rows of a fit; of a larger table each member takes so many at random
MOST_CATEGORIES = 255  # of a predictor without order, in boosting
SETTLED_ROWS = 60_000  # are drawn for the target's shares to be settled, or SETTLED_TIMES the table's rows if fewer
SETTLED_TIMES = 20
UNKNOWN = -1


@dataclass(frozen=True)
class Forest:
    """Trees on the columns before, and the law in their leaves. A row takes one of the trees at random."""

    nodes: Nodes
    law: Law

    def draw(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A symbol (n,) for each row of codes (predictors, n)."""
        uniform = rng.random(codes.shape[1])
        uniform *= self.nodes.trees
        tree = uniform.astype(np.int64)
        uniform -= tree  # which is uniform again
        return self.law.draw(self.nodes.leaves(codes, tree), uniform)

    def probability(self, codes: np.ndarray, symbol: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """p(symbol | codes), (n,): the mean over the trees, or by one each that `rng` draws."""
        if rng is not None:
            tree = rng.integers(self.nodes.trees, size=len(symbol))
            return self.law.probability(self.nodes.leaves(codes, tree), symbol)
        total = np.zeros(len(symbol))
        for tree in range(self.nodes.trees):
            total += self.law.probability(self.nodes.leaves(codes, np.full(len(symbol), tree)), symbol)
        return total / self.nodes.trees


@dataclass(frozen=True)
class Stage:
    """One column. `codes`: of its tokens as a predictor (None: a coded column's). `scale`: its law without the others.
    `given`: its law given the columns before it (None: it is the first); `orders`: for each coded one of these, the
    codes of its tokens there."""

    axis: Axis
    codes: np.ndarray | None
    scale: Scale
    given: Forest | Boosted | None
    orders: Mapping[int, np.ndarray]

    @cached_property
    def by_symbol(self) -> np.ndarray | None:
        """Its codes by symbols in place of tokens."""
        return None if self.codes is None else self.codes[self.axis.token]

    @cached_property
    def looked_at(self) -> list[int]:
        """The coded columns before it on which its law depends."""
        if isinstance(self.given, Forest):
            nodes = self.given.nodes
            split = np.unique(nodes.feature[nodes.child != np.arange(len(nodes.child))])
            return [j for j in self.orders if j in split]
        return list(self.orders)


@dataclass(frozen=True)
class TreesModel:
    """`tokens`: of the columns, in the order in which they are drawn."""

    tokens: Discretiser
    stages: list[Stage]

    def fill(self, tokens: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw, in place, the columns of tokens (c, n) that are UNKNOWN in all rows alike, c <= columns.

        Returns log weights (n,): the probability of the known columns behind the first unknown one, each given all
        before it by one of its trees or models, drawn at random. Over these its mean is that of the law.
        """
        weights = np.zeros(tokens.shape[1])
        unknown = [bool(row[0] == UNKNOWN) for row in tokens]
        first = unknown.index(True) if any(unknown) else len(unknown)
        for start in range(0, tokens.shape[1], BLOCK_ROWS):
            block = tokens[:, start : start + BLOCK_ROWS]
            inputs = _Inputs(self.stages[: len(tokens)], block.shape[1])
            for j, stage in enumerate(self.stages[: len(tokens)]):
                if unknown[j]:
                    symbols = self._draw(stage, inputs, rng)
                    block[j] = stage.axis.token.take(symbols)
                else:
                    symbols = stage.axis.symbol[block[j]]
                if j > first and not unknown[j]:
                    p = self._probability(stage, inputs, symbols, rng)
                    weights[start : start + BLOCK_ROWS] += np.log(p)
                inputs.put(j, symbols)
        return weights

    def log_prob(self, tokens: np.ndarray) -> np.ndarray:
        """log p(tokens) (n,) of tokens (columns, n), none UNKNOWN."""
        out = np.zeros(tokens.shape[1])
        for start in range(0, tokens.shape[1], BLOCK_ROWS):
            block = tokens[:, start : start + BLOCK_ROWS]
            inputs = _Inputs(self.stages, block.shape[1])
            for j, stage in enumerate(self.stages):
                symbols = stage.axis.symbol[block[j]]
                p = self._probability(stage, inputs, symbols)
                out[start : start + BLOCK_ROWS] += np.log(p)
                inputs.put(j, symbols)
        return out

    def settled(self, rows: int, rng: np.random.Generator) -> "TreesModel":
        """The same, with the shares of a boosted target's classes as they are in the table of so many rows, in drawn
        rows too."""
        *features, last = self.stages
        if not isinstance(last.given, Boosted):
            return self
        tokens = np.full((len(features), min(SETTLED_ROWS, SETTLED_TIMES * rows)), UNKNOWN, np.int32)
        self.fill(tokens, rng)
        inputs = _Inputs(self.stages, tokens.shape[1])
        for j, stage in enumerate(features):
            inputs.put(j, stage.axis.symbol[tokens[j]])
        given = last.given.settled(inputs.of(last))
        return replace(self, stages=[*features, replace(last, given=given)])

    def _draw(self, stage: Stage, inputs: "_Inputs", rng: np.random.Generator) -> np.ndarray:
        if stage.given is None:
            return stage.scale.symbol(rng.random(inputs.rows))
        return stage.given.draw(inputs.of(stage), rng)

    def _probability(
        self, stage: Stage, inputs: "_Inputs", symbol: np.ndarray, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """p(symbol | the columns before it), (n,); by one tree or model with `rng`."""
        if stage.given is None:
            return stage.scale.shares[symbol]
        return stage.given.probability(inputs.of(stage), symbol, rng)


class _Inputs:
    """A block's codes as predictors (columns, rows), filled column by column."""

    def __init__(self, stages: list[Stage], rows: int) -> None:
        self.stages, self.rows = stages, rows
        self.codes = np.zeros((len(stages), rows), np.uint8)
        self.symbols: dict[int, np.ndarray] = {}  # of coded columns
        self.known = 0

    def put(self, j: int, symbols: np.ndarray) -> None:
        """Enter the next column, the j-th, by its symbols (rows,)."""
        self.known = j + 1
        table = self.stages[j].by_symbol
        if table is None:
            self.symbols[j] = symbols
        else:
            table.take(symbols, mode="clip", out=self.codes[j])

    def of(self, stage: Stage) -> np.ndarray:
        """Codes (columns before, rows), those categories that the stage looks at as it has them."""
        for j in stage.looked_at:
            stage.orders[j].take(self.symbols[j], mode="clip", out=self.codes[j])
        return self.codes[: self.known]


def fit_stages(
    columns: list[ColumnTokens], tokens: np.ndarray, rng: np.random.Generator, *, trees: int, leaf: int, boosted: bool
) -> list[Stage]:
    """A stage a column, from tokens (columns, n) in the order of drawing. `boosted`: the last one by boosting."""
    codes = np.zeros(tokens.shape, np.uint8)
    stages: list[Stage] = []
    for j, column in enumerate(columns):
        axis, own = Axis.of(column), tokens[j].astype(np.int64)
        symbols = axis.symbol[own]
        table = ordered_codes(column, axis, np.bincount(own, minlength=column.size))
        response = Response(axis.rank[own], column.size, ordered=table is not None)
        scale, given, orders = Scale.of(symbols, axis), None, {}
        if j:
            orders = {
                i: response_codes(tokens[i].astype(np.int64), columns[i].size, response)
                for i in range(j)
                if stages[i].codes is None
            }
            last = boosted and j == len(columns) - 1
            given = _boosted(columns, tokens, codes, orders, response, symbols, scale, rng) if last else None
            given = given or _forest(codes[:j], tokens, orders, response, symbols, scale, rng, trees=trees, leaf=leaf)
        stages.append(Stage(axis, table, scale, given, orders))
        if table is not None:
            codes[j] = table[tokens[j]]
    return stages


def _forest(
    codes: np.ndarray,
    tokens: np.ndarray,
    orders: Mapping[int, np.ndarray],
    response: Response,
    symbols: np.ndarray,
    scale: Scale,
    rng: np.random.Generator,
    *,
    trees: int,
    leaf: int,
) -> Forest:
    for i, order in orders.items():
        codes[i] = order[tokens[i]]
    n = len(symbols)
    count = min(MOST_BAGGED, max(2, round(BAGGED * n)))
    bags = [np.sort(rng.permutation(n)[:count]) for _ in range(trees)]
    # More rows look at more splits, and can do without those that may be chance (as in Schwarz's criterion).
    nodes = grow(codes, response, bags, leaf=leaf, least_gain=float(np.log(count)) / 2)
    return Forest(nodes, fit_law(nodes, codes, symbols, scale, bags, leaf=leaf))


def _boosted(
    columns: list[ColumnTokens],
    tokens: np.ndarray,
    codes: np.ndarray,
    orders: dict[int, np.ndarray],
    response: Response,
    symbols: np.ndarray,
    scale: Scale,
    rng: np.random.Generator,
) -> Boosted | None:
    """The target by boosting, which is told which predictors are categories: these keep their codes where they can."""
    if not response.ordered and response.levels > MOST_CLASSES:
        return None
    categories = [i for i in orders if columns[i].size < MOST_CATEGORIES]
    boosting = orders | {i: np.arange(columns[i].size, dtype=np.uint8) for i in categories}
    for i, order in boosting.items():
        codes[i] = order[tokens[i]]
    rank = response.rank if response.ordered else None
    fitted = fit_boosted(codes[: len(columns) - 1], symbols, rank, scale, categories, rng)
    if fitted is not None:
        orders.update(boosting)
    return fitted
