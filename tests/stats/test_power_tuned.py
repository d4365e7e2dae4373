"""The estimate tuned by predictions on unlabelled rows: against the closed form of a mean, ordinary estimates where the
predictions say nothing, and coverage and variance by simulation where the best variance is known."""

import numpy as np
import pytest
from scipy.stats import t as student

from dge_ray.stats.inference.power_tuned import PowerTuned, influences, inverse_slope, power_tuned
from dge_ray.stats.inference.regression import least_squares
from dge_ray.stats.inference.regression import logistic as fit_logistic


def _tuned(
    x: np.ndarray, y: np.ndarray, f: np.ndarray, x_more: np.ndarray, f_more: np.ndarray, kind: str
) -> PowerTuned:
    """By one predictor of all rows."""
    logistic = kind == "logistic"
    theta = (fit_logistic if logistic else least_squares)(x, y).value
    keys = {"logistic": logistic, "inverse": inverse_slope(x, theta, logistic=logistic)}
    parts = [influences(x, value, theta, **keys) for value in (y, f)]
    more = influences(x_more, f_more, theta, **keys)
    return power_tuned(theta, *parts, more[None], np.zeros(len(y), np.int64))


def test_a_mean_is_the_difference_estimator_at_the_least_variance() -> None:
    rng = np.random.default_rng(0)
    n, more = 300, 700
    f, f_more = rng.normal(size=n), rng.normal(size=more)
    y = 2 + 0.8 * f + rng.normal(size=n)
    found = _tuned(np.ones((n, 1)), y, f, np.ones((more, 1)), f_more, "ols")
    common = np.cov(y, f)
    w = common[0, 1] / (common[1, 1] + f_more.var(ddof=1) * n / more)
    assert found.weight[0] == pytest.approx(w)
    assert found.value[0] == pytest.approx(y.mean() + w * (f_more.mean() - f.mean()))
    residual = y - w * f
    variance = ((residual - residual.mean()) ** 2).sum() / (n - 2) / n + w**2 * f_more.var(ddof=1) / more
    assert found.se[0] == pytest.approx(np.sqrt(variance))
    half = student.ppf(0.975, n - 2) * found.se[0]
    assert (found.lower[0], found.upper[0]) == pytest.approx((found.value[0] - half, found.value[0] + half))
    assert (found.labelled_value[0], found.labelled_se[0]) == pytest.approx((y.mean(), y.std(ddof=1) / np.sqrt(n)))


def test_predictions_that_say_nothing_leave_the_labelled_rows_estimate() -> None:
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(100), rng.normal(size=100)])
    y = x @ [1.0, 2.0] + rng.normal(size=100)
    theta = least_squares(x, y).value
    found = _tuned(x, y, x @ theta, x, x @ theta, "ols")  # a prediction that is the fit itself has no influence
    np.testing.assert_array_equal(found.value, theta)
    assert found.weight.tolist() == [0, 0]
    np.testing.assert_allclose(found.se, found.labelled_se, rtol=0.01)  # one degree of freedom apart
    against = _tuned(np.ones((100, 1)), y, -y, np.ones((100, 1)), -y, "ols")  # predicts the wrong way round
    assert against.weight[0] == 0 and against.value[0] == pytest.approx(y.mean())


def test_each_fold_is_set_against_its_own_predictor() -> None:
    """A predictor that is off by a constant changes nothing, be the constant another one in each fold."""
    rng = np.random.default_rng(2)
    n, more, folds = 60, 90, np.arange(60) % 3
    psi, phi, phi_more = rng.normal(size=(n, 1)), rng.normal(size=(n, 1)), rng.normal(size=(3, more, 1))
    offs = np.array([0.0, 5.0, -9.0])
    found = power_tuned(np.zeros(1), psi, phi, phi_more, folds)
    off = power_tuned(np.zeros(1), psi, phi + offs[folds][:, None], phi_more + offs[:, None, None], folds)
    for name in ("value", "se", "weight"):
        np.testing.assert_allclose(getattr(off, name), getattr(found, name))


def _simulated(kind: str, replicates: int, seed: int, quality: float) -> dict[str, np.ndarray]:
    """n = 200, N = 1,000; what predicts y is a second feature that the estimand does not have; `quality` 0: nothing."""
    rng, rows = np.random.default_rng(seed), []
    n, more = 200, 1000
    truth = {"mean": [0.0], "ols": [0.0, 1.0], "logistic": [0.0, 1.0]}[kind]
    for _ in range(replicates):
        a, b = rng.normal(size=(2, n + more))
        x = np.ones((n + more, 1)) if kind == "mean" else np.column_stack([np.ones(n + more), a])
        if kind == "logistic":
            # P(y | a) is logistic in a; b tells the threshold that decides y, to a degree
            u = 1 / (1 + np.exp(-a))
            latent = rng.random(n + more)
            y = (latent < u).astype(float)
            f = np.where(rng.random(n + more) < quality, y, u)
        else:
            signal = a + quality * 2 * b
            y, f = signal + rng.normal(size=n + more), 3 + 2 * signal
        found = _tuned(x[:n], y[:n], f[:n], x[n:], f[n:], "logistic" if kind == "logistic" else "ols")
        rows.append(
            [found.value - truth, found.labelled_value - truth, (found.lower <= truth) & (found.upper >= truth)]
        )
    tuned, labelled, covered = np.array(rows, dtype=np.float64).transpose(1, 0, 2)
    return {"ratio": (tuned**2).mean(0) / (labelled**2).mean(0), "covered": covered.mean(0)}


@pytest.mark.parametrize("quality", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["mean", "ols", "logistic"])
def test_coverage_and_variance(kind: str, quality: float) -> None:
    replicates = 250
    found = _simulated(kind, replicates, seed=3, quality=quality)
    # four binomial errors of 250 are .055
    assert (found["covered"] >= 0.95 - 0.055).all()
    # squared errors are paired; never worse than by what estimating w costs, 1/n, and the noise of a ratio of nearly
    # the same numbers
    assert (found["ratio"] < 1.05).all()
    if quality and kind == "logistic":
        assert (found["ratio"] < 0.8).all()
    elif quality:
        # 1 - rho^2 1000 / 1200. Mean: y = s + e, f = 3 + 2 s, Var s = 5. Least squares: psi = x (2 b + e) and
        # phi = x (3 + a + 4 b), x = 1 or a: covariance 8, Var psi = 5, Var phi = 17 or 9 + 2 + 16 = 27.
        squares = [5 / 6] if kind == "mean" else [64 / (5 * 17), 64 / (5 * 27)]
        # of 250 pairs of correlated squared errors a ratio is known to 9 % or so
        np.testing.assert_allclose(found["ratio"], 1 - np.array(squares) / 1.2, rtol=0.36)
