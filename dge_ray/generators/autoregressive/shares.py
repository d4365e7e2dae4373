"""Shares of a column's tokens, known from another table, brought up to date with few rows of a new one.

The shares are a tree of splits, each into two halves of about the same share, and each split has a beta prior at the
known one: a Polya tree (Lavine 1992). So what the rows say of many tokens together counts more than what they say of
one. How strong the prior is, in rows, is what makes the counts likeliest: tables that are alike change little.
"""

import numpy as np
from scipy.special import betaln

LEAST_SHARE = 1e-12
STRENGTHS = 2.0 ** np.arange(25)  # rows


def updated_shares(known: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Shares (n,) after `counts` (n,) rows of each token, where `known` (n,) were expected.

    Tokens beside each other should be alike: in the order of their values, or of their shares where they have none.
    """
    shares = np.maximum(known, LEAST_SHARE) / np.maximum(known, LEAST_SHARE).sum()
    splits = _halves(shares)
    if not len(splits):
        return shares
    first, middle, end = splits.T
    rows, below = (np.concatenate([[0.0], np.cumsum(values)]) for values in (counts, shares))
    left, right = rows[middle] - rows[first], rows[end] - rows[middle]
    expected = (below[middle] - below[first]) / (below[end] - below[first])
    expected = np.clip(expected, LEAST_SHARE, 1 - LEAST_SHARE)

    def log_evidence(strength: float) -> float:
        a, b = strength * expected, strength * (1 - expected)
        return float((betaln(left + a, right + b) - betaln(a, b)).sum())

    strength = max(STRENGTHS, key=log_evidence)
    posterior = (left + strength * expected) / (left + right + strength)
    updated = np.ones(len(shares))
    for (start, half, stop), share in zip(splits, posterior, strict=True):
        updated[start:half] *= share
        updated[half:stop] *= 1 - share
    return updated


def _halves(shares: np.ndarray) -> np.ndarray:
    """Splits (n - 1, 3) of 0:n into start:half and half:stop, down to single tokens, each as even as can be."""
    below = np.concatenate([[0.0], np.cumsum(shares)])
    splits, todo = [], [(0, len(shares))]
    while todo:
        start, stop = todo.pop()
        if stop - start > 1:
            even = (below[start] + below[stop]) / 2
            half = start + 1 + int(np.argmin(np.abs(below[start + 1 : stop] - even)))
            splits.append((start, half, stop))
            todo += [(start, half), (half, stop)]
    return np.array(splits, dtype=np.int64).reshape(-1, 3)
