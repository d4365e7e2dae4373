"""A bundle read back as it was written, wherever it lies; every way in which one can be wrong, refused in one line."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.bundles import members_of, write_frames

import dge_ray
from dge_ray import load_members
from dge_ray.errors import InputError
from dge_ray.storage import Folder
from dge_ray.table import infer_schema

FRAMES = members_of(3, 60)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "bundle", FRAMES, "y", part_rows=25)


def test_members_come_back(folder: Folder) -> None:
    write_frames(str(folder), FRAMES, "y", part_rows=25)
    members = load_members(str(folder))
    assert len(members) == 3 and members.volume == 60 and members.schema.target == "y"
    assert members.facts["generator"] == "frames" and "3 members of 60 rows" in repr(members)
    assert "3 members of 60 rows" in members._repr_html_() and "estimates: none" in members._repr_html_()
    for k, frame in enumerate(FRAMES):
        pd.testing.assert_frame_equal(members.frame(k), frame, check_dtype=False)
        assert members.table(k).num_rows == 60
    with pytest.raises(InputError, match=r"^member: got 3; takes a member's number, 0 to 2"):
        members.frame(3)


def test_types_that_parquet_has_not_come_back(tmp_path: Path) -> None:
    """A CSV's moments are in seconds, which a Parquet file gives back in milliseconds."""
    when = pa.array([0, 60, 3600, None] * 15, pa.timestamp("s"))
    clock = pa.array([0, 60, 3600, 7200] * 15, pa.time32("s"))
    table = pa.table({"when": when, "clock": clock, "y": pa.array([1.5, 2.5, 3.25, 4.0] * 15)})
    schema = infer_schema(table, target="y")
    folder = Folder.open(tmp_path / "bundle")
    folder.write_table("member=000/part-00000.parquet", table)
    folder.write_bytes("schema.json", schema.to_json().encode())
    folder.write_json("bundle.json", {"generator": "x", "version": "0", "members": 1, "rows_per_member": 60})
    assert pq.read_schema(tmp_path / "bundle/member=000/part-00000.parquet").field("when").type == pa.timestamp("ms")
    assert load_members(tmp_path / "bundle").table(0).equals(table)
    folder.write_table("member=000/part-00000.parquet", table.set_column(0, "when", when.cast(pa.timestamp("us"))))
    with pytest.raises(InputError, match=r"column 'when': type timestamp\[us\], expected timestamp\[s\]"):
        load_members(tmp_path / "bundle")


def test_a_volume_is_a_prefix(bundle: Path) -> None:
    whole, short = load_members(bundle), load_members(bundle, volume=30)
    pd.testing.assert_frame_equal(short.frame(1), whole.frame(1).iloc[:30])
    assert short.digest != whole.digest
    for volume in (0, 61, 2.5, True):
        with pytest.raises(InputError, match=r"^volume: got .*1 to the 60 rows"):
            load_members(bundle, volume=volume)  # type: ignore[arg-type]


def test_the_digest_is_of_the_content_alone(bundle: Path, tmp_path: Path) -> None:
    before = load_members(bundle).digest
    moved = Path(shutil.move(bundle, tmp_path / "elsewhere"))
    (moved / "DATA_CARD.md").write_text("what else a publisher says")
    assert load_members(moved).digest == before
    write_frames(moved, FRAMES[::-1], "y", part_rows=25)
    assert load_members(moved).digest != before


def _json(name: str, **values: Any) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        (bundle / name).write_text(json.dumps({**json.loads((bundle / name).read_text()), **values}))

    return change


def _column(at: int, **values: Any) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        schema = json.loads((bundle / "schema.json").read_text())
        schema["columns"][at].update(values)
        (bundle / "schema.json").write_text(json.dumps(schema))

    return change


def _text(name: str, text: str) -> Callable[[Path], object]:
    return lambda bundle: (bundle / name).write_text(text)


