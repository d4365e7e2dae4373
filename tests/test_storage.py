"""The study's folder: the same tests on the local file system, a file URI, and a real S3 server."""

import os
import pickle
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers.s3 import S3

from dge_ray import storage
from dge_ray.errors import InputError
from dge_ray.storage import Folder


def test_round_trips(folder: Folder) -> None:
    folder.write_json("x/y.json", {"a": [1, None]})
    folder.write_table("t/part-0.parquet", pa.table({"v": [1, 2]}))
    assert folder.read_json("x/y.json") == {"a": [1, None]}
    assert folder.read_table("t/part-0.parquet")["v"].to_pylist() == [1, 2]
    assert folder.list() == ["t", "x"]
    assert folder.list("x") == ["y.json"] and folder.list("absent") == []
    assert folder.exists() and folder.exists("x") and folder.exists("x/y.json") and not folder.exists("x/z.json")
    folder.write_bytes("x/y.json", b"2")
    assert folder.read_json("x/y.json") == 2
    folder.delete("t")
    folder.delete("x/y.json")
    folder.delete("absent")
    assert folder.list() == ["x"] and not folder.exists("x/y.json")


def test_what_it_is_called_opens_it_again(folder: Folder) -> None:
    (folder / "a=1").write_bytes("b/c", b"1")
    for again in (Folder.open(str(folder / "a=1")), pickle.loads(pickle.dumps(folder / "a=1"))):
        assert (again / "b").read_bytes("c") == b"1" and str(again) == str(folder / "a=1")


def test_a_failed_write_leaves_nothing(folder: Folder) -> None:
    folder.write_bytes("kept", b"old")
    for name in ("kept", "new"):
        with pytest.raises(RuntimeError), folder._writing(name) as sink:
            sink.write(b"half")
            raise RuntimeError("the disk is full")
    assert folder.read_bytes("kept") == b"old"
    assert folder.list() == ["kept"]


