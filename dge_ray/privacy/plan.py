"""From a budget to noise: how a total epsilon is spread over the histogram and the fits of K models."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from dge_ray.errors import InputError
from dge_ray.privacy.accounting import Mechanism, epsilon, renyi_epsilon

Models = Literal["each", "one"]
Accountant: TypeAlias = Callable[[Sequence[Mechanism], float], float]
MARGINALS_SHARE = 0.1  # of epsilon, for the histogram of all columns if it were alone
DIGITS = 1e-3  # of epsilon: twice as much may be left of it
MOST_TRIES = 12
MOST_NOISE = 1e6
STREAMS = 2  # how noise is made of the key. 1: numpy's generator; 2: a cipher (generators/private/streams.py)


@dataclass(frozen=True)
class Steps:
    """What the noise does not depend on: a fit's clip, the probability of a row in a step, the steps."""

    clip: float
    sample_rate: float
    steps: int


@dataclass(frozen=True)
class Planned:
    """What another study of the same table has planned, and so counts as spent: a mechanism, `times` times."""

    study: str
    what: str
    noise_multiplier: float
    sample_rate: float
    steps: int
    times: int

    @property
    def entry(self) -> str:
        """What it is called in a ledger."""
        return f"before, by the study '{self.study}': {self.what}"

    @property
    def cost(self) -> Mechanism:
        return Mechanism(self.noise_multiplier, self.sample_rate, self.steps * self.times)


@dataclass(frozen=True)
class PrivacyPlan:
    """Noise that spends at most `epsilon` at `delta` on one histogram of all columns and the fits of `members` members,
    with all that earlier studies of the table have planned.

    models: `each` fits a model a member, which all spend of the total; `one` fits one, which all members draw from.
    steps: of the generators that members take in turn. spent: what all of it comes to, at most `epsilon`. streams: how
    the noise is made of the key; members of one study are noised in one way. before: what the study's parent, the
    parent's own and so on have planned.
    """

    epsilon: float
    delta: float
    models: Models
    members: int
    steps: tuple[Steps, ...]
    noise_multiplier: float
    marginals_multiplier: float
    spent: float
    streams: int = STREAMS
    before: tuple[Planned, ...] = ()

    def planned(self, study: str) -> tuple[Planned, ...]:
        """All of it, as a child of this study counts it."""
        models = self.members if self.models == "each" else 1
        fits = Counter(self.steps_of(k) for k in range(models))
        return (
            *self.before,
            Planned(study, "histograms of all columns", self.marginals_multiplier, 1.0, 1, 1),
            *(Planned(study, "fits", self.noise_multiplier, s.sample_rate, s.steps, n) for s, n in fits.items()),
        )

    def steps_of(self, member: int) -> Steps:
        return self.steps[member % len(self.steps)]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "PrivacyPlan":
        # A plan from before there was another way does not say so.
        steps, before = (Steps(**one) for one in raw["steps"]), (Planned(**one) for one in raw.get("before", []))
        return cls(**{"streams": 1, **raw, "steps": tuple(steps), "before": tuple(before)})


def plan_privacy(
    total: float,
    delta: float | None,
    members: int,
    n: int,
    steps: Sequence[Steps],
    *,
    models: Models,
    before: Sequence[Planned] = (),
) -> PrivacyPlan:
    """The least noise with which `members` members cost at most `total`, with what is planned `before` them, by an
    upper bound (accounting.py).

    n: train rows.

    Raises:
        InputError: an epsilon that is not above 0, a delta that says nothing of n rows, or nothing is left to spend.
    """
    return _plan(total, checked_delta(total, delta, n), members, tuple(steps), models, tuple(before))


