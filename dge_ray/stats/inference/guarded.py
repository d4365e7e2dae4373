"""What synthetic rows may change of an answer, so that its error stays bounded whatever they are.

The answer of the real rows at level alpha stands on one side, that of the real rows at alpha + epsilon on the other;
the answer with synthetic rows counts between the two alone. Since it never goes beyond the second, the error is at most
alpha + epsilon for *any* synthetic rows, be the generator as wrong as it may; since it never falls short of the first,
nothing is lost against the real rows at alpha. Good synthetic rows bring the answer towards the second.

Assumed: the real rows' own answers hold their levels, and are nested: what is rejected (left out, covered) at one level
is so at every more generous one. In the spirit of GESPI (arXiv 2509.20345).
"""

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.stats.intervals import conformal_quantile


def guarded_rejection(real_p: ArrayLike, synthetic_p: ArrayLike, alpha: float, epsilon: float) -> np.ndarray:
    """Reject where the real rows' p-value is at most alpha; where it is at most alpha + epsilon, if the synthetic one
    is at most alpha too. P(rejected) <= alpha + epsilon under the null hypothesis. Shape: (...), (...) -> (...) bool.

    >>> guarded_rejection(np.array([0.04, 0.08, 0.2]), np.array([0.9, 0.01, 0.0]), 0.05, 0.05).tolist()
    [True, True, False]
    """
    real_p, synthetic_p = np.asarray(real_p), np.asarray(synthetic_p)
    return (real_p <= alpha) | ((real_p <= alpha + epsilon) & (synthetic_p <= alpha))


def guarded_interval(
    wide: tuple[np.ndarray, np.ndarray], narrow: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """`other`, held between the real rows' intervals at 1 - alpha (`wide`) and at 1 - alpha - epsilon (`narrow`).

    It covers as often as the narrow one at the least, 1 - alpha - epsilon, and is never longer than the wide one.

    >>> low, high = guarded_interval((0.0, 10.0), (3.0, 7.0), (4.0, 12.0)); float(low), float(high)
    (3.0, 10.0)
    """
    return np.clip(other[0], wide[0], narrow[0]), np.clip(other[1], narrow[1], wide[1])


def guarded_conformal_sets(
    calibration: tuple[np.ndarray, np.ndarray],
    synthetic: tuple[np.ndarray, np.ndarray],
    p: np.ndarray,
    *,
    level: float,
    epsilon: float,
) -> np.ndarray:
    """Sets of classes that hold the truth with at least probability `level` - `epsilon`, and are never larger than
    those of the real calibration rows at `level`.

    The threshold is that of real and synthetic rows together, held between the real ones' at `level` - `epsilon` and at
    `level`. With few real rows the second is the largest of their scores, or none: good synthetic rows tell more.

    Shape: calibration, synthetic: probabilities (M, C) and codes (M,); p (N, C) -> (N, C) bool.
    """
    real, made = (1 - q[np.arange(len(y)), y] for q, y in (calibration, synthetic))
    least, most = conformal_quantile(real, level - epsilon), conformal_quantile(real, level)
    both = conformal_quantile(np.concatenate([real, made]), level)
    return 1 - p <= np.clip(both, least, most)
