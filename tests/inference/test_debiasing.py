"""Debiasing: the published formulas, exact agreement after it, coverage before and after, and what must stay."""

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.errors import InputError
from dge_ray.inference.debiasing import Shift, debiased, learn_shifts
from dge_ray.inference.estimands import read_estimands
from dge_ray.table import TableSchema, check_table, infer_schema

SLOPE = "ols(y ~ a + x)[a]"
TRUTH = 0.5


def rows(n: int, rng: np.random.Generator, *, slope: float = TRUTH, centre: float = 10.0) -> pa.Table:
    """x, a given x, y given both, a category, whole counts: a law whose slope of a is known, and its mean of y."""
    x = rng.normal(size=n)
    a = 0.6 * x + rng.normal(size=n)
    y = centre + slope * a - 0.4 * x + rng.normal(size=n)
    group = rng.choice(["p", "q", "r"], n)
    return pa.table({"x": x, "a": a, "y": y, "group": group, "count": np.clip(rng.poisson(3, n), 0, 12), "t": y > 10})


@pytest.fixture(scope="module")
def schema() -> TableSchema:
    """Of many rows, so that its bounds hold no row back."""
    return infer_schema(rows(200_000, np.random.default_rng(99)), target="t")


def test_a_mean_is_shifted_by_the_difference_of_means(schema: TableSchema) -> None:
    rng = np.random.default_rng(0)
    real, draws, member = rows(300, rng), rows(50_000, rng, centre=9.0), rows(300, rng, centre=9.0)
    (shift,) = learn_shifts(read_estimands("mean(y)", schema), real, draws)
    mean = {name: np.mean(table["y"].to_numpy()) for name, table in (("real", real), ("draws", draws))}
    # .001: of 50,000 draws a few reach the column's bounds, which the shift makes up for.
    assert shift.by == pytest.approx(mean["real"] - mean["draws"], abs=1e-3)
    after = debiased(member, [shift], schema, seed=0, member=0)
    assert after["y"].to_numpy() == pytest.approx(member["y"].to_numpy() + shift.by)
    assert after.drop_columns(["y"]).equals(member.drop_columns(["y"]))


def test_a_slope_is_shifted_by_the_residual_formula(schema: TableSchema) -> None:
    rng = np.random.default_rng(1)
    real, draws = rows(300, rng), rows(50_000, rng, slope=0.2)
    (shift,) = learn_shifts(read_estimands(SLOPE, schema), real, draws)

    def column(table: pa.Table, name: str) -> np.ndarray:
        return table[name].to_numpy()

    given = np.column_stack([np.ones(50_000), column(draws, "x")])
    of_a, of_y = (np.linalg.lstsq(given, column(draws, name), rcond=None)[0] for name in "ay")
    left = {}
    for name, table in (("real", real), ("draws", draws)):
        design = np.column_stack([np.ones(table.num_rows), column(table, "x")])
        left[name] = (column(table, "a") - design @ of_a, column(table, "y") - design @ of_y)
    theta = np.mean(left["draws"][0] * left["draws"][1]) / np.mean(left["draws"][0] ** 2)
    r_a, r_y = left["real"]
    bias = np.mean(r_a * (r_y - theta * r_a)) / np.mean(r_a**2)
    assert theta == pytest.approx(0.2, abs=0.02)
    assert shift.by == pytest.approx(bias, abs=1e-3)
    assert shift.expected == pytest.approx(of_a)
    # The generator's own rows then say what the real rows say, by its conditional means.
    after = read_estimands(SLOPE, schema)(debiased(draws, [shift], schema, seed=0, member=0))
    assert after.value == pytest.approx([theta + bias], abs=1e-3)


