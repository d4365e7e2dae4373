"""An estimate on few labelled rows, made better by predictions on many unlabelled ones, at a weight that does no harm.

theta solves E[x (y - m(x' theta))] = 0 (m(t) = t for means and least squares, expit for logistic regression). n rows
have x and y, N more rows of the same law have x alone, and f(x) predicts y; f has seen none of the rows that it is used
on. With H = E[m'(x' theta) x x'],

    psi(x, y) = H^-1 x (y - m(x' theta))         a labelled row's influence on the estimate
    phi(x)    = H^-1 x (f(x) - m(x' theta))      the same with the prediction in y's place
    theta_w   = theta_n + w (mean of phi over the N rows - mean of phi over the n rows)

Both means have the same expectation *whatever f is*, so theta_w is consistent for every w and every f, bad ones too:
what w changes is the variance, coefficient by coefficient:

    Var = Var(psi - w phi) / n + w^2 Var(phi) / N,     least at  w* = Cov(psi, phi) / (Var(phi) (1 + n / N))

where it is the labelled rows' own, times 1 - rho^2 N / (N + n) with rho the correlation of psi and phi. w* is estimated
from the same rows, which costs a share of order 1/n of the variance; where phi tells nothing of psi it goes to 0, and
theta_w to theta_n. So asymptotically the estimate is never worse than that of the labelled rows alone. It is the
power-tuned form of prediction-powered inference, derived here; a mean is w times a difference estimator.

What it cannot do: rows made by a generator of the same labelled rows, without unlabelled *real* rows, have no place in
it. Their difference to the labelled rows has not expectation zero (the generator's errors are in it) and no new fact of
theta is in them: N = 0, and theta_n it is.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student


@dataclass(frozen=True)
class PowerTuned:
    """p coefficients, (p,) each: the estimate, its standard error and interval, the weight of the predictions, and the
    labelled rows' own estimate with its (robust) standard error."""

    value: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    weight: np.ndarray
    labelled_value: np.ndarray
    labelled_se: np.ndarray


def influences(x: np.ndarray, y: np.ndarray, theta: np.ndarray, *, logistic: bool, inverse: np.ndarray) -> np.ndarray:
    """`inverse` @ x_i (y_i - m(x_i' theta)). Shape: x (n, p), y (n,), theta (p,), inverse (p, p) -> (n, p)."""
    fitted = x @ theta
    mean = 1 / (1 + np.exp(-fitted)) if logistic else fitted
    return (x * (y - mean)[:, None]) @ inverse.T


def inverse_slope(x: np.ndarray, theta: np.ndarray, *, logistic: bool) -> np.ndarray:
    """H^-1 of the labelled rows. Shape: x (n, p), theta (p,) -> (p, p)."""
    fitted = x @ theta
    mean = 1 / (1 + np.exp(-fitted))
    slope = mean * (1 - mean) if logistic else np.ones(len(x))
    return np.linalg.inv((x * slope[:, None]).T @ x / len(x))


def power_tuned(
    theta: np.ndarray,
    psi: np.ndarray,
    phi: np.ndarray,
    phi_more: np.ndarray,
    folds: np.ndarray,
    *,
    level: float = 0.95,
) -> PowerTuned:
    """theta_w at the estimated w*, not below 0, with its t interval of n - p - 1 degrees of freedom.

    Cross-fitting: fold j's rows are predicted by f_j, which has seen none of them, and all unlabelled rows by every
    f_j; fold j's rows are set against the unlabelled rows by f_j itself, so the difference has expectation 0 again.

    Args:
        theta: (p,) the labelled rows' estimate.
        psi: (n, p) their influences.
        phi: (n, p) the same with each row's own prediction.
        phi_more: (J, N, p) of the unlabelled rows, by each f_j.
        folds: (n,) which of the J predictors was each labelled row's.
        level: of the interval.
    """
    n, p = psi.shape
    more = phi_more.shape[1]
    control = phi - phi_more.mean(axis=1)[folds]  # (n, p), each of expectation 0
    shares = np.bincount(folds, minlength=len(phi_more)) / n
    by_row = np.tensordot(shares, phi_more, axes=1)  # (N, p)
    freedom = n - p - 1
    own, spread = _variance(psi, n - p), _variance(control, n - 1)
    common = ((psi - psi.mean(axis=0)) * (control - control.mean(axis=0))).sum(axis=0) / (n - 1)
    both = spread + _variance(by_row, more - 1) * n / more
    weight = np.maximum(np.divide(common, both, out=np.zeros(p), where=both > 1e-12 * own), 0.0)
    value = theta - weight * control.mean(axis=0)
    variance = _variance(psi - weight * control, freedom) / n + weight**2 * _variance(by_row, more - 1) / more
    se = np.sqrt(variance)
    half = float(student.ppf(0.5 + level / 2, freedom)) * se
    return PowerTuned(value, se, value - half, value + half, weight, theta, np.sqrt(own / n))


def _variance(rows: np.ndarray, freedom: int) -> np.ndarray:
    return ((rows - rows.mean(axis=0)) ** 2).sum(axis=0) / freedom
