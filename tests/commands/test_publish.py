"""`dge-ray publish`: what is in a bundle and what is not, refusals, resuming, object stores, other readers."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from helpers.s3 import S3
from helpers.small_study import small_study

from dge_ray import load_members
from dge_ray.commands import publish
from dge_ray.commands.sample import sample
from dge_ray.commands.verify import verify
from dge_ray.errors import InputError
from dge_ray.phrases import EPSILONS_ADD_UP
from dge_ray.storage import Folder
from dge_ray.table.marks import read_mark

VOLUME = 600
FIGURE = b"a figure of synthetic rows"
SECRET = "a-secret-that-must-not-get-out"


@pytest.fixture(scope="module")
def study(copula_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shared study, with a privacy key in it."""
    copied = tmp_path_factory.mktemp("publish") / "breast_cancer"
    shutil.copytree(copula_study / "studies" / "breast_cancer", copied)
    (copied / "privacy").mkdir()
    (copied / "privacy" / "key").write_text(SECRET)
    return copied


@pytest.fixture(autouse=True)
def _no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes half of a small bundle's time; `bundle` is made before this."""
    monkeypatch.setattr(publish, "members_by_column", lambda *_: FIGURE)


def _sums(folder: Folder) -> list[str]:
    """The checksums of all but the page, which has figures in one bundle and a stand-in in the others."""
    return [line for line in folder.read_bytes("SHA256SUMS").decode().splitlines() if not line.endswith("index.html")]


def _publish(study: Path, out: Any, **options: Any) -> dict[str, Any]:
    return publish.publish(str(study), {"out": str(out), **options}, lambda _: None)


