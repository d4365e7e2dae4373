"""Data frames of mixed kinds, drawn by Hypothesis, and written as CSV in a dialect of its drawing or as Parquet.

`frames()` draws what has to be read as it is meant: no frame of these may be refused. `odd_frames()` draws what people
have by mistake too: names that are blank, twice there or of control characters, no rows, cells of any text.
"""

import csv
import datetime
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from dge_ray.table.reading.signs import is_date, is_missing, is_number

NAMES = ("No", "null", "1.10", "on", "true", "~", "c[0]", "Item #", "#1", "gross, net", 'say "x"', "it's", "a;b", "a|b")
NAMES += ("Größe", "年齢", "العمر", "e\u0301", "🙂", "{a: b}", "- a", "a: b", "key=value", "$HOME", "a\\b", "%s", "[x]")
NAMES += (
    " led",
    "trailed ",
    "a.b",
    "columns",
    "2020",
    "-",
    "`x`",
    "!",
    "*",
    "&a",
    "?",
    "None",
    "NaN",
    "a  b",
    "A",
    "a",
)
NAMES += ("tab\tname", "two\nlines", "zero\u200bwidth", "é", "\u00a0x", "Id", "date", "year", "phone", "=1", "\u202eb")
WORDS = ("Aarhus", "Münster", "São Paulo", "Zürich", "low", "mid", "high", "a,b", "x;y", "p|q", "say 'no'", 'say "no"')
WORDS += ("NA", "null", "None", "No", "#5", "it's", "two\nlines", "🙂", "年", " led", "trailed ", "=1+1", "a\\b", "-")
WORDS += ("é", "e\u0301", "LOW", "a\tb", "a\r\nb", "\u00a0x", "zero\u200bwidth", "TRUE", "?", "n/a", "\\N", "A12", "#")
DAY, MOMENT = datetime.date(2010, 1, 1), datetime.datetime(2015, 3, 4, 5, 6, 7)


@dataclass(frozen=True)
class Kind:
    """How values of a kind are drawn, the Arrow types that hold them in Parquet, the one that a CSV is read to, and the
    kinds that they may be modelled as."""

    draw: Callable[[np.random.Generator, int], list[Any]]
    stored: tuple[pa.DataType, ...]
    read: str
    modelled: tuple[str, ...]


def _each(rng: np.random.Generator, n: int, values: Any) -> list[Any]:
    return [values[i] for i in rng.integers(0, len(values), n)]


def _codes(rng: np.random.Generator, n: int) -> list[str]:
    """Codes of one width, of which many begin with a zero, as many different ones as chance will have it."""
    width, most = int(rng.integers(2, 8)), int(rng.integers(2, 200))
    codes = sorted({f"{v:0{width}d}" for v in rng.integers(0, 10 ** (width - 1), most)})
    return [codes[0], *_each(rng, n - 1, codes)] if n else []


def _words(rng: np.random.Generator, n: int) -> list[str]:
    return _each(rng, n, [WORDS[i] for i in rng.permutation(len(WORDS))[: rng.integers(3, 12)]])


