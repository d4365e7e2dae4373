"""Tables written as CSV in dialects that people have: seeded, with what each cell, name and sign of numbers is.

`case(seed)` draws one. Its text is what is written; `cells` what a reader should find in each, None for an empty one.
"""

import bz2
import csv
import gzip
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

CITIES = ["Aarhus", "Münster", "Nîmes", "São Paulo", "Zürich", "Graz", "Leeds", "Turku"]
WORDS = ["low", "mid", "high", "Smith, John", 'say "no"', "a;b", "x|y", "it's", "two\nlines", "NA", "None", "-", "#5"]
NAMES = ["age", "income", "rate", "segment", "city", "note", "y", "Item #", "c[0]", "gross, net", "a b", "Größe", "no"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"]
ENDINGS = [".csv", ".csv", ".csv", ".tsv", ".txt", ".csv.gz", ".csv.bz2", ".csv.zst", ".txt.gz"]


@dataclass
class Case:
    """A file of `data`. `decimal`, `thousands`: None where the cells show none. `numbers`: columns of numbers, as
    float64 with nan for missing, by place."""

    seed: int
    ending: str
    data: bytes
    names: list[str]
    cells: list[list[str | None]]
    decimal: str | None
    thousands: str | None
    numbers: dict[int, list[float]] = field(default_factory=dict)
    what: str = ""

    def write(self, folder: Path) -> str:
        path = folder / f"case-{self.seed}{self.ending}"
        path.write_bytes(self.data)
        return str(path)


def case(seed: int) -> Case:
    """A table of 3 to 8 columns and 12 to 150 rows in a dialect, all drawn with this seed."""
    rng = np.random.default_rng([seed, 17])

    def one(values):  # type: ignore[no-untyped-def]
        return values[int(rng.integers(len(values)))]

    delimiter = one([",", ",", ";", ";", "\t", "|"])
    decimal = one([".", ","]) if delimiter != "," else one([".", ".", ".", ","])
    grouping = {".": [None, None, ",", "'"], ",": [None, None, ".", "\u00a0"]}[decimal]
    thousands = one(grouping)
    rows, width = int(rng.integers(12, 150)), int(rng.integers(3, 9))
    names = [NAMES[i] for i in rng.permutation(len(NAMES))[:width]]
    kinds = ["number", *(one(["number", "integer", "city", "word", "date"]) for _ in range(width - 1))]
    kinds = [kinds[i] for i in rng.permutation(width)]
    numbers: dict[int, list[float]] = {}
    columns: list[list[str | None]] = []
    signs = set()
    for place, kind in enumerate(kinds):
        column: list[str | None] = []
        values = rng.lognormal(7, 2, rows) if kind == "number" else rng.integers(0, 90, rows)
        missing = rng.random(rows) < one([0, 0, 0.1])
        if kind == "number":
            texts = [_number(value, decimal, thousands) for value in values]
            signs |= {sign for text in texts for sign in text if not sign.isdigit()}
            numbers[place] = [float("nan") if m else round(float(v), 2) for v, m in zip(values, missing, strict=True)]
        elif kind == "integer":
            texts = [str(value) for value in values]
            numbers[place] = [float("nan") if m else float(v) for v, m in zip(values, missing, strict=True)]
        elif kind == "date":
            texts = [f"20{10 + v % 14}-{1 + v % 12:02d}-{1 + v % 28:02d}" for v in values.tolist()]
        else:
            texts = [one(CITIES if kind == "city" else WORDS) for _ in range(rows)]
        column = [None if m else text for text, m in zip(texts, missing, strict=True)]
        columns.append(column)
    cells = [list(row) for row in zip(*columns, strict=True)]
    cells = [
        row if any(cell is not None for cell in row) else ["0" if p in numbers else "low" for p in range(width)]
        for row in cells
    ]
    for at, row in enumerate(cells):
        for place, values in numbers.items():
            if row[place] == "0" and np.isnan(values[at]):
                values[at] = 0.0
    header = one(["yes"] * 5 + ["none"])
    encoding = one(ENCODINGS)
    above, comment = (
        one([("", None)] * 4 + [("title", None), ("padded", None), ("comment", "#"), ("sep", None), ("blank", None)]),
        None,
    )
    quoting = one([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    quote = one(['"'] * 8 + ["'"])
    end = one(["\n", "\n", "\r\n"])
    text = io.StringIO()
    if above[0] == "title":
        text.write(f"Sales by region{end}printed 2024-01-31{end}{end}")
    elif above[0] == "padded":
        text.write("Sales by region" + delimiter * (width - 1) + end)
    elif above[0] == "comment":
        text.write(f"# exported by a program{end}# version 2{end}")
    elif above[0] == "sep":
        text.write(f"sep={delimiter}{end}")
    elif above[0] == "blank":
        text.write(end)
    writer = csv.writer(text, delimiter=delimiter, quotechar=quote, quoting=quoting, lineterminator=end)
    if header == "yes":
        writer.writerow(names)
    for at, row in enumerate(cells):
        if above[1] and at == rows // 2:
            text.write(f"# a note{end}")
        writer.writerow(["" if cell is None else cell for cell in row])
    ending = one(ENDINGS)
    written = text.getvalue()
    if encoding in ("cp1252", "latin-1"):
        written.encode(encoding)  # all signs drawn are in both
    data = written.encode(encoding)
    if ending.endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    elif ending.endswith(".bz2"):
        data = bz2.compress(data)
    elif ending.endswith(".zst"):
        data = pa.compress(data, codec="zstd", asbytes=True)
    what = f"{delimiter!r} {decimal}{thousands} {encoding} header={header} {above[0]} quote={quote} {kinds}"
    found_names = names if header == "yes" else [f"column_{i + 1}" for i in range(width)]
    shown = thousands if thousands in signs else None
    return Case(seed, ending, data, found_names, cells, decimal if decimal in signs else None, shown, numbers, what)


def _number(value: float, decimal: str, thousands: str | None) -> str:
    text = f"{value:,.2f}" if thousands else f"{value:.2f}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands or "")