def test_a_reader_never_meets_half_a_file(folder: Folder) -> None:
    """Overwritten with contents of one length again and again: a half would show as a mixture, or be short."""
    contents = [bytes([letter]) * (1 << 20) for letter in b"ab"]
    folder.write_bytes("f", contents[0])
    done = threading.Event()

    def write() -> None:
        for i in range(20):
            folder.write_bytes("f", contents[i % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not done.is_set():
            assert folder.read_bytes("f") in contents
            assert folder.list() == ["f"]
    finally:
        writer.join()


def test_an_interrupted_write_is_whole_or_not_there(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupts at many moments of a write. A file system closes, and so commits, what was opened and not written."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for i in range(40):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0001 * (i + 1))
                try:
                    folder.write_bytes(f"f{i}", b"whole")
                    time.sleep(0.01)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            # Outside `finally`: the alarm may ring there too. RuntimeError: it may ring within a lock of the S3 client.
            except (KeyboardInterrupt, RuntimeError):
                pass
    finally:
        signal.signal(signal.SIGALRM, before)
    assert {folder.read_bytes(name) for name in folder.list()} <= {b"whole"}


def test_an_absent_file_is_not_found(folder: Folder) -> None:
    readers: list[Callable[[str], Any]] = [folder.read_bytes, folder.read_json, folder.read_table]
    for read in readers:
        with pytest.raises(FileNotFoundError):
            read("absent")


def test_a_hive_folder_does_not_add_its_column(folder: Folder) -> None:
    folder.write_table("member=003/part-00000.parquet", pa.table({"v": [1]}))
    assert folder.read_table("member=003/part-00000.parquet").column_names == ["v"]


@pytest.mark.parametrize("name", ["..", "../up", "a/../../b", "/root"])
def test_names_cannot_climb_out(folder: Folder, name: str) -> None:
    doings: list[Callable[[], object]] = [
        lambda: folder.write_bytes(name, b""),
        lambda: folder.read_bytes(name),
        lambda: folder.list(name),
        lambda: folder.delete(name),
        lambda: folder / name,
    ]
    for do in doings:
        with pytest.raises(InputError, match="inside the folder"):
            do()


@pytest.mark.parametrize("uri", ["carrier-pigeon://coop", "s3://bucket/../other", "file:///a/../b"])
def test_unknown_and_climbing_uris_are_refused(uri: str) -> None:
    with pytest.raises(InputError, match="storage"):
        Folder.open(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA:plan%2Fted@bucket/x",
        "s3://AKIA:plan/ted@bucket/x",
        "s3://AKIA:1/ted@bucket/x",
        "s3://bucket/x?region=us-east-1&secret_key=planted",
        "abfss://container@account.dfs.core.windows.net/x?sig=planted",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InputError, match=r"^out: got .*takes credentials from the environment") as refused:
        Folder.open(uri, "out")
    assert "ted" not in str(refused.value)


def test_damaged_files_are_named(folder: Folder) -> None:
    folder.write_bytes("a.json", b"{")
    folder.write_bytes("a.parquet", b"PAR1 no")
    with pytest.raises(InputError, match=r"a\.json.*: got a damaged file"):
        folder.read_json("a.json")
    with pytest.raises(InputError, match=r"a\.parquet.*: got a damaged file"):
        folder.read_table("a.parquet")


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nope", "/proc", "/dev/null", "x" * 300, "y/" * 3000])
def test_unwritable_storage_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^storage: got .* \(.+\); takes a folder that can be written to$"):
        Folder.open(tmp_path / place).check_writable()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_storage_that_is_no_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match=r"^storage: got .*; takes a folder that can be read$"):
            Folder.open(place).check_readable()
    Folder.open(tmp_path / "absent").check_readable()


def test_a_check_leaves_no_file(folder: Folder) -> None:
    (folder / "new").check_readable()
    (folder / "new").check_writable()
    assert (folder / "new").list() == []


def test_scratch_folders_are_copied_and_read_back(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    (scratch / "sub").mkdir()
    (scratch / "sub" / "w.bin").write_bytes(b"1")
    folder.upload(scratch, "m/generator")
    with folder.downloaded("m/generator") as path, (folder / "m").downloaded() as above:
        assert (path / "sub" / "w.bin").read_bytes() == (above / "generator/sub/w.bin").read_bytes() == b"1"


def test_a_bucket_that_is_not_there_and_wrong_credentials_are_told_at_once(s3: S3) -> None:
    absent = Folder.open(s3.uri("x", bucket="nowhere"))
    with pytest.raises(InputError, match=r"^storage: got .*there is no 'nowhere'"):
        absent.check_readable()
    with pytest.raises(InputError, match=r"^storage: got .*NO_SUCH_BUCKET"):
        absent.check_writable()
    with s3.strict():
        for check in (Folder.open(s3.uri("x")).check_readable, Folder.open(s3.uri("x")).check_writable):
            started = time.monotonic()
            with pytest.raises(InputError, match=r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID") as refused:
                check()
            assert len(str(refused.value).splitlines()) == 1
            assert time.monotonic() - started < 15  # pyarrow tries again for 6 s, if at all
    Folder.open(s3.uri("x")).check_readable()


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ("http://127.0.0.1:9", "no connection to 127.0.0.1:9: Connection refused"),
        ("http://nobody.invalid:9000", "no connection to nobody.invalid:9000: "),
    ],
)
def test_a_server_that_is_away_is_told_at_once(server: str, why: str) -> None:
    """Before pyarrow is asked, which repeats a refused connection for 6 s."""
    for check in ("check_readable", "check_writable"):
        with pytest.raises(InputError, match=f"^storage: got .*{re.escape(why)}"):
            getattr(Folder.open(S3(server).uri("x")), check)()


def test_a_server_that_takes_no_connection_is_waited_for_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(storage.socket, "create_connection", lambda at: time.sleep(2))
    with pytest.raises(InputError, match=r"no connection to 192\.0\.2\.1:9: no answer within"):
        Folder.open(S3("http://192.0.2.1:9").uri("x")).check_readable()


def _modes(below: Path) -> dict[str, int]:
    return {path.relative_to(below).as_posix(): path.stat().st_mode & 0o777 for path in sorted(below.rglob("*"))}


@pytest.mark.parametrize("mask", [0o022, 0o000, 0o027])
def test_what_is_kept_is_for_its_owner_alone(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        folder = Folder.open(tmp_path / "studies") / "s"
        folder.write_json("identity.json", {})
        folder.write_table("shards/member=000/0.parquet", pa.table({"v": [1]}))
        (tmp_path / "source").mkdir()
        (tmp_path / "source" / "weights").write_text("w")
        folder.upload(tmp_path / "source", "members/000")
        for again in (pickle.loads(pickle.dumps(folder)), Folder.open(str(folder))):
            again.write_bytes("more/x", b"1")
        bundle = Folder.open(tmp_path / "bundle", "out", shared=True) / "b"
        pickle.loads(pickle.dumps(bundle)).write_bytes("member=000/x", b"1")
    finally:
        os.umask(before)
    for path, mode in _modes(tmp_path / "studies").items():
        assert mode == (0o700 if (tmp_path / "studies" / path).is_dir() else 0o600), path
    assert (tmp_path / "studies").stat().st_mode & 0o777 == 0o700
    assert _modes(tmp_path / "bundle") == {
        "b": 0o777 & ~mask,
        "b/member=000": 0o777 & ~mask,
        "b/member=000/x": 0o666 & ~mask,
    }


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    Folder.open(tmp_path).write_bytes("x", b"1")
    assert tmp_path.stat().st_mode & 0o777 == 0o750
