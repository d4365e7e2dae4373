"""What is typed is what is meant: any name, as a word, in a list, in a YAML file, and through a shell's hands."""

import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import yaml
from helpers import advice
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dge_ray.commands.verbs import EstimatesKeys, EvaluateKeys, PublishKeys, SynTestKeys
from dge_ray.errors import InputErrors
from dge_ray.generators.rows.constraints import read_constraints
from dge_ray.options import parse_words
from dge_ray.phrases import advice as advise
from dge_ray.phrases import list_item
from dge_ray.spelling import texts_in
from dge_ray.study.config import StudyConfig, as_yaml
from dge_ray.study.read_config import make_config, read_config
from dge_ray.table import infer_schema

ODD = [
    "No",
    "on",
    "null",
    "~",
    "1.10",
    "2020-01-01",
    "2020-13-45",
    "1e3",
    "010",
    "c[0]",
    "[x]",
    "Item #",
    "a: b",
    "{a}",
]
ODD += ["comma, name", "it's", 'q"uote', '"', "'tis", "  lead", "trail ", "a=b", "a.b", "Größe (cm)", "&x", "*x", "!x"]
ODD += ["new\nline", "tab\tname", "$HOME", "`ls`", "a\\b", "%s", "-x", "\u202eabc", "x;y", "- a", "true", "a,b", "%"]
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12) | (
    st.sampled_from(ODD)
)
Run = object


@settings(max_examples=200, deadline=None)
@given(NAMES, st.lists(NAMES, max_size=4))
@example("No", ODD)
def test_words_are_taken_as_they_are_typed(name: str, names: list[str]) -> None:
    words = [f"target={name}", f"split_column={name}", f"group_column={name}", f"storage={name}"]
    words += [f"drop=[{','.join(map(list_item, names))}]", f"columns.{name}=integer"]
    config = make_config({"source": "t.csv", **parse_words(words, StudyConfig)})
    assert {config.target, config.split_column, config.group_column, config.storage} == {name}
    assert (config.drop, config.columns) == (tuple(names), {name: "integer"})
    assert texts_in(",".join(map(list_item, names))) == names


@settings(max_examples=60, deadline=None)
@given(NAMES, st.lists(NAMES, min_size=1, max_size=4))
@example("null", ODD)
def test_a_study_yaml_keeps_every_name(tmp_path_factory: pytest.TempPathFactory, name: str, names: list[str]) -> None:
    file = tmp_path_factory.getbasetemp() / "names.yaml"
    kept = make_config({"source": "/t.csv", "study": "s", "target": name, "drop": names, "columns": {name: "integer"}})
    file.write_text(as_yaml(kept), encoding="utf-8")
    found = read_config(str(file))
    assert (found.target, found.drop, found.columns) == (name, tuple(names), {name: "integer"})


def test_a_yaml_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "source: t.csv\nstudy: 010\ntarget: No\ndrop: [on, null, 1.10, 2020-13-45, 'a, b']\nsplit_column: null\n"
        "group_column:\ntime_column: 'null'\n"
        "columns: {No: categorical, 2024: integer, y: {kind: numeric, decimals: 1}}\n"
        "members: 4\ntracking: no\nprivacy: {parent: 1e3}\n"
    )
    found = read_config(str(file))
    assert (found.study, found.target, found.drop) == ("010", "No", ("on", "null", "1.10", "2020-13-45", "a, b"))
    assert (found.split_column, found.group_column, found.time_column) == (None, None, "null")
    assert found.columns == {"No": "categorical", "2024": "integer", "y": {"kind": "numeric", "decimals": 1}}
    assert (found.members, found.tracking, found.privacy.parent) == (4, False, "1e3")
    file.write_text("source: t.csv\nseed: 2020-13-45\n")
    with pytest.raises(Exception, match="month must be in"):
        read_config(str(file))


@pytest.mark.parametrize(
    ("word", "model", "key", "value"),
    [
        ("study=010", StudyConfig, "study", "010"),
        ("storage=my dir #1", StudyConfig, "storage", "my dir #1"),
        ("members=8", StudyConfig, "members", 8),
        ("ratios=0.5,1", StudyConfig, "ratios", "0.5,1"),
        ("learner=[linear,tree]", StudyConfig, "learner", ["linear", "tree"]),
        ("columns.a=b=integer", StudyConfig, "columns", {"a=b": "integer"}),
        ("columns.a.b={kind: integer, minimum: 0}", StudyConfig, "columns", {"a.b": {"kind": "integer", "minimum": 0}}),
        ("columns.c={categories: [p=q, r]}", StudyConfig, "columns", {"c": {"categories": ["p=q", "r"]}}),
        ("columns={No: integer}", StudyConfig, "columns", {"No": "integer"}),
        ("privacy.parent=010", StudyConfig, "privacy", {"parent": "010"}),
        ("constraints=Item # >= 3", StudyConfig, "constraints", "Item # >= 3"),
        ("target=", StudyConfig, "target", None),
        ("estimands=mean(No), proportion(y = null)", EstimatesKeys, "estimands", "mean(No), proportion(y = null)"),
        ("estimands=[mean(a), mean(b)]", EstimatesKeys, "estimands", "[mean(a), mean(b)]"),
        ("estimands=[\"mean('a b')\"]", EstimatesKeys, "estimands", ["mean('a b')"]),
        ("description=a: b # c", PublishKeys, "description", "a: b # c"),
        ("features=No,null", SynTestKeys, "features", "No,null"),
        ("K=3", EvaluateKeys, "K", 3),
    ],
)
def test_the_key_says_how_it_is_read(word: str, model: type, key: str, value: object) -> None:
    assert parse_words([word], model) == {key: value}


