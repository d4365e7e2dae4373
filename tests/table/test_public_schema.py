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
NAMES = TABLE.column_names
DECLARED = {
    "age": {"kind": "integer", "minimum": 18, "maximum": 99},
    "city": {"categories": ["a", "c"]},
    "on": "boolean",
    "x": {"type": "double", "maximum": 2.0, "decimals": 1},
    "day": {"type": "date32[day]", "minimum": 0, "maximum": 1},
    "y": {"categories": [0, 1]},
}


def test_what_is_declared_and_what_it_says_of_types() -> None:
    schema = declared_schema(NAMES, "y", DECLARED)
    kinds = [Kind.INTEGER, Kind.CATEGORICAL, Kind.BOOLEAN, Kind.NUMERIC, Kind.DATETIME, Kind.CATEGORICAL]
    assert [column.kind for column in schema.columns] == kinds
    assert (schema["age"].minimum, schema["x"].minimum, schema["x"].decimals) == (18.0, None, 1)
    assert schema["on"].categories == (False, True)
    assert (schema["age"].missing, schema["y"].missing) == (True, False)
    assert schema.task == "binary"
    assert [column.type for column in schema.columns] == ["int64", "string", "bool", "double", "date32[day]", "int64"]


def test_what_is_missing_is_named_with_what_to_give() -> None:
    with pytest.raises(InputErrors) as refusal:
        wrong = {"aeg": "integer", "on": {"minium": 1}, "age": {"minimum": 0}, "x": "numeric", "city": "categorical"}
        declared_schema(NAMES, "y", {**wrong, "day": "datetime"})
    text = str(refusal.value)
    for part in (
        "columns.aeg: got no such column",
        "columns.city={categories: [...]}",
        "columns.on.minium: got an unknown key",
        "columns.age: got a column whose type is not given",
        "columns.day={type: timestamp[s], ...}",
        "columns.y: got a column whose type is not given",
    ):
        assert part in text
    assert "columns.x" not in text  # bounds may be left out


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        ({"type": "int63"}, r"columns\.y\.type: got 'int63'; takes an Arrow type's name"),
        ({"type": "list<item: int64>"}, r"columns\.y\.type: got"),
        ({"type": "double"}, r"columns\.y: got a target that may be classes or a quantity"),
        ({"categories": [1, "a"]}, r"columns\.y\.categories: got \[1, 'a'\]; takes values of one type"),
        ({"kind": "datetime", "type": "date32[day]"}, r"columns\.y: got a datetime without bounds"),
        ({"kind": "constant"}, r"columns\.y: got a constant whose value is not given"),
        ({"kind": "integer", "type": "string"}, r"privacy\.schema: got columns: .* kind 'integer' with type string"),
    ],
)
def test_what_is_declared_wrongly_is_refused(declared: dict, fault: str) -> None:
    with pytest.raises((InputError, InputErrors), match=fault):
        declared_schema(["y"], "y", {"y": declared})


@pytest.mark.parametrize(
    ("categories", "dtype"), [([True, False], "bool"), ([3, 1], "int64"), ([1, 2.5], "double"), (["a"], "string")]
)
def test_categories_say_their_type(categories: list, dtype: str) -> None:
    assert declared_schema(["y"], None, {"y": {"categories": categories}})["y"].type == dtype


def test_rows_are_made_to_fit() -> None:
    schema = declared_schema(NAMES, "y", DECLARED)
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
    given_["x"] = {"kind": "numeric", "minimum": 0.5, "maximum": 3.0, "missing": False}
    found = conform(TABLE, declared_schema(NAMES, "y", given_)).to_pydict()
    assert found["city"] == ["a", "c", "c"]
    assert found["x"] == [0.5, 2.25, 0.5]
    assert found["y"] == [1, 1, 1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), row=st.integers(0, 39))
def test_a_row_is_made_to_fit_whatever_the_others_are(seed: int, row: int) -> None:
    rng = np.random.default_rng(seed)
    values = {"x": np.where(rng.random(40) < 0.2, np.nan, rng.normal(0, 5, 40)), "c": rng.integers(0, 6, 40)}
    table = pa.table(values)
    declared = {"x": {"kind": "numeric", "minimum": -3, "decimals": 2}, "c": {"categories": [0, 2, 4]}}
    schema = declared_schema(table.column_names, "c", declared)
    assert conform(table, schema).slice(row, 1).equals(conform(table.slice(row, 1), schema).combine_chunks())


def test_a_table_of_its_own_schema_stays_as_it_is() -> None:
    table = pa.table({"a": [1, 2, None, 4], "b": ["x", None, "z", "x"], "y": [0, 1, 0, 1]})
    schema = infer_schema(table, target="y")
    assert conform(table, schema).equals(table)
    assert read_public_schema(schema.to_json(), table.column_names, None, where="f") == schema


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
        read_public_schema(text, ["a"], None, where="'f.json'")


def test_text_is_refused_by_name() -> None:
    with pytest.raises(InputErrors, match=r"columns\.city: got text"):
        declared_schema(NAMES, "y", {**DECLARED, "city": "text"})
