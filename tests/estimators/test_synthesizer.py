"""The synthesizer, checked against the parts that it is put together from, and against what frames and users expect."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.generator_cases import SMALL, mixed_table, with_notes
from pandas.testing import assert_frame_equal

from dge_ray import Synthesizer
from dge_ray.errors import InputError, InputErrors, StudyError
from dge_ray.estimators import auto, synthesizer
from dge_ray.generators.registry import abilities, installed, make_generator
from dge_ray.generators.rows.shards import draw_rows
from dge_ray.seeds import Purpose, integer
from dge_ray.study.keys.choices import GeneratorChoice
from dge_ray.table import check_table, from_pandas, infer_schema

INPUTS = Path(__file__).parents[3] / "shared" / "reports" / "inputs"
QUIET = pytest.mark.filterwarnings("ignore::dge_ray.errors.ColumnWarning")  # of the mixed table's key
SECONDS = {"causal_lm", "ctgan", "diffusion", "marginals", "mostlyai"}
EACH = [pytest.param(name, marks=[pytest.mark.slow] if name in SECONDS else []) for name in SMALL if installed(name)]


def people(n: int = 300) -> pd.DataFrame:
    """A frame of every dtype that people have, with an index and labels of its own."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, n)
    return pd.DataFrame(
        {
            "age": age,
            "income": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(10, 1, n).round(2)),
            "sex": pd.Categorical(rng.choice(["f", "m"], n), categories=["m", "f", "x"]),
            "town": rng.choice(["Bern", "Oslo", "Rome"], n),
            "member": rng.random(n) < 0.5,
            "children": pd.array(
                [None if rng.random() < 0.2 else int(rng.integers(0, 5)) for _ in range(n)], dtype="Int64"
            ),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D"),
            "decade": pd.cut(age, [0, 30, 50, 90]),
            7: rng.normal(age, 1.0),
        },
        index=rng.permutation(n) + 1000,
    )


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    return Synthesizer("copula", seed=3).fit(people(), target="town")


