"""The recommended cell: its risk by brute force, surfaces whose best cell is known, and its price."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from dge_ray.errors import InputError
from dge_ray.stats.volume.recommendation import Recommendation, recommend

VOLUMES, PRICES = (100, 200, 400), (1.0, 1.5, 3.0)
ROWS, K = 400, 6


def drawn(
    bias: tuple[float, ...], spread: float, *, members: int = K, rows: int = ROWS
) -> tuple[np.ndarray, np.ndarray]:
    """Members at volumes of a bias along one direction; every error apart from it is shared by the volumes."""
    generator = np.random.default_rng(5)
    y, wave = generator.normal(size=rows), np.sin(np.arange(rows))
    own = spread * generator.normal(size=(members, 1, rows))
    return (np.array(bias)[None, :, None] * wave + own)[..., None], y


def chosen(bias: tuple[float, ...], spread: float, margin: float, **keys: int) -> Recommendation:
    predictions, y = drawn(bias, spread, **keys)
    return recommend(predictions, y, task="regression", volumes=VOLUMES, prices=PRICES, margin=margin)


def test_the_risk_is_that_of_all_subsets() -> None:
    predictions, y = drawn((0.5, 0.1, 0.0), 0.6)
    found = recommend(predictions, y, task="regression", volumes=VOLUMES, prices=PRICES, margin=0.05, metric="mae")
    at = VOLUMES.index(found.volume)
    subsets = [predictions[list(some), at].mean(axis=0)[:, 0] for some in combinations(range(K), found.members)]
    assert found.risk == pytest.approx(np.mean([np.abs(p - y).mean() for p in subsets]))
    assert found.price == pytest.approx(found.members * PRICES[at])
    assert (found.best_members, found.best_price) == (K, K * PRICES[VOLUMES.index(found.best_volume)])


def test_equal_cells_cost_as_little_as_can_be() -> None:
    found = chosen((0.1, 0.1, 0.1), 0.0, 0.01)
    assert (found.members, found.volume, found.price, found.told) == (1, 100, 1.0, True)
    assert found.excess == (0.0, 0.0)


def test_a_cheap_cell_that_is_known_to_be_worse_is_not_taken() -> None:
    assert chosen((3.0, 0.0, 0.0), 0.1, 0.02).volume == 200
    assert chosen((0.0, 0.0, 0.0), 1.0, 0.05).members > 1  # one member's variance is the truth's own
    assert chosen((0.0, 0.0, 0.0), 0.05, 0.05).members == 1


def test_what_cannot_be_told_is_said_with_what_would_tell() -> None:
    found = chosen((0.4, 0.35, 0.3), 1.0, 1e-4, rows=60)
    assert not found.told and found.excess[1] > found.margin
    alone = [found.rows_needed, found.members_needed]
    assert found.both_needed is not None and found.both_needed[0] > found.rows == 60
    assert all(one is None or one > now for one, now in zip(alone, (60, K), strict=True))
    sure = chosen((0.4, 0.35, 0.3), 1.0, 10.0, rows=60)
    assert sure.told and (sure.rows_needed, sure.members_needed, sure.both_needed) == (None, None, None)
    assert sure.price == 1.0, "any cell is within ten"


def test_a_score_to_be_maximised_and_a_single_member() -> None:
    y = np.arange(200) % 2
    right = np.array([0.6, 0.9])[:, None] + 0.05 * np.random.default_rng(0).normal(size=(4, 2, 200))
    p = np.stack([np.where(y == 0, right, 1 - right), np.where(y == 1, right, 1 - right)], axis=-1)
    keys = {"task": "binary", "volumes": (10, 20), "prices": (1.0, 9.0), "metric": "auc"}
    found = recommend(p, y, margin=0.01, **keys)
    assert found.risk > 0.98 and found.excess[0] <= found.excess[1] <= 0.01
    assert recommend(p[:1], y, margin=0.5, **keys).members == 1


@pytest.mark.parametrize(("key", "value"), [("prices", (1.0,)), ("prices", (1.0, -1.0, 2.0)), ("margin", float("nan"))])
def test_bad_input_is_one_line(key: str, value: object) -> None:
    predictions, y = drawn((0.0, 0.0, 0.0), 0.1, members=2, rows=20)
    keys = {"volumes": VOLUMES, "prices": PRICES, "margin": 0.1} | {key: value}
    with pytest.raises(InputError, match=f"^{key}: got "):
        recommend(predictions, y, task="regression", **keys)


def test_the_committed_simulation_meets_the_targets() -> None:
    file = Path(__file__).parents[2] / "experiments" / "coverage" / "results" / "recommendation.json"
    *lines, _ = json.loads(file.read_text())
    assert all(line["covered"] >= 0.93 for line in lines if line["holds"])
    (whole,) = (line for line in lines if line["holds"] and line["target"] and "known" not in line["claim"])
    assert whole["price"] <= 0.5 and whole["replicates"] >= 300