@cache  # `check` asks for many, a study for the same one more than once, and each takes seconds
def _plan(
    total: float, delta: float, members: int, steps: tuple[Steps, ...], models: Models, before: tuple[Planned, ...]
) -> PrivacyPlan:
    earlier = [one.cost for one in before]
    gone = spent_before(total, delta, before)
    aim = gone + MARGINALS_SHARE * (total - gone)
    fits = [steps[k % len(steps)] for k in range(members if models == "each" else 1)]

    def at_rest_spends(noise: float, how: Accountant) -> float:
        return how([*earlier, Mechanism(noise)], delta)

    def spent(noise: float, how: Accountant) -> float:
        mine = [Mechanism(at_rest), *(Mechanism(noise, s.sample_rate, s.steps) for s in fits)]
        return how([*earlier, *mine], delta)

    try:
        at_rest = least_noise(at_rest_spends, aim)
        noise = least_noise(spent, total)
    except InputError:
        if not before:
            raise
        raise nothing_left(total, delta, before, gone) from None
    return PrivacyPlan(total, delta, models, members, steps, noise, at_rest, spent(noise, epsilon), STREAMS, before)


def spent_before(total: float, delta: float, before: Sequence[Planned]) -> float:
    """The epsilon at `delta` of what is planned `before`; raises InputError where it leaves nothing of `total`."""
    gone = epsilon([one.cost for one in before], delta)
    if gone >= total * (1 - 2 * DIGITS):
        raise nothing_left(total, delta, before, gone)
    return gone


def nothing_left(total: float, delta: float, before: Sequence[Planned], gone: float) -> InputError:
    names = ", ".join(f"'{name}'" for name in dict.fromkeys(one.study for one in before))
    got = f"{total:g}, of which nothing is left: {names} planned {gone:.4g} at delta {delta:g} before"
    return InputError("privacy.epsilon", got, "a larger one, for all studies of this table together")


def checked_delta(total: float, delta: float | None, n: int) -> float:
    """The delta; raises InputError unless it and epsilon mean something for n train rows."""
    if not 0 < total < math.inf:
        raise InputError("privacy.epsilon", f"{total:g}", "a number above 0, such as 3")
    such = 10.0 ** math.floor(math.log10(0.1 / n))
    takes = f"a number above 0 and below 1/n = {1 / n:.2g} (n = {n:,} train rows), such as {such:g}"
    if delta is None:
        raise InputError("privacy.delta", "nothing", takes)
    if not 0 < delta < 1 / n:  # at 1/n, publishing a row as it is would pass
        raise InputError("privacy.delta", f"{delta:g}", takes)
    return delta


def least_noise(spent: Callable[[float, Accountant], float], total: float) -> float:
    """The least noise multiplier with which `spent` is at most `total`, but for a thousandth or two of `total` that
    may be left; never less noise than that.

    Raises:
        InputError: no noise is enough.
    """
    loose, tight = (lambda noise, how=how: spent(noise, how) for how in (renyi_epsilon, epsilon))
    if not math.isfinite(enough := _enough(loose, total)) and not math.isfinite(enough := _enough(tight, total)):
        raise InputError("privacy.epsilon", f"{total:g}", "a larger epsilon: no noise is enough for it")
    # That bound is loose, by a tenth or so. The tight one costs more, and falls about as a power of the noise.
    aim, power, noise = total * (1 - DIGITS), 1.2, enough * 0.93
    before: tuple[float, float] | None = None
    for _ in range(MOST_TRIES):
        cost = spent(noise, epsilon)
        if cost <= total:
            enough = min(enough, noise)
            if cost >= total * (1 - 2 * DIGITS):
                break
        if before is not None and before[0] != noise:
            slope = math.log(before[1] / cost) / math.log(noise / before[0])
            power = slope if slope > 0.1 else power
        before = noise, cost
        noise *= (cost / aim) ** (1 / power)
    return enough


def _enough(spent: Callable[[float], float], total: float) -> float:
    """Noise with which `spent` is at most `total`, a thousandth more than the least; infinity where there is none."""
    low, high = 0.0, 1.0
    while spent(high) > total:
        low, high = high, 2 * high
        if high > MOST_NOISE:
            return math.inf
    while high - low > DIGITS * high:
        middle = (low + high) / 2
        low, high = (low, middle) if spent(middle) <= total else (middle, high)
    return high
