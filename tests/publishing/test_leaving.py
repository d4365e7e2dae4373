"""What leaves with a bundle: no value that one real row alone has, in schema, card and page, looked for one by one."""

import html
import json
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dge_ray.commands import publish as publishing
from dge_ray.commands.publish import lines, publish
from dge_ray.commands.sample import sample
from dge_ray.commands.verify import verify
from dge_ray.errors import InputError
from dge_ray.generators.registry import make_generator
from dge_ray.publishing.disclosure import check_identifiers
from dge_ray.publishing.leaving import leaving
from dge_ray.seeds import Purpose, integer
from dge_ray.storage import Folder
from dge_ray.study.folder import claim_folder, study_folder
from dge_ray.study.opened import OpenStudy
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import generator_folder, member_file, shard_file
from dge_ray.table import Kind, check_schema, check_table, infer_schema
from dge_ray.table.schema.outward import outward_schema

ROWS, VOLUME = 400, 256


def real_table(seed: int = 0) -> pa.Table:
    """Every kind, each with values that one row alone has."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=ROWS)
    town = np.array([f"town-{k}" for k in rng.integers(0, 6, ROWS)], dtype=object)
    town[[3, 50]] = ["Holand-Netherlands", "Atlantis"]
    level = np.array(["low", "mid", "high"])[rng.integers(0, 3, ROWS)].astype(object)
    level[7] = "extreme"
    card = rng.permutation(ROWS * 5)[:ROWS] * 7 + 4_000_000
    return pa.table(
        {
            "x": x,
            "money": np.round(rng.lognormal(8, 1, ROWS), 2),
            "age": rng.integers(18, 90, ROWS),
            "gain": np.where(rng.random(ROWS) < 0.9, 0, rng.integers(1000, 99_999, ROWS)),
            "born": pa.array(rng.integers(0, 20_000, ROWS)).cast(pa.int32()).cast(pa.date32()),
            "seen": pa.array(1_600_000_000_000_000 + rng.integers(0, 10**13, ROWS)).cast(pa.timestamp("us")),
            "town": pa.array(town, pa.string()),
            "level": pa.array(level, pa.string()).dictionary_encode(),
            "card": card,
            "y": np.where(rng.random(ROWS) < 1 / (1 + np.exp(-2 * x)), "yes", "no"),
        }
    )


def study_of(place: Path, table: pa.Table, *words: str) -> Folder:
    """A study of one copula, with the rows of its first shard."""
    pq.write_table(table, place / "t.parquet")
    given = ["target=y", "generator=copula", f"storage={place / 'studies'}", "study=s", "learner=linear", *words]
    prepared = prepare(read_config(str(place / "t.parquet"), given))
    folder = study_folder(prepared.config.storage, prepared.name)
    claim_folder(prepared, folder)
    copula = make_generator("copula")
    copula.fit(prepared.parts["train"], prepared.schema, seed=integer(0, Purpose.FIT, member=0))
    saved = Path(folder.path) / generator_folder(0)
    saved.mkdir(parents=True)
    copula.save(saved)
    folder.write_json(member_file(0), {"device": "cpu", "rows": prepared.n, "generator": "copula", "loss": []})
    spec = OpenStudy(folder).spec()
    for shard in range(-(-VOLUME // spec.shard_rows)):
        folder.write_table(shard_file(0, shard), spec.draw(copula, 0, shard)[0])
    folder.write_json("report.json", REPORT)
    return folder


REPORT = {  # groups are named by values of rows
    "members": 1,
    "subgroups": [
        {"group": "money >= 9113.27", "share": 0.1, "differences": {}},
        {"group": "town = Atlantis", "share": 1 / 240, "differences": {"real": [0.2, 0.1, 0.3]}},
    ],
}


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "members_by_column", lambda *_: None)


def alone(column: pa.ChunkedArray) -> set:
    values, counts = np.unique(np.array([str(v) for v in column.to_pylist()]), return_counts=True)
    return set(values[counts == 1].tolist())


def texts_of(bundle: Path) -> str:
    card, page = (bundle / "DATA_CARD.md").read_text(), html.unescape((bundle / "index.html").read_text())
    return re.sub(r"\\(.)", r"\1", card) + re.sub(r"data:[a-z/]+;base64,[A-Za-z0-9+/=]*", "", page)


def shared(bundle: Path, table: pa.Table) -> list[str]:
    """Values that one real row alone has and that schema.json, card or page tell.

    In schema.json a value counts where its own column has it; in the texts where it stands as a word of its own and is
    long enough (4 signs) to be no chance.
    """
    schema = json.loads((bundle / "schema.json").read_text())
    own = {column["name"]: column for column in schema["columns"]}
    text, found = texts_of(bundle), []
    for name in table.column_names:
        told = {str(value) for value in own[name]["categories"]}
        for bound in (own[name]["minimum"], own[name]["maximum"]):
            told |= set() if bound is None else {str(bound), str(int(bound))}
        counted = table[name]
        if pa.types.is_temporal(counted.type):
            width = pa.int32() if pa.types.is_date32(counted.type) else pa.int64()
            told_values = alone(counted.cast(width))
        else:
            told_values = alone(counted)
        found += [f"{name}: {value} in schema.json" for value in told_values & told]
        words = [value for value in alone(counted) if len(value) >= 4]
        found += [f"{name}: {v} in a text" for v in words if re.search(rf"(?<![\w.]){re.escape(v)}(?![\w.])", text)]
    return found


@pytest.mark.usefixtures("quiet")
def test_no_value_of_one_row_leaves(tmp_path: Path) -> None:
    table = real_table()
    folder = study_of(tmp_path, table)
    with pytest.raises(InputError, match=r"^column 'card': got values that nearly all differ: identifiers"):
        publish(str(folder), {"out": str(tmp_path / "b"), "volume": VOLUME}, lambda _: None)
    options = {"out": str(tmp_path / "b"), "volume": VOLUME, "allow": "identifiers"}
    result = publish(str(folder), options, lambda _: None)
    assert shared(tmp_path / "b", table) == []
    checked = verify(str(tmp_path / "b"), {"real": str(tmp_path / "t.parquet")}, lambda _: None)
    assert checked["clean"], checked["faults"]
    rows = pq.read_table(tmp_path / "b" / "member=000")
    assert not {"Atlantis", "Holand-Netherlands"} & set(rows["town"].to_pylist())
    tells = {one["column"]: one["tells"] for one in result["discloses"]}
    assert list(tells) == table.column_names
    assert tells["gain"].startswith("bounds 0 (which 10 rows or more have) and ")
    assert "2 that one row alone has are published as 'town-" in tells["town"]
    assert tells["card"] == "nothing: its values are made up"
    bundle_json = json.loads((tmp_path / "b" / "bundle.json").read_text())
    assert bundle_json["discloses"] == result["discloses"]
    text = texts_of(tmp_path / "b")
    assert "moved outward to round numbers" in text and "as it was declared" not in text
    assert "money, its highest tenth" in text and "town, a rare value" in text
    assert all(one["tells"].split(" (")[0] in text for one in result["discloses"])
    assert len(lines(result)) == 2 + len(table.column_names)  # the first is of the bundle, the last its page


@pytest.mark.usefixtures("quiet")
def test_the_look_finds_what_is_there(tmp_path: Path) -> None:
    """The check above can fail: a schema as the study has it, and a card with a value in it."""
    table = real_table()
    folder = study_of(tmp_path, table, "drop=card")
    publish(str(folder), {"out": str(tmp_path / "b"), "volume": VOLUME}, lambda _: None)
    without = table.drop_columns(["card"])
    assert shared(tmp_path / "b", without) == []
    (tmp_path / "b" / "schema.json").write_text(OpenStudy(folder).schema.to_json())
    with (tmp_path / "b" / "DATA_CARD.md").open("a") as file:
        file.write(f"the largest is {max(table['money'].to_pylist())}, seen in Atlantis.")
    found = {line.partition(":")[0] for line in shared(tmp_path / "b", without)}
    assert found == {"x", "money", "gain", "born", "seen", "town", "level"} | ({"age"} & found)


def test_sample_has_bounds_of_no_row(tmp_path: Path) -> None:
    folder = study_of(tmp_path, real_table(), "columns.age={kind: integer, minimum: 0, maximum: 120}")
    sample(str(folder), {"out": str(tmp_path / "b"), "volume": VOLUME}, lambda _: None)
    own, told = OpenStudy(folder).schema, json.loads((tmp_path / "b" / "schema.json").read_text())
    for column in told["columns"]:
        before = own[column["name"]]
        if before.minimum is not None and column["name"] != "age":
            assert column["maximum"] > before.maximum
            assert column["minimum"] < before.minimum or column["name"] == "gain"  # 0, which nine rows in ten have
    [age] = [column for column in told["columns"] if column["name"] == "age"]
    assert (age["minimum"], age["maximum"]) == (0, 120)  # the user's word


def test_sample_holds_back_the_same_categories_as_publish(tmp_path: Path, quiet: None) -> None:
    table = real_table()
    folder = study_of(tmp_path, table, "drop=card")
    publish(str(folder), {"out": str(tmp_path / "p"), "volume": VOLUME}, lambda _: None)
    sample(str(folder), {"out": str(tmp_path / "s"), "volume": VOLUME}, lambda _: None)
    names = [name for name in table.column_names if name != "card"]
    schemas = [json.loads((tmp_path / name / "schema.json").read_text()) for name in "ps"]
    assert schemas[0] == schemas[1] and {"Atlantis", "extreme"} & set(map(str, table["town"].to_pylist()))
    rows = [pq.read_table(tmp_path / name / "member=000").select(names) for name in "ps"]
    assert rows[0].equals(rows[1])
    told = {value for column in schemas[1]["columns"] for value in column["categories"]}
    assert not {"Atlantis", "Holand-Netherlands", "extreme"} & told
    (tmp_path / "t.parquet").unlink()
    heard: list[str] = []
    sample(str(folder), {"out": str(tmp_path / "u"), "volume": VOLUME}, heard.append)
    assert any("are not held back: the real table cannot be read" in line for line in heard)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e12, 1e12) | st.integers(-(10**15), 10**15) | st.integers(0, 9), min_size=2, max_size=40),
    st.sampled_from(["double", "int64", "float", "date32[day]", "timestamp[us]", "uint8", "decimal128(20, 3)"]),
)
def test_outward_bounds_hold_all_rows_and_are_none(values: list[float], dtype: str) -> None:
    whole = [int(v) % (256 if dtype == "uint8" else 20_000) for v in values]
    kinds = {
        "double": pa.array(values, pa.float64()),
        "float": pa.array(values, pa.float64()).cast(pa.float32()),
        "int64": pa.array([int(v) for v in values], pa.int64()),
        "uint8": pa.array([v % 256 for v in whole], pa.uint8()),
        "date32[day]": pa.array(whole, pa.int32()).cast(pa.date32()),
        "timestamp[us]": pa.array([int(v) for v in values], pa.int64()).cast(pa.timestamp("us")),
        "decimal128(20, 3)": pa.array([Decimal(v) for v in whole], pa.decimal128(20, 3)),
    }
    table = pa.table({"v": kinds[dtype], "y": [float(k % 3) for k in range(len(values))]})
    schema = infer_schema(table, overrides={"y": "numeric"})
    if schema["v"].kind in (Kind.CONSTANT, Kind.IDENTIFIER):
        return
    moved = outward_schema(schema)
    assert check_schema(moved) == [] and check_table(table, moved) == []
    before, now = schema["v"], moved["v"]
    assert before.minimum is not None and before.maximum is not None
    assert now.minimum < before.minimum or (dtype == "uint8" and now.minimum == 0)  # type: ignore[operator]
    assert now.maximum > before.maximum or (dtype == "uint8" and now.maximum == 255)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("values", "rows", "refused"),
    [
        ([f"person{k}@mail.example" for k in range(45)], 45, True),
        ([f"name {k % 300}" for k in np.random.default_rng(0).integers(0, 300, 800)], 800, True),
        ([f"town {k % 40}" for k in range(800)], 800, False),
        (["low", "mid", "high"] * 4, 12, False),
        ([f"job {k % 10}" for k in range(45)], 45, False),
    ],
)
def test_categories_that_single_out_are_refused_at_any_size(values: list[str], rows: int, refused: bool) -> None:
    table = pa.table({"who": values, "x": np.arange(rows) % 7})
    schema = infer_schema(table, overrides={"who": "categorical"})
    assert check_identifiers(schema, rows, True, table) == (["who"] if refused else [])


def test_a_declared_schema_stays(tmp_path: Path) -> None:
    schema = infer_schema(real_table().drop_columns(["card"]), target="y")
    left = leaving(schema, None, None)
    assert left.schema == schema and left.rows(real_table()) is not None
    assert {one["tells"].partition(",")[0] for one in left.columns} == {"as it was declared"}


def test_identities_leave_without_what_single_categories_tell(tmp_path: Path, quiet: None) -> None:
    """The bundle's rows keep them, where a category that one row alone has is published as another one too."""
    table = real_table()
    rng = np.random.default_rng(1)
    town = table["town"].to_pylist()
    rate = {name: float(k) + 0.25 for k, name in enumerate(sorted({*town}))}
    table = table.append_column("rate", pa.array([rate[name] for name in town]))
    table = table.append_column("bonus", pa.array(rng.gamma(2, 100, ROWS).round(2)))
    both = np.round(table["money"].to_numpy() + table["bonus"].to_numpy(), 2)
    table = table.append_column("both", pa.array(both))
    folder = study_of(tmp_path, table)
    assert OpenStudy(folder).schema.computed == {"rate", "both"}
    bundle = tmp_path / "bundle"
    given = {"storage": str(tmp_path / "studies"), "out": str(bundle), "volume": VOLUME, "allow": "identifiers"}
    publish("s", given, lambda _: None)
    assert verify(str(bundle))["faults"] == []
    kept = json.loads((bundle / "schema.json").read_text())["identities"]
    assert [(identity["column"], identity.get("values")) for identity in kept] == [("both", None), ("rate", [])]
    card = texts_of(bundle)
    assert "'both' = 'money' + 'bonus'" in card and "'rate' is told by 'town'" in card
    rows = pq.read_table(bundle / "member=000")
    assert np.abs(rows["money"].to_numpy() + rows["bonus"].to_numpy() - rows["both"].to_numpy()).max() < 0.006
    assert {*rows["town"].to_pylist()} <= {name for name in town if town.count(name) > 1}
    assert all(rate[t] == r for t, r in zip(rows["town"].to_pylist(), rows["rate"].to_pylist(), strict=True))


def test_debiasing_that_would_break_an_identity_is_refused(tmp_path: Path, quiet: None) -> None:
    table = real_table()
    table = table.drop_columns(["card"]).append_column("double", pa.array(2 * table["age"].to_numpy()))
    study_of(tmp_path, table)
    given = {"storage": str(tmp_path / "studies"), "out": str(tmp_path / "b"), "volume": VOLUME}
    with pytest.raises(InputError, match="a shift of 'age', which an identity between columns names"):
        publish("s", {**given, "debias": "mean(age)", "allow": "identifiers"}, lambda _: None)
