"""Prediction by conditional generators, against scikit-learn's common checks, against the normal law's closed forms
that a copula of normal columns must meet, and against the parts it is put together from."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.datasets import load_breast_cancer
from sklearn.utils.estimator_checks import parametrize_with_checks

from dge_ray import SynSlmClassifier, SynSlmRegressor
from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table import from_pandas

QUICK: dict[str, Any] = {"generator": "copula", "n_members": 2, "n_draws": 4}
SHORT: dict[str, Any] = {"generator_settings": {"epochs": 2, "hidden": 16}, "n_members": 2}


@parametrize_with_checks([SynSlmClassifier(**QUICK), SynSlmRegressor(**QUICK)])
def test_scikit_learn_rules(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # columns of whole numbers that look like identifiers
        check(estimator)


@pytest.mark.slow
@parametrize_with_checks([SynSlmClassifier(**SHORT), SynSlmRegressor(**SHORT)])
def test_scikit_learn_rules_of_the_default_generator(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check(estimator)


def normals(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """x (n, 2) standard normal, and y of mean x0 + x1 / 2 and standard deviation 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, x[:, 0] + x[:, 1] / 2 + rng.normal(size=n)


def test_a_copula_of_normal_columns_predicts_their_normal_law() -> None:
    """From 4,000 rows and with 400 draws: a mean is off by .05 by its draws, a tenth quantile by .085 (normal theory).

    The expected score of the true law N(mean, 1) is 1 / sqrt(pi) = .5642; of 1,000 rows its standard error is .013.
    """
    x, y = normals(4_000, 0)
    fitted = SynSlmRegressor(generator="copula", n_members=1, n_draws=400).fit(x, y)
    at = normals(1_000, 1)[0].clip(-1.5, 1.5)  # where rows are; beyond, the outer bins have few
    mean = at[:, 0] + at[:, 1] / 2
    assert np.abs(fitted.predict(at) - mean).mean() < 0.08
    low, high = fitted.predict_quantiles(at, [0.1, 0.9]).T
    assert abs((low - mean).mean() - norm.ppf(0.1)) < 0.05 and abs((high - mean).mean() - norm.ppf(0.9)) < 0.05
    y_new = mean + np.random.default_rng(2).normal(size=len(at))
    score = fitted.crps(at, y_new)
    assert score.shape == (1_000,) and abs(score.mean() - np.pi**-0.5) < 0.04


def test_all_readings_are_of_one_law() -> None:
    """Mean, quantiles and score are the distribution's, over two blocks of rows; draws and the exact law alike."""
    x, y = normals(300, 0)
    at, truth = normals(1_100, 1)
    for fitted in (SynSlmRegressor(**QUICK).fit(x, y), SynSlmRegressor(**SHORT).fit(x, y)):
        laws = fitted.predict_distribution(at)
        assert laws.rows == 1_100 and laws.values.shape[0] == laws.weights.shape[0] == 2
        np.testing.assert_allclose(laws.weights.sum(axis=2), 1.0)
        np.testing.assert_allclose(laws.mean(), fitted.predict_members(at)[:, :, 0])
        np.testing.assert_allclose(laws.mean().mean(axis=0), fitted.predict(at))
        np.testing.assert_allclose(laws.quantiles(np.array([0.2, 0.5])), fitted.predict_quantiles(at, [0.2, 0.5]))
        np.testing.assert_allclose(laws.crps(truth), fitted.crps(at, truth))
        assert (np.diff(fitted.predict_quantiles(at, [0.1, 0.5, 0.9]), axis=1) >= 0).all()


def test_calibration_draws_in_laws_that_are_too_wide() -> None:
    """By the factor with the best score on the left-out rows, whatever the atoms; the mean stays."""
    x, y = normals(500, 0)
    fitted = SynSlmRegressor(**SHORT, calibrate=True).fit(x, y)
    order = numpy_generator(0, Purpose.STOPPING).permutation(500)
    left_out = order[:50]
    laws = fitted.predict_distribution(x[left_out])
    grid = [replace(laws, spread=s).crps(y[left_out]).mean() for s in np.linspace(0.2, 3, 57)]
    assert laws.spread == fitted.spread_ and laws.crps(y[left_out]).mean() < min(grid) + 1e-6
    plain = replace(laws, spread=1.0)
    values, weights = laws.mixture()
    np.testing.assert_allclose((values * weights).sum(axis=1), plain.mean().mean(axis=0))
    middle = plain.mean().mean(axis=0)[:, None]
    stretched = middle + laws.spread * (plain.quantiles(np.array([0.1, 0.9])) - middle)
    np.testing.assert_allclose(laws.quantiles(np.array([0.1, 0.9])), stretched)


