"""`dge-ray evaluate` and `select`: every bad word against its one line and exit code 2, nothing written."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.bundles import members_of, write_frames
from helpers.refusals import check_refused

Run = Callable[..., tuple[int, str, str]]

BOTH: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "unknown key": (["membrs=4"], ("membrs", "an unknown key")),
    "no word": (["target"], ("target", "key=value")),
    "no such target": (["target=yy"], ("target: got 'yy', which is no column", "did you mean 'y'")),
    "K of one": (["K=1"], ("K: got 1; takes a whole number from 2 to 3",)),
    "K above the members": (["K=4"], ("K: got 4; takes a whole number from 2 to 3",)),
    "K is no number": (["K=many"], ("K: got 'many'",)),
    "others": (["others=last"], ("others: got 'last'; takes rotating",)),
    "volume": (["volume=61"], ("volume: got 61", "1 to the 60 rows")),
    "seed": (["seed=-1"], ("seed: got -1; takes a whole number from 0",)),
    "no test table": (["test=no.parquet"], ("test: got 'no.parquet', which does not exist",)),
    "another table": (["test=other.parquet"], ("test, column 'x': got no such column",)),
    "a test table of unknown classes": (["test=strange.parquet"], ("test: got", "0 rows with a target")),
    "a key in a URI": (["test=s3://a:b@c/d.parquet"], ("test: got", "password or key")),
    "out is a file": (["out=other.parquet"], ("out",)),
}
EVALUATE: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "unknown estimator": (["estimator=bosting"], ("estimator: got 'bosting'", "boosting")),
    "an estimator's unknown setting": (["estimator=tree", "estimator.dept=3"], ("estimator.dept", "max_depth")),
    "an estimator that is a function": (["estimator=os.system"], ("estimator", "'os' is no installed package")),
    "one fold": (["folds=1"], ("folds: got 1; takes a whole number from 2 to 3",)),
    "more folds than members": (["folds=4"], ("folds: got 4",)),
    "a key of the other verb": (["metric=auc"], ("metric: got an unknown key",)),
}
SELECT: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "one estimator": (["estimators=[tree]"], ("estimators: got '[tree]'", "at least 2")),
    "one of them twice": (["estimators=tree,knn,tree"], ("estimators", "at least 2 different")),
    "one unknown": (["estimators=tree,kmm"], ("estimators: got 'kmm'", "knn")),
    "not for the task": (["estimators=tree,ridge"], ("estimators", "'ridge' for binary classification")),
    "numbers": (["estimators=[1,2]"], ("estimators: got '1'",)),
    "unknown metric": (["metric=auk"], ("metric: got 'auk'", "auc")),
    "a metric of the other task": (["metric=rmse"], ("metric: got 'rmse'",)),
}
CASES = [(verb, name) for verb, own in (("evaluate", EVALUATE), ("select", SELECT)) for name in [*BOTH, *own]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_frames(tmp_path_factory.mktemp("received") / "bundle", members_of(3, 60), "y")


@pytest.mark.parametrize(("verb", "case"), CASES)
def test_bad_words(run: Run, bundle: Path, verb: str, case: str, tmp_path: Path) -> None:
    frame = members_of(1, 60, seed=3)[0]
    frame.rename(columns={"x": "w"}).to_parquet("other.parquet", index=False)
    frame.assign(y="perhaps").to_parquet("strange.parquet", index=False)
    words, parts = {**BOTH, **(EVALUATE if verb == "evaluate" else SELECT)}[case]
    check_refused(run(verb, str(bundle), *words), *parts)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.parquet", "strange.parquet"]


def test_bad_bundles(run: Run, tmp_path: Path) -> None:
    for verb in ("evaluate", "select"):
        code, _, err = run(verb, "nowhere")
        assert code == 2 and "bundle: got" in err and "dge-ray sample" in err
    alone = write_frames(tmp_path / "alone", members_of(1, 60), "y")
    code, _, err = run("evaluate", str(alone))
    assert code == 2 and "bundle: got 1 member; takes at least 2" in err
    untargeted = write_frames(tmp_path / "untargeted", members_of(2, 60), "y")
    text = (untargeted / "schema.json").read_text()
    text = text.replace('"target": "y"', '"target": null').replace('"task": "binary"', '"task": null')
    (untargeted / "schema.json").write_text(text)
    code, _, err = run("select", str(untargeted))
    assert code == 2 and "target: got nothing" in err and "x, c, z, y" in err
    few = write_frames(tmp_path / "few", members_of(2, 8), "y")
    code, _, err = run("evaluate", str(few))
    assert code == 2 and "members of 8 rows; takes at least 10" in err


def test_help_names_every_key(run: Run) -> None:
    for verb, keys in (("evaluate", "estimator folds"), ("select", "estimators metric")):
        code, out, _ = run(verb, "--help")
        assert code == 0
        assert all(f"{key}=" in out for key in f"{keys} target K others volume test seed out".split())
