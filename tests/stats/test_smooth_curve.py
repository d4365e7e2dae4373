"""The smooth curve against scipy's smoothing spline (an independent solution of the same problem), a closed form of the
Gaussian process, and simulated surfaces whose truth is known."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline

from dge_ray.errors import InputError
from dge_ray.stats.twoway import TwoWay
from dge_ray.stats.volume import smooth_curve
from dge_ray.stats.volume.curve_errors import curve_errors
from dge_ray.stats.volume.smooth_curve import curve_band, curve_draws
from dge_ray.stats.volume.volumes import VolumeRisks

VOLUMES = np.array([250, 500, 1000, 2000, 4000, 8000, 16000, 32000])


def risks_of(values: np.ndarray, rows: np.ndarray, members: np.ndarray | None = None, count: int = 1) -> VolumeRisks:
    width = len(values)
    nothing = np.zeros((width, width))
    spread = TwoWay(rows, nothing if members is None else members, nothing, count, 1000)
    return VolumeRisks(np.asarray(values), spread, np.arange(width), count)


def test_at_one_size_the_mean_is_the_smoothing_spline(monkeypatch: pytest.MonkeyPatch) -> None:
    """With independent errors of variance s2 the mean is the cubic smoothing spline with lam = s2 / tau2, for x of unit
    length and the prior's own scale."""
    generator = np.random.default_rng(0)
    x = np.log(VOLUMES / VOLUMES[0]) / np.log(VOLUMES[-1] / VOLUMES[0])
    y = np.sin(5 * x) + 0.1 * generator.standard_normal(8)
    s2, tau = 0.01, 1.3
    line = np.stack([np.ones(8), x], axis=1)
    apart = np.eye(8) - line @ np.linalg.pinv(line)
    unit = np.trace(apart @ smooth_curve._wiener(x, x) @ apart) / 6
    monkeypatch.setattr(smooth_curve, "_sizes", lambda *_: np.array([tau]))
    at = np.geomspace(250, 32000, 20)
    mean, drawn = curve_draws(risks_of(y, s2 * np.eye(8)), VOLUMES, at, seed=0, draws=20_000)
    spline = make_smoothing_spline(x, y, lam=s2 * unit / tau**2)
    inside = np.log(at / 250) / np.log(128)
    np.testing.assert_allclose(mean, spline(inside), atol=1e-5)  # the jitter that keeps inverses safe
    # the draws against the closed form of the posterior's variance, a dense diffuse prior for the line
    both = np.concatenate([x, inside])
    prior = tau**2 / unit * smooth_curve._wiener(both, both) + 1e4 * (1 + np.outer(both, both))
    gain = prior[8:, :8] @ np.linalg.inv(prior[:8, :8] + s2 * np.eye(8))
    variance = np.diag(prior[8:, 8:] - gain @ prior[:8, 8:])
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.06)  # 4 errors of a variance from 20,000 draws
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=4 * np.sqrt(variance.max() / 20_000))


def test_a_line_without_error_is_given_back() -> None:
    band = curve_band(risks_of(0.5 - 0.01 * np.arange(8), 1e-12 * np.eye(8)), VOLUMES, seed=0)
    np.testing.assert_allclose(band.value, np.linspace(0.5, 0.43, len(band.at)), atol=1e-5)
    assert np.all(np.array(band.hi) - band.lo < 1e-3)


def test_errors_common_to_all_volumes_widen_the_band_and_move_no_shape() -> None:
    values, own = 0.02 * (np.arange(8) - 4.0) ** 2, 1e-4 * np.eye(8)
    alone = curve_band(risks_of(values, own), VOLUMES, seed=0)
    common = curve_band(risks_of(values, own + 0.04), VOLUMES, seed=0)
    assert np.all(np.subtract(common.hi, common.lo) > 0.5)
    np.testing.assert_allclose(np.diff(common.value), np.diff(alone.value), atol=2e-3)


def test_fewer_members_widen_it() -> None:
    """The members' variance is known from K - 1 degrees of freedom."""
    width = {}
    for count in (4, 12):
        band = curve_band(risks_of(np.zeros(8), 1e-6 * np.eye(8), 0.01 + 1e-6 * np.eye(8), count), VOLUMES, seed=0)
        width[count] = np.mean(np.subtract(band.hi, band.lo))
    assert width[4] > 1.2 * width[12]  # t quantiles of 3 and of 11 degrees of freedom: 3.18 and 2.20


def test_members_close_together_share_less_than_all() -> None:
    """Common error, Markov part and a part of each fit's own: fitted by share * rho ** distance."""
    steps = np.log2(np.arange(1, 31) * 100.0)
    truth = 0.7 * 0.8 ** np.abs(steps[:, None] - steps)
    np.fill_diagonal(truth, 1.0)
    spread = TwoWay(np.eye(30), 4.0 * truth, np.zeros((30, 30)), 8, 1000)
    np.testing.assert_allclose(curve_errors(spread, 2.0**steps).members, 4.0 * truth, atol=0.02)


def test_three_volumes_are_too_few() -> None:
    with pytest.raises(InputError, match="4 or more for a smooth curve"):
        curve_band(risks_of(np.zeros(3), np.eye(3)), VOLUMES[:3], seed=0)


def test_small_coverage_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """25 replicates of one surface; the whole table is in experiments/coverage."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "experiments" / "coverage"))
    for name in ("surfaces", "curves"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    row = import_module("curves").simulate("doubling", "mild", 8, 300, 25, seed=1)
    assert row["held"]["band"] >= 0.8  # 25 replicates: 3 binomial errors of .044 below .95, and one replicate
    assert max(row["wrong"].values()) <= 0.2
