"""`dge-ray verify`: a whole bundle is clean, every change that leaves checksums alone is caught, some others too."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from dge_ray.bundle.checksums import from_text, sha256, stays_inside, to_text
from dge_ray.bundle.received import load_members
from dge_ray.commands.publish import publish
from dge_ray.commands.verify import verify
from dge_ray.errors import InputError
from dge_ray.storage import Folder
from dge_ray.table import load_table
from dge_ray.table.marks import KEY

FIRST = "member=000/part-00000.parquet"


@pytest.fixture(scope="module")
def whole(copula_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verify") / "bundle"
    publish(
        str(copula_study / "studies" / "breast_cancer"), {"out": str(out), "volume": 300, "members": 2}, lambda _: None
    )
    return out


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "bundle")


def _faults(bundle: Path, **options: Any) -> list[str]:
    return verify(str(bundle), options, lambda _: None)["faults"]


def test_a_whole_bundle_is_clean(whole: Path) -> None:
    found = verify(str(whole), {"real": "breast_cancer"}, lambda _: None)
    assert found["clean"] and found["faults"] == []
    assert any("0 of 600 rows equal a real row" in note for note in found["notes"])
    assert any("no signature" in note for note in found["notes"])


class _Counting(pafs.FileSystemHandler):
    """The local filesystem, which counts how often each file is opened to be read."""

    def __init__(self) -> None:
        self.local, self.reads = pafs.LocalFileSystem(), Counter[str]()

    def open_input_stream(self, path: str) -> pa.NativeFile:
        self.reads[path] += 1
        return self.local.open_input_stream(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        self.reads[path] += 1
        return self.local.open_input_file(path)

    def get_type_name(self) -> str:
        return "counting"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        return self.local.get_file_info(paths)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        return self.local.get_file_info(selector)

    def _refused(self, *_: Any) -> None:
        raise PermissionError("a bundle is only read")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = delete_file = _refused
    move = copy_file = open_output_stream = open_append_stream = _refused


@pytest.mark.parametrize("real", [None, "breast_cancer"])
def test_each_part_is_read_once(whole: Path, real: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five times before: for the checksum, twice to check its rows, for its mark, and to look for copies."""
    handler, opened = _Counting(), Folder.open
    counted = Folder(pafs.PyFileSystem(handler), str(whole), f"counting://{whole}")
    monkeypatch.setattr(Folder, "open", lambda at, field="storage": counted if at == str(whole) else opened(at, field))
    found = verify(str(whole), {} if real is None else {"real": real}, lambda _: None)
    assert found["clean"], found["faults"]
    parts = {path: count for path, count in handler.reads.items() if path.endswith(".parquet")}
    assert len(parts) == len(list(whole.rglob("*.parquet"))) and set(parts.values()) == {1}


def _flip(name: str, at: int) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        content = bytearray((bundle / name).read_bytes())
        content[at] ^= 1
        (bundle / name).write_bytes(content)

    return change


def _line(text: str) -> Callable[[Path], object]:
    return lambda bundle: (bundle / "SHA256SUMS").write_text((bundle / "SHA256SUMS").read_text() + text)


def _linked(bundle: Path) -> None:
    shutil.move(bundle / FIRST, bundle.parent / "elsewhere.parquet")
    os.symlink(bundle.parent / "elsewhere.parquet", bundle / FIRST)


def _linked_folder(bundle: Path) -> None:
    shutil.move(bundle / "member=001", bundle.parent / "elsewhere")
    os.symlink(bundle.parent / "elsewhere", bundle / "member=001")


