"""Combining rules against closed forms, a simulated calibration table, and the formulas written out by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dge_ray.stats.inference.pooled import RULES, combine, mixture_excess, quantile

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "inference"))

from combining import SETTINGS, mean_tables, regression_tables, simulate

RUNS = 60_000
# Normal mean, n = 200, from 20,000 runs: naive, corrected, T_s, T_p, T_f*, share T_f <= 0, T_f / true variance.
REFERENCE = {
    (200, 1, "simple"): (0.832, 0.950, 0.950),
    (200, 1, "proper"): (0.738, 0.889, 0.950),
    (1000, 1, "simple"): (0.577, 0.949, 0.949),
    (200, 5, "simple"): (0.825, 0.946, 0.947, 0.947, 0.989, 0.49, 0.17),
    (200, 5, "proper"): (0.742, 0.890, 0.953, 0.952, 0.995, 0.20, 1.03),
    (200, 20, "proper"): (0.739, 0.890, 0.947, 0.947, 0.992, 0.03, 0.99),
    (1000, 5, "proper"): (0.441, 0.853, 0.950, 0.950, 0.997, 0.03, 1.00),
    (200, 20, "simple"): (0.835, 0.947, 0.951, 0.951, 0.996, 0.48, 0.05),
}
COLUMNS = ("naive", "corrected", "T_s", "T_p", "T_f*", "share T_f <= 0", "T_f / true")


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_calibration_table_of_the_normal_mean(setting: tuple[int, int, str]) -> None:
    k, m, generator = setting
    row = simulate("mean", mean_tables, k, m, generator, RUNS, np.random.default_rng(SETTINGS.index(setting)))
    for column, told in zip(COLUMNS, REFERENCE[setting], strict=False):
        # The reference's own Monte-Carlo error is up to .0035 for a coverage, .01 for the share and ratio, which are
        # told to two places.
        within = 0.01 if column in COLUMNS[:5] else 0.02 if column == "share T_f <= 0" else 0.04
        assert row[column] == pytest.approx(told, abs=within), column
    # Beside the table, what must hold whatever it says: naive intervals of one table by their closed form.
    widened = 1 + (2 if generator == "proper" else 1) * k / 200
    # .008: four Monte-Carlo errors of at most .0016, and the variances' own 199 degrees of freedom.
    assert row["naive"] == pytest.approx(2 * stats.norm.cdf(1.96 / np.sqrt(widened)) - 1, abs=0.008)


def test_plain_t_p_undercovers_where_a_table_has_more_rows_than_the_real_one() -> None:
    row = simulate("mean", mean_tables, 1000, 5, "proper", RUNS, np.random.default_rng(8))
    assert row["T_p plain"] == pytest.approx(0.773, abs=0.01)


def test_two_tables_are_too_few_for_t_p_and_three_nearly_enough() -> None:
    for m, least, most in ((2, 0.92, 0.94), (3, 0.94, 0.95), (5, 0.945, 0.955)):
        row = simulate("mean", mean_tables, 200, m, "proper", RUNS, np.random.default_rng(m))
        assert least < row["T_p"] < most


@pytest.mark.parametrize("kind", ["linear", "logistic"])
@pytest.mark.parametrize("setting", [(200, 1, "proper"), (200, 5, "simple"), (200, 5, "proper")], ids=str)
def test_regression_coefficients_are_covered_too(kind: str, setting: tuple[int, int, str]) -> None:
    row = simulate(kind, regression_tables(kind), *setting, 500, np.random.default_rng(0))
    # 1,000 slopes: .0275 is four standard errors of a coverage of .95; the committed 10,000 runs say .945 to .960.
    for rule in ("T_s", "T_p")[: 1 + (setting[1] > 1)]:
        assert row[rule] == pytest.approx(0.95, abs=0.0275)
    assert row["naive"] < 0.87


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 5)), min_size=2, max_size=9),
    st.floats(0.1, 20),
)
def test_each_rule_is_its_formula(pairs: list[tuple[float, float]], ratio: float) -> None:
    q, u = np.array(pairs).T
    m, ubar, b = len(q), u.mean(), q.var(ddof=1)
    told = {
        "T_p": ratio * ubar + b / m,
        "T_s": ubar * (ratio + 1 / m),
        "T_s proper": ubar * (ratio + (1 + ratio) / m),
        "T_f": (1 + 1 / m) * b - ubar,
        "T_f*": max((1 + 1 / m) * b - ubar, 0) or ratio * ubar,
        "expected original": ratio * ubar,
    }
    assert set(told) == set(RULES)
    for rule, variance in told.items():
        found = combine(q, u, rule, k=ratio, n=1)
        assert found.variance == pytest.approx(variance, rel=1e-9, abs=1e-9)
        assert found.estimate == pytest.approx(q.mean())
        lo, hi = found.interval()
        if variance > 1e-9:
            half = (stats.t.ppf(0.975, found.df) if np.isfinite(found.df) else 1.959963984540054) * np.sqrt(variance)
            assert float(hi - lo) == pytest.approx(2 * half, rel=1e-6)
    if b > 1e-9:
        assert combine(q, u, "T_p", k=1, n=1).df == pytest.approx((m - 1) * (1 + m * ubar / b) ** 2)
        assert combine(q, u, "T_f").df == pytest.approx((m - 1) * (1 - ubar / ((1 + 1 / m) * b)) ** 2, abs=1e-9)


def test_parameters_are_combined_one_by_one() -> None:
    rng = np.random.default_rng(0)
    q, u = rng.normal(size=(4, 2, 3)), rng.random((4, 2, 3))
    whole = combine(q, u, "T_p", k=2, n=3)
    for at in np.ndindex(2, 3):
        alone = combine(q[:, *at], u[:, *at], "T_p", k=2, n=3)
        assert (alone.variance, alone.df) == (whole.variance[at], whole.df[at])


def test_tables_that_agree_have_a_normal_reference() -> None:
    found = combine(np.ones(5), np.ones(5), "T_p", k=1, n=1)
    assert (found.between, found.df, found.variance) == (0, np.inf, 1)


def test_a_negative_variance_has_no_standard_error_and_no_interval() -> None:
    found = combine(np.array([1.0, 1.1]), np.ones(2), "T_f")
    assert found.variance < 0
    assert np.isnan([found.se, *found.interval()]).all()
    assert combine(np.array([1.0, 1.1]), np.ones(2), "T_f*", k=1, n=2).variance == 0.5


@pytest.mark.parametrize(
    ("estimates", "rule", "sizes", "says"),
    [
        ([1.0, 2.0], "rubin", {"k": 1, "n": 1}, "one of"),
        ([1.0], "T_p", {"k": 1, "n": 1}, "no variance between"),
        ([1.0, 2.0], "T_p", {"k": 1}, "needs their ratio"),
        ([1.0, 2.0], "T_s", {"n": 1}, "needs their ratio"),
        ([], "T_s", {"k": 1, "n": 1}, "m >= 1"),
    ],
)
def test_what_cannot_be_combined_is_refused(estimates: list[float], rule: str, sizes: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        combine(np.array(estimates), np.ones(len(estimates)), rule, **sizes)


@given(st.floats(0.5, 1e6))
def test_quantiles_are_scipys(df: float) -> None:
    assert quantile(np.array([df, np.inf]), 0.975) == pytest.approx([stats.t.ppf(0.975, df), stats.norm.ppf(0.975)])


@pytest.mark.parametrize(("ratio", "told"), [(1, 3.0), (2, 2.0), (5, 1.4), (10, 1.2), (20, 1.1)])
def test_mixing_the_tables_posteriors_is_too_wide_by_1_plus_2n_over_k(ratio: int, told: float) -> None:
    n, sigma, m = 100, 2.0, 20_000
    assert mixture_excess(ratio * n, n) == pytest.approx(told)
    # One real table, its flat-prior posterior, m proper tables, and a draw from each one's posterior.
    rng = np.random.default_rng(ratio)
    centres = rng.normal(1.0, sigma / np.sqrt(n), m) + rng.normal(size=m) * sigma / np.sqrt(ratio * n)
    mixed = centres + rng.normal(size=m) * sigma / np.sqrt(ratio * n)
    # 4 %: four standard errors of a variance of 20,000 draws.
    assert mixed.var() / (sigma**2 / n) == pytest.approx(told, rel=0.04)
