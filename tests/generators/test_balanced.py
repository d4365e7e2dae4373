"""Class-balanced rows: exact counts, the conditional law that the joint's own rows have, and what is refused.

Checked against counting, and against unconditional rows of the same generator.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.generator_cases import LEARNING, SMALL, mixed_schema, mixed_table

from dge_ray.errors import InputError, StudyError
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.balanced import sample_balanced
from dge_ray.generators.rows.constraints import meets, read_constraints
from dge_ray.table import check_table

TABLE = mixed_table()
SCHEMA = mixed_schema(TABLE)
FITTED: dict[str, Any] = {}


def fitted(name: str) -> Any:
    if name not in FITTED:
        settings = SMALL["gan"] if name == "gan" else LEARNING[name]  # of the GAN no law is tested here
        FITTED[name] = make_generator(name, **settings).fit(TABLE, SCHEMA, seed=0)
    return FITTED[name]


def counts(rows: pa.Table, name: str) -> dict[Any, int]:
    values, found = np.unique([str(v) for v in rows[name].to_pylist()], return_counts=True)
    return dict(zip(values.tolist(), found.tolist(), strict=True))


@pytest.mark.parametrize("name", ["autoregressive", "copula", "gan"])
@pytest.mark.parametrize(("column", "n"), [("label", 1_001), ("colour", 900), ("flag", 10), ("colour", 2)])
def test_classes_are_as_equal_as_n_allows(name: str, column: str, n: int) -> None:
    """Of any coded column, nulls never among them; the same call gives the same rows."""
    rows, kept = sample_balanced(fitted(name), n, column, SCHEMA, seed=3)
    found = counts(rows, column)
    assert rows.num_rows == n and max(found.values()) - min(found.values()) <= 1 and "None" not in found
    assert len(found) == min(n, len(SCHEMA[column].categories))
    assert check_table(rows, SCHEMA) == []
    assert 0 < kept <= 1 and (kept == 1 or name == "copula")
    assert sample_balanced(fitted(name), n, column, SCHEMA, seed=3)[0].equals(rows)
    assert n < 10 or not sample_balanced(fitted(name), n, column, SCHEMA, seed=4)[0].equals(rows)


def test_rows_are_in_random_order_so_that_any_prefix_is_nearly_balanced() -> None:
    rows, _ = sample_balanced(fitted("copula"), 2_000, "label", SCHEMA, seed=0)
    yes = np.array([value == "yes" for value in rows["label"].to_pylist()])
    # 200 of 2,000 without replacement: sd .5 / sqrt(200) = .035; 4 of them.
    assert abs(yes[:200].mean() - 0.5) < 0.14


@pytest.mark.parametrize("name", ["autoregressive", "copula"])
def test_other_columns_follow_the_law_given_the_class(name: str) -> None:
    """The share of red given 'no' equals that among the joint's own 'no' rows.

    At least 2,000 rows each: standard errors of .5 / sqrt(2000) = .011, .016 of the difference, and 4 of them.
    """
    balanced, _ = sample_balanced(fitted(name), 4_000, "label", SCHEMA, seed=0)
    joint = fitted(name).sample(8_000, seed=1)

    def red(rows: pa.Table) -> float:
        wanted = [r["colour"] == "red" for r in rows.select(["label", "colour"]).to_pylist() if r["label"] == "no"]
        return float(np.mean(wanted))

    assert abs(red(balanced) - red(joint)) < 0.065


@pytest.mark.parametrize("name", ["autoregressive", "copula"])
def test_constraints_hold_within_each_class(name: str) -> None:
    rules = read_constraints(["age >= 40", "colour != green"], SCHEMA)
    rows, kept = sample_balanced(fitted(name), 400, "label", SCHEMA, rules, seed=0)
    assert counts(rows, "label") == {"no": 200, "yes": 200}
    assert meets(rows, rules).all() and kept < 0.9


def test_what_cannot_be_balanced_is_refused() -> None:
    with pytest.raises(InputError, match=r"^balance: got 'age'; takes one of flag, colour, label"):
        sample_balanced(fitted("copula"), 10, "age", SCHEMA, seed=0)
    with pytest.raises(InputError, match="did you mean 'label'"):
        sample_balanced(fitted("copula"), 10, "lable", SCHEMA, seed=0)


def test_a_class_that_hardly_comes_up_is_refused_not_spun_on() -> None:
    """One row in 2,000 is 'rare', and the VAE must find 500 such by drawing."""
    table = pa.table({"x": np.random.default_rng(0).normal(size=2_000), "y": ["rare"] + ["usual"] * 1_999})
    schema = mixed_schema(table.append_column("label", pa.array(["a", "b"] * 1_000)))
    table = table.append_column("label", pa.array(["a", "b"] * 1_000))
    generator = make_generator("vae", epochs=2).fit(table, schema, seed=0)
    with pytest.raises(StudyError, match=r"too few to go on; least often met: 'y == rare'"):
        sample_balanced(generator, 1_000, "y", schema, seed=0)
    given = make_generator("autoregressive", epochs=1).fit(table, schema, seed=0)
    rows, kept = sample_balanced(given, 1_000, "y", schema, seed=0)  # which can be asked for it
    assert counts(rows, "y") == {"rare": 500, "usual": 500} and kept == 1
