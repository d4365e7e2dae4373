"""Schemas that no row was looked at for, and rows made to fit them one by one."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.errors import InputError, InputErrors
from dge_ray.table import Kind, check_table, infer_schema
from dge_ray.table.public import conform, declared_schema, read_public_schema

TABLE = pa.table(
    {
        "age": [20, 35, 17],
        "city": ["a", "b", None],
        "on": [True, False, True],
        "x": [0.5, 2.25, float("inf")],
        "day": pa.array([0, 1, 2], pa.date32()),
        "y": [0, 1, 1],
    }
)
DECLARED = {
    "age": {"minimum": 18, "maximum": 99},
    "city": {"categories": ["a", "c"]},
    "x": {"maximum": 2.0, "decimals": 1},
    "day": {"minimum": 0, "maximum": 1},
    "y": {"categories": [0, 1]},
}


def test_what_is_declared_and_what_types_say() -> None:
    schema = declared_schema(TABLE.schema, "y", DECLARED)
    kinds = [Kind.INTEGER, Kind.CATEGORICAL, Kind.BOOLEAN, Kind.NUMERIC, Kind.DATETIME, Kind.CATEGORICAL]
    assert [column.kind for column in schema.columns] == kinds
    assert (schema["age"].minimum, schema["x"].minimum, schema["x"].decimals) == (18.0, None, 1)
    assert schema["on"].categories == (False, True)
    assert (schema["age"].missing, schema["y"].missing) == (True, False)
    assert schema.task == "binary"


def test_what_is_missing_is_named_with_what_to_give() -> None:
    with pytest.raises(InputErrors) as refusal:
        declared_schema(TABLE.schema, "y", {"aeg": "integer", "on": {"minium": 1}})
    text = str(refusal.value)
    for part in (
        "columns.aeg: got no such column",
        "columns.city={categories: [...]}",
        "columns.on.minium: got an unknown key",
        "columns.day={minimum: a, maximum: b}",
        "columns.y={categories: [...]} for classes",
    ):
        assert part in text
    assert "columns.age" not in text and "columns.x" not in text  # bounds may be left out


def test_rows_are_made_to_fit() -> None:
    schema = declared_schema(TABLE.schema, "y", DECLARED)
    found = conform(TABLE, schema)
    assert check_table(found, schema) == []
    assert found.to_pydict() == {
        "age": [20, 35, 18],
        "city": ["a", None, None],
        "on": [True, False, True],
        "x": [0.5, 2.0, None],
        "day": pa.array([0, 1, 1], pa.date32()).to_pylist(),
        "y": [0, 1, 1],
    }


def test_where_nothing_may_be_missing_there_is_a_value() -> None:
    given_ = {**DECLARED, "city": {"categories": ["c", "a"], "missing": False}, "y": {"categories": [1, 2]}}
    given_["x"] = {"minimum": 0.5, "maximum": 3.0, "missing": False}
    found = conform(TABLE, declared_schema(TABLE.schema, "y", given_)).to_pydict()
    assert found["city"] == ["a", "c", "c"]
    assert found["x"] == [0.5, 2.25, 0.5]
    assert found["y"] == [1, 1, 1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), row=st.integers(0, 39))
def test_a_row_is_made_to_fit_whatever_the_others_are(seed: int, row: int) -> None:
    rng = np.random.default_rng(seed)
    values = {"x": np.where(rng.random(40) < 0.2, np.nan, rng.normal(0, 5, 40)), "c": rng.integers(0, 6, 40)}
    table = pa.table(values)
    declared = {"x": {"minimum": -3, "decimals": 2}, "c": {"categories": [0, 2, 4]}}
    schema = declared_schema(table.schema, "c", declared)
    assert conform(table, schema).slice(row, 1).equals(conform(table.slice(row, 1), schema).combine_chunks())


def test_a_table_of_its_own_schema_stays_as_it_is() -> None:
    table = pa.table({"a": [1, 2, None, 4], "b": ["x", None, "z", "x"], "y": [0, 1, 0, 1]})
    schema = infer_schema(table, target="y")
    assert conform(table, schema).equals(table)
    assert read_public_schema(schema.to_json(), table.schema, None, where="f") == schema


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[1", "a schema's JSON"),
        ("[]", "a schema's JSON"),
        ("{}", "a schema's JSON"),
        (json.dumps({"columns": [], "target": None, "task": None}), "without 'a'"),
    ],
)
def test_what_is_no_schema_is_refused(text: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        read_public_schema(text, pa.schema({"a": pa.int64()}), None, where="'f.json'")


def test_text_is_refused_by_name() -> None:
    with pytest.raises(InputErrors, match=r"columns\.city: got text"):
        declared_schema(TABLE.schema, "y", {**DECLARED, "city": "text"})
