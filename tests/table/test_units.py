"""Splits by groups and by time: whole units by counting, shares by arithmetic, and the refusals by their line."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.errors import InputError
from dge_ray.table import Split, infer_schema, split_table, take_split_column
from dge_ray.table.units import read_units


def split_of(table: pa.Table, group: str | None = None, time: str | None = None, **more: object) -> Split:
    units = read_units(table, group, time)
    kept = table.drop_columns([group]) if group else table
    return split_table(kept, infer_schema(kept, target="y"), **{"seed": 0, "units": units, **more})  # type: ignore


def grouped(sizes: np.ndarray, classes: int = 2, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    order = rng.permutation(len(group))
    y = rng.integers(0, classes, len(group))
    return pa.table({"g": [f"p{k}" for k in group[order]], "x": rng.normal(size=len(group)), "y": [f"c{k}" for k in y]})


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=40, max_size=80).filter(lambda sizes: sum(sizes) > 200),
    st.integers(2, 4),
    st.integers(0, 99),
    st.floats(0.1, 0.3),
)
def test_groups_are_whole_and_shares_are_near(sizes: list[int], classes: int, seed: int, fraction: float) -> None:
    table = grouped(np.array(sizes), classes, seed)
    split = split_of(table, "g", seed=seed, test_fraction=fraction)
    group = np.array(table["g"].to_pylist())
    rows = np.concatenate([part for _, part in split.parts()])
    assert sorted(rows.tolist()) == list(range(len(group)))
    seen = [set(group[part]) for _, part in split.parts()]
    assert sum(map(len, seen)) == len(set(group))  # no group in two parts
    assert abs(len(split.test) - fraction * len(group)) <= 2 * max(sizes)
    y = np.array(table["y"].to_pylist())
    assert all(set(y[part]) == set(y) for _, part in split.parts())


def test_a_property_of_the_group_is_stratified() -> None:
    """A tenth of 200 groups has the rare class, and so have a fifth of that the test groups."""
    rare = np.repeat(np.arange(200) % 10 == 0, 5)
    table = pa.table({"g": np.repeat(np.arange(200), 5), "x": np.arange(1000) % 7, "y": np.where(rare, "r", "c")})
    split = split_of(table, "g")
    assert split.rows == {"train": 610, "stopping": 70, "validation": 120, "test": 200}
    assert [int(rare[part].sum()) for _, part in split.parts()] == [60, 10, 10, 20]


def test_a_giant_group_leaves_the_other_parts_something() -> None:
    table = grouped(np.array([600, *[10] * 40]))
    split = split_of(table, "g")
    assert 160 <= len(split.test) <= 240 and len(split.train) >= 600


def test_a_quantity_is_spread_over_the_parts() -> None:
    rng = np.random.default_rng(0)
    level = np.repeat(rng.normal(size=300), 4)
    table = pa.table({"g": np.repeat(np.arange(300), 4), "x": rng.normal(size=1200), "y": level + rng.random(1200)})
    split = split_of(table, "g")
    assert abs(level[split.test].mean() - level.mean()) < 0.1  # of random groups .13 on the average


def test_the_latest_rows_are_test_and_ties_stay_whole() -> None:
    rng = np.random.default_rng(1)
    day = rng.integers(0, 50, 1000)
    table = pa.table({"t": pa.array(day).cast(pa.int32()).cast(pa.date32()), "x": rng.normal(size=1000), "y": day % 2})
    split = split_of(table, time="t")
    parts = [day[part] for part in (split.train, split.stopping, split.validation, split.test)]
    assert all(before.max() < after.min() for before, after in pairwise(parts))
    assert abs(len(split.test) - 200) <= 20  # half a day


def test_groups_in_time_are_ordered_by_their_last_row() -> None:
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(100), 6)
    time = group + rng.integers(0, 30, 600)
    table = pa.table({"g": group, "t": time, "x": rng.normal(size=600), "y": rng.integers(0, 2, 600)})
    split = split_of(table, "g", "t")
    assert not set(group[split.train]) & set(group[split.test])
    last = np.array([time[group == k].max() for k in range(100)])
    assert last[group[split.train]].max() < last[group[split.test]].min()


def test_the_split_column_must_keep_groups_whole() -> None:
    group = np.repeat(np.arange(40), 5)
    part = np.where(group < 30, "train", "test").astype("U10")
    table = pa.table({"g": group, "part": part, "x": np.arange(200) % 7, "y": np.arange(200) % 2})
    rest, labels = take_split_column(table, "part")
    split = split_of(rest, "g", labels=labels)
    assert not set(group[split.stopping]) & set(group[split.train]) and len(split.validation)
    part[[0, 7]] = "test"
    torn, labels = take_split_column(table.set_column(1, "part", pa.array(part)), "part")
    with pytest.raises(InputError, match=r"^group_column: got 2 groups whose rows split_column puts into several"):
        split_of(torn, "g", labels=labels)


@pytest.mark.parametrize(
    ("group", "time", "line"),
    [
        ("q", None, "group_column: got 'q', which is no column"),
        ("hole", None, "group_column: got missing values in 1 row of 'hole'"),
        ("one", None, "group_column: got 'one', which is the same in every row"),
        ("three", None, "group_column: got 3 different groups for 4 parts; takes at least 4"),
        (None, "word", "time_column: got 'word' of type string; takes dates"),
        (None, "hole", "time_column: got missing values"),
        (None, "three", "time_column: got 3 different times for 4 parts"),
        (None, "late", "time_column: got parts of which stopping has no row of class 'a'"),
    ],
)
def test_what_is_refused(group: str | None, time: str | None, line: str) -> None:
    n = 200
    table = pa.table(
        {
            "hole": [None, *range(n - 1)],
            "one": [1] * n,
            "three": np.arange(n) % 3,
            "word": ["ab"[k % 2] for k in range(n)],
            "late": np.arange(n) // 2,
            "y": ["a" if k < 100 and k % 2 else "b" for k in range(n)],
        }
    )
    with pytest.raises(InputError) as caught:
        split_of(table, group, time)
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)
