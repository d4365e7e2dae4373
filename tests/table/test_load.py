"""Loading, checked against the tables that were written, sklearn's own and, for OpenML, a local server's answers."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.s3 import S3
from sklearn import datasets
from sklearn.datasets import make_circles, make_moons

from dge_ray.errors import InputError
from dge_ray.storage import Folder
from dge_ray.table import builtin_names, data_digest, default_target, infer_schema, load_table

TABLE = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.5, None, 2.25]})
CSV = "a,b,c\n1,x,0.5\n2,,\n3,z,2.25\n"


def test_every_format_gives_the_same_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV)
    (tmp_path / "semicolons.csv").write_text(CSV.replace(",", ";"))
    (tmp_path / "t.CSV.GZ").write_bytes(gzip.compress(CSV.encode()))
    pq.write_table(TABLE, tmp_path / "t.parquet")
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    pq.write_table(TABLE.slice(0, 1), folder / "part-0.parquet")
    pq.write_table(TABLE.slice(1), folder / "sub" / "part-1.parquet")
    (folder / "_SUCCESS").touch()
    sources = [tmp_path / name for name in ("t.csv", "semicolons.csv", "t.CSV.GZ", "t.parquet", "folder")]
    for source in [*map(str, sources), *(path.as_uri() for path in sources)]:
        table = load_table(source)
        assert table.equals(TABLE), source
        assert data_digest(table) == data_digest(TABLE)


def test_tables_on_an_s3_server(s3: S3) -> None:
    folder = Folder.open(s3.uri("tables"))
    folder.write_bytes("t.csv", CSV.encode())
    folder.write_table("t.parquet", TABLE)
    folder.write_table("folder/part-0.parquet", TABLE)
    for name in ("t.csv", "t.parquet", "folder"):
        assert load_table(s3.uri(f"tables/{name}")).equals(TABLE)
    with pytest.raises(InputError, match="does not exist"):
        load_table(s3.uri("tables/absent.csv"))
    with s3.strict(), pytest.raises(InputError, match=r"which cannot be read \(.*ACCESS_DENIED"):
        load_table(s3.uri("tables/t.csv"))


def test_csv_types_are_inferred_and_words_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "i,f,s,b,d,t\n"
        "1,NA,NA,true,2020-01-01,2020-01-01 10:00:00\n"
        "NA,1.5,?,false,,2021-01-01 10:00:00\n"
        '3,2,"a\nb",true,2021-05-05,\n'
    )
    table = load_table(str(path))
    assert [str(t) for t in table.schema.types] == ["int64", "double", "string", "bool", "date32[day]", "timestamp[s]"]
    assert table["i"].to_pylist() == [1, None, 3] and table["s"].to_pylist() == ["NA", "?", "a\nb"]


def test_partition_folders_become_columns(tmp_path: Path) -> None:
    for year in (2020, 2021):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(TABLE, tmp_path / f"year={year}" / "t.parquet")
    table = load_table(str(tmp_path))
    assert table["year"].to_pylist() == [2020] * 3 + [2021] * 3 and table.column_names[:3] == ["a", "b", "c"]


def test_metadata_non_null_marks_stored_index_and_nan_are_tidied(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": ["x", "", "z"]}, index=[5, 6, 9])
    frame.to_parquet(tmp_path / "t.parquet")
    table = load_table(str(tmp_path / "t.parquet"))
    assert table.column_names == ["a", "b"] and table.schema.metadata is None
    assert table.to_pydict() == {"a": [1.0, None, 3.0], "b": ["x", None, "z"]}
    strict = TABLE.select(["a"]).cast(pa.schema([pa.field("a", pa.int64(), nullable=False)]))
    pq.write_table(strict, tmp_path / "s.parquet")
    assert load_table(str(tmp_path / "s.parquet")).schema == pa.schema([("a", pa.int64())])


def write(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, r"source: got '.*absent\.csv', which does not exist; takes a \.csv"),
        ("t.xls", b"PK", r"got '.*t\.xls', an unknown format; takes a \.csv, \.tsv or \.txt file"),
        ("plain", b"a,b\n", r"an unknown format"),
        ("empty.csv", b"", r"got '.*empty\.csv', an empty file"),
        ("empty.parquet", b"", r"an empty file"),
        ("empty.csv.gz", gzip.compress(b"", mtime=0), r"an empty file"),
        ("torn.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:40], r"cannot be read"),
        ("torn.parquet", b"PAR1 this is no parquet file", r"cannot be read"),
        ("ragged.csv", b"a,b\n1,2\n3\n", r"1 cell in line 3 where the others have 2"),
        ("folder/readme.md", b"hello", r"a folder without \.parquet or \.csv files"),
    ],
)
def test_what_cannot_be_loaded(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        write(tmp_path, name, content)
    source = tmp_path / name
    with pytest.raises(InputError, match=message) as caught:
        load_table(str(source.parent if name.startswith("folder") else source))
    assert "\n" not in str(caught.value)


def test_a_wrong_name_or_scheme_says_what_is_near() -> None:
    with pytest.raises(
        InputError, match=r"source: got 'breast_canser', which does not exist.*did you mean 'breast_cancer'"
    ):
        load_table("breast_canser")
    with pytest.raises(
        InputError, match=r"source: got 'foo://x/t\.csv' \(Unrecognized filesystem type.*file://, s3://"
    ):
        load_table("foo://x/t.csv")


def test_a_folder_of_unlike_files(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    pq.write_table(TABLE.select(["a"]), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"'b\.parquet' without column 'b', which the others have"):
        load_table(str(tmp_path))


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "folder"])
def test_duplicate_names_are_caught_in_every_format(tmp_path: Path, name: str) -> None:
    twice = pa.Table.from_arrays([pa.array([1, 2]), pa.array([3, 4])], names=["a", "a"])
    path = tmp_path / name
    if name == "t.csv":
        path.write_text("a,a\n1,3\n2,4\n")
    elif name == "folder":
        path.mkdir()
        pq.write_table(twice, path / "t.parquet")
    else:
        pq.write_table(twice, path)
    with pytest.raises(
        InputError, match="column 'a': got a name that occurs more than once; takes distinct column names"
    ):
        infer_schema(load_table(str(path)))


@pytest.mark.parametrize(("name", "maker"), [("circles", make_circles), ("moons", make_moons)])
def test_drawn_tables_are_those_of_van_breugel(name: str, maker: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    table = load_table(name)
    shape = {"noise": 0.3, "factor": 0.5} if name == "circles" else {"noise": 0.2}
    x, y = maker(n_samples=10_000, random_state=0, **shape)
    np.testing.assert_array_equal(np.column_stack([table["x0"].to_numpy(), table["x1"].to_numpy()]), x)
    second = {"circles": "inner", "moons": "lower"}[name]
    np.testing.assert_array_equal(np.array(table["target"].to_pylist()) == second, y == 1)
    assert infer_schema(table, target="target").task == "binary"


@pytest.mark.parametrize("name", sorted(set(builtin_names()) - {"circles", "moons"}))
def test_builtin_tables_are_those_of_sklearn(name: str) -> None:
    table = load_table(name)
    bunch = getattr(datasets, f"load_{name}")()
    assert default_target(name) == "target" == table.column_names[-1]
    features = np.column_stack([table[str(f)].to_numpy() for f in bunch.feature_names])
    np.testing.assert_array_equal(features, bunch.data)
    schema = infer_schema(table, target="target")
    assert schema.task == {"breast_cancer": "binary", "diabetes": "regression"}.get(name, "multiclass")
    if name == "breast_cancer":
        assert schema.classes == ("benign", "malignant")
    assert default_target("t.csv") is None


def test_the_digest_sees_content_and_not_chunks() -> None:
    cut = pa.concat_tables([TABLE.slice(0, 2), TABLE.slice(2)])
    offset = pa.concat_tables([TABLE, TABLE]).slice(3)
    assert len({data_digest(t) for t in (TABLE, cut, offset, offset.combine_chunks())}) == 1
    others = [
        TABLE.rename_columns(["a", "b", "d"]),
        TABLE.select(["b", "a", "c"]),
        TABLE.slice(0, 2),
        TABLE.take([1, 0, 2]),
        TABLE.set_column(0, "a", TABLE["a"].cast(pa.int32())),
        TABLE.set_column(1, "b", pa.array(["x", "", "z"])),
        TABLE.set_column(1, "b", pa.array(["xz", None, ""])),
        TABLE.set_column(2, "c", pa.array([0.5, 0.0, 2.25])),
        TABLE.set_column(1, "b", TABLE["b"].dictionary_encode()),
    ]
    assert len({data_digest(t) for t in [TABLE, *others]}) == 1 + len(others)


# What OpenML answers about a table, cut down to what sklearn reads. Number 4242 is called "moths".
ARFF = "@RELATION moths\n@ATTRIBUTE span REAL\n@ATTRIBUTE wing {dark,pale}\n@ATTRIBUTE class {a,b}\n@DATA\n"
ARFF += "1.5,dark,a\n2.5,?,b\n?,pale,a\n"


def feature(index: int, name: str, kind: str, target: bool = False) -> dict:
    flags = {"is_target": str(target).lower(), "is_ignore": "false", "is_row_identifier": "false"}
    return {"index": str(index), "name": name, "data_type": kind, "number_of_missing_values": "1", **flags}


FEATURES = [feature(0, "span", "numeric"), feature(1, "wing", "nominal"), feature(2, "class", "nominal", target=True)]
LISTED = {"data": {"dataset": [{"did": 4242, "name": "moths", "version": 1, "status": "active"}]}}


class OpenML(BaseHTTPRequestHandler):
    """Answers as api.openml.org does; an unknown name gets its 412."""

    def do_GET(self) -> None:
        path = self.path
        if "/data/list/" in path:
            known = "/data_name/moths/" in path and ("data_version" not in path or "data_version/1" in path)
            answer = LISTED if known else {"error": {"code": "372", "message": "No results"}}
            return self.send(json.dumps(answer).encode(), 200 if known else 412)
        if path.endswith("/data/features/4242"):
            return self.send(json.dumps({"data_features": {"feature": FEATURES}}).encode())
        if path.endswith("/data/qualities/4242"):
            quality = [{"name": "NumberOfInstances", "value": "3.0"}]
            return self.send(json.dumps({"data_qualities": {"quality": quality}}).encode())
        if path.endswith("/data/4242"):
            return self.send(json.dumps({"data_set_description": self.description()}).encode())
        if path.endswith("/download/77/moths.arff"):
            return self.send(ARFF.encode())
        return self.send(b"{}", 412)

    def description(self) -> dict:
        from hashlib import md5

        about = {"id": "4242", "name": "moths", "version": "1", "format": "ARFF", "status": "active", "file_id": "77"}
        about["default_target_attribute"] = "class"
        url = "https://api.openml.org/data/v1/download/77/moths.arff"
        return {**about, "description": "", "url": url, "md5_checksum": md5(ARFF.encode()).hexdigest()}

    def send(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def openml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """sklearn's requests to openml.org go to a server on this machine; its cache is a fresh folder."""
    from sklearn.datasets import _openml

    server = HTTPServer(("127.0.0.1", 0), OpenML)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    real = _openml.urlopen

    def urlopen(request, *args, **kwargs):  # type: ignore[no-untyped-def]
        path = urlsplit(request.full_url).path
        request.full_url = f"http://127.0.0.1:{server.server_port}{path}"
        return real(request, *args, **kwargs)

    monkeypatch.setattr(_openml, "urlopen", urlopen)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "cache"))
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("source", ["openml:moths", "openml:moths@1", "openml:4242"])
@pytest.mark.usefixtures("openml")
def test_openml_tables(source: str) -> None:
    table = load_table(source)
    assert table.to_pydict() == {"span": [1.5, 2.5, None], "wing": ["dark", None, "pale"], "class": ["a", "b", "a"]}
    assert default_target(source) == "class"
    schema = infer_schema(table, target="class")
    assert schema.task == "binary" and schema["wing"].kind == "categorical" and schema["wing"].missing


@pytest.mark.filterwarnings("ignore:A network error occurred")
@pytest.mark.parametrize("source", ["openml:mots", "openml:moths@7", "openml:99"])
@pytest.mark.usefixtures("openml")
def test_openml_has_no_such_table(source: str) -> None:
    with pytest.raises(InputError, match=rf"source: got '{source}' \(.*; takes openml:NAME, ") as caught:
        load_table(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["openml:", "openml:@2", "openml:moths@two"])
def test_openml_sources_that_ask_nothing(source: str) -> None:
    with pytest.raises(InputError, match=r"takes openml:NAME, openml:NAME@VERSION or openml:ID"):
        load_table(source)


@pytest.mark.filterwarnings("ignore:A network error occurred")
def test_openml_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.error import URLError

    from sklearn.datasets import _openml

    def urlopen(request, *args, **kwargs):  # type: ignore[no-untyped-def]
        raise URLError("name resolution failed")

    monkeypatch.setattr(_openml, "urlopen", urlopen)
    monkeypatch.setattr(_openml.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"source: got 'openml:iris' \(.*name resolution failed"):
        load_table("openml:iris")
