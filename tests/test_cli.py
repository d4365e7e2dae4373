"""The command line: every kind of bad input against the one line and exit code 2 that it must give, nothing written.

In process, for speed: `main` is what the console script calls. The main path itself is run in
tests/commands/test_tune.py.
"""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.refusals import check_refused
from helpers.s3 import S3

from dge_ray.generators import registry

Run = Callable[..., tuple[int, str, str]]
RNG = np.random.default_rng(0)
N = 120


def _frame(**more: object) -> pd.DataFrame:
    columns = {"x": RNG.normal(size=N), "c": RNG.choice(list("abc"), N), "y": RNG.choice(["no", "yes"], N)}
    return pd.DataFrame({**columns, **more})


def _table(frame: pd.DataFrame | pa.Table, name: str = "t.parquet") -> str:
    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table, name)
    return name


BAD_TABLES: dict[str, tuple[Callable[[], pd.DataFrame | pa.Table], tuple[str, ...]]] = {
    "empty": (lambda: _frame().head(0), ("0 rows",)),
    "one column": (lambda: _frame()[["y"]], ("1 column", "at least 2")),
    "duplicate names": (
        lambda: pa.table([pa.array([1, 2]), pa.array([1, 2]), pa.array(["a", "b"])], names=["x", "x", "y"]),
        ("'x'", "distinct"),
    ),
    "nested": (lambda: _frame(n=[[1]] * N), ("'n'", "drop=")),
    "infinite": (lambda: _frame(i=[np.inf] * 3 + [0.0] * (N - 3)), ("'i'", "3", "infinite=missing")),
    "target constant": (lambda: _frame(y="no"), ("y", "constant")),
    "target with nulls": (
        lambda: _frame(y=[None] * 7 + ["no", "yes"] * 56 + ["no"]),
        ("7", "drop_missing_target=true"),
    ),
    "rare class": (lambda: _frame(y=["rare"] + ["no", "yes"] * 59 + ["no"]), ("rare", "1")),
    "too few rows": (lambda: _frame().head(12), ("rows",)),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(run: Run, case: str, tmp_path: Path) -> None:
    make, parts = BAD_TABLES[case]
    check_refused(run("tune", _table(make()), "target=y"), *parts)
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


BAD_WORDS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "no members": (["members=0"], ("members", "0", "auto")),
    "negative ratio": (["ratios=-1,2"], ("ratios", "-1,2")),
    "zero ratio": (["ratios=0"], ("ratios", "above 0")),
    "unknown key": (["membrs=4"], ("membrs", "did you mean 'members'")),
    "unknown inner key": (["search.nam=grid"], ("search.nam", "did you mean 'name'")),
    "ill-typed key": (["seed=often"], ("seed", "'often'", "whole number")),
    "a truth for a number": (["members=true"], ("members", "True")),
    "not a number": (["ratios=.nan"], ("ratios", "nan")),
    "optuna cannot drop": (["search=optuna", "search.drop_hopeless=true"], ("search.drop_hopeless", "grid")),
    "no word": (["target"], ("target", "key=value")),
    "target absent": (["target=yy"], ("target", "'yy'", "'y'")),
    "no target": (["target=null"], ("target", "x, c, y")),
    "unknown generator": (["generator=copla"], ("generator", "did you mean 'copula'")),
    "unknown generator setting": (["generator=copula", "generator.epoch=2"], ("generator.epoch", "unknown setting")),
    "unknown learner": (["learner=bosting"], ("learner", "boosting")),
    "a function, no estimator": (["learner=sklearn.base.clone"], ("learner", "sklearn.base.clone")),
    "not importable": (["learner=sklearn.nowhere.Thing"], ("learner", "sklearn.nowhere.Thing")),
    "a regressor for classes": (["learner=sklearn.linear_model.Ridge"], ("learner",)),
    "learner setting": (["learner.depth=3"], ("learner.depth",)),
    "an unknown learner among several": (["learner=linear,bosting"], ("learner", "boosting")),
    "a learner twice": (["learner=[linear,{name: linear}]"], ("learner", "'linear' twice", "each learner once")),
    "no list of learners": (["learner=[]"], ("learner", "several, as [a,b]")),
    "unknown rows": (["rows=augmentd"], ("rows", "'augmentd'", "synthetic or augmented")),
    "ratio 0 of synthetic rows": (["ratios=0,1"], ("ratios", "0 with rows=synthetic", "0 with rows=augmented")),
    "ratio 0 proposed": (["ratios=0,1", "rows=augmented", "search=optuna"], ("ratios", "search=optuna", "search=grid")),
    "weights of synthetic rows": (["weights=0.3"], ("weights", "rows=synthetic", "rows=augmented")),
    "weights below 0": (["weights=-1", "rows=augmented"], ("weights", "numbers from 0")),
    "weights of nothing": (["weights=0", "rows=augmented"], ("weights", "not 0 alone")),
    "weights with ratio 0": (["weights=1", "rows=augmented", "ratios=0,1"], ("ratios", "0 with weights", "above 0")),
    "weights for none": (["weights=1", "rows=augmented", "learner=knn"], ("weights", "learner=knn", "sample_weight")),
    "ratio 0 alone": (["ratios=0", "rows=augmented"], ("ratios", "numbers above 0")),
    "unknown metric": (["metric=auk"], ("metric", "auc")),
    "unknown kind": (["columns.x=numerc"], ("x", "numeric")),
    "unknown dropped column": (["drop=zz"], ("drop", "'zz'")),
    "unknown split column": (["split_column=part"], ("split_column", "'part'")),
    "too many rows": (["ratios=1e6"], ("max_rows", "raise it")),
    "storage is a file": (["storage=t.parquet"], ("storage",)),
    "unknown filesystem": (["storage=pigeon://loft"], ("storage", "pigeon")),
    "a storage that climbs": (["storage=s3://bucket/../other"], ("storage", "without '..'")),
    "a name that climbs": (["study=../x"], ("study", "'../x'", "a name of letters")),
    "a name that is a path": (["study=a/b"], ("study", "'a/b'")),
    "an absolute name": (["study=/x"], ("study", "'/x'")),
    "a name of dots": (["study=.."], ("study", "'..'")),
    "a hidden name": (["study=.x"], ("study", "'.x'")),
    "a function of the system": (["learner=os.system"], ("learner", "'os' is no installed package")),
    "a built-in function": (["learner=builtins.eval"], ("learner", "'builtins' is no installed package")),
    "pretrained elsewhere": (["generator=vae", "pretrained=pigeon://loft"], ("pretrained", "pigeon")),
}


