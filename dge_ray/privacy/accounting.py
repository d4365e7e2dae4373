"""The epsilon of many mechanisms together: Poisson-subsampled Gaussians, each many times.

By composition of privacy loss variables (Gopi et al. 2021), an upper bound, as `opacus` does it; by Renyi divergences
(Mironov et al. 2019) where those cannot be computed, which is an upper bound too, and a looser one.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

ERROR = 0.002  # of the discretisation, as a share of epsilon: it is added to what is spent
# Renyi orders: broken ones take a hundred times as long, and matter between small whole ones alone.
ORDERS = [1.1, 1.2, 1.3, 1.4, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.33, 3.67, 4, 4.5, *range(5, 64)] + [
    2**x for x in range(6, 13)
]


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
    renyi = renyi_epsilon(mechanisms, delta)
    if renyi == 0.0 or not math.isfinite(renyi):
        return renyi
    try:
        return min(renyi, _prv(_history(mechanisms), delta, error=ERROR * renyi))
    except (RuntimeError, ValueError, MemoryError, ArithmeticError):
        return renyi


def renyi_epsilon(mechanisms: Sequence[Mechanism], delta: float) -> float:
    """The same by Renyi divergences: quicker, and looser by a tenth or so."""
    history = _history(mechanisms)
    return _renyi(history, delta) if history else 0.0


def _history(mechanisms: Sequence[Mechanism]) -> list[tuple[float, float, int]]:
    """Mechanisms as opacus lists them, (noise multiplier, sample rate, times), equal ones together."""
    merged: dict[tuple[float, float], int] = {}
    for one in mechanisms:
        key = (one.noise_multiplier, one.sample_rate)
        merged[key] = merged.get(key, 0) + one.times
    return [(sigma, rate, times) for (sigma, rate), times in sorted(merged.items())]


def _prv(history: list[tuple[float, float, int]], delta: float, *, error: float) -> float:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = history
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        spent = float(accountant.get_epsilon(delta, eps_error=error))
    if not (math.isfinite(spent) and spent > 0):
        raise ValueError(f"an epsilon of {spent}")
    return spent


def _renyi(history: list[tuple[float, float, int]], delta: float) -> float:
    from opacus.accountants.analysis.rdp import get_privacy_spent

    total = np.zeros(len(ORDERS))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for sigma, rate, times in history:
            total += _of_one(sigma, rate) * times
        return float(get_privacy_spent(orders=ORDERS, rdp=total.tolist(), delta=delta)[0])


@lru_cache(maxsize=256)  # while one mechanism's noise is looked for, the others stay
def _of_one(sigma: float, rate: float) -> np.ndarray:
    """Renyi divergences of one step at ORDERS, which steps add up."""
    from opacus.accountants.analysis.rdp import compute_rdp

    return np.asarray(compute_rdp(q=rate, noise_multiplier=sigma, steps=1, orders=ORDERS))
