"""Bundles made to harm who receives them: little files that unpack to gigabytes, pipes that never end."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.bundles import members_of, write_frames

from dge_ray import load_members
from dge_ray.bundle import received, unpacking
from dge_ray.bundle.checksums import FILE as SUMS
from dge_ray.bundle.unpacking import TooLargeError, batches, page_bytes
from dge_ray.commands.verify import verify
from dge_ray.errors import InputError
from dge_ray.storage import Folder

FIRST = "member=000/part-00000.parquet"
MEMORY = """
import resource, sys
import pyarrow, numpy, pandas
from dge_ray.bundle.received import load_members
from dge_ray.commands.verify import verify
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (load_members, verify):
    try:
        found = read(sys.argv[1])
        print("; ".join(found["faults"]) if isinstance(found, dict) else "whole")
    except ValueError as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "bundle", members_of(2, 40), "y")


def _write(bundle: Path, column: pa.Array, kind: dict[str, Any], **how: Any) -> int:
    """A bundle of one member of one column beside a constant target; the bytes of its only part."""
    n = len(column)
    target = pa.DictionaryArray.from_arrays(pa.array(np.arange(n, dtype=np.int8) % 2), ["no", "yes"]).cast(pa.string())
    table = pa.table({"x": column, "y": target})
    columns = [
        {"name": "x", "type": str(column.type), "missing": False, "categories": [], **kind},
        {"name": "y", "kind": "categorical", "type": "string", "missing": False, "categories": ["no", "yes"]},
    ]
    (bundle / "schema.json").write_text(json.dumps({"columns": columns, "target": "y", "task": "binary"}))
    (bundle / "bundle.json").write_text(
        json.dumps({"generator": "g", "version": "0", "members": 1, "rows_per_member": n})
    )
    for name in ("member=000", "member=001"):
        for file in (bundle / name).glob("*"):
            file.unlink()
    (bundle / "member=001").rmdir()
    pq.write_table(table, bundle / FIRST, compression="zstd", **how)
    return (bundle / FIRST).stat().st_size


def _bombs() -> dict[str, tuple[pa.Array, str, dict[str, Any]]]:
    text = pa.array(["a" * 10_000] * 1500)
    return {
        "a number": (pa.array(np.ones(2_000_000)), "numeric", {}),
        "a long text": (text, "text", {"row_group_size": 100}),  # in a dictionary: once in each row group
        "a text in one page": (text, "text", {"use_dictionary": False, "data_page_size": 1 << 31}),
        "nothing but places": (pa.array([1.0] + [None] * 2_000_000), "numeric", {}),
    }