def test_intervals_hold_after_it_and_not_before(schema: TableSchema) -> None:
    estimands = read_estimands(["mean(y)", SLOPE], schema)
    n, runs, held = 300, 200, {"before": np.zeros(2), "after": np.zeros(2)}
    truth = np.array([10.0, TRUTH])
    for run in range(runs):
        rng = np.random.default_rng([2, run])
        real = rows(n, rng)
        told = estimands(real).value
        # A generator with a regularisation bias: it shrinks the slope, and the mean towards 0, by a share.
        law = {"slope": 0.7 * told[1], "centre": 0.97 * told[0]}
        draws, member = rows(8_000, rng, **law), rows(n, rng, **law)
        shifts = learn_shifts(estimands, real, draws)
        for name, table in (("before", member), ("after", debiased(member, shifts, schema, seed=run, member=0))):
            found = estimands(table)
            held[name] += np.abs(found.value - truth) <= 1.96 * np.sqrt(2 * found.variance)
    # .06: four standard errors of a coverage of .95 over 200 runs.
    assert held["after"] / runs == pytest.approx([0.95, 0.95], abs=0.06)
    assert (held["before"] / runs < 0.75).all()


def test_shifted_rows_are_still_rows_of_the_schema(schema: TableSchema) -> None:
    rng = np.random.default_rng(3)
    real, draws, member = rows(2_000, rng), rows(20_000, rng), rows(2_000, rng)
    counts = pa.array(np.minimum(draws["count"].to_numpy(), 2))  # a generator that never counts beyond 2
    draws = draws.set_column(draws.schema.get_field_index("count"), "count", counts)
    shifts = learn_shifts(read_estimands("mean(count)", schema), real, draws)
    after = debiased(draws, shifts, schema, seed=0, member=0)
    assert check_table(after, schema) == []
    # Whole numbers all the same, and their mean is the real rows' up to the rounding at random: sd 0.5 / sqrt(20,000).
    assert np.mean(after["count"].to_numpy()) == pytest.approx(np.mean(real["count"].to_numpy()), abs=0.015)
    again = debiased(draws, shifts, schema, seed=0, member=0)
    assert again.equals(after)
    assert not debiased(draws, shifts, schema, seed=0, member=1).equals(after)
    assert debiased(member, [], schema, seed=0, member=0).equals(member)


def test_missing_values_stay_missing(schema: TableSchema) -> None:
    rng = np.random.default_rng(4)
    table = rows(500, rng)
    gaps = pa.array(np.where(rng.random(500) < 0.2, np.nan, table["a"].to_numpy()), from_pandas=True)
    table = table.set_column(1, "a", gaps)
    schema = infer_schema(table, target="t")
    shifts = learn_shifts(read_estimands(["mean(a)", SLOPE], schema), table, rows(5_000, rng, slope=0.1))
    after = debiased(table, shifts, schema, seed=0, member=0)
    assert after["a"].null_count == table["a"].null_count
    assert after["y"].null_count == 0
    assert check_table(after, schema) == []


def test_categories_are_conditioned_on(schema: TableSchema) -> None:
    rng = np.random.default_rng(5)
    (shift,) = learn_shifts(read_estimands("ols(y ~ group + a)[a]", schema), rows(500, rng), rows(5_000, rng))
    assert isinstance(shift, Shift)
    assert [(term.column, term.level) for term in shift.given] == [("group", 1), ("group", 2)]


@pytest.mark.parametrize(
    "estimand", ["proportion(t = true)", "logistic(t ~ a)[a]", "ols(y ~ a)[intercept]", "ols(y ~ a)"]
)
def test_what_no_shift_mends_is_refused(schema: TableSchema, estimand: str) -> None:
    table = rows(100, np.random.default_rng(6))
    with pytest.raises(InputError, match="debias"):
        learn_shifts(read_estimands(estimand, schema), table, table)


def test_an_exposure_that_does_not_vary_is_refused(schema: TableSchema) -> None:
    table = rows(100, np.random.default_rng(7))
    still = table.set_column(1, "a", pa.array(np.zeros(100)))
    with pytest.raises(InputError, match="tell nothing"):
        learn_shifts(read_estimands(SLOPE, schema), table, still)
