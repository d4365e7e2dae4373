"""The worst member: rarely one of a kind that only looks bad, nearly always one that failed."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import binomtest

from dge_ray.stats.ensemble.worst_member import worst_member

RNG = np.random.default_rng(2)
Y = np.zeros(400)


def members(count: int, *, failed: bool = False) -> np.ndarray:
    sizes = 1 + 0.1 * RNG.normal(size=count)
    if failed:
        sizes[-1] += 2
    return sizes[:, None, None] * np.ones((count, 400, 1))


def test_one_that_failed_is_named_and_the_share_is_the_binomial_bound() -> None:
    found = worst_member(members(8, failed=True), Y, "mae")
    assert found is not None and (found.member, found.apart) == (7, True)
    assert found.failing_share == pytest.approx(binomtest(1, 8, alternative="less").proportion_ci(0.95).high)
    json.dumps(asdict(found))
    alike = worst_member(np.ones((8, 400, 1)), Y, "mae")
    assert alike is not None and not alike.apart and alike.failing_share == pytest.approx(1 - 0.05 ** (1 / 8))
    assert worst_member(members(3), Y, "mae") is None


def test_members_of_one_kind_seldom_stand_apart() -> None:
    """Nominal .05 by Bonferroni over eight that are normal, 400 replicates: .09 is 3.7 Monte Carlo errors above. (The
    worst is compared with others that are the better ones, so a little more than nominal is to be expected.)"""
    apart = [worst_member(members(8), Y, "mae").apart for _ in range(400)]  # type: ignore[union-attr]
    assert np.mean(apart) <= 0.09
