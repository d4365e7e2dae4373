"""The law's interval against simulation with a known truth; counts of members against brute force; nested variances
against the design they are drawn from and against plain analysis of variance."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.nested import nested_variances

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.klaw import law_losses
from dge_ray.stats.ensemble.klaw_interval import (
    enough_members,
    held_back,
    next_members,
    predicted_risk,
    worth_its_price,
)


def draw(generator: np.random.Generator, k: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Members with a common bias of .3 a row and their own errors of variance .5, half along 8 directions."""
    x = generator.standard_normal((n, 8))
    own = generator.standard_normal((k, 8)) @ x.T * np.sqrt(0.25 / 8) + 0.5 * generator.standard_normal((k, n))
    return (0.3 * x[:, 0] + own)[..., None], generator.standard_normal(n)


def test_the_value_is_the_law() -> None:
    p, y = draw(np.random.default_rng(0), 5)
    found = predicted_risk(p, y, 3, task="regression")
    assert found.value == pytest.approx(law_losses(p, y, 3).mean(), abs=1e-12)
    assert found.lo < found.lo_here < found.value < found.hi_here < found.hi


def test_sixteen_members_from_four_are_covered() -> None:
    """Truth 1 + .09 + .5 / 16 on new rows; on these rows the risk of 16 members that were drawn."""
    generator = np.random.default_rng(1)
    new, here = [], []
    for _ in range(300):
        p, y = draw(generator, 16)
        found = predicted_risk(p[:4], y, 16, task="regression")
        new.append(found.lo <= 1.09 + 0.5 / 16 <= found.hi)
        here.append(found.lo_here <= law_losses(p, y, 16).mean() <= found.hi_here)
    # nominal .95 less 2 binomial standard errors of 300 (.025)
    assert np.mean(new) >= 0.925 and np.mean(here) >= 0.925


def test_held_back_sizes_are_measured_exactly() -> None:
    p, y = draw(np.random.default_rng(2), 8)
    pairs = held_back(p, y, task="regression")
    assert [(a.size, a.members) for a, _ in pairs] == [(5, 4), (6, 4), (7, 4), (8, 4)]
    assert pairs[-1][1] == pytest.approx(((p.mean(axis=0)[:, 0] - y) ** 2).mean(), abs=1e-12)
    with pytest.raises(InputError, match="at least 6"):
        held_back(p[:5], y, task="regression")


def test_classification_takes_the_brier_score() -> None:
    generator = np.random.default_rng(3)
    p, y = generator.dirichlet(np.ones(3), (4, 60)), generator.integers(0, 3, 60)
    found = predicted_risk(p, y, 4, task="multiclass")
    assert found.value == pytest.approx(((p.mean(axis=0) - np.eye(3)[y]) ** 2).sum(axis=1).mean(), abs=1e-12)


def test_enough_members_is_the_smallest_size_within_the_share() -> None:
    p, y = draw(np.random.default_rng(4), 6)
    found = enough_members(p, y, task="regression", epsilon=0.02)
    risks = [law_losses(p, y, size).mean() for size in range(1, 200)]
    first = next(at for at, risk in enumerate(risks, 1) if risk <= 1.02 * found["limit"])
    assert found["members"] == first
    assert found["members_upper"] > found["members"]


def test_a_member_is_bought_while_it_saves_its_price() -> None:
    for s2, cost, price in [(0.3, 2.0, 1e-3), (0.01, 5.0, 1e-3), (1.0, 1.0, 1e-4)]:
        gains = [s2 / (k * (k - 1)) / cost for k in range(2, 1000)]
        assert worth_its_price(s2, cost, price) == 1 + sum(gain >= price for gain in gains)


def test_members_go_on_as_far_as_the_bound_says_and_no_further_than_double() -> None:
    assert [next_members(4, u, 1.0) for u in (1.01, 1.3, 1.5, 2.0, 90.0)] == [5, 6, 6, 8, 8]


def test_nested_parts_are_unbiased_and_covered() -> None:
    """Parts .3, .2, .1 a class; the mean of 300 designs within 4 standard errors, intervals at .95 less 3 (.038)."""
    generator, values, held = np.random.default_rng(5), [], []
    truth = np.array([0.3, 0.2, 0.1]) * 3
    for _ in range(300):
        shape = (8, 4, 2, 30, 3)
        p = np.sqrt(0.3) * generator.standard_normal((8, 1, 1, 30, 3))
        p = p + np.sqrt(0.2) * generator.standard_normal((8, 4, 1, 30, 3))
        found = nested_variances(p + np.sqrt(0.1) * generator.standard_normal(shape))
        assert found.draws is not None and found.fits is not None
        triples = np.array([found.generators, found.draws, found.fits])
        values.append(triples[:, 0])
        held.append((triples[:, 1] <= truth) & (truth <= triples[:, 2]))
    error = np.std(values, axis=0) / np.sqrt(300)
    assert np.all(np.abs(np.mean(values, axis=0) - truth) < 4 * error)
    assert np.all(np.mean(held, axis=0) >= 0.912)


def test_a_design_without_draws_or_fits_says_so() -> None:
    p = np.random.default_rng(6).standard_normal((5, 1, 1, 40, 1))
    found = nested_variances(p)
    assert found.draws is None and found.fits is None
    assert found.generators[0] == pytest.approx(p[:, 0, 0, :, 0].var(axis=0, ddof=1).mean(), abs=1e-12)
    two = nested_variances(np.random.default_rng(7).standard_normal((5, 3, 1, 40, 1)))
    assert two.draws is not None and two.fits is None


def test_the_committed_experiment_meets_its_aims() -> None:
    """Simulated: the risk of 16 members held in .93 or more; learners: by 34 seeds of 40; ridge flat."""
    place = Path(__file__).parents[2] / "experiments" / "dge2023" / "results" / "klaw.json"
    rows = json.loads(place.read_text())
    simulated = [row for row in rows if row["what"] == "simulated"]
    assert len(simulated) == 8 and all(row["replicates"] >= 300 for row in simulated)
    assert min(min(row["held_new_rows"], row["held_these_rows"]) for row in simulated) >= 0.93
    learners = {row["learner"]: row for row in rows if row["what"] == "learner"}
    assert set(learners) == {"tree", "forest", "mlp", "1-nn", "ridge"}
    assert all(row["held"] >= 34 and row["seeds"] == 40 for row in learners.values())
    assert learners["ridge"]["gain_from_8_to_16"] < 0.005 < learners["mlp"]["gain_from_8_to_16"]
