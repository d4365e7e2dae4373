"""Rows given any of their columns: proposals in the trees' order, weighed by what they must meet.

Given columns before the first unknown one need nothing. Where one comes after an unknown column, proposals are drawn
with the given columns held, and weighed by the probability of those columns given what was drawn before them.

Where many rows are given the same (a class, to balance), proposals are accepted with the chance of their weight over
the largest that has come up (empirical supremum rejection: Caffo, Booth, Davis 2002): rows are independent, and exact
once that weight has come up. Other rows keep one of their own proposals each, with the chance of its weight (sampling
importance resampling: Rubin 1987): its law nears the conditional law as 1 / S, where S, the sum of the weights over the
largest, is the effective number of proposals. How many a row needs is judged from proposals of its own: to stop where
weights happen to look good would favour the states that look so.
"""

import logging

import numpy as np

from dge_ray.generators.trees.model import UNKNOWN, TreesModel

logger = logging.getLogger(__name__)

PILOT = 64  # proposals a row from which their number is judged
ALIKE = 64  # rows that are given the same, from which they share proposals
ENOUGH = 50.0  # the S that is aimed at
TOO_FEW = 5.0  # the S under which a row is told to be unsettled
MOST = 4_096  # proposals a row
AT_ONCE = 1 << 16


def complete(model: TreesModel, tokens: np.ndarray, rng: np.random.Generator) -> None:
    """Draw, in place, the columns of tokens (columns, n) that are UNKNOWN (in all rows alike) given the others."""
    unknown = [bool(row[0] == UNKNOWN) for row in tokens]
    known = [j for j, is_unknown in enumerate(unknown) if not is_unknown]
    last = known[-1] + 1 if known else 0
    if any(unknown[:last]):
        rows = tokens[:last]
        distinct, which, sizes = np.unique(rows, axis=1, return_inverse=True, return_counts=True)
        which, alone, unsettled = which.ravel(), np.ones(rows.shape[1], bool), 0
        for group in np.flatnonzero(sizes >= ALIKE):
            here = np.flatnonzero(which == group)
            rows[:, here], enough = _accepted(model, distinct[:, group : group + 1], len(here), rng)
            alone[here] = False
            unsettled += 0 if enough else len(here)
        counts = _counts(model, distinct[:, sizes < ALIKE], rng)
        each = np.zeros(len(sizes), np.int64)
        each[sizes < ALIKE] = counts
        counts = np.where(alone, each[which], 0)
        for count in np.unique(counts[alone]):
            for part in np.array_split(np.flatnonzero(counts == count), -(-len(counts) * int(count) // AT_ONCE)):
                if len(part):
                    rows[:, part], effective = _chosen(model, rows[:, part], int(count), rng)
                    unsettled += int((effective < TOO_FEW).sum())
        if unsettled:
            logger.warning(
                "%d of %d rows: the given columns are so rare together that %d proposals a row may not do",
                unsettled,
                tokens.shape[1],
                MOST,
            )
    model.fill(tokens, rng)


def _accepted(model: TreesModel, condition: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """`n` rows (c, n) that meet one condition (c, 1), and whether MOST proposals a row were enough for it."""
    kept = np.empty((len(condition), 0), condition.dtype)
    weights, chance, drawn = np.empty(0), np.empty(0), 0
    largest = -np.inf
    while kept.shape[1] < n and drawn < MOST * n:
        rate = max(kept.shape[1], 1) / max(drawn, PILOT)
        count = int(min(max(1.2 * (n - kept.shape[1]) / rate, PILOT), AT_ONCE))
        proposed = np.repeat(condition, count, axis=1)
        new = model.fill(proposed, rng)
        drawn, largest = drawn + count, max(largest, float(new.max()))
        weights, chance = np.append(weights, new), np.append(chance, np.log1p(-rng.random(count)))
        good = chance + largest <= weights  # of those kept so far too: the largest weight may have grown
        kept = np.concatenate([kept, proposed], axis=1)[:, good]
        weights, chance = weights[good], chance[good]
    enough = kept.shape[1] >= n
    return kept[:, np.arange(n) if enough else rng.integers(kept.shape[1], size=n)], enough


def _counts(model: TreesModel, distinct: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How many proposals (n,) each of distinct conditions (c, n) takes, a power of two."""
    size = max(1, AT_ONCE // PILOT)
    pilots = [_chosen(model, distinct[:, at : at + size], PILOT, rng)[1] for at in range(0, distinct.shape[1], size)]
    needed = PILOT * ENOUGH / np.concatenate([*pilots, np.empty(0)])
    return np.clip(2 ** np.ceil(np.log2(needed)), PILOT, MOST).astype(np.int64)


def _chosen(model: TreesModel, rows: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One of `count` proposals for each of rows (c, n), and their effective numbers (n,)."""
    n = rows.shape[1]
    proposed = np.repeat(rows, count, axis=1)
    weights = model.fill(proposed, rng).reshape(n, count)
    weights = np.exp(weights - weights.max(1, keepdims=True))
    ends = weights.cumsum(1)
    chosen = (ends <= (rng.random(n) * ends[:, -1])[:, None]).sum(1)
    kept = proposed.reshape(len(rows), n, count)[:, np.arange(n), np.minimum(chosen, count - 1)]
    return kept, ends[:, -1]
