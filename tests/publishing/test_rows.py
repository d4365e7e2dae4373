"""Rows to a bundle: those that a study holds are copied in this process; Ray starts only where some must be drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dge_ray.distributed import tasks
from dge_ray.publishing.rows import Cut, draw_members, part_file
from dge_ray.storage import Folder
from dge_ray.study.members import MemberSpec
from dge_ray.study.records.files import member_file, shard_file
from dge_ray.table import infer_schema

SHARD = 4


class RayAskedForError(Exception):
    pass


def table(member: int) -> pa.Table:
    rows = np.arange(3 * SHARD)
    return pa.table({"x": 100.0 * member + rows + 0.5, "y": pa.array((rows % 2).astype(str))})


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemberSpec:
    """A study of two members that holds 12 rows of each, where Ray must not be asked for."""

    def never() -> Any:
        raise RayAskedForError

    monkeypatch.setattr(tasks, "ray_session", never)
    folder = Folder.open(tmp_path / "study")
    for member in range(2):
        folder.write_json(member_file(member), {"device": "cpu"})
        for shard in range(3):
            folder.write_table(shard_file(member, shard), table(member).slice(shard * SHARD, SHARD))
    return MemberSpec(folder, infer_schema(table(0), target="y"), (("copula", {}),), 0, SHARD)


def test_held_rows_are_copied_without_ray(spec: MemberSpec, tmp_path: Path) -> None:
    out, said = Folder.open(tmp_path / "bundle"), list[str]()
    cut = Cut(spec, volume=10, shards=2)
    draw_members(cut, out, members=2, say=said.append)
    for member in range(2):
        parts = [out.read_table(part_file(member, part)) for part in range(2)]
        assert [part.num_rows for part in parts] == [8, 2]
        assert pa.concat_tables(parts).equals(table(member).slice(0, 10))
    assert said[-1].startswith("20 of 20 rows, ")

    (tmp_path / "bundle" / part_file(1, 1)).unlink()
    draw_members(cut, out, members=2, say=said.append)
    assert said[-2] == "18 of 20 rows were written before"
    assert out.read_table(part_file(1, 1)).equals(table(1).slice(8, 2))


def test_rows_to_draw_are_tasks(spec: MemberSpec, tmp_path: Path) -> None:
    with pytest.raises(RayAskedForError):
        draw_members(Cut(spec, volume=13), Folder.open(tmp_path / "bundle"), members=2, say=lambda _: None)