def test_constraints_know_odd_names_and_words() -> None:
    table = pa.table({"c[0]": [1, 2, 3], "Item #": ["No", "null", "on"], "y": ["a", "b", "a"]})
    schema = infer_schema(table, target="y")
    texts = make_config({"source": "t", "constraints": "[c[0] >= 2, Item # in [No, on]]"}).constraints
    assert texts == ("[c[0] >= 2, Item # in [No, on]]",)  # no YAML list: one text, which is none of the form
    texts = ("c[0] >= 2", "Item # in [No, on]", "Item # != null")
    met = [constraint.holds(table).tolist() for constraint in read_constraints(texts, schema)]
    assert met == [[False, True, True], [True, False, True], [True, False, True]]


@settings(max_examples=30, deadline=None)
@given(st.lists(NAMES.filter(lambda name: not name.endswith("\n")), min_size=1, max_size=8))
@example(ODD)
def test_a_shell_hands_over_what_was_advised(names: list[str]) -> None:
    words = [advise("drop", names), *(advise(f"columns.{name}", "integer") for name in names)]
    words += [advise("group_column", name) for name in names]
    assert not any("\n" in word for word in words)
    got = advice.pasted(words)
    assert got[0] == f"drop=[{','.join(map(list_item, names))}]"
    assert got[1:] == [f"columns.{name}=integer" for name in names] + [f"group_column={name}" for name in names]
    config = make_config({"source": "t", **parse_words([got[0]], StudyConfig)})
    assert config.drop == tuple(names)


def test_advice_of_odd_columns_works_when_it_is_pasted(run, tmp_path: Path) -> None:
    """Identifiers and nested columns of odd names: each message's advice is pasted through sh and followed."""
    n = 120
    ids = {name: [f"id-{k}-of-{j}" for k in range(n)] for j, name in enumerate(ODD)}
    table = pa.table({**ids, "x": [k % 7 for k in range(n)], "target": ["ab"[k % 2] for k in range(n)]})
    pq.write_table(table, tmp_path / "t.parquet")
    code, out, err = run("check", "t.parquet", "target=target", "generator=copula")
    assert code == 0
    words = advice.advised([err, *(line for line in out.splitlines() if "warning: " in line)])
    drops = [word for word in advice.pasted(words) if word.startswith("drop=")]
    assert sorted(texts_in(word[5:])[0] for word in drops) == sorted(ids)
    names = [texts_in(word[5:])[0] for word in drops]
    pasted = advice.pasted([advise("drop", names)])
    code, out, err = run("check", "t.parquet", "target=target", "generator=copula", *pasted)
    assert (code, err) == (0, "") and yaml.safe_load(out)["drop"] == names
    kinds = [word for word in advice.pasted(words) if word.startswith("columns.")]
    code, out, err = run("check", "t.parquet", "target=target", "generator=copula", *kinds)
    assert (code, err) == (0, "") and sorted(yaml.safe_load(out)["columns"]) == sorted(ids)


@pytest.mark.parametrize("name", ["No", "null", "1.10", "Item #", "comma, name", "it's"])
def test_the_target_has_any_name(run, tmp_path: Path, name: str) -> None:
    table = pa.table({name: ["ab"[k % 2] for k in range(100)], "x": [k % 7 for k in range(100)]})
    pa.csv.write_csv(table, tmp_path / "t.csv")
    done = subprocess.run(["sh", "-c", f"printf %s {advise('target', name)}"], capture_output=True, text=True)
    code, out, err = run("check", "t.csv", done.stdout, "generator=copula")
    assert code == 0, err
    assert yaml.safe_load(out)["target"] == name
    (tmp_path / "s.yaml").write_text(out)
    assert run("check", "s.yaml")[0] == 0


def test_words_that_are_no_words() -> None:
    with pytest.raises(InputErrors, match="takes key=value"):
        parse_words(["target"], StudyConfig)
