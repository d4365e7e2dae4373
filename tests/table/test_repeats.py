"""Groups that give the target away: found where a law has them, and not where values merely tell of the target."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.table import infer_schema, load_table, split_table
from dge_ray.table.repeats import find_repeats, repeats_warning

SHARED = Path(__file__).parents[3] / "shared"
OWN_TARGETS = {
    "abalone": "Rings",
    "adult": "income",
    "bank_marketing": "y",
    "california_housing": "MedHouseVal",
    "credit_default": "default.payment.next.month",
    "heart_disease": "num",
    "insurance": "charges",
    "magic": "class",
    "pima_diabetes": "Outcome",
    "shoppers": "Revenue",
}


def found(table: pa.Table) -> list[str]:
    schema = infer_schema(table, target="y")
    train = table.take(pa.array(split_table(table, schema, seed=0).train))
    return [one.column for one in find_repeats(train, schema)]


def people(seed: int, persons: int, rows: int) -> tuple[np.random.Generator, np.ndarray]:
    return np.random.default_rng(seed), np.repeat(np.arange(persons), rows)


@pytest.mark.parametrize("kind", ["number", "text", "far apart", "date"])
@pytest.mark.parametrize(("persons", "rows"), [(60, 8), (300, 3), (25, 60)])
def test_the_names_of_groups_are_found(kind: str, persons: int, rows: int) -> None:
    rng, who = people(3, persons, rows)
    names = {
        "number": rng.permutation(persons)[who],
        "text": np.array([f"P-{k:03d}" for k in range(persons)])[who],
        "far apart": rng.choice(10**8, persons, replace=False)[who],
        "date": pa.array(rng.choice(20_000, persons, replace=False)[who]).cast(pa.int32()).cast(pa.date32()),
    }[kind]
    y = np.array(["ill", "well"])[rng.integers(0, 2, persons)][who]
    assert found(pa.table({"who": names, "w": rng.normal(size=len(who)), "y": y})) == ["who"]
    quantity = rng.normal(size=persons)[who] + 0.5 * rng.normal(size=len(who))
    assert found(pa.table({"who": names, "w": rng.normal(size=len(who)), "y": quantity})) == ["who"]


def test_a_measure_that_is_nearly_constant_in_a_person_is_found() -> None:
    rng, who = people(4, 120, 8)
    y = np.array(["ill", "well"])[rng.integers(0, 2, 120)][who]
    height = rng.normal(170, 10, 120)[who] + 0.02 * rng.normal(size=len(who))
    assert found(pa.table({"height": height, "w": rng.normal(size=len(who)), "y": y})) == ["height"]


def test_what_merely_tells_of_the_target_is_not() -> None:
    rng = np.random.default_rng(5)
    age, code, town = rng.integers(18, 90, 2000), rng.integers(0, 400, 2000), rng.integers(0, 60, 2000)
    score = 0.1 * (age - 54) + 0.3 * rng.normal(size=60)[town] + 0.01 * (code - 200) ** 2 / 100 + rng.normal(size=2000)
    income = 1000.0 * age + 500 * rng.normal(size=2000)
    towns = np.array([f"town {k}" for k in range(60)])[town]
    columns = {"age": age, "code": code, "town": towns, "income": income}
    assert found(pa.table({**columns, "y": np.where(score > 1, "a", "b")})) == []
    assert found(pa.table({**columns, "y": score})) == []


def test_the_example_of_patients() -> None:
    file = SHARED / "reports" / "inputs" / "32d_groups.csv"
    if not file.exists():
        pytest.skip("needs the reports' inputs beside the repository")
    table = load_table(str(file))
    assert found(table) == ["patient", "x"] and found(table.drop_columns(["patient"])) == ["x"]


@pytest.mark.parametrize("name", OWN_TARGETS)
def test_no_example_table_is_told_of(name: str) -> None:
    file = SHARED / "data" / f"{name}.parquet"
    if not file.exists():
        pytest.skip("needs the shared tables beside the repository")
    table = load_table(str(file))
    assert found(table.rename_columns(["y" if c == OWN_TARGETS[name] else f"_{c}" for c in table.column_names])) == []


def test_the_line() -> None:
    rng, who = people(6, 60, 8)
    table = pa.table({"it's, so": who, "x": rng.normal(size=480), "y": np.array(["a", "b"])[who % 7 % 2]})
    [line] = repeats_warning(find_repeats(table, infer_schema(table, target="y")), "y")
    assert line.startswith("column 'it's, so': rows that share one of its 60 repeated values share 'y' too")
    assert "'group_column=it'\"'\"'s, so' keeps a group's rows together" in line
    assert repeats_warning([], "y") == []
