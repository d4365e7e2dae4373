"""Configuration: against the contract's keys, and every kind of bad value against the line it must give."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.small_study import small_table
from hypothesis import given
from hypothesis import strategies as st

from dge_ray.commands.check import check, lines
from dge_ray.errors import InputError, InputErrors
from dge_ray.options import parse_words
from dge_ray.study.config import DEFAULT_RATIOS, as_yaml
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import make_config, placed, read_config, source_name


def test_defaults_are_the_contract() -> None:
    config = read_config("breast_cancer")
    assert (config.study, config.storage, config.seed, config.members) == ("breast_cancer", "./studies", 0, "auto")
    assert config.ratios == DEFAULT_RATIOS
    assert config.max_members == 16
    assert config.generator.name == "auto"
    assert [(one.name, one.settings) for one in config.learners] == [("boosting_early", {}), ("linear", {})]
    (alone,) = read_config("breast_cancer", ["learner.max_iter=50"]).learners  # a setting without a name
    assert (alone.name, alone.settings) == ("boosting", {"max_iter": 50})


def test_words_override_and_dotted_keys_reach_in() -> None:
    words = ["members=8", "ratios=2,0.5,1", "generator.epochs=8", "generator=copula", "columns.a.b=integer", "drop=x"]
    config = read_config("table.csv", words)
    assert config.members == 8
    assert config.ratios == (0.5, 1.0, 2.0)
    assert (config.generator.name, config.generator.settings) == ("copula", {"epochs": 8})
    assert config.columns == {"a.b": "integer"}
    assert config.drop == ("x",)


def test_order_of_a_name_and_its_settings_does_not_matter() -> None:
    first = read_config("t.csv", ["generator=copula", "generator.shrink=0.1"])
    second = read_config("t.csv", ["generator.shrink=0.1", "generator=copula"])
    assert first == second


def test_yaml_is_the_base_and_words_are_on_top(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("source: iris\nratios: [1, 2]\ngenerator: {name: copula, shrink: 0.5}\nmembers: 4\n")
    config = read_config(str(file), ["members=6", "generator.shrink=0.2"])
    assert (config.study, config.source, config.members, config.ratios) == ("mine", "iris", 6, (1.0, 2.0))
    assert config.generator.settings == {"shrink": 0.2}


def test_resolved_yaml_reads_back(tmp_path: Path) -> None:
    config = read_config("iris", ["members=5", "search=optuna", "columns.x=categorical"])
    file = tmp_path / "config.yaml"
    file.write_text(as_yaml(config))
    assert read_config(str(file)) == config.model_copy(update={"storage": str(tmp_path / "studies")})
    file.write_text(as_yaml(placed(config)))
    assert read_config(str(file)) == placed(config)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("members=0", "members: got 0; takes auto or a whole number from 1"),
        ("members=2.5", "members: got 2.5; takes auto or a whole number from 1"),
        ("ratios=0", "ratios: got 0; takes numbers above 0"),
        ("ratios=1,-2", "ratios: got '1,-2'; takes numbers above 0"),
        ("seed=x", "seed: got 'x'; takes a whole number from 0"),
        ("membrs=8", "membrs: got an unknown key; takes one of accelerator_type, canaries, columns"),
        ("search.nme=3", "search.nme: got an unknown key"),
        ("study=../up", "study: got '../up'; takes a name of letters"),
        ("members", "members: got a word without '='; takes key=value"),
    ],
)
def test_bad_words_give_one_line(word: str, line: str) -> None:
    with pytest.raises(InputErrors) as caught:
        read_config("t.csv", [word])
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(line)


def test_an_unknown_key_suggests_the_nearest() -> None:
    with pytest.raises(InputErrors, match=r"did you mean 'members'"):
        read_config("t.csv", ["membrs=8"])


def test_every_bad_field_is_told_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        read_config("t.csv", ["members=0", "seed=-1", "tolerance=2"])
    assert {error.field for error in caught.value.errors} == {"members", "seed", "tolerance"}


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "members: 3\n", "{", "\x00"])
def test_bad_yaml_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(InputError):
        read_config(str(file))


def test_absent_yaml_is_refused() -> None:
    with pytest.raises(InputError, match="not there"):
        read_config("no/such.yaml")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("../shared/data/adult.parquet", "adult"),
        ("s3://bucket/tables/my table.csv.gz", "my-table"),
        ("s3://bucket/t.parquet?endpoint_override=http%3A%2F%2Fhost%3A9000&scheme=http", "t"),
        ("openml:adult@2", "openml-adult-2"),
        ("folder/", "folder"),
        ("...", "study"),
    ],
)
def test_source_names(source: str, name: str) -> None:
    assert source_name(source) == name


@given(st.text(min_size=1, max_size=40))
def test_any_source_gives_a_legal_study_name(source: str) -> None:
    assert make_config({"source": source, "study": source_name(source)}).study


@given(st.dictionaries(st.sampled_from(["seed", "members", "max_rows"]), st.integers(1, 10**6), max_size=3))
def test_parse_words_reads_what_it_wrote(values: dict[str, int]) -> None:
    assert parse_words([f"{key}={value}" for key, value in values.items()]) == values


def test_paths_in_a_yaml_are_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is run from; words are relative to the working folder, and what is no path stays what it is."""
    (tmp_path / "configs").mkdir()
    file = tmp_path / "configs" / "s.yaml"
    file.write_text(
        "source: ../data/t.csv\nstorage: kept\npretrained: [a, /b, 's3://c/d']\n"
        "privacy: {epsilon: 1, schema: public.json}\n",
        encoding="utf-8",
    )
    for place, name in ((tmp_path, "configs/s.yaml"), (tmp_path / "configs", "s.yaml"), (tmp_path, str(file))):
        monkeypatch.chdir(place)
        config = read_config(name)
        assert Path(config.source).resolve() == (tmp_path / "data" / "t.csv").resolve()
        assert Path(config.storage).absolute() == tmp_path / "configs" / "kept"
        assert Path(config.pretrained[0]).absolute() == tmp_path / "configs" / "a"
        assert config.pretrained[1:] == ("/b", "s3://c/d")
        assert Path(str(config.privacy.schema_file)).absolute() == tmp_path / "configs" / "public.json"
    monkeypatch.chdir(tmp_path)
    config = read_config("configs/s.yaml", ["source=t.csv", "storage=s"])
    assert (config.source, config.storage) == ("t.csv", "s")
    for source in ("iris", "openml:adult", "s3://bucket/t.parquet", "~/t.csv", "/t.csv"):
        file.write_text(f"source: '{source}'\n", encoding="utf-8")
        assert read_config("configs/s.yaml").source == source
        assert read_config("configs/s.yaml").storage == "./studies", "what the file does not name is not its own"


