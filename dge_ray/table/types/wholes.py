"""Whole numbers that are dates: 20240320, 20240320143000, and seconds, milliseconds or finer since 1970."""

import numpy as np
import pyarrow as pa

from dge_ray.phrases import advice, words_of
from dge_ray.table.arrow.arrow_types import is_number, pc
from dge_ray.table.types.dates import days_of

_DAYS = (19_000_101, 21_001_231)
_END = 99_991_231  # of what has no end yet
_NO_DAY = frozenset({0, 99_999_999})
_MOMENTS = (19_000_101_000_000, 21_001_231_235_959)
_EPOCH = (946_684_800, 2_145_916_800)  # the seconds of 2000 and of 2038
_UNITS = (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9))
_FEW_YEARS = 5 * 366 * 86_400  # seconds that a table of events spans, and that numbers given to people do not
_A_DAY = 86_400
_MONTHS = (190_001, 210_012)
_EXCEL, _EXCEL_ZERO = (20_000, 80_000), 25_569  # days since 30 December 1899: from 1954 to 2119; that of 1970
_FEWEST_MONTHS = 8  # different ones: so many numbers of six digits all end in 01 to 12 by chance in 1 of 10 million
_FEWEST = 3  # different dates that tell a column of them
_NAMES = frozenset(
    {"time", "timestamp", "ts", "date", "datetime", "day", "epoch", "unix", "utc", "created", "updated", "modified"}
    | {"at", "when", "stamp", "seen", "login", "start", "end", "started", "ended", "t", "datum", "zeit", "hour", "dt"}
    | {"month", "monat", "mois", "mes", "period", "yearmonth", "yyyymm"}
)


