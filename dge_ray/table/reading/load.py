"""Real tables as they are: of files, folders, URIs, databases, Python's own, scikit-learn's and OpenML's."""

import os
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs, parquet

from dge_ray.errors import InputError, nearest
from dge_ray.storage import expanded, in_time
from dge_ray.table.arrow.arrow_types import is_string, is_string_view, pc
from dge_ray.table.arrow.extensions import own_type
from dge_ray.table.reading.builtin import builtin_names, load_builtin
from dge_ray.table.reading.csv_file import read_csv, read_csv_rows
from dge_ray.table.reading.database import is_database, read_database
from dge_ray.table.reading.encoding import COMPRESSIONS
from dge_ray.table.reading.openml import PREFIX, load_openml, openml_target
from dge_ray.table.reading.options import AS_FOUND, Reading, ReadingWarning, ReadTable
from dge_ray.table.reading.parquet import read_parquet, read_parquet_folder
from dge_ray.table.reading.python_objects import arrow_table
from dge_ray.table.reading.sheet import read_sheet
from dge_ray.table.types import typed, warn_of
from dge_ray.table.types.null_values import KEY as NULL_VALUES
from dge_ray.table.types.null_values import without_null_values

TEXTS = (".csv", ".tsv", ".txt")
ENDINGS = (*TEXTS, *(text + ending for text in TEXTS for ending in COMPRESSIONS))
FORMATS = (
    "a .csv, .tsv or .txt file, plain or .gz, .zst or .bz2, a .parquet or .xlsx file, a folder of .parquet or .csv "
    "files, or a database's URL"
)
_OF_A_DATABASE = ("query", "table")


def load_table(
    source: Any,
    reading: Reading = AS_FOUND,
    overrides: Mapping[str, str | Mapping[str, Any]] = {},
    *,
    as_text: bool = False,
) -> pa.Table:
    """As `read_table`, its columns of text in the types that they are written in, as plain Arrow columns.

    What was read otherwise than it is written is warned about. `overrides`: column to kind, or to a mapping with a
    `kind`. `as_text`: of a CSV no type is looked for; other sources have theirs.

    Raises:
        InputError: as `read_table`, or rows that stand against a kind of `overrides`.
    """
    read = read_told(source, reading, as_text=as_text)
    return read.table if as_text else typed_table(read, reading, overrides)


def read_told(source: Any, reading: Reading = AS_FOUND, *, as_text: bool = False) -> ReadTable:
    """As `read_table`, with a warning for each of its notes."""
    read = read_table(source, reading, as_text=as_text)
    for note in read.notes:
        warnings.warn(f"{_short(source)}: {note}", ReadingWarning, stacklevel=2)
    return read


def typed_table(
    read: ReadTable, reading: Reading = AS_FOUND, overrides: Mapping[str, str | Mapping[str, Any]] = {}
) -> pa.Table:
    """What was read in the types that it is written in, with a warning for each column that was repaired.

    Raises:
        InputError: rows that stand against a kind of `overrides`.
    """
    stored, source = read.dialect is None, read.table
    decimal, thousands = reading.decimal or ".", reading.thousands
    if read.dialect is not None:
        decimal, thousands = read.dialect.decimal, read.dialect.thousands
    elif reading.null_values:
        source = without_null_values(source, {name: {NULL_VALUES: reading.null_values} for name in source.column_names})
    table, repairs = typed(
        source, overrides=overrides, decimal=decimal, thousands=thousands, dates=reading.dates, stored=stored
    )
    warn_of(repairs, stacklevel=2)
    if stored:
        return table
    empty = [column.null_count == table.num_rows for column in table.columns]
    columns = [pa.nulls(table.num_rows) if e else c for e, c in zip(empty, table.columns, strict=True)]
    return pa.Table.from_arrays(columns, names=table.column_names)


