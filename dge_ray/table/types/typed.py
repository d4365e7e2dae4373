"""A table whose columns of text have the types that they are written in."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from dge_ray.phrases import one_line, words_of
from dge_ray.table.arrow.arrow_types import is_string, pc, plain
from dge_ray.table.types.digit_dates import digit_note
from dge_ray.table.types.forced import as_kind
from dge_ray.table.types.infer_text import Distinct, Writing, may_be_more, read_words
from dge_ray.table.types.null_values import null_values, with_nulls
from dge_ray.table.types.plain import read_plain, spaced
from dge_ray.table.types.repair import Repair, RepairWarning
from dge_ray.table.types.wholes import as_dates, moment_note

_FORCED = ("numeric", "integer", "datetime", "boolean", "text")
_MOST_CATEGORIES = 50  # of a stored column of text that is no number or date for its owner, though it looks so
_POSTAL = frozenset({"zip", "zipcode", "postcode", "postal", "postalcode", "plz", "postleitzahl", "cep", "pincode"})
_AS_WRITTEN = ("categorical", "identifier", "constant")


def typed(
    table: pa.Table,
    *,
    overrides: Mapping[str, str | Mapping[str, Any]] = {},
    decimal: str = ".",
    thousands: str | None = None,
    dates: str | None = None,
    stored: bool = False,
) -> tuple[pa.Table, dict[str, Repair]]:
    """The table with each column of strings as numbers, dates, times, durations or truth values where nearly all of its
    values are so, and what was repaired to that end, by column.

    Well-formed text has the types that pyarrow's CSV reader gives it; what stays text keeps its type. Codes with a
    leading zero (02134, 0x1F) stay text. Of others the odd values become null (`Repair.missing`), bounds such as '<0.5'
    the bound (`Repair.censored`). Columns of whole numbers that are dates become so, whatever the table was read from.

    `overrides`: column to kind, or to a mapping with a `kind` or `null_values` (values that are missing), as
    `infer_schema` takes them; categories, identifiers and constants are read plainly and never repaired. `decimal`,
    `thousands`: how the table writes numbers where a column does not say; `dates`: day_first or month_first, None for
    each column's own evidence. `stored`: the source has types, so that a column of few different texts is text by its
    owner's will: only those of many are looked at.

    Raises:
        InputError: rows that stand against a kind of `overrides`.

    >>> table, repairs = typed(pa.table({"dose": ["1", "2", "?"]}), overrides={"dose": "integer"})
    >>> table["dose"].to_pylist(), dict(repairs["dose"].missing)
    ([1, 2, None], {'?': 1})
    """
    writing = Writing(decimal, thousands, dates)
    columns, repairs = [], {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        given = overrides.get(name)
        kind = given.get("kind") if isinstance(given, Mapping) else given
        said = null_values(name, given)
        column, before = with_nulls(column, said)
        read, repair = _read(name, column, kind, writing, stored)
        read, after = with_nulls(read, said)  # of a date that is written otherwise
        if said:
            repair = replace(repair or Repair(""), said={value: before[value] + after[value] for value in said})
        columns.append(read)
        if repair is not None:
            repairs[name] = repair
    return pa.Table.from_arrays(columns, names=table.column_names), repairs


def warn_of_text(table: pa.Table, *, stacklevel: int = 2) -> None:
    """A warning for each column of text that holds numbers or dates and will be taken as it stands, as categories."""
    read, _ = typed(table, stored=True)
    for name, before, after in zip(table.column_names, table.columns, read.columns, strict=True):
        if is_string(before.type) and not is_string(after.type):
            text = f"column '{one_line(name)}': text that reads as {after.type}; it is taken as text: convert it"
            warnings.warn(RepairWarning(text, name), stacklevel=stacklevel + 1)


def _read(
    name: str, column: pa.ChunkedArray, kind: Any, writing: Writing, stored: bool
) -> tuple[pa.ChunkedArray, Repair | None]:
    if kind in _FORCED:
        return as_kind(name, column, kind, writing)
    repair = None
    if is_string(column.type) and not (stored and (kind in _AS_WRITTEN or _few(column))):
        flat = plain(column)
        looked = spaced(flat)
        read = read_plain(flat, decimal=writing.decimal, looked=looked)
        if read is None and kind not in _AS_WRITTEN and may_be_more(looked.to_pylist()):
            distinct = Distinct.of(flat)
            parsed, repair = read_words(distinct, writing)
            read = None if parsed is None else distinct.spread(parsed.values)
        if read is not None and kind is None and not stored and pa.types.is_integer(read.type) and _postal(name, flat):
            note = "whole numbers of one length, which its name calls postal codes: they stay text"
            read, repair = None, Repair("text", note=note)
        column = column if read is None else read
    if kind is None and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        dates = as_dates(plain(column), name)
        if dates is not None:
            return dates[0], replace(repair or Repair("date"), kind="date", note=dates[1])
    if kind is None and (note := digit_note(column, name) or moment_note(column, name)):
        repair = (
            Repair("text", note=note) if repair is None else replace(repair, note=f"{repair.note}; {note}".strip("; "))
        )
    return column, repair


def _postal(name: str, flat: pa.ChunkedArray) -> bool:
    """Whether a column of whole numbers is one of codes by its name, and by as many digits in each: those of a state
    without a leading zero too."""
    if not _POSTAL & set(words_of(name)):
        return False
    digits = r"^\s*\d{4,6}\s*$"
    lengths = pc.min_max(pc.utf8_length(pc.utf8_trim_whitespace(flat))).as_py()
    return lengths["min"] == lengths["max"] and pc.all(pc.match_substring_regex(flat, digits)).as_py()


def _few(column: pa.ChunkedArray) -> bool:
    """Whether the different texts are as few as those of categories are."""
    flat = plain(column)
    few = min(_MOST_CATEGORIES, (len(flat) - flat.null_count) // 2)
    sample = pc.count_distinct(flat[: 4 * _MOST_CATEGORIES]).as_py()  # of most columns this says it
    return sample <= few and pc.count_distinct(flat).as_py() <= few
