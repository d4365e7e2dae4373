"""What `prepare` makes of tables as people have them: kinds, warnings and refusals of whole files, without any fit."""

import csv
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dge_ray.errors import InputError
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import make_config, read_config
from dge_ray.table import TableCodec, check_table

N = 200
RNG = np.random.default_rng(3)
Study = Callable[..., Prepared]


def columns_of(**more: Sequence[Any]) -> dict[str, Sequence[Any]]:
    return {"age": RNG.integers(18, 80, N).tolist(), **more, "y": [("yes", "no")[i % 2] for i in range(N)]}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Writes columns (by name) as CSV or Parquet and prepares a study of them."""

    def run(columns: dict[str, Any], *words: str, parquet: bool = False) -> Prepared:
        path = tmp_path / ("t.parquet" if parquet else "t.csv")
        if parquet:
            pq.write_table(pa.table(columns), path)
        else:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(zip(*columns.values(), strict=True))
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # all are collected by `prepare`
            return prepare(read_config(str(path), [*words, f"storage={tmp_path}"]))

    return lambda columns, *words, **how: run(columns, "target=y", *words, **how)


def rows_of(prepared: Prepared) -> pa.Table:
    return pa.concat_tables(prepared.parts.values())


def told(prepared: Prepared, *words: str) -> bool:
    return any(all(word in text for word in words) for text in prepared.warnings)


def synthetic(prepared: Prepared) -> pa.Table:
    """Rows as a generator gives them back: every column drawn for itself within the schema."""
    codec, rows = TableCodec(prepared.schema), rows_of(prepared)
    rng = np.random.default_rng(1)
    columns = {name: rng.permutation(values) for name, values in codec.encode(rows).items()}
    return codec.decode(columns, seed=0)


def test_a_missing_mark_is_told_and_the_column_is_of_numbers(study: Study) -> None:
    prepared = study(columns_of(dose=["?" if i % 33 == 0 else f"{i * 0.37:.2f}" for i in range(N)]))
    assert prepared.schema["dose"].kind == "numeric" and rows_of(prepared)["dose"].null_count == 7
    assert told(prepared, "'dose'", "'?' 7", "3.50%")
    notes = [note for note in prepared.column_notes if note.column == "dose"]
    assert len(notes) == 1 and "missing now" in str(notes[0].done)


def test_the_same_text_in_parquet_is_repaired_too(study: Study) -> None:
    texts = ["?" if i % 33 == 0 else f"{i * 0.37:.2f}" for i in range(N)]
    prepared = study(columns_of(dose=texts), parquet=True)
    assert prepared.schema["dose"].kind == "numeric" and told(prepared, "'dose'", "'?' 7")


def test_codes_come_back_as_codes(study: Study) -> None:
    codes = [f"{i * 37 % 120:05d}" for i in range(N)]
    prepared = study(columns_of(zip=codes))
    made = synthetic(prepared)
    assert prepared.schema["zip"].kind == "categorical" and set(made["zip"].to_pylist()) <= set(codes)
    assert check_table(made, prepared.schema) == []
    assert rows_of(study(columns_of(zip=codes), "columns.zip=integer"))["zip"].type == pa.int64()


def test_dates_times_and_durations_come_back_as_such(study: Study) -> None:
    prepared = study(
        columns_of(
            day=[f"{i % 12 + 1:02d}/{i % 28 + 1:02d}/2021" for i in range(N)],
            number=[20210100 + i % 12 * 100 - i % 12 * 100 + i % 28 + 1 for i in range(N)],
            at=[f"{i % 24:02d}:{i * 7 % 60:02d}" for i in range(N)],
            stay=[f"{i % 90} days 0{i % 9}:15:00" for i in range(N)],
        )
    )
    made = synthetic(prepared)
    types = {name: made[name].type for name in ("day", "number", "at", "stay")}
    assert types == {"day": pa.date32(), "number": pa.date32(), "at": pa.time32("ms"), "stay": pa.duration("s")}
    assert check_table(made, prepared.schema) == [] and told(prepared, "'number'", "year, month and day")
    assert prepared.schema["at"].step == 60_000 and prepared.schema["stay"].step == 900 * 0 + 60


def test_a_total_row_that_is_left_out_decides_no_type(study: Study) -> None:
    columns = {name: list(values) for name, values in columns_of(income=[f"{i * 13}" for i in range(N)]).items()}
    for name, value in (("age", "Total"), ("income", "all of them"), ("y", "")):
        columns[name] = [*columns[name], value]
    prepared = study(columns, "drop_missing_target=true")
    assert rows_of(prepared)["income"].type == rows_of(prepared)["age"].type == pa.int64()
    assert prepared.warnings == () and rows_of(prepared).num_rows == N


def test_nameless_and_empty_columns_are_left_out(study: Study) -> None:
    columns = {"": list(range(N)), **columns_of(empty=[""] * N, marks=["NA"] * N)}
    prepared = study(columns)
    assert prepared.schema.names == ["age", "y"]
    assert told(prepared, "column 1, ''", "no name") and told(prepared, "'empty'", "only missing")
    assert told(prepared, "'marks'", "only missing")
    assert study(columns, "columns.empty=numeric").schema.names == ["age", "y"]
    with pytest.raises(InputError, match=r"columns\.emtpy: got 'emtpy', which is no column"):
        study(columns, "columns.emtpy=numeric")


def test_a_column_is_dropped_by_its_kind(study: Study) -> None:
    columns = columns_of(a=["x"] * N, b=list(range(N)))
    assert study(columns, "columns.a=drop", "columns.b={kind: drop}").schema.names == ["age", "y"]


def test_infinities(study: Study) -> None:
    columns = columns_of(ratio=["inf" if i % 20 == 0 else "1e400" if i == 3 else f"{i}.5" for i in range(N)])
    with pytest.raises(InputError, match=r"'ratio': got infinite values \(11 in 'ratio'\); takes .*infinite=missing"):
        study(columns)
    prepared = study(columns, "infinite=missing")
    assert rows_of(prepared)["ratio"].null_count == 11 and told(prepared, "'ratio'", "11 infinite values are missing")
    numbers = columns_of(ratio=pa.array([np.inf, *range(N - 1)]))
    assert rows_of(study(numbers, "infinite=missing", parquet=True))["ratio"].null_count == 1


def test_rare_classes_are_named_at_once_and_merged_or_dropped(study: Study) -> None:
    labels = ["a"] * 120 + ["b"] * 74 + ["c"] * 3 + ["d"] * 2 + ["e"]
    columns = {**columns_of(), "y": labels}
    with pytest.raises(InputError, match=r"'c' in 3 rows, 'd' in 2 rows, 'e' in 1 row.*rare_classes=merge"):
        study(columns)
    merged = study(columns, "rare_classes=merge")
    assert merged.schema.classes == ("a", "b", "other") and rows_of(merged).num_rows == N
    assert told(merged, "target 'y'", "3 classes", "6 rows", "'other'")
    dropped = study(columns, "rare_classes=drop")
    assert dropped.schema.classes == ("a", "b") and rows_of(dropped).num_rows == N - 6
    assert told(dropped, "left out, with 6 rows")
    assert study({**columns_of(), "y": ["a"] * 100 + ["b"] * 100}, "rare_classes=drop").warnings == ()
    # too few for a class of their own: the rarest of the others is merged with them
    few = ["a"] * 120 + ["b"] * 70 + ["d"] * 8 + ["c"] * 2
    assert study({**columns_of(), "y": few}, "rare_classes=merge").schema.classes == ("a", "b", "other")
    whole = [0] * 120 + [1] * 74 + [2] * 3 + [3] * 3
    assert study({**columns_of(), "y": whole}, "rare_classes=merge").schema.classes == (0, 1, 4)
    with pytest.raises(InputError, match="rare_classes: got drop, which leaves one class"):
        study({**columns_of(), "y": ["a"] * (N - 2) + ["b"] * 2}, "rare_classes=drop")


def test_rare_classes_with_a_split_column_and_synthetic_rows(study: Study) -> None:
    labels = ["a"] * 100 + ["b"] * 97 + ["c"] * 3
    part = [("train", "train", "test")[i % 3] for i in range(N)]
    made = [i % 5 == 0 for i in range(N)]
    columns = {**columns_of(part=part, made=made), "y": labels}
    prepared = study(columns, "split_column=part", "synthetic_column=made", "rare_classes=drop")
    assert prepared.lineage is not None and rows_of(prepared).num_rows == N - 3
    assert sum(prepared.lineage.rows.values()) == N - 3


def test_no_row_decides_anything_of_a_private_study() -> None:
    with pytest.raises(InputError, match=r"rare_classes: got merge with privacy\.epsilon"):
        prepare(make_config({"source": "iris", "study": "s", "rare_classes": "merge", "privacy": {"epsilon": 1}}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["columns.segment=numeric"], r"columns\.segment: got numeric, which 200 rows \(1, 2, 3, 4, 5, \.\.\.\) stand"),
        (["columns.age=datetime"], r"columns\.age: got datetime, which 200 rows"),
        (["columns.income=integer"], r"columns\.income: got integer, which 100 rows \(2, 4, 6"),
        (["columns.segment=numerc"], r"columns\.segment: got 'numerc'; takes one of .*drop"),
        (["infinite=clip"], r"infinite: got 'clip'"),
        (["rare_classes=keep"], r"rare_classes: got 'keep'"),
    ],
)
def test_refusals_are_one_line(study: Study, words: list[str], message: str) -> None:
    columns = columns_of(segment=["low", "high"] * (N // 2), income=[f"{i / 2}" for i in range(N)])
    with pytest.raises(ValueError, match=message) as caught:
        study(columns, *words)
    assert "\n" not in str(caught.value)
