"""Every table and target that is refused, by its one line: the column, what it got, what it takes."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dge_ray.errors import InputError
from dge_ray.table import (
    Column,
    Kind,
    TableSchema,
    check_schema,
    check_table,
    drop_columns,
    drop_missing_target,
    infer_schema,
)

OK = [1, 2, 3]
NAN, INF = float("nan"), float("inf")
NULL_IN_DICTIONARY = pa.DictionaryArray.from_arrays(pa.array([0, 0, 0]), pa.array([None, "x"]))


def table_of(**columns: Any) -> pa.Table:
    return pa.table(columns)


@pytest.mark.parametrize(
    ("table", "target", "message"),
    [
        (pa.table([OK, OK, OK], names=["a", "b", "a"]), None, r"column 'a': got a name that occurs more than once"),
        (table_of(a=OK), None, r"table: got 1 column; takes at least 2 columns"),
        (pa.table({}), None, r"table: got 0 columns"),
        (pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.int64())}), None, r"table: got 0 rows"),
        (table_of(a=OK, b=[[1], [2], [3]]), None, r"column 'b': got nested values \(list<.*drop=\[b\]"),
        (table_of(a=OK, b=[{"x": 1}] * 3), None, r"column 'b': got nested values \(struct<"),
        (table_of(a=OK, b=[b"x"] * 3), None, r"column 'b': got type binary; takes numbers,.*drop=\[b\]"),
        (table_of(a=OK, b=[None] * 3), None, r"column 'b': got only missing values in all 3 rows; .*drop=\[b\]"),
        (table_of(a=OK, b=[NAN] * 3), None, r"column 'b': got only missing values"),
        (
            table_of(a=OK, b=[None] * 3, c=pa.array([None] * 3, pa.string())),
            None,
            r"columns 'b', 'c': got only missing values .*drop=\[b,c\]",
        ),
        (table_of(a=OK, b=NULL_IN_DICTIONARY), None, r"column 'b': got only missing values"),
        (table_of(a=OK, b=pa.array([1.0, INF, INF]).dictionary_encode()), None, r"column 'b': got infinite values"),
        (table_of(a=OK, b=[1.0, INF, -INF]), None, r"column 'b': got infinite values \(2 in 'b'\); .*drop=\[b\]"),
        (table_of(a=[1, 1, 1], b=["x"] * 3), None, r"table: got only constant and identifier columns"),
        (table_of(a=[1, 1, 1], y=["x", "y", "x"]), "y", r"table: got no column but the target 'y' that varies"),
        (table_of(a=OK, income=OK), "incme", r"target: got 'incme', .*did you mean 'income'"),
        (table_of(a=OK, y=["x"] * 3), "y", r"target: got 'y', which is constant \('x' in every row\)"),
        (
            table_of(a=OK, y=["x", None, "y"]),
            "y",
            r"target: got 1 missing of 3 values in 'y'; takes .*drop_missing_target=true",
        ),
        (table_of(a=OK, y=[0.0, NAN, 1.0]), "y", r"target: got 1 missing of 3 values"),
    ],
)
def test_refusals(table: pa.Table, target: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        infer_schema(table, target=target)
    assert "\n" not in str(caught.value)


def test_too_many_levels_names_the_ways_out() -> None:
    names = [f"v{i}" for i in range(100_001)] * 2
    table = pa.table({"text": names, "y": np.arange(len(names)) % 2, "x": np.arange(len(names)) % 5})
    with pytest.raises(
        InputError, match=r"'text': got 100,001 distinct values; .*100,000.*drop=\[text\].*columns\.text="
    ):
        infer_schema(table, target="y")
    schema = infer_schema(table, target="y", overrides={"text": "identifier"})
    assert [c.name for c in schema.modelled] == ["y", "x"]


def test_a_hundred_thousand_levels_are_allowed() -> None:
    names = [f"v{i}" for i in range(100_000)] * 2
    schema = infer_schema(pa.table({"text": names, "y": np.arange(len(names)) % 3}), target="y")
    assert len(schema["text"].categories) == 100_000


def test_dropping() -> None:
    table = pa.table({"a": OK, "b": OK, "y": ["x", None, "z"]})
    assert drop_columns(table, ["b"]).column_names == ["a", "y"]
    assert drop_missing_target(table, "y")["a"].to_pylist() == [1, 3]
    assert drop_missing_target(pa.table({"a": OK, "y": [0.5, NAN, 1.0]}), "y")["a"].to_pylist() == [1, 3]
    with pytest.raises(InputError, match=r"drop: got 'bb', which is no column; .*did you mean 'b'"):
        drop_columns(table, ["bb"])
    with pytest.raises(InputError, match=r"target: got 'z'"):
        drop_missing_target(table, "z")


NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=2, max_size=4)


@settings(max_examples=80, deadline=None)
@given(names=NAMES)
@example(["", "x"])
@example([" ", "x"])
@example(["a", "a"])
@example(["new\nline", "\u202ex"])
def test_what_is_taken_is_what_a_bundle_may_hold(names: list[str]) -> None:
    """One rule of names: a table that is accepted has a schema, and rows of it, that a receiver accepts."""
    columns = [np.arange(40) % (k + 2) for k in range(len(names))]
    table = pa.Table.from_arrays([pa.array(column) for column in columns], names=names)
    try:
        schema = infer_schema(table)
    except InputError as error:
        assert "\n" not in str(error)
        twin = TableSchema(tuple(Column(name, Kind.INTEGER, "int64") for name in names))
        assert check_schema(twin) != []
    else:
        assert check_schema(schema) == [] and check_table(table, schema) == []
        assert check_schema(TableSchema.from_json(schema.to_json())) == []
