"""Utility against: its formula written out in full, closed-form limits, simulated coverage, scipy on rank vectors."""

import importlib.util
import math
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.stats.utility.consistency import ranking
from dge_ray.stats.utility.gap import default_margin, ensemble_losses, mean_difference, utility

EXPERIMENTS = Path(__file__).parents[2] / "experiments" / "utility2023"
RNG = np.random.default_rng(5)


def load(name: str) -> ModuleType:
    """A module of the experiment, without its folder on the path (`coverage` is also a package's name)."""
    spec = importlib.util.spec_from_file_location(f"utility2023_{name}", EXPERIMENTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def written_out(d: np.ndarray) -> tuple[float, float, float]:
    """(mean, variance, freedom) of utility.md 1.8, loop by loop."""
    s, n = d.shape
    mean = d.mean()
    v_row, v_seed = d.mean(axis=0).var(ddof=1) / n, d.mean(axis=1).var(ddof=1) / s
    left = 0.0
    for k in range(s):
        for i in range(n):
            left += (d[k, i] - d[k].mean() - d[:, i].mean() + mean) ** 2
    v = max(v_row + v_seed - left / ((s - 1) * (n - 1)) / (s * n), v_row, v_seed)
    return mean, v, v**2 / (v_row**2 / (n - 1) + v_seed**2 / (s - 1))


@pytest.mark.parametrize("member", [0.0, 0.05, 1.0])
def test_interval_is_the_formula(member: float) -> None:
    synthetic = RNG.normal(size=(6, 40)) + member * RNG.normal(size=(6, 1)) + RNG.normal(size=40)
    real = np.repeat(RNG.normal(size=(1, 40)), 3, axis=0)  # a learner without randomness: real fits add nothing
    mean, v, freedom = written_out(synthetic - real[0])
    half = student.ppf(0.975, freedom) * math.sqrt(v)
    found = mean_difference(synthetic, real)
    assert replace(found, skew=0.0).interval() == pytest.approx((mean - half, mean + half), rel=1e-9)
    lo, hi = found.interval()
    assert utility(synthetic, real, margin=0.1).utility_interval == pytest.approx(
        (max(0, lo, -hi), max(abs(lo), abs(hi)))
    )


def test_real_fits_add_their_variance() -> None:
    """var over b of the mean real loss / B, where rows and interactions are nothing."""
    shifts = np.array([0.0, 0.3, 0.9])
    found = mean_difference(np.zeros((4, 50)), np.repeat(shifts[:, None], 50, axis=1))
    assert found.variance == pytest.approx(shifts.var(ddof=1) / 3)
    assert mean_difference(np.zeros((4, 50)), np.full((1, 50), 0.3)).variance == pytest.approx(0, abs=1e-30)


@pytest.mark.slow  # the next test has these limits as fractions
def test_closed_form_limits() -> None:
    """At n = 10^6, mean of 20 pairs: standard errors are under 0.6 % of each limit, so 2 % is three of them."""
    problem = load("problem")
    exact = {("oracle", "linear"): 13 / 27225, ("biased", "quadratic"): 1 / 300, ("biased", "linear"): 0.004417}
    values: dict[tuple[str, str], list[float]] = {key: [] for key in exact}
    for replicate in range(20):
        for at, responses in enumerate(("oracle", "biased")):
            generator = problem.stream(1, at, replicate)
            real = problem.real_rows(10**6, generator)
            synthetic = problem.synthetic_rows(10**6, responses, real, generator)
            for key in exact:
                if key[0] == responses:
                    excesses = [problem.excess(problem.fit(key[1], *rows)) for rows in (synthetic, real)]
                    values[key].append(excesses[0] - excesses[1])
    for key, limit in exact.items():
        assert np.mean(values[key]) == pytest.approx(limit, rel=0.02)
        assert problem.LIMITS[key] == pytest.approx(limit, rel=2e-4)


def test_the_limits_by_exact_integration() -> None:
    """T2 as fractions: the projection under 0.5 + x, its excess under the uniform law."""

    def moment(k: int) -> Fraction:  # of 0.5 + x
        return Fraction(1, 2 * (k + 1)) + Fraction(1, k + 2)

    def t2(slope: Fraction) -> Fraction:
        a, b, c = moment(0), moment(1), moment(2)
        first, second = moment(2) + slope * b, moment(3) + slope * c
        level, rise = (first * c - second * b) / (a * c - b * b), (a * second - b * first) / (a * c - b * b)
        p = [-level, -rise, Fraction(1)]
        excess = sum(p[i] * p[j] / (i + j + 1) for i in range(3) for j in range(3))
        return Fraction(excess) - Fraction(1, 180)

    assert t2(Fraction(0)) == Fraction(13, 27225)
    assert t2(Fraction(1, 10)) == Fraction(481, 108900)
    limits = load("problem").LIMITS
    assert (limits["oracle", "linear"], limits["biased", "linear"]) == (13 / 27225, 481 / 108900)


def test_neighbours_are_scikit_learns() -> None:
    from sklearn.neighbors import KNeighborsRegressor

    problem = load("problem")
    x, y = problem.real_rows(300, problem.stream(0, 0))
    k = round(max(5, 0.5 * 300**0.8))
    expected = KNeighborsRegressor(k).fit(x[:, None], y).predict(problem.GRID[:, None])
    assert problem.fit("neighbours", x, y)(problem.GRID) == pytest.approx(expected)


def test_coverage() -> None:
    """400 replicates of each of the five settings: .95 within 4 binomial standard errors (.044), and each one-way
    interval under .90 somewhere (their true coverages there are .15 and .73)."""
    coverage = load("coverage")
    rows = [coverage.run(setting, 400, 11) for setting in coverage.SETTINGS]
    tolerance = 4 * math.sqrt(0.95 * 0.05 / 400)
    assert all(abs(row["two_way"] - 0.95) < tolerance for row in rows)
    assert min(row["rows_alone"] for row in rows) < 0.90
    assert min(row["members_alone"] for row in rows) < 0.90


def losses(shift: float, *, members: int = 8, rows: int = 400, member: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    row = 0.2 * generator.normal(size=rows)
    real = 0.5 + row + 0.05 * generator.normal(size=(3, rows))
    synthetic = 0.5 + shift + row + 0.2 * generator.normal(size=(members, rows))
    return synthetic + member * generator.normal(size=(members, 1)), real


@pytest.mark.parametrize(("shift", "verdict"), [(-0.3, "PASS"), (0.0, "PASS"), (0.3, "FAIL"), (0.09, "UNDECIDED")])
def test_verdict(shift: float, verdict: str) -> None:
    found = utility(*losses(shift), margin=0.1)
    assert found.verdict == verdict
    assert found.difference == pytest.approx(found.risk_synthetic - found.risk_real)
    assert (found.rows_needed is None and found.members_needed is None) or verdict == "UNDECIDED"


@pytest.mark.parametrize(("shift", "member"), [(0.098, 0.001), (0.09, 0.02)])
def test_what_would_decide(shift: float, member: float) -> None:
    """With so many rows, members or both and the same estimate the bound is at the margin; with one fewer it is not."""
    found = utility(*losses(shift, member=member), margin=0.1)
    gap, parts = abs(0.1 - found.difference), found.parts
    now = {"rows": parts.n_rows, "members": parts.n_members}
    for what, needed in (("rows", found.rows_needed), ("members", found.members_needed)):
        if needed is None:  # what the other side adds is above the gap by itself
            assert parts.half_width(0.95, **{what: 1e9}) > gap
            continue
        assert needed > now[what]
        assert parts.half_width(0.95, **{what: needed / now[what]}) < gap
        assert parts.half_width(0.95, **{what: (needed - 1) / now[what]}) >= gap
    assert found.both_needed is not None
    scale = found.both_needed[0] / now["rows"]
    assert parts.half_width(0.95, rows=scale, members=scale) < gap
    assert found.both_needed[1] == math.ceil(scale * now["members"])


def test_refusals() -> None:
    synthetic, real = losses(0.0)
    for call, part in (
        (lambda: utility(synthetic[:1], real, margin=0.1), "members"),
        (lambda: utility(synthetic, real, margin=0.0), "margin"),
        (lambda: utility(synthetic, real[:, 1:], margin=0.1), "rows"),
        (lambda: utility(synthetic * np.nan, real, margin=0.1), "finite"),
        (lambda: ranking(synthetic[None], real[None], ["a"], seed=0), "at least 2"),
        (lambda: ranking(np.stack([synthetic] * 2), np.stack([real] * 2), ["a", "a"], seed=0), "different names"),
    ):
        with pytest.raises(InputError, match=part):
            call()


def test_default_margins() -> None:
    assert default_margin("zero_one", 0.3) == 0.01
    assert default_margin("log_loss", 0.3) == pytest.approx(0.006)


def pipelines(real_risks: list[float], synthetic_risks: list[float], rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    row = 0.1 * generator.normal(size=rows)

    def tensor(risks: list[float], fits: int) -> np.ndarray:
        return np.stack([r + row + 0.05 * generator.normal(size=(fits, rows)) for r in risks])

    return tensor(synthetic_risks, 6), tensor(real_risks, 3)


def test_separated_pipelines_are_ranked_for_sure() -> None:
    found = ranking(*pipelines([0.2, 0.5, 0.9], [0.25, 0.52, 0.93]), ["a", "b", "c"], seed=0)
    assert (found.top_real, found.top_synthetic, found.top_agrees, found.regret) == ("a", "a", 1.0, 0.0)
    assert found.kendall == found.spearman == found.agreement == 1.0 and found.kendall_interval == (1.0, 1.0)
    assert found.picks == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert all(pair.separable and pair.certain and pair.consistent and not pair.tie for pair in found.pairs)


def test_a_wrong_choice_has_its_regret_and_no_certificate() -> None:
    found = ranking(*pipelines([0.2, 0.3], [0.45, 0.35]), ["a", "b"], seed=0)
    assert (found.top_real, found.top_synthetic, found.top_agrees) == ("a", "b", 0.0)
    assert found.regret == pytest.approx(0.1, abs=0.02) and found.regret_interval[0] > 0.05
    assert found.agreement == 0.0 and not found.pairs[0].separable and not found.pairs[0].consistent


@pytest.mark.parametrize("members", [3, 12])
def test_the_probability_is_students_where_members_alone_vary(members: int) -> None:
    """Losses that differ by member alone: the true synthetic gap is a t variable around the estimate, the real one is
    known. The probability of its sign, by 4,000 draws: 4 binomial standard errors."""
    gaps = np.random.default_rng(1).normal(0.1, 0.2, size=members)
    synthetic = np.repeat(np.stack([np.zeros(members), gaps])[:, :, None], 50, axis=2)
    real = np.repeat(np.array([0.0, 0.5])[:, None, None], 50, axis=2)
    expected = student.cdf(gaps.mean() / (gaps.std(ddof=1) / math.sqrt(members)), members - 1)
    found = ranking(synthetic, real, ["a", "b"], seed=0).top_agrees
    assert found == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 4000))


@pytest.fixture
def agreement(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The simulation of rankings, which imports its neighbour."""
    monkeypatch.setitem(sys.modules, "problem", load("problem"))
    return load("agreement")


def test_the_probability_is_not_too_high(agreement: ModuleType) -> None:
    """80 studies of each of three populations: what is stated on the mean, and where .8 or more is stated, happens at
    least as often, to 3 standard errors. It may happen more often, see the README."""
    for at in (0, 4, 5):
        setting, apart = agreement.SETTINGS[at], []
        for found, truth in agreement.simulated(setting, 80, 11):
            apart.append((found.top_agrees, agreement.same_first(truth["r"], truth["s"])))
        stated, happened = np.array(apart, dtype=float).T
        for which in (stated >= 0, stated >= 0.8):
            error = math.sqrt((stated[which] * (1 - stated[which])).mean() / which.sum())
            assert (stated - happened)[which].mean() < 3 * error, setting.name


def test_a_false_order_is_not_certified(agreement: ModuleType) -> None:
    """120 studies of each pair whose synthetic risks are equal. `certain` errs in .05 at most (twice .025), to 3
    standard errors; the certificate asks for more."""
    for row in agreement.tied(120, 11):
        assert row["separable"] <= 0.01 and row["certain"] <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 120)


def test_ties_are_left_out_of_the_agreement() -> None:
    found = ranking(*pipelines([0.5, 0.5], [0.5, 0.9]), ["a", "b"], seed=0)
    assert found.pairs[0].tie and found.agreement is None and not found.pairs[0].separable


def test_names_decide_nothing() -> None:
    tensors = pipelines([0.2, 0.21, 0.5], [0.3, 0.29, 0.4])
    one, other = ranking(*tensors, ["a", "b", "c"], seed=0), ranking(*tensors, ["z", "m", "k"], seed=0)
    assert (one.kendall, one.top_agrees, one.regret) == (other.kendall, other.top_agrees, other.regret)
    turned = [2, 0, 1]
    third = ranking(tensors[0][turned], tensors[1][turned], ["c", "a", "b"], seed=0)
    assert (third.kendall, third.regret, third.top_synthetic) == (one.kendall, one.regret, one.top_synthetic)
    # The draws are others, so the probability is only as equal as 4,000 draws are: 4 binomial standard errors.
    assert third.top_agrees == pytest.approx(one.top_agrees, abs=4 * math.sqrt(0.25 / 4000))


def test_the_ensembles_utility_is_of_the_members_average() -> None:
    """By brute force: its value, and its members' part by leaving each out."""
    y = RNG.normal(size=60)
    members, real = y + RNG.normal(size=(5, 60)), (y + 0.5 * RNG.normal(size=(3, 60)) - y) ** 2
    whole, pseudo = ensemble_losses(members[..., None], y, "squared_error")
    assert whole == pytest.approx((members.mean(axis=0) - y) ** 2)
    left = np.array([((np.delete(members, k, 0).mean(axis=0) - y) ** 2) for k in range(5)])
    assert pseudo == pytest.approx(5 * whole - 4 * left)
    found = utility(pseudo, real, margin=0.1, whole=whole)
    assert found.difference == pytest.approx(whole.mean() - real.mean())
    assert found.parts.v_seed == pytest.approx(pseudo.mean(axis=1).var(ddof=1) / 5)


def test_a_verdict_is_withheld_where_no_interval_holds() -> None:
    fine = RNG.normal(size=(4, 400)) * 0.01 + 1.0
    assert utility(fine, fine, margin=0.5).verdict == "PASS"
    assert "2 members" in str(utility(fine[:2], fine, margin=0.5).withheld)
    assert "4 test rows of the rarest" in str(utility(fine, fine, margin=0.5, rarest=4).withheld)
    spike = fine + 100 * (np.arange(400) == 0)
    few = utility(spike, fine, margin=0.5)
    assert (few.verdict, few.withheld is not None) == ("UNDECIDED", True)
