"""A database's table or query, read in batches to Arrow: any URL that SQLAlchemy knows, and DuckDB's files.

A URL carries no password: that comes from the environment, as the database's own client reads it (PGPASSWORD,
PGPASSFILE, MYSQL_PWD) or as DGE_RAY_DATABASE_USER and DGE_RAY_DATABASE_PASSWORD. Files, and PostgreSQL, are opened for
reading alone; elsewhere nothing is committed.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.masking import MASK, mask, refuse_secrets
from dge_ray.table.reading.options import Reading

BATCH = 20_000  # rows read at once
USER, PASSWORD = "DGE_RAY_DATABASE_USER", "DGE_RAY_DATABASE_PASSWORD"
FILE_SYSTEMS = {"file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss", "mock", "http", "https"}
FILE_ENDINGS = {".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite", ".duckdb": "duckdb"}
FILES = ("sqlite", "duckdb")  # whose URL has the path of a file behind :///
_SPELLED = {"postgres": "postgresql"}
_DRIVERS = {
    "postgresql": (("psycopg", "psycopg"), ("psycopg2", "psycopg2")),
    "mysql": (("mysqldb", "MySQLdb"), ("pymysql", "pymysql"), ("mysqlconnector", "mysql")),
    "mariadb": (("mysqldb", "MySQLdb"), ("pymysql", "pymysql"), ("mariadbconnector", "mariadb")),
}
_TAKES = "a database's URL, as postgresql://host/name or sqlite:///file.db, with query='select ...' or table=NAME"
# What an error of these tells is about the statement or the connection. Others quote values of rows.
_TOLD = {"OperationalError", "ProgrammingError", "InterfaceError", "ArgumentError"}
_TOLD |= {"CatalogException", "ParserException", "BinderException", "IOException"}


def is_database(source: str) -> bool:
    """Whether a source is a database's URL, or a file of one by its ending."""
    if "://" not in source:
        return Path(source).suffix.lower() in FILE_ENDINGS
    scheme = source.partition("://")[0].partition("+")[0].lower()
    return scheme == "duckdb" or (scheme not in FILE_SYSTEMS and _is_dialect(_SPELLED.get(scheme, scheme)))


def place_database(source: str, place: Callable[[str], str]) -> str:
    """The source with `place(path)` for the relative path of a database in a file."""
    head, mark, rest = source.rpartition(":///") if ":///" in source else ("", "", source)
    path, query, options = rest.partition("?")
    is_file = not mark or head.partition("+")[0] in FILES
    if not is_file or not path or path.startswith(("/", "~", ":")):
        return source
    return f"{head}{mark}{place(path)}{query}{options}"


def _url(source: str) -> str:
    """The URL of a source that `is_database`, the path of a file absolute."""
    if "://" not in source:
        source = f"{FILE_ENDINGS[Path(source).suffix.lower()]}:///{source}"
    scheme, _, rest = source.partition("://")
    kind, plus, driver = scheme.partition("+")
    path = rest[1:].partition("?")[0]
    if kind in FILES and path.startswith("~"):
        rest = "/" + os.path.expanduser(rest[1:])
    return f"{_SPELLED.get(kind, kind)}{plus}{driver}://{rest}"


def read_database(source: str, reading: Reading) -> pa.Table:
    """What the query, or the table, gives: columns in the database's types, rows in its order.

    A table with a primary key is read in its order. Give a query an `order by`: a study is of its rows in their order.

    Raises:
        InputError: a URL with a password in it, no query or both it and a table, no such database, table or driver, or
            a statement that the database refuses.
    """
    for text in (source, unquote_plus(source)):
        refuse_secrets("source", text)
    refuse_secrets("query", reading.query or "")
    if (reading.query is None) == (reading.table is None):
        got = "nothing" if reading.query is None else "a query and a table"
        raise InputError("query", got, "query='select ...' or table=NAME")
    url = _url(source)
    with _told(source):
        read = list(_duckdb(url, reading) if url.startswith("duckdb:") else _sqlalchemy(url, reading))
    if not read:
        raise InputError("query", "a statement without rows", "a select")
    return _joined(read[0][0], [columns for _, columns in read])


# Any database of SQLAlchemy's


def _is_dialect(name: str) -> bool:
    try:
        from sqlalchemy.dialects import registry
        from sqlalchemy.exc import NoSuchModuleError
    except ImportError:
        return False
    try:
        registry.load(name)
    except NoSuchModuleError:
        return False
    return True