def line_of(call: Any, *args: Any, **more: Any) -> str:
    """The one line with which a call is refused."""
    with pytest.raises((InputError, InputErrors, StudyError)) as caught:
        call(*args, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What it is put together from


def test_rows_are_those_of_its_generator_and_keep_the_frames_dtypes(fitted: Synthesizer) -> None:
    table = from_pandas(people())
    schema = infer_schema(table, target="town")
    generator = make_generator("copula").fit(table, schema, seed=integer(3, Purpose.FIT, member=0))
    wanted = draw_rows(generator, 700, shard_rows=512, seed=3, member=0)
    rows = fitted.sample(700)
    assert from_pandas(rows).to_pydict() == wanted.to_pydict()
    assert check_table(wanted, fitted.schema_) == [] and fitted.schema_ == schema
    assert rows.dtypes.to_dict() == people().dtypes.to_dict() and rows.columns.tolist() == people().columns.tolist()
    assert rows["children"].isna().any() and not rows["age"].isna().any() and rows["decade"].notna().all()


def test_the_same_seed_gives_the_same_rows_and_fewer_are_the_first_of_more(fitted: Synthesizer) -> None:
    rows = fitted.sample(700)
    assert_frame_equal(fitted.sample(cast(int, np.int64(10))), rows.head(10))
    assert_frame_equal(fitted.sample(10, seed=3), rows.head(10))
    other = fitted.sample(10, seed=4)
    assert not other.equals(rows.head(10))
    assert_frame_equal(fitted.sample(10, seed=4), other)
    again = Synthesizer("copula", seed=4).fit(people(), target="town").sample(10)
    assert not again.equals(other)  # another fit


@QUIET
@pytest.mark.parametrize("name", EACH)
def test_every_generator_needs_no_target(name: str) -> None:
    table = mixed_table(60)
    keys: Any = {"columns": {"note": "text"}} if abilities(name).text else {}
    frame = (with_notes(table) if keys else table).to_pandas()
    rows = Synthesizer(name, SMALL[name], **keys).fit(frame).sample(40)
    assert rows.dtypes.to_dict() == frame.dtypes.to_dict() and len(rows) == 40


def test_tables_of_other_libraries_and_files(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars", reason="polars is not installed")
    frame = people().drop(columns=[7, "decade", "sex"])
    table = from_pandas(frame)
    frame.to_csv(tmp_path / "people.csv", index=False)
    wanted = Synthesizer("copula").fit(frame).sample(50)
    for source in (table, pl.from_arrow(table), pl.from_arrow(table).lazy(), tmp_path / "people.csv"):  # type: ignore
        rows = Synthesizer("copula").fit(source).sample(50)
        assert rows.columns.tolist() == wanted.columns.tolist()
        assert rows["income"].equals(wanted["income"]) and rows["town"].tolist() == wanted["town"].tolist()
    assert Synthesizer("copula").fit("iris").sample(5).shape == (5, 5)


# Keys of a study


def test_keys_mean_what_they_mean_in_a_study(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"k{i};{a};{b},5;x{i}" for i, (a, b) in enumerate(rng.integers(0, 9, (60, 2)))]
    (tmp_path / "t.csv").write_text("\n".join(["key;a;b;name", *lines]))
    keys: dict[str, Any] = {"csv": {"delimiter": ";", "decimal": ","}, "drop": "name", "columns": {"a": "categorical"}}
    synthesizer = Synthesizer("copula", constraints="a in [4, 6]", **keys)
    with pytest.warns(UserWarning) as caught:
        synthesizer.fit(tmp_path / "t.csv", target="a")
    told = " ".join(str(w.message) for w in caught)
    assert "'key': 60 values differ, so it is taken for an identifier" in told and "of the real rows break it" in told
    rows = synthesizer.sample(40)
    assert rows.columns.tolist() == ["key", "a", "b"] and set(rows["a"]) == {4, 6}
    assert rows["key"].str.startswith("synthetic-").all() and (rows["b"] % 1 == 0.5).all()
    assert synthesizer.schema_.task == "multiclass"


def test_a_column_of_texts_that_are_numbers_becomes_numbers() -> None:
    frame = pd.DataFrame({"a": [f"{i},5" for i in range(60)], "b": np.arange(60) % 7})
    with pytest.warns(UserWarning, match="column 'a': read as numbers"):
        synthesizer = Synthesizer("copula").fit(frame)
    assert synthesizer.sample(9).dtypes.tolist() == [np.float64, np.int64]
    assert synthesizer.sample(3, given={"a": "7,5"})["a"].tolist() == [7.5] * 3


@pytest.mark.parametrize(
    ("arguments", "keys", "line"),
    [
        (("copule",), {}, r"generator: got 'copule'; takes .*did you mean 'copula'"),
        (("copula", {"bins": 1}), {}, r"generator.bins: got 1; takes a whole number from 2 to 4096"),
        (("copula", 7), {}, r"generator_settings: got 7; takes a mapping"),
        (("copula",), {"bins": 16}, r"bins: got a setting of the generator; takes it as generator_settings="),
        (("copula",), {"seed": -1}, r"seed: got -1; takes a whole number from 0"),
        (("copula",), {"members": 3}, r"members: got an unknown key; takes one of columns, constraints, csv"),
        (("copula",), {"csv": {"delimiter": "ab"}}, r"csv.delimiter: got 'ab'; takes one sign"),
    ],
)
def test_what_it_is_made_with_is_refused_at_once(arguments: Any, keys: dict[str, Any], line: str) -> None:
    with pytest.raises((InputError, InputErrors), match=line):
        Synthesizer(*arguments, **keys)


@pytest.mark.parametrize(
    ("frame", "keys", "line"),
    [
        (people(), {"target": "twn"}, r"target: got 'twn', which is no column"),
        (people().head(5), {}, r"table: got 5 rows; takes at least 10"),
        (people(), {"target": "income"}, r"target: got 28 missing of 300 values"),
        (people()["age"], {}, r"source: got a pandas.Series; takes a source's name, a pandas frame"),
        ("nowhere.csv", {}, r"source: got 'nowhere.csv', which does not exist"),
    ],
)
def test_a_table_at_fault(frame: Any, keys: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        Synthesizer("copula").fit(frame, **keys)


# Conditions


def test_given_values_hold_in_all_rows(fitted: Synthesizer) -> None:
    given = {"town": "Oslo", "since": "2021-01-05", "age": 33.0, "sex": "m", 7: 33.1}
    rows = fitted.sample(600, given=given)
    assert rows.dtypes.to_dict() == people().dtypes.to_dict()
    for name, value in given.items():
        assert (rows[name] == (pd.Timestamp(str(value)) if name == "since" else value)).all()
    assert_frame_equal(fitted.sample(9, given=given), rows.head(9))
    # The normal column is the age and noise of sd 1; a copula of 300 rows is some years off.
    assert abs(fitted.sample(500, given={"age": 70})[7].mean() - 70) < 8
    assert fitted.sample(4, given={"income": None})["income"].isna().all()


def test_given_rows_are_completed_in_their_order(fitted: Synthesizer) -> None:
    part = people()[["sex", "age"]].head(20)
    rows = fitted.sample(given=part)
    assert rows.columns.tolist() == people().columns.tolist()
    assert_frame_equal(rows[["sex", "age"]], part.reset_index(drop=True))
    assert_frame_equal(fitted.sample(20, given=pa.Table.from_pandas(part, preserve_index=False)), rows)
    assert not fitted.sample(given=part, seed=1).equals(rows)


def test_given_rows_meet_the_constraints() -> None:
    synthesizer = Synthesizer("copula", constraints=["children <= 1", "age >= 18"]).fit(people())
    rows = synthesizer.sample(given=people()[["town"]])
    assert rows["town"].tolist() == people()["town"].tolist() and (rows["children"].dropna() <= 1).all()
    line = line_of(synthesizer.sample, given=pd.DataFrame({"children": [0, 3]}))
    assert line == "constraints: 1 of the rows given meet them in no draw; least often met: 'children <= 1'"


@pytest.mark.parametrize(
    ("n", "given", "line"),
    [
        (0, None, "n: got 0; takes a whole number of rows from 1"),
        (None, {"age": 3}, "n: got None; takes a whole number of rows from 1"),
        (4, people()[["sex"]].head(3), "n: got 4; takes the 3 rows of `given`, or None"),
        (4, {"town": "Paris"}, "column 'town': got 1 values not in its schema; takes its categories"),
        (4, {"twn": "Oslo"}, r"given: got column 'twn'; takes .*'town'.*"),
        (4, {"town": ["Oslo"]}, "given: got a list for column 'town'; takes one value for all rows, or .*"),
        (4, {"age": "old"}, "column 'age': got texts that say none; takes values of a column that is integer"),
        (4, {"income": np.inf}, "column 'income': got 1 infinite values; takes finite values"),
        (4, {"age": None}, "column 'age': got 1 nulls; takes no nulls, by its schema"),
        (None, people().head(0), "table: got 0 rows; takes at least one row"),
        (4, 5, "source: got a builtins.int; takes .*"),
    ],
)
def test_conditions_at_fault(fitted: Synthesizer, n: Any, given: Any, line: str) -> None:
    with pytest.raises(InputError, match=f"^{line}$"):
        fitted.sample(n, given=given)


@QUIET
def test_what_a_generator_cannot_do() -> None:
    gan, vae = (Synthesizer(name, SMALL[name]).fit(mixed_table(100)) for name in ("gan", "vae"))
    assert set(gan.sample(20, given={"colour": "red"})["colour"]) == {"red"}
    assert line_of(gan.sample, 5, given={"age": 30}).startswith("given: got 'age'; takes one coded column: 'flag'")
    assert "'vae', which takes none; takes one of the generators autoregressive, " in line_of(
        vae.sample, 5, given={"age": 30}
    )
    assert "log_prob: got the generator 'vae', which has none" in line_of(vae.log_prob, mixed_table(5))
    for call in (Synthesizer("copula").sample, Synthesizer("copula").log_prob, Synthesizer("copula").save):
        assert line_of(call, 5).startswith("synthesizer: got one that is not fitted; takes fit(table) or")


@QUIET
def test_likelihoods_are_the_generators(tmp_path: Path) -> None:
    table = mixed_table(100).drop_columns(["key"])
    synthesizer = Synthesizer(generator_settings=SMALL["autoregressive"]).fit(table.to_pandas(), target="label")
    wanted = synthesizer.generator_.log_prob(table)  # type: ignore[attr-defined]
    assert wanted.shape == (100,) and np.isfinite(wanted).all()
    np.testing.assert_allclose(synthesizer.log_prob(table.to_pandas()), wanted)
    table.to_pandas().to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_allclose(synthesizer.log_prob(str(tmp_path / "t.csv")), wanted)
    assert line_of(synthesizer.log_prob, table.drop_columns(["age"])).startswith("column 'age': got no such column")


# Auto


def test_auto_is_the_default_and_fits_what_it_chooses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By hand: likelihoods of the held-out rows, the cheapest within a standard error, fitted anew on all rows."""
    table = mixed_table(400).drop_columns(["key"])
    frame = table.to_pandas()
    small = (GeneratorChoice(name="trees"), GeneratorChoice(name="autoregressive", settings=SMALL["autoregressive"]))
    monkeypatch.setattr(auto, "CHEAPEST_FIRST", small)
    chosen = Synthesizer(seed=2).fit(frame, target="label")
    assert chosen.generator == "auto" and [row["generator"] for row in chosen.choice_] == ["trees", "autoregressive"]
    (row,) = (row for row in chosen.choice_ if row["chosen"])
    assert repr(chosen) == f"<Synthesizer('auto', seed=2), {row['generator']}, fitted on 400 rows of 8 columns>"
    named = Synthesizer(row["generator"], row["settings"], seed=2).fit(frame, target="label")
    assert_frame_equal(chosen.sample(30), named.sample(30))
    rng = np.random.default_rng(np.random.SeedSequence(2, spawn_key=(2**32 - 1, 0, 0)))
    order = rng.permutation(400)
    left, held = (table.take(np.sort(part)) for part in (order[80:], order[:80]))
    nats = []
    for choice in small:
        made = make_generator(choice.name, **choice.settings).fit(
            left, chosen.schema_, seed=integer(2, Purpose.FIT, member=0)
        )
        nats.append(made.log_prob(held))  # type: ignore[attr-defined]
    possible = np.isfinite(nats).any(axis=0)
    wide = np.maximum(nats, np.max(nats, axis=0) - 30)[:, possible]
    np.testing.assert_allclose([row["nats"] for row in chosen.choice_], wide.mean(axis=1))
    lead = wide[0] - wide[1]
    trees = lead.mean() >= -lead.std(ddof=1) / np.sqrt(possible.sum())
    assert row["generator"] == ("trees" if trees else "autoregressive")
    chosen.save(tmp_path / "a")
    assert_frame_equal(Synthesizer.load(tmp_path / "a").sample(30), chosen.sample(30))


def test_auto_of_few_rows_and_with_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def fake(name: str, **settings: Any) -> Any:
        made.append(name)
        return make_generator("copula")

    monkeypatch.setattr(synthesizer, "make_generator", fake)
    few = Synthesizer(generator="auto").fit(people(150))
    assert made == ["autoregressive"] and few.choice_ == []
    assert Synthesizer(generator_settings={"epochs": 1}).generator == "autoregressive"
    assert line_of(Synthesizer, "auto", {"leaf": 5}).startswith("generator.leaf: got an unknown")
    assert "epochs" in line_of(Synthesizer, epochs=3)


@pytest.mark.slow
def test_auto_takes_what_knows_the_rows() -> None:
    """A smooth law of two columns, of which trees are worse; and steps of one column by another, which trees know."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    smooth = pd.DataFrame({"x": x, "y": 2 * x + 0.02 * rng.normal(size=2000)})
    assert Synthesizer().fit(smooth).generator_.name == "autoregressive"
    steps = pd.DataFrame({"a": rng.integers(0, 4, 3000), "b": rng.integers(0, 4, 3000)})
    steps["c"] = np.where(rng.random(3000) < 0.9, (steps["a"] + steps["b"]) % 4, rng.integers(0, 4, 3000))
    assert Synthesizer().fit(steps, target="c").generator_.name == "trees"


# Files


@QUIET
def test_a_saved_one_is_the_same(tmp_path: Path, fitted: Synthesizer) -> None:
    fitted.save(tmp_path / "a")
    loaded = Synthesizer.load(tmp_path / "a")
    assert_frame_equal(loaded.sample(60), fitted.sample(60))
    assert repr(loaded) == repr(fitted) == "<Synthesizer('copula', seed=3), fitted on 300 rows of 9 columns>"
    names = ["generator/generator.json", "generator/weights.safetensors", "schema.json", "synthesizer.json"]
    found = [path.relative_to(tmp_path / "a").as_posix() for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert sorted(found) == names
    record = json.loads((tmp_path / "a" / "synthesizer.json").read_text())
    assert set(record["versions"]) >= {"python", "dge-ray", "pandas", "pyarrow"}
    other = Synthesizer("vae", SMALL["vae"], seed=1, constraints=["age > 30"], drop=["key"]).fit(mixed_table(100))
    other.save(tmp_path / "a")  # over the old one
    again = Synthesizer.load(str(tmp_path / "a"))
    assert_frame_equal(again.sample(60), other.sample(60))
    assert again.sample(60)["age"].min() > 30 and again.generator_settings == SMALL["vae"]
    assert_frame_equal(again.fit(mixed_table(100)).sample(60), other.sample(60))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("x")
    assert "which has other files; takes an empty folder" in line_of(fitted.save, tmp_path / "b")


def _edit(folder: Path, **values: Any) -> None:
    path = folder / "synthesizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _another_table(folder: Path) -> None:
    Synthesizer("copula").fit(people()[["age", "town"]]).save(folder.parent / "other")
    sums = json.loads((folder.parent / "other" / "synthesizer.json").read_text())["files"]
    for name in ("generator/generator.json", "generator/weights.safetensors"):
        os.replace(folder.parent / "other" / name, folder / name)
    own = json.loads((folder / "synthesizer.json").read_text())["files"]
    _edit(folder, files={**sums, "schema.json": own["schema.json"]})


BROKEN: dict[str, tuple[Any, str]] = {
    "nothing": (lambda f: (f / "synthesizer.json").unlink(), "without synthesizer.json; takes a folder that"),
    "no JSON": (lambda f: (f / "synthesizer.json").write_text("{"), "synthesizer.json: got damaged"),
    "a key twice": (lambda f: (f / "synthesizer.json").write_text('{"a": 1, "a": 2}'), "json: got damaged"),
    "a list": (lambda f: (f / "synthesizer.json").write_text("[]"), "synthesizer.json: got no object"),
    "format": (lambda f: _edit(f, format=2), "got format 2; takes format 1"),
    "unknown": (lambda f: _edit(f, more=1), "got more: Extra inputs"),
    "rows": (lambda f: _edit(f, rows="many"), "got rows: Input should be a valid integer"),
    "fitted": (lambda f: _edit(f, fitted="os.system"), "generator: got 'os.system'; takes one of"),
    "other kind": (lambda f: _edit(f, fitted="vae"), "checkpoint: got generator 'copula'"),
    "keys": (lambda f: _edit(f, keys={"csv": 3}), "csv: got 3"),
    "dtypes": (lambda f: _edit(f, dtypes=[{"label": "age", "dtype": "U9999999"}]), "got dtypes that are none"),
    "few dtypes": (lambda f: _edit(f, dtypes=[{"label": "a", "dtype": "int8"}]), "got dtypes of other columns"),
    "no file": (lambda f: (f / "schema.json").unlink(), "schema.json: got not there"),
    "changed": (lambda f: (f / "schema.json").write_text("{}"), "schema.json: got changed since it was saved"),
    "cut off": (lambda f: os.truncate(f / "generator" / "weights.safetensors", 99), "got changed since it was saved"),
    "more": (lambda f: (f / "generator" / "x.pkl").write_text("x"), "x.pkl: got a file too many"),
    "pipe": (lambda f: ((f / "schema.json").unlink(), os.mkfifo(f / "schema.json")), "got a pipe, socket or device"),
    "link": (lambda f: ((f / "schema.json").unlink(), (f / "schema.json").symlink_to("/etc/passwd")), "got a link"),
    "another table": (_another_table, "generator: got a generator of another table (columns ['age', 'town']"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_is_told_in_one_line(name: str, tmp_path: Path, fitted: Synthesizer) -> None:
    fitted.save(tmp_path / "s")
    BROKEN[name][0](tmp_path / "s")
    assert BROKEN[name][1] in line_of(Synthesizer.load, tmp_path / "s")


def test_neither_ray_nor_mlflow_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys, pandas as pd; from dge_ray import Synthesizer; frame = pd.DataFrame({'a': range(40)});"
        "frame['b'] = ['x', 'y'] * 20; s = Synthesizer('copula').fit(frame, 'b'); s.sample(9);"
        f"s.save({str(tmp_path / 's')!r}); Synthesizer.load({str(tmp_path / 's')!r}).sample(9);"
        "print([m for m in ('ray', 'mlflow', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


# Tables that people had trouble with


@pytest.mark.slow
@pytest.mark.skipif(not INPUTS.is_dir(), reason="the shared inputs are not there")
@pytest.mark.parametrize("path", sorted(INPUTS.iterdir()) if INPUTS.is_dir() else [], ids=lambda path: path.name)
def test_every_reported_table(path: Path, tmp_path: Path) -> None:
    """With the default generator's small settings: whatever reads is synthesized, saved and loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            synthesizer = Synthesizer(generator_settings=SMALL["autoregressive"], infinite="missing").fit(path)
        except InputError as error:
            assert path.name == "20_nested.parquet" and "nested values" in str(error)
            return
        rows = synthesizer.sample(100)
        assert rows.columns.tolist() == synthesizer.schema_.names and len(rows) == 100
        assert np.isfinite(synthesizer.log_prob(path)).all()
        synthesizer.save(tmp_path / "s")
        assert_frame_equal(Synthesizer.load(tmp_path / "s").sample(100), rows)


def test_values_that_stand_for_missing_ones_are_so_in_every_table_it_takes() -> None:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {"lab": np.where(np.arange(120) % 15 == 0, -999, rng.normal(50, 9, 120)), "y": list("ab") * 60}
    )
    with pytest.warns(UserWarning, match=r"'lab': of its values 8 \(6\.67%\) are -999"):
        Synthesizer(generator="copula").fit(frame)
    with pytest.warns(UserWarning, match="as null_values says, '-999' 8"):
        synthesizer = Synthesizer(generator="copula", columns={"lab": {"null_values": [-999]}}).fit(frame)
    assert synthesizer.sample(500)["lab"].min() > 0 and synthesizer.sample(500)["lab"].isna().any()
    completed = synthesizer.sample(given=frame[["lab"]])
    assert (completed["lab"].isna() == (frame["lab"] == -999)).all() and completed["y"].notna().all()
