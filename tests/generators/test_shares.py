"""Updated shares against a beta posterior, the extremes of its prior's strength, and shifts that neighbours share."""

import numpy as np
import pytest

from dge_ray.generators.autoregressive.shares import STRENGTHS, updated_shares


def test_two_tokens_have_a_beta_posteriors_mean() -> None:
    """One split: (rows + s q) / (n + s) for one of the strengths s."""
    found = updated_shares(np.array([0.7, 0.3]), np.array([50, 50]))[0]
    assert np.abs(found - (50 + STRENGTHS * 0.7) / (100 + STRENGTHS)).min() < 1e-12
    assert 0.5 < found < 0.7


@pytest.mark.parametrize("n", [1, 2, 7, 130])
def test_shares_sum_to_one_and_stay_positive(n: int) -> None:
    rng = np.random.default_rng(n)
    known = rng.dirichlet(np.full(n, 0.3))
    known[rng.integers(n)] *= 0
    for rows in (0, 3, 10_000):
        found = updated_shares(known, rng.multinomial(rows, np.full(n, 1 / n)))
        assert abs(found.sum() - 1) < 1e-12 and (found > 0).all()


def test_rows_as_expected_leave_the_known_shares_and_many_others_replace_them() -> None:
    known = np.arange(1, 17) / 136
    assert np.abs(updated_shares(known, 1360 * known) / known - 1).max() < 1e-3
    counts = np.full(16, 100_000)
    assert np.abs(updated_shares(known, counts) * 16 - 1).max() < 1e-3


def test_few_rows_of_a_shifted_law_come_nearer_to_it_than_known_and_counted_shares() -> None:
    """Divergence from the true law, mean of 50 draws of 300 rows over 128 tokens; counts with a tenth of a row more."""
    x = (np.arange(128) + 0.5) / 128
    known = np.exp(-8 * (x - 0.4) ** 2)
    true = known * np.exp(1.5 * x)
    known, true = known / known.sum(), true / true.sum()
    rng = np.random.default_rng(0)
    found = []
    for _ in range(50):
        counts = rng.multinomial(300, true)
        for shares in (updated_shares(known, counts), known, (counts + 0.1) / (counts + 0.1).sum()):
            found.append((true * np.log(true / shares)).sum())
    ours, before, counted = np.reshape(found, (50, 3)).mean(0)
    assert ours < 0.7 * before and ours < 0.3 * counted
