"""No single row of a private table decides a type, makes a refusal, or changes what another row becomes.

The rows are of a CSV, where a column's type is a guess from all values; the cell may hold any text.
"""

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dge_ray.errors import InputError, InputErrors
from dge_ray.study.config import StudyConfig
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.table.cast import cast_each
from dge_ray.table.public import conform, declared_schema
from dge_ray.table.reading.load import load_table

NAMES = ["age", "city", "code", "on", "x", "day", "id", "y"]
WORDS = [
    *("privacy.epsilon=2", "privacy.delta=1e-4", "members=2", "ratios=1", "target=y", "tracking=false", "study=s"),
    *("generator.hidden=4", "generator.embedding=2", "generator.epochs=1"),
    "columns.age={kind: integer, minimum: 0, maximum: 99}",
    "columns.city={categories: [a, b, c]}",
    "columns.code={categories: [1, 2]}",
    "columns.on=boolean",
    "columns.x={kind: numeric, decimals: 2}",
    "columns.day={type: 'date32[day]', minimum: 0, maximum: 20000}",
    "columns.id=identifier",
    "columns.y={categories: ['no', 'yes']}",
]
NASTY = ["34.5", "unknown", "", " 7 ", "1e999", "-inf", "nan", "NULL", "true", "2020-02-30", "0x1F", '"', ",", "a\nb"]
NASTY += ["=1+1", "9" * 400, "\u0663", "\ufeff5", "None", "1_000", "'", ";", "\t", "1,5", "a" * 200_000]


def rows(n: int = 120) -> list[list[str]]:
    rng = np.random.default_rng(0)
    return [
        [
            str(rng.integers(0, 99)),
            "abc"[rng.integers(3)],
            str(rng.integers(1, 3)),
            ("true", "false")[rng.integers(2)],
            f"{rng.normal():.2f}",
            f"2001-0{rng.integers(1, 10)}-11",
            f"k{i}",
            ("no", "yes")[rng.integers(2)],
        ]
        for i in range(n)
    ]


def write(path: Path, lines: Sequence[Sequence[str]]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([NAMES, *lines])
    return str(path)


def config(source: str) -> StudyConfig:
    return read_config(source, WORDS)


def read(source: str) -> pa.Table:
    return conform(load_table(source, as_text=True), declared_schema(NAMES, "y", config(source).columns))


PLAIN = rows()


def same_but_one(one: pa.Table, other: pa.Table, row: int) -> bool:
    rest = pa.array([i for i in range(one.num_rows) if i != row])
    return one.schema == other.schema and one.drop_columns("id").take(rest).equals(other.drop_columns("id").take(rest))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.integers(0, len(PLAIN) - 1),
    cells=st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=12)), min_size=8, max_size=8),
)
def test_any_text_in_any_cell_changes_that_row_alone(tmp_path: Path, row: int, cells: list[str]) -> None:
    before = read(write(tmp_path / "t.csv", PLAIN))
    cells = [cell.encode("utf-8", "replace").decode() for cell in cells]
    if not any(cells):
        cells[0] = "5"  # a line of nothing is no row
    after = read(write(tmp_path / "u.csv", [*PLAIN[:row], cells, *PLAIN[row + 1 :]]))
    assert same_but_one(before, after, row)
    added = read(write(tmp_path / "v.csv", [*PLAIN, cells]))
    assert added.num_rows == before.num_rows + 1
    assert same_but_one(pa.concat_tables([before, before.slice(0, 1)]), added, before.num_rows)


def told(prepared: Prepared) -> list[Any]:
    """All that is prepared but the rows themselves and what the key makes."""
    fields = ("schema", "metric", "volumes", "shard_rows", "warnings", "rows")
    return [*(getattr(prepared, field) for field in fields), prepared.config.model_copy(update={"source": ""})]


