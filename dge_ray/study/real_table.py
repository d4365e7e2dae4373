"""A study's real table: read, without the rows and columns that are left out, in its types."""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.study.checks import ROLES, check_target
from dge_ray.study.config import StudyConfig
from dge_ray.table import default_target, drop_columns, drop_missing_target
from dge_ray.table.reading.load import read_told, typed_table
from dge_ray.table.source import check_column_name, drop_empty, infinite_as_missing


def read_real(config: StudyConfig) -> tuple[pa.Table, str]:
    """The real table as it is now, without dropped columns and rows, and its target.

    Types are looked for in the rows that stay: a line of totals, left out for its missing target, decides none. Of a
    private study no value decides one.

    Raises:
        InputError: the source cannot be read, or a key names no column of it.
    """
    read = read_told(config.source, config.reading, as_text=config.private)
    table = read.table
    for name in () if config.private else config.columns:
        check_column_name(f"columns.{name}", name, table.column_names)
    table = drop_columns(table, config.unwanted)
    target = config.target or default_target(config.source)
    if target is None:
        raise InputError("target", "nothing", "target=COLUMN with one of " + ", ".join(table.column_names[:30]))
    check_target(config, target)
    if config.drop_missing_target:
        table = drop_missing_target(table, target)
    if config.private:
        return table, target
    table = typed_table(replace(read, table=table), config.reading, known_kinds(config, table))
    if config.drop_missing_target:  # words that mark a missing value are known for such by now
        table = drop_missing_target(table, target)
    table = drop_empty(table, keep=(target, *(getattr(config, key) for key in ROLES)))
    return (infinite_as_missing(table) if config.infinite == "missing" else table), target


def known_kinds(config: StudyConfig, table: pa.Table) -> dict[str, str | dict[str, Any]]:
    """What the user says of the kinds of the table's columns; others were left out."""
    return {name: given for name, given in config.kinds.items() if name in table.column_names}
