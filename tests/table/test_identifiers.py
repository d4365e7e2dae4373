"""Which columns are identifiers: keys and personal data against look-alikes that are quantities or categories."""

import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.table import TableCodec, infer_schema

RNG = np.random.default_rng(5)
FIRST = ["Anna", "Peter", "María", "John", "Wei", "Fatima", "Lukas", "Emma", "Olga", "José"]
LAST = ["Schmidt", "O'Neill", "García", "Smith", "van der Berg", "Nowak", "Ivanova", "Müller", "Lee", "Rossi"]
TOWNS = ["New York", "San José", "Los Angeles", "St. Louis", "Santa Fe", "Las Vegas", "Baton Rouge", "El Paso"]


def kind_of(values: Any, name: str = "x", **overrides: Any) -> str:
    table = pa.table({name: values, "other": np.arange(len(values)) % 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return infer_schema(table, overrides=overrides or None)[name].kind.value


def with_check_digit(number: int) -> int:
    """The number with the digit behind that Luhn's rule asks for."""
    total = sum(sum(map(int, str(int(d) * 2))) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(str(number))))
    return number * 10 + -total % 10


def names(count: int, form: str) -> list[str]:
    return [form.format(first=FIRST[i % 10], last=LAST[i // 10 % 10]) for i in range(count)]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([f"person{i}@mail.example" for i in range(45)], "email"),
        ([f"person{i % 6}@mail.example" for i in range(400)], "handler"),  # six persons are persons
        (names(45, "{first} {last}"), "x"),
        (names(300, "{last}, {first}"), "x"),  # of 100 different ones
        (names(300, "Dr. {first} {last}"), "treated_by"),
        ([LAST[i % 10].split()[-1] + "son" * (i % 3) for i in range(60)], "last_name"),
        ([f"+49 151 {i * 7919 % 10**7:07d}" for i in range(45)], "x"),
        ([f"({200 + i}) 555-{i * 37 % 10**4:04d}" for i in range(45)], "contact"),
        ([f"{i * 7 % 900 + 100}-{i % 90 + 10}-{i * 131 % 9000 + 1000}" for i in range(45)], "ssn"),
        ([str(with_check_digit(400000000000000 + i * 7919)) for i in range(45)], "x"),
        ([f"550e8400-e29b-41d4-a716-{i:012x}" for i in range(45)], "x"),
        ([f"DE89 3704 0044 0532 0130 {i:02d}" for i in range(45)], "x"),
        (RNG.choice(10**16 - 10**15, 45, replace=False) + 10**15, "x"),
        (RNG.integers(10**8, 10**9, 45), "x"),
        (RNG.permutation(9 * 10**4)[:45] + 10**4, "customerID"),
        (RNG.integers(2**60, 2**62, 400), "hash"),
        ([with_check_digit(400000000000000 + i % 30 * 7919) for i in range(400)], "x"),  # cards that return
        (RNG.integers(10**8, 10**9, 45).astype(float), "x"),
        (pa.array(RNG.integers(10**8, 10**9, 45)).cast(pa.decimal128(19, 0)).cast(pa.decimal128(12, 0)), "x"),
    ],
)
def test_personal_data_and_keys_are_identifiers_in_tables_of_any_size(values: Any, name: str) -> None:
    assert kind_of(values, name) == "identifier"
    assert kind_of(values, name, **{name: "categorical"}) == "categorical"


@pytest.mark.parametrize(
    ("values", "name", "kind"),
    [
        ([TOWNS[i % 8] for i in range(200)], "city_name", "categorical"),
        ([TOWNS[i % 8] for i in range(200)], "x", "categorical"),
        (["Machine Operator", "Data Scientist", "Farm Worker", "Sales Lead", "Tax Clerk"] * 9, "job", "categorical"),
        (["10000-19999", "20000-29999", "30000-39999"] * 15, "income_band", "categorical"),
        (["2020-2021", "2021-2022", "2022-2023"] * 15, "season", "categorical"),
        (RNG.lognormal(11, 1.5, 400).astype(np.int64), "amount", "integer"),
        ((RNG.lognormal(18, 1.2, 400)).astype(np.int64), "population", "integer"),
        (RNG.integers(10**5, 10**6, 45) * 1000, "price", "integer"),
        (RNG.normal(0, 1e6, 400).astype(np.int64), "balance", "integer"),
        (RNG.permutation(9 * 10**4)[:45] + 10**4, "income", "integer"),
        (RNG.integers(10**8, 10**9, 45) + 0.5, "x", "numeric"),
    ],
)
def test_what_only_looks_like_keys_or_names(values: Any, name: str, kind: str) -> None:
    assert kind_of(values, name) == kind


def test_long_keys_that_return_are_exact_categories() -> None:
    keys = RNG.integers(2**60, 2**62, 40)
    table = pa.table({"tweet": np.repeat(keys, 10), "other": np.arange(400) % 3})
    schema = infer_schema(table)
    assert schema["tweet"].kind == "categorical" and set(schema["tweet"].categories) == set(keys.tolist())
    codec = TableCodec(schema)
    assert codec.decode(codec.encode(table), seed=0)["tweet"].combine_chunks().equals(table["tweet"].combine_chunks())


def test_decimals_keep_their_scale() -> None:
    cents = RNG.integers(0, 10**9, 300).tolist()
    money = pa.array([Decimal(value).scaleb(-2) for value in cents], pa.decimal128(20, 4))
    table = pa.table({"money": money, "other": np.arange(300) % 3})
    column = infer_schema(table)["money"]
    assert column.decimals == 2
    codec = TableCodec(infer_schema(table))
    drawn = {"money": RNG.uniform(0, 10**7, 300), "other": np.zeros(300)}
    made = codec.decode(drawn, seed=0)["money"]
    assert made.type == pa.decimal128(20, 4)
    assert all(value == round(value, 2) for value in made.to_pylist())
    assert codec.decode(codec.encode(table), seed=0)["money"].equals(table["money"])
