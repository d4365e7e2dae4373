"""Real tables from files, folders, file-system URIs, scikit-learn's built-in tables and OpenML."""

import os
from collections import Counter
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
from pyarrow import csv, fs, parquet

from dge_ray.errors import InputError, nearest
from dge_ray.local_disk import expanded
from dge_ray.storage import in_time
from dge_ray.table.arrow.arrow_types import is_string, is_string_view, pc
from dge_ray.table.reading.builtin import builtin_names, load_builtin
from dge_ray.table.reading.openml import PREFIX, load_openml, openml_target

FORMATS = "a .csv, .csv.gz or .parquet file, or a folder of .parquet files"
HEADER_BYTES = 1 << 16
LARGEST_BLOCK = 2**31 - 2
FIRST_ROW = 2  # what pyarrow calls the row below the names
_DELIMITERS = (";", "\t", "|")


def load_table(source: str, *, as_text: bool = False) -> pa.Table:
    """The table that `source` names, as plain Arrow columns without metadata; NaN and empty strings are null.

    `as_text`: the columns of a CSV are strings, for no value to decide a type, and a row is what it is whatever the
    others are: one with too few or too many cells has only nulls, bytes that are no UTF-8 are replaced.

    `source`: a path or pyarrow file-system URI (`s3://bucket/t.parquet`) of a CSV or Parquet file or of a folder of
    Parquet files, a built-in table's name, or `openml:NAME`, `openml:NAME@VERSION`, `openml:ID`.

    Raises:
        InputError: nothing there, an unknown format, or contents that cannot be read.
    """
    if source.startswith(PREFIX):
        return _tidy(load_openml(source))
    if source in builtin_names():
        return _tidy(load_builtin(source))
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
            return _tidy(_read_folder(filesystem, path, source))
        name = path.lower()
        if not name.endswith((".csv", ".csv.gz", ".parquet")):
            raise InputError("source", f"'{source}', an unknown format", FORMATS)
        if info.size == 0:
            raise InputError("source", f"'{source}', an empty file", FORMATS)
        if name.endswith(".parquet"):
            return _tidy(_read_parquet(filesystem, path))
        return _tidy(_read_csv_text(filesystem, path) if as_text else _read_csv(filesystem, path, source))
    except (pa.ArrowException, OSError) as error:
        raise InputError("source", f"'{source}', which cannot be read ({_first_line(error)})", FORMATS) from error


def default_target(source: str) -> str | None:
    """The column that a source itself calls its target: built-in tables and most OpenML tables have one."""
    if source.startswith(PREFIX):
        return openml_target(source)
    return "target" if source in builtin_names() else None


def parquet_files(source: str) -> list[tuple[pa.Schema, int]]:
    """The schema, metadata included, and the rows of each Parquet file that `load_table` reads, in its order.

    Nothing for other sources, which carry no metadata, and for those that `load_table` refuses.
    """
    if source.startswith(PREFIX) or source in builtin_names():
        return []
    filesystem, path = _locate(source)
    if filesystem.get_file_info(path).type is fs.FileType.Directory:
        files = _files_below(filesystem, path)
    else:
        files = [path] if path.lower().endswith(".parquet") else []
    footers = []
    for file in files:
        with filesystem.open_input_file(file) as opened:
            read = parquet.ParquetFile(opened)
            footers.append((read.schema_arrow, read.metadata.num_rows))
    return footers


def _locate(source: str) -> tuple[fs.FileSystem, str]:
    if "://" not in source:
        return fs.LocalFileSystem(), os.path.abspath(expanded(source, "source"))
    try:
        return in_time(lambda: fs.FileSystem.from_uri(source))
    except (pa.ArrowException, OSError, ValueError) as error:
        takes = "a path or a file-system URI: file://, s3://, gs://, hdfs://, abfs://"
        raise InputError("source", f"'{source}' ({_first_line(error)})", takes) from error


def _read_parquet(filesystem: fs.FileSystem, path: str) -> pa.Table:
    with filesystem.open_input_file(path) as file:
        return parquet.ParquetFile(file).read()


