"""Rows that were made elsewhere, behind the Protocol: how folders of them are read, and what is refused.

The conformance suite is not for it: that asks what a fit learns and differs by, and draws without end. Nothing is
learnt here, and rows have an end; the same promises (schema, purity, files, refusals) are tested in its own terms.
"""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.generator_cases import mixed_schema, mixed_table

from dge_ray import DGEClassifier, SafeAugmentedClassifier, Synthesizer
from dge_ray.errors import InputError
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import abilities, generator_class, make_generator, member_settings
from dge_ray.generators.rows.shards import draw_rows, draw_shard
from dge_ray.generators.tables.reading import MadeTables
from dge_ray.generators.tables.spelled import recoded
from dge_ray.table import Kind, TableCodec, check_table, from_pandas, infer_schema
from dge_ray.table.schema.table_schema import Column

REAL = mixed_table(300)
SCHEMA = mixed_schema(REAL)
MODELLED = [column.name for column in SCHEMA.modelled]


def made(seed: int, rows: int = 300) -> pa.Table:
    """Rows of the real table's law, within its bounds."""
    codec = TableCodec(SCHEMA)
    return codec.decode(codec.encode(mixed_table(rows, seed=seed)), seed=seed)


def fitted(path: Path, member: int = 0) -> Any:
    return make_generator("tables", path=str(path), member=member).fit(REAL, SCHEMA, seed=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    for k in range(3):
        pq.write_table(made(k + 1), tmp_path / "made" / f"{k:03d}.parquet")
    return tmp_path / "made"


def test_rows_come_in_their_order_and_members_have_their_tables(folder: Path) -> None:
    for k in range(3):
        generator = fitted(folder, k)
        assert generator.count == 300
        assert check_table(generator.rows(0, 300), SCHEMA) == []
        wanted = made(k + 1).select(MODELLED)
        assert generator.rows(0, 300).select(MODELLED).equals(wanted)
        shards = [draw_shard(generator, j, shard_rows=128, seed=0, member=k) for j in range(3)]
        assert [(table.num_rows, met) for table, met in shards] == [(128, 1.0), (128, 1.0), (44, 1.0)]
        assert pa.concat_tables([table for table, _ in shards]).equals(generator.rows(0, 300))
        assert draw_rows(generator, 200, shard_rows=128, seed=7, member=k).equals(generator.rows(0, 200))


def test_it_satisfies_the_protocol(folder: Path) -> None:
    generator = fitted(folder)
    assert isinstance(generator, Generator) and generator.name == "tables" and generator.history == []


def test_a_sample_is_some_of_the_rows_in_a_random_order(folder: Path) -> None:
    generator = fitted(folder)
    rows = generator.sample(100, seed=1)
    assert rows.equals(generator.sample(100, seed=1)) and not rows.equals(generator.sample(100, seed=2))
    keys = rows["key"].to_pylist()  # surrogates differ, so that they tell which rows these are
    assert len(set(keys)) == 100 and set(keys) < set(generator.rows(0, 300)["key"].to_pylist())
    assert not set(keys) & set(REAL["key"].to_pylist()) | (set(keys) & set(made(1)["key"].to_pylist()))


def test_a_saved_one_needs_the_folder_no_more(folder: Path, tmp_path: Path) -> None:
    generator = fitted(folder, 1)
    generator.save(tmp_path / "saved")
    for file in folder.iterdir():
        file.unlink()
    again = generator_class("tables").load(tmp_path / "saved")  # type: ignore[attr-defined]
    assert again.rows(0, 300).equals(generator.rows(0, 300)) and again.settings.member == 1
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "generator.json",
        "rows.parquet",
        "weights.safetensors",
    }
    record = json.loads((tmp_path / "saved" / "generator.json").read_text())
    assert record["extra"] == {"rows": 300}
    pq.write_table(generator.rows(0, 299), tmp_path / "saved" / "rows.parquet")
    with pytest.raises(InputError, match="checkpoint: got rows that do not match"):
        generator_class("tables").load(tmp_path / "saved")  # type: ignore[attr-defined]
    (tmp_path / "saved" / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="checkpoint: got no rows, or damaged ones"):
        generator_class("tables").load(tmp_path / "saved")  # type: ignore[attr-defined]


