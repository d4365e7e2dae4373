"""Pairs of learner and volume: one learner alone is the grid's own best set, and the best pair is held."""

import numpy as np
import pytest

from dge_ray.stats.volume.pairs import best_pairs
from dge_ray.stats.volume.reflection import best_set, reflection_point
from dge_ray.stats.volume.volumes import volume_risks


def cells(random: np.random.Generator, biases: list[float], y: np.ndarray, members: int = 5) -> np.ndarray:
    """Regression members: a bias of the volume, and noise of their own. Shape: -> (members, volumes, N, 1)."""
    noise = 0.3 * random.standard_normal((members, 1, len(y))) + 0.2 * random.standard_normal((members, len(biases), 1))
    return (y + np.array(biases)[:, None] + noise)[..., None]


def test_one_learner_has_the_best_set_of_its_grid_and_a_dropped_volume_is_left_out() -> None:
    random = np.random.default_rng(0)
    y = random.standard_normal(200)
    p = cells(random, [0.4, 0.1, 0.0, 0.1], y)
    (found,) = best_pairs([p], y, metric="rmse", seed=3)
    assert found.tolist() == best_set(volume_risks(p, y, "rmse"), seed=3).tolist()
    p[2, 0] = np.nan
    first, second = best_pairs([p, cells(random, [0.0, 2.0], y)], y, metric="rmse", seed=3)
    assert len(first) == 4 and not first[0] and second.tolist()[1] is False


def test_a_learner_that_is_far_off_has_no_pair() -> None:
    random = np.random.default_rng(1)
    y = random.standard_normal(300)
    far, near = best_pairs([cells(random, [2.0, 2.0], y), cells(random, [0.1, 0.0], y)], y, metric="rmse", seed=0)
    assert not far.any() and near.any()


def test_looks_widen_what_is_held() -> None:
    """The candidates of a stricter level hold those of a laxer one, since the draws are the same."""
    random = np.random.default_rng(2)
    y = random.standard_normal(150)
    p = cells(random, [0.35, 0.3, 0.2, 0.15, 0.1], y)
    once, often = (
        reflection_point(p, y, task="regression", volumes=[1, 2, 4, 8, 16], looks=looks) for looks in (1, 20)
    )
    assert set(once.candidates) <= set(often.candidates) and (once.volume, once.level) == (often.volume, often.level)
    stricter = reflection_point(p, y, task="regression", volumes=[1, 2, 4, 8, 16], level=1 - 0.05 / 20)
    assert often.candidates == stricter.candidates


@pytest.mark.parametrize("apart", [0.0, 0.1])
def test_the_best_pair_is_held(apart: float) -> None:
    """Of 100 draws, nominal .95 less 2.3 binomial standard errors (.05). Biases are of members' means, so the least of
    them is the best pair; with `apart` 0 the two learners have equally good ones, of which either must be held."""
    held = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        y = random.standard_normal(100)
        found = best_pairs(
            [cells(random, [0.5, 0.2, apart], y), cells(random, [0.4, 0.0, 0.3], y)], y, metric="rmse", seed=seed
        )
        held += bool(found[1][1]) or (apart == 0 and bool(found[0][2]))
    assert held >= 90
