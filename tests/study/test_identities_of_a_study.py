"""Identities in a study: found in train rows alone, told, part of what it is, and never looked for in a private one."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dge_ray.commands.check import check
from dge_ray.study.folder import check_folder, claim_folder, study_folder
from dge_ray.study.opened import OpenStudy
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.files import SCHEMA
from dge_ray.table import TableSchema


@pytest.fixture
def source(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    n = 400
    a, b, area = rng.integers(0, 1000, n), rng.integers(0, 1000, n), rng.choice(list("abcdef"), n)
    table = {
        "a": a,
        "b": b,
        "total": a + b,
        "area": area,
        "town": [{"a": "X", "b": "Y"}.get(x, "Z") for x in area],
        "y": np.where(a + rng.normal(0, 300, n) > 500, "yes", "no"),
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    return str(tmp_path / "t.parquet")


def prepared(source: str, *words: str) -> Prepared:
    place = Path(source).parent / "studies"
    return prepare(read_config(source, ["target=y", "generator=copula", "study=s", f"storage={place}", *words]))


def test_they_are_found_and_told(source: str) -> None:
    study = prepared(source)
    assert study.schema.computed == {"total", "town"}
    told = [line for line in study.warnings if "identities=none" in line]
    assert len(told) == 2 and "'total' = 'a' + 'b' in all 245 train rows" in told[0]
    checked = check(source, {"target": "y", "storage": str(Path(source).parent / "studies")})
    words = ["'total' = 'a' + 'b'", "'town' is told by 'area'"]
    assert [identity["words"] for identity in checked["identities"]] == words
    assert json.loads(json.dumps(checked))["identities"][1].get("values") == []  # nothing of single categories


def test_none_are_looked_for_where_that_is_asked_or_no_row_may_be_looked_at(source: str) -> None:
    assert prepared(source, "identities=none").schema.identities == ()
    private = ["privacy.epsilon=1", "generator=marginals", "members=2"]
    numbers = [
        f"columns.{name}={{kind: integer, minimum: 0, maximum: {top}}}"
        for name, top in (("a", 1000), ("b", 1000), ("total", 2000))
    ]
    kinds = [
        "columns.area={kind: categorical, categories: [a, b, c, d, e, f]}",
        "columns.town={kind: categorical, categories: [X, Y, Z]}",
        "columns.y={kind: categorical, categories: ['no', 'yes']}",
    ]
    study = prepared(source, *private, *numbers, *kinds)
    assert study.schema.identities == () and not [line for line in study.warnings if "identit" in line]


def test_test_rows_have_no_say(source: str) -> None:
    """A row that breaks an identity counts where generators see it, and not elsewhere."""
    table = pq.read_table(source)
    total = table["total"].to_numpy().copy()
    part = np.array(["train"] * 300 + ["test"] * 100)
    total[350] += 5
    table = table.set_column(2, "total", pa.array(total)).append_column("part", pa.array(part))
    pq.write_table(table, source)
    assert "total" in prepared(source, "split_column=part").schema.computed
    total[:300:3] += 500  # some of them are held back for validation and stopping, and some are not
    pq.write_table(table.set_column(2, "total", pa.array(total)), source)
    assert prepared(source, "split_column=part").schema.computed == {"town"}


def test_a_study_keeps_those_that_it_was_begun_with(source: str) -> None:
    """One that was begun before anything was looked for goes on without; another setting is another study."""
    plain = prepared(source, "identities=none")
    folder = study_folder(plain.config.storage, plain.name)
    claim_folder(plain, folder)
    again = prepared(source)
    assert again.schema == plain.schema
    check_folder(again)
    assert OpenStudy(folder).prepared.schema == plain.schema


def test_a_moved_study_keeps_them_too(source: str) -> None:
    first = prepared(source)
    claim_folder(first, study_folder(first.config.storage, first.name))
    before = Path(first.config.storage) / first.name
    moved = Path(source).parent / "moved" / first.name
    moved.parent.mkdir()
    before.rename(moved)
    opened = OpenStudy.find(str(moved), str(moved.parent))
    assert opened.prepared.schema == opened.schema == first.schema
    assert TableSchema.from_json((moved / SCHEMA).read_text()).identities == first.schema.identities
