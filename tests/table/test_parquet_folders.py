"""Parquet: folders of files whose types differ in width, and timestamps of the old INT96, against what was written."""

import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dge_ray.errors import InputError
from dge_ray.table.reading.load import load_table


def folder(place: Path, *tables: pa.Table) -> str:
    for i, table in enumerate(tables):
        pq.write_table(table, place / f"part-{i}.parquet")
    return str(place)


def column(*values: object, dtype: pa.DataType | None = None) -> pa.Table:
    return pa.table({"k": pa.array(values, dtype), "s": ["x"] * len(values)})


@pytest.mark.parametrize(
    ("one", "other", "dtype"),
    [
        (column(1, 2), column(0.5, None), "double"),
        (column(1, dtype=pa.int32()), column(2**40), "int64"),
        (column(1, dtype=pa.uint8()), column(-1, dtype=pa.int16()), "int16"),
        (column(0.5, dtype=pa.float32()), column(0.25), "double"),
        (column(None, dtype=pa.null()), column(3), "int64"),
        (column("a"), column("b", dtype=pa.large_string()), "large_string"),
        (column(Decimal("1.5")), column(Decimal("100.25")), "decimal128(5, 2)"),
    ],
)
def test_types_that_differ_in_width_are_unified(tmp_path: Path, one: pa.Table, other: pa.Table, dtype: str) -> None:
    table = load_table(folder(tmp_path, one, other.select(["s", "k"])))
    assert str(table["k"].type) == dtype and table.column_names == ["k", "s"]
    assert table["k"].to_pylist() == [*one["k"].to_pylist(), *other["k"].to_pylist()]


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (
            column(1),
            column("a"),
            r"column 'k': got int64 and, in 'part-1\.parquet', string; takes types that differ in",
        ),
        (column(True), column(1), r"column 'k': got bool and"),
        (column(2**53 + 1), column(0.5), r"column 'k': got int64 in 'part-0\.parquet' with values that double cannot"),
        (column(1), column(1).append_column("z", pa.array([1])), r"'part-1\.parquet' with column 'z' alone"),
        (column(1), column(1).drop_columns(["s"]), r"'part-1\.parquet' without column 's', which the others have"),
    ],
)
def test_others_are_refused_by_column(tmp_path: Path, one: pa.Table, other: pa.Table, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_table(folder(tmp_path, one, other))


def test_unlike_files_below_partition_folders(tmp_path: Path) -> None:
    for year, table in ((2020, column(1)), (2021, column(0.5))):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(table, tmp_path / f"year={year}" / "t.parquet")
    assert load_table(str(tmp_path)).to_pydict() == {"k": [1.0, 0.5], "s": ["x", "x"], "year": [2020, 2021]}


@pytest.mark.parametrize("whole_folder", [False, True])
@pytest.mark.parametrize(
    "last", [datetime.datetime(2100, 1, 1), datetime.datetime(9999, 12, 31), datetime.datetime(1, 1, 1)]
)
def test_int96(tmp_path: Path, last: datetime.datetime, whole_folder: bool) -> None:
    times = [datetime.datetime(2020, 1, 2, 3, 4, 5, 678901), None, last]
    table = pa.table({"t": pa.array(times, pa.timestamp("us")), "x": [1, 2, 3]})
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    found = load_table(str(tmp_path if whole_folder else tmp_path / "t.parquet"))["t"]
    assert found.cast(pa.timestamp("us")).to_pylist() == times
    assert str(found.type) == (
        "timestamp[ns]" if last.year == 2100 else "timestamp[us]"
    )  # as it was where it was right
