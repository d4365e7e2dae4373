"""Texts as dates and timestamps: any usual order and separator, months in words; day or month first by the evidence."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dge_ray.phrases import advice
from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.types.parsed import Parsed
from dge_ray.table.types.words import trimmed_text

ALL_BUT_FEW = 0.9  # of a column's dates that are months, where those without a day are read
PIVOT = 69  # two digits of a year: from here on 19xx, as POSIX has it
# Hours east of UTC of what zones are called; names of several zones (IST) are not read.
_ZONES = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "WET": 0, "WEST": 1}
_ZONES |= {"CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3, "JST": 9, "UTC": 0, "GMT": 0, "Z": 0}
_ZONE = rf"(?P<zone>z|{'|'.join(sorted(_ZONES, reverse=True))}|[+-]\d{{2}}(?::?\d{{2}})?)(?:\[[\w/+-]+\])?"
_CLOCK = (
    r"(?:(?:[T:]|,? )\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    rf"\s*(?P<noon>[AaPp])?(?:\.?[Mm]\.?)?\s*(?:{_ZONE})?)?$"
)
_DAY_NAME = r"^(?:[A-Za-z]{2,9}\.?,?\s+)?"
_ORDERS = (
    r"^(?P<year>\d{4})(?P<mark>[-/. ])(?P<month>\d{1,2})[-/. ](?P<day>\d{1,2})" + _CLOCK,
    _DAY_NAME + r"(?P<first>\d{1,2})(?P<mark>[-/. ])(?P<other>\d{1,2})[-/. ](?P<year>\d{4})" + _CLOCK,
    r"^(?P<first>\d{1,2})(?P<mark>/)(?P<other>\d{1,2})/(?P<year>\d{2})" + _CLOCK,
    r"^(?P<first>\d{2})(?P<mark>\.)(?P<other>\d{2})\.(?P<year>\d{2})" + _CLOCK,  # 3.11.10 is a version
    _DAY_NAME
    + r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\.?[-/ ]?\s*(?P<name>\pL{3,10})\.?[-/, ]?\s*(?P<year>\d{4}|\d{2})"
    + _CLOCK,
    _DAY_NAME
    + r"(?P<name>\pL{3,10})\.?[-/ ]\s*(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:,\s*|[-/ ]\s*)(?P<year>\d{4})"
    + _CLOCK,
    r"^(?P<year>\d{4})[-/ ](?P<name>\pL{3,10})\.?[-/ ](?P<day>\d{1,2})" + _CLOCK,
    r"^(?P<year>\d{4})年(?P<mark>)(?P<month>\d{1,2})月(?P<day>\d{1,2})日" + _CLOCK,
    r"^(?:[A-Za-z]{2,9}\.?,?\s+)?(?P<name>\pL{3,10})\s+(?P<day>\d{1,2})\s+"  # as C's ctime has it
    rf"(?P<hour>\d{{1,2}}):(?P<minute>\d{{2}}):(?P<second>\d{{2}})\s+(?:{_ZONE}\s+)?(?P<year>\d{{4}})$",
    r"^\[?(?P<day>\d{1,2})/(?P<name>\pL{3})/(?P<year>\d{4})"  # as logs of web servers have it
    rf":(?P<hour>\d{{2}}):(?P<minute>\d{{2}}):(?P<second>\d{{2}})\s*(?:{_ZONE})?\]?$",
)
_BASIC = r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})[T ](?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?"
_CLOCKS = (  # as DB2 writes timestamps, and with points or an h between hours and minutes
    (r"^(\d{4}-\d\d-\d\d)[-_](\d\d)[.:](\d\d)[.:](\d\d)", r"\1T\2:\3:\4"),
    (r"^(.{6,}[T ]\d{1,2})[.h](\d\d)[.m](\d\d)", r"\1:\2:\3"),
    (r"^(.{6,}[T ]\d{1,2})[.h](\d\d)(\D|$)", r"\1:\2\3"),
)
_MONTHLY = (
    r"^(?P<year>(?:18|19|20|21)\d{2})(?P<mark>[-/])(?P<month>\d{1,2})$",
    r"^(?P<month>\d{1,2})(?P<mark>[-/.])(?P<year>(?:18|19|20|21)\d{2})$",
    r"^(?P<name>\pL{3,10})\.?[-/ ,]\s*(?P<year>\d{4})$",
)
_MONTHS = (
    ("jan", "ene", "janv", "gen"), ("feb", "fév", "fev", "febr"), ("mar", "mär", "mrz", "maa", "mars"),
    ("apr", "avr", "abr"), ("may", "mai", "mag", "mei"), ("jun", "juin", "giu"), ("jul", "juil", "lug"),
    ("aug", "aoû", "aou", "ago"), ("sep", "set"), ("oct", "okt", "ott", "out"), ("nov",), ("dec", "dez", "déc", "dic"),
)  # fmt: skip
_NUMBER_OF = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names}


def parse_dates(texts: pa.Array, counts: np.ndarray, *, dates: str | None = None) -> Parsed:
    """Different texts (n,) as date32, or as timestamps where some have a time of day (in UTC where some have a zone).

    `counts`: (n,), how often each stands in the column. `dates`: day_first or month_first for 03/04/2020; None for the
    order that the others of the column tell.
    """
    trimmed = trimmed_text(texts)
    for form, plainly in _CLOCKS:
        trimmed = pc.replace_substring_regex(trimmed, form, plainly)
    n = len(texts)
    read = np.zeros(n, dtype=bool)
    fields = {name: np.zeros(n, dtype=np.int64) for name in ("year", "month", "day", "first", "other")}
    clocks: dict[str, np.ndarray] = {name: np.full(n, "", dtype=object) for name in ("mark", *_CLOCK_PARTS)}
    open_order, in_words = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    monthly = np.zeros(n, dtype=bool)
    for pattern in (*_ORDERS, rf"{_BASIC}(?:{_ZONE})?$", *_MONTHLY):
        left = np.flatnonzero(~read)
        if not len(left):
            break
        parts = pc.extract_regex(trimmed.take(pa.array(left)), pattern)
        found = np.asarray(parts.is_valid())
        rows = left[found]
        if not len(rows):
            continue
        read[rows] = True
        part = {field.name: pc.struct_field(parts, [field.name]).filter(pa.array(found)) for field in parts.type}
        for name in fields.keys() & part.keys():
            fields[name][rows] = np.asarray(part[name].cast(pa.int64()))
        if "name" in part:
            fields["month"][rows] = month_numbers(part["name"])
            in_words[rows] = True
        if pattern in _MONTHLY:
            fields["day"][rows] = 1
            monthly[rows] = True
        if "first" in part:
            open_order[rows] = True
        if "year" in part:
            short = np.asarray(pc.utf8_length(part["year"])) == 2
            year = fields["year"][rows]
            fields["year"][rows] = np.where(short, year + np.where(year >= PIVOT, 1900, 2000), year)
        for name in clocks.keys() & part.keys():
            clocks[name][rows] = np.asarray(pc.fill_null(part[name], ""), dtype=object)
    notes, day_first = _order(fields, open_order, counts, clocks["mark"], dates)
    fields["day"] = np.where(open_order, np.where(day_first, fields["first"], fields["other"]), fields["day"])
    fields["month"] = np.where(open_order, np.where(day_first, fields["other"], fields["first"]), fields["month"])
    days, valid = days_of(fields["year"], fields["month"], fields["day"])
    valid &= read
    if monthly.any():
        months = _are_months(monthly & valid, valid, fields, counts)
        notes = (*notes, "months as their first days") if months else notes
        valid &= monthly if months else ~monthly
    if open_order[valid].any() or in_words[valid].any():
        notes = (*notes, *(("months in words",) if in_words[valid].any() else ()))
    values, more = _with_clock(days, valid, clocks)
    return Parsed("date", values, np.zeros(n, dtype=bool), (*notes, *more))


def _are_months(monthly: np.ndarray, valid: np.ndarray, fields: dict[str, np.ndarray], counts: np.ndarray) -> bool:
    """Whether these texts are months: nearly all dates are, and they are no years of work or seasons (2009/10)."""
    if counts[monthly].sum() < ALL_BUT_FEW * counts[valid].sum():
        return False
    return bool((fields["month"][monthly] != (fields["year"][monthly] + 1) % 100).any())


_CLOCK_PARTS = ("hour", "minute", "second", "part", "noon", "zone")


def days_of(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970 of calendar dates (n,), and which of them exist."""
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1) & (year <= 9999)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first, after = (m.astype("datetime64[D]").astype(np.int64) for m in (months, months + np.timedelta64(1, "M")))
    return first + day - 1, valid & (day <= after - first)