def test_what_is_not_there_is_named_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "s.yaml").write_text("source: t.csv\ntarget: y\n", encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "configs" / "t.csv"))):
        prepare(read_config("configs/s.yaml"))
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "no" / "such.yaml"))):
        read_config("no/such.yaml")


def test_what_check_prints_says_the_same_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_table(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    checked = check("t.parquet", {"target": "y", "generator": "copula", "members": 2})
    kept = tmp_path / "elsewhere" / "study.yaml"
    kept.write_text("\n".join(lines(checked)), encoding="utf-8")
    monkeypatch.chdir(kept.parent)
    config = read_config("study.yaml")
    assert (config.source, config.storage) == (str(tmp_path / "t.parquet"), str(tmp_path / "studies"))
    assert config.study == "t" and prepare(config).n == prepare(read_config(config.source, ["target=y"])).n


def test_a_studys_own_configuration_keeps_its_paths(tmp_path: Path) -> None:
    (tmp_path / "identity.json").write_text("{}")
    (tmp_path / "config.yaml").write_text("source: t.csv\nstorage: ./studies\n")
    config = read_config(str(tmp_path / "config.yaml"))
    assert (config.source, config.storage) == ("t.csv", "./studies")


def test_a_target_that_single_precision_rounds_away_is_told(tmp_path: Path) -> None:
    """Near 1e8 a float32 steps by 8; the same target around 0 is well told, and so is a wide one."""
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    for offset, scale, told in ((1e8, 1.0, True), (0.0, 1.0, False), (1e8, 1e5, False)):
        frame = pd.DataFrame({"x": x, "y": offset + scale * (x + random.normal(size=300))})
        frame.to_parquet(tmp_path / "t.parquet")
        notes = prepare(read_config(str(tmp_path / "t.parquet"), ["target=y", "generator=copula"])).warnings
        assert any("kept in single precision, which steps by 8" in note for note in notes) is told
