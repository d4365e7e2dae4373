"""Options: what a declared model takes, and the lines that it gives for what it does not take."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BeforeValidator, Field

import dge_ray
from dge_ray.commands.verbs import EvaluateKeys, PublishKeys, SampleKeys, SelectKeys, SynTestKeys, UtilityKeys
from dge_ray.errors import InputError, InputErrors
from dge_ray.options import Also, Flag, Names, Number, Options, Place, Text, Whole, listed, nest, parse_words
from dge_ray.study.config import StudyConfig


class Keys(Options):
    many: Annotated[Whole | None, Also("K")] = Field(None, ge=2, description="a whole number from 2")
    share: Number = Field(0.5, gt=0, lt=1, description="a number above 0 and below 1")
    how: Literal["fast", "slow"] = Field("fast", description="fast or slow")
    names: Names = Field((), description="names, as [a,b]")
    kinds: Annotated[tuple[Literal["a", "b"], ...], BeforeValidator(listed)] = Field((), description="a, b or both")
    text: Text | None = Field(None, description="a text")
    where: Place = Field("./here", description="a folder")
    yes: Flag = Field(False, description="true or false")


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({}, {"many": None, "share": 0.5, "where": "./here"}),
        ({"K": 3}, {"many": 3}),
        ({"names": "a, b"}, {"names": ("a", "b")}),
        ({"names": ["a", 3]}, {"names": ("a", "3")}),
        ({"names": []}, {"names": ()}),
        ({"kinds": "a,b"}, {"kinds": ("a", "b")}),
        ({"text": 2024}, {"text": "2024"}),
        ({"where": Path("a") / "b"}, {"where": "a/b"}),
        ({"share": 0.25, "yes": True}, {"share": 0.25, "yes": True}),
    ],
)
def test_what_is_taken(options: dict[str, Any], values: dict[str, Any]) -> None:
    keys = Keys.read(options)
    assert {name: getattr(keys, name) for name in values} == values


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"many": 1}, "many: got 1; takes a whole number from 2"),
        ({"K": 1}, "K: got 1; takes a whole number from 2"),  # by the name that the user knows
        ({"many": True}, "many: got True; takes a whole number from 2"),
        ({"many": 2.0}, "many: got 2.0; takes a whole number from 2"),
        ({"many": "2"}, "many: got '2'; takes a whole number from 2"),
        ({"many": 2, "K": 3}, "K: got 3 and many=2; takes one of the two"),
        ({"share": 1}, "share: got 1; takes a number above 0 and below 1"),
        ({"share": True}, "share: got True; takes a number above 0 and below 1"),
        ({"share": float("nan")}, "share: got nan; takes a number above 0 and below 1"),
        ({"how": "slo"}, "how: got 'slo'; takes fast or slow (did you mean 'slow'?)"),
        ({"kinds": "a,c"}, "kinds: got 'c'; takes a, b or both"),
        ({"names": {"a": 1}}, "names: got {'a': 1}; takes names, as [a,b]"),
        ({"text": " "}, "text: got ' '; takes a text"),
        ({"text": ["a"]}, "text: got ['a']; takes a text"),
        ({"where": ""}, "where: got ''; takes a folder"),
        ({"yes": 1}, "yes: got 1; takes true or false"),
        (
            {"mny": 2},
            "mny: got an unknown key; takes one of how, kinds, many, names, share, text, where, yes (did you mean "
            "'many'?)",
        ),
    ],
)
def test_what_is_refused(options: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        Keys.read(options)
    assert str(caught.value) == line


def test_several_faults_are_a_line_each() -> None:
    with pytest.raises(InputErrors) as caught:
        Keys.read({"many": 0, "share": 3, "what": 1})
    assert [error.field for error in caught.value.errors] == ["many", "share", "what"]
    with pytest.raises(InputError, match=r"^volumes: got an unknown key"):  # which is what is missing, misspelt
        SampleKeys.read({"out": "b", "volumes": 10})


class Needed(Options):
    first: Whole = Field(description="a whole number")
    second: Text = Field(description="a text")


def test_what_is_missing_is_a_line_each() -> None:
    with pytest.raises(InputErrors) as caught:
        Needed.read({})
    assert [str(error).partition(";")[0] for error in caught.value.errors] == [
        "first: got nothing",
        "second: got nothing",
    ]


def test_bounds_that_only_the_verb_knows() -> None:
    keys = Keys.read({"K": 9})
    with pytest.raises(InputError, match=r"^K: got 9; takes a whole number from 2 to 4$"):
        keys.check_range("many", 2, 4)
    keys.check_range("many", 2, 9)
    Keys.read().check_range("many", 2, 4)
    assert (keys.given("many"), keys.given("share")) == (True, False)


def test_names_of_before_are_accepted() -> None:
    before = EvaluateKeys.read({"estimator": {"name": "tree", "max_depth": 3}, "K": 2, "out": "o"})
    now = EvaluateKeys.read({"learner": "tree", "learner.max_depth": 3, "members": 2, "storage": "o"})
    assert before.model_dump() == now.model_dump()
    for name in ("learner", "estimators", "estimator"):
        assert SelectKeys.read({name: "tree,knn"}).learner == ("tree", "knn")
        assert UtilityKeys.read({name: ["tree"]}).learner == ("tree",)
    assert SynTestKeys.read({"features": "a", "out": "o", "estimator": "tree"}).storage == "o"
    assert PublishKeys.read({"out": "o", "allow": "copies"}).allow == ("copies",)


def test_a_mapping_of_python_says_what_words_say() -> None:
    words = ["generator=copula", "generator.shrink=0.1", "columns.a.b=text", "volume=3"]
    options = {"generator": "copula", "generator.shrink": 0.1, "columns.a.b": "text", "volume": 3}
    assert nest(options) == parse_words(words)
    given = {"generator": {"name": "copula"}}
    nest({**given, "generator.shrink": 0.1})
    assert given == {"generator": {"name": "copula"}}


def test_a_notebook_has_the_verbs_and_their_errors() -> None:
    with pytest.raises(dge_ray.InputError, match=r"^learner: got 3"):
        dge_ray.evaluate("nowhere", {"learner": 3})
    with pytest.raises(dge_ray.InputError, match=r"^metrics: got an unknown key"):
        dge_ray.select("nowhere", {"metrics": "auc"})
    with pytest.raises(dge_ray.InputErrors, match=r"^members: got 0"):
        dge_ray.tune("breast_cancer", {"members": 0})


@pytest.mark.parametrize("text", ["my dir #1", "#1", "Item #", "010", "0x10", "1:30", "&x", "1_000", "[a, b] # two"])
def test_a_word_is_taken_whole(text: str) -> None:
    assert parse_words([f"storage={text}"], StudyConfig) == {"storage": text}