def test_members_are_the_generators_put_together_by_hand() -> None:
    x, y = normals(200, 0)
    frame = pd.DataFrame(x, columns=["a", "b"])
    fitted = SynSlmRegressor(**QUICK, random_state=7).fit(frame, y)
    table = from_pandas(frame.assign(target=y))
    seed = integer(7, Purpose.FIT, member=1)
    generator = make_generator("copula").fit(table, fitted.schema_, seed=seed)
    given = table.select(["a", "b"]).take(np.arange(200).repeat(4))
    rows = generator.sample(800, seed=integer(7, Purpose.PREDICT, member=1, index=0), given=given)
    wanted = rows["target"].to_numpy().reshape(200, 4).mean(axis=1)
    np.testing.assert_allclose(fitted.predict_members(frame)[1, :, 0], wanted)


def test_more_members_keep_the_first_ones() -> None:
    x, y = normals(200, 0)
    two, three = (SynSlmRegressor(**{**QUICK, "n_members": k}).fit(x, y).predict_members(x) for k in (2, 3))
    np.testing.assert_array_equal(two, three[:2])
    assert not np.array_equal(*two)


def test_a_prediction_knows_nothing_of_the_other_rows() -> None:
    """No encoder is fitted on rows to predict: a row's prediction is the same beside rows of another scale."""
    x, y = normals(200, 0)
    fitted = SynSlmRegressor(**SHORT).fit(x, y)
    beside = np.concatenate([x[:5], 100 * x])
    np.testing.assert_allclose(fitted.predict(beside)[:5], fitted.predict(x[:5]), rtol=1e-5)


def test_classes_and_unknown_features() -> None:
    """What is missing or unseen where the fit had none is unknown: the law is that given the rest."""
    rng = np.random.default_rng(0)
    town = rng.choice(["Bern", "Oslo"], 400)
    frame = pd.DataFrame({"town": town, "age": rng.normal(size=400), "planet": "Earth"})
    label = np.where(rng.random(400) < np.where(town == "Bern", 0.9, 0.1), "yes", "no")
    strange = frame.head(40).assign(town=["Atlantis"] * 20 + list(town[20:40]))
    strange.loc[5, "age"] = np.nan
    for kwargs in ({**QUICK, "n_draws": 100}, {"n_members": 1, "n_draws": 100, "generator_settings": {"epochs": 40}}):
        fitted = SynSlmClassifier(**kwargs).fit(frame, label)
        assert fitted.score(frame, label) > 0.85  # .9 can be had
        p = fitted.predict_proba(strange)
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        # Half of the rows are 'yes', of either town: .5 +- .05 by fit and draws, against .1 or .9 where it is known.
        assert (np.abs(p[:20, 1] - 0.5) < 0.25).all()
        assert ((p[20:, 1] > 0.5) == (town[20:40] == "Bern")).all()
    assert fitted.classes_.tolist() == ["no", "yes"]


def test_breast_cancer_with_the_default_generator() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x = x[:, :5]
    fitted = SynSlmClassifier(n_members=1).fit(x[:400], y[:400])
    assert fitted.score(x[400:], y[400:]) > 0.85  # logistic regression on these five: .9


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"generator": "gan"}, "generator", "one of autoregressive"),
        ({"generator": "copla"}, "generator", "did you mean 'copula'"),
        ({"n_draws": 0}, "n_draws", "from 1"),
        ({"n_members": 0}, "n_members", "from 1"),
    ],
)
def test_refusals(changed: dict[str, Any], field: str, words: str) -> None:
    x, y = normals(60, 0)
    with pytest.raises(InputError) as caught:
        SynSlmRegressor(**{**QUICK, **changed}).fit(x, y)
    assert caught.value.field == field
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_levels_are_checked() -> None:
    x, y = normals(60, 0)
    fitted = SynSlmRegressor(**QUICK).fit(x, y)
    with pytest.raises(InputError, match="levels from 0 to 1"):
        fitted.predict_quantiles(x, [0.5, 1.5])


def test_scores_need_a_target_a_row() -> None:
    x, y = normals(60, 0)
    fitted = SynSlmRegressor(**QUICK).fit(x, y)
    for wrong, says in ((y[:3], "inconsistent numbers of samples"), ([np.nan] * 60, "NaN")):
        with pytest.raises(ValueError, match=says):
            fitted.crps(x, wrong)


def test_an_unknown_generator_is_told_the_ones_that_can() -> None:
    with pytest.raises(InputError, match="generator: got 'nope'; takes one of autoregressive, copula, diffusion"):
        SynSlmRegressor(generator="nope").fit(np.arange(40.0).reshape(20, 2), np.arange(20.0))