def _text(rng: np.random.Generator, n: int) -> list[str]:
    return [" ".join(_each(rng, int(rng.integers(2, 9)), WORDS)) for _ in range(n)]


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
        lambda rng, n: _each(rng, n, [int(v) for v in rng.integers(2**53 + 1, 2**62, 7)]),
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
        lambda rng, n: [datetime.datetime(1, 1, 1) + datetime.timedelta(minutes=int(m)) for m in rng.integers(0, 5 * 10**9, n)],
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
        lambda rng, n: _each(rng, n, [5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 1e22, -0.5, 0.1 + 0.2, 1e-7]),
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
    "negative": Kind(lambda rng, n: rng.integers(-(2**31), 0, n).tolist(), (pa.int32(), pa.int64()), "integer", (*INTEGER, "identifier")),
    "endless code": Kind(
        lambda rng, n: _each(rng, n, ["".join(map(str, rng.integers(1, 10, 25))) for _ in range(9)]), STRINGS, "string", KEYS
    ),
    "grouped code": Kind(
        lambda rng, n: _each(rng, n, [f"{a:04d} {b:04d}" for a, b in rng.integers(1000, 9999, (12, 2))]), STRINGS, "string", KEYS
    ),
    "part": Kind(lambda rng, n: [f"{'AB'[i % 2]}{i}" for i in rng.integers(100, 140, n)], STRINGS, "string", KEYS),
    "answer": Kind(lambda rng, n: _each(rng, n, ["yes", "no"]), STRINGS, "string", LABELS),
    "class": Kind(lambda rng, n: _each(rng, n, rng.permutation(WORDS)[:3].tolist()), STRINGS, "string", LABELS),
    "code": Kind(_codes, STRINGS, "string", KEYS),
    "text": Kind(_text, STRINGS[:2], "string", KEYS),
    "one number": Kind(lambda rng, n: [7] * n, (pa.int64(), pa.float32()), "integer", ("constant", "integer")),
    "one word": Kind(lambda rng, n: ["same"] * n, STRINGS, "string", ("constant", "categorical")),
    "nothing": Kind(lambda rng, n: [None] * n, (pa.null(), pa.float64(), pa.string()), "", ()),
    # Text in a CSV would be read as these.
    "stored number": Kind(
        lambda rng, n: _each(rng, n, ["1.10", "1.9", "2.0", "10"]), STRINGS, "", LABELS
    ),
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
    "small float": Kind(
        lambda rng, n: rng.normal(0, 10, n).astype(np.float32).tolist(), (pa.float32(),), "", NUMERIC
    ),
}  # fmt: skip
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


@dataclass(frozen=True)
class Frame:
    """A table as it is meant (`values` by column, None: missing; `kinds` of KINDS), which column is the target, and how
    it is written: `dialect` for a CSV, or `types` for Parquet."""

    names: list[str]
    kinds: list[str]
    values: list[list[Any]]
    target: str
    dialect: dict[str, Any] | None = None
    types: list[pa.DataType] = field(default_factory=list)

    @property
    def keys(self) -> dict[str, Any]:
        """What is said of the CSV."""
        return {} if self.dialect is None else self.dialect["said"]

    def column(self, name: str) -> tuple[str, list[Any]]:
        at = self.names.index(name)
        return self.kinds[at], self.values[at]

    def write(self, folder: Path) -> str:
        """The path of the file, written into a folder."""
        if self.dialect is None:
            arrays = [pa.array(_typed(v, t), t) for v, t in zip(self.values, self.types, strict=True)]
            place = str(folder / "table.parquet")
            pq.write_table(pa.Table.from_arrays(arrays, names=self.names), place, row_group_size=50)
            return place
        text = io.StringIO()
        writer = csv.writer(text, lineterminator=self.dialect["end"], **self.dialect["format"])
        writer.writerow(self.names)
        writer.writerows(
            [_cell(value, self.dialect["decimal"]) for value in row] for row in zip(*self.values, strict=True)
        )
        data = text.getvalue().encode(self.dialect["encoding"])
        path = folder / f"table.csv{self.dialect['ending']}"
        path.write_bytes(gzip.compress(data) if self.dialect["ending"] else data)
        return str(path)


def _typed(values: list[Any], dtype: pa.DataType) -> list[Any]:
    if pa.types.is_decimal(dtype):
        return [None if v is None else Decimal(repr(v)) for v in values]
    return values


def _cell(value: Any, decimal: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value).replace(".", decimal) if isinstance(value, float) else str(value)


def _printable(least: int) -> st.SearchStrategy[str]:
    letters = st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp"))
    return st.text(letters, min_size=least, max_size=12)


