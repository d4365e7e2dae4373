"""Constraints: read, refused, met by every row, and bounded."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.generator_cases import mixed_schema, mixed_table

from dge_ray.errors import InputError, StudyError
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.constraints import meets, read_constraints, sample_within

TABLE = mixed_table()
SCHEMA = mixed_schema(TABLE)
COPULA: Any = make_generator("copula").fit(TABLE, SCHEMA, seed=0)


def holds(text: str) -> np.ndarray:
    return meets(TABLE, read_constraints([text], SCHEMA))


def column(name: str) -> list[Any]:
    return TABLE[name].to_pylist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age >= 40", [v >= 40 for v in column("age")]),
        ("age > 40.5", [v > 40.5 for v in column("age")]),
        ("age in [20, 30]", [v in (20, 30) for v in column("age")]),
        ("income < 2", [v is None or v < 2 for v in column("income")]),
        ("colour == red", [v is None or v == "red" for v in column("colour")]),
        ("colour in [red, blue]", [v in (None, "red", "blue") for v in column("colour")]),
        ("colour != red", [v != "red" for v in column("colour")]),
        ("flag == true", [v is None or v for v in column("flag")]),
        ("income <= price", [a is None or a <= b for a, b in zip(column("income"), column("price"), strict=True)]),
        ("day >= 2021-01-01", [v.year >= 2021 for v in column("day")]),
    ],
)
def test_which_rows_meet_it(text: str, expected: list[bool]) -> None:
    assert holds(text).tolist() == expected
    assert 0 < sum(expected) < len(expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("age", "one of >= <="),
        ("ages >= 3", "did you mean 'age'"),
        ("colour >= red", "==, != or in"),
        ("age >= old", "type int16"),
        ("age in 3", r"in \[VALUE"),
        ("colour == label", "two columns of numbers"),
        ("key == id-1", "no column 'key'"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=f"^constraints: got .*{says}"):
        read_constraints([text], SCHEMA)


def test_every_row_meets_them_and_the_share_is_told() -> None:
    rules = read_constraints(["age >= 40", "income <= price", "colour in [red, blue]"], SCHEMA)
    rows, share = sample_within(COPULA, 1_000, rules, seed=3)
    assert rows.num_rows == 1_000 and rows.schema.equals(TABLE.schema)
    assert meets(rows, rules).all()
    again, same = sample_within(COPULA, 1_000, rules, seed=3)
    assert again.equals(rows) and same == share
    # Of 20,000 unconstrained rows as many meet them: sd sqrt(.25 / 20000) = .0035, and .016 for the 1,000 drawn above.
    assert meets(COPULA.sample(20_000, seed=4), rules).mean() == pytest.approx(share, abs=4 * 0.0165)


def test_without_constraints_rows_are_the_generators() -> None:
    rows, share = sample_within(COPULA, 100, (), seed=1)
    assert rows.equals(COPULA.sample(100, seed=1)) and share == 1.0


def test_constraints_that_hardly_any_row_meets_are_refused_not_spun_on() -> None:
    rules = read_constraints(["age >= 18", "age > 89"], SCHEMA)
    with pytest.raises(StudyError, match=r"0 of 100\d\d rows drawn meet them.*least often met: 'age > 89'"):
        sample_within(COPULA, 100, rules, seed=0)


def test_one_that_holds_anyway_changes_nothing() -> None:
    rules = read_constraints(["age >= 18"], SCHEMA)
    rows, share = sample_within(COPULA, 200, rules, seed=2)
    assert share == 1.0
    assert rows.equals(pa.concat_tables([COPULA.sample(200, seed=2)]).combine_chunks())
