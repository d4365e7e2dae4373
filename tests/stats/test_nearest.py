"""Nearest rows against brute force, and what the shares are where they are known."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from dge_ray.stats.leakage.nearest import closer_share, copy_share, nearest, nearest_squared, nearness, unit_points

Table = dict[str, np.ndarray]


def table(n: int, seed: int) -> Table:
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=n), 1)
    return {
        "x": np.where(rng.random(n) < 0.1, np.nan, x),
        "c": rng.integers(-1, 4, n).astype(np.int32),
        "d": rng.integers(0, 2, n).astype(np.int32),
    }


def rows(of: Table, keep: np.ndarray | slice) -> Table:
    return {name: values[keep] for name, values in of.items()}


def apart(a: Table, i: int, b: Table, j: int, span: float) -> float:
    """One squared distance, column by column."""
    total = 0.0
    x, y = a["x"][i], b["x"][j]
    if np.isnan(x) != np.isnan(y):
        low = float(np.nanmin(b["x"]))
        total += 0.75 + (((x if np.isnan(y) else y) - low) / span - 0.5) ** 2
    elif not np.isnan(x):
        total += ((x - y) / span) ** 2
    return total + float(a["c"][i] != b["c"][j]) + float(a["d"][i] != b["d"][j])


def test_distances_are_those_of_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    from dge_ray.stats.leakage import nearest

    monkeypatch.setattr(nearest, "BLOCK_CELLS", 100)  # several blocks
    a, b = table(40, 0), table(30, 1)
    span = float(np.nanmax(b["x"]) - np.nanmin(b["x"]))
    expected = [min(apart(a, i, b, j, span) for j in range(30)) for i in range(40)]
    assert np.allclose(nearest_squared(*unit_points(a, b)), expected, atol=1e-9)


def test_closer_share_of_copies_of_fresh_rows_and_of_ties() -> None:
    """Fresh rows: .5 with a standard error of .5 / sqrt(2000) = .011; 4 of them are .045."""
    train, holdout = table(1_000, 0), table(1_000, 1)
    many = {name: values + 0.0 for name, values in train.items() if name == "x"}
    many["x"] = np.random.default_rng(2).normal(size=1_000)
    other = {"x": np.random.default_rng(3).normal(size=1_000)}
    # Some points of one sample lie within 1e-6 of the other: ties, at half.
    assert closer_share(many, many, other) == pytest.approx(1.0, abs=0.005)
    assert closer_share(other, many, other) == pytest.approx(0.0, abs=0.005)
    fresh = {"x": np.random.default_rng(4).normal(size=2_000)}
    assert closer_share(fresh, many, other) == pytest.approx(0.5, abs=0.045)
    constant = {"d": np.zeros(50, np.int32)}
    assert closer_share(constant, constant, constant) == 0.5
    assert closer_share(table(2_000, 5), train, holdout) == pytest.approx(0.5, abs=0.045)
    with pytest.raises(ValueError, match="as many"):
        closer_share(fresh, many, rows(other, slice(0, 10)))


def test_copy_share_counts_equal_rows_missing_values_too() -> None:
    train = table(500, 0)
    assert copy_share(train, train) == 1.0
    other = rows(train, slice(0, 100))
    other["x"] = np.where(np.arange(100) < 50, other["x"] + 0.05, other["x"])  # no value of train's lattice
    expected = np.mean([np.isnan(x) or i >= 50 for i, x in enumerate(other["x"])])
    assert copy_share(other, train) == pytest.approx(expected)
    assert copy_share({"x": np.array([-0.0])}, {"x": np.array([0.0])}) == 1.0


@pytest.mark.parametrize(("width", "n"), [(1, 3_000), (3, 2_000), (60, 800)])
def test_nearest_rows_are_scikit_learns(width: int, n: int) -> None:
    """Dense rows, whose neighbours single precision alone would confuse, and wide ones, which it settles."""
    rng = np.random.default_rng(width)
    points, others = rng.random((n, width)), rng.random((n, width))
    found, which = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(others).kneighbors(points)
    squared, index = nearest(points, others)
    assert np.array_equal(index, which[:, 0])
    assert np.allclose(squared, found[:, 0] ** 2, rtol=1e-9, atol=1e-12)
    assert np.array_equal(nearest(others, others)[0], np.zeros(n))


def test_the_interval_is_over_real_rows_that_many_synthetic_rows_may_crowd_around() -> None:
    """Neither train nor holdout knows the other: .5 is inside in 95 % of 200 tables, less 3 standard errors. The
    binomial interval of 4,000 synthetic rows would be 4 times too narrow for 60 real ones."""
    inside, narrow = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        made, train, holdout = ({"x": rng.normal(size=n), "z": rng.normal(size=n)} for n in (4_000, 60, 60))
        found = nearness(made, train, holdout)
        inside.append(found.interval[0] <= 0.5 <= found.interval[1])
        narrow.append(abs(found.closer - 0.5) <= 1.96 * 0.5 / 4_000**0.5)
    assert np.mean(inside) > 0.95 - 3 * (0.95 * 0.05 / 200) ** 0.5
    assert np.mean(narrow) < 0.5


def test_nearness_of_copies() -> None:
    """Three in ten are copies of train: at the 5th percentile they are at 0, and so many equal a row."""
    rng = np.random.default_rng(0)
    train, holdout, made = ({"x": rng.normal(size=n), "z": rng.normal(size=n)} for n in (500, 500, 1_000))
    for name, values in made.items():
        values[:300] = train[name][:300]
    found = nearness(made, train, holdout)
    assert found.train["copies"] == 0.3 and found.holdout["copies"] == 0.0
    assert found.train["fifth"] == 0.0 < found.holdout["fifth"]
    assert found.interval[0] > 0.5 and (found.rows, found.synthetic) == (500, 1_000)