@pytest.fixture(scope="module")
def bundle(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of three members in parts of 512 rows."""
    out = tmp_path_factory.mktemp("out") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "PART_ROWS", 512)
        _publish(study, out, volume=VOLUME, licence="CC BY 4.0", description="Cells of <tumours>")
    return out


def test_what_is_in_a_bundle(bundle: Path, study: Path) -> None:
    parts = [f"member={k:03d}/part-{j:05d}.parquet" for k in range(3) for j in range(2)]
    others = ["DATA_CARD.md", "SHA256SUMS", "bundle.json", "croissant.json", "index.html", "schema.json"]
    assert Folder.open(bundle).files() == sorted([*parts, *others])
    members = load_members(bundle)
    assert len(members) == 3 and members.volume == VOLUME
    kept = [pq.ParquetFile(path).read() for path in sorted((study / "shards" / "member=001").iterdir())]
    assert members.table(1).equals(pa.concat_tables(kept).slice(0, VOLUME))
    facts = json.loads((bundle / "bundle.json").read_text())
    n = json.loads((study / "members/000/member.json").read_text())["rows"]
    point = json.loads((study / "report.json").read_text())["reflection_point"]
    assert facts["real_rows"] == n and facts["reflection_point"] == point and facts["licence"] == "CC BY 4.0"
    assert facts["generator"] == "copula" and facts["study"] == "breast_cancer" and facts["allowed"] == []
    assert facts["privacy"].startswith("no formal privacy guarantee")
    for k in range(3):
        mark = read_mark(pq.read_schema(bundle / f"member={k:03d}/part-00001.parquet"))
        history = [{"generation": 1, "share": 0.0, "utility": None}]
        assert mark == {"bundle": facts["bundle"], "member": k, "generation": 1, "share": 0.0, "history": history}


@pytest.mark.parametrize(
    ("file", "content"), [("estimates.json", {"members": 8}), ("attacks.json", {"against": {"members": 8}})]
)
def test_findings_of_another_number_of_members_are_left_out(
    study: Path, tmp_path: Path, file: str, content: dict[str, Any]
) -> None:
    copied, lines = Path(shutil.copytree(study, tmp_path / "breast_cancer")), []
    (copied / file).parent.mkdir(exist_ok=True)
    (copied / file).write_text(json.dumps(content))
    publish.publish(str(copied), {"out": str(tmp_path / "out"), "volume": VOLUME}, lines.append)
    whose = "bundle" if file == "estimates.json" else "study"
    assert f"warning: {file} is of 8 members, the {whose} has 3: left out, make it again" in lines
    assert any(line.startswith("warning: no licence is given") for line in lines)
    assert any(line.startswith("warning: no estimates") for line in lines) == (file != "estimates.json")
    assert not (tmp_path / "out" / file).exists()


def test_coreutils_read_the_checksums(bundle: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS", "--strict"], cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(": OK") == 11, done.stderr


def test_no_secret_no_place_and_no_real_digest(bundle: Path, study: Path) -> None:
    digest = json.loads((study / "identity.json").read_text())["data"]
    for name in Folder.open(bundle).files():
        content = (bundle / name).read_bytes()
        for word in (SECRET, digest, str(study), os.getcwd(), str(Path.home()) + "/"):
            assert word.encode() not in content, (name, word)


def test_the_card_and_the_page(bundle: Path) -> None:
    card, page = (bundle / "DATA_CARD.md").read_text(), (bundle / "index.html").read_text()
    for text in ("never pool", "No formal guarantee", "reflection point", "CC BY 4.0", "no signature", "copula"):
        assert text in card, text
    assert "Cells of \\<tumours\\>" in card and "Cells of &lt;tumours&gt;" in page and "<tumours>" not in page
    assert page.count("data:image/png;base64,") >= 4
    assert not re.search(r"(src|href)\s*=\s*['\"](?!data:|#)|<script|url\(", page)


def test_croissant_is_valid_and_loads(bundle: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=bundle / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors and not dataset.metadata.ctx.issues.warnings
    rows = list(dataset.records("member-002"))
    expected = load_members(bundle).frame(2)
    assert len(rows) == VOLUME and len(rows[0]) == len(expected.columns)
    radius = [row["member-002/mean_radius"] for row in rows]
    assert radius == expected["mean radius"].tolist()


def test_a_bundle_is_told_by_its_weights_and_volume(study: Path, bundle: Path, tmp_path: Path) -> None:
    one = _publish(study, tmp_path / "one", volume=VOLUME, members=2)
    whole = json.loads((bundle / "bundle.json").read_text())
    assert one["bundle"] != whole["bundle"] and re.fullmatch(r"[0-9a-f]{16}", one["bundle"])


def test_members_and_volume_are_as_recommended_or_all_and_n(study: Path, tmp_path: Path) -> None:
    said: list[str] = []
    report = json.loads((study / "report.json").read_text())
    answer = report["answer"]
    made = publish.publish(str(study), {"out": str(tmp_path / "a")}, said.append)
    assert made["rows_per_member"] == answer["volume"] and "as the study recommends" in said[0]
    assert made["members"] == min(max(answer["members"], 3), report["members"])
    bare = shutil.copytree(study, tmp_path / "bare")
    (bare / "report.json").unlink()
    made = publish.publish(str(bare), {"out": str(tmp_path / "b")}, said.append)
    assert (
        made["members"] == report["members"]
        and made["rows_per_member"] == made["real_rows"]
        and made["reflection_point"] is None
    )
    assert "no reflection point" in (tmp_path / "b" / "DATA_CARD.md").read_text()


def test_a_call_that_was_cut_off_goes_on(study: Path, bundle: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(publish, "PART_ROWS", 512)
    out, write, left = tmp_path / "bundle", Folder.write_table, iter([True] * 3)

    def cut_off(folder: Folder, name: str, table: pa.Table) -> None:
        if not next(left, False):
            raise KeyboardInterrupt
        write(folder, name, table)

    options = {"volume": VOLUME, "licence": "CC BY 4.0", "description": "Cells of <tumours>"}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Folder, "write_table", cut_off)
        _publish(study, out, **options)
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("*/*.parquet")}
    assert (
        len(stamps) == 3 and not verify(str(out), {}, lambda _: None)["clean"] if (out / "SHA256SUMS").exists() else 1
    )
    (out / "member=002").mkdir(exist_ok=True)
    (out / "member=002" / "part-00000.parquet.0f.part").write_bytes(b"PAR1")  # as a kill -9 leaves
    with pytest.raises(InputError, match=r"^out: got .*a bundle of another call"):
        _publish(study, out, **{**options, "volume": VOLUME - 1})
    _publish(study, out, **options)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert _sums(Folder.open(out)) == _sums(Folder.open(bundle))  # as if written in one go
    with pytest.raises(InputError, match=r"^out: got .*not empty"):
        _publish(study, out, **options)


def _with_table(study: Path, tmp_path: Path, change: Any) -> Path:
    """The study of a table that lies in a file, whose first shard of member 0 has had `change` done to it."""
    from sklearn.datasets import load_breast_cancer

    from dge_ray.table import data_digest, load_table

    table = load_table("breast_cancer")
    assert load_breast_cancer is not None
    pq.write_table(table, tmp_path / "table.parquet")
    copied = shutil.copytree(study, tmp_path / "study")
    config = yaml.safe_load((copied / "config.yaml").read_text())
    (copied / "config.yaml").write_text(yaml.safe_dump({**config, "source": str(tmp_path / "table.parquet")}))
    assert json.loads((copied / "identity.json").read_text())["data"] == data_digest(table)
    first = copied / "shards" / "member=000" / "part-00000.parquet"
    pq.write_table(change(pq.ParquetFile(first).read(), table), first)
    return copied


def _copied(rows: pa.Table, real: pa.Table) -> pa.Table:
    return pa.concat_tables([real.slice(7, 2).cast(rows.schema), rows.slice(2)])


def test_copies_of_rare_real_rows_are_refused(study: Path, tmp_path: Path) -> None:
    copying = _with_table(study, tmp_path, _copied)
    with pytest.raises(InputError) as caught:
        _publish(copying, tmp_path / "out", volume=300)
    line = str(caught.value)
    assert "2 of 900 synthetic rows" in line and "allow=copies" in line and "\n" not in line
    assert not (tmp_path / "out").exists()  # no row has left the study
    made = _publish(copying, tmp_path / "out", volume=300, allow="copies")
    assert made["allowed"] == ["copies of rare real rows"]
    assert "2 one that is rare" in (tmp_path / "out" / "DATA_CARD.md").read_text()
    (tmp_path / "table.parquet").unlink()
    with pytest.raises(InputError, match=r"^source: got the real table cannot be read"):
        _publish(copying, tmp_path / "blind", volume=300)
    made = _publish(copying, tmp_path / "blind", volume=300, allow=["copies"])
    assert made["allowed"] == ["not looking for copies of real rows"]
    assert str(tmp_path) not in (tmp_path / "blind" / "DATA_CARD.md").read_text()


def test_a_changed_table_is_not_looked_in(study: Path, tmp_path: Path) -> None:
    copied = _with_table(study, tmp_path, lambda rows, _: rows)
    table = pq.ParquetFile(tmp_path / "table.parquet").read()
    pq.write_table(table.slice(1), tmp_path / "table.parquet")
    with pytest.raises(InputError, match=r"^source: got the real table is not the one"):
        _publish(copied, tmp_path / "out", volume=300)


@pytest.mark.parametrize("kind", ["identifier", "categorical"])
def test_identifiers_are_refused(study: Path, tmp_path: Path, kind: str) -> None:
    from dge_ray.publishing.disclosure import check_identifiers
    from dge_ray.table import infer_schema

    table = pa.table({"name": [f"n{i}" for i in range(200)], "x": [i % 7 / 2 for i in range(200)]})
    schema = infer_schema(table, overrides={"name": kind})
    with pytest.raises(InputError, match=r"^column 'name': .*'drop=\[name\]'\), or allow=identifiers"):
        check_identifiers(schema, 200, False)
    assert check_identifiers(schema, 200, True) == ["name"]
    if kind == "categorical":  # a value that two rows share on the average tells less
        assert check_identifiers(schema, 401, False) == []


LEDGER = {
    "epsilon": 3.0,
    "delta": 1e-6,
    "spent": 2.9,
    "models": "each",
    "members": 3,
    "adjacency": "one row replaced by nothing",
    "entries": [{"what": "fits", "mechanism": "DP-SGD", "status": "charged", "note": None}],
}


def test_under_a_ledger_nothing_is_told_that_it_does_not_cover(study: Path, tmp_path: Path) -> None:
    private = shutil.copytree(study, tmp_path / "study")
    (private / "privacy" / "ledger.json").write_text(json.dumps(LEDGER))
    (private / "attacks.json").write_text(json.dumps({"attacks": [], "limits": []}))
    with pytest.raises(InputError, match=r"^volume: got nothing; .*uncovered=true"):
        _publish(private, tmp_path / "out")
    made = _publish(private, tmp_path / "out", volume=300)
    assert "real_rows" not in made and made["reflection_point"] is None
    assert made["differential_privacy"] == {"epsilon": 2.9, "delta": 1e-6, "adjacency": LEDGER["adjacency"]}
    files = Folder.open(tmp_path / "out").files()
    assert "privacy/ledger.json" in files and "attacks.json" not in files and "privacy/key" not in files
    card = (tmp_path / "out" / "DATA_CARD.md").read_text()
    report = json.loads((private / "report.json").read_text())
    n = json.loads((private / "members/000/member.json").read_text())["rows"]
    page = (tmp_path / "out" / "index.html").read_text()
    for text in (card, re.sub(r"base64,[^']*", "", page)):
        assert not re.search(rf"\b{n}\b", text) and f"{report['reflection_point']['risk']:.4f}" not in text
    assert "epsilon 2.9" in card and card.count("Not told") >= 4 and EPSILONS_ADD_UP in card
    assert EPSILONS_ADD_UP in made["privacy"]
    assert "as it was declared" in card and "moved outward" not in card
    assert page.count("data:image/png") == 1  # of synthetic rows alone
    assert verify(str(tmp_path / "out"), {}, print)["clean"]

    made = _publish(private, tmp_path / "open", volume=300, uncovered=True)
    assert made["real_rows"] == n and "the real rows' number" in made["privacy"].partition("not covered: ")[2]
    ledger = json.loads((tmp_path / "open" / "privacy" / "ledger.json").read_text())
    assert [e["status"] for e in ledger["entries"][-2:]] == ["uncovered"] * 2
    assert (tmp_path / "open" / "attacks.json").exists()
    assert json.loads((private / "privacy" / "ledger.json").read_text()) == LEDGER


def test_under_a_ledger_copies_are_looked_for_on_request_alone_and_no_count_is_told(
    study: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Whether a real row is among the rows is an answer about it: nobody asks, and the real table is not even read."""
    copying = _with_table(study, tmp_path, _copied)
    (copying / "privacy" / "ledger.json").write_text(json.dumps(LEDGER))
    said: list[str] = []

    def published(name: str, **more: Any) -> dict[str, Any]:
        return publish.publish(str(copying), {"out": str(tmp_path / name), "volume": 300, **more}, said.append)

    with monkeypatch.context() as patch:
        patch.setattr(publish, "real_rows", lambda _: pytest.fail("the real table was read"))
        made = published("closed")
    assert made["allowed"] == []
    card = (tmp_path / "closed" / "DATA_CARD.md").read_text()
    assert "Nobody looked for copies" in card and "epsilon does not count" in card and "found nothing" not in card
    ledger = json.loads((tmp_path / "closed" / "privacy" / "ledger.json").read_text())
    assert ledger["entries"] == LEDGER["entries"]

    with pytest.raises(InputError) as caught:
        published("open", uncovered=True)
    line = str(caught.value)
    assert line.startswith("study: got synthetic rows that are exact copies of rare real rows;")
    assert not re.search(r"\d", line) and not (tmp_path / "open").exists()
    made = published("open", uncovered=True, allow="copies")
    assert "a look for copies of real rows" in made["privacy"]
    ledger = json.loads((tmp_path / "open" / "privacy" / "ledger.json").read_text())
    assert next(e["what"] for e in ledger["entries"] if e["status"] == "uncovered") == publish.LOOK["what"]
    card = (tmp_path / "open" / "DATA_CARD.md").read_text()
    assert publish.LOOK["what"] in card and "equal a real row" not in card and "one that is rare" not in card
    assert not [line for line in said if "cop" in line]

    (tmp_path / "table.parquet").unlink()
    assert published("blind", uncovered=True, allow="copies")["allowed"] == [publish.UNSEEN]
    ledger = json.loads((tmp_path / "blind" / "privacy" / "ledger.json").read_text())
    assert publish.LOOK not in ledger["entries"] and publish.TOLD in ledger["entries"]


@pytest.mark.parametrize("verb", [publish.publish, sample])
def test_a_study_with_canaries_is_refused(tmp_path: Path, verb: Any) -> None:
    small_study(tmp_path, 1, "canaries=9")
    options = {"storage": str(tmp_path / "studies"), "out": str(tmp_path / "out"), "volume": 20}
    with pytest.raises(InputError, match=r"^study: got one with 9 canaries planted in train, .*; takes .*canaries=0"):
        verb("s", options, lambda _: None)
    assert not (tmp_path / "out").exists()


def test_a_damaged_ledger_is_not_taken_for_none(study: Path, tmp_path: Path) -> None:
    private = shutil.copytree(study, tmp_path / "study")
    (private / "privacy" / "ledger.json").write_text("{}")
    with pytest.raises(InputError, match=r"ledger.json: got a damaged file"):
        _publish(private, tmp_path / "out", volume=300)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"licenses": "MIT"}, "licenses: got an unknown key"),
        ({"allow": "everything"}, "allow: got 'everything'; takes identifiers, copies or both"),
        ({"allow": {"copies": 1}}, "allow: got"),
        ({"uncovered": "yes please"}, "uncovered: got 'yes please'; takes true or false"),
        ({"description": {"a": "b"}}, "description: got"),
        ({"licence": " "}, "licence: got ' '"),
        ({"volume": 0}, "volume: got 0"),
        ({"members": 4}, "members: got 4; takes a whole number from 1 to 3"),
        ({"out": 3}, "out: got 3"),
        ({"out": "s3://key:secret@bucket"}, "out: got"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(study: Path, tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        publish.publish(str(study), {"out": str(tmp_path / "out"), "volume": 300, **options}, print)
    assert str(caught.value).startswith(says) and "\n" not in str(caught.value)


def test_to_an_object_store_and_back(study: Path, bundle: Path, s3: S3, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(publish, "PART_ROWS", 512)
    uri = s3.uri("published/bundle")
    _publish(study, uri, volume=VOLUME, licence="CC BY 4.0", description="Cells of <tumours>")
    assert _sums(Folder.open(uri)) == _sums(Folder.open(bundle))
    assert verify(uri, {}, lambda _: None)["clean"]
    Folder.open(uri).write_bytes("schema.json", b"{}")
    assert any(line.startswith("schema.json") for line in verify(uri, {}, lambda _: None)["faults"])


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _snippet(bundle: Path, word: str) -> dict[str, Any]:
    """The names that the card's piece of code with this word leaves behind, run in the bundle's folder."""
    pieces = re.findall(r"```python\n(.*?)```", (bundle / "DATA_CARD.md").read_text(), re.DOTALL)
    (code,) = [piece for piece in pieces if word in piece]
    names: dict[str, Any] = {}
    with _within(bundle):
        exec(code, names)
    return names


def test_pandas_duckdb_and_dge_ray_read_it_as_the_card_says(bundle: Path) -> None:
    expected = load_members(bundle)
    frames = _snippet(bundle, "read_parquet(folder")["members"]
    assert len(frames) == 3
    for k, frame in enumerate(frames):
        pd.testing.assert_frame_equal(frame, expected.frame(k), check_dtype=False)
    with _within(bundle):
        pd.testing.assert_frame_equal(_snippet(bundle, "duckdb")["member"], expected.frame(0), check_dtype=False)
    assert _snippet(bundle, "load_members")["members"].digest == expected.digest


def test_a_column_called_member_is_no_folder(tmp_path: Path) -> None:
    """Readers that take `member=000` for a column would put it in place of the table's own."""
    folder = tmp_path / "member=000"
    folder.mkdir()
    own = pd.DataFrame({"member": ["a", "b"], "x": [1, 2]})
    pq.write_table(pa.Table.from_pandas(own, preserve_index=False), folder / "part-00000.parquet")
    import duckdb

    pd.testing.assert_frame_equal(pd.read_parquet(folder, partitioning=None), own, check_dtype=False)
    query = f"select * from read_parquet('{folder}/*.parquet', hive_partitioning = false)"
    pd.testing.assert_frame_equal(duckdb.sql(query).df(), own, check_dtype=False)


def test_hugging_face_reads_it_as_the_card_says(bundle: Path, tmp_path: Path, monkeypatch: Any) -> None:
    pytest.importorskip("datasets")
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    members = _snippet(bundle, "load_dataset")["members"]
    assert list(members) == ["member_000", "member_001", "member_002"]
    expected = load_members(bundle).frame(2)
    pd.testing.assert_frame_equal(members["member_002"].to_pandas(), expected, check_dtype=False)


@pytest.mark.slow
def test_rows_that_the_study_does_not_hold_are_drawn_and_looked_at(study: Path, tmp_path: Path) -> None:
    held = len(list((study / "shards" / "member=000").iterdir()))
    copying = _with_table(study, tmp_path, _copied)
    with pytest.raises(InputError, match=r"2 of [\d,]+ synthetic rows that are exact copies"):
        _publish(copying, tmp_path / "out", volume=512 * (held + 1), members=2)
    out = tmp_path / "whole"
    _publish(study, out, volume=512 * (held + 1), members=2)
    assert load_members(out).table(1).num_rows == 512 * (held + 1)
    assert verify(str(out), {"real": "breast_cancer"}, lambda _: None)["clean"]


@pytest.mark.slow
def test_ray_data_reads_it_as_the_card_says(bundle: Path) -> None:
    from dge_ray.distributed.session.ray_session import ray_session

    with ray_session():
        found = _snippet(bundle, "ray.data")["member"].to_pandas()
    expected = load_members(bundle).frame(0)
    key = list(expected.columns)
    pd.testing.assert_frame_equal(
        found.sort_values(key, ignore_index=True), expected.sort_values(key, ignore_index=True), check_dtype=False
    )


def test_hashes_are_those_of_the_files(bundle: Path) -> None:
    document = json.loads((bundle / "croissant.json").read_text())
    files = {one["@id"]: one["sha256"] for one in document["distribution"] if one["@type"] == "cr:FileObject"}
    assert {"schema.json", "bundle.json", "DATA_CARD.md"} < set(files) and len(files) == 9
    for name, digest in files.items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest
