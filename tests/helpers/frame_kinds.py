"""The kinds of columns that frames are drawn of: their values, what holds these, and what they are taken for."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

WORDS = ("Aarhus", "Münster", "São Paulo", "Zürich", "low", "mid", "high", "a,b", "x;y", "p|q", "say 'no'", 'say "no"')
WORDS += ("NA", "null", "None", "No", "#5", "it's", "two\nlines", "🙂", "年", " led", "trailed ", "=1+1", "a\\b", "-")
WORDS += ("é", "e\u0301", "LOW", "a\tb", "a\r\nb", "\u00a0x", "zero\u200bwidth", "TRUE", "?", "n/a", "\\N", "A12", "#")
EXTREMES = (5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 1e22, -0.5, 0.1 + 0.2, 1e-7)
FIRST, DAY, MOMENT = datetime.datetime(1, 1, 1), datetime.date(2010, 1, 1), datetime.datetime(2015, 3, 4, 5, 6, 7)


@dataclass(frozen=True)
class Kind:
    """How values of a kind are drawn, the Arrow types that hold them in Parquet, the one that a CSV is read to, and the
    kinds that they may be modelled as."""

    draw: Callable[[np.random.Generator, int], list[Any]]
    stored: tuple[pa.DataType, ...]
    read: str
    modelled: tuple[str, ...]


def each(rng: np.random.Generator, n: int, values: Any) -> list[Any]:
    return [values[i] for i in rng.integers(0, len(values), n)]


def _codes(rng: np.random.Generator, n: int) -> list[str]:
    """Codes of one width, of which many begin with a zero, as many different ones as chance will have it."""
    width, most = int(rng.integers(2, 8)), int(rng.integers(2, 200))
    codes = sorted({f"{v:0{width}d}" for v in rng.integers(0, 10 ** (width - 1), most)})
    return [codes[0], *each(rng, n - 1, codes)] if n else []


def _words(rng: np.random.Generator, n: int) -> list[str]:
    return each(rng, n, [WORDS[i] for i in rng.permutation(len(WORDS))[: rng.integers(3, 12)]])


def _text(rng: np.random.Generator, n: int) -> list[str]:
    return [" ".join(each(rng, int(rng.integers(2, 9)), WORDS)) for _ in range(n)]


STRINGS = (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()))
DATETIME, NUMERIC, INTEGER = ("datetime",), ("numeric",), ("integer",)
LABELS, KEYS = ("categorical",), ("categorical", "identifier")
KINDS = {
    "integer": Kind(
        lambda rng, n: rng.integers(0, 90, n).tolist(),
        (pa.int8(), pa.int32(), pa.int64(), pa.uint16(), pa.decimal128(6, 0)),
        "integer",
        INTEGER,
    ),
    "wide integer": Kind(
        lambda rng, n: [int(v) for v in np.exp(rng.uniform(0, 36, n))],
        (pa.int64(), pa.uint64()),
        "integer",
        (*INTEGER, "identifier"),
    ),
    "big code": Kind(
        lambda rng, n: each(rng, n, [int(v) for v in rng.integers(2**53 + 1, 2**62, 7)]),
        (pa.int64(), pa.uint64()),
        "integer",
        LABELS,
    ),
    "float": Kind(lambda rng, n: rng.normal(0, 10, n).tolist(), (pa.float64(),), "double", NUMERIC),
    "spread": Kind(
        lambda rng, n: (10 ** rng.uniform(-30, 30, n) * rng.choice([-1, 1], n)).tolist(),
        (pa.float64(),),
        "double",
        NUMERIC,
    ),
    "cents": Kind(
        lambda rng, n: [0.25, *rng.lognormal(4, 2, n - 1).round(2).tolist()] if n else [],
        (pa.float64(), pa.decimal128(14, 2)),
        "double",
        NUMERIC,
    ),
    "boolean": Kind(lambda rng, n: (rng.random(n) < 0.5).tolist(), (pa.bool_(),), "bool", ("boolean",)),
    "date": Kind(
        lambda rng, n: [DAY + datetime.timedelta(int(d)) for d in rng.integers(0, 5000, n)],
        (pa.date32(), pa.date64()),
        "date",
        DATETIME,
    ),
    "moment": Kind(
        lambda rng, n: [MOMENT + datetime.timedelta(seconds=int(s)) for s in rng.integers(0, 10**8, n)],
        (pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC")),
        "timestamp",
        DATETIME,
    ),
    "word": Kind(_words, STRINGS, "string", LABELS),
    "old day": Kind(
        lambda rng, n: [datetime.date.fromordinal(int(d)) for d in rng.integers(1, 3_652_059, n)],
        (pa.date32(), pa.date64()),
        "date",
        DATETIME,
    ),
    "old moment": Kind(
        lambda rng, n: [FIRST + datetime.timedelta(minutes=int(m)) for m in rng.integers(0, 5 * 10**9, n)],
        (pa.timestamp("s"), pa.timestamp("us")),
        "timestamp",
        DATETIME,
    ),
    "fine moment": Kind(
        lambda rng, n: [MOMENT + datetime.timedelta(microseconds=int(s)) for s in rng.integers(1, 10**14, n)],
        (pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "Asia/Tokyo")),
        "timestamp",
        DATETIME,
    ),
    "extreme": Kind(
        lambda rng, n: each(rng, n, EXTREMES),
        (pa.float64(),),
        "double",
        NUMERIC,
    ),
    "whole float": Kind(
        lambda rng, n: rng.integers(-500, 500, n).astype(float).tolist(),
        (pa.float64(), pa.float32()),
        "double",
        INTEGER,
    ),
    "negative": Kind(
        lambda rng, n: rng.integers(-(2**31), 0, n).tolist(),
        (pa.int32(), pa.int64()),
        "integer",
        (*INTEGER, "identifier"),
    ),
    "endless code": Kind(
        lambda rng, n: each(rng, n, ["".join(map(str, rng.integers(1, 10, 25))) for _ in range(9)]),
        STRINGS,
        "string",
        KEYS,
    ),
    "grouped code": Kind(
        lambda rng, n: each(rng, n, [f"{a:04d} {b:04d}" for a, b in rng.integers(1000, 9999, (12, 2))]),
        STRINGS,
        "string",
        KEYS,
    ),
    "part": Kind(lambda rng, n: [f"{'AB'[i % 2]}{i}" for i in rng.integers(100, 140, n)], STRINGS, "string", KEYS),
    "answer": Kind(lambda rng, n: each(rng, n, ["yes", "no"]), STRINGS, "string", LABELS),
    "class": Kind(lambda rng, n: each(rng, n, rng.permutation(WORDS)[:3].tolist()), STRINGS, "string", LABELS),
    "code": Kind(_codes, STRINGS, "string", KEYS),
    "text": Kind(_text, STRINGS[:2], "string", KEYS),
    "one number": Kind(lambda rng, n: [7] * n, (pa.int64(), pa.float32()), "integer", ("constant", "integer")),
    "one word": Kind(lambda rng, n: ["same"] * n, STRINGS, "string", ("constant", "categorical")),
    "nothing": Kind(lambda rng, n: [None] * n, (pa.null(), pa.float64(), pa.string()), "", ()),
    # Text in a CSV would be read as these.
    "stored number": Kind(lambda rng, n: each(rng, n, ["1.10", "1.9", "2.0", "10"]), STRINGS, "", LABELS),
    "time": Kind(
        lambda rng, n: [datetime.time(int(h), int(m)) for h, m in rng.integers(0, [24, 60], (n, 2))],
        (pa.time32("s"), pa.time64("us")),
        "time",
        DATETIME,
    ),
    "duration": Kind(
        lambda rng, n: [datetime.timedelta(minutes=int(m)) for m in rng.integers(0, 9999, n)],
        (pa.duration("s"), pa.duration("ns")),
        "",
        DATETIME,
    ),
    "small float": Kind(lambda rng, n: rng.normal(0, 10, n).astype(np.float32).tolist(), (pa.float32(),), "", NUMERIC),
}
IN_CSV = tuple(name for name, kind in KINDS.items() if kind.read or name == "nothing")
TARGETS = ("boolean", "integer", "float", "class", "cents")
READ = {
    "integer": pa.types.is_integer,
    "double": pa.types.is_floating,
    "bool": pa.types.is_boolean,
    "date": pa.types.is_date,
    "timestamp": pa.types.is_timestamp,
    "time": pa.types.is_time,
    "string": lambda dtype: pa.types.is_string(dtype) or pa.types.is_large_string(dtype),
}
