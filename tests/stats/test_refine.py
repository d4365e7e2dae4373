"""The coarse-to-fine search on curves without noise, where its end is known, and its promises on any grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.errors import InputError
from dge_ray.stats.volume.refine import coarse_volumes, most_volumes, next_volumes

GRID = np.arange(1, 31) * 100


def searched(bias: np.ndarray, grid: np.ndarray = GRID, noise: float = 0.01, rows: int = 200) -> list[int]:
    """The volumes that the search looks at where member k predicts bias(m) + noise: R = 1 + bias^2 + noise^2 / K."""
    generator = np.random.default_rng(0)
    y = generator.standard_normal(rows)
    y -= y.mean()
    own = noise * generator.standard_normal((4, len(grid), rows))
    p = (bias[:, None] + own)[..., None]
    done: list[int] = []
    batch = coarse_volumes(grid)
    while batch:
        assert not set(batch) & set(done)
        done = sorted({*done, *batch})
        at = np.isin(grid, done)
        batch = next_volumes(p[:, at], y, task="regression", volumes=done, grid=grid)
    return done


@pytest.mark.parametrize("best", [3, 7, 16, 24])
def test_a_sharp_minimum_is_found_to_the_cell_with_its_neighbours(best: int) -> None:
    bias = 0.6 * np.abs(np.log(GRID / (100 * best)))
    done = searched(bias)
    assert len(done) <= most_volumes(len(GRID)) == 12
    assert 100 * best in done
    assert min(done, key=lambda m: abs(np.log(m / (100 * best)))) == 100 * best


def test_an_end_that_is_clearly_best_needs_few_volumes() -> None:
    falling = searched(2.0 - 0.4 * np.log(GRID / 100))
    assert 3000 in falling and len(falling) <= 10
    rising = searched(0.5 * np.log(GRID / 100))
    assert 100 in rising and len(rising) <= 8


def test_a_flat_curve_uses_up_its_share_and_no_more() -> None:
    assert len(searched(np.zeros(30), noise=0.3)) == 12


@given(st.lists(st.integers(2, 10**6), min_size=1, max_size=60, unique=True))
@settings(max_examples=200, deadline=None)
def test_the_first_round_of_any_grid(grid: list[int]) -> None:
    grid = sorted(grid)
    first = coarse_volumes(grid)
    assert first == sorted(set(first)) and set(first) <= set(grid)
    assert len(first) == min(5, len(grid)) <= most_volumes(len(grid))
    assert {grid[0], grid[-1]} <= set(first)


def test_volumes_outside_the_grid_are_refused() -> None:
    with pytest.raises(InputError, match="outside the grid"):
        next_volumes(np.zeros((2, 1, 5, 1)), np.zeros(5), task="regression", volumes=[7], grid=GRID)
