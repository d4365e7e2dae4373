"""The ensemble as a scikit-learn estimator, checked against scikit-learn's own common checks, against members put
together by hand from their parts, and against its inputs' dtypes."""

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, make_blobs
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from dge_ray import DGEClassifier, DGERegressor
from dge_ray.downstream import make_learner
from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import default_shard_rows
from dge_ray.seeds import Purpose, integer
from dge_ray.table import TableCodec, check_table, from_pandas, infer_schema

QUICK: dict[str, Any] = {"generator": "copula", "n_members": 2}


@parametrize_with_checks(
    [
        DGEClassifier(**QUICK, estimator=HistGradientBoostingClassifier(max_iter=10)),  # the default learner, shorter
        DGERegressor(**QUICK, estimator=HistGradientBoostingRegressor(max_iter=10)),
    ]
)
def test_scikit_learn_rules(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # columns of whole numbers that look like identifiers
        check(estimator)


def people(n: int = 200, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """A frame of every dtype, and labels that depend on it."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    frame = pd.DataFrame(
        {
            "age": age,
            "income": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(10, 1, n).round(2)),
            "sex": pd.Categorical(rng.choice(["f", "m"], n)),
            "town": rng.choice(["Bern", "Oslo", "Rome"], n),
            "member": rng.random(n) < 0.5,
            "children": pd.array(np.where(rng.random(n) < 0.2, None, rng.integers(0, 5, n)), dtype="Int64"),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D"),
            "planet": "Earth",
        },
        index=rng.permutation(n) + 1000,
    )
    bought = age + 20 * frame["member"] + rng.normal(0, 5, n) > 58
    return frame, pd.Series(np.where(bought, "yes", "no"), index=frame.index, name="bought")


def test_a_member_is_generator_rows_and_learner_put_together() -> None:
    frame, y = people()
    ensemble = DGEClassifier(**QUICK, random_state=7, n_synthetic=300).fit(frame, y)
    assert ensemble.classes_.tolist() == ["no", "yes"]
    codes = (y == "yes").astype(np.int64)
    table = from_pandas(frame.assign(bought=codes).reset_index(drop=True))
    schema = infer_schema(table, target="bought", overrides={"bought": "categorical"})
    codec, members = TableCodec(schema), []
    for k in range(2):
        generator = make_generator("copula").fit(table, schema, seed=integer(7, Purpose.FIT, member=k))
        shards = [generator.sample(256, seed=integer(7, Purpose.SHARD, member=k, index=j)) for j in range(2)]
        assert default_shard_rows(200) == 256
        rows = codec.encode(shards[0])
        more = codec.encode(shards[1])
        rows = {name: np.concatenate([values, more[name]])[:300] for name, values in rows.items()}
        learner = make_learner("boosting", {}, schema, seed=integer(7, Purpose.LEARNER, member=k, bits=31)).fit(rows)
        members.append(learner.predict(codec.encode(table)))
    got = ensemble.predict_members(frame)
    assert got.shape == (2, 200, 2) and got.dtype == np.float32
    np.testing.assert_array_equal(got, np.stack(members))
    np.testing.assert_allclose(ensemble.predict_proba(frame), np.mean(members, axis=0), atol=1e-6)
    np.testing.assert_array_equal(ensemble.predict(frame) == "yes", np.mean(members, axis=0)[:, 1] > 0.5)
    # A hundred of each class: guessing is right in half of the rows (se .035).
    assert ensemble.score(frame, y) > 0.75


def test_samples_have_the_training_frames_columns_and_dtypes() -> None:
    frame, y = people()
    ensemble = DGEClassifier(**QUICK).fit(frame, y)
    rows = ensemble.sample(300, member=1)
    whole = frame.assign(bought=y)
    assert rows.columns.tolist() == whole.columns.tolist()
    assert rows.dtypes.tolist() == whole.dtypes.tolist()
    assert len(rows) == 300 and set(rows["bought"]) == {"no", "yes"} and set(rows["planet"]) == {"Earth"}
    assert rows["income"].isna().any() and rows["children"].isna().any() and not rows["age"].isna().any()
    pd.testing.assert_frame_equal(ensemble.sample(10, member=1), rows.head(10))
    assert not ensemble.sample(300, member=0).equals(rows)
    coded = rows.assign(bought=(rows["bought"] == "yes").astype(np.int64))
    check_table(from_pandas(coded), ensemble.schema_)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([2, 3, 11]),
        np.array([-1.0, 0.0, 2.0]),
        np.array([False, True]),
        np.array(["a", "b", "é"]),
        pd.Categorical(["lo", "hi"], categories=["lo", "hi"], ordered=True),
    ],
)
def test_labels_of_any_type_come_back(labels: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2))
    codes = np.digitize(x[:, 0], [0.0] if len(labels) == 2 else [-0.5, 0.5])
    y = pd.Series(labels[codes]) if isinstance(labels, pd.Categorical) else labels[codes]
    ensemble = DGEClassifier(**QUICK, estimator=LogisticRegression()).fit(x, y)
    predicted = ensemble.predict(x)
    assert set(predicted) <= set(y) and (predicted == np.asarray(y)).mean() > 0.7
    rows = ensemble.sample(50)
    assert rows.columns.tolist() == ["x0", "x1", "target"]
    assert rows["target"].dtype == (y.dtype if isinstance(y, pd.Series) else pd.Series(y).dtype)
    assert set(rows["target"]) <= set(y)


def test_a_regression() -> None:
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    ensemble = DGERegressor(**QUICK, n_synthetic=2.0).fit(x, y)
    members = ensemble.predict_members(x)
    assert members.shape == (2, 442, 1) and ensemble.n_synthetic_ == 884
    np.testing.assert_allclose(ensemble.predict(x), members.mean(axis=0)[:, 0], rtol=1e-6)
    # The best models reach about .45 here; one held-out R2 has a standard error of about .06.
    assert cross_val_score(ensemble, x, y, cv=3).mean() > 0.25
    whole = DGERegressor(**QUICK).fit(x, y.astype(int)).sample(20)
    assert whole["target"].dtype == np.int64 and whole.columns.tolist() == [*x.columns, "target"]
    assert ensemble.sample(20)["target"].dtype == np.float64


def test_the_default_generator_finds_three_blobs() -> None:
    x, y = make_blobs(n_samples=300, random_state=0)
    ensemble = DGEClassifier(n_members=1).fit(x, y)
    assert ensemble.score(x, y) > 0.83  # what scikit-learn calls a reasonable score on these


def test_members_differ_and_the_seed_gives_them() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x = x[:150, :4]
    first, again, other = (DGEClassifier(**QUICK, random_state=s).fit(x, y[:150]) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.predict_members(x), again.predict_members(x))
    assert not np.array_equal(first.predict_members(x), other.predict_members(x))
    assert not np.array_equal(*first.predict_members(x))
    assert first.estimators_[0].random_state != first.estimators_[1].random_state
    drawn = DGEClassifier(**QUICK, random_state=np.random.RandomState(0)).fit(x, y[:150])
    same = DGEClassifier(**QUICK, random_state=np.random.RandomState(0)).fit(x, y[:150])
    np.testing.assert_array_equal(drawn.predict_members(x), same.predict_members(x))


def test_more_members_keep_the_first_ones() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x, y = x[:150, :4], y[:150]
    two = DGEClassifier(**QUICK).fit(x, y).predict_members(x)
    three = DGEClassifier(**{**QUICK, "n_members": 3}).fit(x, y).predict_members(x)
    np.testing.assert_array_equal(two, three[:2])


def test_the_users_estimator_is_cloned_and_seeded() -> None:
    frame, y = people()
    forest = RandomForestClassifier(7, random_state=3)
    ensemble = DGEClassifier(**QUICK, estimator=forest).fit(frame, y)
    assert not hasattr(forest, "classes_") and forest.random_state == 3
    assert [len(e.estimators_) for e in ensemble.estimators_] == [7, 7]
    assert len(ensemble.generators_) == 2 and ensemble.generators_[0] is not ensemble.generators_[1]
    assert ensemble.estimators_[0].random_state != ensemble.estimators_[1].random_state


def test_a_pipeline_gets_a_frame_in_its_own_dtypes() -> None:
    frame, y = people()
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["sex", "town"]),
        (StandardScaler(), ["age"]),
        ("passthrough", ["member"]),
    )
    pipeline = make_pipeline(columns, LogisticRegression())
    ensemble = DGEClassifier(**QUICK, estimator=pipeline).fit(frame, y)
    assert ensemble.score(frame, y) > 0.75
    assert ensemble.estimators_[0].feature_names_in_.tolist() == frame.columns.tolist()
    regression = DGERegressor(**QUICK, estimator=make_pipeline(columns, Ridge())).fit(frame, frame["age"] * 2.0)
    assert regression.score(frame, frame["age"] * 2.0) > 0.5


def test_unseen_categories_and_missing_values_are_predicted() -> None:
    frame, y = people()
    for estimator in (None, LogisticRegression()):
        ensemble = DGEClassifier(**QUICK, estimator=estimator).fit(frame, y)
        strange = frame.assign(town="Atlantis", age=frame["age"].astype(float).where(frame["age"] > 30))
        strange["sex"] = pd.Categorical(["x"] * len(strange))
        assert np.isfinite(ensemble.predict_proba(strange)).all()


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"n_members": 0}, "n_members", "a whole number from 1"),
        ({"n_members": 2.0}, "n_members", "a whole number from 1"),
        ({"n_members": True}, "n_members", "a whole number from 1"),
        ({"n_synthetic": 0}, "n_synthetic", "a ratio above 0"),
        ({"n_synthetic": -0.5}, "n_synthetic", "a ratio above 0"),
        ({"n_synthetic": "many"}, "n_synthetic", "a ratio above 0"),
        ({"backend": "spark"}, "backend", "local or ray"),
        ({"generator": "copla"}, "generator", "did you mean 'copula'"),
        ({"generator_settings": {"bin": 3}}, "generator.bin", "did you mean 'bins'"),
        ({"generator_settings": 3}, "generator_settings", "a mapping"),
        ({"estimator": Ridge()}, "estimator", "no classifier"),
        ({"estimator": LogisticRegression}, "estimator", "an instance"),
        ({"estimator": "boosting"}, "estimator", "an instance"),
        ({"estimator": SVC()}, "estimator", "no probabilities"),
    ],
)
def test_refusals(changed: dict[str, Any], field: str, words: str) -> None:
    frame, y = people(60)
    with pytest.raises(InputError) as caught:
        DGEClassifier(**{**QUICK, **changed}).fit(frame, y)
    assert caught.value.field == field
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_refusals_of_data() -> None:
    frame, y = people(60)
    for bad, words in (
        (y.where(y == "yes"), "NaN"),
        (y.where(y == "yes", "yes"), "1 class"),
        (y.iloc[:-1], "inconsistent numbers of samples"),
    ):
        with pytest.raises(ValueError, match=words):
            DGEClassifier(**QUICK).fit(frame, bad)
    ensemble = DGEClassifier(**QUICK)
    with pytest.raises(NotFittedError):
        ensemble.sample(3)
    ensemble.fit(frame, y)
    with pytest.raises(ValueError, match="infinity"):
        ensemble.predict(frame.assign(income=np.inf))
    with pytest.raises(ValueError, match="feature names"):
        ensemble.predict(frame.drop(columns="age"))
    with pytest.raises(InputError, match="0 to 1"):
        ensemble.sample(3, member=2)
    with pytest.raises(InputError, match="from 1"):
        ensemble.sample(0)


@pytest.mark.parametrize("kind", ["missing", "nested", "mixed", "complex", "identifier", "levels"])
def test_what_it_says_of_columns_is_said_in_words_of_python(kind: str) -> None:
    """No keys of a study, which the Python API has not: drop=[...], columns.NAME=..."""
    frame, y = people(60)
    bad = {
        "missing": np.nan,
        "nested": [[1, 2]] * 60,
        "mixed": [1.0, "text"] * 30,
        "complex": [1 + 2j] * 60,
        "identifier": [f"id {i}" for i in range(60)],
        "levels": pd.Categorical([f"id {i}" for i in range(60)]),
    }[kind]
    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            DGEClassifier(**QUICK).fit(frame.assign(bad=bad), y)
        except InputError as error:
            said.append(str(error))
    said += [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    assert said and not [text for text in said if "drop" in text or "columns." in text], said
    ensemble = DGEClassifier(**QUICK).fit(frame, y)
    with pytest.raises(InputError) as refused:
        ensemble.predict(frame.assign(income=[1.0, "text"] * 30))
    assert "drop" not in str(refused.value)


def test_boosting_that_stops_by_itself_draws_a_warning() -> None:
    frame, y = people(60)
    with pytest.warns(UserWarning, match="above 10,000 rows"):
        DGEClassifier(**QUICK, estimator=HistGradientBoostingClassifier()).fit(frame, y)


def test_the_targets_label_is_distinct() -> None:
    frame, y = people(60)
    rows = DGEClassifier(**QUICK).fit(frame.rename(columns={"age": "bought"}), y).sample(5)
    assert rows.columns[-1] == "bought_"


def test_clone_keeps_every_parameter() -> None:
    ensemble = DGEClassifier(generator="copula", generator_settings={"bins": 8}, n_synthetic=0.5, random_state=4)
    assert clone(ensemble).get_params() == ensemble.get_params()


def test_the_local_backend_never_imports_ray() -> None:
    code = (
        "import sys, numpy as np; from dge_ray import DGEClassifier;"
        "x = np.random.default_rng(0).normal(size=(40, 2));"
        "DGEClassifier(generator='copula', n_members=2).fit(x, x[:, 0] > 0).predict(x);"
        "sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_array_after_a_frame_is_taken_by_its_order() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    fitted = DGERegressor(estimator=Ridge(), **QUICK).fit(X, y)
    with pytest.warns(UserWarning, match="feature names"):
        by_order = fitted.predict(X.to_numpy())
    assert np.array_equal(by_order, fitted.predict(X))


def test_settings_that_the_rows_are_too_few_for_are_told_once() -> None:
    X, y = people(80)
    with pytest.warns(UserWarning) as told:
        DGEClassifier(**QUICK, estimator=KNeighborsClassifier(500)).fit(X, y)
    [line] = [str(one.message) for one in told if "too few" in str(one.message)]
    assert "80 rows a member" in line and "n_neighbors 500 cut to 80" in line
