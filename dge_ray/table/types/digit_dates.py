"""Dates that look like numbers or codes (220324, 22032024, 2024081), quarters, weeks and short months (Mar-24).

They are told of, and read by the user's word alone, as they could be something else.
"""

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from dge_ray.phrases import advice
from dge_ray.table.arrow.arrow_types import is_number, is_string, pc, plain
from dge_ray.table.types.dates import PIVOT, days_of, month_numbers
from dge_ray.table.types.infer_text import SHARE, Distinct, share_of
from dge_ray.table.types.parsed import Parsed
from dge_ray.table.types.words import trimmed_text

_YEAR, _MONTH, _DAY, _SHORT = r"(?P<year>\d{4})", r"(?P<month>\d\d)", r"(?P<day>\d\d)", r"(?P<short>\d\d)"
_DAY_FIRST, _MONTH_FIRST = (f"^{_DAY}{_MONTH}", f"^{_MONTH}{_DAY}")
_DIGITS = {
    "year, month and day": (f"^{_YEAR}{_MONTH}{_DAY}$", f"^{_SHORT}{_MONTH}{_DAY}$"),
    "day, month and year": (f"{_DAY_FIRST}{_YEAR}$", f"{_DAY_FIRST}{_SHORT}$"),
    "month, day and year": (f"{_MONTH_FIRST}{_YEAR}$", f"{_MONTH_FIRST}{_SHORT}$"),
    "year and day of the year": (f"^{_YEAR}-?(?P<ordinal>\\d{{3}})$",),
}
_MONTHLY = (
    r"^(?P<year>\d{4})[-/. ]?(?P<month>\d{1,2})$",
    r"^(?P<month>\d{1,2})[-/.](?P<year>\d{4})$",
    r"^(?P<name>\pL{3,10})\.?[-/ '’]+(?P<short>\d\d)$",
    r"^(?P<short>\d\d)[-/ '’]+(?P<name>\pL{3,10})\.?$",
)
_PERIODS = tuple(
    order.format(period=period)
    for period in (r"[Qq](?P<quarter>[1-4])", r"[Ww](?P<week>\d{1,2})(?:-(?P<weekday>[1-7]))?")
    for order in (r"^(?P<year>\d{{4}})[-/ ]?{period}$", r"^{period}[-/ ]?(?P<year>\d{{4}})$")
)
_FEWEST = 20  # different values: so many of six digits are all dates by chance in less than 1 of 10^28
_MAY_BE = re.compile(r"\s*\d{4}-?\d{2,4}\s*")
_YEARS = (1900, 2100)  # of eight digits that are told of


def read_digits(distinct: Distinct, dates: str | None) -> Parsed | None:
    """Dates of digits alone, or of a month (2024-03, Mar-24), a quarter (Q1 2024), an ISO week (2024-W05) or its day,
    whose first day they are; None where fewer than nine in ten are such.

    `dates`: day_first or month_first. Of several orders the one is taken that reads most; of equals the first that
    begins with what `dates` says, or else with the year.
    """
    texts = trimmed_text(distinct.texts)
    best: Parsed | None = None
    for order, pattern in (*_orders(dates), *((None, pattern) for pattern in (*_MONTHLY, *_PERIODS))):
        days, valid, parts = _days(texts, pattern)
        values = pa.array(days.astype(np.int32), pa.int32(), mask=~valid).cast(pa.date32())
        note = f"digits of {order}" if order else f"first days of {', '.join(parts)}"
        parsed = Parsed("date", values, np.zeros(len(texts), bool), (note,))
        if share_of(distinct, parsed) >= SHARE and (best is None or valid.sum() > best.valid.sum()):
            best = parsed
    return best


