"""A study's real table: read, without the rows and columns that are left out, in its types."""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.study.checks import ROLES, check_target
from dge_ray.study.config import StudyConfig
from dge_ray.table import default_target, drop_columns, drop_missing_target
from dge_ray.table.reading.load import read_told, typed_table
from dge_ray.table.reading.options import ReadTable
from dge_ray.table.source import check_column_name, drop_empty, infinite_as_missing
from dge_ray.table.types.null_values import without_null_values


def read_real(config: StudyConfig) -> tuple[pa.Table, str]:
    """The real table as it is now, without dropped columns and rows, and its target.

    Types are looked for in the rows that stay: a line of totals, left out for its missing target, decides none. Of a
    private study no value decides one.

    Raises:
        InputError: the source cannot be read, or a key names no column of it.
    """
    read = read_kept(config, config.source)
    target = config.target or default_target(config.source)
    if target is None:
        raise InputError("target", "nothing", "target=COLUMN with one of " + ", ".join(read.table.column_names[:30]))
    check_target(config, target)
    return in_types(config, read, target), target


def read_kept(config: StudyConfig, source: Any) -> ReadTable:
    """What a source holds (`read_table` says which there are), without the columns that are left out."""
    read = read_told(source, config.reading, as_text=config.private)
    for name in () if config.private else config.columns:
        check_column_name(f"columns.{name}", name, read.table.column_names)
    return replace(read, table=drop_columns(read.table, config.unwanted))


def in_types(config: StudyConfig, read: ReadTable, target: str | None) -> pa.Table:
    """What was read in its types, without rows and columns that hold nothing. `target`: None for a table without."""
    table = read.table
    without_missing = config.drop_missing_target and target is not None
    if without_missing:
        table = drop_missing_target(table, str(target))
    if config.private:
        return without_null_values(table, config.columns)
    table = typed_table(replace(read, table=table), config.reading, known_kinds(config, table))
    if without_missing:  # words that mark a missing value are known for such by now
        table = drop_missing_target(table, str(target))
    table = drop_empty(table, keep=(target, *(getattr(config, key) for key in ROLES)))
    return infinite_as_missing(table) if config.infinite == "missing" else table


def known_kinds(config: StudyConfig, table: pa.Table) -> dict[str, str | dict[str, Any]]:
    """What the user says of the kinds of the table's columns; others were left out."""
    return {name: given for name, given in config.kinds.items() if name in table.column_names}
