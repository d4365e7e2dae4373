"""Variance of predictions in a nested design: between generators, between draws of one, between fits to one draw.

Generators g = 1..G, each with J draws of its rows, each with F learner seeds. With mean squares as in any nested
analysis of variance, unbiased at each row:

    fits       = mean over (g, j) of var over f
    draws      = mean over g of var over j of the fits' means   - fits / F
    generators = var over g of the means                        - var over j of the fits' means / J

Raisa and Honkela's two terms (`utility.md` 2.1) are SDV = generators and MV = draws + fits; their published code takes
variances with ddof 0 and leaves the correction out, so its SDV holds a share 1 / J of MV. An ensemble of G generators
with J draws each has variance generators / G + draws / (G J) + fits / (G J F): where MV is the large one, draw more
rows of the generators in hand (cheap); where SDV is, fit more generators.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from dge_ray.errors import InputError


@dataclass(frozen=True)
class Nested:
    """Mean variances over rows, in units of the squared prediction, summed over classes (once for two classes).

    Each is (value, lo, hi): a jackknife over generators, so for other generators and these rows; values and lower ends
    are not cut at 0. `draws` is None with a single draw a generator (then `generators` holds it too), `fits` with a
    single fit a draw (then the lowest part that is there holds it).
    """

    generators: tuple[float, float, float]
    draws: tuple[float, float, float] | None
    fits: tuple[float, float, float] | None


def nested_variances(predictions: ArrayLike, *, level: float = 0.95) -> Nested:
    """The three parts with intervals.

    Args:
        predictions: (G, J, F, N, C), G >= 3.
        level: of the two-sided t intervals.
    """
    p = np.asarray(predictions, dtype=np.float64)
    if p.ndim != 5 or p.shape[0] < 3 or not np.isfinite(p).all():
        raise InputError(
            "predictions", f"shape {p.shape}", "finite (generators, draws, fits, rows, classes), 3 or more"
        )
    g = p.shape[0]
    if p.shape[4] == 2:
        p = p[..., 1:]  # as the Brier score of two classes
    whole = _parts(p)
    pseudo = np.array([g * whole - (g - 1) * _parts(np.delete(p, at, axis=0)) for at in range(g)])
    half = student.ppf(0.5 + level / 2, g - 1) * pseudo.std(axis=0, ddof=1) / np.sqrt(g)
    triples = [(float(v), float(v - h), float(v + h)) for v, h in zip(whole, half, strict=True)]
    return Nested(triples[0], triples[1] if p.shape[1] > 1 else None, triples[2] if p.shape[2] > 1 else None)


def _parts(p: np.ndarray) -> np.ndarray:
    """(generators, draws, fits); a part that the design does not show is 0. Shape: (G, J, F, N, C) -> (3,)."""
    _, j, f, n, _ = p.shape
    fits = p.var(axis=2, ddof=1).sum() / (n * p.shape[0] * j) if f > 1 else 0.0
    by_draw = p.mean(axis=2)  # (G, J, N, C)
    within = by_draw.var(axis=1, ddof=1).sum() / (n * p.shape[0]) if j > 1 else 0.0
    between = by_draw.mean(axis=1).var(axis=0, ddof=1).sum() / n
    draws = within - fits / f if j > 1 else 0.0
    generators = between - (within / j if j > 1 else fits / f)
    return np.array([generators, draws, fits])
