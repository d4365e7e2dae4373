"""Tables written as CSV in dialects that people have: seeded, with what each name, cell and value is.

`draw_case(seed)` draws one. Dialects: delimiter, quote and what is quoted, decimal and thousands sign, encoding with
and without its mark, ends of lines, compression, a header or none, titles (also filled up), comments, blank lines and
`sep=` above it. Kinds of columns: decimals, whole numbers, ISO dates, words, and texts with delimiters, quotes,
line ends and marks of missing values in them.
"""

import bz2
import csv
import datetime
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROUNDED = 2
CITIES = ("Aarhus", "Münster", "Nîmes", "São Paulo", "Zürich", "Graz", "Leeds", "Turku")
TEXTS = ("low", "mid", "high", "Smith, John", 'say "no"', "a;b", "x|y", "it's", "two\nlines", "NA", "None", "-", "#5")
NAMES = ("age", "income", "rate", "segment", "city", "note", "y", "Item #", "c[0]", "gross, net", "a b", "Größe", "no")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1")
ENDINGS = (".csv", ".csv", ".csv", ".tsv", ".txt", ".csv.gz", ".csv.bz2", ".csv.zst", ".txt.gz")
ABOVE = ("", "", "", "", "title", "padded", "comment", "sep", "blank")
DELIMITERS = (",", ",", ";", ";", "\t", "|")
THOUSANDS = {".": (None, None, ",", "'"), ",": (None, None, ".", "\u00a0")}


@dataclass(frozen=True)
class Case:
    """A file's bytes, and what is in them: `names`, `cells` as written (None where empty), row by row, and `values` as
    they are meant, column by column. `decimal`, `thousands`: None where no cell shows one. `what`: for messages."""

    seed: int
    ending: str
    data: bytes
    names: list[str]
    cells: list[list[str | None]]
    values: list[list[Any]]
    decimal: str | None
    thousands: str | None
    what: str

    def write(self, folder: Path) -> str:
        """The path of the file, written into a folder."""
        path = folder / f"case-{self.seed}{self.ending}"
        path.write_bytes(self.data)
        return str(path)


@dataclass(frozen=True)
class _Dice:
    rng: np.random.Generator

    def one(self, of: Sequence[Any]) -> Any:
        return of[int(self.rng.integers(len(of)))]

    def order(self, of: Sequence[Any]) -> list[Any]:
        return [of[i] for i in self.rng.permutation(len(of))]


def draw_case(seed: int) -> Case:
    """A table of 3 to 8 columns and 12 to 150 rows; the same for the same seed."""
    dice = _Dice(np.random.default_rng([seed, 17]))
    delimiter = dice.one(DELIMITERS)
    decimal = dice.one((".", ",")) if delimiter != "," else dice.one((".", ".", ".", ","))
    thousands = dice.one(THOUSANDS[decimal])
    rows, width = int(dice.rng.integers(12, 150)), int(dice.rng.integers(3, 9))
    names = dice.order(NAMES)[:width]
    others = [dice.one(("number", "whole", "city", "text", "date")) for _ in range(width - 1)]
    kinds = dice.order(["number", *others])
    columns = [_column(kind, rows, dice, decimal, thousands) for kind in kinds]
    values = [[value for value, _ in column] for column in columns]
    cells = [list(row) for row in zip(*([text for _, text in column] for column in columns), strict=True)]
    shown = {
        sign
        for kind, column in zip(kinds, columns, strict=True)
        if kind == "number"
        for _, t in column
        for sign in t or ""
    }
    header, above, encoding = dice.one((True,) * 5 + (False,)), dice.one(ABOVE), dice.one(ENCODINGS)
    quoting, quote = dice.one((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL)), dice.one('"' * 8 + "'")
    end, ending = dice.one(("\n", "\n", "\r\n")), dice.one(ENDINGS)
    text = io.StringIO()
    text.write(_above(above, delimiter, width, end))
    writer = csv.writer(text, delimiter=delimiter, quotechar=quote, quoting=quoting, lineterminator=end)
    if header:
        writer.writerow(names)
    writer.writerows([["" if cell is None else cell for cell in row] for row in cells])
    return Case(
        seed=seed,
        ending=ending,
        data=_compressed(text.getvalue().encode(encoding), ending),
        names=names if header else [f"column_{i}" for i in range(1, width + 1)],
        cells=cells,
        values=values,
        decimal=decimal if decimal in shown else None,
        thousands=thousands if thousands in shown else None,
        what=f"{seed}: {delimiter!r} {decimal}{thousands} {encoding} header={header} {above} {quote} {kinds}",
    )


def _column(kind: str, rows: int, dice: _Dice, decimal: str, thousands: str | None) -> list[tuple[Any, str | None]]:
    """Values and how they are written. The first one is never missing, so that no row is empty."""
    share = dice.one((0, 0, 0.1))
    column = [_cell(kind, dice, decimal, thousands) for _ in range(rows)]
    gone = dice.rng.random(rows) < (share if kind not in ("number",) else 0)
    return [(None, None) if away else pair for pair, away in zip(column, gone, strict=True)]


def _cell(kind: str, dice: _Dice, decimal: str, thousands: str | None) -> tuple[Any, str]:
    if kind == "number":
        value = round(float(dice.rng.lognormal(7, 2)), ROUNDED)
        return value, _number(value, decimal, thousands)
    if kind == "whole":
        value = int(dice.rng.integers(0, 90))
        return value, str(value)
    if kind == "date":
        value = datetime.date(2010, 1, 1) + datetime.timedelta(days=int(dice.rng.integers(0, 5000)))
        return value, value.isoformat()
    text = dice.one(CITIES if kind == "city" else TEXTS)
    return text, text


def _number(value: float, decimal: str, thousands: str | None) -> str:
    text = f"{value:,.{ROUNDED}f}" if thousands else f"{value:.{ROUNDED}f}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands or "")


def _above(kind: str, delimiter: str, width: int, end: str) -> str:
    return {
        "": "",
        "title": f"Sales by region{end}printed 2024-01-31{end}{end}",
        "padded": f"Sales by region{delimiter * (width - 1)}{end}",
        "comment": f"# exported by a program{end}# version 2{end}",
        "sep": f"sep={delimiter}{end}",
        "blank": end,
    }[kind]


def _compressed(data: bytes, ending: str) -> bytes:
    if ending.endswith(".gz"):
        return gzip.compress(data, mtime=0)
    if ending.endswith(".bz2"):
        return bz2.compress(data)
    return pa.compress(data, codec="zstd", asbytes=True) if ending.endswith(".zst") else data
