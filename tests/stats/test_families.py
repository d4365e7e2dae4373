"""The share of the spread between kinds of generator: against the textbook's sums of squares, then in simulation."""

import numpy as np
import pytest

from dge_ray.stats.ensemble.families import between_share


def members(between: float, sizes: list[int], seed: int, directions: int = 40) -> tuple[np.ndarray, list[str]]:
    """Members (K, N, 1) whose families' means have variance `between` and whose own variance is 1, in N directions."""
    rng = np.random.default_rng(seed)
    found, names = [], []
    for i, size in enumerate(sizes):
        mean = rng.normal(scale=between**0.5, size=directions)
        found += [mean + rng.normal(size=directions) for _ in range(size)]
        names += [f"f{i}"] * size
    return np.array(found)[:, :, None], names


def test_it_is_the_textbooks_component() -> None:
    """Sums of squares written out, unbalanced."""
    values, names = members(0.5, [3, 4, 6], seed=0)
    groups = [values[np.array(names) == f"f{i}", :, 0] for i in range(3)]
    n = np.array([len(g) for g in groups])
    grand = values[:, :, 0].mean(0)
    msb = sum(len(g) * ((g.mean(0) - grand) ** 2).sum() for g in groups) / 2
    msw = sum(((g - g.mean(0)) ** 2).sum() for g in groups) / (13 - 3)
    component = (msb - msw) / ((13 - (n**2).sum() / 13) / 2)
    assert between_share(values, names)[0] == pytest.approx(component / (component + msw), rel=1e-9)


def test_no_difference_between_families_is_no_share() -> None:
    """The uncut share is (F - 1) / 4 or so, F having sd sqrt(2/40 + 2/240) = .24 about 1: sd .06, so that what is cut
    at 0 has mean .06 * .4 = .024, with a standard error of .0025 over 200 draws."""
    shares = [between_share(*members(0.0, [4, 4], seed))[0] for seed in range(200)]
    assert np.mean(shares) < 0.024 + 4 * 0.0025


@pytest.mark.parametrize("between", [0.25, 1.0])
def test_the_interval_holds_the_share_of_these_families(between: float) -> None:
    """Three given families of six members, 40 directions. 400 replicates: .95 has a standard error of .011; at least
    .95 - 4 of them = .906 is asked."""
    means = np.random.default_rng(1).normal(scale=between**0.5, size=(3, 40))
    component = ((means - means.mean(0)) ** 2).sum() / 2
    true = component / (component + 40)
    names = [f"f{i}" for i in range(3) for _ in range(6)]
    held = 0
    for seed in range(400):
        noise = np.random.default_rng([seed, 7]).normal(size=(18, 40))
        _, lower, upper = between_share((np.repeat(means, 6, axis=0) + noise)[:, :, None], names)
        held += lower <= true <= upper
    assert held / 400 >= 0.906


def test_two_members_a_family_say_little_and_fewer_are_refused() -> None:
    values, names = members(1.0, [2, 5], seed=0)
    share, lower, upper = between_share(values, names)
    assert 0 < share < 1 and (lower, upper) == (0.0, 1.0)
    with pytest.raises(ValueError, match="'f0': 1"):
        between_share(*members(1.0, [1, 5], seed=0))
    with pytest.raises(ValueError, match="at least two"):
        between_share(*members(1.0, [5], seed=0))
