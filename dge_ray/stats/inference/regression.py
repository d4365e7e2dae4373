"""Linear and logistic regression with their model-based variances: fast enough for thousands of small fits.

Both work in the columns of a QR decomposition, in which nothing is badly scaled, and go back at the end. What cannot be
estimated is NaN with a reason, never a number that only looks like one.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

COLLINEAR = 1e-9  # of a column's length: what is left of it beside the others
STEP = 1e-9  # Newton's last step, in columns of mean square 1
MOST_STEPS = 30  # a coefficient that runs away grows by about 1 a step, one that does not has settled after 10


@dataclass(frozen=True)
class Coefficients:
    """Estimates and their variances, (p,) each. `reason`: why they are NaN, all of them; None where they are not."""

    value: np.ndarray
    variance: np.ndarray
    reason: str | None = None


def least_squares(x: np.ndarray, y: np.ndarray) -> Coefficients:
    """Regression of y (n,) on the columns of x (n, p); variances by the residuals' mean square over n - p."""
    n, p = x.shape
    if n <= p:
        return _none(p, f"{n} rows for {p} coefficients")
    q, r = np.linalg.qr(x)
    if _collinear(r):
        return _none(p, "collinear terms")
    inverse = np.linalg.inv(r)
    projected = q.T @ y
    residual = y - q @ projected
    return Coefficients(inverse @ projected, (inverse**2).sum(axis=1) * (residual @ residual) / (n - p))


def logistic(x: np.ndarray, y: np.ndarray) -> Coefficients:
    """Maximum likelihood of P(y = 1) = expit(x b), y (n,) 0 or 1; variances by the inverse information.

    Newton's steps, halved where the likelihood falls. Classes that a plane separates have no estimate: NaN.
    """
    n, p = x.shape
    if n <= p:
        return _none(p, f"{n} rows for {p} coefficients")
    if y.min() == y.max():
        return _none(p, "one class alone")
    q, r = np.linalg.qr(x)
    if _collinear(r):
        return _none(p, "collinear terms")
    q = q * np.sqrt(n)
    b, eta = np.zeros(p), np.zeros(n)
    likelihood = _log_likelihood(eta, y)
    for _ in range(MOST_STEPS):
        mean = expit(eta)
        information = (q * (mean * (1 - mean))[:, None]).T @ q
        try:
            step = np.linalg.solve(information, q.T @ (y - mean))
        except np.linalg.LinAlgError:
            break
        if not np.isfinite(step).all():
            break
        while (moved := _log_likelihood(eta + q @ step, y)) < likelihood - 1e-9 * abs(likelihood):
            step = step / 2
        b, eta, likelihood = b + step, eta + q @ step, moved
        if np.abs(step).max() < STEP:
            back = np.linalg.inv(r) * np.sqrt(n)
            return Coefficients(back @ b, np.einsum("ij,jk,ik->i", back, np.linalg.inv(information), back))
    return _none(p, "no maximum of the likelihood: separated classes")


def _log_likelihood(eta: np.ndarray, y: np.ndarray) -> float:
    return float(y @ eta - np.logaddexp(0, eta).sum())


def _collinear(r: np.ndarray) -> bool:
    lengths = np.linalg.norm(r, axis=0)
    return bool((np.abs(np.diag(r)) <= COLLINEAR * np.where(lengths > 0, lengths, 1)).any())


def _none(p: int, reason: str) -> Coefficients:
    return Coefficients(np.full(p, np.nan), np.full(p, np.nan), reason)
