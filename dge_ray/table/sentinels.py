"""Values that stand for missing ones and are read as values: -999, 9999, 97 to 99, 31 December 9999, `?` among words.

Nothing is changed for them: a number that one table has for "not asked" is a quantity in another. They are told of
where a repeated value at an end of a column stands apart from all others:

- A usual code (nines, eights or sevens; -1; the ends of computers' types; of dates the first or last day of a year) is
  apart where it lies as far from the rest as the rest is wide; where it is the only negative value; or where it is much
  more frequent than the values next to it, at some distance from them.
- Any other value is apart only where it lies ten times as far. Zero never is: tables are full of true ones.

Of categories the usual marks are told of (`?`, `NA`, `\\N`), not words that may be one (`unknown`, `None`).

Of 10,000 columns of random draws (normal, lognormal, Pareto, Poisson, zero-inflated and others; 50 to 5,000 rows) none
was told of. Of the shared example tables Adult's capital-gain (99999, which is a top code) and the
bank's pdays (-1) are.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import ColumnWarning
from dge_ray.phrases import missing_if, one_line
from dge_ray.table.arrow.arrow_types import STEPS_PER_SECOND, is_clock, is_string, is_temporal, pc

_NINES = re.compile(r"-?(?:9*[789]|(?P<same>[78])(?P=same)*)")
_OF_TYPES = frozenset(
    float(sign * size)
    for size in (2**15 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 10**20, 10**30, 10**36)
    for sign in (-1, 1)
) | {
    9.969209968386869e36,  # of netCDF
    *(float(end) for dtype in (np.float32, np.float64) for end in (np.finfo(dtype).min, np.finfo(dtype).max)),
}
_MARKS_ALONE = frozenset(  # of words that mark a missing value those that no category is called
    {"?", "??", "???", "-", "--", ".", "\\n", "na", "nan", "nat", "null", "n/a", "#n/a", "#null!", "<na>", "<null>"}
    | {"(null)", "[null]", "n.a.", "n. a.", "n/d", "k.a."}
)
_LONG = 99  # codes from here on are told of if they occur twice; shorter ones three times
_FEWEST_OTHERS = 3  # different values beside the codes
_ONLY_NEGATIVE = 5  # different values beside codes that are the only negative ones: -1, 0 and 1 are a scale
_MOST_CODES = 5  # at one end of a column
_NEXT = 10  # values next to a code that it is compared with
_SPIKE, _FEWEST_OF_SPIKE, _SPIKE_GAP = 5, 5, 0.1
_FAR = 10  # times the width of the rest, where a value is no usual code
_FIRST, _LAST = np.datetime64("0001-01-01", "D").astype(int), np.datetime64("9999-12-31", "D").astype(int)
_ODD_DAYS = frozenset(  # where clocks and spreadsheets begin or end
    int(np.datetime64(day, "D").astype(int))
    for day in ("1858-11-17", "1899-12-30", "2038-01-19", "2079-06-06", "2262-04-11", "1111-11-11", "9999-09-09")
)


@dataclass(frozen=True)
class Sentinel:
    """A value that may stand for missing ones, and how often it occurs."""

    value: float
    count: int


class SentinelWarning(ColumnWarning):
    """A value is read as what it is that may stand for a missing one."""


def warn_of_sentinels(name: str, values: pa.ChunkedArray, numbers: np.ndarray, said: Mapping[str, Any]) -> None:
    """A warning for such values of a column (n,) of numbers or dates, with their counts and the key that makes them
    missing. `numbers`: the values as `measured` has them. `said`: the column's overrides."""
    if is_clock(values.type):
        return
    found = find_sentinels(
        numbers[~np.isnan(numbers)], day=_in_a_day(values.type) if is_temporal(values.type) else None
    )
    if not found:
        return
    texts = [str(values.filter(pa.array(numbers == one.value))[0].as_py()).removesuffix(".0") for one in found]
    told = " and ".join(f"{s.count:,} ({s.count / len(values):.2%}) are {t}" for t, s in zip(texts, found, strict=True))
    text = f"column '{one_line(name)}': of its values {told}, apart from all others, and are read as such"
    warnings.warn(SentinelWarning(f"{text}: {missing_if(name, texts, said)}", name), stacklevel=4)


def warn_of_marks(name: str, values: pa.ChunkedArray, categories: Sequence[Any], said: Mapping[str, Any]) -> None:
    """A warning for categories of a column (n,) that are no words but marks of a missing value."""
    marks = [text for text in categories if isinstance(text, str) and text.strip().lower() in _MARKS_ALONE]
    if not marks or not is_string(values.type) or len(categories) < 2 or "+" in categories:  # the other side of '-'
        return
    counts = [pc.sum(pc.equal(values, mark)).as_py() for mark in marks]
    told = " and ".join(f"{c:,} ({c / len(values):.2%}) are {m!r}" for m, c in zip(marks, counts, strict=True))
    text = f"column '{one_line(name)}': of its values {told}, and are categories as others"
    warnings.warn(SentinelWarning(f"{text}: {missing_if(name, marks, said)}", name), stacklevel=4)