D = "0" * 64
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte of a part": (_flip(FIRST, 2000), f"{FIRST}: got other bytes"),
    "a byte of the card": (_flip("DATA_CARD.md", 10), "DATA_CARD.md: got other bytes"),
    "a byte of the page": (_flip("index.html", 10), "index.html: got other bytes"),
    "a byte of the schema": (_flip("schema.json", 30), "schema.json: got other bytes"),
    "a member less": (lambda b: shutil.rmtree(b / "member=001"), "member=001/part-00000.parquet: got no such file"),
    "a part less": (lambda b: (b / FIRST).unlink(), f"{FIRST}: got no such file"),
    "no card": (lambda b: (b / "DATA_CARD.md").unlink(), "DATA_CARD.md: got no such file"),
    "no page": (lambda b: (b / "index.html").unlink(), "index.html: got no such file"),
    "no croissant": (lambda b: (b / "croissant.json").unlink(), "croissant.json: got no such file"),
    "no checksums": (lambda b: (b / "SHA256SUMS").unlink(), "SHA256SUMS: got no such file"),
    "a file more": (lambda b: (b / "notes.txt").write_text(""), "notes.txt: got a file that SHA256SUMS does not name"),
    "a hidden file": (lambda b: (b / ".x").write_text(""), ".x: got a file that SHA256SUMS does not name"),
    "half a file": (lambda b: (b / "x.part").write_text(""), "x.part: got a file that SHA256SUMS does not name"),
    "weights": (lambda b: (b / "weights.safetensors").write_text(""), "weights.safetensors: got a file"),
    "a climbing name": (_line(f"{D}  ../secret\n"), "got the name '../secret'"),
    "an absolute name": (_line(f"{D}  /etc/passwd\n"), "got the name '/etc/passwd'"),
    "a name of Windows": (_line(f"{D}  member=000\\part-00000.parquet\n"), "got the name 'member=000"),
    "a drive": (_line(f"{D}  C:x\n"), "got the name 'C:x'"),
    "a name twice": (lambda b: _line((b / "SHA256SUMS").read_text().splitlines()[0] + "\n")(b), "again; takes"),
    "no line": (_line("hello\n"), "got 'hello'; takes a sha256"),
    "no text": (lambda b: (b / "SHA256SUMS").write_bytes(b"\xff"), "SHA256SUMS: got damaged"),
    "a link": (_linked, f"{FIRST}: got a link; takes a file"),
    "a linked folder": (_linked_folder, "member=001: got a link; takes a file"),
    "not finished": (
        lambda b: (b / "drawing.json").write_text("{}"),
        "drawing.json: got a bundle that is not finished",
    ),
    "facts that are damaged": (lambda b: (b / "bundle.json").write_text("{"), "bundle.json: got damaged"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_change_is_caught(case: str, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, line = FAULTS[case]
    monkeypatch.setattr("dge_ray.bundle.croissant.find_spec", lambda _: None)  # mlcroissant takes its time
    change(bundle)
    faults = _faults(bundle)
    assert any(line in fault for fault in faults), faults
    assert all("\n" not in fault for fault in faults)


def _rewrite(bundle: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a part and make the checksums, and croissant.json's, those of what is there: without a signature nobody
    sees that the publisher did not do so."""
    pq.write_table(change(pq.ParquetFile(bundle / name).read()), bundle / name)
    sums, _ = from_text((bundle / "SHA256SUMS").read_text())
    folder, before = Folder.open(bundle), sums[name]
    sums[name] = sha256(folder, name)
    document = (bundle / "croissant.json").read_text().replace(before, sums[name])
    (bundle / "croissant.json").write_text(document)
    (bundle / "SHA256SUMS").write_text(to_text({**sums, "croissant.json": sha256(folder, "croissant.json")}))


def test_a_planted_real_row_is_caught_by_who_has_the_real_ones(bundle: Path) -> None:
    real = load_table("breast_cancer")

    def plant(rows: pa.Table) -> pa.Table:
        planted = pa.concat_tables([rows.slice(0, 120), real.slice(33, 1).cast(rows.schema), rows.slice(121)])
        return planted.replace_schema_metadata(rows.schema.metadata)

    _rewrite(bundle, "member=001/part-00000.parquet", plant)
    assert _faults(bundle) == []  # a receiver cannot know
    assert _faults(bundle, real="breast_cancer") == ["rows: got 1 exact copies of rare real rows; takes none"]


def test_who_reads_it_is_told_of_a_changed_file(bundle: Path) -> None:
    """Values that the schema allows: only the checksum tells."""
    assert len(load_members(bundle)) == len(list(bundle.glob("member=*")))
    rows = pq.read_table(bundle / FIRST)
    pq.write_table(pa.concat_tables([rows.slice(1), rows.slice(0, 1)]), bundle / FIRST)
    with pytest.raises(InputError, match="changed since it was published"):
        load_members(bundle)


def test_a_consistent_change_within_the_schema_is_not_found_out_and_one_beyond_it_is(bundle: Path) -> None:
    _rewrite(bundle, FIRST, lambda rows: pa.concat_tables([rows.slice(1), rows.slice(0, 1)]))
    assert _faults(bundle) == []
    _rewrite(bundle, FIRST, lambda rows: rows.set_column(0, rows.column_names[0], pa.array([1e9] * rows.num_rows)))
    (fault,) = _faults(bundle)
    assert "above its maximum" in fault and FIRST in fault


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, "no mark of synthetic rows"),
        ({KEY: b"{"}, "mark of synthetic rows: got a damaged one"),
        ({KEY: b'{"bundle": "x", "member": 0, "generation": 1, "share": 0}'}, "member 0 of bundle 'x'"),
    ],
)
def test_marks_are_checked(bundle: Path, metadata: dict | None, says: str) -> None:
    _rewrite(bundle, FIRST, lambda rows: rows.replace_schema_metadata(metadata))
    (fault,) = _faults(bundle)
    assert says in fault and fault.startswith(FIRST)


def _croissant(bundle: Path, **changes: Any) -> None:
    path = bundle / "croissant.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    sums, _ = from_text((bundle / "SHA256SUMS").read_text())
    sums["croissant.json"] = sha256(Folder.open(bundle), "croissant.json")
    (bundle / "SHA256SUMS").write_text(to_text(sums))


def test_croissant_is_checked(bundle: Path) -> None:
    _croissant(bundle, **{"@type": "sc:Thing"})
    assert any(line.startswith("croissant.json: ") for line in _faults(bundle))


def test_croissant_of_other_files_is_refused(bundle: Path) -> None:
    _croissant(bundle, distribution=[])
    assert _faults(bundle) == ["croissant.json: got other files or columns than the bundle's; takes these and digests"]


def test_a_context_on_a_server_is_not_fetched(bundle: Path) -> None:
    _croissant(bundle, **{"@context": "http://127.0.0.1:9/context"})
    assert _faults(bundle) == ["croissant.json: a @context that is not Croissant 1.0's own"]


def test_without_the_library_it_says_so(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dge_ray.bundle.croissant.find_spec", lambda _: None)
    found = verify(str(whole), {}, lambda _: None)
    assert found["clean"] and any("pip install 'dge-ray[croissant]'" in note for note in found["notes"])


def test_exit_codes(run: Any, whole: Path, tmp_path: Path) -> None:
    code, out, _ = run("verify", str(whole), "--json")
    assert code == 0 and json.loads(out)["clean"]
    assert run("verify", str(tmp_path))[0] == 2
    assert run("verify", str(whole), "really=1")[0] == 2
    assert run("verify", str(whole), "real=nowhere.parquet")[0] == 2
    changed = shutil.copytree(whole, tmp_path / "changed")
    _flip(FIRST, 2000)(changed)
    code, out, _ = run("verify", str(changed))
    assert code == 1 and "fault: " + FIRST in out
    code, out, _ = run("verify", str(changed), "--json")
    assert code == 1 and not json.loads(out)["clean"]


def test_a_bundle_of_sample_lacks_what_publish_adds(whole: Path, tmp_path: Path) -> None:
    for name in ("bundle.json", "schema.json", "member=000", "member=001"):
        (shutil.copytree if (whole / name).is_dir() else shutil.copy)(whole / name, tmp_path / name)
    assert any(line.startswith("SHA256SUMS: got no such file") for line in _faults(tmp_path))


def test_names_that_stay_inside() -> None:
    for name in ("a", "member=000/part-00000.parquet", "privacy/ledger.json", ".x", "a..b"):
        assert stays_inside(name), name
    for name in ("", "..", "a/..", "../a", "/a", "a//b", "./a", "a\\b", "C:a", "a\nb", "a\0b", "a/", "a|b"):
        assert not stays_inside(name), name


def test_checksums_are_those_that_coreutils_writes(tmp_path: Path) -> None:
    for name in ("b", "a", "empty"):
        (tmp_path / name).write_bytes(b"" if name == "empty" else os.urandom(3 << 20))
    theirs = subprocess.run(["sha256sum", "a", "b", "empty"], cwd=tmp_path, capture_output=True, text=True).stdout
    ours = to_text({name: sha256(Folder.open(tmp_path), name) for name in ("b", "a", "empty")})
    assert ours == theirs and from_text(ours)[1] == []


def test_a_hostile_bundle_costs_nothing(bundle: Path) -> None:
    facts = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**facts, "members": 10**9}))
    assert any("member=002: got not there" in fault for fault in _faults(bundle))
    (bundle / "bundle.json").write_text(json.dumps(facts))
    (bundle / "croissant.json").write_text("[" * 10**5)
    assert any("croissant.json: got damaged" in fault for fault in _faults(bundle))


def test_no_bundle() -> None:
    with pytest.raises(InputError, match=r"^bundle: got .*without bundle.json"):
        verify(str(Path(sys.prefix) / "nowhere"), {}, print)
