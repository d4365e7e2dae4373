"""`dge_ray.pool` against the formulas and statsmodels on bundles of frames; which rule is chosen; what is refused."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from helpers.bundles import members_of, write_frames
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

import dge_ray
from dge_ray import load_members
from dge_ray.errors import InputError
from dge_ray.inference.pooling import NoValidRule
from dge_ray.stats.inference.pooled import combine

FRAMES = members_of(5, 200)
N = 100


def bundle(place: Path, count: int = 5, generator: str = "copula", frames: Any = FRAMES, **facts: Any) -> Path:
    """A bundle of the first `count` frames with these facts; real_rows=None: not told."""
    path = write_frames(place, frames[:count], "y")
    told = json.loads((path / "bundle.json").read_text()) | {"generator": generator, "real_rows": N} | facts
    (path / "bundle.json").write_text(json.dumps({key: value for key, value in told.items() if value is not None}))
    return path


def mean_of_x(frame: pd.DataFrame) -> tuple[float, float]:
    return float(frame.x.mean()), float(frame.x.var() / len(frame))


def regressed(frame: pd.DataFrame) -> Any:
    known = frame.dropna()
    return sm.OLS(known.z, sm.add_constant(known[["x"]])).fit()


def test_a_mean_is_combined_by_the_formula(tmp_path: Path) -> None:
    found = dge_ray.pool(bundle(tmp_path), mean_of_x)
    q, u = np.array([mean_of_x(frame) for frame in FRAMES]).T
    assert found.rule == "T_p"
    assert found.estimate == pytest.approx(q.mean())
    assert found.se == pytest.approx(np.sqrt(200 / N * u.mean() + q.var(ddof=1) / 5))
    assert found.df == pytest.approx(4 * (1 + 5 * 2 * u.mean() / q.var(ddof=1)) ** 2)
    assert (found.within, found.between) == (pytest.approx(u.mean()), pytest.approx(q.var(ddof=1)))
    assert (found.members, found.k, found.n) == (5, 200, N)


def test_every_form_of_a_fit_gives_the_same_answer(tmp_path: Path) -> None:
    members = dge_ray.load_members(bundle(tmp_path))
    told = dge_ray.pool(members, regressed)

    def series(frame: pd.DataFrame) -> Any:
        return regressed(frame).params, regressed(frame).bse ** 2

    def covariance(frame: pd.DataFrame) -> Any:
        return regressed(frame).params, regressed(frame).cov_params()

    def turned(frame: pd.DataFrame) -> Any:  # another order of parameters each time
        fitted = regressed(frame)
        order = fitted.params.index if frame.x.mean() > 0 else fitted.params.index[::-1]
        return fitted.params[order], (fitted.bse**2)[order]

    class Result:  # as other packages give it: arrays, and names beside them
        def __init__(self, frame: pd.DataFrame) -> None:
            fitted = regressed(frame)
            self.params, self.model, self.cov_params = fitted.params.to_numpy(), fitted.model, fitted.cov_params

    for form in (series, covariance, turned, Result):
        pd.testing.assert_frame_equal(dge_ray.pool(members, form).table.loc[["const", "x"]], told.table)


def test_declared_estimands_give_the_same_answer(tmp_path: Path) -> None:
    members = dge_ray.load_members(bundle(tmp_path))
    told = dge_ray.pool(members, regressed)
    found = dge_ray.pool(members, ["ols(z ~ x)[x]", "mean(x)"])
    assert found.names == ("ols(z ~ x)[x]", "mean(x)")
    assert found.estimate == pytest.approx([told.estimate[1], dge_ray.pool(members, mean_of_x).estimate[0]])
    assert found.se[0] == pytest.approx(told.se[1])


def test_scikit_learns_coefficients_get_the_models_standard_errors(tmp_path: Path) -> None:
    members = dge_ray.load_members(bundle(tmp_path))

    def logit(frame: pd.DataFrame) -> Any:
        return LogisticRegression(C=np.inf, tol=1e-8).fit(frame[["x"]], frame.y)

    def oracle(frame: pd.DataFrame) -> Any:
        return sm.Logit((frame.y == "yes").astype(float), sm.add_constant(frame[["x"]])).fit(disp=0)

    found, told = dge_ray.pool(members, logit), dge_ray.pool(members, oracle)
    assert found.names == ("intercept", "x")
    assert found.table.to_numpy() == pytest.approx(told.table.to_numpy(), rel=1e-4)

    def linear(frame: pd.DataFrame) -> Any:
        return LinearRegression().fit(frame[["x"]], frame.x * 2 + frame.index % 7)

    with pytest.raises(InputError, match="not the rows' unpenalised maximum likelihood"):
        dge_ray.pool(members, linear, target="x")  # it was fitted to something else


@pytest.mark.parametrize(
    ("count", "generator", "rule"),
    [
        (1, "copula", "T_s proper"),
        (4, "copula", "T_s proper"),
        (5, "copula", "T_p"),
        (1, "diffusion", "T_s proper"),
        (2, "diffusion", "T_p"),
        (5, "copula+diffusion", "T_p"),
    ],
)
def test_the_rule_is_chosen_by_how_the_bundle_was_made(tmp_path: Path, count: int, generator: str, rule: str) -> None:
    path = bundle(tmp_path, count, generator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = dge_ray.pool(path, mean_of_x)
    assert found.rule == rule
    q, u = np.array([mean_of_x(frame) for frame in FRAMES[:count]])[:, :, None].transpose(1, 0, 2)
    assert found.se == pytest.approx(combine(q, u, rule, k=200, n=N).se)
    # No rule is valid by construction for any other generator, and that is said aloud and in the answer.
    assert [w.category for w in caught] == ([] if generator == "copula" else [NoValidRule])
    assert ("no rule is valid" in repr(found)) == (generator != "copula")


def test_the_publishers_own_standard_errors_are_pointed_to(tmp_path: Path) -> None:
    path = bundle(tmp_path, generator="gan")
    (path / "estimates.json").write_text(json.dumps({"estimands": [{"name": "mean(x)", "se": 0.1}]}))
    with pytest.warns(NoValidRule, match=r"estimates.json has honest standard errors of mean\(x\)"):
        dge_ray.pool(path, "mean(x)")
    with pytest.warns(NoValidRule, match="ask the publisher"):
        dge_ray.pool(path, "mean(z)")


def test_the_publishers_estimates_are_read_without_being_told(tmp_path: Path) -> None:
    path = bundle(tmp_path, generator="gan")
    row = {"name": "mean(x)", "estimate": 1.25, "se": 0.125, "interval": [1.0, 1.5]}
    (path / "estimates.json").write_text(json.dumps({"members": 5, "volume": 200, "estimands": [row]}))
    assert load_members(path).estimates == {"mean(x)": row}
    with pytest.warns(NoValidRule):
        found = dge_ray.pool(path, ["mean(x)", "mean(z)"])
    assert [(one.name, one.se) for one in found.published] == [("mean(x)", 0.125)]
    assert "publisher's mean(x): 1.25, standard error 0.125 (1 to 1.5)" in repr(found)
    assert "<table" in found._repr_html_() and "publisher&#39;s mean(x)" in found._repr_html_()
    for other in ({"members": 4}, {"volume": 100}, {"estimands": [3]}, {"estimands": None}):
        told = {"members": 5, "volume": 200, "estimands": [row]} | other
        (path / "estimates.json").write_text(json.dumps(told))
        assert load_members(path).estimates == {}


@pytest.mark.parametrize(("count", "rule"), [(1, "T_s"), (4, "T_s"), (5, "T_p")])
def test_debiased_rows_need_no_warning_for_what_they_were_debiased_for(tmp_path: Path, count: int, rule: str) -> None:
    path = bundle(tmp_path, count, "gan", debiased=["mean(x)"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dge_ray.pool(path, "mean(x)")
    assert found.rule == rule and "debiased the rows" in repr(found)
    with pytest.warns(NoValidRule):
        dge_ray.pool(path, ["mean(x)", "mean(z)"])


def test_an_answer_reads_as_one(tmp_path: Path) -> None:
    found = dge_ray.pool(bundle(tmp_path), regressed, level=0.9)
    text = repr(found)
    for word in ("5 members of k = 200 rows", "n = 100 real rows", "T_p: (k/n) ubar + b/m", "90 % from", "const"):
        assert word in text
    table = found.table
    assert list(table.columns) == ["estimate", "se", "lower", "upper", "df", "within", "between"]
    assert (table.lower < table.estimate).all() and (table.estimate < table.upper).all()
    assert f"{table.estimate['x']:.4g}" in text


def test_a_t_f_that_is_negative_shows_it(tmp_path: Path) -> None:
    path = bundle(tmp_path, frames=[FRAMES[0]] * 5)  # members that agree: no spread to take anything from
    found = dge_ray.pool(path, regressed, rule="T_f")
    assert found.negative == 1
    assert np.isnan(found.se).all()
    assert "2 of 2 variances are not positive" in repr(found)
    assert (dge_ray.pool(path, regressed, rule="T_f*").se > 0).all()


def test_balanced_rows_are_another_law(tmp_path: Path) -> None:
    assert "balanced over 'y'" in repr(dge_ray.pool(bundle(tmp_path, balanced="y"), mean_of_x))


def test_real_rows_that_are_not_told_must_be_given(tmp_path: Path) -> None:
    path = bundle(tmp_path, real_rows=None)
    with pytest.raises(InputError, match="does not tell its real rows, which every rule needs"):
        dge_ray.pool(path, mean_of_x)
    assert dge_ray.pool(path, mean_of_x, n=N).n == N
    assert dge_ray.pool(path, mean_of_x, rule="T_f").n is None
    with pytest.raises(InputError, match="n: got 7; takes the 100"):
        dge_ray.pool(bundle(tmp_path / "told"), mean_of_x, n=7)


def test_members_must_have_the_same_parameters(tmp_path: Path) -> None:
    members = dge_ray.load_members(bundle(tmp_path))

    def shares(frame: pd.DataFrame) -> Any:
        counts = frame.c[frame.c != ("b" if frame.equals(members.frame(3)) else "")].value_counts(normalize=True)
        return counts, counts * (1 - counts) / len(frame)

    with pytest.raises(InputError, match=r"members 0 and 3: got 'b' in one of them alone"):
        dge_ray.pool(members, shares)


@pytest.mark.parametrize(
    ("fit", "says"),
    [
        (lambda frame: 1.0, "got a float"),
        (lambda frame: (1.0, 2.0, 3.0), "got a tuple"),
        (lambda frame: (np.ones((2, 2)), np.ones((2, 2))), "2 axes"),
        (lambda frame: (np.ones(2), np.ones(3)), "2 estimates and variances of shape"),
        (lambda frame: ("a", 1.0), "no numbers"),
        (lambda frame: (np.nan, 1.0), "member 0: got 'estimate': estimate nan"),
        (lambda frame: (1.0, -1.0), "variance -1"),
        (lambda frame: (1.0, np.inf), "variance inf"),
        (lambda frame: (pd.Series([1, 2], ["a", "a"]), np.ones(2)), "a name twice"),
        (lambda frame: Ridge().fit(frame[["x"]], frame.x), "Ridge, whose standard errors are not known"),
        (lambda frame: LogisticRegression(C=0.01).fit(frame[["x"]], frame.y), "unpenalised"),
        (lambda frame: LogisticRegression().fit(frame[["x"]], frame.c), "3 classes"),
        (lambda frame: LogisticRegression().fit(frame[["x"]].to_numpy(), frame.y), "does not have"),
        (lambda frame: LinearRegression().fit(frame[["x"]], frame[["x"]].assign(w=1)), "several targets"),
        ("mean(nobody)", "nobody"),
    ],
)
def test_what_cannot_be_pooled_is_refused_in_a_line(tmp_path: Path, fit: Any, says: str) -> None:
    path = bundle(tmp_path, 2)
    with pytest.raises(InputError, match=says) as caught:
        dge_ray.pool(path, fit)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rule": "rubin"}, "Rubin's rule for missing data is wrong"),
        ({"rule": "t_p"}, "did you mean 'T_p'"),
        ({"rule": "T_p"}, "T_p with one member"),
        ({"level": 95}, "between 0 and 1"),
        ({"n": 0}, "a whole number from 1"),
    ],
)
def test_options_are_checked(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        dge_ray.pool(bundle(tmp_path, 1), mean_of_x, **options)
