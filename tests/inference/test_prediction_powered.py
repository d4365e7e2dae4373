"""Estimates of labelled rows with a generator's predictions on unlabelled ones: put together by hand, a generator that
knows more, one that is wrong, and refusals."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from dge_ray import safe_estimate
from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.table import from_pandas, infer_schema


def people(n: int, rng: np.random.Generator, *, shift: float = 0.0) -> pd.DataFrame:
    age, score = rng.normal(50, 10, n).round(2), rng.normal(0, 1, n).round(4)
    income = 20 + 0.5 * age + 8 * score + 2 * rng.normal(size=n) + shift
    town = rng.choice(["Bern", "Oslo"], n)
    return pd.DataFrame({"age": age, "score": score, "town": town, "income": income.round(3)})


ESTIMANDS = ["mean(income)", "ols(income ~ age + town)"]


def test_a_mean_and_a_regression_of_few_labelled_rows() -> None:
    """The copula's law of this table is right but for town's jumps: its predictions carry most of what score says."""
    rng = np.random.default_rng(0)
    labelled, unlabelled = people(150, rng), people(1500, rng).drop(columns="income")
    found = safe_estimate(ESTIMANDS, labelled, unlabelled, generator="copula", folds=3, draws=10)
    assert found.index.tolist() == [
        "mean(income)",
        "ols(income ~ age + town)[intercept]",
        "ols(income ~ age + town)[age]",
        "ols(income ~ age + town)[town = Oslo]",
    ]
    mean = found.loc["mean(income)"]
    assert mean["labelled_value"] == pytest.approx(labelled["income"].mean())
    assert mean["labelled_se"] == pytest.approx(labelled["income"].std() / np.sqrt(150))
    assert mean["se"] < 0.6 * mean["labelled_se"] and abs(mean["value"] - 45) < 4 * mean["se"]
    assert (found["weight"] > 0.5).all() and (found["se"] < 0.75 * found["labelled_se"]).all()
    again = safe_estimate(ESTIMANDS, labelled, unlabelled, generator="copula", folds=3, draws=10)
    pd.testing.assert_frame_equal(found, again)
    guarded = safe_estimate(ESTIMANDS[0], labelled, unlabelled, generator="copula", folds=3, draws=10, epsilon=0.05)
    wide, narrow = (mean["labelled_se"] * student.ppf((1 + level) / 2, 148) for level in (0.95, 0.9))
    middle, (low, high) = mean["labelled_value"], guarded[["lower", "upper"]].iloc[0]
    assert (
        middle - wide - 1e-9 <= low <= middle - narrow + 1e-9 and middle + narrow <= high + 1e-9 <= middle + wide + 2e-9
    )
    assert guarded["value"].iloc[0] == mean["value"]


@pytest.mark.parametrize("right", [True, False])
def test_a_generator_from_elsewhere_may_be_wrong(right: bool) -> None:
    """Fitted on 3,000 rows of the same law, or of one in which incomes are turned round."""
    rng = np.random.default_rng(1)
    other = people(3000, rng)
    if not right:
        other["income"] = 200 - other["income"]
    table = from_pandas(other)
    generator = make_generator("copula").fit(table, infer_schema(table, target="income"), seed=0)
    labelled, unlabelled = people(60, rng), people(800, rng).drop(columns="income")
    mean = safe_estimate("mean(income)", labelled, unlabelled, generator=generator, folds=2, draws=5).iloc[0]
    if right:
        assert mean["se"] < 0.6 * mean["labelled_se"]
    else:
        assert mean["weight"] == 0 and mean["value"] == mean["labelled_value"]
    assert abs(mean["value"] - 45) < 4 * mean["se"]


def test_events_and_rows_with_nulls() -> None:
    rng = np.random.default_rng(2)
    frame = people(300, rng).assign(rich=lambda f: np.where(f.income > 48, "yes", "no")).drop(columns="income")
    frame.loc[::7, "age"] = np.nan
    more = people(500, rng).drop(columns="income")
    more.loc[::5, "age"] = np.nan
    asked = "proportion(rich = yes), logistic(rich = yes ~ age)[age]"
    found = safe_estimate(asked, frame, more, generator="copula", folds=2, draws=5)
    assert found["labelled_value"].iloc[0] == pytest.approx((frame["rich"] == "yes").mean())
    assert np.isfinite(found.to_numpy()).all() and (found["se"] < 1.01 * found["labelled_se"]).all()


def test_what_cannot_be_estimated_is_nan() -> None:
    rng = np.random.default_rng(3)
    frame = people(40, rng).assign(town="Bern", twice=lambda f: 2 * f.age)
    found = safe_estimate(
        "ols(income ~ age + twice)",
        frame,
        people(50, rng).assign(town="Bern", twice=lambda f: 2 * f.age).drop(columns="income"),
        generator="copula",
        folds=2,
        draws=2,
    )
    assert found.isna().all(axis=None)


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"unlabelled": ["income", "age"]}, "unlabelled: got 2 columns fewer"),
    ({"unlabelled": []}, "unlabelled: got 0 columns fewer"),
    ({"rows": 3}, "unlabelled: got 3 rows"),
    ({"estimands": "mean(age)"}, "estimands: got 'age' as a response"),
    ({"estimands": "median(income)"}, "estimands"),
    ({"generator": "gan"}, "generator: got 'gan'"),
    ({"folds": 1}, "folds"),
]


@pytest.mark.parametrize(("fault", "line"), FAULTS)
def test_bad_input_is_refused_by_name(fault: dict[str, Any], line: str) -> None:
    rng = np.random.default_rng(4)
    rest = {"generator": "copula", "estimands": "mean(income)"} | fault
    labelled = people(40, rng)
    unlabelled = people(rest.pop("rows", 40), rng).drop(columns=rest.pop("unlabelled", ["income"]))
    with pytest.raises(InputError, match=f"^{line}"):
        safe_estimate(rest.pop("estimands"), labelled, unlabelled, **rest)
