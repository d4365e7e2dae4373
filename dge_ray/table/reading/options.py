"""How a source is to be read, as far as somebody said so, and what came of it."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

NO_HEADER = "none"
Dates = Literal["day_first", "month_first"]


@dataclass(frozen=True)
class Reading:
    """What is said of a source; None and () are found from the data.

    Of a CSV: `delimiter`, `decimal`, `thousands` (a sign each), `encoding` (Python's name), `header` (the number of the
    line with the names, from 1, or "none"), `null_values` (cells that are missing, beside the empty ones), `comment`
    (what a line begins with that is none of the table), `dates` (of 03/04/2020). Of a database: `query` or `table`. Of
    a workbook: `sheet`.
    """

    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: int | str | None = None
    null_values: tuple[str, ...] = ()
    comment: str | None = None
    dates: Dates | None = None
    query: str | None = None
    table: str | None = None
    sheet: str | None = None


AS_FOUND = Reading()


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written. `header`: the number of the line with the names, None without one.

    `begins`: bytes before the first row, as UTF-8. `blanks`: a blank follows each delimiter and belongs to it;
    `padded`: one stands before each, too. `extra`: what a row has that the names lack: "first" (R's row names) or
    "last" (a delimiter at the end of each row).
    """

    names: tuple[str, ...]
    begins: int
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    encoding: str = "utf-8"
    header: int | None = 1
    comment: str | None = None
    decimal: str = "."
    thousands: str | None = None
    blanks: bool = False
    padded: bool = False
    extra: Literal["first", "last"] | None = None

    def words(self, usual: str = ",") -> list[str]:
        """What is unlike a plain CSV with the usual delimiter, as the keys that say the same where there is a key."""
        said = [
            ("delimiter", self.delimiter, usual),
            ("decimal", self.decimal, "."),
            ("thousands", self.thousands, None),
        ]
        said += [("encoding", self.encoding, "utf-8"), ("header", self.header or NO_HEADER, 1)]
        said += [("comment", self.comment, None)]
        words = [f"csv.{key}={_shown(str(value))}" for key, value, usual in said if value != usual]
        words += [f"{self.quote} as the quote"] * (self.quote != '"')
        words += [f"{self.escape} before a quote within a cell"] * (self.escape is not None)
        return words + [f"a blank {'around' if self.padded else 'after'} each delimiter"] * self.blanks


@dataclass(frozen=True)
class ReadTable:
    """A source as it was read: of a CSV every column is text, cells as they are written, empty ones null.

    `dialect`: of a CSV. `notes`: what a user should know of the reading, a line each.
    """

    table: pa.Table
    dialect: Dialect | None = None
    notes: tuple[str, ...] = ()


class ReadingWarning(UserWarning):
    """A table was read in a way that its owner should know of."""


def _shown(value: str) -> str:
    """A value as a shell takes it: a tab and a blank are spelled, other signs stand in quotes.

    >>> _shown("\\t"), _shown(";"), _shown("cp1252")
    ('tab', "';'", 'cp1252')
    """
    if value in SPELLED:
        return SPELLED[value]
    return value if value.replace("-", "").replace("_", "").isalnum() else f"'{value}'" if value != "'" else '"\'"'


SPELLED = {"\t": "tab", " ": "space", "\u00a0": "nbsp", "\u202f": "narrow_nbsp"}