@pytest.mark.parametrize("what", _bombs())
def test_a_little_file_is_refused_before_it_is_large(what: str, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most, batch, largest = 10_000_000, 1 << 20, []
    monkeypatch.setattr(unpacking, "MOST_PART", most)
    monkeypatch.setattr(unpacking, "MOST_BATCH", batch)
    monkeypatch.setattr(received, "check_table", lambda table, schema: largest.append(table.nbytes) or [])
    column, kind, how = _bombs()[what]
    assert _write(bundle, column, {"kind": kind, "missing": True}, **how) < most / 50
    with pytest.raises(InputError, match=r"part-00000.parquet: got .* bytes.*; takes a part of at most .* once it is"):
        load_members(bundle)
    faults = verify(str(bundle), None, lambda _: None)["faults"]
    assert any(FIRST in fault and "once it is unpacked" in fault for fault in faults)
    assert sum(largest) <= 2 * most and max(largest, default=0) < 2 * batch


@pytest.mark.slow
def test_gigabytes_take_little_memory(bundle: Path) -> None:
    _write(bundle, pa.array(np.ones(60_000_000)), {"kind": "numeric"}, row_group_size=1 << 26)
    schema = pq.read_schema(bundle / FIRST)
    done = subprocess.run([sys.executable, "-c", MEMORY, bundle], capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) < 400, (schema, done.stdout)


def test_sizes_do_not_come_from_the_footer(bundle: Path) -> None:
    """The footer is rewritten to say that a page is small; what is counted is what the page's own header says."""
    _write(bundle, pa.array(["a" * 100_000] * 200), {"kind": "text"}, use_dictionary=False)
    content = (bundle / FIRST).read_bytes()
    opened = pq.ParquetFile(bundle / FIRST)
    pages = list(page_bytes(opened.metadata, content))
    assert sum(pages) > 200 * 100_000 and min(pages) > 0
    chunks = [opened.metadata.row_group(0).column(at) for at in range(2)]
    headers = sum(chunk.total_uncompressed_size for chunk in chunks) - sum(pages)
    assert 0 < headers < 200 * len(pages)  # the footer's own sum has the headers in it


@pytest.mark.parametrize("seed", range(20))
def test_damaged_pages_are_told_of(seed: int, bundle: Path) -> None:
    rng, content = np.random.default_rng(seed), bytearray((bundle / FIRST).read_bytes())
    for at in rng.integers(4, len(content), 30):
        content[at] = rng.integers(256)
    (bundle / FIRST).write_bytes(content)
    try:
        load_members(bundle)
    except InputError as error:
        assert "\n" not in str(error)


def test_batches_are_bounded_and_whole(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_BATCH", 1 << 12)
    n = 3000
    table = pa.table(
        {
            "x": np.arange(n) / 7,
            "s": pa.array([f"{'ab' * (i % 50)}{i % 9}" for i in range(n)]),
            "v": pa.array([f"v{i % 5}" if i % 4 else None for i in range(n)]).cast(pa.string_view()),
            "d": pa.array([f"d{i % 3}" for i in range(n)]).dictionary_encode(),
            "l": pa.array([f"{i}" for i in range(n)], pa.large_string()),
            "b": pa.array(np.arange(n) % 2 == 0),
            "t": pa.array(np.arange(n), pa.timestamp("us", tz="UTC")),
        }
    ).replace_schema_metadata({"k": "v"})
    file = bundle / "t.parquet"
    for how in ({}, {"row_group_size": 700}, {"use_dictionary": False}, {"data_page_version": "2.0"}):
        pq.write_table(table, file, **how)
        opened = pq.ParquetFile(file)
        pieces = list(batches(opened, file.read_bytes()))
        assert len(pieces) > 20 and max(piece.nbytes for piece in pieces) < 1 << 14
        assert pa.concat_tables(pieces).equals(opened.read()) and pieces[0].schema.metadata[b"k"] == b"v"
    monkeypatch.setattr(unpacking, "MOST_PART", 1 << 14)
    with pytest.raises(TooLargeError):
        list(batches(opened, file.read_bytes()))


def test_a_file_without_rows_keeps_its_schema(bundle: Path) -> None:
    table = pa.table({"x": pa.array([], pa.int64())}).replace_schema_metadata({"k": "v"})
    pq.write_table(table, bundle / "t.parquet")
    found = list(batches(pq.ParquetFile(bundle / "t.parquet"), (bundle / "t.parquet").read_bytes()))
    assert len(found) == 1 and found[0].schema.equals(table.schema, check_metadata=True)


def test_a_member_beyond_memory_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = load_members(bundle)
    monkeypatch.setattr(received, "_half_of_memory", lambda: 100)
    with pytest.raises(InputError, match=r"^bundle: .*whose member 0 has more once unpacked; takes at most 100 bytes"):
        members.table(0)
    assert load_members(bundle, volume=1).table(0).num_rows == 1


def test_descriptions_are_bounded(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(bundle / "bundle.json", "wb") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that is not there
    with pytest.raises(InputError, match=r"bundle.json: got 1,099,511,627,776 bytes; takes at most"):
        load_members(bundle)


def _pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _socket(path: Path) -> None:
    path.unlink(missing_ok=True)
    here = os.getcwd()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def _inner_link(path: Path) -> None:
    kept = (path.parent.parent if "=" in path.parent.name else path.parent) / "kept"
    kept.write_bytes(path.read_bytes() if path.exists() else b"{}")
    path.unlink(missing_ok=True)
    path.symlink_to(kept)


@pytest.mark.parametrize("name", ["bundle.json", "schema.json", FIRST, SUMS, "estimates.json"])
@pytest.mark.parametrize("kind", [_pipe, _socket, _inner_link])
def test_no_pipe_socket_or_link_is_opened(kind: Any, name: str, bundle: Path) -> None:
    if name == "estimates.json":
        members = load_members(bundle)
        kind(bundle / name)
        with pytest.raises(InputError, match=r"estimates.json: got a (pipe|link)"):
            members.more(name)
    else:
        kind(bundle / name)
        with pytest.raises(InputError, match=r"got a (pipe, socket or device|link); takes a file"):
            load_members(bundle)
    started = time.monotonic()
    faults = verify(str(bundle), None, lambda _: None)["faults"]
    assert any(line.startswith(f"{name}: got a ") for line in faults), faults
    assert time.monotonic() - started < 5


def test_what_a_checksum_names_is_not_opened_either(bundle: Path) -> None:
    os.mkfifo(bundle / "more")
    (bundle / SUMS).write_text(f"{'0' * 64}  more\n")
    with pytest.raises(InputError, match="more: got a pipe"):
        load_members(bundle)


def test_a_pipe_in_a_study_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "report.json")
    folder = Folder.open(tmp_path)
    for read in (folder.read_json, folder.read_bytes, folder.read_table):
        with pytest.raises(InputError, match="got a pipe, socket or device; takes a file"):
            read("report.json")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("bundle.json", '{"generator": "g", "generator": "h"}', "the key 'generator' twice"),
        ("schema.json", '{"columns": [{"name": "x", "name": "y"}]}', "the key 'name' twice"),
        ("schema.json", '{"columns": [{"maximum": 1e999}]}', "the number 1e999, which is too large"),
        ("schema.json", '{"columns": [{"minimum": -1e999}]}', "the number -1e999"),
        ("schema.json", '{"columns": [{"maximum": Infinity}]}', "Infinity, which is no number"),
        ("estimates.json", '{"a": {"b": 1, "b": 2}}', "the key 'b' twice"),
    ],
)
def test_json_that_reads_two_ways(name: str, text: str, words: str, bundle: Path) -> None:
    (bundle / name).write_text(text)
    with pytest.raises(InputError) as told:
        load_members(bundle).more(name)
    assert words in str(told.value) and "\n" not in str(told.value) and name in str(told.value)
