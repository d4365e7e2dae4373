"""`dge-ray test`: every bad word against its one line and exit code 2, nothing written; and what is requested, read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.refusals import check_refused

from dge_ray.commands.test import _folder, _law_fits
from dge_ray.commands.test_request import read_request

Run = Callable[..., tuple[int, str, str]]

BAD: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "no features": (["target=y"], ("features: got nothing; takes names of columns",)),
    "unknown feature": (["features=[ag]"], ("features: got 'ag', which is no column", "did you mean 'age'")),
    "constant feature": (["features=[age,one]"], ("features: got 'one', which is constant; takes features that vary",)),
    "an identifier": (["features=[id]"], ("features: got 'id', an identifier",)),
    "the target": (["features=[y,age]"], ("features: got 'y', the target; takes other columns",)),
    "all of them": (["features=[age,kind,z]"], ("features: got all columns but the target",)),
    "one twice": (["features=[age,age]"], ("features: got age, age; takes each column once",)),
    "too few rows to split": (["features=[age]", "few"], ("table: got 39 rows; takes at least 40, so that each half",)),
    "no target": (["features=[age]", "target="], ("target: got nothing; takes target=COLUMN",)),
    "unknown target": (["features=[age]", "target=yy"], ("target: got 'yy', which is no column",)),
    "unknown key": (["features=[age]", "alpa=1"], ("alpa: got an unknown key", "did you mean 'alpha'")),
    "alpha": (["features=[age]", "alpha=0"], ("alpha: got 0; takes a number above 0 and below 1",)),
    "alpha in words": (["features=[age]", "alpha=low"], ("alpha: got 'low'",)),
    "too few replicates": (["features=[age]", "replicates=18"], ("replicates: got 18 with alpha=0.05", "least 19")),
    "method": (["features=[age]", "method=papr"], ("method: got 'papr'", "did you mean 'paper'")),
    "ratio": (["features=[age]", "ratio=-1"], ("ratio: got -1; takes a number above 0",)),
    "two ratios": (["features=[age]", "ratio=[1,2]"], ("ratio: got [1, 2]; takes a number above 0",)),
    "a ratio of few rows": (["features=[age]", "ratio=0.1"], ("ratio: got 0.1, 10 rows",)),
    "volume": (["features=[age]", "volume=20"], ("volume: got 20; takes a whole number from 40",)),
    "both": (["features=[age]", "volume=50", "ratio=1"], ("volume: got 50 and a ratio; takes one of the two",)),
    "generator": (["features=[age]", "generator=copla"], ("generator: got 'copla'", "did you mean 'copula'")),
    "its setting": (["features=[age]", "generator.epoch=3"], ("generator.epoch: got an unknown setting",)),
    "learner": (["features=[age]", "learner=bosting"], ("learner: got 'bosting'", "boosting")),
    "learner of the other task": (["features=[age]", "learner=ridge"], ("'ridge' for binary classification",)),
    "pretrained": (["features=[age]", "pretrained=nowhere"], ("pretrained: got no generator.json in nowhere",)),
    "seed": (["features=[age]", "seed=-1"], ("seed: got -1",)),
    "out": (["features=[age]", "out=table.parquet"], ("out",)),
    "no table": (["features=[age]", "none"], ("source: got 'none.parquet', which does not exist",)),
}


def frame(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    age, kind = rng.integers(20, 60, n), rng.choice(["a", "b"], n)
    y = np.where(age + 20 * rng.standard_normal(n) > 40, "yes", "no")
    text = [f"{i:x}" for i in rng.permutation(10**6)[:n]]
    return pd.DataFrame({"y": y, "age": age, "one": 1, "kind": kind, "id": text, "z": rng.standard_normal(n)})


@pytest.mark.parametrize("case", BAD)
def test_bad_words(run: Run, case: str, tmp_path: Path) -> None:
    frame(100).to_parquet("table.parquet", index=False)
    frame(39).to_parquet("few.parquet", index=False)
    words, parts = BAD[case]
    source = next((f"{word}.parquet" for word in words if "=" not in word), "table.parquet")
    words = [word for word in words if "=" in word]
    target = [] if any("target=" in word for word in words) else ["target=y"]
    check_refused(run("test", source, *target, *words), *parts)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["few.parquet", "table.parquet"]


def test_what_is_requested(tmp_path: Path) -> None:
    table = frame(101)
    table.to_parquet(tmp_path / "t.parquet", index=False)
    words = {"features": "kind", "target": "y", "generator": {"name": "autoregressive", "epochs": 2}, "out": tmp_path}
    request = read_request(str(tmp_path / "t.parquet"), words)
    assert request.schema.names == ["age", "z", "kind", "y"]  # the tested feature and the target last, no constant
    assert request.table.column_names == request.schema.names
    assert sorted(request.table["age"].to_pylist()) == sorted(table["age"]) != request.table["age"].to_pylist()
    assert (request.volumes, request.fitted_rows, request.replicates) == ((404,), 101, 200)
    assert any("identifier" in note for note in request.notes)
    paper = read_request(str(tmp_path / "t.parquet"), {**words, "method": "paper", "ratio": [4, 1]})
    assert (paper.volumes, paper.fitted_rows) == ((50, 200), 50)


@pytest.mark.parametrize("name", ["autoregressive", "copula", "diffusion"])
def test_a_generator_that_completes_rows_draws_the_tested_features_again_itself(name: str, tmp_path: Path) -> None:
    """No other generator is fitted beside it; of a generator that cannot, one that can is."""
    source = str(tmp_path / "t.parquet")
    frame(101).to_parquet(source, index=False)
    words = {"target": "y", "features": "kind", "out": tmp_path}
    request = read_request(source, {**words, "generator": name})
    assert set(_law_fits(request, request.table, 0)) == {"law-0"}
    other = read_request(source, {**words, "generator": "vae"})
    assert set(_law_fits(other, other.table, 0)) == {"law-0", "redraws-0"}


def test_replicates_of_another_null_are_not_gone_on_with(tmp_path: Path) -> None:
    """A copula's test that was begun when another generator redrew its features has a folder of its own."""
    source = str(tmp_path / "t.parquet")
    frame(101).to_parquet(source, index=False)
    request = read_request(source, {"target": "y", "features": "kind", "out": tmp_path, "generator": "copula"})
    place = _folder(request, "relevance")
    place.write_json("redraws-0/files.json", [])
    assert str(_folder(request, "relevance")) == f"{place}-own"
