"""The discrete Gaussian (Canonne, Kamath, Steinke 2020): noise of whole numbers, drawn exactly.

Its law: P(k) is proportional to exp(-k^2 / (2 variance)) on all whole numbers k. All arithmetic is on Python's
integers, so that no rounding leaves a trace in the noise. How long a draw takes depends on it: time is not hidden.
"""

import math
from fractions import Fraction

import numpy as np

from dge_ray.generators.private.streams import SecretStream, WholeNumbers

FINEST = 1024  # variances are multiples of one over this
# A discrete Gaussian of variance v is a Gaussian of variance v - 2 that is rounded at random to a whole number near it,
# k with a weight of exp(-(x - k)^2 / 4): the sums of these weights differ with x by a factor of 1 + 1.5e-17 (Poisson
# summation: 2 exp(-4 pi^2), twice), and so does the one law from the other. Made from it, it is as private as it is.
ROUNDING_VARIANCE = 2


def variance_for(normal: Fraction) -> Fraction:
    """The variance of whole-numbered noise that may be accounted for as normal noise of variance `normal`, in every
    composition (but for a factor of 1 + 1e-16 a number): the next multiple of 1/1024 that is large enough."""
    return Fraction(math.ceil((normal + ROUNDING_VARIANCE) * FINEST), FINEST)


def discrete_gaussians(n: int, variance: Fraction, stream: SecretStream) -> np.ndarray:
    """Independent draws (n,) int64 of the discrete Gaussian of this parameter (whose own variance is a little less)."""
    draws = WholeNumbers(stream)
    return np.array([_gaussian(variance, draws) for _ in range(n)], dtype=np.int64)


def _gaussian(variance: Fraction, draws: WholeNumbers) -> int:
    """Their algorithm 3: a discrete Laplace number, kept with what the Gaussian's law is of its own."""
    p, q = variance.numerator, variance.denominator
    scale = math.isqrt(p // q) + 1
    while True:
        found = _laplace(scale, draws)
        if _exp_event((abs(found) * q * scale - p) ** 2, 2 * p * q * scale**2, draws):
            return found


def _laplace(scale: int, draws: WholeNumbers) -> int:
    """Their algorithm 2: P(k) is proportional to exp(-|k| / scale)."""
    while True:
        rest = draws.below(scale)
        if not _exp_event(rest, scale, draws):
            continue
        whole = 0
        while _exp_event(1, 1, draws):
            whole += 1
        size, negative = rest + scale * whole, draws.below(2)
        if size or not negative:  # 0 has one sign
            return -size if negative else size


def _exp_event(a: int, b: int, draws: WholeNumbers) -> bool:
    """Their algorithm 1: an event of probability exp(-a / b)."""
    while a > b:
        if not _exp_event(1, 1, draws):
            return False
        a -= b
    k = 1
    while draws.below(b * k) < a:
        k += 1
    return k % 2 == 1
