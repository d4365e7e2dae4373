"""Learners of text: against scikit-learn's own TF-IDF and logistic regression on the same words, and what they keep."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from dge_ray.downstream import StreamingLearner, check_learner, load_learner, make_learner, slices
from dge_ray.errors import InputError
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import Column, Kind, TableSchema

TEXT = Column("text", Kind.TEXT, "string", missing=True)
LABEL = Column("y", Kind.CATEGORICAL, "int64", categories=(0, 1))
SCHEMA = TableSchema((TEXT, LABEL), "y", "binary")
MIXED = TableSchema(
    (Column("x", Kind.NUMERIC, "double"), TEXT, Column("c", Kind.BOOLEAN, "bool", categories=(False, True)), LABEL),
    "y",
    "binary",
)
QUICK = {"tfidf_linear": {}, "text_lstm": {"min_steps": 60, "units": 16, "width": 16, "words": 500, "tokens": 12}}


def rows(n: int = 300, seed: int = 0) -> Columns:
    """Six words each; those of the class's half of the words come up twice as often as the others."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n).astype(np.int32)
    words = rng.integers(0, 20, (n, 6)) + 20 * np.where(rng.random((n, 6)) < 2 / 3, y[:, None], 1 - y[:, None])
    texts = np.array([" ".join(f"word{w}" for w in row) for row in words.tolist()], dtype=object)
    texts[rng.random(n) < 0.03] = None
    return {"text": texts, "y": y, "x": rng.normal(size=n), "c": rng.integers(0, 2, n).astype(np.int32)}


def accuracy(p: np.ndarray, y: np.ndarray) -> float:
    return float((p.argmax(1) == y).mean())


def test_tfidf_linear_is_scikit_learns_own() -> None:
    """Float32 in the learner's answer; a missing text is the word `wordless`."""
    train, test = rows(), rows(seed=1)
    got = make_learner("tfidf_linear", {}, SCHEMA, seed=0).fit(train).predict(test)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    x = words.fit_transform([text or "wordless" for text in train["text"]])
    model = LogisticRegression().fit(x, train["y"])
    expected = model.predict_proba(words.transform([text or "wordless" for text in test["text"]]))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert accuracy(got, test["y"]) > 0.75


def test_text_lstm_learns_which_words_go_with_which_class() -> None:
    """The best rule errs in about a fifth of the rows; 400 rows have a standard error of .02."""
    train, test = rows(800), rows(400, seed=1)
    learner = make_learner("text_lstm", QUICK["text_lstm"] | {"min_steps": 200}, SCHEMA, seed=0)
    assert accuracy(learner.fit(train).predict(test), test["y"]) > 0.7


@pytest.mark.parametrize("name", sorted(QUICK))
@pytest.mark.parametrize("schema", [SCHEMA, MIXED], ids=["text", "mixed"])
def test_saving_changes_no_bit_and_a_seed_gives_one_fit(name: str, schema: TableSchema, tmp_path: Path) -> None:
    train, test = rows(80), rows(50, seed=1)
    learner = make_learner(name, QUICK[name], schema, seed=3).fit(train)
    learner.save(tmp_path)
    p = learner.predict({k: v for k, v in test.items() if k != "y"})
    assert p.shape == (50, 2) and p.dtype == np.float32
    np.testing.assert_array_equal(load_learner(tmp_path, schema).predict(test), p)
    np.testing.assert_array_equal(make_learner(name, QUICK[name], schema, seed=3).fit(train).predict(test), p)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_samples_of_two_rows_and_without_words(name: str) -> None:
    for texts in (["a", "b"], [None, ""], ["?", "!"]):
        train = {"text": np.array(texts, dtype=object), "y": np.array([0, 1], np.int32)}
        p = make_learner(name, QUICK[name], SCHEMA, seed=0).fit(train).predict(rows(5))
        assert np.isfinite(p).all()


def test_parts_of_a_minibatchs_gradient_add_up() -> None:
    """What two workers sum is what one computes, but for rounding in the order of sums."""
    train, found = rows(100), []
    for part in ((0, 1), (0, 2), (1, 2)):
        learner = make_learner("text_lstm", QUICK["text_lstm"] | {"epochs": 1, "batch_size": 100}, SCHEMA, seed=1)
        assert isinstance(learner, StreamingLearner)
        own: list[torch.Tensor] = []
        learner.fit_stream(partial(slices, train), 100, average=lambda g, own=own: own.append(g[0].clone()), part=part)
        found.append(own[0])
    torch.testing.assert_close(found[1] + found[2], found[0], rtol=0, atol=1e-6)
    assert found[1].abs().max() > 1e-3


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"learner: got 'boosting' for the text column 'text'; takes tfidf_linear"):
        check_learner("boosting", {}, "binary", texts=[TEXT])
    with pytest.raises(InputError, match="'torch_mlp' for the text column"):
        make_learner("torch_mlp", {}, MIXED, seed=0)
    with pytest.raises(InputError, match="'text_lstm' for a table without text"):
        check_learner("text_lstm", {}, "binary")
    with pytest.raises(InputError, match=r"learner\.units"):
        check_learner("text_lstm", {"units": 0}, "binary", texts=[TEXT])
    with pytest.raises(InputError, match=r"learner\.C"):
        check_learner("tfidf_linear", {"C": -1}, "binary", texts=[TEXT])
    check_learner("sklearn.linear_model.SGDClassifier", {"loss": "log_loss"}, "binary", texts=[TEXT])
