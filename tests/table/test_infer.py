"""Schema inference against hand-written tables whose kinds are known, and the user's word against its limits."""

import datetime as dt
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.errors import InputError
from dge_ray.table import IdentifierWarning, Kind, infer_schema

N = 100


def kind_of(values: Any, **overrides: Any) -> str:
    table = pa.table({"x": values, "other": np.arange(len(values)) % 3})
    return infer_schema(table, overrides=overrides or None)["x"].kind.value


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.5, 1.5, 2.0], "numeric"),
        ([1.0, 2.0, None], "integer"),
        (pa.array([0, 1, 1], pa.uint8()), "integer"),
        ([True, False, None], "boolean"),
        (["a", "b", "a"], "categorical"),
        (pa.array(["a", "b", "a"]).dictionary_encode(), "categorical"),
        (pa.array([1, 2, 1]).dictionary_encode(), "categorical"),
        ([dt.date(2020, 1, 1), dt.date(2021, 1, 1), None], "datetime"),
        (pa.array([0, 1, 2], pa.timestamp("us", "UTC")), "datetime"),
        ([Decimal("1.50"), Decimal("2.25"), None], "numeric"),
        ([3, 3, 3], "constant"),
        ([3, None, 3], "integer"),
        (["a", None, "a"], "categorical"),
        ([1e300, 2e300, 1.0], "numeric"),
    ],
)
def test_kinds(values: Any, kind: str) -> None:
    assert kind_of(values) == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"id {i}" for i in range(N)], "identifier"),
        ([f"name {min(i, N - 3)}" for i in range(N)], "identifier"),  # 98 of 100 names differ
        ([f"town {i % 80}" for i in range(N)], "categorical"),
        (np.random.default_rng(0).permutation(N) + 1, "identifier"),
        (np.arange(N, dtype=np.float32), "identifier"),
        (np.sort(np.random.default_rng(0).choice(10 * N, N, replace=False)), "integer"),  # chance allows no repeat
        (np.arange(N) * 10**6, "integer"),
        (np.arange(N) + 0.5, "numeric"),
        ([f"id {i}" for i in range(20)], "identifier"),
        ([f"id {i}" for i in range(19)], "categorical"),  # too few rows to tell
        (list(range(49)), "integer"),
    ],
)
def test_identifiers(values: Any, kind: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert kind_of(values) == kind
    assert len(caught) == (kind == "identifier")
    if caught:
        assert issubclass(caught[0].category, IdentifierWarning)
        text = str(caught[0].message)
        assert "\n" not in text and "column 'x'" in text and "memorise" in text and "columns.x=" in text
        assert caught[0].filename == __file__


def test_a_dictionary_of_differing_strings_stays_categorical_with_a_warning() -> None:
    with pytest.warns(IdentifierWarning, match="would be memorised"):
        assert kind_of(pa.array([f"id {i}" for i in range(N)]).dictionary_encode()) == "categorical"


def test_a_target_is_never_an_identifier() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema = infer_schema(pa.table({"x": np.arange(N) % 7, "y": np.arange(N)}), target="y")
    assert schema.task == "regression" and schema["y"].kind is Kind.INTEGER


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["b", "a", "b"], "binary", ("a", "b")),
        (["b", "a", "c"], "multiclass", ("a", "b", "c")),
        ([True, False, True], "binary", (False, True)),
        ([0, 1, 0], "binary", (0, 1)),
        ([0.0, 1.0, 2.0], "multiclass", (0.0, 1.0, 2.0)),
        (list(range(10)), "multiclass", tuple(range(10))),
        (list(range(11)), "regression", ()),
        ([0.5, 1.0, 1.5], "regression", ()),
        (pa.array([5, 3, 5]).dictionary_encode(), "binary", (3, 5)),
        (
            pa.DictionaryArray.from_arrays(
                pa.array([1, 0, 1], pa.int8()), pa.array(["low", "high", "?"]), ordered=True
            ),
            "binary",
            ("low", "high"),
        ),
    ],
)
def test_the_target_sets_the_task(values: Any, task: str, classes: tuple) -> None:
    schema = infer_schema(pa.table({"x": np.arange(len(values)), "y": values}), target="y")
    assert schema.task == task and schema.classes == classes