@pytest.mark.parametrize("case", BAD_WORDS)
def test_bad_words(run: Run, case: str, tmp_path: Path) -> None:
    words, parts = BAD_WORDS[case]
    given = [] if any(word.startswith("target") for word in words) else ["target=y"]
    check_refused(run("tune", _table(_frame()), *given, "tracking=false", *words), *parts)
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("no/such.parquet", ("no/such.parquet",)),
        ("t.xlsx", ("t.xlsx", "workbook")),
        ("breast_cancr", ("breast_cancr", "breast_cancer")),
        ("no.yaml", ("no.yaml", "not there")),
    ],
)
def test_bad_sources(run: Run, source: str, parts: tuple[str, ...]) -> None:
    Path("t.xlsx").write_bytes(b"PK")
    check_refused(run("tune", source, "target=y"), *parts)


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("tune", ["{}/t.parquet", "target=y"]),
        ("check", ["{}/t.csv", "target=y"]),
        ("tune", ["{}/study.yaml"]),
        ("tune", ["t.parquet", "target=y", "storage={}"]),
        ("tune", ["t.parquet", "target=y", "source={}"]),
        ("tune", ["t.parquet", "target=y", "generator=vae", "pretrained={}/a,{}/b"]),
        ("ls", ["storage={}"]),
        ("report", ["{}"]),
        ("report", ["t", "storage={}"]),
        ("track", ["{}"]),
        ("sample", ["{}", "out=b", "volume=10"]),
        ("sample", ["t", "out={}", "volume=10"]),
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(
    run: Run, verb: str, words: list[str], tmp_path: Path
) -> None:
    _table(_frame())
    _identity(tmp_path)
    (tmp_path / "studies/t/members/000").mkdir(parents=True)
    (tmp_path / "studies/t/members/000/member.json").write_text("{}")
    answer = run(verb, *(word.replace("{}", "s3://AKIA:planted%2Fkey@bucket") for word in words))
    check_refused(answer, "credentials from the environment alone")
    assert "planted" not in answer[2]


def test_a_storage_that_cannot_be_read_is_one_line_in_every_verb(run: Run, s3: S3) -> None:
    _table(_frame())
    nowhere = s3.uri("x", bucket="nowhere")
    for verb, words in {
        "tune": ["t.parquet", "target=y", f"storage={nowhere}"],
        "check": ["t.parquet", "target=y", f"storage={nowhere}"],
        "ls": [f"storage={nowhere}"],
        "report": ["t", f"storage={nowhere}"],
        "track": [nowhere],
        "sample": ["t", f"storage={nowhere}", "out=b", "volume=10"],
    }.items():
        check_refused(run(verb, *words), "nowhere")
    with s3.strict():
        check_refused(run("ls", f"storage={s3.uri('x')}"), "storage", "ACCESS_DENIED")
        check_refused(
            run("tune", "t.parquet", "target=y", f"storage={s3.uri('x')}"), "storage", "INVALID_ACCESS_KEY_ID"
        )


