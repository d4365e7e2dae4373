"""Data frames of mixed kinds, drawn by Hypothesis, and written as CSV in a dialect of its drawing or as Parquet.

`frames()` draws what has to be read as it is meant: no frame of these may be refused. `odd_frames()` draws what people
have by mistake too: names that are blank, twice there or of control characters, no rows, cells of any text.
"""

import csv
import gzip
import io
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from dge_ray.table.reading.signs import is_date, is_missing, is_number
from helpers.frame_kinds import IN_CSV, KINDS, TARGETS, each

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
            values.append(each(rng, rows, few))
        else:
            values.append(KINDS[kind].draw(rng, rows))
    target = draw(st.sampled_from(called))
    if draw(st.booleans()):
        stored = {"any": pa.string(), "float": pa.float64(), "nothing": pa.null()}
        return Frame(called, kinds, values, target, types=[stored.get(kind, pa.large_string()) for kind in kinds])
    return Frame(called, kinds, values, target, dialect=draw(dialects(called, values)))
