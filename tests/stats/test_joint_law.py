"""The joint law on surfaces that follow it exactly: parts and cells against the closed form."""

import numpy as np
import pytest
from test_learning_curve import VOLUMES, draw

from dge_ray.errors import InputError
from dge_ray.stats.volume.joint_law import joint_law

COSTS = 2.0 + VOLUMES / 1000  # a generator of 2 s, 1 s a thousand rows


def true_risk(k: np.ndarray, m: np.ndarray, *, gain: float, exponent: float) -> np.ndarray:
    u = m / 1000
    return 1.05 + gain * u**-exponent + (0.06 + 0.1 * u**-exponent) / k


@pytest.mark.slow
def test_parts_and_named_cells_are_those_of_the_law() -> None:
    """30 surfaces, 8 members: .95 intervals less 2.5 binomial standard errors (.1); the named cells' true excess."""
    generator, held, inside, price = np.random.default_rng(0), [], [], []
    law = {"gain": 0.3, "exponent": 0.7}
    for seed in range(30):
        p, y = draw(generator, n=2000, **law)
        found = joint_law(p, y, task="regression", volumes=VOLUMES, costs=COSTS, epsilon=0.03, seed=seed, draws=200)
        assert found.floor and found.rows and found.generators and found.exponent
        assert found.best and found.cheapest and found.cheapest_by_estimate
        best = true_risk(np.array(found.best.members), np.array(found.best.volume), **law)
        excess = [
            true_risk(np.array(c.members), np.array(c.volume), **law) / best - 1
            for c in (found.cheapest, found.cheapest_by_estimate)
        ]
        parts = [(found.floor, 1.05), (found.rows, 0.3 * 32**-0.7), (found.generators, 0.06), (found.exponent, 0.7)]
        parts += [(found.cheapest.excess, excess[0]), (found.cheapest_by_estimate.excess, excess[1])]
        held.append([lo <= truth <= hi for (_, lo, hi), truth in parts])
        inside.append(excess[0] <= 0.03)
        price.append(found.cheapest.cpu_seconds / found.best.cpu_seconds)
        assert found.cheapest_by_estimate.cpu_seconds <= found.cheapest.cpu_seconds <= found.best.cpu_seconds
    assert np.mean(held, axis=0).min() >= 0.85
    assert np.mean(inside) >= 0.9  # nominal .975
    assert np.mean(price) < 0.5


def test_where_it_says_nothing() -> None:
    generator = np.random.default_rng(1)
    p, y = draw(generator, gain=0.1, exponent=0.7, rise=0.05)
    refused = joint_law(p, y, task="regression", volumes=VOLUMES, costs=COSTS)
    assert refused.status == "refused" and refused.cheapest is None
    p, y = draw(generator, gain=0.0, exponent=1.0)
    flat = joint_law(p, y, task="regression", volumes=VOLUMES, costs=COSTS)
    assert flat.status == "unidentified" and flat.cheapest is not None
    few = joint_law(p[:3], y, task="regression", volumes=VOLUMES, costs=COSTS)
    assert few.status == "unidentified" and "3 members" in few.reason
    with pytest.raises(InputError, match="one a volume"):
        joint_law(p, y, task="regression", volumes=VOLUMES, costs=COSTS[:3])


def test_classification_is_the_brier_score() -> None:
    generator = np.random.default_rng(2)
    y = generator.integers(0, 3, 300)
    shares = np.eye(3)[y] * 0.4 + 0.2
    noise = generator.standard_normal((6, 5, 300, 3)) * (2.0 ** -np.arange(5))[:, None, None] * 0.3
    p = np.clip(shares + noise, 1e-3, None)
    p /= p.sum(axis=-1, keepdims=True)
    found = joint_law(p, y, task="multiclass", volumes=100 * 2 ** np.arange(5), costs=np.ones(5))
    assert found.metric == "brier" and found.best is not None
    full = ((p[:, -1].mean(axis=0) - np.eye(3)[y]) ** 2).sum(axis=1).mean()
    assert found.best.risk == pytest.approx(full, rel=0.05)
