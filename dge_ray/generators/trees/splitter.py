"""Histogram trees of a response's whole law, grown level by level over all nodes, and all trees, at once.

A node's rows are grouped by the response: into parts between its own quantiles where the response has an order, else
by its most frequent categories. A split's gain is the fall of the rows' squared distance from their node's distribution
function (of their indicators, where there is no order: the Gini index): it sees a change of spread or shape as well as
one of the mean. Rows stay in order of the response within their node, so that quantiles are looked up, not sorted for.

A level costs one pass over the rows a predictor. Predictors are cut, within a node's own range, into the fewer bins the
smaller nodes are, so that the cells stay fewer than the rows.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Mean rows of a node from which so many bins and groups are looked at.
_RESOLUTION = ((4096, 128, 16), (512, 64, 8), (128, 32, 4), (48, 16, 4), (0, 8, 4))
DEEPEST = 64
MOST_PREDICTORS = 64  # a column is split on those of the others that tell most of it at the root


@dataclass(frozen=True)
class Response:
    """What is split for: `rank` (n,) of `levels`, in the order of the values where they are `ordered`."""

    rank: np.ndarray
    levels: int
    ordered: bool


@dataclass(frozen=True)
class Nodes:
    """Trees as arrays (nodes,), the roots first. A row goes on to `child`, or to the node after it where its code of
    predictor `feature` is above `threshold`. A leaf is its own child. `depth`: roots have 0."""

    feature: np.ndarray
    threshold: np.ndarray
    child: np.ndarray
    depth: np.ndarray
    trees: int

    @cached_property
    def _steps(self) -> np.ndarray:
        """A node's step (nodes,) int64: its feature, its child, and the code above which a row goes to the node after
        that, as 255 - threshold in the lowest byte: adding a row's code carries into the child where it is above."""
        return (self.feature << 40) + (self.child << 8) + (255 - self.threshold.astype(np.int64))

    def leaves(self, codes: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The leaf (n,) of each row, from contiguous codes (predictors, n) uint8 and the roots (n,) that they take."""
        n = codes.shape[1]
        flat, at, out = codes.reshape(-1), np.arange(n), np.empty(n, np.int64)
        node, cell, code = start, np.empty(n, np.int64), np.empty(n, np.uint8)
        for level in range(int(self.depth.max(initial=0))):
            step = self._steps.take(node, mode="clip")  # without the check of indices, which costs as much again
            if level % 2:  # rows that have arrived are left out from time to time
                going = (step & 255) != 0
                if 4 * np.count_nonzero(going) < 3 * len(going):
                    out[at] = node
                    at, step = at[going], step[going]
                    if not len(at):
                        return out
                    cell, code = cell[: len(at)], code[: len(at)]
            np.right_shift(step, 40, out=cell)
            cell *= n
            cell += at
            flat.take(cell, mode="clip", out=code)
            step += code
            step >>= 8
            step &= 0xFFFFFFFF
            node = step
        out[at] = node
        return out


def grow(codes: np.ndarray, response: Response, bags: list[np.ndarray], *, leaf: int, least_gain: float) -> Nodes:
    """A tree for each bag of rows, on codes (predictors, n) uint8. `leaf`: the fewest rows of a leaf. `least_gain`: of
    a split, over the rows' mean squared distance from their node's distribution function; chance has about 1."""
    n = codes.shape[1]
    by_response = np.argsort(response.rank, kind="stable")
    place = np.empty(n, np.int64)
    place[by_response] = np.arange(n)
    rows = np.concatenate([by_response[np.sort(place[bag])] for bag in bags])
    sizes = np.array([len(bag) for bag in bags])
    feature, threshold = [np.zeros(len(bags), np.int64)], [np.full(len(bags), 255, np.uint8)]
    child, depth = [np.arange(len(bags))], [np.zeros(len(bags), np.int64)]
    known = len(bags)
    nodes = np.arange(len(bags))  # the nodes that may be split; `rows` are theirs, one node after the other
    predictors = np.arange(len(codes))
    for level in range(1, DEEPEST):
        keep = sizes >= 2 * leaf
        rows, nodes, sizes = rows[np.repeat(keep, sizes)], nodes[keep], sizes[keep]
        if not len(nodes):
            break
        search = _Level(codes, response, rows, sizes, leaf)
        gains = np.array([search.try_predictor(int(f)) for f in predictors])
        if level == 1 and len(predictors) > MOST_PREDICTORS:
            predictors = np.sort(predictors[np.argsort(-gains, kind="stable")[:MOST_PREDICTORS]])
        split = search.gain > least_gain * search.spread
        of_split = np.repeat(split, sizes)
        rows, sizes, nodes = rows[of_split], sizes[split], nodes[split]
        if not len(nodes):
            break
        chosen, cut = search.predictor[split], search.cut[split]
        right = codes.reshape(-1)[np.repeat(chosen * n, sizes) + rows] > np.repeat(cut, sizes)
        rows, sizes = _parted(rows, sizes, right)
        children = known + np.arange(len(sizes))
        _set(feature, nodes, chosen)
        _set(threshold, nodes, cut)
        _set(child, nodes, children[::2])
        feature.append(np.zeros(len(sizes), np.int64))
        threshold.append(np.full(len(sizes), 255, np.uint8))
        child.append(children)
        depth.append(np.full(len(sizes), level))
        known += len(sizes)
        nodes = children
    parts = [np.concatenate(part) for part in (feature, threshold, child, depth)]
    return Nodes(*parts, trees=len(bags))


def _set(parts: list[np.ndarray], nodes: np.ndarray, values: np.ndarray) -> None:
    """Values of nodes of the last level, which are numbered after all those before."""
    parts[-1][nodes - sum(map(len, parts[:-1]))] = values


def _parted(rows: np.ndarray, sizes: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows with each node's left ones before its right ones, in their order, and the children's sizes."""
    start = np.cumsum(sizes) - sizes
    rights = np.add.reduceat(right, start, dtype=np.int64)
    lefts = sizes - rights
    running = np.cumsum(right)
    before = np.repeat(running[start] - right[start], sizes)  # right rows of earlier nodes
    among_right = running - before - 1
    along = np.arange(len(rows)) - np.repeat(start, sizes)
    place = np.repeat(start, sizes) + np.where(right, np.repeat(lefts, sizes) + among_right, along - among_right - 1)
    out = np.empty_like(rows)
    out[place] = rows
    return out, np.stack([lefts, rights], 1).ravel()


class _Level:
    """The best split of each of a level's nodes so far: `gain`, `predictor` and `cut` (nodes,); `spread`: the rows'
    mean squared distance from their node's distribution function."""

    def __init__(self, codes: np.ndarray, response: Response, rows: np.ndarray, sizes: np.ndarray, leaf: int) -> None:
        self.codes, self.rows, self.sizes, self.leaf = codes, rows, sizes, leaf
        self.start = np.cumsum(sizes) - sizes
        self.bins, groups = next((b, g) for rows_a_node, b, g in _RESOLUTION if len(rows) >= rows_a_node * len(sizes))
        self.groups = min(groups, response.levels)
        self.ordered = response.ordered or response.levels == 2
        node = np.repeat(np.arange(len(sizes)), sizes)
        group = self._groups(response, node)
        self.key = node * (self.bins * self.groups) + group
        whole = np.bincount(node * self.groups + group, minlength=len(sizes) * self.groups)
        whole = whole.reshape(len(sizes), self.groups)
        self.whole = whole.cumsum(1)[:, :-1].astype(float) if self.ordered else whole.astype(float)
        share = self.whole / sizes[:, None]
        self.spread = (share * (1 - share)).sum(1)
        self.without = (self.whole * share).sum(1)
        self.gain = np.zeros(len(sizes))
        self.predictor = np.zeros(len(sizes), np.int64)
        self.cut = np.full(len(sizes), 255, np.uint8)

    def _groups(self, response: Response, node: np.ndarray) -> np.ndarray:
        rank, count = response.rank[self.rows], self.groups
        if response.levels <= count:
            return rank
        if not response.ordered:  # the node's most frequent categories, and all others
            table = np.bincount(node * response.levels + rank, minlength=len(self.sizes) * response.levels)
            order = np.argsort(-table.reshape(len(self.sizes), response.levels), axis=1, kind="stable")
            group = np.empty_like(order)
            np.put_along_axis(group, order, np.minimum(np.arange(response.levels), count - 1)[None, :], axis=1)
            return group.reshape(-1)[node * response.levels + rank]
        # At or above each quantile; and above the median, for a value that most rows of a node have.
        group = (rank > np.repeat(rank[self.start + self.sizes // 2], self.sizes)).astype(np.int64)
        for part in range(1, count - 1):
            group += rank >= np.repeat(rank[self.start + self.sizes * part // (count - 1)], self.sizes)
        return group

    def try_predictor(self, predictor: int) -> float:
        """Look at a predictor's splits; gives the sum of the nodes' gains."""
        code = self.codes[predictor][self.rows]
        low = np.minimum.reduceat(code, self.start)
        span = np.maximum.reduceat(code, self.start) - low
        if not span.any():
            return 0.0
        shift = np.zeros(len(low), np.uint8)
        for more in range(8):
            shift[(span >> more) >= self.bins] = more + 1
        local = (code - np.repeat(low, self.sizes)) >> np.repeat(shift, self.sizes)
        key = self.key + local.astype(np.int64) * self.groups
        shape = len(low), self.bins, self.groups
        cells = np.bincount(key, minlength=shape[0] * shape[1] * shape[2]).reshape(shape)
        left = np.cumsum(cells, axis=1, dtype=np.float64)[:, :-1]
        rows = left.sum(2)
        if self.ordered:
            left = np.cumsum(left, axis=2)[:, :, :-1]
        right = self.whole[:, None] - left
        others = self.sizes[:, None] - rows
        good = (rows >= self.leaf) & (others >= self.leaf)
        gain = np.einsum("kbg,kbg->kb", left, left) / np.maximum(rows, 1)
        gain += np.einsum("kbg,kbg->kb", right, right) / np.maximum(others, 1)
        gain = np.where(good, gain - self.without[:, None], 0.0)
        at = gain.argmax(1)
        best = gain[np.arange(len(at)), at]
        better = np.flatnonzero(best > self.gain)
        self.gain[better] = best[better]
        self.predictor[better] = predictor
        ends = low.astype(np.int64) + ((at + 1) << shift.astype(np.int64)) - 1
        self.cut[better] = ends[better].astype(np.uint8)
        return float(best.sum())