def read_table(source: Any, reading: Reading = AS_FOUND, *, as_text: bool = False) -> ReadTable:
    """The table that `source` names, as it is: of a CSV all columns are text, otherwise they have their types.

    `as_text`: for no value to decide how a CSV is read, the header alone says what `reading` does not, and a row is
    what it is whatever the others are: one with too few or too many cells has only nulls.

    `source`: a path or pyarrow file-system URI (`s3://bucket/t.parquet`) of a CSV, Parquet or Excel file or of a folder
    of CSV or Parquet files, a database's URL (with `reading.query` or `reading.table`), a built-in table's name,
    `openml:NAME`, `openml:NAME@VERSION`, `openml:ID`, or a table of Python's (`arrow_table`).

    Raises:
        InputError: nothing there, an unknown format, contents that cannot be read, or a key of another kind of source.
    """
    if not isinstance(source, str):
        _refuse_keys(reading, (*_OF_A_DATABASE, "sheet"))
        return ReadTable(_tidy(arrow_table(source)))
    if is_database(source):
        _refuse_keys(reading, ("sheet",))
        return ReadTable(_tidy(read_database(source, reading)))
    _refuse_keys(reading, _OF_A_DATABASE)
    if source.startswith(PREFIX) or source in builtin_names():
        _refuse_keys(reading, ("sheet",))
        return ReadTable(_tidy(load_openml(source) if source.startswith(PREFIX) else load_builtin(source)))
    filesystem, path = _locate(source)
    try:
        info = in_time(lambda: filesystem.get_file_info(path))
    except (pa.ArrowException, OSError) as error:
        raise InputError("source", f"'{source}', which cannot be read ({_first_line(error)})", FORMATS) from error
    if info.type is fs.FileType.NotFound:
        known = (
            f", or a built-in table: {nearest(source, builtin_names())}" if PurePosixPath(source).suffix == "" else ""
        )
        at = "" if "://" in source or source == path else f" ({path})"
        raise InputError("source", f"'{source}', which does not exist{at}", FORMATS + known)
    try:
        if info.type is fs.FileType.Directory:
            return _read_folder(filesystem, path, source, reading, as_text)
        return _read_file(filesystem, path, source, reading, as_text)
    except (pa.ArrowException, OSError) as error:
        raise InputError("source", f"'{source}', which cannot be read ({_first_line(error)})", FORMATS) from error


def default_target(source: Any) -> str | None:
    """The column that a source itself calls its target: built-in tables and most OpenML tables have one."""
    if not isinstance(source, str):
        return None
    if source.startswith(PREFIX):
        return openml_target(source)
    return "target" if source in builtin_names() else None


def parquet_files(source: str) -> list[tuple[pa.Schema, int]]:
    """The schema, metadata included, and the rows of each Parquet file that `read_table` reads, in its order.

    Nothing for other sources, which carry no metadata, and for those that `read_table` refuses.
    """
    if source.startswith(PREFIX) or source in builtin_names() or is_database(source):
        return []
    filesystem, path = _locate(source)
    if filesystem.get_file_info(path).type is fs.FileType.Directory:
        files = _files_below(filesystem, path, (".parquet",))
    else:
        files = [path] if path.lower().endswith(".parquet") else []
    footers = []
    for file in files:
        with filesystem.open_input_file(file) as opened:
            read = parquet.ParquetFile(opened)
            footers.append((read.schema_arrow, read.metadata.num_rows))
    return footers


def _short(source: Any) -> str:
    return PurePosixPath(source).name if isinstance(source, str) else "the table"


def _refuse_keys(reading: Reading, keys: tuple[str, ...]) -> None:
    for key in keys:
        if (value := getattr(reading, key)) is not None:
            kind = "an .xlsx file" if key == "sheet" else "a database's URL"
            raise InputError(key, f"{value!r} for another kind of source", f"{kind} as the source, or no {key}=")


def _locate(source: str) -> tuple[fs.FileSystem, str]:
    if "://" not in source:
        return fs.LocalFileSystem(), os.path.abspath(expanded(source, "source"))
    try:
        return in_time(lambda: fs.FileSystem.from_uri(source))
    except (pa.ArrowException, OSError, ValueError) as error:
        takes = "a path, a file-system URI (file://, s3://, gs://, hdfs://, abfs://), or a database's URL"
        raise InputError("source", f"'{source}' ({_first_line(error)})", takes) from error


