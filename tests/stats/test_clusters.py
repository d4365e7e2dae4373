"""Rows that belong together: the mean is unchanged, and intervals of a risk hold it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dge_ray.stats.clusters import by_cluster
from dge_ray.stats.intervals import over_rows
from dge_ray.stats.volume.reflection import risk_interval

RNG = np.random.default_rng(8)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.integers(0, 1000))
def test_the_mean_is_the_rows_mean(codes: list[int], seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(3, len(codes)))
    assert by_cluster(values, np.array(codes)).mean(axis=1) == pytest.approx(values.mean(axis=1))
    assert by_cluster(values, np.arange(len(codes))) == pytest.approx(values)  # each row its own cluster
    assert by_cluster(values, None) is values


def test_the_variance_is_the_sandwich_over_clusters() -> None:
    """Oracle: (sum over clusters of the summed residuals squared) / N^2, and its correction for few clusters."""
    clusters = np.repeat(np.arange(6), [1, 2, 3, 4, 8, 12])
    values = RNG.normal(size=30) + 5.0
    sandwich = sum((values[clusters == c] - values.mean()).sum() ** 2 for c in range(6)) / 30**2
    effective = 30**2 / (np.bincount(clusters) ** 2).sum()
    assert over_rows(by_cluster(values, clusters)).variance == pytest.approx(sandwich * effective / (effective - 1))
    shifted = by_cluster(values + 100.0, clusters)  # how many rows a cluster has is no error
    assert over_rows(shifted).variance == pytest.approx(sandwich * effective / (effective - 1))


def test_a_rare_class_in_few_clusters_has_no_interval() -> None:
    y, clusters = (np.arange(200) % 20 == 0).astype(int), np.arange(200) // 10
    p = np.clip(0.3 * y + RNG.uniform(0.1, 0.6, (4, 200)), 0, 1)
    members = np.stack([1 - p, p], axis=-1)
    for rows, told in ((200, True), (180, False)):  # ten clusters hold it, and nine
        at = slice(rows)
        _, lo, hi = risk_interval(members[:, at], y[at], task="classification", metric="auc", clusters=clusters[at])
        assert (lo < hi) == told and np.isnan(lo) == (not told) and np.isnan(hi) == (not told)


def test_risks_of_clustered_rows_are_held() -> None:
    """Clusters of ten share half of their noise; 4 members; mean absolute error over 400 replicates: .92 is 2.8 Monte
    Carlo errors below .95. Rows taken for independent hold less than .85."""
    rows, held, alone = 600, 0, 0
    clusters = np.arange(rows) // 10
    truth = np.sqrt(2 / np.pi) * np.sqrt(2 + 0.25 / 4)
    for _ in range(400):
        y = RNG.normal(size=60)[clusters] + RNG.normal(size=rows)
        members = 0.5 * RNG.normal(size=(4, rows, 1))
        _, lo, hi = risk_interval(members, y, task="regression", metric="mae", clusters=clusters)
        held += lo <= truth <= hi
        _, lo, hi = risk_interval(members, y, task="regression", metric="mae")
        alone += lo <= truth <= hi
    assert held / 400 >= 0.92 and alone / 400 < 0.85
