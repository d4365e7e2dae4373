"""Databases as sources, against what was written into them: SQLite, DuckDB, and a PostgreSQL that the test starts."""

import datetime
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from helpers import postgres

from dge_ray.commands.check import check
from dge_ray.errors import InputError, InputErrors
from dge_ray.study.read_config import placed, read_config, source_name
from dge_ray.table.reading.database import BATCH, USER, is_database
from dge_ray.table.reading.load import load_table
from dge_ray.table.reading.options import Reading

ROWS = [(1, "a", 2.5, "2020-01-31"), (2, None, None, "2021-02-28"), (3, "c", 7.25, "2022-03-31")]


def people(path: Path, rows: list = ROWS) -> str:
    with sqlite3.connect(path) as connection:
        connection.execute("create table people (id integer primary key, name text, x real, day text)")
        connection.executemany("insert into people values (?, ?, ?, ?)", rows)
    connection.close()
    return f"sqlite:///{path}"


def test_a_table_and_a_query_of_sqlite(tmp_path: Path) -> None:
    url = people(tmp_path / "p.db", list(reversed(ROWS)))
    table = load_table(url, Reading(table="people"))
    assert table["id"].to_pylist() == [1, 2, 3]  # in the order of its key
    assert table["name"].to_pylist() == ["a", None, "c"] and table["x"].to_pylist() == [2.5, None, 7.25]
    assert table["day"].to_pylist()[0] == datetime.date(2020, 1, 31)
    query = "select name, x * 2 as \"twice, x\", 'a :b 10%' as mark from people where id > 1 order by id desc"
    table = load_table(url, Reading(query=query))
    assert table.to_pydict() == {"name": ["c", None], "twice, x": [14.5, None], "mark": ["a :b 10%"] * 2}
    assert load_table(str(tmp_path / "p.db"), Reading(table="people")).num_rows == 3


def test_batches_of_unlike_types_are_one_column(tmp_path: Path) -> None:
    """SQLite has a type a cell: whole numbers first, later ones with decimals, or words."""
    rows = [(i, None, i, "d") for i in range(BATCH)] + [(BATCH + 1, "b", 0.5, "d"), (BATCH + 2, "b", "many", "d")]
    url = people(tmp_path / "p.db", rows)
    both = load_table(url, Reading(query=f"select x from people where id <= {BATCH + 1} order by id"))
    assert both["x"].to_pylist() == [float(i) for i in range(BATCH)] + [0.5]
    all_of_them = load_table(url, Reading(table="people"), {"x": "categorical"})
    assert all_of_them["x"].to_pylist()[-2:] == ["0.5", "many"] and all_of_them.num_rows == BATCH + 2


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (Reading(), "query: got nothing; takes query='select ...' or table=NAME"),
        (Reading(query="select 1", table="people"), "query: got a query and a table"),
        (Reading(table="peple"), "table: got 'peple', which the database does not have; takes one of people"),
        (Reading(query="select nope from people"), r"source: got '.*' \(no such column: nope\)"),
        (Reading(query="create table t (a int)"), "attempt to write a readonly database"),
        (Reading(table="people", sheet="a"), "sheet: got 'a' for another kind of source"),
    ],
)
def test_refusals(tmp_path: Path, reading: Reading, message: str) -> None:
    url = people(tmp_path / "p.db")
    with pytest.raises(InputError, match=message) as caught:
        load_table(url, reading)
    assert "\n" not in str(caught.value)
    with sqlite3.connect(tmp_path / "p.db") as connection:
        assert connection.execute("select count(*) from sqlite_master").fetchone() == (1,)  # nothing was committed