@pytest.mark.parametrize("column", NAMES)
@pytest.mark.parametrize("text", ["34.5", "unknown", "", '"', "a" * 2_000_000])
def test_no_row_makes_a_refusal_or_a_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    changed = [list(row) for row in PLAIN]
    changed[17][NAMES.index(column)] = text
    one, other = (prepare(config(write(tmp_path / f"{i}.csv", lines))) for i, lines in enumerate((PLAIN, changed)))
    assert told(one) == told(other)
    differing = [
        part
        for part in one.parts
        if not one.parts[part].drop_columns("id").equals(other.parts[part].drop_columns("id"))
    ]
    assert len(differing) <= 1


@pytest.mark.parametrize("broken", [b"1,2", b"1,2,3,4,5,6,7,8,9,10", b"\xff\xfe,a,1,true,1,2001-01-11,k,no", b","])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_broken_line_is_a_row_of_nothing(tmp_path: Path, broken: bytes, compressed: bool) -> None:
    """With too few or too many cells, or bytes that are no text: it stays in its place, and the others in theirs."""
    lines = Path(write(tmp_path / "t.csv", PLAIN)).read_bytes().split(b"\r\n")
    lines[11] = broken
    source = str(tmp_path / ("u.csv.gz" if compressed else "u.csv"))
    raw = b"\r\n".join(lines)
    Path(source).write_bytes(gzip.compress(raw) if compressed else raw)
    before, after = read(str(tmp_path / "t.csv")), read(source)
    assert same_but_one(before, after, 10)
    if b"\xff" not in broken:
        # Nothing is known of it; the target, of which nothing may be missing, is its first class.
        assert after.drop_columns("id").to_pylist()[10] == dict.fromkeys(NAMES[:6], None) | {"y": "no"}


def test_values_are_read_one_by_one() -> None:
    def cast(values: list, dtype: pa.DataType) -> list:
        return cast_each(pa.chunked_array([values]), dtype, column="c").to_pylist()

    assert cast(["1", "2.0", " 3", "2.5", "x", None], pa.int64()) == [1, 2, 3, None, None, None]
    assert cast([1.0, 2.5, None], pa.string()) == ["1", "2.5", None]
    assert cast([1, 300, -1], pa.uint8()) == [1, None, None]
    assert cast(["true", "0", "maybe"], pa.bool_()) == [True, False, None]
    assert cast(["2020-01-01", "2020-02-30"], pa.timestamp("s"))[1] is None
    assert cast([" a", "b "], pa.string()) == [" a", "b "]
    many = ["5", "no"] * 5_000 + ["6"]
    assert cast(many, pa.int64()) == [5, None] * 5_000 + [6]
    with pytest.raises(InputError, match=r"column 'c': got type bool; takes type timestamp\[s\]"):
        cast([True], pa.timestamp("s"))


def test_a_parquet_files_types_are_not_the_schemas(tmp_path: Path) -> None:
    """Whoever wrote it may have inferred them: whole numbers beside one null are floats in pandas."""
    schema = declared_schema(["a", "y"], "y", {"a": {"categories": ["1", "2"]}, "y": {"categories": [0, 1]}})
    whole, floats = pa.table({"a": [1, 2, 1], "y": [0, 1, 1]}), pa.table({"a": [1.0, 2.0, None], "y": [0.0, 1.0, 1.0]})
    for name, table in (("whole", whole), ("floats", floats)):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    one, other = (conform(load_table(str(tmp_path / f"{n}.parquet")), schema) for n in ("whole", "floats"))
    assert one.to_pydict() == {"a": ["1", "2", "1"], "y": [0, 1, 1]}
    assert other.to_pydict() == {"a": ["1", "2", None], "y": [0, 1, 1]} and one.schema == other.schema


def test_types_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word for word in WORDS if not word.startswith(("columns.x", "columns.day"))]
    with pytest.raises(InputErrors) as refusal:
        prepare(read_config(write(tmp_path / "t.csv", PLAIN), words))
    assert [fault.field for fault in refusal.value.errors] == ["columns.x", "columns.day"]


def test_without_privacy_types_are_inferred_as_before(tmp_path: Path) -> None:
    table = load_table(write(tmp_path / "t.csv", PLAIN))
    types = [str(field.type) for field in table.schema]
    assert types == ["int64", "string", "int64", "bool", "double", "date32[day]", "string", "string"]
