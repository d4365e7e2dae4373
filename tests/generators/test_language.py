"""The language generator: its law against every sequence written out, draws against that law, and what a fit keeps."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.fit_cases import resumed_bit_for_bit
from helpers.generator_cases import SMALL, mixed_schema, mixed_table, with_notes
from scipy.stats import chisquare

from dge_ray.errors import InputError
from dge_ray.generators.base import Unsupported
from dge_ray.generators.copula.generator import Copula
from dge_ray.generators.rows.posterior import class_posterior
from dge_ray.generators.text import language_network
from dge_ray.generators.text.language import Language, _shares
from dge_ray.generators.text.language_network import LanguageNetwork, Shape
from dge_ray.generators.text.words import END, MISSING, PAD, SPECIAL, UNKNOWN, Words
from dge_ray.table import TableSchema, infer_schema

CONDITIONS = torch.tensor([[1], [2]])


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> LanguageNetwork:
    """Nine tokens, of which the last four are in two groups; texts of at most three; weights far from 0."""
    monkeypatch.setattr(language_network, "HEAD", 5)
    monkeypatch.setattr(language_network, "GROUP", 7)
    made = LanguageNetwork(Shape(9, (2, 3), own=2, hidden=6, embedding=4, most=3), missing=True)
    made.initialise(torch.Generator().manual_seed(0), np.full((2, 9), 1 / 9))
    made.flat.flat.add_(0.3 * torch.randn(made.flat.flat.shape, generator=torch.Generator().manual_seed(1)))
    return made


def sequences(size: int = 9, most: int = 3) -> list[tuple[int, ...]]:
    """Every text there is: END ends it, MISSING can only stand alone."""
    found, begun = [], [()]
    while begun:
        text = begun.pop()
        if len(text) == most or (text and text[-1] in (END, MISSING)):
            found.append(text)
        else:
            begun += [(*text, token) for token in range(size)]
    return found


def probabilities(network: LanguageNetwork) -> dict[tuple[int, ...], float]:
    texts = sequences()
    tokens = torch.full((len(texts), 3), PAD, dtype=torch.int32)
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = torch.tensor(text)
    return dict(zip(texts, network.log_prob(tokens, CONDITIONS.expand(2, len(texts))).exp().tolist(), strict=True))


def test_probabilities_of_all_texts_add_up_to_one(network: LanguageNetwork) -> None:
    assert network.bounds == [5, 7, 9]
    assert sum(probabilities(network).values()) == pytest.approx(1.0, abs=1e-5)  # float32 in 457 terms


def test_draws_follow_the_law_without_unknown_words(network: LanguageNetwork) -> None:
    """Of the first word, and of the second after a word of a group: chi-square tests at one in a thousand."""
    law, n = probabilities(network), 20_000
    drawn = network.draw(CONDITIONS.expand(2, n), torch.Generator().manual_seed(3)).tolist()
    assert all(UNKNOWN not in row and MISSING not in row[1:] for row in drawn)
    for start in ((), (8,)):
        place = len(start)
        seen = Counter(row[place] for row in drawn if tuple(row[:place]) == start)
        share = Counter[int]()
        for text, p in law.items():
            if text[:place] == start and len(text) > place:
                share[text[place]] += p
        tokens = [t for t in range(9) if t != UNKNOWN and (place == 0 or t != MISSING)]
        expected = np.array([share[t] for t in tokens])
        found = np.array([seen[t] for t in tokens])
        assert chisquare(found, expected / expected.sum() * found.sum()).pvalue > 1e-3


def test_log_prob_does_not_depend_on_other_rows_or_on_padding(network: LanguageNetwork) -> None:
    tokens = torch.tensor([[3, 0, PAD], [8, 4, 5], [2, PAD, PAD]], dtype=torch.int32)
    conditions = torch.tensor([[0, 1, 0], [1, 2, 0]])
    together = network.log_prob(tokens, conditions)
    alone = torch.cat([network.log_prob(tokens[i : i + 1], conditions[:, i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def test_words_are_kept_by_rows_and_nothing_else_comes_back() -> None:
    texts = ["b a a", "a b c", "a secret", None, ""]
    words = Words.fit(texts, size=10, rows=2, most=3)
    assert words.kept == ("a", "b")
    tokens = words.encode(texts)
    a, b = SPECIAL, SPECIAL + 1
    assert tokens.tolist() == [[b, a, a], [a, b, UNKNOWN], [a, UNKNOWN, END], [MISSING, PAD, PAD], [END, PAD, PAD]]
    assert words.decode(tokens).tolist() == ["b a a", "a b", "a", None, ""]
    assert Words.fit(texts, size=1, rows=1, most=3).kept == ("a",)


def test_first_logits_are_shrunk_shares_by_class() -> None:
    """By hand: class 0 has words 3 3 4, class 1 has 4; every word as if seen once more, by the classes' shares."""
    tokens = torch.tensor([[3, 3, 4], [4, PAD, PAD]], dtype=torch.int32)
    shape = Shape(5, (2,), own=2, hidden=1, embedding=1, most=3)
    shares = _shares((tokens, torch.tensor([[0, 1]])), shape)
    category = np.array([4 / 6, 2 / 6])
    of_three = np.array([(2 + category[0]) / 3, category[1] / 3]) / category
    of_four = np.array([(1 + category[0]) / 3, (1 + category[1]) / 3]) / category
    np.testing.assert_allclose(shares[:, 3] / shares[:, 4], of_three / of_four, rtol=1e-12)
    np.testing.assert_allclose(shares.sum(1), 1.0)


