"""The published protocol's scores, where the answer is known, and the generators that benchmarks alone have."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.table import TableCodec, TableSchema, infer_schema, target_vector

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "benchmarks"))
import published_scores
from cart import LEAF, Cart, Mixed
from published import class_error, some
from published_scores import booster, detector, mle, one_hot, staged


def rows(seed: int, shift: float = 0.0, n: int = 300) -> pa.Table:
    """A number, a category that follows it, some of them missing, and a target that follows the number."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, size=n)
    group = np.where(x > 0.5, "high", np.where(x < -0.5, "low", "middle")).astype(object)
    group[::11] = None
    return pa.table({"x": x, "group": pa.array(group, pa.string()), "y": np.where(x > 0, "yes", "no")})


SCHEMA = infer_schema(rows(0), target="y")


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_scores, "ROUNDS", (2, 5, 10))
    monkeypatch.setattr(published_scores, "DEPTHS", (5,))


def encoded(table: pa.Table, schema: TableSchema = SCHEMA) -> dict[str, np.ndarray]:
    return TableCodec(schema).encode(table)


def test_each_category_and_missing_have_a_column() -> None:
    first, second = one_hot(SCHEMA, encoded(rows(0)), encoded(rows(1)))
    assert first.shape == second.shape == (300, 1 + 4 + 3)
    np.testing.assert_array_equal(first[:, 1:5].sum(1), 1)
    np.testing.assert_array_equal(np.flatnonzero(first[:, 1]), np.arange(0, 300, 11))


def test_a_detector_finds_another_law_and_nothing_else() -> None:
    # Of 600 rows the AUC by chance has a standard error of 1 / sqrt(12 x 150) = .024.
    assert detector(SCHEMA, encoded(rows(0)), encoded(rows(1))) < 0.5 + 4 * 0.024
    assert detector(SCHEMA, encoded(rows(0)), encoded(rows(1, shift=3.0))) > 0.9


def test_what_is_learned_is_the_law_of_the_rows() -> None:
    held, drawn = encoded(rows(1)), encoded(rows(0))
    assert mle(SCHEMA, drawn, held)["mle"] > 0.97
    wrong = drawn | {"y": 1 - drawn["y"]}
    found = mle(SCHEMA, wrong, held)
    assert found["mle"] < 0.03 and found["mle_chosen"][3] in (2, 5, 10)


def test_a_regression_is_judged_on_the_logarithm_of_its_cut_target() -> None:
    x = np.repeat(np.arange(40.0), 10)
    table = pa.table({"x": x + 0.5, "y": 10.0 ** (x / 8)})
    schema = infer_schema(table, target="y", overrides={"y": "numeric"})
    columns = encoded(table, schema)
    constant = columns | {"x": np.zeros(len(x))}
    truth = np.log(np.clip(columns["y"], 1, 20_000))
    assert mle(schema, constant, columns)["mle"] == pytest.approx(truth.std(), rel=0.05)  # of a ninth less rows


@pytest.mark.parametrize("regression", [True, False])
def test_the_first_rounds_are_those_of_a_shorter_fit(regression: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = x[:, 0] + rng.normal(size=200)
    y = y if regression else (y > 0).astype(int)
    grid = {"max_depth": 5, "min_child_weight": 1, "gamma": 0.0}
    first, *_ = staged(booster(regression, **grid).fit(x, y), x, regression)
    monkeypatch.setattr(published_scores, "ROUNDS", (2,))
    (shorter,) = staged(booster(regression, **grid).fit(x, y), x, regression)
    np.testing.assert_allclose(first, shorter, rtol=1e-6)


def test_a_class_is_off_by_its_binomial_standard_errors() -> None:
    real, drawn = encoded(rows(0)), encoded(rows(1))
    rare = np.bincount(target_vector(real, SCHEMA)).argmin()
    p, found = (float((target_vector(part, SCHEMA) == rare).mean()) for part in (real, drawn))
    expected = abs(found - p) / np.sqrt(p * (1 - p) / 300)
    assert class_error(SCHEMA, real, drawn)["class_se"] == pytest.approx(expected)
    assert class_error(SCHEMA, real, real)["class_se"] == 0


def test_rows_that_a_table_lacks_are_left_out() -> None:
    np.testing.assert_array_equal(some({"x": np.arange(3.0)}, np.array([4, 2, 0]))["x"], [2, 0])


def test_a_cart_draws_donors_from_leaves() -> None:
    real = rows(0, n=600)
    drawn, again = (Cart().fit(real, SCHEMA, seed=0).sample(400, seed=0) for _ in range(2))
    assert drawn.schema.names == real.schema.names and drawn.equals(again)
    assert set(drawn["x"].to_pylist()) <= set(real["x"].to_pylist())
    x, y = drawn["x"].to_numpy(), drawn["y"].to_numpy(zero_copy_only=False)
    # The target is cut at 0 exactly: only the leaf that holds the cut, of 2 x LEAF - 1 rows at most, can have both.
    assert np.mean((x > 0) == (y == "yes")) > 1 - 4 * (2 * LEAF) / 600
    # Missing comes with no value of x: its share is that of the rows, within 4 standard errors.
    assert abs(drawn["group"].null_count / 400 - 1 / 11) < 4 * np.sqrt(1 / 11 * 10 / 11 / 400)


def test_a_mixed_pair_has_as_many_rows_of_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mixed, "KINDS", ("copula", "trees"))
    mixed = Mixed().fit(rows(0), SCHEMA, seed=0)
    drawn = mixed.sample(101, seed=3)
    assert drawn.slice(0, 51).equals(mixed.parts[0].sample(51, seed=3))
    assert drawn.slice(51).equals(mixed.parts[1].sample(50, seed=3))
