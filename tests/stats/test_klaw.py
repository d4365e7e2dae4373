"""The K-law against brute force over all subsets; the gain's bound and its degrees of freedom against simulation."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.errors import InputError
from dge_ray.stats.ensemble.klaw import effective_directions, gain_of_doubling, law_losses
from dge_ray.stats.metrics.by_row import brier, squared_error


def members_of(task: str, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    if task == "regression":
        return generator.standard_normal((k, 20, 1)), generator.standard_normal(20)
    classes = 2 if task == "binary" else 4
    return generator.dirichlet(np.ones(classes), (k, 20)), generator.integers(0, classes, 20)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["binary", "multiclass", "regression"]), st.integers(2, 7), st.integers(0, 10**6))
def test_the_law_is_brute_force_over_all_subsets(task: str, k: int, seed: int) -> None:
    members, y = members_of(task, k, seed)
    loss = squared_error if task == "regression" else brier
    for size in range(1, k + 1):
        subsets = [loss(members[list(s)].mean(axis=0), y) for s in combinations(range(k), size)]
        np.testing.assert_allclose(law_losses(members, y, size), np.mean(subsets, axis=0), atol=1e-10, rtol=0)


def test_beyond_the_members_in_hand_the_law_predicts_without_bias() -> None:
    generator = np.random.default_rng(0)
    members = 0.5 * generator.standard_normal((20_000, 16, 1, 1)) + 0.2
    y = np.zeros(1)
    predicted = [law_losses(m[:4], y, 16).item() for m in members]
    seen = members.mean(axis=1)[:, 0, 0] ** 2
    # both estimate .04 + .25 / 16; 4 standard errors of the difference of two means over 20,000 draws
    tolerance = 4 * np.hypot(np.std(predicted), np.std(seen)) / np.sqrt(20_000)
    assert np.mean(predicted) == pytest.approx(0.04 + 0.25 / 16, abs=tolerance)
    assert np.mean(seen) == pytest.approx(0.04 + 0.25 / 16, abs=tolerance)


def test_one_member_has_no_other_size() -> None:
    members, y = members_of("regression", 1, 0)
    np.testing.assert_allclose(law_losses(members, y, 1), squared_error(members[0], y))
    with pytest.raises(InputError, match="at least 2"):
        law_losses(members, y, 2)


def test_the_gain_is_what_doubling_brings() -> None:
    members, y = members_of("multiclass", 8, 3)
    gain, upper = gain_of_doubling(members)
    assert gain == pytest.approx(law_losses(members, y, 8).mean() - law_losses(members, y, 16).mean(), abs=1e-12)
    assert upper > gain
    assert gain_of_doubling(np.ones((4, 10, 1))) == (0.0, 0.0)
    with pytest.raises(InputError, match="at least 4 members"):
        gain_of_doubling(members[:3])


@pytest.mark.parametrize("directions", [1, 3, 400])
def test_the_upper_bound_holds_as_often_as_it_says(directions: int) -> None:
    """From members that all err alike to members that err everywhere differently; 4 members, the fewest allowed."""
    generator = np.random.default_rng(directions)
    held = []
    for _ in range(800):
        x = np.eye(400) * np.sqrt(400) if directions == 400 else generator.standard_normal((directions, 400))
        own = generator.standard_normal((4, directions)) / np.sqrt(directions)
        held.append(gain_of_doubling((own @ x)[..., None])[1] >= 1 / 8)
    # nominal .95 less 3 binomial standard errors (.023) and .01 for the approximation
    assert np.mean(held) >= 0.917


def test_effective_directions_of_known_covariances() -> None:
    generator = np.random.default_rng(5)
    one = generator.standard_normal((8, 1)) * np.ones(50)
    assert effective_directions(one[..., None]) == pytest.approx(1.0, abs=1e-9)
    # equal variances in 10 directions: ratio of two unbiased parts, so right within a few percent at 400 members
    ten = generator.standard_normal((400, 10))
    assert effective_directions(ten[..., None]) == pytest.approx(10.0, rel=0.1)
