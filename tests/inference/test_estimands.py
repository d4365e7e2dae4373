"""Declared estimands against statsmodels' estimates and standard errors; what cannot be estimated is NaN with a reason;
bad declarations are one line."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.errors import InputError
from dge_ray.inference.estimands import read_estimands
from dge_ray.stats.inference.regression import least_squares, logistic
from dge_ray.table import TableSchema, from_pandas, infer_schema


def made(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age = rng.normal(50, 10, n)
    stage = rng.choice(["I", "II", "III"], n, p=[0.5, 0.3, 0.2])
    eta = -3 + 0.05 * age + 0.8 * (stage == "III")
    death = np.where(rng.random(n) < 1 / (1 + np.exp(-eta)), "yes", "no")
    frame = {"age": age, "stage": stage, "on-drug": rng.random(n) < 0.3, "weekly hours": rng.integers(20, 60, n)}
    return pd.DataFrame({**frame, "pay": rng.choice(["<=50K", ">50K"], n), "death": death})


FRAME = made()
TABLE = from_pandas(FRAME)
SCHEMA: TableSchema = infer_schema(TABLE, target="death")


def design(frame: pd.DataFrame) -> np.ndarray:
    coded = [frame["stage"] == "II", frame["stage"] == "III", frame["on-drug"]]
    return np.column_stack([np.ones(len(frame)), frame["age"], *coded]).astype(float)


@pytest.mark.parametrize("kind", ["ols", "logistic"])
def test_regressions_are_statsmodels(kind: str) -> None:
    """Estimates and standard errors to 1e-7 of their size: both end where the score is 0 to rounding."""
    left = "'weekly hours'" if kind == "ols" else "death = yes"
    asked = read_estimands(f"{kind}({left} ~ age + stage + on-drug)", SCHEMA)
    x = design(FRAME)
    if kind == "ols":
        theirs = sm.OLS(FRAME["weekly hours"].to_numpy(float), x).fit()
    else:
        theirs = sm.Logit((FRAME["death"] == "yes").to_numpy(float), x).fit(disp=0, tol=1e-12)
    found = asked(TABLE)
    np.testing.assert_allclose(found.value, theirs.params, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(np.sqrt(found.variance), theirs.bse, rtol=1e-7)
    assert found.reasons == (None,) * 5
    ends = ["[intercept]", "[age]", "[stage = II]", "[stage = III]", "[on-drug = True]"]
    assert [name[name.index("[") :] for name in asked.names] == ends


def test_means_and_proportions() -> None:
    asked = read_estimands(["mean(age)", "proportion(pay = '>50K')", "proportion(on-drug)"], SCHEMA)
    found = asked(FRAME)  # a frame is a table too
    share = (FRAME["pay"] == ">50K").mean()
    np.testing.assert_allclose(found.value, [FRAME["age"].mean(), share, FRAME["on-drug"].mean()], rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(found.variance[0]), FRAME["age"].std() / 400**0.5, rtol=1e-12)
    np.testing.assert_allclose(found.variance[1], share * (1 - share) / 400, rtol=1e-12)
    assert asked.names == ("mean(age)", "proportion(pay = '>50K')", "proportion(on-drug = True)")
    assert asked.columns == ["age", "pay", "on-drug"]


def test_what_is_picked_and_how_it_is_written() -> None:
    every = read_estimands("logistic(death = yes ~ age + stage)", SCHEMA)
    same = read_estimands("[logistic(`death`='yes'~age+\"stage\")[stage, age], mean(age), mean(age)]", SCHEMA)
    assert same.names == (*every.names[2:], every.names[1], "mean(age)")
    assert len(same.models) == 2
    one = read_estimands("logistic(death = yes ~ age + stage)[stage = III]", SCHEMA)
    assert one(TABLE).value[0] == every(TABLE).value[3]
    assert read_estimands(every.names, SCHEMA).names == every.names


def test_rows_with_nulls_are_left_out() -> None:
    frame = FRAME.copy()
    frame.loc[:49, "age"] = np.nan
    frame.loc[50:79, "stage"] = None
    asked = read_estimands("logistic(death = yes ~ age + stage + on-drug), mean(age), mean('weekly hours')", SCHEMA)
    found, kept = asked(frame), frame.dropna()
    theirs = sm.Logit((kept["death"] == "yes").to_numpy(float), design(kept)).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(found.value[:5], theirs.params, rtol=1e-7)
    assert found.value[5] == pytest.approx(frame["age"].mean(), rel=1e-12)
    assert found.value[6] == pytest.approx(FRAME["weekly hours"].mean(), rel=1e-12)


def test_categories_that_a_table_lacks() -> None:
    """The parameters stay the same, those that the rows tell of are estimated, the others are NaN with a reason."""
    asked = read_estimands("logistic(death = yes ~ age + stage)", SCHEMA)
    without = {level: FRAME[FRAME["stage"] != level] for level in ("I", "III")}
    for level, lost in (("III", [3]), ("I", [0, 2, 3])):
        rows = without[level]
        found = asked(rows)
        assert np.flatnonzero(np.isnan(found.value)).tolist() == lost
        assert [j for j, reason in enumerate(found.reasons) if reason] == lost
        x = np.column_stack([np.ones(len(rows)), rows["age"], rows["stage"] == "II"]).astype(float)
        theirs = sm.Logit((rows["death"] == "yes").to_numpy(float), x).fit(disp=0, tol=1e-12)
        assert found.value[1] == pytest.approx(theirs.params[1], rel=1e-7)
        assert np.sqrt(found.variance[1]) == pytest.approx(theirs.bse[1], rel=1e-7)


def test_what_cannot_be_estimated() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(60), rng.standard_normal(60)])
    separated = (x[:, 1] > 0).astype(float)
    assert "separated" in str(logistic(x, separated).reason)
    quasi = separated.copy()
    x[:30, 1], quasi[:30], quasi[:2] = 0.0, 0.0, 1.0  # half of the rows on the plane that separates the others
    x[30:, 1] = np.abs(x[30:, 1])
    quasi[30:] = 1.0
    assert "separated" in str(logistic(x, quasi).reason) and np.isnan(logistic(x, quasi).value).all()
    assert logistic(x, np.ones(60)).reason == "one class alone"
    assert least_squares(np.column_stack([x, x[:, 1]]), separated).reason == "collinear terms"
    assert least_squares(x[:2], separated[:2]).reason == "2 rows for 2 coefficients"
    found = read_estimands("mean(age), proportion(pay = '>50K')", SCHEMA)(TABLE.slice(0, 1))
    assert np.isnan(found.value).all() and found.reasons == ("1 known values",) * 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.floats(0.01, 100), st.floats(-1e4, 1e4))
def test_where_the_score_is_zero_whatever_the_units(seed: int, slope: float, scale: float, shift: float) -> None:
    """A term's unit and origin change its coefficient by the unit alone: 1e-6, as 1e4 digits' worth may cancel."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(200)
    y = (rng.random(200) < 1 / (1 + np.exp(-slope * z))).astype(float)
    one, other = (logistic(np.column_stack([np.ones(200), t]), y) for t in (z, scale * z + shift))
    if one.reason is None:
        np.testing.assert_allclose(other.value[1] * scale, one.value[1], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(other.variance[1] * scale**2, one.variance[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("median(age)", "'median' in"),
        ("mean(agee)", "did you mean 'age'"),
        ("mean(stage)", "the categorical column 'stage'"),
        ("mean(age", "which cannot be read from its end on"),
        ("mean(age) mean(age)", "which cannot be read from 'mean' on"),
        ("proportion(pay = rich)", "one of <=50K, >50K"),
        ("proportion(pay)", "'pay' without a value"),
        ("proportion(age = old)", "a number"),
        ("ols(age ~ stage + age)", "a column twice"),
        ("ols(age ~ stage)[sex]", "one of intercept, stage"),
        ("ols(age ~ stage)[stage = I]", "the reference of 'stage'"),
        ("mean('age)", "quotes are not closed"),
        ("", "which cannot be read from its end on"),
    ],
)
def test_bad_declarations_are_one_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        read_estimands(text, SCHEMA)
    assert len(str(caught.value).splitlines()) == 1 and str(caught.value).startswith("estimands: got")


def test_no_estimands() -> None:
    with pytest.raises(InputError, match="estimands: got"):
        read_estimands([], SCHEMA)
    with pytest.raises(InputError, match="column 'age'"):
        read_estimands("mean(age)", SCHEMA)(pa.table({"death": ["yes", "no"]}))