@st.composite
def names(draw: st.DrawFn, count: int) -> list[str]:
    """Different names, none of them blank."""
    one = st.one_of(st.sampled_from(NAMES), _printable(1).filter(str.strip))
    return draw(st.lists(one, min_size=count, max_size=count, unique=True))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """A frame of 3 to 8 columns and 80 to 300 rows, one of them decimals with a name that is no number."""
    as_csv = draw(st.booleans())
    known = IN_CSV if as_csv else tuple(KINDS)
    kinds = draw(st.lists(st.sampled_from(known), min_size=1, max_size=6))
    at = draw(st.integers(0, len(kinds)))
    kinds = [*kinds[:at], "float", *kinds[at:], draw(st.sampled_from(TARGETS))]
    called = draw(names(len(kinds)))
    if _is_value(called[at]):
        called[at] = "x" + "".join(called)
    rng, rows = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.integers(80, 300))
    values = [KINDS[kind].draw(rng, rows) for kind in kinds]
    for place, column in enumerate(values[:-1]):
        share = draw(st.sampled_from((0, 0, 0.05, 0.4)))
        gone = rng.random(rows) < (0 if place == at else share)
        gone[0] = False  # the rarest code begins with a zero
        values[place] = [None if away else value for value, away in zip(column, gone, strict=True)]
    order = draw(st.permutations(range(len(kinds))))
    parts = [[part[i] for i in order] for part in (called, kinds, values)]
    target = called[-1]
    if not as_csv:
        types = [draw(st.sampled_from(KINDS[kind].stored)) for kind in parts[1]]
        return Frame(*parts, target=target, types=types)
    return Frame(*parts, target=target, dialect=draw(dialects(parts[0], parts[2])))


@st.composite
def dialects(draw: st.DrawFn, called: list[str], values: list[list[Any]]) -> dict[str, Any]:
    """How a CSV is written, and what of it is said: what nobody could find from it, and now and then all."""
    delimiter = draw(st.sampled_from((",", ";", "\t", "|")))
    decimal = draw(st.sampled_from((".", ","))) if delimiter != "," else "."
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    encoding = draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252")))
    try:
        "".join([*called, *(v for column in values for v in column if isinstance(v, str))]).encode(encoding)
    except UnicodeEncodeError:
        encoding = "utf-8"
    said: dict[str, Any] = {}
    if draw(st.booleans()):
        said |= {"delimiter": delimiter, "decimal": decimal, "header": 1, "encoding": encoding}
    return {
        "format": {"delimiter": delimiter, "quoting": quoting},
        "decimal": decimal,
        "encoding": encoding,
        "end": draw(st.sampled_from(("\n", "\r\n"))),
        "ending": draw(st.sampled_from(("", "", ".gz"))),
        "said": said,
    }


def _is_value(name: str) -> bool:
    text = name.strip()
    return is_number(text) or is_date(text) or is_missing(text)


@st.composite
def odd_frames(draw: st.DrawFn) -> Frame:
    """A frame of few rows with names and cells of any text, as CSV or as Parquet."""
    text = st.text(st.characters(codec="utf-8"), max_size=8)
    called = draw(st.lists(st.one_of(st.sampled_from(NAMES), text), min_size=1, max_size=4))
    rows = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values: list[list[Any]] = []
    kinds = [draw(st.sampled_from(("any", "float", "code", "word", "nothing"))) for _ in called]
    for kind in kinds:
        if kind == "any":
            few = [*draw(st.lists(text, min_size=1, max_size=5)), None]
            values.append(_each(rng, rows, few))
        else:
            values.append(KINDS[kind].draw(rng, rows))
    target = draw(st.sampled_from(called))
    if draw(st.booleans()):
        stored = {"any": pa.string(), "float": pa.float64(), "nothing": pa.null()}
        return Frame(called, kinds, values, target, types=[stored.get(kind, pa.large_string()) for kind in kinds])
    return Frame(called, kinds, values, target, dialect=draw(dialects(called, values)))