def _rows(name: str, edit: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        pq.write_table(edit(pq.ParquetFile(bundle / name).read()), bundle / name)

    return change


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _linked(bundle: Path) -> None:
    outside = bundle.parent / "outside.parquet"
    (bundle / FIRST).rename(outside)
    os.symlink(outside, bundle / FIRST)


def _linked_member(bundle: Path) -> None:
    (bundle / "member=001").rename(bundle.parent / "outside")
    os.symlink(bundle.parent / "outside", bundle / "member=001")


def _cut(bundle: Path) -> None:
    (bundle / FIRST).write_bytes((bundle / FIRST).read_bytes()[:-40])


def _broken_page(bundle: Path) -> None:
    content = bytearray((bundle / FIRST).read_bytes())
    content[20:200] = bytes(180)  # the pages of the first column; the footer stays
    (bundle / FIRST).write_bytes(content)


FIRST = "member=000/part-00000.parquet"
# bundle.json: facts; schema.json columns: 0 x numeric, 1 c categorical, 2 z numeric with nulls, 3 y the target
FAULTS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "no facts": (lambda b: (b / "bundle.json").unlink(), ("bundle: got", "without bundle.json", "dge-ray sample")),
    "no schema": (lambda b: (b / "schema.json").unlink(), ("without schema.json",)),
    "facts are no JSON": (_text("bundle.json", "{"), ("bundle.json: got damaged; takes JSON",)),
    "facts are nan": (
        _text("bundle.json", '{"members": NaN}'),
        ("bundle.json: got NaN, which is no number", "takes JSON that says each"),
    ),
    "facts are deep": (_text("bundle.json", "[" * 10**5), ("bundle.json: got damaged; takes JSON",)),
    "facts are a list": (_text("bundle.json", "[]"), ("bundle.json", "an object")),
    "facts are a folder": (lambda b: ((b / "bundle.json").unlink(), (b / "bundle.json").mkdir()), ("bundle.json",)),
    "members are no number": (_json("bundle.json", members="3"), ("bundle.json", "members '3'", "whole number")),
    "no generator": (_json("bundle.json", generator=None), ("bundle.json", "generator None", "a text")),
    "fewer members": (_json("bundle.json", members=2), ("member=002", "bundle.json says 2 members")),
    "more members": (_json("bundle.json", members=4), ("member=003: got not there", "says 4 members")),
    "more rows": (_json("bundle.json", rows_per_member=61), ("member=000: got 60 rows; takes 61",)),
    "fewer rows": (_json("bundle.json", rows_per_member=59), ("part-00002", "takes 59 rows a member")),
    "a stray member": (lambda b: (b / "member=1").mkdir(), ("member=1: got no member of this bundle",)),
    "a member is a file": (
        lambda b: (shutil.rmtree(b / "member=001"), (b / "member=001").write_text("")),
        ("member=001: got no folder",),
    ),
    "a part is missing": (lambda b: (b / "member=000/part-00001.parquet").unlink(), ("part-00002", "out of place")),
    "a stray file": (lambda b: (b / "member=000/evil.pkl").write_text(""), ("evil.pkl: got out of place",)),
    "a link out": (_linked, (FIRST, "got a link; takes a file in the bundle")),
    "a member linked out": (_linked_member, ("member=001/part-00000", "got a link; takes a file in the bundle")),
    "cut off": (_cut, (f"{FIRST}: got damaged; takes Parquet",)),
    "a broken page": (_broken_page, (f"{FIRST}: got damaged; takes Parquet",)),
    "no Parquet": (lambda b: (b / FIRST).write_text("a,b\n1,2"), (f"{FIRST}: got damaged; takes Parquet",)),
    "a part is a folder": (lambda b: ((b / FIRST).unlink(), (b / FIRST).mkdir()), (FIRST, "a file that can be read")),
    "another column": (_rows(FIRST, lambda t: t.rename_columns(["q", "c", "z", "y"])), (FIRST, "unknown column 'q'")),
    "a column less": (_rows(FIRST, lambda t: t.drop_columns(["z"])), (FIRST, "no column 'z'")),
    "another order": (_rows(FIRST, lambda t: t.select(["c", "x", "z", "y"])), (FIRST, "in the order")),
    "another type": (
        _rows(FIRST, lambda t: _with(t, "x", t["x"].cast(pa.float32()))),
        (FIRST, "column 'x': type float, expected double"),
    ),
    "an unknown category": (
        _rows(FIRST, lambda t: _with(t, "c", pa.array(["q"] * 25).cast(t["c"].type))),
        (FIRST, "outside its 3 categories, such as 'q'", "rows that schema.json allows"),
    ),
    "out of bounds": (_rows(FIRST, lambda t: _with(t, "x", pa.array([99.0] * 25))), (FIRST, "above its maximum")),
    "nulls": (_rows(FIRST, lambda t: _with(t, "x", pa.array([None] * 25, pa.float64()))), (FIRST, "25 nulls")),
    "a schema of nothing": (_text("schema.json", "{}"), ("schema.json: got no table's schema",)),
    "an unknown kind": (_column(0, kind="evil"), ("schema.json: got no table's schema",)),
    "an unknown key": (_column(0, code="import os"), ("schema.json: got no table's schema",)),
    "an unknown type": (_column(0, type="os.system"), ("schema.json", "type 'os.system'", "none of Arrow's")),
    "a nested type": (_column(0, type="list<item: double>"), ("schema.json", "column 'x'")),
    "a type of no text": (_column(0, type=7), ("schema.json", "type 7")),
    "a kind for another type": (_column(1, kind="numeric", categories=[]), ("schema.json", "kind 'numeric'")),
    "no categories": (_column(1, categories=[]), ("schema.json", "0 categories")),
    "repeated categories": (_column(1, categories=["a", "a"]), ("schema.json", "nulls or repeats")),
    "categories of another type": (_column(1, categories=[1, "a"]), ("schema.json", "no values of type")),
    "bounds that are text": (_column(0, minimum="low"), ("schema.json", "minimum 'low'")),
    "bounds beyond floats": (_column(0, maximum=10**400), ("schema.json", "maximum")),
    "bounds upside down": (_column(0, minimum=2.0, maximum=1.0), ("schema.json", "above maximum")),
    "a step of nothing": (_column(0, step=0), ("schema.json", "step 0")),
    "decimals by half": (_column(0, decimals=0.5), ("schema.json", "decimals 0.5")),
    "the same name twice": (_column(0, name="c"), ("schema.json", "distinct texts")),
    "a name of no text": (_column(0, name=["x"]), ("schema.json", "distinct texts")),
    "a target that is not there": (_json("schema.json", target="w"), ("schema.json", "target 'w'")),
    "a target of no text": (_json("schema.json", target={}), ("schema.json", "target {}")),
    "another task": (_json("schema.json", task="regression"), ("schema.json", "expected 'binary'")),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_is_wrong_is_said_in_one_line(case: str, bundle: Path) -> None:
    change, parts = FAULTS[case]
    change(bundle)
    with pytest.raises(InputError) as caught:
        load_members(bundle)
    line = str(caught.value)
    assert "\n" not in line and all(part in line for part in parts), line


def test_no_bundle_at_all(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"^bundle: got .*without bundle.json"):
            load_members(place)
    with pytest.raises(InputError, match=r"^bundle: got 'pigeon://loft'"):
        load_members("pigeon://loft")


def test_the_name_is_public() -> None:
    assert dge_ray.load_members is load_members and "load_members" in dge_ray.__all__