def test_files_of_any_kind_and_folders_and_bundles(tmp_path: Path) -> None:
    """CSV, its columns in another order; a folder of parts; a bundle's folders, and nothing else of it."""
    frame, place = made(1).to_pandas(), tmp_path / "made"
    (place / "b").mkdir(parents=True)
    frame[frame.columns[::-1]].drop(columns=["key", "unit"]).to_csv(place / "a.csv", index=False)
    for part in range(2):
        pq.write_table(made(1).slice(part * 150, 150), place / "b" / f"part-{part}.parquet")
    (place / "readme.txt.md").write_text("not a table")
    (place / ".hidden.csv").write_text("x")
    tables = MadeTables(str(place))
    assert tables.names == ["a.csv", "b"]
    for index in range(2):
        rows = tables.read(index, SCHEMA, seed=0, spare=()).rows
        assert rows.select(MODELLED).equals(made(1).select(MODELLED))
        assert set(rows["unit"].to_pylist()) == {"kg"} and rows["key"][0].as_py().startswith("synthetic-")
    bundle = tmp_path / "bundle"
    for k in range(2):
        (bundle / f"member={k:03d}").mkdir(parents=True)
        pq.write_table(made(k), bundle / f"member={k:03d}" / "part-00000.parquet")
    (bundle / "bundle.json").write_text("{}")
    (bundle / "stray.csv").write_text("a,b\n1,2\n")
    assert MadeTables(str(bundle)).names == ["member=000", "member=001"]
    assert MadeTables(str(bundle)).read(1, SCHEMA, seed=0, spare=()).rows.num_rows == 300


def test_numbers_are_rounded_and_moved_within_the_real_bounds(tmp_path: Path) -> None:
    frame = made(1).to_pandas()
    frame["price"] = frame["price"] + 0.0012
    frame["age"] = frame["age"].astype(float)
    frame.loc[:4, "age"] = [-3.0, 200.0, 30.4, 18.0, 89.0]
    frame.loc[0, "day"] = dt.datetime(1990, 1, 1, 7)
    frame.to_parquet(tmp_path / "0.parquet")
    table = MadeTables(str(tmp_path)).read(0, SCHEMA, seed=0)
    assert table.moved["age"] == 2 and table.moved["day"] == 1
    assert check_table(table.rows, SCHEMA) == []
    age = SCHEMA["age"]
    assert table.rows["age"].to_pylist()[:5] == [age.minimum, age.maximum, 30, 18, 89]


def _edited(change: Callable[[pd.DataFrame], Any]) -> pd.DataFrame:
    frame = made(1).to_pandas()
    changed = change(frame)
    return frame if changed is None else changed


