"""The pipeline bootstrap's arithmetic against pipelines whose variance is known in closed form.

A table is n normal values of variance 1, a fit is their mean (times `shrink`) plus a seed's own normal error, a set of
m rows adds its mean's error. Then V = shrink^2 / n + (fit + 1/m) / K exactly, and a resampled table's mean is normal
about the table's with variance 1/n (that of its own values, which is 1/n but for O(1/n)).
"""

import numpy as np
import pytest

from dge_ray.stats.inference.pipeline_bootstrap import KINDS, LEAST, pipeline_bootstrap

N, M, K, B, J, D = 100, 100, 5, 50, 2, 4
TABLES = 4000


def pipelines(shrink: float, fit: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Released (K, p), replicates (B, J, D, p), real (p,) and resampled (B, p) of p = TABLES independent tables whose
    true mean is 1."""
    rng = np.random.default_rng(seed)
    real = 1 + rng.standard_normal(TABLES) / N**0.5
    resampled = real + rng.standard_normal((B, TABLES)) / N**0.5

    def rows(means: np.ndarray, fits: int, draws: int) -> np.ndarray:
        fitted = shrink * means[:, None] + fit**0.5 * rng.standard_normal((len(means), fits, means.shape[-1]))
        return fitted[:, :, None] + rng.standard_normal((len(means), fits, draws, means.shape[-1])) / M**0.5

    released = rows(real[None], K, 1)[0, :, 0]
    return released, rows(resampled, J, D), real, resampled


@pytest.mark.parametrize("fit", [0.0, 0.02])
def test_the_variance_is_that_of_the_released_estimate(fit: float) -> None:
    """Tolerance: the mean of 4,000 estimates with about 30 degrees of freedom, 4 standard errors: 4 sqrt(2/30/4000)."""
    parts = pipelines(1.0, fit)
    found = pipeline_bootstrap(*parts)
    expected = 1 / N + (fit + 1 / M) / K
    assert np.mean(found.se**2) == pytest.approx(expected, rel=0.017)
    assert np.var(found.estimate) == pytest.approx(expected, rel=4 * (2 / TABLES) ** 0.5)
    assert np.mean(found.fit) == pytest.approx(fit, abs=0.0015)  # held at 0 from below, so a little above
    assert np.mean(found.draw) == pytest.approx(1 / M, rel=0.01)
    # As many degrees of freedom as it says: Var(V) = 2 V^2 / df.
    assert 2 * expected**2 / np.var(found.se**2) == pytest.approx(np.median(found.df), rel=0.15)


def test_intervals_cover_and_those_about_a_biased_estimate_do_not() -> None:
    """Coverage within 4 standard errors of .95 (.0138); percentile and basic quantiles of 50 replicates fall short by
    more: E of the inner quantiles' level."""
    for shrink, fit in ((1.0, 0.01), (0.8, 0.01)):
        found = pipeline_bootstrap(*pipelines(shrink, fit, seed=1))
        held = {kind: np.mean((low <= 1) & (high >= 1)) for kind in KINDS for low, high in [found.interval(kind)]}
        assert held["debiased"] == pytest.approx(0.95, abs=0.014)
        assert np.mean(found.bias) == pytest.approx(shrink - 1, abs=0.01)
        if shrink == 1:
            assert held["normal"] == pytest.approx(0.95, abs=0.014)
            assert held["normal"] <= held["wide"] < 0.985  # without bias, what chance adds to the shift's square
            assert 0.90 < held["percentile"] < 0.95
        else:  # resampled tables are shrunk as well: seen from q alone there is no bias
            assert held["normal"] < 0.7 and held["shifted"] < 0.75 and held["percentile"] < 0.7
            assert abs(np.mean(found.shift)) < 0.01


def test_the_formulas_on_one_small_case() -> None:
    """By hand: mean squares of a nested design, for one parameter."""
    rng = np.random.default_rng(2)
    b, j, d, k = 12, 3, 2, 4
    y, q = rng.standard_normal((b, j, d, 1)), rng.standard_normal((k, 1))
    t, resampled = np.array([0.3]), rng.standard_normal((b, 1))
    found = pipeline_bootstrap(q, y, t, resampled)
    fits = y.mean(axis=2)[..., 0]
    between = fits.mean(axis=1).var(ddof=1)
    square_fits, square_draws = fits.var(axis=1, ddof=1).mean(), y[..., 0].var(axis=2, ddof=1).mean()
    members = square_fits / k + square_draws * (1 - 1 / d) / k
    v = between + square_fits * (1 / k - 1 / j) + square_draws * (1 - 1 / d) / k
    assert found.se[0] ** 2 == pytest.approx(max(v, members), rel=1e-12)
    assert found.shift[0] == pytest.approx(y.mean() - q.mean(), rel=1e-12)
    assert found.debiased[0] == pytest.approx(q.mean() - (y.mean() - 0.3), rel=1e-12)
    expected = resampled.var(ddof=1) + members + between / b
    assert found.debiased_se[0] ** 2 == pytest.approx(expected, rel=1e-12)
    chance = members + between / b
    wide = found.se[0] ** 2 + max(found.shift[0] ** 2 - chance, 0)
    assert found.wide_se[0] ** 2 == pytest.approx(wide, rel=1e-12)
    spread = found.means[:, 0]
    assert spread.std(ddof=1) == pytest.approx(found.se[0], rel=1e-12) and spread.mean() == pytest.approx(y.mean())
    low, high = found.interval("basic")
    assert (low + high)[0] / 2 == pytest.approx(2 * q.mean() - np.quantile(spread, [0.025, 0.975]).mean())


def test_replicates_without_an_estimate_are_left_out_and_counted() -> None:
    released, replicates, real, resampled = (part[..., :3].copy() for part in pipelines(1.0, 0.01))
    whole = pipeline_bootstrap(released, replicates[5:], real, resampled[5:])
    replicates[:5, 0, 0, 0] = np.nan  # one of the eight tables is enough
    resampled[:5, 1] = np.nan
    released[0, 2] = np.nan
    found = pipeline_bootstrap(released, replicates, real, resampled)
    assert found.kept.tolist() == [B - 5, B - 5, B]
    for name in (
        "se",
        "df",
        "shift",
        "wide_se",
        "bias",
        "debiased",
        "debiased_se",
        "debiased_df",
        "real",
        "fit",
        "draw",
    ):
        np.testing.assert_allclose(getattr(found, name)[:2], getattr(whole, name)[:2], rtol=1e-12)
        assert np.isnan(getattr(found, name)[2])
    for kind in KINDS:
        low, high = found.interval(kind)
        assert np.isfinite(low[:2]).all() and np.isnan([low[2], high[2]]).all()
    replicates[LEAST - 1 :, 0, 0, 0] = np.nan
    assert np.isnan(pipeline_bootstrap(released, replicates, real, resampled).se[0])


def test_shapes_that_do_not_go_together() -> None:
    released, replicates, real, resampled = (part[..., :3] for part in pipelines(1.0, 0.01))
    with pytest.raises(ValueError, match="shapes"):
        pipeline_bootstrap(released, replicates[:, :1], real, resampled)
    with pytest.raises(ValueError, match="kind 'bca'"):
        pipeline_bootstrap(released, replicates, real, resampled).interval("bca")


def test_wide_intervals_count_the_shift() -> None:
    """Resampled tables that are shrunk twice as far as the real one: the replicates lie further off than q, on its side
    of the truth. A wide interval covers more than a normal one then, though not all: it still stands about q."""
    released, _, real, resampled = pipelines(0.9, 0.01, seed=3)
    _, replicates, _, _ = pipelines(0.8, 0.01, seed=3)
    found = pipeline_bootstrap(released, replicates, real, resampled)
    held = {kind: np.mean((low <= 1) & (high >= 1)) for kind in KINDS for low, high in [found.interval(kind)]}
    assert held["normal"] + 0.02 < held["wide"] < 0.95  # 4 standard errors of 4,000 tables
    assert np.mean(found.shift) == pytest.approx(-0.1, abs=0.01)
    # V is that of the replicates' pipeline, .8^2 / n; the shift's mean square less its chance adds at least .1^2.
    assert np.mean(found.wide_se**2) - np.mean(found.se**2) >= 0.0098
