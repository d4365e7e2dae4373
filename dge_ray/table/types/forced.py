"""A column in the kind that the user names, whatever it is stored as; or which rows stand against it."""

import numpy as np
import pyarrow as pa

from dge_ray.phrases import advice
from dge_ray.table.arrow.arrow_types import counts, is_number, is_string, is_temporal, measured, pc, plain, value_type
from dge_ray.table.types.digit_dates import digit_text, read_digits
from dge_ray.table.types.infer_text import SHARE, Distinct, Writing, parse, repair_of, share_of
from dge_ray.table.types.plain import read_plain
from dge_ray.table.types.repair import Repair, stands_against
from dge_ray.table.types.wholes import as_dates, as_seconds

TEXT_KINDS = ("number", "date", "time", "duration")


def as_kind(name: str, column: pa.ChunkedArray, kind: str, writing: Writing) -> tuple[pa.ChunkedArray, Repair | None]:
    """The column (n,) as numeric, integer, datetime, boolean or text, and what was repaired.

    Raises:
        InputError: more than one in ten of its values are none of the kind: with how many rows, and the first of them.
    """
    if column.null_count == len(column):
        return column, None
    if isinstance(column.type, pa.DictionaryType) and kind != "boolean":
        column = column.cast(value_type(column.type))
    if kind == "text":
        return (column if is_string(column.type) else as_text(column)), None
    if kind in ("numeric", "integer"):
        column, repair = _number(name, column, kind, writing)
        if kind == "integer":
            _check_whole(name, column)
        return column, repair
    if kind == "datetime":
        return _date(name, column, writing)
    return _boolean(name, column)


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column's values as they are written."""
    flat = plain(column)
    if pa.types.is_floating(flat.type):  # 2.0 was a 2 that stood beside missing values
        whole = pc.all(pc.equal(flat, pc.round(flat))).as_py()
        flat = flat.cast(pa.int64()) if whole and (pc.max(pc.abs(flat)).as_py() or 0) < 2**53 else flat
    return flat.cast(pa.string())


def _number(name: str, column: pa.ChunkedArray, kind: str, writing: Writing) -> tuple[pa.ChunkedArray, Repair | None]:
    if is_number(column.type):
        return column, None
    if pa.types.is_boolean(column.type):
        return column.cast(pa.int64()), None
    if is_temporal(column.type):
        return counts(plain(column)), Repair("number", note=f"counts of {column.type}")
    flat = plain(column)
    read = read_plain(flat, decimal=writing.decimal)
    if read is not None and is_number(read.type):
        return read, None
    return _forced(name, flat, [kind], ["number"], writing)


def _check_whole(name: str, column: pa.ChunkedArray) -> None:
    numbers = measured(column)
    broken = np.flatnonzero(~np.isnan(numbers) & (numbers != np.rint(numbers)))
    if len(broken):
        takes = f"whole numbers; {advice(f'columns.{name}', 'numeric')} takes decimals"
        raise stands_against(name, "integer", broken.tolist(), takes)


def _date(name: str, column: pa.ChunkedArray, writing: Writing) -> tuple[pa.ChunkedArray, Repair | None]:
    if is_temporal(column.type):
        return column, None
    if is_string(column.type):
        flat = plain(column)
        read = read_plain(flat)
        if read is not None and is_temporal(read.type):
            return read, None
        distinct = Distinct.of(flat)
        if (digits := read_digits(distinct, writing.dates)) is not None:
            return distinct.spread(digits.values), repair_of(distinct, digits, writing)
        if read is None or not is_number(read.type):
            return _forced(name, flat, ["datetime"], ["date", "time", "duration"], writing)
        column = read
    if is_number(column.type) and (dates := as_dates(plain(column), name, forced=True)):
        return dates[0], Repair("date", note=dates[1])
    if is_number(column.type) and (texts := digit_text(plain(column))) is not None:
        distinct = Distinct.of(texts)
        if (digits := read_digits(distinct, writing.dates)) is not None:
            return distinct.spread(digits.values), repair_of(distinct, digits, writing)
    if is_number(column.type) and (moments := as_seconds(plain(column))):
        return moments[0], Repair("date", note=moments[1])
    present = np.flatnonzero(np.asarray(column.is_valid())).tolist()
    raise stands_against(name, "datetime", present, "dates, or whole numbers as 20240320 or seconds since 1970")


def _boolean(name: str, column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, Repair | None]:
    flat = plain(column)
    if pa.types.is_boolean(flat.type) or len(pc.unique(flat.drop_null())) <= 2 or not is_string(flat.type):
        return column, None  # two values of any type are a boolean; others are refused where kinds are checked
    return _forced(name, flat, ["boolean"], ["boolean"], Writing())


def _forced(
    name: str, flat: pa.ChunkedArray, wanted: list[str], kinds: list[str], writing: Writing
) -> tuple[pa.ChunkedArray, Repair | None]:
    distinct = Distinct.of(flat)
    best = max((parse(distinct, kind, writing) for kind in kinds), key=lambda parsed: share_of(distinct, parsed))
    if share_of(distinct, best) < SHARE and not distinct.marks.all():
        against = ~best.valid & ~distinct.marks
        rows = np.flatnonzero(np.asarray(pc.fill_null(pa.array(against).take(distinct.rows), False)))
        takes = f"{SHARE:.0%} of the values to be so, the rest are missing then (row 1 is the first below the names)"
        raise stands_against(name, wanted[0], rows.tolist(), takes)
    return distinct.spread(best.values), repair_of(distinct, best, writing)