def _read_file(filesystem: fs.FileSystem, path: str, source: str, reading: Reading, as_text: bool) -> ReadTable:
    name = path.lower()
    if not name.endswith((*ENDINGS, ".parquet", ".xlsx")):
        raise InputError("source", f"'{source}', an unknown format", FORMATS)
    if filesystem.get_file_info(path).size == 0:
        raise InputError("source", f"'{source}', an empty file", FORMATS)
    if name.endswith(".xlsx"):
        table, notes = read_sheet(filesystem, path, source, reading)
        return ReadTable(_tidy(table), notes=notes)
    _refuse_keys(reading, ("sheet",))
    if name.endswith(".parquet"):
        return ReadTable(_tidy(read_parquet(filesystem, path)))
    if as_text:
        return ReadTable(read_csv_rows(filesystem, path, source, reading))
    return read_csv(filesystem, path, source, reading)


def _read_folder(filesystem: fs.FileSystem, path: str, source: str, reading: Reading, as_text: bool) -> ReadTable:
    """All .parquet files below a folder, or else those of the first other ending that is there."""
    _refuse_keys(reading, ("sheet",))
    if files := _files_below(filesystem, path, (".parquet",)):
        return ReadTable(_tidy(read_parquet_folder(filesystem, path, files, source)))
    endings = ((text, *(text + ending for ending in COMPRESSIONS)) for text in TEXTS)
    files = next((found for ending in endings if (found := _files_below(filesystem, path, ending))), [])
    if not files:
        raise InputError("source", f"'{source}', a folder without .parquet or .csv files", FORMATS)
    parts = [_read_file(filesystem, file, file, reading, as_text) for file in files]
    first = parts[0].table.column_names
    for file, part in zip(files, parts, strict=True):
        own = Counter(part.table.column_names)
        if own != Counter(first):
            odd = sorted((own - Counter(first)) or (Counter(first) - own))
            got = f"'{source}', files with different columns ('{PurePosixPath(file).name}': column '{odd[0]}')"
            raise InputError("source", got, "files with the same names of columns")
    below = [_partitions(file.removeprefix(path)) for file in files]
    tables = []
    for part, keys in zip(parts, below, strict=True):
        table = part.table if part.table.column_names == first else part.table.select(first)
        for key in below[0]:
            value = pa.repeat(pa.scalar(keys.get(key), pa.large_string()), table.num_rows)
            table = table.append_column(key, value)
        tables.append(table)
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return ReadTable(pa.concat_tables(tables), parts[0].dialect, notes)


def _partitions(path: str) -> dict[str, str]:
    """The key=value folders of a path."""
    return {key: value for key, mark, value in (step.partition("=") for step in path.split("/")[:-1]) if mark}


def _files_below(filesystem: fs.FileSystem, path: str, endings: tuple[str, ...]) -> list[str]:
    entries = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    return sorted(i.path for i in entries if i.is_file and i.path.lower().endswith(endings) and i.size)


def _tidy(table: pa.Table) -> pa.Table:
    """The columns alone: no metadata, no stored pandas index, nothing marked non-null, NaN and '' as null."""
    described = table.schema.pandas_metadata or {}
    index = {i for i in described.get("index_columns", []) if isinstance(i, str) and i.startswith("__index_level_")}
    kept = [i for i, name in enumerate(table.column_names) if name not in index]
    columns = [_without_blanks(own_type(table.field(i), table.column(i))) for i in kept]
    return pa.Table.from_arrays(columns, names=[table.column_names[i] for i in kept])


def _without_blanks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type) and not pa.types.is_float16(column.type):
        blank = pc.is_nan(column)
    elif is_string(column.type) and not is_string_view(column.type):
        blank = pc.equal(column, "")
    else:
        return column
    return pc.if_else(blank, pa.scalar(None, column.type), column) if pc.any(blank).as_py() else column


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