@pytest.fixture(scope="module")
def learnt() -> tuple[pa.Table, Language]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 600)
    words = np.where(rng.random((600, 2)) < 0.8, label[:, None], 1 - label[:, None])
    texts = [f"{'good' if a else 'bad'} and {'long' if b else 'short'}" for a, b in words.tolist()]
    table = pa.table({"text": texts, "label": label})
    schema = infer_schema(table, target="label", overrides={"text": "text"})
    made = Language(hidden=16, embedding=8, tokens=6, epochs=10).fit(table, schema, seed=0)
    return table, made


def test_label_predictor_is_bayes_rule(learnt: tuple[pa.Table, Language]) -> None:
    """Words agree with the label with probability .8 each, so that both have odds of 16 : 1 or cancel."""
    _, made = learnt
    schema = made._state()[0]
    texts = pa.table({"text": ["good and long", "bad and short", "good and short"]})
    (posterior,) = class_posterior([made], schema, texts)
    np.testing.assert_allclose(posterior.sum(1), 1.0)
    expected = [16 / 17, 1 / 17, 0.5]
    # 600 rows: an agreement of .8 has a standard error of .016, an estimated log odds of 2.8 one of about .14.
    np.testing.assert_allclose(posterior[:, 1], expected, atol=0.12)
    labelled = texts.append_column("label", pa.array([0, 0, 1]))
    np.testing.assert_array_equal(class_posterior([made], schema, labelled)[0], posterior)
    with pytest.raises(InputError, match="'copula', which has no log_prob"):
        class_posterior([Copula()], schema, texts)
    with pytest.raises(InputError, match=r"target.*a column of classes"):
        class_posterior([made], TableSchema(schema.columns), texts)


def test_rows_have_the_words_of_their_label(learnt: tuple[pa.Table, Language]) -> None:
    """4 standard errors of shares of 1,000 rows, and .06 for what 600 rows left unknown."""
    _, made = learnt
    for label in (0, 1):
        rows = made.sample(1_000, seed=1, given=pa.table({"label": [label] * 1_000}))
        assert rows["label"].to_pylist() == [label] * 1_000
        good = np.mean(["good" in text for text in rows["text"].to_pylist()])
        assert abs(good - (0.8 if label else 0.2)) < 4 * 0.4 / np.sqrt(1_000) + 0.06
    assert set(made.sample(200, seed=2)["label"].to_pylist()) == {0, 1}


def test_unknown_words_have_a_probability_and_unknown_labels_have_none(learnt: tuple[pa.Table, Language]) -> None:
    _, made = learnt
    with_unknown = pa.table({"text": ["zebra", "good zebra"], "label": [1, 1]})
    assert np.isfinite(made.log_prob(with_unknown)).all()
    assert made.log_prob(pa.table({"text": ["good and long"], "label": [7]})).tolist() == [-np.inf]


def test_text_cannot_be_given(learnt: tuple[pa.Table, Language]) -> None:
    with pytest.raises(Unsupported, match="text column 'text'"):
        learnt[1].sample(1, seed=0, given=pa.table({"text": ["good"]}))


def test_a_cut_off_fit_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    table = with_notes(mixed_table(120)).select(["label", "note"])
    schema = mixed_schema(table)
    settings = {**SMALL["language"], "epochs": 4, "patience": 4}

    def fit(**options: Any) -> Language:
        return Language(**settings).fit(table, schema, seed=0, **options)

    whole, again, epochs = resumed_bit_for_bit(fit, tmp_path, cut=3)
    assert epochs == [3, 4]
    assert again.sample(50, seed=0).equals(whole.sample(50, seed=0))


def test_fine_tuning_starts_from_the_words_and_weights_of_another_fit(tmp_path: Path) -> None:
    table = with_notes(mixed_table(200)).select(["label", "note"])
    schema = mixed_schema(table)
    first = Language(**SMALL["language"]).fit(table, schema, seed=0)
    first.save(tmp_path / "first")
    tuned = Language(**SMALL["language"]).fit(table, schema, seed=1, warm_start=tmp_path / "first")
    assert tuned.history[0]["heldout"] < first.history[0]["heldout"]
    with pytest.raises(InputError, match="hidden=16"):
        Language(**SMALL["language"] | {"hidden": 8}).fit(table, schema, seed=1, warm_start=tmp_path / "first")