def as_dates(column: pa.ChunkedArray, name: str, *, forced: bool = False) -> tuple[pa.ChunkedArray, str] | None:
    """A column of whole numbers as date32 or timestamps, and how they were read; None where they are no dates.

    Days as 20240320 and moments as 20240320143000 tell themselves: none of them may be impossible. So do months as
    202403, where there are some of them or the name speaks of time. Counts since 1970 are taken for such where the
    column's name (`name`) speaks of time, where all are whole minutes, or where they lie within five years as events do
    and the numbers of customers do not. `forced`: the user says that they are dates, which days as a spreadsheet counts
    them (45371) may be too.
    """
    whole = _whole(column)
    if whole is None or whole.null_count == len(whole):
        return None
    least, most = (value.as_py() for value in pc.min_max(whole).values())
    if (least in _NO_DAY or most in _NO_DAY) and (read := _with_no_days(whole, name, forced)):
        return read
    if _DAYS[0] <= least and (most <= _DAYS[1] or _last_but(whole, _END) <= _DAYS[1]):
        days, valid = _calendar(whole)
        if valid.all() and (forced or len(np.unique(days)) >= _FEWEST):
            return _filled(
                whole, days.astype(np.int32), pa.int32(), pa.date32()
            ), "whole numbers of year, month and day"
    if _MOMENTS[0] <= least and most <= _MOMENTS[1]:
        seconds, valid = _moments(whole)
        if valid.all() and (forced or len(np.unique(seconds)) >= _FEWEST):
            return _filled(whole, seconds, pa.int64(), pa.timestamp("s")), "whole numbers of date and time"
    if _MONTHS[0] <= least and most <= _MONTHS[1]:
        numbers = _present(whole)
        days, valid = days_of(numbers // 100, numbers % 100, np.ones_like(numbers))
        if valid.all() and (forced or len(np.unique(days)) >= (_FEWEST if _speaks_of_time(name) else _FEWEST_MONTHS)):
            return _filled(whole, days.astype(np.int32), pa.int32(), pa.date32()), "whole numbers of year and month"
    if forced and _EXCEL[0] <= least and most <= _EXCEL[1]:
        days = pc.subtract(whole, _EXCEL_ZERO).cast(pa.int32())
        return days.cast(pa.date32()), "days as spreadsheets count them"
    for unit, size in _UNITS:
        if _EPOCH[0] * size <= least and most <= _EPOCH[1] * size and (forced or _events(whole, size, name)):
            return whole.cast(pa.timestamp(unit)), f"{unit} since 1970"
    return None


def as_seconds(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str] | None:
    """Numbers that the user says are moments as seconds since 1970, to the microsecond; None where they cannot be."""
    least, most = (value.as_py() for value in pc.min_max(column).values())
    if least is None or least < 0 or not 10_000 < most <= _EPOCH[1]:
        return None
    whole = _whole(column)
    if whole is not None:
        return whole.cast(pa.timestamp("s")), "s since 1970"
    micros = pc.round(pc.multiply(column.cast(pa.float64()), 1e6)).cast(pa.int64())
    return micros.cast(pa.timestamp("us")), "s since 1970, with decimals"


def moment_note(column: pa.ChunkedArray, name: str) -> str | None:
    """What to tell of numbers all of which could be counts since 1970, and of which nothing says so; None of others."""
    if not is_number(column.type) or pa.types.is_decimal(column.type) or pa.types.is_float16(column.type):
        return None
    least, most = (value.as_py() for value in pc.min_max(column).values())
    if least is not None and _EXCEL[0] <= least < most <= _EXCEL[1] and _speaks_of_time(name):
        word = advice(f"columns.{name}", "datetime")
        return f"could be days as spreadsheets count them, and is taken for numbers: {word} reads days"
    for unit, size in _UNITS:
        if least is not None and _EPOCH[0] * size <= least < most <= _EPOCH[1] * size:
            word = advice(f"columns.{name}", "datetime")
            return f"could be moments ({unit} since 1970), and is taken for numbers: {word} reads moments"
    return None


def _with_no_days(whole: pa.ChunkedArray, name: str, forced: bool) -> tuple[pa.ChunkedArray, str] | None:
    """Days as 20240320 beside 0 or 99999999, which then mark a missing one."""
    marks = pc.is_in(whole, value_set=pa.array(sorted(_NO_DAY), pa.int64()))
    left = pc.if_else(marks, pa.scalar(None, pa.int64()), whole)
    least, most = (value.as_py() for value in pc.min_max(left).values())
    if least is None or least < _DAYS[0] or most > _DAYS[1]:
        return None
    read = as_dates(left, name, forced=forced)
    return read and (read[0], f"{read[1]}; missing now {pc.sum(marks).as_py():,} of 0 or 99999999")


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    try:
        return column.cast(pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _present(whole: pa.ChunkedArray) -> np.ndarray:
    return whole.drop_null().to_numpy()


def _last_but(whole: pa.ChunkedArray, value: int) -> int:
    """The largest number beside this one; the number itself where there is no other."""
    return pc.max(pc.if_else(pc.equal(whole, value), pa.scalar(None, pa.int64()), whole)).as_py() or value


def _calendar(whole: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    numbers = _present(whole)
    return days_of(numbers // 10_000, numbers // 100 % 100, numbers % 100)


def _moments(whole: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    numbers = _present(whole)
    date, clock = numbers // 1_000_000, numbers % 1_000_000
    days, valid = days_of(date // 10_000, date // 100 % 100, date % 100)
    hour, minute, second = clock // 10_000, clock // 100 % 100, clock % 100
    valid &= (hour < 24) & (minute < 60) & (second < 60)
    return days * _A_DAY + hour * 3_600 + minute * 60 + second, valid


def _events(whole: pa.ChunkedArray, size: int, name: str) -> bool:
    numbers = np.unique(_present(whole))
    span = (numbers[-1] - numbers[0]) // size
    if len(numbers) < _FEWEST or span < _A_DAY or span * size < 10 * len(numbers):  # numbers given out one by one
        return False
    return _speaks_of_time(name) or bool((numbers % (60 * size) == 0).all()) or span <= _FEW_YEARS


def _speaks_of_time(name: str) -> bool:
    return bool(_NAMES & set(words_of(name)))


def _filled(whole: pa.ChunkedArray, values: np.ndarray, counted: pa.DataType, dtype: pa.DataType) -> pa.ChunkedArray:
    """The values of the present rows, and nulls where the column has them."""
    present = np.asarray(whole.is_valid())
    filled = np.zeros(len(whole), dtype=values.dtype)
    filled[present] = values
    return pa.chunked_array([pa.array(filled, counted, mask=~present).cast(dtype)])
