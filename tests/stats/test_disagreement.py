"""Pairwise disagreement, checked against a plain loop over pairs, and its interval by simulation."""

from itertools import combinations

import numpy as np
import pytest

from dge_ray.stats.ensemble.disagreement import disagreement


@pytest.mark.parametrize("k", [2, 3, 7])
def test_is_the_mean_over_pairs(k: int) -> None:
    rng = np.random.default_rng(k)
    members = rng.dirichlet([1.0, 2.0, 0.5], size=(k, 200)).astype(np.float32)
    plain = [np.mean(a.argmax(1) != b.argmax(1)) for a, b in combinations(members, 2)]
    assert disagreement(members, task="multiclass")[0] == pytest.approx(np.mean(plain), abs=1e-12)
    values = (1e4 + rng.normal(size=(k, 200, 1))).astype(np.float32)
    plain = [np.mean((a.astype(float) - b.astype(float)) ** 2) for a, b in combinations(values, 2)]
    assert disagreement(values, task="regression")[0] == pytest.approx(np.sqrt(np.mean(plain)), rel=1e-6)


def test_copies_do_not_disagree_and_two_members_have_no_interval() -> None:
    members = np.repeat(np.random.default_rng(0).dirichlet([1.0, 1.0], size=(1, 50)), 4, axis=0)
    assert disagreement(members, task="binary") == (0.0, 0.0, 0.0)
    assert disagreement(members[:, :, :1], task="regression")[0] == pytest.approx(0, abs=1e-9)
    other = np.stack([members[0], members[0][:, ::-1]])
    assert disagreement(other, task="binary") == (1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="at least two"):
        disagreement(members[:1], task="binary")


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_interval_covers(task: str) -> None:
    """Eight members, each a shared score plus noise of its own size (so that members, not only rows, matter).

    The truth is the mean over 200 other members on the same rows. 400 replicates at a coverage of .95 have a standard
    error of .011; 3 of them below, and an interval that always covers would be too wide to mean anything: under 1.
    """
    rng = np.random.default_rng(0)
    rows, covered = 300, 0
    shared = rng.normal(size=rows)

    def draw(k: int) -> np.ndarray:
        sizes = rng.gamma(4.0, 0.1, size=(k, 1))
        score = shared + sizes * rng.normal(size=(k, rows)) + 0.2 * rng.normal(size=(k, 1))
        return score[:, :, None] if task == "regression" else np.stack([score < 0, score >= 0], axis=2).astype(float)

    truth = np.mean([disagreement(draw(200), task=task)[0] ** 2 for _ in range(5)]) ** 0.5
    for _ in range(400):
        _, lo, hi = disagreement(draw(8), task=task)
        covered += lo <= truth <= hi
    assert 0.915 < covered / 400 < 1
