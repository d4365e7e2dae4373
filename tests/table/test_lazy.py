"""Columns read and encoded one at a time, checked against the whole table and its whole encoding."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from dge_ray.errors import InputError
from dge_ray.generators.checks import row_columns
from dge_ray.table import TableCodec, infer_schema
from dge_ray.table.lazy import LazyColumns, LazyTable

N = 1_000


def table() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "x": pa.array(rng.normal(size=N), mask=rng.random(N) < 0.1),
            "colour": pa.array(rng.choice(["red", "green", "blue"], N), mask=rng.random(N) < 0.1),
            "day": pa.array(rng.integers(0, 900, N), pa.int32()).cast(pa.date32()),
            "unit": ["kg"] * N,
            "y": rng.choice(["no", "yes"], N),
        }
    )


@pytest.fixture
def dataset(tmp_path: Path) -> ds.Dataset:
    for i in range(4):
        pq.write_table(table().slice(i * 250, 250), tmp_path / f"{i}.parquet")
    return ds.dataset(tmp_path)


def test_a_dataset_has_the_schema_and_columns_of_its_table(dataset: ds.Dataset) -> None:
    lazy, whole = LazyTable(dataset), table()
    assert infer_schema(dataset, target="y") == infer_schema(whole, target="y")
    assert (lazy.num_rows, lazy.num_columns, lazy.column_names) == (N, 5, whole.column_names)
    for i, name in enumerate(whole.column_names):
        assert lazy.column(i).equals(whole[name]) and lazy[name].equals(whole[name])


def test_columns_are_those_of_the_codec(dataset: ds.Dataset) -> None:
    schema = infer_schema(table(), target="y")
    whole = TableCodec(schema).encode(table())
    rows = np.random.default_rng(1).permutation(N)[:300]
    for columns in (LazyColumns(table(), schema), row_columns(dataset, schema)):
        assert list(columns) == list(whole) and len(columns) == 4 and columns.count == N
        some = columns.take(rows)
        again = some.take(np.array([5, 0]))
        assert some.count == 300 and again.count == 2
        for name, values in whole.items():
            np.testing.assert_array_equal(columns[name], values)
            np.testing.assert_array_equal(some[name], values[rows])
            np.testing.assert_array_equal(again[name], values[rows[[5, 0]]])


def test_what_is_wrong_with_a_dataset_is_told_as_of_a_table(dataset: ds.Dataset, tmp_path: Path) -> None:
    schema = infer_schema(table(), target="y")
    pq.write_table(table().drop_columns(["x"]), tmp_path / "without.parquet")
    for source in (table().drop_columns(["x"]), ds.dataset(tmp_path / "without.parquet")):
        with pytest.raises(InputError, match=r"^column 'x': got no such column; takes one of colour, day, unit, y"):
            row_columns(source, schema)
    with pytest.raises(InputError, match=r"^target: got 'z', which is no column"):
        infer_schema(dataset, target="z")
