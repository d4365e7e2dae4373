"""Laws of a number, row by row, as weighted atoms: their mixture over members, quantiles and CRPS.

The continuous ranked probability score of a law F at the value y is the integral of (F(z) - 1{y <= z})^2 over z, in
units of y; it is E|Z - y| - E|Z - Z'| / 2 for Z, Z' from F, and |Z - y| where F is one value (Gneiting & Raftery 2007,
Strictly proper scoring rules, section 4.2). Smaller is better, and in expectation only the true law has the least.

Of D draws it is the score of the law with these D atoms, which is larger by E|Z - Z'| / (2 D) than that of the law that
they are drawn from.

Conventions: `values` (n, s) or, the same in all rows, (1, s), in any order; `weights` (n, s) or (1, s), not negative
and of sum 1 in a row.
"""

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

BLOCK_CELLS = 1 << 21  # atoms at a time: 16 MiB an array


def mixture(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The law that is each member's with equal chance.

    Shape: values (K, n or 1, s) and weights (K, n or 1, s) -> (n or 1, K s) and (n or 1, K s). Members that all have
    the same atoms in all rows keep them: (1, s).

    >>> values, weights = mixture(np.array([[[0.0, 1.0]], [[0.0, 1.0]]]), np.array([[[0.5, 0.5]], [[0.1, 0.9]]]))
    >>> values.tolist(), weights.round(6).tolist()
    ([[0.0, 1.0]], [[0.3, 0.7]])
    """
    if values.shape[1] == 1 and (values == values[0]).all():
        return values[0], weights.mean(axis=0)
    members, _, atoms = values.shape
    return (
        np.moveaxis(values, 0, 1).reshape(-1, members * atoms),
        np.moveaxis(weights, 0, 1).reshape(-1, members * atoms) / members,
    )


def crps(values: np.ndarray, weights: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The CRPS of each row's law at y (n,), exactly: float64 (n,), in units of y.

    >>> crps(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]]), np.array([0.0, 3.0])).tolist()
    [0.25, 2.25]
    """
    out = np.empty(len(y))
    for rows, atoms, below in _steps(values, weights, len(y)):
        at, gaps = y[rows, None], np.diff(atoms, axis=1)
        to_y = np.clip(at - atoms[:, :-1], 0, gaps)  # how much of a gap lies below y
        inner = below[:, :-1] ** 2 * to_y + (1 - below[:, :-1]) ** 2 * (gaps - to_y)
        beyond = np.maximum(atoms[:, 0] - y[rows], 0) + np.maximum(y[rows] - atoms[:, -1], 0)
        out[rows] = inner.sum(axis=1) + beyond
    return out


def quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The least atom at or below which at least each of `levels` (q,) of a row's law lies: (n or 1, q).

    >>> quantiles(np.array([[2.0, 1.0]]), np.array([[0.25, 0.75], [1.0, 0.0]]), np.array([0.5, 0.9])).tolist()
    [[1.0, 2.0], [2.0, 2.0]]
    """
    n = max(len(values), len(weights))
    out = np.empty((n, len(levels)))
    for rows, atoms, below in _steps(values, weights, n):
        for j, level in enumerate(levels):
            # Sums of weights are off by their rounding.
            at = (below < level * (1 - 1e-9)).sum(axis=1, keepdims=True)
            expanded = np.broadcast_to(atoms, below.shape)
            out[rows, j] = np.take_along_axis(expanded, np.minimum(at, below.shape[1] - 1), axis=1)[:, 0]
    return out


def atoms_of_quantiles(values: np.ndarray, levels: np.ndarray, count: int) -> np.ndarray:
    """Equally likely atoms (n, count) of laws known by their quantiles `values` (n, q) at increasing `levels` (q,).

    Quantiles are sorted where they cross, and taken to be linear between levels, and beyond the outer two, in the
    normal score of the level: exact for a normal law.

    >>> from scipy.stats import norm
    >>> levels = np.array([0.1, 0.5, 0.9])
    >>> atoms_of_quantiles(norm.ppf(levels)[None], levels, 4).round(6).tolist()
    [[-1.150349, -0.318639, 0.318639, 1.150349]]
    """
    scores, at = ndtri(levels), ndtri((np.arange(count) + 0.5) / count)
    left = np.clip(np.searchsorted(scores, at) - 1, 0, len(levels) - 2)
    share = (at - scores[left]) / (scores[left + 1] - scores[left])
    ordered = np.sort(values, axis=1)
    return ordered[:, left] * (1 - share) + ordered[:, left + 1] * share


def _steps(values: np.ndarray, weights: np.ndarray, n: int) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Blocks of rows: atoms in order (rows or 1, s), and the probability at or below each (rows, s)."""
    size = max(1, BLOCK_CELLS // values.shape[1])
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        own = values[rows] if len(values) > 1 else values
        share = weights[rows] if len(weights) > 1 else weights
        order = np.argsort(own, axis=1, kind="stable")
        share = np.take_along_axis(share, order, axis=1) if len(own) > 1 else share[:, order[0]]
        yield rows, np.take_along_axis(own, order, axis=1), np.cumsum(share, axis=1)
