"""Parquet files and folders of them: one table, types that differ in width unified, timestamps as they were written."""

from collections import Counter
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import fs, parquet

from dge_ray.errors import InputError
from dge_ray.table.arrow.arrow_types import pc

INT96 = "INT96"
EARLIEST_NS, LATEST_NS = -(2**63) // 1000 + 1, (2**63) // 1000 - 1  # microseconds that nanoseconds can hold


def read_parquet(filesystem: fs.FileSystem, path: str) -> pa.Table:
    """A file's table."""
    unit = _int96_unit(filesystem, [path])
    with filesystem.open_input_file(path) as file:
        return parquet.ParquetFile(file, coerce_int96_timestamp_unit=unit).read()


def read_parquet_folder(filesystem: fs.FileSystem, path: str, files: list[str], source: str) -> pa.Table:
    """All files of a folder in path order; key=value folder names become columns.

    Raises:
        InputError: files of other columns, or of types that none holds all values of; it names the column.
    """
    from pyarrow import dataset  # imports pandas

    unit = _int96_unit(filesystem, files)
    schemas = [_schema(filesystem, file, unit) for file in files]
    schema = schemas[0]
    for file, other in zip(files[1:], schemas[1:], strict=True):
        if not other.equals(schema):
            schema = _unified(schema, other, source, PurePosixPath(file).name)
    kind: Any = dataset.ParquetFileFormat(coerce_int96_timestamp_unit=unit)
    partitions = dataset.partitioning(flavor="hive")
    found = dataset.dataset(files, filesystem=filesystem, format=kind, partitioning=partitions)
    if all(other.equals(schema) for other in schemas):
        return found.to_table()
    known = set(schema.names)
    whole = pa.schema([*schema, *(field for field in found.schema if field.name not in known)])
    _check_exact(filesystem, files, schemas, schema, unit)
    return dataset.dataset(files, filesystem=filesystem, format=kind, partitioning=partitions, schema=whole).to_table()


def _schema(filesystem: fs.FileSystem, file: str, unit: str | None) -> pa.Schema:
    with filesystem.open_input_file(file) as opened:
        schema = parquet.ParquetFile(opened, coerce_int96_timestamp_unit=unit).schema_arrow.remove_metadata()
    repeated = [name for name, count in Counter(schema.names).items() if count > 1]
    if repeated:
        raise InputError(f"column '{repeated[0]}'", "a name that occurs more than once", "distinct column names")
    return pa.schema([field.remove_metadata() for field in schema])


def _unified(one: pa.Schema, other: pa.Schema, source: str, file: str) -> pa.Schema:
    """The columns of the first in types that hold the values of both."""
    lacking = [name for name in one.names if name not in other.names]
    more = [name for name in other.names if name not in one.names]
    if lacking or more:
        got = f"'{source}', '{file}' {'without' if lacking else 'with'} column '{(lacking or more)[0]}'"
        raise InputError("source", got + (", which the others have" if lacking else " alone"), "files of one schema")
    fields = []
    for field in one:
        second = other.field(field.name)
        try:
            both = pa.unify_schemas(
                [pa.schema([field.with_nullable(True)]), pa.schema([second.with_nullable(True)])],
                promote_options="permissive",
            )
        except pa.ArrowException:
            got = f"{field.type} and, in '{file}', {second.type}"
            raise InputError(f"column '{field.name}'", got, "types that differ in width alone") from None
        fields.append(both.field(0))
    return pa.schema(fields)


def _check_exact(
    filesystem: fs.FileSystem,
    files: list[str],
    schemas: list[pa.Schema],
    schema: pa.Schema,
    unit: str | None,
) -> None:
    """Refuse a column of which a value would change in the common type, as whole numbers beyond 2**53 in double."""
    for file, own in zip(files, schemas, strict=True):
        for field in schema:
            if own.field(field.name).type == field.type:
                continue
            with filesystem.open_input_file(file) as opened:
                reader = parquet.ParquetFile(opened, coerce_int96_timestamp_unit=unit)
                column = reader.read(columns=[field.name]).column(0)
            try:
                column.cast(field.type)
            except pa.ArrowException:
                got = f"{column.type} in '{PurePosixPath(file).name}' with values that {field.type} cannot hold"
                takes = "files of one type, or values that both hold"
                raise InputError(f"column '{field.name}'", got, takes) from None


def _int96_unit(filesystem: fs.FileSystem, files: list[str]) -> str | None:
    """The unit that timestamps of the old INT96 are read in: Arrow's own, nanoseconds, unless some lie outside of it
    (before 1677, after 2262), where it would wrap around without a word."""
    for file in files:
        with filesystem.open_input_file(file) as opened:
            reader = parquet.ParquetFile(opened, coerce_int96_timestamp_unit="us")
            names = [c.name for c in _columns(reader) if c.physical_type == INT96 and c.path == c.name]
            if not names:
                continue
            for column in reader.read(columns=names).columns:
                counts = column.cast(pa.int64())
                low, high = pc.min_max(counts).as_py().values()
                if low is not None and (low < EARLIEST_NS or high > LATEST_NS):
                    return "us"
    return None


def _columns(reader: parquet.ParquetFile) -> list[Any]:
    return [reader.schema.column(i) for i in range(len(reader.schema))]
