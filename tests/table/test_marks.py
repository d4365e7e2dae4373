"""The mark of synthetic rows: it survives Parquet, rows are unchanged, and a damaged one is never taken for none."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.errors import InputError
from dge_ray.table.marks import KEY, marked, read_mark

TABLE = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
MARK = {"bundle": "3f", "member": 2, "generation": 1, "share": 0.0}

MARKS = st.fixed_dictionaries(
    {
        "bundle": st.text(min_size=1),
        "member": st.integers(0, 10_000),
        "generation": st.integers(1, 50),
        "share": st.floats(0, 1),
    }
)


@settings(deadline=None)  # the machine may be busy
@given(mark=MARKS)
def test_a_mark_survives_parquet_and_changes_no_row(mark: dict[str, Any]) -> None:
    sink = io.BytesIO()
    pq.write_table(marked(TABLE, mark), sink)
    back = pq.read_table(io.BytesIO(sink.getvalue()))
    assert read_mark(back.schema) == mark
    assert back.equals(TABLE)


def test_other_metadata_stays_and_an_older_mark_goes() -> None:
    noted = TABLE.replace_schema_metadata({"origin": "here"})
    twice = marked(marked(noted, MARK), {**MARK, "generation": 2, "share": 0.5})
    assert twice.schema.metadata[b"origin"] == b"here"
    assert read_mark(twice.schema) == {**MARK, "generation": 2, "share": 0.5}


def test_no_mark_is_none() -> None:
    assert read_mark(TABLE.schema) is None
    assert read_mark(TABLE.replace_schema_metadata({"origin": "here"}).schema) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[" * 100_000,
        b"null",
        b"[1]",
        b'{"bundle": "3f"}',
        *(
            json.dumps({**MARK, **change}).encode()
            for change in (
                {"bundle": ""},
                {"bundle": 3},
                {"member": -1},
                {"member": True},
                {"member": 1.0},
                {"generation": 0},
                {"share": 1.01},
                {"share": "0"},
                {"share": float("nan")},
                {"share": None},
            )
        ),
    ],
)
def test_a_damaged_mark_is_never_taken_for_none(content: bytes) -> None:
    schema = TABLE.replace_schema_metadata({KEY: content}).schema
    with pytest.raises(InputError, match="mark of synthetic rows"):
        read_mark(schema)


def test_a_mark_that_could_not_be_read_is_not_written() -> None:
    with pytest.raises(InputError, match="mark of synthetic rows"):
        marked(TABLE, {**MARK, "share": 2})
