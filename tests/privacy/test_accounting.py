"""Epsilon against an independent accountant, Google's dp-accounting, by its own two methods; noise never too small."""

from typing import Any

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld, rdp
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.privacy.accounting import Mechanism, epsilon, renyi_epsilon
from dge_ray.privacy.plan import Steps, plan_privacy


def theirs(mechanisms: list[Mechanism], delta: float, kind: str) -> float:
    made = pld.PLDAccountant() if kind == "pld" else rdp.RdpAccountant()
    for one in mechanisms:
        event = dp_accounting.GaussianDpEvent(one.noise_multiplier)
        if one.sample_rate < 1:
            event = dp_accounting.PoissonSampledDpEvent(one.sample_rate, event)
        made.compose(event, one.times)
    return made.get_epsilon(delta)


def members(k: int, rate: float, noise: float, steps: int, marginals: float) -> list[Mechanism]:
    """K fits and the histogram, each fit a mechanism of its own, as the ledger lists them."""
    return [Mechanism(marginals), *(Mechanism(noise, rate, steps) for _ in range(k))]


def slow(*case: object) -> Any:
    return pytest.param(*case, marks=pytest.mark.slow)


CASES = [
    ([Mechanism(10.0)], 1e-6),
    slow([Mechanism(0.8)], 1e-5),
    slow([Mechanism(1.0, 0.01, 1000)], 1e-5),
    ([Mechanism(0.7, 0.005, 400)], 1e-5),
    slow([Mechanism(4.0, 0.2, 3000)], 1e-7),
    slow(members(1, 1 / 32, 1.35, 600, 13.0), 1e-6),
    (members(4, 1 / 32, 2.3, 600, 13.0), 1e-6),
    slow(members(8, 1 / 32, 8.0, 600, 40.0), 1e-6),
    slow(members(16, 0.1, 30.0, 600, 40.0), 1e-6),
    slow([Mechanism(14.0), Mechanism(2.0, 0.03, 600), Mechanism(3.0, 0.1, 500)], 1e-6),  # different generators
]


@pytest.mark.parametrize(("mechanisms", "delta"), CASES)
def test_epsilon_is_the_independent_accountants_within_a_hundredth(mechanisms: list[Mechanism], delta: float) -> None:
    """PLD: both are discretised upper bounds, ours by .2 % and theirs at steps of 1e-4. RDP: over the same family of
    orders the two should meet; both are also upper bounds of the tight one."""
    ours = epsilon(mechanisms, delta)
    assert ours == pytest.approx(theirs(mechanisms, delta, "pld"), rel=0.01)
    assert renyi_epsilon(mechanisms, delta) == pytest.approx(theirs(mechanisms, delta, "rdp"), rel=0.01)
    assert ours <= renyi_epsilon(mechanisms, delta)


def test_one_gaussian_is_its_closed_form() -> None:
    """Balle & Wang 2018: delta(epsilon) of a Gaussian, in closed form."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    sigma, delta = 5.0, 1e-6

    def excess(eps: float) -> float:
        a, b = 1 / (2 * sigma), eps * sigma
        return float(norm.cdf(a - b) - np.exp(eps) * norm.cdf(-a - b) - delta)

    exact = brentq(excess, 0, 10)
    ours = epsilon([Mechanism(sigma)], delta)
    assert exact <= ours <= 1.005 * exact  # an upper bound, by little


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(noise=st.floats(0.8, 8), rate=st.floats(0.002, 0.3), steps=st.integers(50, 3000), marginals=st.floats(5, 50))
def test_epsilon_is_never_below_the_independent_one(noise: float, rate: float, steps: int, marginals: float) -> None:
    """Where the exact one lies is between their two bounds: optimistic rounding gives a lower one."""
    mechanisms, delta = members(2, rate, noise, steps, marginals), 1e-6
    ours = epsilon(mechanisms, delta)
    assert ours == pytest.approx(theirs(mechanisms, delta, "pld"), rel=0.01)
    assert ours > 0.997 * theirs(mechanisms, delta, "pld")  # theirs is an upper bound too, looser at times


@pytest.mark.parametrize(
    ("total", "k", "models"),
    [(3.0, 1, "each"), slow(3.0, 4, "one"), slow(10.0, 4, "each")],
)
def test_a_plan_spends_its_budget_and_no_more(total: float, k: int, models: str) -> None:
    steps = [Steps(1.0, 0.03, 600)]
    plan = plan_privacy(total, 1e-6, k, 30_000, steps, models=models)  # type: ignore[arg-type]
    fits = members(k if models == "each" else 1, 0.03, plan.noise_multiplier, 600, plan.marginals_multiplier)
    assert plan.spent == epsilon(fits, 1e-6)
    assert 0.99 * total <= plan.spent <= total
    assert theirs(fits, 1e-6, "pld") == pytest.approx(total, rel=0.01)


@pytest.mark.slow
def test_more_models_need_more_noise_each() -> None:
    noise = [
        plan_privacy(3.0, 1e-6, k, 30_000, [Steps(1.0, 0.03, 600)], models="each").noise_multiplier for k in (1, 2)
    ]
    assert 1.2 * noise[0] < noise[1] < 1.5 * noise[0]  # about the square root of 2