def month_numbers(names: pa.Array) -> np.ndarray:
    """The months' numbers by name, 0 for what is no month."""
    return np.array([_month(name) for name in names.to_pylist()], dtype=np.int64)


def _month(name: str) -> int:
    name = name.lower()
    return next((_NUMBER_OF[name[:size]] for size in (4, 3) if name[:size] in _NUMBER_OF), 0)


def _order(
    fields: dict[str, np.ndarray], which: np.ndarray, counts: np.ndarray, marks: np.ndarray, dates: str | None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Whether the day stands first in dates such as 03/04/2020, shape (n,), and what to tell of it."""
    first, other = fields["first"], fields["other"]
    if not which.any():
        return (), np.zeros(len(which), dtype=bool)
    if dates is not None:
        order = "day" if dates == "day_first" else "month"
        return (f"{order} first, as csv.dates says",), np.full(len(which), dates == "day_first")
    only_day, only_month = which & (first > 12) & (other <= 12), which & (other > 12) & (first <= 12)
    votes = int(counts[only_day].sum()), int(counts[only_month].sum())
    open_ones = int(counts[which & ~only_day & ~only_month & (first != other)].sum())
    if not any(votes):
        day_first = bool((marks[which] != "/").mean() > 0.5)
        words = "day" if day_first else "month", "month_first" if day_first else "day_first"
        other_way = advice("csv.dates", words[1])
        note = f"{words[0]} first, but all could be read either way: {other_way} reads them otherwise"
        return ((note,) if open_ones else ()), np.full(len(which), day_first)
    day_first = votes[0] >= votes[1]
    note = f"{'day' if day_first else 'month'} first, as {max(votes):,} tell"
    if all(votes):
        note += f" and {min(votes):,} gainsay: {open_ones:,} could be either"
    each = np.full(len(which), day_first)
    each[only_day], each[only_month] = True, False
    return (note,), each


def _with_clock(days: np.ndarray, valid: np.ndarray, clocks: dict[str, np.ndarray]) -> tuple[pa.Array, tuple[str, ...]]:
    timed = valid & (clocks["hour"] != "")
    if not timed.any():
        return pa.array(days.astype(np.int32), pa.int32(), mask=~valid).cast(pa.date32()), ()
    number = {name: _numbers(clocks[name]) for name in ("hour", "minute", "second")}
    hour, noon = number["hour"], np.array([mark.lower() for mark in clocks["noon"]], dtype=object)
    good = (
        (hour < 24) & (number["minute"] < 60) & (number["second"] < 60) & ((noon == "") | ((hour >= 1) & (hour <= 12)))
    )
    hour = np.where(noon == "", hour, hour % 12 + np.where(noon == "p", 12, 0))
    seconds = days * 86_400 + hour * 3_600 + number["minute"] * 60 + number["second"]
    zoned = valid & (clocks["zone"] != "")
    seconds = seconds - np.array([_offset(zone) for zone in clocks["zone"]], dtype=np.int64)
    width = max((len(part.rstrip("0")) for part in clocks["part"][valid]), default=0)
    unit, digits = next((u, d) for u, d in (("s", 0), ("ms", 3), ("us", 6), ("ns", 9)) if width <= d)
    parts = np.array([int(part.ljust(9, "0")[:digits] or 0) for part in clocks["part"]], dtype=np.int64)
    valid = valid & (good | ~timed)
    dtype = pa.timestamp(unit, "UTC" if zoned.any() else None)
    values = pa.array(seconds * 10**digits + parts, pa.int64(), mask=~valid).cast(dtype)
    notes: Sequence[str] = ()
    if zoned.any():
        naive = valid & ~zoned
        notes = ("in UTC", *(("those without a zone taken for UTC",) if naive.any() else ()))
    return values, tuple(notes)


def _numbers(texts: np.ndarray) -> np.ndarray:
    return np.array([int(text) if text else 0 for text in texts], dtype=np.int64)


def _offset(zone: str) -> int:
    """Seconds east of UTC: of 'Z', '+01:00', '-0530', 'CET'.

    >>> _offset("-05:30"), _offset("+01"), _offset("Z"), _offset("EST")
    (-19800, 3600, 0, -18000)
    """
    if not zone or zone[0] not in "+-":
        return 3_600 * _ZONES.get(zone.upper(), 0)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (1 if zone[0] == "+" else -1) * (int(digits[:2]) * 3_600 + int(digits[2:]) * 60)
