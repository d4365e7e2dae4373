"""Texts as times of day and as durations."""

import numpy as np
import pyarrow as pa

from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.types.parsed import Parsed
from dge_ray.table.types.words import trimmed_text

_TIME = (
    r"^(?P<hour>\d{1,2})[:h](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:[.,](?P<part>\d{1,9}))?)?\s*"
    r"(?:(?P<noon>[AaPp])?(?:\.?[Mm]\.?)?|h|hrs|Uhr)$"
)
_HOURS = r"^(?P<sign>-)?(?P<hour>\d{1,5})[:h](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:[.,](?P<part>\d{1,9}))?)?$"
_DAYS = (  # 1 days 02:03:04.5, as pandas and PostgreSQL write them
    r"^(?P<sign>-)?(?P<day>\d+)\s*d(?:ays?)?,?\s+(?P<plus>[+-])?(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)"
    r"(?::(?P<second>[0-5]\d)(?:[.,](?P<part>\d{1,9}))?)?$"
)
_WORDS = (  # 1d 2h 30m 10s
    r"^(?P<sign>-)?(?:(?P<day>\d+)\s*d(?:ays?)?\s*)?(?:(?P<hour>\d+)\s*h(?:(?:ou)?rs?)?\s*)?"
    r"(?:(?P<minute>\d+)\s*m(?:in(?:ute)?s?)?\s*)?(?:(?P<second>\d+)(?:[.,](?P<part>\d{1,9}))?\s*s(?:ec(?:ond)?s?)?)?$"
)
_ISO = (  # P1DT2H30M10.5S
    r"^(?P<sign>-)?P(?:(?P<week>\d+)W)?(?:(?P<day>\d+)D)?(?:T(?:(?P<hour>\d+)H)?(?:(?P<minute>\d+)M)?"
    r"(?:(?P<second>\d+)(?:[.,](?P<part>\d{1,9}))?S)?)?$"
)
_MINUTES = r"^(?P<sign>-)?(?P<minute>\d{1,3}):(?P<second>[0-5]\d)[.,](?P<part>\d{1,9})$"  # 1:52.3, as of races
_SECONDS = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
_UNITS = (("s", 0), ("ms", 3), ("us", 6), ("ns", 9))


def parse_times(texts: pa.Array) -> Parsed:
    """Different texts (n,) as times of day: 08:30, 8:30:15 PM, 23:59:59.5, 8h30, 08:30 Uhr."""
    parts = pc.extract_regex(trimmed_text(texts), _TIME)
    numbers, valid, digits = _fields(parts)
    hour, noon = numbers["hour"], np.asarray(pc.fill_null(pc.utf8_lower(pc.struct_field(parts, ["noon"])), ""), object)
    valid &= np.where(noon == "", hour < 24, (hour >= 1) & (hour <= 12))
    hour = np.where(noon == "", hour, hour % 12 + np.where(noon == "p", 12, 0))
    seconds = hour * 3_600 + numbers["minute"] * 60 + numbers["second"]
    counted = seconds * 10**digits + numbers["part"]
    if digits <= 3:  # Parquet has no times of whole seconds
        counted = (counted * 10 ** (3 - digits)).astype(np.int32)
        values = pa.array(counted, pa.int32(), mask=~valid).cast(pa.time32("ms"))
    else:
        values = pa.array(counted, pa.int64(), mask=~valid).cast(pa.time64("us" if digits == 6 else "ns"))
    return Parsed("time", values, np.zeros(len(texts), dtype=bool))


def parse_durations(texts: pa.Array) -> Parsed:
    """Different texts (n,) as durations: 36:15:00, 1 days 02:03:04, 2h 30m, PT2H30M."""
    trimmed = trimmed_text(texts)
    read = [_duration(trimmed, pattern) for pattern in (_HOURS, _DAYS, _WORDS, _ISO, _MINUTES)]
    digits = max(width for _, _, width in read)
    total, valid = np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=bool)
    for counted, good, width in read:
        total = np.where(good & ~valid, counted * 10 ** (digits - width), total)
        valid |= good
    unit = next(unit for unit, width in _UNITS if width == digits)
    values = pa.array(total, pa.int64(), mask=~valid).cast(pa.duration(unit))
    short = np.asarray(pc.match_substring_regex(trimmed, r"^-?\d+:\d\d$")) & valid
    notes = ("those as 36:15 as hours and minutes",) if short.any() else ()
    if pc.any(pc.match_substring_regex(trimmed, _MINUTES)).as_py():
        notes += ("those as 1:52.3 as minutes and seconds",)
    return Parsed("duration", values, np.zeros(len(texts), dtype=bool), notes)


def _duration(texts: pa.Array, pattern: str) -> tuple[np.ndarray, np.ndarray, int]:
    parts = pc.extract_regex(texts, pattern)
    numbers, valid, digits = _fields(parts)
    seconds = sum(numbers[name] * size for name, size in _SECONDS.items() if name in numbers)
    said = np.logical_or.reduce(
        [np.asarray(pc.not_equal(pc.struct_field(parts, [n]), "").fill_null(False)) for n in numbers]
    )
    valid &= said
    counted = seconds * 10**digits + numbers["part"]
    if "plus" in {field.name for field in parts.type}:  # pandas: -1 days +23:00:00 is an hour before nothing
        behind = np.asarray(pc.equal(pc.struct_field(parts, ["plus"]), "+").fill_null(False))
        days = numbers["day"] * _SECONDS["day"] * 10**digits
        counted = np.where(_negative(parts), np.where(behind, counted - 2 * days, -counted), counted)
        return counted, valid, digits
    return np.where(_negative(parts), -counted, counted), valid, digits


def _negative(parts: pa.StructArray) -> np.ndarray:
    return np.asarray(pc.equal(pc.struct_field(parts, ["sign"]), "-").fill_null(False))


def _fields(parts: pa.StructArray) -> tuple[dict[str, np.ndarray], np.ndarray, int]:
    """The groups of digits as numbers, which texts matched, and the digits (0, 3, 6 or 9) of a part of a second."""
    valid = np.asarray(parts.is_valid())
    numbers = {}
    for name in {field.name for field in parts.type} - {"sign", "plus", "noon", "part"}:
        digits = pc.struct_field(parts, [name])
        digits = pc.if_else(pc.equal(pc.fill_null(digits, ""), ""), "0", digits)
        valid &= np.asarray(pc.less_equal(pc.utf8_length(digits), 9))
        numbers[name] = np.asarray(pc.utf8_slice_codeunits(digits, 0, 9).cast(pa.int64()))
    part = pc.fill_null(pc.struct_field(parts, ["part"]), "")
    width = pc.max(pc.utf8_length(pc.utf8_rtrim(part, "0"))).as_py() or 0
    width = next(digits for _, digits in _UNITS if width <= digits)
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(part, 9, "0"), 0, max(width, 1))
    numbers["part"] = np.asarray(padded.cast(pa.int64())) if width else np.zeros(len(valid), dtype=np.int64)
    return numbers, valid, width
