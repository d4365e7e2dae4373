"""Members of a cross-fitted study: F generators apart, whose errors are independent given the real rows."""

import numpy as np
import pytest

from dge_ray.stats.twoway import two_way
from dge_ray.stats.volume.reflection import reflection_point

FOLD = np.repeat([0, 1, 2], [30, 40, 50])


def pseudo(random: np.random.Generator, k: int = 4) -> np.ndarray:
    """Of one statistic: an error of each member in each fold (variance 1), and of each row (variance 4)."""
    return (random.normal(size=(k, 3))[:, FOLD] + 2 * random.normal(size=(k, 120)))[:, None]


def test_the_variance_is_that_of_the_folds_own_sums() -> None:
    values = pseudo(np.random.default_rng(0))
    found = two_way(values.mean(axis=0), values, FOLD)
    each = [two_way(v.mean(axis=0), v) for v in (values[:, :, f == FOLD] for f in range(3))]
    shares = np.bincount(FOLD) / 120
    assert found.members[0, 0] == pytest.approx(
        sum(s**2 * one.members[0, 0] for s, one in zip(shares, each, strict=True))
    )
    assert found.interaction[0, 0] == pytest.approx(
        sum(s**2 * one.interaction[0, 0] for s, one in zip(shares, each, strict=True))
    )
    assert (found.member_freedom, two_way(values.mean(axis=0), values).member_freedom) == (9, 3)
    one = two_way(values.mean(axis=0), values, np.zeros(120, int))
    assert one.members[0, 0] == two_way(values.mean(axis=0), values).members[0, 0]


def test_what_members_add_is_right_on_average_and_surer() -> None:
    """300 draws of the errors of 4 members: their mean's variance is sum(share^2) / 4, known to 2.7 % from 9 degrees of
    freedom a draw and to 4.7 % from 3; .1 and .17 are 3.6 of these. The spread is 1.7 times larger with 3."""
    random, by_fold, whole = np.random.default_rng(1), [], []
    for _ in range(300):
        values = pseudo(random)
        for kept, folds in ((by_fold, FOLD), (whole, None)):
            spread = two_way(values.mean(axis=0), values, folds)
            kept.append(float((spread.members - spread.interaction)[0, 0]))
    true = float(((np.bincount(FOLD) / 120) ** 2).sum()) / 4
    assert np.mean(by_fold) == pytest.approx(true, rel=0.1) and np.mean(whole) == pytest.approx(true, rel=0.17)
    assert np.std(by_fold) < 0.8 * np.std(whole)


def test_a_metric_that_is_no_mean_over_rows_is_read_over_whole_members() -> None:
    random = np.random.default_rng(2)
    y = random.integers(0, 2, 120)
    p = np.clip(0.3 * y + random.uniform(0.1, 0.6, (4, 3, 120)), 0, 1)
    cells, keys = np.stack([1 - p, p], axis=-1), {"task": "classification", "volumes": [10, 20, 40]}
    for metric, same in (("auc", True), ("brier", False)):
        with_folds, without = (
            reflection_point(cells, y, metric=metric, folds=folds, **keys)  # pyright: ignore[reportArgumentType]
            for folds in (FOLD, None)
        )
        assert (with_folds == without) == same
