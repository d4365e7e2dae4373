"""Parts of uncertainty against their identities, calibration against simulated truth, conformal sets against their
guarantee, scikit-learn and scipy where they have the same number."""

import numpy as np
import pytest
from scipy.stats import binomtest, entropy

from dge_ray.errors import InputError
from dge_ray.stats.ensemble import uncertainty


def test_parts_add_up_and_are_scipys_entropy() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), (5, 30))
    total, aleatoric, epistemic = uncertainty.entropy_parts(p)
    np.testing.assert_allclose(total, entropy(p.mean(axis=0), axis=-1), atol=1e-9)
    np.testing.assert_allclose(aleatoric, entropy(p, axis=-1).mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(total, aleatoric + epistemic, atol=1e-12)
    total, noise, spread = uncertainty.variance_parts(p)
    assert total is not None and noise is not None
    np.testing.assert_allclose(total, noise + spread, atol=1e-12)  # the law of total variance
    assert uncertainty.entropy_parts(np.repeat(p[:1], 3, axis=0))[2].max() < 1e-12
    assert uncertainty.variance_parts(p[..., :1])[:2] == (None, None)


def drawn(generator: np.random.Generator, n: int, off: float) -> tuple[np.ndarray, np.ndarray]:
    """A binary model that says q where the truth is q - off (toward 1/2), q uniform on .6 to 1."""
    q = generator.uniform(0.6, 0.999, n)
    y = (generator.uniform(size=n) >= q - off).astype(int)
    return np.stack([q, 1 - q], axis=1), y


@pytest.mark.parametrize(("n", "off"), [(300, 0.0), (300, 0.05), (2000, 0.1)])
def test_ece_has_the_right_level_and_little_bias(n: int, off: float) -> None:
    """The truth is `off`. Held: the nominal .95 less 2.5 binomial standard errors of 300 (.032). The estimate's
    bias: within .012; at 0, below which it cannot go, at most half of the plain one's, whose bias there is that of ten
    absolute values."""
    generator, held, values, plain = np.random.default_rng(n), [], [], []
    for seed in range(300):
        found = uncertainty.calibration(*drawn(generator, n, off), seed=seed)
        held.append(found.ece[1] <= off <= found.ece[2])
        values.append(found.ece[0])
        plain.append(found.plain_ece)
    assert np.mean(held) >= 0.918
    bias = abs(np.mean(values) - off)
    assert bias <= (0.012 if off else 0.5 * np.mean(plain))


def test_the_reliability_curve_is_counted() -> None:
    p, y = drawn(np.random.default_rng(1), 500, 0.0)
    found = uncertainty.calibration(p, y)
    assert found.rows.sum() == 500
    last = p[:, 0] >= 0.9
    assert found.accuracy[-1] == pytest.approx((y[last] == 0).mean())
    assert found.confidence[-1] == pytest.approx(p[last, 0].mean())
    assert uncertainty.calibration(np.array([[1.0, 0.0]] * 5), np.zeros(5, int)).ece[0] == 0.0


def test_accuracy_above_thresholds_with_exact_intervals() -> None:
    p, y = drawn(np.random.default_rng(2), 200, 0.0)
    curve = uncertainty.accuracy_confidence(p * 0.8 + 0.1, y)  # confidence .58 to .9: nothing above .95
    assert np.isnan(curve.accuracy[-1]) and (curve.lo[-1], curve.hi[-1]) == (0.0, 1.0)
    assert curve.kept[0] == 1.0 and curve.accuracy[0] == pytest.approx((y == 0).mean())
    low, high = uncertainty.binomial_interval(np.array([3, 0, 7]), np.array([10, 5, 7]))
    for at, (hits, n) in enumerate([(3, 10), (0, 5), (7, 7)]):
        exact = binomtest(hits, n).proportion_ci(0.95, "exact")
        assert (low[at], high[at]) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_conformal_sets_and_intervals_keep_their_promise() -> None:
    """Mean coverage over 300 splits of 60 calibration rows is at least the level, and at most 1 / 61 above; 4 standard
    errors. Each split has fresh rows, so its 200 new rows share one quantile: sd of a split's coverage is about .04."""
    generator, sets, intervals = np.random.default_rng(3), [], []
    for _ in range(300):
        q = generator.dirichlet(np.ones(3), 260)
        y = (generator.uniform(size=(260, 1)) > q.cumsum(axis=1)).sum(axis=1)
        found = uncertainty.conformal_sets(q[:60], y[:60], q[60:], level=0.9)
        sets.append(found[np.arange(200), y[60:]].mean())
        x = generator.standard_normal(260)
        members = x + generator.standard_normal((4, 260)) * 0.3
        target = x + generator.standard_normal(260)
        lo, hi = uncertainty.conformal_intervals(members[:, :60, None], target[:60], members[:, 60:, None], level=0.9)
        intervals.append(((lo <= target[60:]) & (target[60:] <= hi)).mean())
    for values in (sets, intervals):
        error = 4 * np.std(values) / np.sqrt(300)
        assert 0.9 - error <= np.mean(values) <= 0.9 + 1 / 61 + error


def test_too_few_calibration_rows_give_everything() -> None:
    p = np.array([[0.9, 0.1], [0.5, 0.5]])
    assert uncertainty.conformal_sets(p, np.array([0, 1]), p, level=0.95).all()
    with pytest.raises(InputError, match="at least one row"):
        uncertainty.conformal_sets(np.empty((0, 2)), np.empty(0, int), p, level=0.9)