FAULTS: dict[str, tuple[Callable[[pd.DataFrame], Any], str]] = {
    "missing": (
        lambda f: f.drop(columns="age"),
        r"'0.csv' without a column 'age'; takes the real table's columns: key,",
    ),
    "extra": (lambda f: f.assign(more=1), r"'0.csv' with a column 'more', which the real table has not; takes its"),
    "kind": (lambda f: f.assign(age="old"), r"'0.csv' with texts in 'age' that are no values of it; takes integer"),
    "date": (lambda f: f.assign(day="x"), r"'0.csv' with texts in 'day' that are no values of it; takes datetime"),
    "class": (
        lambda f: f.assign(colour="mauve"),
        r"'0.csv' with 300 values in 'colour' that no real row has; takes the",
    ),
    "flag": (lambda f: f.assign(flag="perhaps"), r"'0.csv' with a column 'flag' of type string; takes type bool"),
    "null": (
        lambda f: f.assign(age=pd.Series([None] + [20] * 299)),
        r"'0.csv' with 1 missing values in 'age'; takes none there",
    ),
    "target": (
        lambda f: f.assign(label=pd.Series([None] + ["yes"] * 299)),
        r"'0.csv' with 1 missing values in 'label'",
    ),
    "infinite": (lambda f: f.assign(price=np.inf), r"'0.csv' with 300 infinite values in 'price'; takes finite"),
    "empty": (lambda f: f.head(0), r"'0.csv' without rows|an empty file"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_table_that_the_real_one_could_not_have_been(name: str, tmp_path: Path) -> None:
    change, line = FAULTS[name]
    _edited(change).to_csv(tmp_path / "0.csv", index=False)
    with pytest.raises(InputError, match=f"^generator.path: got .*({line})") as caught:
        MadeTables(str(tmp_path)).read(0, SCHEMA, seed=0, spare=())
    assert "\n" not in str(caught.value)


def tools_table(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "income": rng.lognormal(10, 1, n).round(2),
            "kids": pd.array([None if i % 5 == 0 else i % 4 for i in range(n)], dtype="Int64"),
            "zip": rng.choice(["01234", "10001", "94110"], n),
            "code": rng.choice([1, 2, 7], n),
            "level": rng.choice(["1", "2", "3"], n),
            "job": [None if i % 7 == 0 else "cook" if i % 2 else "clerk" for i in range(n)],
            "member": rng.random(n) < 0.5,
            "flag": rng.integers(0, 2, n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D"),
            "y": rng.choice(["no", "yes"], n),
        }
    )


WRITTEN: dict[str, Callable[[pd.DataFrame], Any]] = {
    "as it is": lambda f: f,
    "whole numbers as floats": lambda f: f.astype({c: float for c in ("age", "kids", "code", "flag", "level", "zip")}),
    "categories without zeros": lambda f: f.assign(zip=f["zip"].astype(int), level=f["level"].astype(int)),
    "categories as texts of floats": lambda f: f.assign(code=[f"{v}.0" for v in f["code"]]),
    "all texts": lambda f: f.astype(object).map(str),
    "an index": lambda f: f.reset_index(names="Unnamed: 0"),
    "an index of samples put together": lambda f: f.assign(**{"Unnamed: 0": [i % 60 for i in range(len(f))]}),
    "an index by its name": lambda f: f.reset_index(),
    "another order": lambda f: f[f.columns[::-1]],
    "truth as numbers": lambda f: f.assign(member=f["member"].astype(float), flag=f["flag"].astype(bool)),
    "truth as texts": lambda f: f.assign(member=f["member"].map({True: "True", False: "False"})),
    "dates as texts": lambda f: f.assign(since=f["since"].dt.strftime("%Y-%m-%d %H:%M:%S")),
    "missing as words": lambda f: f.assign(job=f["job"].fillna("nan")),
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("name", WRITTEN)
def test_what_other_tools_write_is_read_right(name: str, ending: str, tmp_path: Path) -> None:
    """Each value is the real table's: categories by their meaning, missing ones missing, rows' numbers left out."""
    frame = tools_table()
    real = from_pandas(frame)
    schema = infer_schema(real, target="y")
    changed = WRITTEN[name](frame)
    if ending == "csv":
        changed.to_csv(tmp_path / "0.csv", index=False)
    else:
        changed.to_parquet(tmp_path / "0.parquet", index=False)
    found = MadeTables(str(tmp_path)).read(0, schema, seed=0, spare=())
    codec = TableCodec(schema)
    wanted, got = codec.encode(real), codec.encode(found.rows)
    for column in wanted:
        np.testing.assert_array_equal(got[column], wanted[column], err_msg=column)
    assert found.moved == {}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda f: f.assign(index=range(7, 7 + 2 * len(f), 2)), "with a column 'index', which the real table has not"),
        (lambda f: f.assign(**{"Unnamed: 0": "a"}), "with a column 'Unnamed: 0', which the real table has not"),
        (lambda f: f.assign(y="nan"), "with 120 missing values in 'y'; takes none there"),
        (lambda f: f.assign(level="1.5"), "with 120 values in 'level' that no real row has"),
    ],
)
def test_what_is_told_of_other_tools_tables(change: Callable[[pd.DataFrame], Any], line: str, tmp_path: Path) -> None:
    schema = infer_schema(from_pandas(tools_table()), target="y")
    change(tools_table()).to_csv(tmp_path / "0.csv", index=False)
    with pytest.raises(InputError) as caught:
        MadeTables(str(tmp_path)).read(0, schema, seed=0, spare=())
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_number_that_two_categories_may_mean_is_neither() -> None:
    column = Column("c", Kind.CATEGORICAL, "string", categories=("1", "01", "2", "true"))
    codes, strange = recoded(column, pa.chunked_array([[1.0, 2.0, None, 7.0]]), np.full(4, -1, np.int32))
    assert codes.tolist() == [-1, 2, -1, -1] and strange == 2


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("0.parquet", b"PAR1", "which cannot be read"),
        ("0.csv", b"a,b\n1\n", "0.csv"),
        ("0.md", b"x", "without a table; takes a folder with a .parquet or .csv file"),
    ],
)
def test_what_is_no_table(name: str, content: bytes, line: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"^generator.path: got .*{line}") as caught:
        MadeTables(str(tmp_path)).read(0, SCHEMA, seed=0)
    assert "\n" not in str(caught.value)


