"""Models fitted on their own rows: simple Gaussian loops, one of the package's copula, and the exact variances."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dge_ray.stats.utility.loops import best_weight, fixed_real, fresh_real, pure_synthetic, trend

N = 50
LOOPS = 20_000  # a variance is known to 1 %
WITHIN = 0.04  # four of those


def gaussian(rounds: int, ratio: float, *, real: str, weight: float | None = None) -> float:
    """The variance of the mean after some rounds of fitting and drawing, in units of 1 / N; rows are really drawn.

    `real`: none, fixed or fresh each round. `weight`: of the real rows' mean; None: by their number.
    """
    rng = np.random.default_rng(rounds)

    def rows(mean: np.ndarray, count: int) -> np.ndarray:  # float32, in blocks: memory
        blocks = [rng.standard_normal((2_000, count), np.float32).mean(axis=1) for _ in range(LOOPS // 2_000)]
        return mean + np.concatenate(blocks)

    first = rows(np.zeros(LOOPS), N)
    mean, count = first, round(ratio * N)
    share = weight if weight is not None else 0.0 if real == "none" else 1 / (1 + ratio)
    for _ in range(rounds):
        kept = rows(np.zeros(LOOPS), N) if real == "fresh" else first
        mean = share * kept + (1 - share) * rows(mean, count)
    return float(mean.var() * N)


def test_without_real_rows_the_error_grows_by_one_a_round() -> None:
    assert gaussian(20, 1.0, real="none") == pytest.approx(pure_synthetic(20), rel=WITHIN)
    assert gaussian(3, 1.0, real="none") == pytest.approx(4.0, rel=WITHIN)


@pytest.mark.parametrize(("ratio", "told"), [(0.1, 1.083), (0.5, 1.25), (1, 1.333), (2, 1.40)])
def test_with_the_real_rows_kept_it_is_bounded(ratio: float, told: float) -> None:
    assert fixed_real(ratio) == pytest.approx(told, abs=0.001)
    rounds = 12  # the rest of the way is under 1 %
    assert gaussian(rounds, ratio, real="fixed") == pytest.approx(fixed_real(ratio, rounds), rel=WITHIN)


def test_the_first_rounds_with_the_real_rows_kept() -> None:
    assert gaussian(1, 1.0, real="fixed") == pytest.approx(fixed_real(1.0, 1), rel=WITHIN)
    assert fixed_real(1.0, 0) == 1.0
    assert all(fixed_real(10.0**power) < 1.5 for power in range(-3, 9))


@pytest.mark.parametrize(("weight", "told"), [(0.5, 0.667), (0.618, 0.618), (0.8, 0.708)])
def test_fresh_real_rows_with_a_weight(weight: float, told: float) -> None:
    assert fresh_real(weight) == pytest.approx(told, abs=0.001)
    assert gaussian(10, 1.0, real="fresh", weight=weight) == pytest.approx(told, rel=WITHIN)


@given(st.floats(0.05, 50))
def test_the_best_weight_is_where_the_variance_is_least(ratio: float) -> None:
    found = minimize_scalar(lambda w: fresh_real(w, ratio), bounds=(0.01, 1), method="bounded", options={"xatol": 1e-9})
    assert best_weight(ratio) == pytest.approx(found.x, abs=1e-4)
    assert fresh_real(best_weight(ratio), ratio) <= 1.0


def test_the_least_is_one_over_the_golden_ratio() -> None:
    golden = (np.sqrt(5) - 1) / 2
    assert best_weight() == pytest.approx(golden)
    assert fresh_real(golden) == pytest.approx(golden)


@pytest.mark.slow
@pytest.mark.parametrize(("kept", "rounds"), [(False, 4), (True, 4)])
def test_the_packages_copula_in_a_loop(kept: bool, rounds: int) -> None:
    """On one normal column (a coin is the target), plug-in fits; 400 loops: a variance is known to 7 %."""
    from dge_ray.generators.copula.generator import Copula
    from dge_ray.table import infer_schema

    n, loops, means = 100, 400, []

    def table(rng: np.random.Generator, count: int) -> pa.Table:
        return pa.table({"x": rng.normal(size=count), "t": np.arange(count) % 2 == 0})

    schema = infer_schema(table(np.random.default_rng(0), 50_000), target="t")
    for loop in range(loops):
        real = current = table(np.random.default_rng([1, loop]), n)
        for turn in range(rounds):
            drawn = Copula(resample=False).fit(current, schema, seed=0).sample(n, seed=1_000 * loop + turn)
            current = pa.concat_tables([real, drawn.cast(real.schema)]) if kept else drawn
        means.append(np.mean(current["x"].to_numpy()))
    told = fixed_real(1.0, rounds) if kept else pure_synthetic(rounds)
    assert np.var(means) * n == pytest.approx(told, rel=0.25)


def test_a_trend_is_the_weighted_line() -> None:
    found = trend([1, 2, 3], [0.01, 0.02, 0.03], [0.001, 0.001, 0.001])
    assert found.slope == pytest.approx(0.01)
    assert found.interval == pytest.approx(
        (0.01 - 1.96 * 0.001 / np.sqrt(2), 0.01 + 1.96 * 0.001 / np.sqrt(2)), rel=1e-3
    )
    assert found.direction == "rising"
    assert trend([1, 2], [0.02, 0.01], [0.001, 0.001]).direction == "falling"
    assert trend([1, 2], [0.02, 0.01], [0.1, 0.1]).direction == "undecided"


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=2, max_size=6))
def test_a_trend_is_numpys_weighted_polynomial(points: list[tuple[float, float]]) -> None:
    y, se = np.array(points).T
    told = np.polyfit(np.arange(len(y)), y, 1, w=1 / se)[0]
    assert trend(np.arange(len(y)), y, se).slope == pytest.approx(told, abs=1e-9)


def test_one_generation_has_no_trend() -> None:
    with pytest.raises(ValueError, match="two generations"):
        trend([1, 1], [0, 1], [1, 1])
    with pytest.raises(ValueError, match="above 0"):
        trend([1, 2], [0, 1], [1, 0])


def test_trends_are_called_at_the_stated_level() -> None:
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(2_000):
        se = rng.uniform(0.5, 2, 4)
        wrong += trend(range(4), rng.normal(0, se), se).direction != "undecided"
    # .05 +- four standard errors.
    assert wrong / 2_000 == pytest.approx(0.05, abs=0.02)