def _read_folder(filesystem: fs.FileSystem, path: str, source: str) -> pa.Table:
    """All .parquet files below a folder, in path order; key=value folder names become columns."""
    from pyarrow import dataset  # imports pandas

    files = _files_below(filesystem, path)
    if not files:
        raise InputError("source", f"'{source}', a folder without .parquet files", FORMATS)
    first = None
    for file in files:
        with filesystem.open_input_file(file) as opened:
            schema = parquet.read_schema(opened).remove_metadata()
        repeated = [name for name, count in Counter(schema.names).items() if count > 1]
        if repeated:
            raise InputError(f"column '{repeated[0]}'", "a name that occurs more than once", "distinct column names")
        first = first or schema
        if not schema.equals(first):
            names = f"'{PurePosixPath(file).name}' against '{PurePosixPath(files[0]).name}'"
            raise InputError("source", f"'{source}', files with different columns or types ({names})", "one schema")
    partitions = dataset.partitioning(flavor="hive")
    return dataset.dataset(files, filesystem=filesystem, format="parquet", partitioning=partitions).to_table()


def _files_below(filesystem: fs.FileSystem, path: str) -> list[str]:
    entries = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    return sorted(i.path for i in entries if i.is_file and i.path.lower().endswith(".parquet") and i.size)


def _read_csv(filesystem: fs.FileSystem, path: str, source: str) -> pa.Table:
    """Types as pyarrow infers them from the whole file; an empty cell is null, in string columns too."""
    # "NA", "null" and the like are missing in numbers, but may be words (Namibia) in strings.
    convert = csv.ConvertOptions(strings_can_be_null=False)
    with _open_text(filesystem, path) as stream:
        options = _parse_options(stream.read(HEADER_BYTES))
    with _open_text(filesystem, path) as stream:
        table = csv.read_csv(stream, parse_options=options, convert_options=convert)
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise InputError("source", f"'{source}', column '{field.name}' is not UTF-8 text", "UTF-8 text")
    return table


def _read_csv_text(filesystem: fs.FileSystem, path: str) -> pa.Table:
    """Every cell as text, each row by itself. (A quote that is never closed takes all that follows into its cell.)"""
    with _open_text(filesystem, path) as stream:
        raw = stream.read()
    options = _parse_options(raw[:HEADER_BYTES])
    # One block: a row longer than a block would be refused. One thread: rows are counted.
    read = csv.ReadOptions(use_threads=False, block_size=min(len(raw) + 1, LARGEST_BLOCK))
    names = csv.open_csv(pa.BufferReader(raw), read, _skipping(options, [])).schema.names
    broken: list[int] = []
    convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.binary()))
    table = csv.read_csv(pa.BufferReader(raw), read, _skipping(options, broken), convert)
    if broken:
        places: list[int | None] = [None] * (table.num_rows + len(broken))
        whole = np.setdiff1d(np.arange(len(places)), broken, assume_unique=True)
        for row, place in enumerate(whole.tolist()):
            places[place] = row
        table = table.take(pa.array(places, pa.int64()))
    return pa.Table.from_arrays([_decoded(column) for column in table.columns], names=table.column_names)


def _skipping(options: csv.ParseOptions, broken: list[int]) -> csv.ParseOptions:
    """The options for a reading that leaves out rows with another number of cells, and lists their places."""

    def note(row: csv.InvalidRow) -> str:
        if row.number is not None:
            broken.append(row.number - FIRST_ROW)
        return "skip"

    return csv.ParseOptions(delimiter=options.delimiter, newlines_in_values=True, invalid_row_handler=note)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = [None if value is None else value.decode("utf-8", "replace") for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])


def _open_text(filesystem: fs.FileSystem, path: str) -> pa.NativeFile:
    return filesystem.open_input_stream(path, compression="gzip" if path.lower().endswith(".gz") else None)


def _parse_options(start: bytes) -> csv.ParseOptions:
    header = start.split(b"\n", 1)[0].decode("utf-8", "replace")
    # A header without a comma and with another usual delimiter says what the file uses.
    delimiter = next((d for d in _DELIMITERS if d in header), ",") if "," not in header else ","
    return csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)


def _tidy(table: pa.Table) -> pa.Table:
    """The columns alone: no metadata, no stored pandas index, nothing marked non-null, NaN and '' as null."""
    described = table.schema.pandas_metadata or {}
    index = {i for i in described.get("index_columns", []) if isinstance(i, str) and i.startswith("__index_level_")}
    kept = [i for i, name in enumerate(table.column_names) if name not in index]
    columns = [_without_blanks(table.column(i)) for i in kept]
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
