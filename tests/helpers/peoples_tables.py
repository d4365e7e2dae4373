"""Tables as people have them, drawn in the test, and what `dge_ray.check` says of them."""

import csv
import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.commands.check import check_study
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.table import TableCodec

N = 300
RNG = np.random.default_rng(20)
AGE = RNG.integers(18, 90, N).tolist()
Y = RNG.choice(["yes", "no"], N).tolist()
AMOUNTS = RNG.lognormal(8, 1.5, N).round(2).tolist()
DAYS = [dt.date(2019, 1, 1) + dt.timedelta(days=int(day)) for day in RNG.integers(0, 1500, N)]
CARDS = RNG.integers(10**15, 10**16, N).tolist()


@dataclass(frozen=True)
class Checked:
    """The columns by name, each with its `kind`, `type`, `missing`, `distinct`, `values` and `warnings`; all warnings,
    and the rows by part."""

    columns: Mapping[str, Mapping[str, Any]]
    warnings: Sequence[str]
    rows: Mapping[str, int]

    def kind(self, name: str) -> str:
        return self.columns[name]["kind"]

    def told(self, *words: str) -> bool:
        """Whether a warning has all of the words, and none of the warnings is of more than one line."""
        assert not any("\n" in line for line in self.warnings)
        return any(all(word in line for word in words) for line in self.warnings)


def checked(source: str | Path, *words: str, target: str = "y") -> Checked:
    """What `dge-ray check SOURCE target=y WORDS` finds; nothing of it is written anywhere."""
    given = ["generator=copula", f"storage={Path(str(source)).parent / 'studies'}", "study=s", f"target={target}"]
    found = check_study(read_config(str(source), [*given, *words]))
    return Checked({column["name"]: column for column in found["columns"]}, found["warnings"], found["rows"])


def as_text(columns: Mapping[str, Sequence[Any]], *, sign: str = ",", end: str = "\n", **how: Any) -> str:
    """Columns as a CSV, those in `columns` between an age and the target; `how`: as `csv.writer` takes it."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sign, lineterminator=end, **how)
    rows = max((len(values) for values in columns.values()), default=N)
    whole = {"age": AGE[:rows], **columns, "y": Y[:rows]}
    writer.writerow(whole)
    writer.writerows(zip(*whole.values(), strict=True))
    return out.getvalue()


def csv_of(place: Path, columns: Mapping[str, Sequence[Any]], *, encoding: str = "utf-8", **how: Any) -> Path:
    """The path of such a CSV."""
    path = place / "t.csv"
    path.write_bytes(as_text(columns, **how).encode(encoding))
    return path


def checked_csv(place: Path, columns: Mapping[str, Sequence[Any]], *words: str, **how: Any) -> Checked:
    return checked(csv_of(place, columns, **how), *words)


def german(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


PLAIN = as_text({"gross": AMOUNTS})


def prepared(source: Path, *words: str) -> Prepared:
    keys = ["generator=copula", f"storage={source.parent}", "study=s", "target=y"]
    return prepare(read_config(str(source), [*keys, *words]))


def rows_of(found: Prepared) -> pa.Table:
    return pa.concat_tables(found.parts.values())


def drawn(found: Prepared) -> pa.Table:
    """Rows as any generator gives them: each measured column anywhere within its bounds."""
    rng, rows = np.random.default_rng(3), rows_of(found)
    columns = TableCodec(found.schema).encode(rows)
    for column in found.schema.modelled:
        if column.minimum is not None and column.maximum is not None:
            columns[column.name] = rng.uniform(column.minimum, column.maximum, rows.num_rows)
    return TableCodec(found.schema).decode(columns, seed=0)