def test_no_file_is_made_and_no_key_is_passed_over(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.db', which does not exist"):
        load_table(f"sqlite:///{tmp_path}/absent.db", Reading(table="t"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="query: got 'select 1' for another kind of source; takes a database's URL"):
        load_table(str(tmp_path / "t.csv"), Reading(query="select 1"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:topsecret@localhost/db",
        "mysql+pymysql://ann:topsecret@localhost/db",
        "postgresql://localhost/db?user=ann&password=topsecret",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7Bx%7D%3BPWD%3Dtopsecret%3BSERVER%3Dy",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises((InputError, InputErrors)) as caught:
        check(url, {"query": "select 1 as a, 2 as b", "target": "a"})
    assert "topsecret" not in str(caught.value) and "environment" in str(caught.value)


def test_a_driver_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(InputError, match="whose driver is not installed; takes the package psycopg2"):
        load_table("postgresql+psycopg2://localhost/db", Reading(query="select 1"))


def test_what_a_database_is() -> None:
    assert is_database("postgresql+psycopg2://h/d") and is_database("mysql://h/d") and is_database("duckdb:///a.duckdb")
    assert is_database("folder/people.sqlite") and not is_database("s3://bucket/t.parquet")
    assert not is_database("foo://x/t.csv") and not is_database("people.csv")
    assert source_name("sqlite:///a/people.db") == "people" == source_name("postgresql://h:1/people?sslmode=require")


def test_a_relative_database_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people(tmp_path / "p.db")
    monkeypatch.chdir(tmp_path)
    config = read_config("sqlite:///p.db", ["table=people", "target=x"])
    assert config.source == "sqlite:///p.db" and placed(config).source == f"sqlite:///{tmp_path}/p.db"
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "s.yaml").write_text("source: sqlite:///../p.db\ntable: people\ntarget: x\n")
    found = read_config(str(tmp_path / "sub" / "s.yaml"))
    assert load_table(found.source, found.reading).num_rows == 3


def test_duckdb_files(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    with duckdb.connect(str(tmp_path / "p.duckdb")) as connection:
        connection.execute("create table people as select i as id, i / 2 as x, 'r' || i as name from range(5) t(i)")
    url = f"duckdb:///{tmp_path}/p.duckdb"
    table = load_table(url, Reading(table="people"))
    assert table["x"].to_pylist() == [0, 0.5, 1, 1.5, 2] and table["name"].to_pylist()[4] == "r4"
    assert load_table(str(tmp_path / "p.duckdb"), Reading(query="select max(id) m from people")).to_pydict() == {
        "m": [4]
    }
    with pytest.raises(InputError, match=r"source: got 'duckdb:.*Table with name nobody does not exist"):
        load_table(url, Reading(table="nobody"))
    with pytest.raises(InputError, match=r"\(ConversionException\)") as caught:
        load_table(url, Reading(query="select cast(name as int) from people"))
    assert "r0" not in str(caught.value)  # the driver's own words quote the value


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.server() as running:
        yield running


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", postgres.USER)
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)


@pytest.mark.usefixtures("credentials")
def test_types_of_postgresql(server: postgres.Server) -> None:
    server.run(
        "drop table if exists types",
        "create table types (id bigint primary key, n numeric(12, 2), f float8, b boolean, d date, t timestamptz, "
        "s text, u uuid, j text[])",
        "insert into types values "
        "(9007199254740993, 12.50, 1e300, true, '9999-12-31', '2020-01-01 10:00+02', 'é;\"', "
        "'00000000-0000-0000-0000-000000000001', null), (1, null, null, null, null, null, null, null, null)",
    )
    table = load_table(server.url, Reading(table="types"))
    assert table["id"].to_pylist() == [1, 9007199254740993]
    assert table["n"].to_pylist() == [None, Decimal("12.50")] and table["f"].to_pylist() == [None, 1e300]
    assert table["b"].to_pylist() == [None, True] and table["d"].to_pylist() == [None, datetime.date(9999, 12, 31)]
    instant = table["t"].to_pylist()[1]
    assert instant.astimezone(datetime.UTC).isoformat() == "2020-01-01T08:00:00+00:00"
    assert table["s"].to_pylist() == [None, 'é;"'] and pa.types.is_null(table["j"].type)
    assert load_table(server.url, Reading(table="public.types")).num_rows == 2


def test_credentials_come_from_the_environment_and_go_nowhere(
    server: postgres.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    server.run(
        "drop table if exists study",
        "create table study as select i as id, i % 7 as a, sin(i) as b, i % 2 = 0 as y "
        "from generate_series(1, 300) g(i)",
    )
    keys = {"query": "select a, b, y from study order by id", "target": "y", "storage": str(tmp_path)}
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv(USER, postgres.USER)
    with pytest.raises(InputError, match=r"source: got 'postgresql://127.*no password supplied") as caught:
        check(server.url, keys)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("DGE_RAY_DATABASE_PASSWORD", postgres.PASSWORD)
    found = check(server.url, keys)
    assert sum(found["rows"].values()) == 300
    told = capfd.readouterr()
    assert postgres.PASSWORD not in json.dumps(found) + told.out + told.err


@pytest.mark.usefixtures("credentials")
def test_a_value_in_an_error_is_not_told(server: postgres.Server) -> None:
    server.run("drop table if exists odd", "create table odd as select 'Ann Smith' as name")
    with pytest.raises(InputError, match=r"\(DataError\)") as caught:
        load_table(server.url, Reading(query="select cast(name as int) from odd"))
    assert "Smith" not in str(caught.value)
    with pytest.raises(InputError, match=r'relation "nobody" does not exist'):
        load_table(server.url, Reading(query="select * from nobody"))


MEMORY = """
import sys
from dge_ray.table.reading.load import load_table
from dge_ray.table.reading.options import Reading
table = load_table(sys.argv[1], Reading(table="t"))
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(table.num_rows, table.nbytes >> 20, peak >> 10)
"""


def peak_of(url: str) -> int:
    """MiB at most of a process of some 110 MiB that reads a table of a million rows and 48 to 80 MiB: if it grew by all
    rows at once, as Python's objects, it would take a gigabyte."""
    done = subprocess.run([sys.executable, "-c", MEMORY, url], capture_output=True, text=True, check=True)
    rows, table, peak = map(int, done.stdout.split())
    assert rows == 1_000_000 and table < 80
    return peak


LARGE = "i * 0.5 as a, i % 7 as b, 'word ' || (i % 5) as c, i / 3.0 as d, 'w' || i as e"
on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells a process's peak")


@pytest.mark.slow
@on_linux
def test_a_million_rows_of_sqlite_in_bounded_memory(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute(
            "create table t as with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000) "
            f"select i, {LARGE} from n"
        )
    assert peak_of(f"sqlite:///{tmp_path}/t.db") < 450


@pytest.mark.slow
@on_linux
@pytest.mark.usefixtures("credentials")
def test_a_million_rows_of_postgresql_in_bounded_memory(server: postgres.Server) -> None:
    columns = LARGE.replace("i * 0.5", "i * 0.5::float8").replace("i / 3.0", "i / 3.0::float8")
    server.run("drop table if exists t", f"create table t as select i, {columns} from generate_series(1, 1000000) g(i)")
    assert peak_of(server.url) < 450
