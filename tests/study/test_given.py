"""Tables that Python holds as sources: frames of pandas and polars, Arrow's tables, DuckDB's relations."""

import stat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dge_ray.commands.check import check
from dge_ray.errors import InputError
from dge_ray.estimators.ensemble import DGEClassifier
from dge_ray.study.folder import study_folder
from dge_ray.study.given import SOURCES, config_of
from dge_ray.study.records.files import IDENTITY
from dge_ray.table import load_table

RNG = np.random.default_rng(0)
COLUMNS = {
    "x": RNG.normal(size=300).round(3),
    "group": RNG.choice(["low", "high"], 300),
    "dose": np.where(RNG.random(300) < 0.03, "?", RNG.lognormal(size=300).round(2).astype(str)),
    "y": RNG.choice(["yes", "no"], 300),
}
KEYS = {"target": "y", "generator": "copula"}


def polars_frame() -> Any:
    return pytest.importorskip("polars", reason="polars is not installed").DataFrame(COLUMNS)


def relation() -> Any:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    return duckdb.from_arrow(pa.table(COLUMNS))


GIVEN = {
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "arrow": lambda: pa.table(COLUMNS),
    "reader": lambda: pa.table(COLUMNS).to_reader(),
    "polars": polars_frame,
    "lazy": lambda: polars_frame().lazy(),
    "duckdb": relation,
}


@pytest.mark.parametrize("kind", GIVEN)
def test_every_kind_gives_the_same_table(kind: str) -> None:
    table = load_table(GIVEN[kind]())
    assert table.column_names == list(COLUMNS) and table["x"].to_pylist() == COLUMNS["x"].tolist()
    assert table["group"].to_pylist() == COLUMNS["group"].tolist()
    assert table["dose"].null_count == int((COLUMNS["dose"] == "?").sum())  # read as of a file


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_check_takes_a_table_and_writes_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = check(GIVEN[kind](), KEYS)
    assert sum(found["rows"].values()) == 300 and found["config"]["study"] == "table"
    assert not list(tmp_path.iterdir()) and "'?'" in str([c for c in found["columns"] if c["name"] == "dose"])


def test_a_study_keeps_its_table_and_a_refused_start_leaves_nothing(tmp_path: Path) -> None:
    storage = tmp_path / "studies"
    keys = {**KEYS, "storage": str(storage), "study": "s"}
    with pytest.raises(InputError, match="refused"), config_of(GIVEN["arrow"](), keys, keep=True):
        raise InputError("x", "refused", "nothing")
    assert not list(storage.rglob("*.parquet")) and not (storage / SOURCES).exists()
    with config_of(GIVEN["arrow"](), keys, keep=True) as config:
        study_folder(config.storage, "s").write_json(IDENTITY, {})
    (kept,) = (storage / SOURCES).iterdir()
    assert config.source == str(kept) and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert load_table(config.source).equals(load_table(GIVEN["arrow"]()))
    with config_of(GIVEN["reader"](), keys, keep=True) as again:
        assert again.source == config.source and again.study == "s"


@pytest.mark.parametrize("given", [3, ["a"], {"a": [1]}, np.zeros((3, 2))])
def test_what_is_no_table(given: Any) -> None:
    with pytest.raises(InputError, match=r"source: got a .*takes a source's name, a pandas frame"):
        check(given, KEYS)


def test_a_path_is_a_source(tmp_path: Path) -> None:
    pd.DataFrame(COLUMNS).to_csv(tmp_path / "t.csv", index=False)
    with config_of(tmp_path / "t.csv", KEYS, keep=True) as config:
        assert config.source == str(tmp_path / "t.csv") and config.study == "t"


def test_estimators_take_frames_of_polars() -> None:
    frame = polars_frame().select("x", "group")
    model = DGEClassifier(generator="copula", n_members=2, backend="local", random_state=0)
    other = DGEClassifier(generator="copula", n_members=2, backend="local", random_state=0)
    found = model.fit(frame, COLUMNS["y"]).predict_proba(frame)
    expected = other.fit(frame.to_pandas(), COLUMNS["y"]).predict_proba(frame.to_pandas())
    np.testing.assert_array_equal(found, expected)