def test_refusals(folder: Path) -> None:
    generator, other = fitted(folder), make_generator("tables", path=str(folder), member=3)
    for call, line in (
        (lambda: make_generator("tables").fit(REAL, SCHEMA, seed=0), "generator.path: got nothing; takes a folder"),
        (lambda: make_generator("tables", path="/nowhere").fit(REAL, SCHEMA, seed=0), "which is not there"),
        (
            lambda: other.fit(REAL, SCHEMA, seed=0),
            "members: got member 3, and .* has 3 tables; takes at most 3 members",
        ),
        (lambda: generator.rows(300, 5), "volume: got more than 300 rows; takes at most 300"),
        (lambda: generator.sample(301, seed=0), "n: got 301 rows; takes at most 300"),
        (lambda: generator.sample(0, seed=0), "n: got 0; takes"),
        (lambda: draw_rows(generator, 301, shard_rows=64, seed=0, member=0), "volume: got 301 rows; takes at most 300"),
        (lambda: make_generator("tables").sample(5, seed=0), "not fitted"),
        (lambda: make_generator("tables").fit(REAL, SCHEMA, seed=0, warm_start=folder), "warm_start: got"),
        (
            lambda: Synthesizer("tables", {"path": str(folder)}).fit(REAL, "label").sample(3, given={"age": 30}),
            "given: got conditions for the generator 'tables', which takes none",
        ),
        (
            lambda: SafeAugmentedClassifier("tables", {"path": str(folder)}).fit(np.zeros((50, 2)), [0, 1] * 25),
            "generator: got 'tables', whose rows were made elsewhere; takes a generator that is fitted to each fold",
        ),
    ):
        with pytest.raises(InputError, match=line) as caught:
            call()
        assert "\n" not in str(caught.value)
    able = abilities("tables")
    assert able.holds_rows and able.given == "nothing" and able.private is None and not able.log_prob


def test_members_take_generators_in_turn_and_tables_in_turn() -> None:
    a, b, copula = ("tables", {"path": "a"}), ("tables", {"path": "b"}), ("copula", {})
    chosen = [member_settings([a, copula, b, a], k) for k in range(8)]
    assert [(s.get("path"), s.get("member")) for _, s in chosen] == [
        ("a", 0), (None, None), ("b", 0), ("a", 1), ("a", 2), (None, None), ("b", 1), ("a", 3),
    ]  # fmt: skip


def test_an_ensemble_of_tables_from_elsewhere(tmp_path: Path) -> None:
    """Members of the estimators have a table each; with codes for classes, as their target is in the table."""
    rng = np.random.default_rng(0)
    real = pd.DataFrame({"x": rng.normal(size=80).round(3), "z": rng.normal(size=80).round(3)})
    target = pd.Series((real["x"] > 0).astype(int), name="y")
    for k in range(2):
        shown = real.sample(60, random_state=k)
        shown.assign(y=target).to_csv(tmp_path / f"{k}.csv", index=False)
    ensemble = DGEClassifier("tables", {"path": str(tmp_path)}, n_members=2, n_synthetic=50).fit(real, target)
    for k in range(2):
        assert ensemble.sample(50, member=k)["x"].tolist() == real.sample(60, random_state=k)["x"].tolist()[:50]
    with pytest.raises(InputError, match="takes at most 2 members"):
        DGEClassifier("tables", {"path": str(tmp_path)}, n_members=3, n_synthetic=50).fit(real, target)


def test_every_kind_of_column_is_there() -> None:
    assert {column.kind for column in SCHEMA.columns} == set(Kind) - {Kind.TEXT}