def digit_text(numbers: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Whole numbers (n,) of 5 and 6, 7, or 7 and 8 digits as texts of 6, 7 or 8, as a day's leading zero is lost in a
    number; None for others. (Of 7 digits alone no zero is lost: 2024081.)"""
    least, most = (value.as_py() for value in pc.min_max(numbers).values())
    if least is None or least < 10_101 or most > 99_999_999 or least != int(least):
        return None
    lengths = len(str(int(least))), len(str(int(most)))
    if lengths not in ((5, 5), (5, 6), (6, 6), (7, 7), (7, 8), (8, 8)):
        return None
    try:
        whole = numbers.cast(pa.int64()).cast(pa.string())
    except pa.ArrowInvalid:  # decimals
        return None
    return pc.utf8_lpad(whole, 6 if lengths[1] < 7 else lengths[1], "0")


def digit_note(column: pa.ChunkedArray, name: str) -> str | None:
    """What to tell of a column of whole numbers or codes (n,) all of which could be dates; None of others."""
    if is_string(column.type):  # of most columns the first values say it
        first = column[:_FEWEST].drop_null().to_pylist()
        texts = plain(column) if all(map(_MAY_BE.fullmatch, first)) else None
    else:
        texts = digit_text(plain(column)) if is_number(column.type) else None
    if texts is None or not _could_be(pc.unique(texts[:_FEWEST].drop_null())):
        return None
    orders = _could_be(distinct := pc.unique(texts.drop_null()))
    if len(distinct) < _FEWEST or not orders:
        return None
    text = f"could be dates ({', or '.join(orders)}), and is taken for numbers or codes: "
    text += f"{advice(f'columns.{name}', 'datetime')} reads dates"
    others = [word for word in ("day", "month") if orders[1:] and any(order.startswith(word) for order in orders)]
    ways = " or ".join(advice("csv.dates", f"{word}_first") for word in others)
    return f"{text}, with {ways} beside it of another order" if ways else text


def _could_be(distinct: pa.Array) -> list[str]:
    """The orders in which all of some different texts are dates."""
    texts = trimmed_text(distinct)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    found: list[str] = []
    if not len(texts):
        return found
    for order, pattern in _orders(None):
        days, valid, _ = _days(texts, pattern)
        years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
        if valid.all() and _YEARS[0] <= years.min() and years.max() <= _YEARS[1]:
            found.append(order)
    return found


def _orders(dates: str | None) -> Iterator[tuple[str, str]]:
    """The orders with their patterns, that which `dates` says first."""
    first = {"day_first": "day", "month_first": "month"}.get(dates or "", "year")
    names = sorted(_DIGITS, key=lambda order: not order.startswith(first))
    return ((order, pattern) for order in names for pattern in _DIGITS[order])


def _days(texts: pa.Array, pattern: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Days since 1970 of texts (n,), which of them are of the pattern and exist, and the pattern's parts."""
    parts = pc.extract_regex(texts, pattern)
    named = {
        f.name: np.asarray(_filled(pc.struct_field(parts, [f.name])).cast(pa.int64())) for f in parts.type
        if f.name != "name"
    }  # fmt: skip
    ones = np.ones(len(texts), np.int64)
    if "short" in named:
        named["year"] = named["short"] + np.where(named["short"] >= PIVOT, 1900, 2000)
    month = named["month"] if "month" in named else 3 * named.get("quarter", ones) - 2
    if any(f.name == "name" for f in parts.type):
        month = month_numbers(pc.fill_null(pc.struct_field(parts, ["name"]), ""))
    days, valid = days_of(named["year"], month, named.get("day", ones))
    if "ordinal" in named:
        days += named["ordinal"] - 1
        leap = (days_of(named["year"], 2 * ones, 29 * ones))[1]
        valid &= (named["ordinal"] >= 1) & (named["ordinal"] <= 365 + leap)
    if "week" in named:  # the first ISO week has the year's fourth day, and weeks begin on Mondays
        days += 3 - (days + 3 + 3) % 7 + 7 * (named["week"] - 1) + np.maximum(named["weekday"] - 1, 0)
        valid &= (named["week"] >= 1) & (named["week"] <= 53)
    valid &= np.asarray(parts.is_valid()) & (named["year"] >= 1000)
    return days, valid, [f.name for f in parts.type]


def _filled(part: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(pc.fill_null(part, ""), ""), "0", part)
