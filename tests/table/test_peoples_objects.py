"""Tables that Python or a database holds, with columns of whatever type these have: each is read rightly, or one line
says why not."""

import datetime as dt
import sqlite3
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.peoples_tables import AGE, AMOUNTS, RNG, N, Y, checked

from dge_ray.commands.check import check
from dge_ray.errors import InputError
from dge_ray.study.given import config_of
from dge_ray.table import load_table
from dge_ray.table.reading.options import Reading

KEYS = {"target": "y", "generator": "copula"}
DAYS = [dt.date(2019, 1, 1) + dt.timedelta(days=int(day)) for day in RNG.integers(0, 1500, N)]


RUNS = pa.RunEndEncodedArray.from_arrays(pa.array([100, 200, N], pa.int32()), pa.array([1, 2, 3]))


def given(column: Any) -> pa.Table:
    return pa.table({"age": AGE, "x": column, "y": Y})


@pytest.mark.parametrize(
    ("column", "kind", "dtype"),
    [
        (pa.array([f"k{i % 5}" for i in range(N)], pa.string_view()), "categorical", "large_string"),
        (pa.nulls(N), "left out", None),
        (RUNS, "integer", "int64"),
        (pa.array(range(N), pa.duration("ns")), "datetime", "duration[ns]"),
        (pa.array([i % 9 for i in range(N)]).cast(pa.uint64()), "integer", "uint64"),
        (pa.array(np.arange(N).astype(np.float16) / 2), "numeric", "halffloat"),
        (pa.array([Decimal(i).scaleb(-2) for i in range(N)]), "numeric", "decimal128(3, 2)"),
    ],
    ids=["view", "null", "runs", "duration", "uint64", "float16", "decimal"],
)  # fmt: skip
def test_types_of_arrow(column: Any, kind: str, dtype: str | None, tmp_path: Path) -> None:
    (found,) = (one for one in check(given(column), KEYS)["columns"] if one["name"] == "x")
    assert (found["kind"], found["type"]) == (kind, dtype)
    if not pa.types.is_run_end_encoded(column.type):  # which no Parquet file holds
        pq.write_table(given(column), tmp_path / "t.parquet")
        assert checked(tmp_path / "t.parquet").columns["x"]["kind"] == kind


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1]] * N),
        pa.array([{"a": 1}] * N),
        pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64())),
        pa.array([b"a"] * N),
        pa.array([b"aaaa"] * N, pa.binary(4)),
        pa.array([(1, 2, 3)] * N, pa.month_day_nano_interval()),
    ],
    ids=lambda column: str(column.type)[:8],
)
def test_types_that_no_study_takes_are_refused_in_one_line_and_can_be_dropped(column: pa.Array) -> None:
    with pytest.raises(InputError, match=r"column 'x': got .*drop=\[x\]") as caught:
        check(given(column), KEYS)
    assert "\n" not in str(caught.value)
    assert "x" not in [one["name"] for one in check(given(column), {**KEYS, "drop": ["x"]})["columns"]]


def test_a_study_of_a_table_keeps_it_without_what_is_dropped(tmp_path: Path) -> None:
    table = given(pa.array([(1, 2, 3)] * N, pa.month_day_nano_interval()))
    keys = {**KEYS, "storage": str(tmp_path), "study": "s", "drop": ["x"]}
    with config_of(table, keys, keep=True) as config:
        assert pq.read_table(config.source).column("x").null_count == N


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pd.cut(np.arange(N), 5), "categorical"),
        (pd.arrays.SparseArray(np.arange(N) % 7 * 1.0), "integer"),
        ([uuid.UUID(int=i % 9) for i in range(N)], "categorical"),
        ([uuid.UUID(int=i) for i in range(N)], "identifier"),
        ([None] * N, "left out"),
        (pd.period_range("2020-01", periods=N, freq="M"), "datetime"),
    ],
    ids=["cut", "sparse", "uuid", "uuids", "none", "period"],
)
def test_columns_of_pandas(column: Any, kind: str) -> None:
    frame = pd.DataFrame({"age": AGE, "x": column, "y": Y})
    assert {one["name"]: one["kind"] for one in check(frame, KEYS)["columns"]}["x"] == kind


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame({"x": [1 if i % 2 else "a" for i in range(N)], "y": Y}),
        pd.DataFrame({"x": [2**70 + i for i in range(N)], "y": Y}),
        pd.DataFrame({"x": np.arange(N) + 1j, "y": Y}),
        pd.Series(AMOUNTS),
        pd.DataFrame(),
    ],
    ids=["mixed", "beyond", "complex", "series", "empty"],
)
def test_what_pandas_may_hold_and_arrow_not(source: Any) -> None:
    with pytest.raises(InputError) as caught:
        check(source, KEYS)
    assert "\n" not in str(caught.value)


def test_columns_of_polars() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    columns = {
        "cat": polars.Series([f"k{i % 3}" for i in range(N)], dtype=polars.Categorical),
        "enum": polars.Series(["abc"[i % 3] for i in range(N)], dtype=polars.Enum(["a", "b", "c"])),
        "null": polars.Series([None] * N),
        "day": DAYS,
    }
    frame = polars.DataFrame({"age": AGE, **columns, "y": Y})
    found = {one["name"]: (one["kind"], one["distinct"]) for one in check(frame, KEYS)["columns"]}
    assert [found[name] for name in ("cat", "enum")] == [("categorical", 3)] * 2
    assert (found["null"][0], found["day"][0]) == ("left out", "datetime")
    huge = frame.with_columns(polars.col("age").cast(polars.Int128))
    with pytest.raises(InputError, match="that Arrow cannot take"):
        check(huge, KEYS)


def test_keys_beside_decimals_in_sqlite_stay_exact(tmp_path: Path) -> None:
    """SQLite has a type a cell: what a double would change is text then."""
    rows = [(2**62 + row if row % 2 else 1.5, Y[row]) for row in range(40)]
    with sqlite3.connect(tmp_path / "p.db") as connection:
        connection.execute("create table t (x integer, y text)")
        connection.executemany("insert into t values (?, ?)", rows)
    connection.close()
    read = load_table(f"sqlite:///{tmp_path}/p.db", Reading(table="t"), {"x": "categorical"})["x"]
    assert read.to_pylist() == [str(value) for value, _ in rows]
