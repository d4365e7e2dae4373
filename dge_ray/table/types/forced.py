"""A column in the kind that the user names, whatever it is stored as; or which rows stand against it."""

import numpy as np
import pyarrow as pa

from dge_ray.phrases import advice
from dge_ray.table.arrow.arrow_types import counts, is_number, is_string, is_temporal, measured, pc, plain, value_type
from dge_ray.table.types.dates import days_of
from dge_ray.table.types.infer_text import SHARE, Distinct, Writing, parse, repair_of, share_of
from dge_ray.table.types.parsed import Parsed
from dge_ray.table.types.plain import read_plain
from dge_ray.table.types.repair import Repair, stands_against
from dge_ray.table.types.wholes import as_dates
from dge_ray.table.types.words import trimmed_text

TEXT_KINDS = ("number", "date", "time", "duration")
_DIGITS = (r"^(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)$", r"^(?P<day>\d\d)(?P<month>\d\d)(?P<year>\d{4})$",
    r"^(?P<month>\d\d)(?P<day>\d\d)(?P<year>\d{4})$")  # fmt: skip
_MONTHLY = (r"^(?P<year>\d{4})[-/. ]?(?P<month>\d{1,2})$", r"^(?P<month>\d{1,2})[-/.](?P<year>\d{4})$")
_PERIODS = tuple(
    order.format(period=period)
    for period in (r"[Qq](?P<quarter>[1-4])", r"[Ww](?P<week>\d{1,2})")
    for order in (r"^(?P<year>\d{{4}})[-/ ]?{period}$", r"^{period}[-/ ]?(?P<year>\d{{4}})$")
)


def as_kind(name: str, column: pa.ChunkedArray, kind: str, writing: Writing) -> tuple[pa.ChunkedArray, Repair | None]:
    """The column (n,) as numeric, integer, datetime, boolean or text, and what was repaired.

    Raises:
        InputError: more than one in ten of its values are none of the kind: with how many rows, and the first of them.
    """
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
        if (digits := _digits(distinct, writing)) is not None:
            return distinct.spread(digits.values), repair_of(distinct, digits, writing)
        if read is None or not is_number(read.type):
            return _forced(name, flat, ["datetime"], ["date", "time", "duration"], writing)
        column = read
    if is_number(column.type) and (dates := as_dates(plain(column), name, forced=True)):
        return dates[0], Repair("date", note=dates[1])
    present = np.flatnonzero(np.asarray(column.is_valid())).tolist()
    raise stands_against(name, "datetime", present, "dates, or whole numbers as 20240320 or seconds since 1970")


def _digits(distinct: Distinct, writing: Writing) -> Parsed | None:
    """Dates of digits alone (22032024), or of a month (2024-03), a quarter (Q1 2024) or an ISO week (2024-W05), whose
    first day they are."""
    texts = trimmed_text(distinct.texts)
    both = _DIGITS if writing.dates != "month_first" else (_DIGITS[0], _DIGITS[2], _DIGITS[1])
    best: Parsed | None = None
    for pattern in (*both, *_MONTHLY, *_PERIODS):
        parts = pc.extract_regex(texts, pattern)
        named = {
            f.name: np.asarray(pc.fill_null(pc.struct_field(parts, [f.name]), "0").cast(pa.int64())) for f in parts.type
        }
        month = named["month"] if "month" in named else 3 * named.get("quarter", np.ones(len(texts), np.int64)) - 2
        days, valid = days_of(named["year"], month, named.get("day", np.ones(len(texts), np.int64)))
        if "week" in named:  # the first ISO week has the year's fourth day, and weeks begin on Mondays
            days += 3 - (days + 3 + 3) % 7 + 7 * (named["week"] - 1)
            valid &= (named["week"] >= 1) & (named["week"] <= 53)
        valid &= np.asarray(parts.is_valid()) & (named["year"] >= 1000)
        values = pa.array(days.astype(np.int32), pa.int32(), mask=~valid).cast(pa.date32())
        order = ", ".join(f.name for f in parts.type)
        parsed = Parsed("date", values, np.zeros(len(texts), bool), (f"digits of {order}",))
        if share_of(distinct, parsed) >= SHARE and (best is None or valid.sum() > best.valid.sum()):
            best = parsed
    return best


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