def test_a_tracking_server_that_does_not_answer_is_told_before_training(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    check_refused(run("tune", _table(_frame()), "target=y"), "MLFLOW_TRACKING_URI", str(port))
    assert not (tmp_path / "studies").exists()


def _identity(tmp_path: Path, **changes: object) -> None:
    """A study folder as `tune` leaves it before anything is fitted."""
    from dge_ray.study.folder import check_folder, claim_folder
    from dge_ray.study.prepare import prepare
    from dge_ray.study.read_config import read_config

    prepared = prepare(read_config("t.parquet", ["target=y"]))
    claim_folder(prepared, check_folder(prepared))


def test_the_same_name_with_another_configuration_ischeck_refused(run: Run, tmp_path: Path) -> None:
    table = _table(_frame())
    _identity(tmp_path)
    before = (tmp_path / "studies/t/config.yaml").read_text()
    for word, field in (("seed=1", "seed"), ("generator.epochs=3", "generator"), ("shard_rows=999", "shard_rows")):
        check_refused(run("tune", table, "target=y", "tracking=false", word), "study", "'t'", field, "study=NAME")
    assert (tmp_path / "studies/t/config.yaml").read_text() == before


def test_a_damaged_study_ischeck_refused(run: Run, tmp_path: Path) -> None:
    table = _table(_frame())
    _identity(tmp_path)
    (tmp_path / "studies/t/identity.json").write_text("{")
    check_refused(run("tune", table, "target=y", "tracking=false"), "identity.json", "damaged")
    (tmp_path / "studies/t/identity.json").unlink()
    check_refused(run("tune", table, "target=y", "tracking=false"), "no study", "study=NAME")


def test_check_prints_the_configuration_and_the_bill(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("check", _table(_frame()), "target=y", "members=3", "ratios=1,2")
    assert code == 0
    assert "members: 3" in out and "3 generator fits, 42 downstream fits" in out and "this study is new" in out
    code, out, _ = run("check", "t.parquet", "target=y", "members=3", "ratios=1,2", "--json")
    checked = json.loads(out)
    n = checked["rows"]["train"]
    assert checked["bill"]["synthetic_rows"] == 3 * 2 * n
    assert checked["config"]["target"] == "y"
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_what_check_prints_is_a_study_that_check_and_tune_read(run: Run, tmp_path: Path) -> None:
    words = ["target=y", "members=3", "ratios=1,2", "generator=copula", "learner=[linear,tree]", "columns.x=numeric"]
    code, printed, _ = run("check", _table(_frame()), *words)
    assert code == 0 and "# target: y (binary)" in printed
    (tmp_path / "study.yaml").write_text(printed)
    again = run("check", "study.yaml")
    assert again[:2] == (0, printed)
    one, two = (json.loads(run("check", *words, "--json")[1]) for words in (["t.parquet", *words], ["study.yaml"]))
    here = {"source": str(tmp_path / "t.parquet"), "storage": str(tmp_path / "studies")}  # a YAML may be moved
    assert {**one, "config": {**one["config"], **here}} == two
    check_refused(run("tune", "study.yaml", "tracking=false", "members=0"), "members", "0")  # read, then refused


def test_check_refuses_a_generator_without_its_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    for name, extra in (("ctgan", "ctgan"), ("mostlyai", "mostly")):
        refused = run("check", _table(_frame()), "target=y", f"generator={name}")
        check_refused(refused, f"generator: got '{name}', whose package is not installed", f"dge-ray[{extra}]")


def test_ls_lists_what_there_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _table(_frame())
    _identity(tmp_path)
    code, out, _ = run("ls", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["studies"] == [{"study": "t", "state": "unfinished"}]
    assert "copula" in found["generators"] and "boosting" in found["learners"] and "iris" in found["tables"]
    assert "unfinished" in run("ls")[1]
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    assert json.loads(run("ls", "--json")[1])["not_installed"] == ["causal_lm", "ctgan", "mostlyai"]
    assert "copula, ctgan (not installed)," in run("ls")[1]
    check_refused(run("ls", "stor=x"), "stor", "storage")


def test_report_and_sample_name_what_is_missing(run: Run, tmp_path: Path) -> None:
    check_refused(run("report", "nothing"), "study", "'nothing'")
    _table(_frame())
    _identity(tmp_path)
    check_refused(run("report", "t"), "without a report")
    check_refused(run("sample", "t", "volume=10"), "out", "nothing")
    check_refused(run("sample", "t", "out=b", "volume=0"), "volume", "0")
    check_refused(run("sample", "t", "out=b", "volume=10"), "without a fitted member")
    check_refused(run("sample", "t", "out=b", "volumes=10"), "volumes", "did you mean 'volume'")


def test_usage_errors_and_help(run: Run) -> None:
    assert run("tune")[0] == 2
    code, out, _ = run("tune", "--help")
    assert code == 0 and "SOURCE" in out.upper()
    assert run("nonsense")[0] == 2
