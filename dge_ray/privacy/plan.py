"""From a budget to noise: how a total epsilon is spread over the histogram and the fits of K models."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dge_ray.errors import InputError
from dge_ray.privacy.accounting import Mechanism, epsilon

Models = Literal["each", "one"]
MARGINALS_SHARE = 0.1  # of epsilon, for the histogram of all columns if it were alone
DIGITS = 1e-3  # how far above the least that keeps the budget a noise multiplier may be, as a share of it
MOST_NOISE = 1e6


@dataclass(frozen=True)
class Steps:
    """What the noise does not depend on: a fit's clip, the probability of a row in a step, the steps."""

    clip: float
    sample_rate: float
    steps: int


@dataclass(frozen=True)
class PrivacyPlan:
    """Noise that spends at most `epsilon` at `delta` on one histogram and `fits` fits. `spent`: what it comes to."""

    epsilon: float
    delta: float
    models: Models
    members: int
    steps: Steps
    noise_multiplier: float
    marginals_multiplier: float
    spent: float

    @property
    def fits(self) -> int:
        return self.members if self.models == "each" else 1


def plan_privacy(total: float, delta: float, members: int, n: int, steps: Steps, *, models: Models) -> PrivacyPlan:
    """The least noise with which `members` members cost at most `total`, an upper bound (accounting.py).

    models: `each` fits a model a member, which all spend of the total; `one` fits one, which all members draw from.
    n: train rows.

    Raises:
        InputError: an epsilon that is not above 0, or a delta that says nothing of n rows.
    """
    check_budget(total, delta, n)
    fits = members if models == "each" else 1
    marginals = least_noise(lambda noise: epsilon([Mechanism(noise)], delta), MARGINALS_SHARE * total)
    at_rest = Mechanism(marginals)

    def spent(noise: float) -> float:
        return epsilon([at_rest, Mechanism(noise, steps.sample_rate, steps.steps * fits)], delta)

    noise = least_noise(spent, total)
    return PrivacyPlan(total, delta, models, members, steps, noise, marginals, spent(noise))


def check_budget(total: float, delta: float | None, n: int) -> None:
    """Raises InputError unless epsilon and delta mean something for n train rows."""
    if not 0 < total < math.inf:
        raise InputError("privacy.epsilon", f"{total:g}", "a number above 0, such as 3")
    takes = f"a number above 0 and below 1/n = {1 / n:.2g} (n = {n:,} train rows), such as {_round_down(0.1 / n):g}"
    if delta is None:
        raise InputError("privacy.delta", "nothing", takes)
    if not 0 < delta < 1 / n:  # at 1/n, publishing one row as it is would pass
        raise InputError("privacy.delta", f"{delta:g}", takes)


def _round_down(value: float) -> float:
    return 10.0 ** math.floor(math.log10(value))


def least_noise(spent: Callable[[float], float], total: float) -> float:
    """The least noise multiplier, to a thousandth of it, with which `spent` is at most `total`; never less than that.

    Raises:
        InputError: no noise is enough.
    """
    high = 1.0
    while spent(high) > total:
        high *= 2
        if high > MOST_NOISE:
            raise InputError("privacy.epsilon", f"{total:g}", "a larger epsilon: no noise is enough for it")
    low = high / 2
    while low > 1e-2 and spent(low) <= total:
        low, high = low / 2, low
    while high - low > DIGITS * high:
        middle = (low + high) / 2
        if spent(middle) <= total:
            high = middle
        else:
            low = middle
    return high
