"""The epsilon of many mechanisms together: Poisson-subsampled Gaussians, each many times.

By composition of privacy loss variables (Gopi et al. 2021), an upper bound, as `opacus` does it; by Renyi divergences
(Mironov et al. 2019) where those cannot be computed, which is an upper bound too, and a looser one.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ERROR = 0.002  # of the PRV bound, absolute in epsilon: the least that is tried
SMALL = 1e-4


@dataclass(frozen=True)
class Mechanism:
    """A Gaussian of `noise_multiplier` sensitivities on rows taken with probability `sample_rate`, `times` times."""

    noise_multiplier: float
    sample_rate: float = 1.0
    times: int = 1


def epsilon(mechanisms: Sequence[Mechanism], delta: float) -> float:
    """An upper bound of the epsilon at `delta` of all the mechanisms on the same rows; 0 for none.

    Whatever order they ran in, and whatever later ones made of earlier ones' outputs.
    """
    merged: dict[tuple[float, float], int] = {}
    for one in mechanisms:
        if one.times:
            key = (one.noise_multiplier, one.sample_rate)
            merged[key] = merged.get(key, 0) + one.times
    if not merged:
        return 0.0
    history = [(sigma, rate, times) for (sigma, rate), times in sorted(merged.items())]
    renyi = _renyi(history, delta)
    if not math.isfinite(renyi):
        return math.inf
    try:
        return min(renyi, _prv(history, delta, error=max(SMALL, ERROR * renyi)))
    except (RuntimeError, ValueError, MemoryError, OverflowError, FloatingPointError):
        return renyi


def _prv(history: list[tuple[float, float, int]], delta: float, *, error: float) -> float:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = history
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = float(accountant.get_epsilon(delta, eps_error=error))
    if not (math.isfinite(found) and found > 0):
        raise ValueError(f"an epsilon of {found}")
    return found


def _renyi(history: list[tuple[float, float, int]], delta: float) -> float:
    from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent

    orders = [1 + x / 10 for x in range(1, 100)] + list(range(11, 64)) + [2.0**x for x in range(6, 13)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        total = sum(
            np.asarray(compute_rdp(q=rate, noise_multiplier=sigma, steps=times, orders=orders))
            for sigma, rate, times in history
        )
        return float(get_privacy_spent(orders=orders, rdp=total, delta=delta)[0])
