"""Safe augmentation as scikit-learn estimators: the common checks, a fit put together by hand, what a weight means, and
harm and gain where the truth is known."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from dge_ray import SafeAugmentedClassifier, SafeAugmentedRegressor
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.errors import InputError
from dge_ray.evaluation.crossfit import row_folds
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import draw_rows
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.comparison.safe_choice import safe_choice
from dge_ray.table import TableCodec, from_pandas, infer_schema

QUICK: dict[str, Any] = {"generator": "copula", "n_members": 1, "weights": (1.0,), "cv": 2}


@parametrize_with_checks(
    [
        SafeAugmentedClassifier(**QUICK, estimator=LogisticRegression()),
        SafeAugmentedRegressor(**QUICK, estimator=Ridge()),
    ]
)
def test_scikit_learn_rules(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # columns of whole numbers that look like identifiers
        check(estimator)


def law(n: int, rng: np.random.Generator, *, flip: bool = False) -> tuple[pd.DataFrame, pd.Series]:
    """Twenty numbers and a label that depends on all of them; `flip`: the other way round."""
    x = rng.normal(size=(n, 20)).round(4)
    chance = 1 / (1 + np.exp(-0.6 * x.sum(axis=1) * (-1 if flip else 1)))
    return pd.DataFrame(x, columns=list("abcdefghijklmnopqrst")), pd.Series(
        np.where(rng.random(n) < chance, "yes", "no"), name="y"
    )


def test_it_is_generators_folds_and_weighted_fits_put_together() -> None:
    X, y = law(90, np.random.default_rng(0))
    model = SafeAugmentedClassifier(
        generator="copula", estimator=LogisticRegression(), n_members=2, n_synthetic=2.0, weights=(0.5,), cv=2
    ).fit(X, y)
    codes = (y == "yes").astype(np.int64)
    table = from_pandas(X.assign(y=codes))
    schema = infer_schema(table, target="y", overrides={"y": "categorical"})
    codec = TableCodec(schema)
    columns = codec.encode(table)

    def fit(rows: np.ndarray, weight: float, member: int, fold: int) -> EstimatorLearner:
        real = {name: values[rows] for name, values in columns.items()}
        learner = EstimatorLearner(
            LogisticRegression(), schema, seed=integer(0, Purpose.LEARNER, member=member, bits=31)
        )
        if not weight:
            return learner.fit(real)
        seed = integer(0, Purpose.WEIGHT, member=member, index=fold)
        generator = make_generator("copula").fit(table.take(np.flatnonzero(rows)), schema, seed=seed)
        drawn = codec.encode(draw_rows(generator, 2 * rows.sum(), shard_rows=256, seed=seed, member=member))
        both = {name: np.concatenate([values, drawn[name]]) for name, values in real.items()}
        # 2 n synthetic rows that count n / 2 together
        return learner.fit(both, np.repeat([1.0, 0.25], [rows.sum(), 2 * rows.sum()]))

    folds = row_folds(codes.to_numpy(), 2, seed=0, member=0)
    losses = np.empty((2, 90))
    for fold in range(2):
        inside = folds == fold
        held = {name: values[inside] for name, values in columns.items()}
        for i, weight in enumerate((0.0, 0.5)):
            p = np.mean([fit(~inside, weight, k, 1 + fold).predict(held) for k in range(2)], axis=0, dtype=np.float64)
            losses[i, inside] = -np.log(p[np.arange(inside.sum()), codes[inside]])
    assert model.weights_.tolist() == [0.0, 0.5]
    np.testing.assert_allclose(model.risks_, losses.mean(axis=1), rtol=1e-6)  # predictions are float32
    index = safe_choice(losses).index
    assert model.weight_ == model.weights_[index]
    want = [fit(np.ones(90, dtype=bool), model.weight_, k, 0).predict(columns) for k in range(2)]
    np.testing.assert_array_equal(model.predict_members(X), want)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert set(model.predict(X)) == {"no", "yes"}


def test_a_weight_means_the_same_whatever_the_volume() -> None:
    """A fit on each synthetic row twice is the fit on each once, at the same weight."""
    rng = np.random.default_rng(0)
    (X, y), (Xs, ys) = law(300, rng), law(1500, rng)
    twice = (pd.concat([Xs, Xs]), pd.concat([ys, ys]))
    fits = []
    for pair in ((Xs, ys), twice):
        model = SafeAugmentedClassifier(n_members=1, weights=(1.0,), estimator=LogisticRegression(), alpha=0.5)
        fits.append(model.fit(X, y, synthetic=[pair]))
    assert fits[0].weight_ == fits[1].weight_ == 1.0
    # the encoding standardises by means and spreads, which are the same; lbfgs stops within about 1e-4
    np.testing.assert_allclose(fits[0].predict_proba(X), fits[1].predict_proba(X), atol=1e-3)


def test_harmful_rows_are_left_out_and_good_ones_taken() -> None:
    """Rows with the labels turned round, and rows of the true law, both many, beside 120 real ones."""
    rng, chosen = np.random.default_rng(1), {True: [], False: []}
    test = law(1000, rng)
    gains, harms = [], []
    for _ in range(2):
        X, y = law(120, rng)
        alone = SafeAugmentedClassifier(n_members=1, weights=(0.0,), cv=2, estimator=LogisticRegression(C=100)).fit(
            X, y
        )
        for flip in (True, False):
            model = SafeAugmentedClassifier(n_members=1, weights=(3.0,), cv=4, estimator=LogisticRegression(C=100))
            model.fit(X, y, synthetic=[law(500, rng, flip=flip)])
            apart = [log_loss(test[1], one.predict_proba(test[0])) for one in (model, alone)]
            (harms if flip else gains).append(apart[0] - apart[1])
            chosen[flip].append(model.weight_)
    assert chosen[True] == [0.0] * 2 and harms == [0.0] * 2  # the same fits, since no weight is known to be better
    # a gain where the test on 120 rows sees it, and else exactly none
    assert max(gains) <= 0 and min(gains) < -0.005 and any(chosen[False])


def test_a_regression_on_an_arrays_rows() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(80, 3))
    y = X @ [1.0, 2.0, 0.0] + rng.normal(size=80)
    Xs = rng.normal(size=(500, 3))
    model = SafeAugmentedRegressor(n_members=2, estimator=Ridge(), cv=4)
    model.fit(X, y, synthetic=[(Xs, Xs @ [1.0, 2.0, 0.0]), (-Xs, -Xs @ [1.0, 2.0, 0.0])])
    assert model.predict(X).shape == (80,) and model.predict_members(X).shape == (2, 80, 1)
    assert model.risks_.shape == (4,) and model.score(X, y) > 0.7


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"weights": ()}, "weights"),
    ({"weights": (-1.0,)}, "weights"),
    ({"weights": "many"}, "weights"),
    ({"cv": 1}, "cv"),
    ({"alpha": 0.9}, "alpha"),
    ({"n_synthetic": 0}, "n_synthetic"),
    ({"estimator": KNeighborsClassifier()}, "estimator: got KNeighborsClassifier, which takes no weights"),
    ({"estimator": make_pipeline(StandardScaler(), LogisticRegression())}, "estimator: got a Pipeline"),
    ({"estimator": Ridge()}, "estimator"),
]


@pytest.mark.parametrize(("settings", "line"), FAULTS)
def test_bad_settings_are_refused_by_name(settings: dict[str, Any], line: str) -> None:
    X, y = law(40, np.random.default_rng(3))
    with pytest.raises(InputError, match=f"^{line}"):
        SafeAugmentedClassifier(**{**QUICK, **settings}).fit(X, y)


def test_bad_synthetic_rows_are_refused() -> None:
    rng = np.random.default_rng(4)
    X, y = law(40, rng)
    model = SafeAugmentedClassifier(**{**QUICK, "estimator": RandomForestClassifier(5)})
    with pytest.raises(InputError, match=r"^synthetic: got 2 tables"):
        model.fit(X, y, synthetic=[(X, y), (X, y)])
    with pytest.raises(InputError, match=r"^synthetic: got class 'maybe'"):
        model.fit(X, y, synthetic=[(X, y.replace("yes", "maybe"))])
    with pytest.raises(ValueError, match="feature names"):
        model.fit(X, y, synthetic=[(X.drop(columns="a"), y)])
