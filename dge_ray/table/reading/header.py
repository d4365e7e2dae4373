"""Which row of a CSV is the names, by its look beside the rows below it: names, a title, or a row like the others."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from dge_ray.table.reading.signs import is_date, is_missing, is_number

MOSTLY = 0.8  # of a column's values that are numbers or dates where it is one of these


@dataclass(frozen=True)
class Row:
    """A row of the first lines: the index of its first line and of the line behind it, and its cells."""

    line: int
    after: int
    cells: list[str]


def titles(rows: Sequence[Row]) -> int:
    """How many of the first rows, all as wide, are titles above the table: such as a spreadsheet has filled up with
    empty cells, and rows of groups of columns (merged cells), or of a word and what it is, above a row of names."""
    at = 0
    while at + 1 < len(rows):
        if _is_title(rows[at], rows[at + 1]):
            at += 1
            continue
        below = next((i for i in range(at + 1, len(rows)) if _full(rows[i]) == len(rows[i].cells)), at)
        if below == at or not all_names(rows[below].cells):
            return at
        half_empty = all(2 * _full(row) <= len(row.cells) > 2 for row in rows[at:below])
        gaps = all(_full(row) < len(row.cells) for row in rows[at:below]) and _above_numbers(rows[below:])
        if not half_empty and not (gaps and all_texts(rows[at].cells)):
            return at
        at = below
    return at


def _full(row: Row) -> int:
    return sum(bool(cell.strip()) for cell in row.cells)


def all_texts(cells: Sequence[str]) -> bool:
    """Whether none of the cells is a number or a date."""
    return not any(is_number(cell) or is_date(cell) for cell in cells)


def _above_numbers(rows: Sequence[Row]) -> bool:
    """Whether a text of the first row stands above numbers."""
    body = [row.cells for row in rows[1:] if len(row.cells) == len(rows[0].cells)]
    for place, name in enumerate(rows[0].cells):
        known = [cells[place] for cells in body if not is_missing(cells[place])]
        if known and not is_number(name) and sum(map(is_number, known)) > MOSTLY * len(known):
            return True
    return False


def _is_title(row: Row, following: Row) -> bool:
    """A text in the first cell alone, or nothing in any."""
    if not any(cell.strip() for cell in row.cells):
        return True
    full = sum(bool(cell.strip()) for cell in following.cells)
    others = [cell for cell in row.cells[1:] if cell.strip()]
    return len(row.cells) > 2 and bool(row.cells[0].strip()) and not others and full != 1


def names_above(row: Row, following: Row) -> bool:
    """Whether a row of another width than those below it is their names all the same, and no title."""
    texts = row.cells[: -empty_end(row.cells) or None]
    return len(texts) > 1 and all_names(texts) and not all_names(following.cells)


def empty_end(cells: Sequence[str]) -> int:
    """Empty cells at the end of a row."""
    return next((i for i, cell in enumerate(reversed(cells)) if cell.strip()), len(cells))


def all_names(cells: Sequence[str]) -> bool:
    """Whether a row may be names by itself: different texts, none of them a number or a date."""
    texts = [cell.strip() for cell in cells]
    return len(set(texts)) == len(texts) and not any(not t or is_number(t) or is_date(t) for t in texts)


def has_names(rows: Sequence[Row]) -> bool:
    """Whether the first of the rows is the names: unless it looks like the rows below it.

    It is names if a text stands above numbers. Otherwise it is a row if numbers or dates stand above such, and are no
    count of columns (0, 1, 2, or 2019, 2020); or if its texts come again below.
    """
    head, body = rows[0].cells, [row.cells for row in rows[1:] if len(row.cells) == len(rows[0].cells)]
    above: list[str] = []  # what stands above numbers
    again = texts = 0
    years_above_others = False
    for place, name in enumerate(head):
        name = name.strip()
        known = [cell for cells in body if not is_missing(cell := cells[place].strip())]
        if is_missing(name) or not known:
            continue
        if sum(is_number(cell) or is_date(cell) for cell in known) > MOSTLY * len(known):
            if not (is_number(name) or is_date(name)):
                return True
            above.append(name)
            years_above_others |= _is_year(name) and not all(map(_is_year, known))
        else:
            texts += 1
            again += name in known
    if above:
        unnamed_index = not head[0].strip() and above == ["0"]  # of a series of pandas
        return years_above_others or unnamed_index or _is_count(above)
    return not texts or again < max(1, texts / 2)


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdecimal() and text[:2] in ("18", "19", "20")


def _is_count(texts: Sequence[str]) -> bool:
    """Whether they are whole numbers that go up in equal steps, as names of columns do."""
    if len(texts) < 2 or not all(text.isdecimal() for text in texts):
        return False
    numbers = [int(text) for text in texts]
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    named = len(numbers) > 2 or numbers[0] in (0, 1) or all(map(_is_year, texts))
    return len(steps) == 1 and min(steps) > 0 and named
