"""Generalized least squares for laws that are linear but for their exponents (variable projection).

For every point of a grid of exponents the best coefficients are a linear problem; the fit is the best point.
Coefficients that must not be negative (what volume or members bring) are held there by trying every subset of them, the
others at 0: the best feasible subset is the exact constrained minimum. All draws of the data are fitted at once.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np


@dataclass(frozen=True)
class Fits:
    """Of B data vectors: place in the grid (B,), coefficients (B, P), weighted sum of squares left (B,)."""

    place: np.ndarray
    coefficients: np.ndarray
    left: np.ndarray


def project(designs: np.ndarray, free: np.ndarray, covariance: np.ndarray, data: np.ndarray) -> Fits:
    """Fit each data vector at every point of the grid.

    Args:
        designs: (G, T, P), a design matrix a grid point; T >= P.
        free: (P,) bool, coefficients that may be negative.
        covariance: (T, T) of a data vector, positive definite; of these weights only, not of the draws.
        data: (B, T).
    """
    root = np.linalg.cholesky(covariance)
    white = np.linalg.solve(root, data.T)  # (T, B)
    designs = np.linalg.solve(root, designs)
    total, (count, width) = (white**2).sum(axis=0), (data.shape[0], designs.shape[2])
    best = Fits(np.zeros(count, dtype=int), np.zeros((count, width)), np.full(count, np.inf))
    bound = np.flatnonzero(~free)
    for kept in product([True, False], repeat=len(bound)):
        mask = free.copy()
        mask[bound] = kept
        if not mask.any():
            continue
        q, r = np.linalg.qr(designs[:, :, mask])
        on = q.swapaxes(1, 2) @ white  # (G, Q, B)
        solved = np.linalg.solve(r, on)
        feasible = (solved[:, ~free[mask]] >= 0).all(axis=1)
        left = np.where(feasible, total - (on**2).sum(axis=1), np.inf)  # (G, B)
        place = left.argmin(axis=0)
        here = left[place, np.arange(count)]
        better = np.flatnonzero(here < best.left)
        best.left[better], best.place[better] = here[better], place[better]
        best.coefficients[better] = 0.0
        best.coefficients[np.ix_(better, np.flatnonzero(mask))] = solved[place[better], :, better]
    return best


def with_misfit(
    designs: np.ndarray, free: np.ndarray, covariance: np.ndarray, data: np.ndarray, exponents: int
) -> tuple[Fits, float]:
    """The fit of one data vector (T,), and the variance of what no such law explains.

    A law is an approximation, and a covariance estimated from K members has directions that look as if they had no
    error. So one variance, the same at every point, is added until the sum of squares left is no more than its degrees
    of freedom (as in a meta-analysis with heterogeneity); 0 where it already is.
    """
    freedom = max(data.shape[-1] - designs.shape[2] - exponents, 1)
    unit = np.eye(len(covariance))
    tiny = float(np.trace(covariance)) / len(covariance)

    def at(extra: float) -> Fits:
        return project(designs, free, covariance + (extra + 1e-9 * tiny) * unit, data[None])

    fits = at(0.0)
    if fits.left[0] <= freedom:
        return fits, 0.0
    low, high = 1e-6 * tiny, float(np.var(data)) + tiny
    for _ in range(25):  # bisection on the log scale: the sum falls as the variance grows
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if at(middle).left[0] > freedom else (low, middle)
    return at(high), high