def _in_a_day(dtype: pa.DataType) -> int:
    """Counts of a date's or timestamp's unit in a day."""
    if pa.types.is_date32(dtype):
        return 1
    return 86_400 * STEPS_PER_SECOND["ms" if pa.types.is_date64(dtype) else dtype.unit]


def find_sentinels(present: np.ndarray, *, day: int | None = None) -> list[Sentinel]:
    """The values of a column (n,), none of them missing, that may stand for missing ones, the largest count first.

    `day`: where they are dates or timestamps, counts of a unit since 1970, how many of it a day has.
    """
    if len(present) < 2 * _FEWEST_OTHERS:
        return []
    is_code = _is_code if day is None else lambda value: _is_usual_day(value, day)
    low, high = (_codes(present, end, is_code) for end in (np.min, np.max))
    if not low and not high:
        return _far_away(present)
    rest = present
    for one in (*low, *high):
        rest = rest[rest != one.value]
    if not len(rest):
        return []
    found = [one for codes in (low, high) for one in _apart(rest, codes, day)]
    return sorted(found, key=lambda one: -one.count) if found else _far_away(present)


def _codes(present: np.ndarray, end: Callable[..., float], is_code: Callable[[float], bool]) -> list[Sentinel]:
    """The usual codes at one end of the values, the outermost first."""
    codes: list[Sentinel] = []
    while len(present) and len(codes) < _MOST_CODES and is_code(value := float(end(present))):
        same = present == value
        codes.append(Sentinel(value, int(np.count_nonzero(same))))
        present = present[~same]
    return codes


def _apart(rest: np.ndarray, codes: list[Sentinel], day: int | None) -> list[Sentinel]:
    """As many of the codes, the outermost first, as stand apart from what is within them. `rest`: without codes."""
    for kept in range(len(codes), 0, -1):
        inner = [np.full(one.count, one.value) for one in codes[kept:]]
        within = np.concatenate([rest, *inner]) if inner else rest
        if _stands_apart(within, codes[:kept], day):
            return [one for one in codes[:kept] if one.count > 1]  # one row's value is told nobody
    return []


def _stands_apart(rest: np.ndarray, codes: list[Sentinel], day: int | None) -> bool:
    inner, count = codes[-1].value, sum(one.count for one in codes)
    least, most = float(rest.min()), float(rest.max())
    gap, width = (least - inner if inner < least else inner - most), most - least
    long = day is not None or abs(inner) >= _LONG
    if count < (2 if long else 3) or not width or not (long or all(one.count > 1 for one in codes)):
        return False
    only_negative = day is None and inner < 0 <= least
    spike = long and count >= _FEWEST_OF_SPIKE and gap >= (_SPIKE_GAP * width if day is None else 365 * day)
    if not (gap >= width or only_negative or spike):
        return False
    values, counts = np.unique(rest, return_counts=True)
    if gap >= width and len(values) >= _FEWEST_OTHERS:
        return True
    near = counts[:_NEXT] if inner < least else counts[-_NEXT:]
    if only_negative and len(values) >= _ONLY_NEGATIVE and (inner != -1 or codes[-1].count >= 2 * near[0]):
        return True
    return bool(spike and count >= _SPIKE * near.max())


def _far_away(present: np.ndarray) -> list[Sentinel]:
    """The value at an end that is no code, repeated, and so far away that it is none of the others' kind."""
    for end in (np.min, np.max):
        value = float(end(present))
        if not value:
            continue
        same = present == value
        count = int(np.count_nonzero(same))
        if count < _FEWEST_OF_SPIKE or count == len(present):
            continue
        rest = present[~same]
        least, most = float(rest.min()), float(rest.max())
        gap = least - value if value < least else value - most
        if gap >= _FAR * (most - least) > 0 and len(np.unique(rest)) >= _FEWEST_OTHERS:
            return [Sentinel(value, count)]
    return []


def _is_code(value: float) -> bool:
    if value in _OF_TYPES or value == -1:
        return True
    return value == int(value) and abs(value) < 1e15 and _NINES.fullmatch(str(int(value))) is not None


def _is_usual_day(value: float, day: int) -> bool:
    days = int(value // day)
    if days in _ODD_DAYS or not _FIRST <= days <= _LAST:
        return days in _ODD_DAYS
    date = np.datetime64(days, "D")
    year = date.astype("datetime64[Y]")
    return date == year.astype("datetime64[D]") or date + 1 == (year + 1).astype("datetime64[D]")
