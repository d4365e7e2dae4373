"""The closed-form problem: X ~ U(0, 1), mu(x) = x^2, Y = mu(X) + 0.3 N(0, 1), synthetic features of density 0.5 + x.

So the density ratio is 1 / (0.5 + x), at most W = 2, and chi^2 = ln 3 - 1. Exact limits of U (T2, by integration): see
LIMITS. REFERENCE holds the reference cells of finite n, one seeded run each without its Monte-Carlo error.
"""

from collections.abc import Callable

import numpy as np

NOISE = 0.3
RESPONSES = ("oracle", "fitted", "biased")  # mu itself; a quadratic fitted on the real rows; mu + 0.1 x
CLASSES = ("linear", "quadratic", "neighbours", "stump")
GRID = (np.arange(2000) + 0.5) / 2000

LIMITS = {
    ("oracle", "linear"): 13 / 27225,
    ("oracle", "quadratic"): 0.0,
    ("fitted", "linear"): 13 / 27225,
    ("fitted", "quadratic"): 0.0,
    ("biased", "linear"): 481 / 108900,
    ("biased", "quadratic"): 1 / 300,
}
_CELLS = {
    ("oracle", "linear"): (0.00234, 0.00053, 0.00045),
    ("oracle", "quadratic"): (0.00245, 0.00023, 0.00003),
    ("oracle", "neighbours"): (0.00352, 0.00035, 0.00007),
    ("fitted", "linear"): (0.0032, 0.0007, 0.0005),
    ("fitted", "quadratic"): (0.0038, 0.0004, 0.00004),
    ("fitted", "neighbours"): (0.0041, 0.0003, 0.00006),
    ("biased", "linear"): (0.0053, 0.0044, 0.0044),
    ("biased", "quadratic"): (0.0049, 0.0033, 0.0034),
    ("biased", "neighbours"): (0.0049, 0.0028, 0.0032),
}
SIZES = (100, 1000, 10_000)
REFERENCE = {(*key, n): value for key, cells in _CELLS.items() for n, value in zip(SIZES, cells, strict=True)}

Predictor = Callable[[np.ndarray], np.ndarray]


def stream(seed: int, *address: int) -> np.random.Generator:
    """The random stream at an address."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=address))


def real_rows(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of the real law."""
    x = generator.random(n)
    return x, x**2 + NOISE * generator.standard_normal(n)


def synthetic_rows(
    n: int, responses: str, real: tuple[np.ndarray, np.ndarray], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of the synthetic law."""
    x = np.sqrt(0.25 + 2 * generator.random(n)) - 0.5  # the inverse of F(x) = x / 2 + x^2 / 2
    mean = {"oracle": x**2, "biased": x**2 + 0.1 * x}.get(responses)
    if mean is None:
        mean = fit("quadratic", *real)(x)
    return x, mean + NOISE * generator.standard_normal(n)


def fit(name: str, x: np.ndarray, y: np.ndarray) -> Predictor:
    """The least-squares fit of a class."""
    if name == "stump":
        low, high = y[x <= 0.5].mean(), y[x > 0.5].mean()
        return lambda at: np.where(at > 0.5, high, low)
    if name == "neighbours":
        return _neighbours(x, y, round(max(5, 0.5 * len(x) ** 0.8)))
    degree = 1 if name == "linear" else 2
    powers = [x**p for p in range(degree + 1)]
    gram = np.array([[a @ b for a in powers] for b in powers])
    coefficients = np.linalg.solve(gram, np.array([p @ y for p in powers]))
    return lambda at: np.polynomial.polynomial.polyval(at, coefficients)


def _neighbours(x: np.ndarray, y: np.ndarray, k: int) -> Predictor:
    """The mean over the k nearest rows: in one dimension a window of the sorted rows."""
    order = np.argsort(x)
    x, sums = x[order], np.concatenate([[0.0], np.cumsum(y[order])])

    def predict(at: np.ndarray) -> np.ndarray:
        low, high = np.zeros(len(at), np.int64), np.full(len(at), len(x) - k)
        while np.any(low < high):  # the first window whose left end is no farther than the row right of it
            middle = (low + high) // 2
            right = at - x[middle] > x[np.minimum(middle + k, len(x) - 1)] - at
            low, high = np.where(right & (low < high), middle + 1, low), np.where(right, high, middle)
        return (sums[low + k] - sums[low]) / k

    return predict


def excess(predictor: Predictor) -> float:
    """Phi: the excess squared risk under the real law."""
    return float(np.mean((predictor(GRID) - GRID**2) ** 2))