def test_bounds_precision_and_nulls() -> None:
    table = pa.table(
        {
            "price": pa.array([0.1, 2.25, None]),
            "single": pa.array([0.1, 0.7, 2.3], pa.float32()),
            "long": [1 / 3, 2 / 3, 0.5],
            "day": pa.array([0, 86_400 * 10**6, 3 * 86_400 * 10**6], pa.timestamp("us")),
            "minute": pa.array([60, 120, 600], pa.timestamp("s")),
            "odd": pa.array([1, 2, 4], pa.timestamp("ns")),
        }
    )
    schema = infer_schema(table)
    assert (schema["price"].minimum, schema["price"].maximum, schema["price"].decimals) == (0.1, 2.25, 2)
    assert schema["price"].missing and not schema["long"].missing
    assert schema["single"].decimals == 1 and schema["long"].decimals is None
    assert [schema[name].step for name in ("day", "minute", "odd")] == [86_400 * 10**6, 60, 1]
    assert schema["day"].type == "timestamp[us]"


def test_overrides() -> None:
    assert kind_of([0, 1, 0], x="boolean") == "boolean"
    assert kind_of([0, 1, 2], x="categorical") == "categorical"
    assert kind_of([0, 1, 2], x={"kind": "numeric"}) == "numeric"
    table = pa.table({"x": [0.123, 0.5], "y": np.arange(2)})
    column = infer_schema(table, overrides={"x": {"minimum": -1, "maximum": 2.5, "decimals": 2}})["x"]
    assert (column.minimum, column.maximum, column.decimals) == (-1.0, 2.5, 2)
    rows = pa.table({"id": np.arange(N), "y": np.arange(N) % 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert infer_schema(rows, overrides={"id": "integer"})["id"].kind is Kind.INTEGER
    assert infer_schema(rows, target="y", overrides={"id": "integer", "y": "integer"}).task == "regression"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"agee": "integer"}, r"columns\.agee: got 'agee', which is no column; .*did you mean 'age'"),
        ({"age": "interger"}, r"columns\.age: got 'interger'; takes .*numeric, .*did you mean 'integer'"),
        ({"age": 3}, r"columns\.age: got 3; takes a kind"),
        ({"age": {"minimun": 0}}, r"columns\.age\.minimun: got an unknown key; .*did you mean 'minimum'"),
        ({"age": {"minimum": 30}}, r"columns\.age\.minimum: got 30; takes at most the data's minimum 20"),
        ({"age": {"maximum": 30}}, r"columns\.age\.maximum: got 30; takes at least the data's maximum 40"),
        ({"age": {"maximum": "x"}}, r"columns\.age\.maximum: got 'x'; takes a finite number"),
        ({"age": {"decimals": 9}}, r"columns\.age\.decimals: got 9; takes a whole number from 0 to 6"),
        ({"town": {"minimum": 0}}, r"columns\.town\.minimum: got a categorical column; takes a numeric"),
        ({"town": "integer"}, r"columns\.town: got integer for a column with type string, no number; takes one of"),
        ({"town": "datetime"}, r"columns\.town: got datetime for a column with type string, no date"),
        ({"age": "boolean"}, r"columns\.age: got boolean for a column with 3 distinct values"),
        ({"age": "constant"}, r"columns\.age: got constant for a column with values that differ"),
        ({"price": "integer"}, r"columns\.price: got integer for a column with values with decimals"),
        ({"price": "identifier"}, r"columns\.price: got identifier for a column with type double"),
        ({"y": "identifier"}, r"columns\.y: got identifier for the target; takes boolean, categorical"),
    ],
)
def test_bad_overrides(overrides: dict, message: str) -> None:
    table = pa.table({"age": [20, 40, 35], "town": ["a", "b", "b"], "price": [0.5, 1.0, 2.0], "y": [0, 1, 0]})
    with pytest.raises(InputError, match=message) as caught:
        infer_schema(table, target="y", overrides=overrides)
    assert "\n" not in str(caught.value)
