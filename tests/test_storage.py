"""The study's folder: against the local file system, and pyarrow's in-memory-like subtree for URIs."""

from pathlib import Path

import pyarrow as pa
import pytest

from dge_ray.errors import InputError
from dge_ray.storage import Folder


def test_round_trips(tmp_path: Path) -> None:
    for folder in (Folder.open(tmp_path / "a"), Folder.open((tmp_path / "b").as_uri())):
        folder.write_json("x/y.json", {"a": [1, None]})
        folder.write_table("t/part-0.parquet", pa.table({"v": [1, 2]}))
        assert folder.read_json("x/y.json") == {"a": [1, None]}
        assert folder.read_table("t/part-0.parquet")["v"].to_pylist() == [1, 2]
        assert folder.list() == ["t", "x"]
        assert folder.exists("x/y.json") and not folder.exists("x/z.json")
        folder.delete("t")
        assert folder.list() == ["x"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    folder.write_bytes("kept", b"old")
    with pytest.raises(RuntimeError), folder._writing("kept") as sink:
        sink.write(b"half")
        raise RuntimeError("the disk is full")
    assert folder.read_bytes("kept") == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_hive_folder_does_not_add_its_column(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    folder.write_table("member=003/part-00000.parquet", pa.table({"v": [1]}))
    assert folder.read_table("member=003/part-00000.parquet").column_names == ["v"]


@pytest.mark.parametrize("name", ["../up", "a/../../b", "/root"])
def test_names_cannot_climb_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        Folder.open(tmp_path).write_bytes(name, b"")


def test_unknown_uri_is_refused() -> None:
    with pytest.raises(InputError, match="storage"):
        Folder.open("carrier-pigeon://coop")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    folder.write_bytes("a.json", b"{")
    folder.write_bytes("a.parquet", b"PAR1 no")
    with pytest.raises(InputError, match=r"a\.json: got a damaged file"):
        folder.read_json("a.json")
    with pytest.raises(InputError, match=r"a\.parquet: got a damaged file"):
        folder.read_table("a.parquet")


def test_unwritable_storage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="storage"):
        Folder.open(tmp_path / "file" / "below").check_writable()


def test_scratch_folders_are_copied_and_read_back(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    (tmp_path / "scratch" / "sub").mkdir(parents=True)
    (tmp_path / "scratch" / "sub" / "w.bin").write_bytes(b"1")
    folder.upload(tmp_path / "scratch", "m/generator")
    with folder.downloaded("m/generator") as path:
        assert (path / "sub" / "w.bin").read_bytes() == b"1"
