"""Cells by their look: numbers, dates, marks of missing values, and the signs that numbers are written with."""

import re
from collections import Counter
from collections.abc import Sequence

MISSING = frozenset(
    {"", "?", "-", ".", "na", "n/a", "#n/a", "nan", "null", "none", "<na>", "nat", "unknown", "missing"}
)
_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:[.,'\u00a0\u202f ]\d+)*|[.,]\d+)(?:[eE][+-]?\d+)?%?|[+-]?inf(?:inity)?", re.IGNORECASE
)
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?")
# Of numbers with both signs, or with one that can be but one thing.
SIGNS = ",.'\u00a0\u202f "
_GROUPS = {sign: re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(sign)}\d{{3}})+") for sign in SIGNS}
# A number within a currency, a unit or the brackets of accounts.
_AROUND = re.compile(r"[^\d+.,[{-]{0,4}(?P<number>[+-]?[\d.,'\u00a0\u202f ]*\d)[^\d.,\]}]{0,5}")
SHARE = 0.8  # of a column's values that must be numbers under a reading of the signs
TELLING = 0.05  # of a column's numbers with a sign, those whose sign can be but one thing; of three decimals 10 % are
_HEAD = r"(?:\d+|[1-9]\d{{0,2}}(?:[{others}'\u00a0\u202f ]\d{{3}})+)?"
_NUMBERS = re.compile(
    r"[+-]?(?:(?P<thousand_comma>[1-9]\d{0,2},\d{3})|(?P<thousand_point>[1-9]\d{0,2}\.\d{3})"
    r"|(?P<commas>[1-9]\d{0,2}(?:,\d{3}){2,})|(?P<points>[1-9]\d{0,2}(?:\.\d{3}){2,})"
    r"|(?P<comma>" + _HEAD.format(others=".") + r",\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<point>" + _HEAD.format(others=",") + r"\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<whole>\d+|[1-9]\d{0,2}(?:['\u00a0\u202f ]\d{3})+))"
)


def is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def is_number(cell: str) -> bool:
    """Whether a cell looks like a number, whatever its signs: 1,5 and 1.234,56 too."""
    return bool(_NUMBER.fullmatch(cell.strip()))


def is_date(cell: str) -> bool:
    """Whether a cell looks like a date or a time of day in figures."""
    return bool(_DATE.fullmatch(cell.strip()))


def number_signs(
    columns: Sequence[Sequence[str]], *, delimiter: str, decimal: str | None = None, thousands: str | None = None
) -> tuple[str, str | None]:
    """The decimal sign and that between thousands (None where there is none), from some cells of each column.

    A comma is the decimal sign where a number could not be grouped so (3,5; 0,123; 1.234,56). Where it could
    (1,234 alone), it stands between thousands, but in a file without commas between its cells.
    """
    read = [[_bare(cell) for cell in column if not is_missing(cell)] for column in columns if _may_show(column)]
    if decimal is None:
        decimal = "," if _decimal_comma(read, delimiter, thousands) else "."
    if thousands is None:
        others = (sign for sign in _GROUPS if sign != decimal)
        thousands = next((sign for sign in others if any(_grouped(column, sign, decimal) for column in read)), None)
    return decimal, thousands


def _decimal_comma(columns: Sequence[Sequence[str]], delimiter: str, thousands: str | None) -> bool:
    """Whether most of the columns whose numbers tell have a decimal comma: of as many, most of their numbers."""
    if thousands == ",":
        return False
    votes: Counter[str] = Counter()
    cells: Counter[str] = Counter()
    open_ = False
    for column in columns:
        seen = Counter(found.lastgroup for cell in column if (found := _NUMBERS.fullmatch(cell)))
        if seen.total() < SHARE * len(column):
            continue
        commas, points = seen["comma"] + seen["points"], seen["point"] + seen["commas"]
        told = commas + points
        if told and told >= TELLING * (seen.total() - seen["whole"]):  # among groups of three, few others are slips
            votes["," if commas > points else "."] += 1
            cells += Counter({",": commas, ".": points})
        elif seen["thousand_comma"] == len(column):
            open_ = True
    if votes[","] != votes["."]:
        return votes[","] > votes["."]
    if votes:
        return cells[","] > cells["."] if delimiter != ";" else cells[","] >= cells["."]
    return open_ and delimiter == ";"


def _grouped(column: Sequence[str], sign: str, decimal: str) -> bool:
    """Whether the column is numbers with this sign between their thousands, and one of them shows it."""
    rest = rf"(?:{re.escape(decimal)}\d+)?"
    group = _GROUPS[sign].pattern
    shown = [cell for cell in column if re.fullmatch(group + rest, cell)]
    if sign == " " and len({len(cell) for cell in shown}) < 2:  # a telephone number has blanks too
        return False
    return bool(shown) and _share(column, rf"[+-]?\d{{1,3}}{rest}|{group}{rest}|[+-]?{re.escape(decimal)}\d+")


def _may_show(column: Sequence[str]) -> bool:
    """Whether a sign that numbers may have is between the column's figures."""
    text = "\n".join(column)
    return any(sign in text for sign in SIGNS) and any(figure in text for figure in "0123456789")


def _bare(cell: str) -> str:
    found = _AROUND.fullmatch(cell.strip())
    return found["number"] if found else cell.strip()


def _share(column: Sequence[str], pattern: str) -> bool:
    found = re.compile(pattern)
    return sum(bool(found.fullmatch(cell)) for cell in column) >= SHARE * len(column)
