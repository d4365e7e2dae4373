"""Splits: counts by arithmetic, strata by counting, and the refusals by their line."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.errors import InputError
from dge_ray.table import Split, infer_schema, split_table, take_split_column


def classes_table(counts: dict[str, int], seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    target = np.repeat(list(counts), list(counts.values()))
    return pa.table({"x": rng.normal(size=len(target)), "y": rng.permutation(target)})


def check_partition(split: Split, n: int) -> None:
    rows = np.concatenate([part for _, part in split.parts()])
    assert sorted(rows.tolist()) == list(range(n))
    assert all((np.diff(part) > 0).all() for _, part in split.parts())


def counts_of(table: pa.Table, rows: np.ndarray) -> dict[str, int]:
    values, counts = np.unique(table["y"].to_numpy(zero_copy_only=False)[rows], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_sizes_are_fractions_of_what_is_left() -> None:
    table = classes_table({"a": 600, "b": 400})
    split = split_table(table, infer_schema(table, target="y"), seed=0)
    check_partition(split, 1000)
    # 1000 * .2 = 200; 800 * .15 = 120; 680 * .1 = 68
    assert split.rows == {"train": 612, "stopping": 68, "validation": 120, "test": 200}
    assert counts_of(table, split.test) == {"a": 120, "b": 80}
    assert counts_of(table, split.validation) == {"a": 72, "b": 48}
    tables = split.tables(table)
    assert tables["test"].num_rows == 200 and tables["test"]["x"][0] == table["x"][int(split.test[0])]


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(4, 60), min_size=2, max_size=6).filter(lambda c: sum(c) > 60),
    seed=st.integers(0, 2**32),
    fraction=st.floats(0.15, 0.3),
)
def test_every_class_is_in_every_part(counts: list[int], seed: int, fraction: float) -> None:
    names = {f"c{i}": count for i, count in enumerate(counts)}
    table = classes_table(names, seed % 1000)
    schema = infer_schema(table, target="y")
    split = split_table(table, schema, seed=seed, test_fraction=fraction, validation_fraction=fraction)
    check_partition(split, sum(counts))
    for _, rows in split.parts():
        assert set(counts_of(table, rows)) == set(names)
    for name, got in counts_of(table, split.test).items():  # in proportion, but for the one row each class must give
        assert abs(got - max(fraction * names[name], 1)) <= 1


def test_the_split_is_a_pure_function_of_seed_and_target() -> None:
    table = classes_table({"a": 150, "b": 150})
    schema = infer_schema(table, target="y")
    first, again, other = (split_table(table, schema, seed=seed) for seed in (0, 0, 1))
    for (_, a), (_, b) in zip(first.parts(), again.parts(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.test, other.test)
    # The stopping slice has a stream of its own: another fraction of it leaves test and validation alone.
    longer = split_table(table, schema, seed=0, stopping_fraction=0.3)
    np.testing.assert_array_equal(longer.validation, first.validation)


def test_regression_is_stratified_by_decile() -> None:
    table = pa.table({"x": np.arange(1000) % 7, "y": np.random.default_rng(0).lognormal(size=1000)})
    split = split_table(table, infer_schema(table, target="y"), seed=3)
    check_partition(split, 1000)
    decile = np.argsort(np.argsort(table["y"].to_numpy())) // 100
    assert np.bincount(decile[split.test]).tolist() == [20] * 10
    assert np.bincount(decile[split.validation]).tolist() == [12] * 10


def test_a_table_without_a_target_is_split_at_random() -> None:
    table = pa.table({"x": np.arange(100) % 7, "z": np.arange(100) % 3})
    split = split_table(table, infer_schema(table), seed=0)
    check_partition(split, 100)
    assert split.rows == {"train": 61, "stopping": 7, "validation": 12, "test": 20}


def with_labels(labels: Sequence[str | None], name: str = "split") -> pa.Table:
    n = len(labels)
    return pa.table({"x": np.arange(n) % 7, name: pa.array(labels), "y": np.arange(n) % 2})


def test_the_users_split_column() -> None:
    table, labels = take_split_column(with_labels(["train"] * 100 + ["test"] * 30), "split")
    assert table.column_names == ["x", "y"]
    schema = infer_schema(table, target="y")
    split = split_table(table, schema, seed=0, labels=labels)
    check_partition(split, 130)
    np.testing.assert_array_equal(split.test, np.arange(100, 130))
    assert split.rows == {"train": 77, "stopping": 8, "validation": 15, "test": 30}
    table, labels = take_split_column(with_labels(["train"] * 100 + ["validation"] * 40 + ["test"] * 30), "split")
    split = split_table(table, schema, seed=0, labels=labels)
    np.testing.assert_array_equal(split.validation, np.arange(100, 140))
    assert split.rows == {"train": 90, "stopping": 10, "validation": 40, "test": 30}
    assert take_split_column(table, None) == (table, None)


def test_raw_rows_are_nobody_elses() -> None:
    """The parts that are carved from train are those that they are without raw rows."""
    labels = ["train"] * 100 + ["raw"] * 20 + ["test"] * 30
    table, given = take_split_column(with_labels(labels), "split")
    schema = infer_schema(table, target="y")
    split = split_table(table, schema, seed=0, labels=given)
    check_partition(split, 150)
    np.testing.assert_array_equal(split.raw, np.arange(100, 120))
    assert split.rows == {"train": 77, "stopping": 8, "raw": 20, "validation": 15, "test": 30}
    assert split.tables(table)["raw"].num_rows == 20
    with pytest.raises(InputError, match=r"table: got 134 rows, which leaves 4 for raw; .* at least 5 in raw"):
        few = np.array(["train"] * 100 + ["raw"] * 4 + ["test"] * 30)
        split_table(table.slice(0, 134), schema, seed=0, labels=few)


def test_a_class_too_rare_among_the_raw_rows_alone() -> None:
    labels = np.array(["train"] * 100 + ["raw"] * 20 + ["test"] * 30)
    table = pa.table({"x": np.arange(150) % 7, "y": ["ab"[i % 2] for i in range(150)]})
    schema = infer_schema(table, target="y")
    one_class = table.set_column(1, "y", pa.array(["a" if 100 <= i < 120 else "ab"[i % 2] for i in range(150)]))
    with pytest.raises(InputError, match=r"class 'b' in 0 rows among the 'raw' rows; takes at least 1"):
        split_table(one_class, schema, seed=0, labels=labels)
    # test and raw are given: train must still do for train, stopping and validation
    rare = table.set_column(1, "y", pa.array(["a" if 2 < i < 100 else "ab"[i % 2] for i in range(150)]))
    with pytest.raises(InputError, match=r"class 'b' in 1 row among the 'train' rows; takes at least 3"):
        split_table(rare, schema, seed=0, labels=labels)


def test_a_dictionary_split_column() -> None:
    table = with_labels(["train"] * 100 + ["test"] * 30)
    table = table.set_column(1, "split", table["split"].dictionary_encode())
    assert set(take_split_column(table, "split")[1]) == {"train", "test"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "name", "message"),
    [
        (["train", "test"], "splt", r"split_column: got 'splt', which is no column; .*did you mean 'split'"),
        (
            ["train", "tset", "test"],
            "split",
            r"split_column 'split': got the value 'tset' in 1 row; .*did you mean 'test'",
        ),
        (["train", None, "test"], "split", r"split_column 'split': got missing values in 1 row"),
        (["train", "train"], "split", r"split_column 'split': got no row with 'test'"),
        (["test", "validation"], "split", r"split_column 'split': got no row with 'train'"),
    ],
)
def test_bad_split_columns(labels: list, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        take_split_column(with_labels(labels), name)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 100, "b": 3}, r"target 'y': got class 'b' in 3 rows; takes at least 4 of each class"),
        (
            {"a": 6, "b": 6},
            r"table: got 12 rows, which leaves \d+ for train; takes enough rows for at least 20 in train",
        ),
        ({"a": 14, "b": 10}, r"table: got 24 rows, which leaves"),
    ],
)
def test_too_rare_and_too_few(counts: dict, message: str) -> None:
    table = classes_table(counts)
    with pytest.raises(InputError, match=message):
        split_table(table, infer_schema(table, target="y"), seed=0)


def test_a_class_too_rare_in_the_users_parts() -> None:
    n = 130
    target = ["a"] * n
    target[3] = target[4] = target[120] = "b"
    labels = np.array(["train"] * 100 + ["test"] * 30, dtype="U10")
    table = pa.table({"x": np.arange(n) % 7, "y": target})
    schema = infer_schema(table, target="y")
    with pytest.raises(InputError, match=r"class 'b' in 2 rows among the 'train' rows; takes at least 3"):
        split_table(table, schema, seed=0, labels=labels)
    labels[50:80] = "validation"
    with pytest.raises(InputError, match=r"class 'b' in 0 rows among the 'validation' rows; takes at least 1"):
        split_table(table, schema, seed=0, labels=labels)
    labels[4] = "validation"
    with pytest.raises(InputError, match=r"class 'b' in 1 row among the 'train' rows; takes at least 2"):
        split_table(table, schema, seed=0, labels=labels)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 7.0])
def test_fractions_are_between_0_and_1(fraction: float) -> None:
    table = classes_table({"a": 100, "b": 100})
    with pytest.raises(InputError, match=r"validation_fraction: got .*; takes a number between 0 and 1"):
        split_table(table, infer_schema(table, target="y"), seed=0, validation_fraction=fraction)