def _sqlalchemy(url: str, reading: Reading) -> Iterator[tuple[list[str], list[pa.Array]]]:
    import sqlalchemy

    place = sqlalchemy.make_url(url)
    if place.drivername in _DRIVERS:  # no driver is named: SQLAlchemy would take one, whether it is there or not
        found = [driver for driver, package in _DRIVERS[place.drivername] if find_spec(package)]
        place = place.set(drivername=f"{place.drivername}+{found[0]}") if found else place
    path = str(place.database) if place.get_backend_name() == "sqlite" else ""
    if path and not path.startswith((":", "file:")):
        _check_file(path)
        place = place.set(database=f"file:{quote(os.path.abspath(path))}")
        place = place.update_query_dict({"mode": "ro", "uri": "true"})
    user = None if place.username in (None, MASK) else place.username  # a study's own file has it masked
    place = place.set(username=user or os.environ.get(USER), password=os.environ.get(PASSWORD))
    engine = sqlalchemy.create_engine(place, poolclass=sqlalchemy.pool.NullPool)
    try:
        with engine.connect() as connection:
            options = {"stream_results": True, "max_row_buffer": BATCH, "no_parameters": True}
            if place.get_backend_name() == "postgresql":
                options["postgresql_readonly"] = True
            rows = connection.execution_options(**options).exec_driver_sql(_statement(connection, reading))
            if not rows.returns_rows:
                return
            names = list(rows.keys())
            yield names, [pa.nulls(0) for _ in names]
            for batch in rows.partitions(BATCH):
                yield names, [_array(column) for column in zip(*batch, strict=True)]
    finally:
        engine.dispose()


def _statement(connection: Any, reading: Reading) -> str:
    """The query, or all of the table, in the order of its primary key if it has one."""
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    if reading.query is not None:
        return reading.query
    name, schema = str(reading.table), None
    inspector = sqlalchemy.inspect(connection)

    def known(name: str, schema: str | None) -> list[str]:
        return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]

    if name not in known(name, None) and "." in name:
        schema, _, name = name.rpartition(".")
    try:
        tables = known(name, schema)
    except SQLAlchemyError:  # no such schema
        tables = []
    if name not in tables:
        raise InputError("table", f"{reading.table!r}, which the database does not have", _listed(tables))
    key = inspector.get_pk_constraint(name, schema).get("constrained_columns") or []
    table = sqlalchemy.table(name, *(sqlalchemy.column(column) for column in key), schema=schema)
    statement = sqlalchemy.select(sqlalchemy.text("*")).select_from(table)
    return str(statement.order_by(*table.columns).compile(connection))


def _listed(tables: Sequence[str]) -> str:
    return "one of " + ", ".join(sorted(tables)[:30]) if tables else "a table or view"


def _array(values: Sequence[Any]) -> pa.Array:
    """A batch of a column, in the type that its values have; texts where they have none in common."""
    try:
        array = pa.array(values)
        if pa.types.is_floating(array.type) and int in set(map(type, values)):  # SQLite has a type a cell
            return array if all(type(v) is not int or int(float(v)) == v for v in values) else _texts(values)
        return array
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _texts(values)


def _texts(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else _text(value) for value in values], pa.large_string())


def _text(value: Any) -> str:
    if isinstance(value, memoryview | bytes | bytearray):
        return bytes(value).hex()
    return f"{value:f}" if isinstance(value, Decimal) and value.is_finite() else str(value)


# DuckDB


def _duckdb(url: str, reading: Reading) -> Iterator[tuple[list[str], list[pa.Array]]]:
    try:
        import duckdb
    except ImportError:
        raise InputError("source", f"'{url}', for which duckdb is needed", "pip install 'dge-ray[duckdb]'") from None
    path = url.removeprefix("duckdb:///").partition("?")[0]
    if path != ":memory:":
        _check_file(path)
    with duckdb.connect(path, read_only=path != ":memory:") as connection:
        query = reading.query
        if query is None:
            schema, _, name = str(reading.table).rpartition(".")
            quoted = ['"' + part.replace('"', '""') + '"' for part in (schema, name) if part]
            query = f"select * from {'.'.join(quoted)}"
        relation = connection.sql(query)
        if relation is None:
            return
        reader = pa.RecordBatchReader.from_stream(relation)
        yield reader.schema.names, [pa.nulls(0, field.type) for field in reader.schema]
        for batch in reader:
            yield reader.schema.names, batch.columns


# Both


def _check_file(path: str) -> None:
    if not Path(path).is_file():
        raise InputError("source", f"'{path}', which does not exist", _TAKES)


def _joined(names: list[str], batches: Iterable[Sequence[pa.Array]]) -> pa.Table:
    """The batches as one table; a column whose batches have no type in common becomes text."""
    columns = []
    for place in range(len(names)):
        pieces = [batch[place] for batch in batches]
        try:
            fields = [pa.schema([("", piece.type)]) for piece in pieces]
            dtype = pa.unify_schemas(fields, promote_options="permissive").field(0).type
            columns.append(pa.chunked_array([piece.cast(dtype) for piece in pieces], dtype))
        except pa.ArrowException:
            columns.append(pa.chunked_array([_texts(piece.to_pylist()) for piece in pieces]))
    return pa.Table.from_arrays(columns, names=names)


@contextmanager
def _told(source: str) -> Iterator[None]:
    """What a driver says, in one line without secrets, and without what quotes a row."""
    try:
        yield
    except ImportError as error:
        got = f"{mask(source)!r}, whose driver is not installed"
        raise InputError("source", got, f"the package {error.name}") from None
    except Exception as error:  # SQLAlchemy and DuckDB have no common class below this one
        if type(error).__module__.partition(".")[0] not in ("sqlalchemy", "duckdb", "_duckdb"):
            raise
        kind = type(error).__name__
        told = str(getattr(error, "orig", None) or error).strip().partition("\n")[0][:200]
        raise InputError("source", f"{mask(source)!r} ({mask(told) if kind in _TOLD else kind})", _TAKES) from None
