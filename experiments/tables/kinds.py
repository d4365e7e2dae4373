"""Are the kinds of real tables found again when the tables are written as text in other dialects?

    python experiments/tables/kinds.py --json experiments/tables/results/kinds.json

Each Parquet table of ../shared/data (but those of prose) is written in five dialects. A column is `same` where its kind
is that in the Parquet. Columns of digits that the Parquet stores as text are counted apart (`digits`): a text file
cannot say that they are no numbers.
"""

import csv
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import run_rows

from dge_ray.table import infer_schema, load_table
from dge_ray.table.arrow.arrow_types import is_string, pc

DATA = Path(__file__).parents[3] / "shared" / "data"
MOST_ROWS = 5000


def grouped(value: Any, thousands: str, decimal: str) -> str:
    return f"{value:,}".translate(str.maketrans(",.", thousands + decimal)) if isinstance(value, int | float) else value


# delimiter, encoding, how a number is written, how a missing value is
DIALECTS: dict[str, tuple[str, str, Callable[[Any], Any], str]] = {
    "comma": (",", "utf-8", lambda value: value, ""),
    "semicolon, decimal comma": (";", "utf-8-sig", lambda value: str(value).replace(".", ","), ""),
    "tab, thousands, NA": ("\t", "utf-8", lambda value: grouped(value, ",", "."), "NA"),
    "semicolon, German thousands, question marks": (";", "cp1252", lambda value: grouped(value, ".", ","), "?"),
    "bar, UTF-16, dashes": ("|", "utf-16", lambda value: value, "-"),
}


def written(table: pa.Table, path: Path, dialect: str) -> None:
    delimiter, encoding, number, missing = DIALECTS[dialect]
    with path.open("w", newline="", encoding=encoding, errors="replace") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(table.column_names)
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
            writer.writerow([missing if v is None else v if isinstance(v, str | bool) else number(v) for v in row])


def kinds(table: pa.Table) -> dict[str, str]:
    full = table.select([name for name in table.column_names if table[name].null_count < table.num_rows])
    return {column.name: column.kind.value for column in infer_schema(full).columns}


def of_digits(column: pa.ChunkedArray) -> bool:
    """Whether a column of text holds whole numbers."""
    if not is_string(column.type):
        return False
    return bool(pc.all(pc.match_substring_regex(column.drop_null(), r"^-?\d+$")).as_py())


def run() -> list[dict[str, Any]]:
    warnings.simplefilter("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for file in sorted(DATA.glob("*.parquet")):
            table = pq.read_table(file).replace_schema_metadata()
            if "text" in table.column_names:
                continue
            table = table[:MOST_ROWS]
            pq.write_table(table, Path(folder) / "t.parquet")
            stored = kinds(load_table(str(Path(folder) / "t.parquet")))
            digits = {name for name in stored if of_digits(table[name])}
            for dialect in DIALECTS:
                path = Path(folder) / "t.csv"
                written(table, path, dialect)
                found = kinds(load_table(str(path)))
                other = {n: [stored[n], found.get(n)] for n in stored if n not in digits and found.get(n) != stored[n]}
                row = {"table": file.stem, "dialect": dialect, "columns": len(stored), "digits": len(digits)}
                rows.append({**row, "same": len(stored) - len(digits) - len(other), "other": other})
    return rows


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
