"""What was done to a column so that it could be read, and how it is told."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dge_ray.errors import ColumnWarning, InputError
from dge_ray.phrases import one_line
from dge_ray.table.types.words import MARKS

MOST_LISTED = 20
_MOST_TOLD = 6
_LONGEST_TOLD = 16
_PLURALS = {
    "number": "numbers",
    "date": "dates",
    "time": "times of day",
    "duration": "durations",
    "boolean": "truth values",
}


class RepairWarning(ColumnWarning):
    """A column was read as something else than what is written, value for value."""


@dataclass(frozen=True)
class Repair:
    """How a column was read that is not plainly of one type.

    `kind`: number, date, time, duration, boolean or text. `missing`: odd values that became missing, and `censored`:
    bounds such as '<0.5' that are read as the bound, each with its count, most common first, at most 20 of each.
    `share`: of the present values, those that are missing now or censored. `note`: what else was done.
    `others`: how many values became missing beyond the 20 kinds in `missing`. `said`: the values that stand for missing
    ones by the user's word, with their counts. `kind` is "" where the column is read as it is but for these.
    """

    kind: str
    missing: Mapping[str, int] = field(default_factory=dict)
    censored: Mapping[str, int] = field(default_factory=dict)
    share: float = 0.0
    note: str = ""
    others: int = 0
    said: Mapping[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """The repair in a line. Odd values that occur once and are no usual mark are counted and not shown: they may be
        what somebody wrote of himself."""
        parts = [self.note] if self.kind in ("", "text") else [self._read_as()]
        if self.said:
            counted = ", ".join(f"{value!r} {count:,}" for value, count in self.said.items())
            parts.append(f"missing now, as null_values says, {counted}")
        if self.missing:
            parts.append(f"missing now {_listed(self.missing, self.others)}")
        if self.censored:
            parts.append(f"read as the bound {_listed(self.censored, 0)}")
        if self.share:
            parts.append(f"{self.share:.2%} of its present values")
        return "; ".join(filter(None, parts))

    @property
    def done(self) -> str | None:
        """As `text`; None where the column is as it was."""
        return None if self.kind == "text" and not self.said else self.text()

    def _read_as(self) -> str:
        return f"read as {_PLURALS[self.kind]}" + (f" ({self.note})" if self.note else "")


def warn_of(repairs: Mapping[str, Repair], *, stacklevel: int = 2) -> None:
    """A warning for each repaired column."""
    for name, repair in repairs.items():
        text = f"column '{one_line(name)}': {repair.text()}"
        warnings.warn(RepairWarning(text, name, repair.done), stacklevel=stacklevel + 1)


def _listed(counted: Mapping[str, int], others: int) -> str:
    shown = [(value, count) for value, count in counted.items() if _may_be_shown(value, count)][:_MOST_TOLD]
    others += sum(counted.values()) - sum(count for _, count in shown)
    words = [f"{value!r} {count:,}" for value, count in shown] + ([f"others {others:,}"] if others else [])
    return ", ".join(words)


def _may_be_shown(value: str, count: int) -> bool:
    usual = value.strip().lower() in MARKS or value.lstrip()[:1] in ("<", ">", "≤", "≥") or not value.strip("0-./ :")
    return len(value) <= _LONGEST_TOLD and (usual or count > 1)


def rows_text(rows: Iterator[int] | list[int], total: int) -> str:
    """Rows of a table by number, the first below the names being 1: `3 rows (4, 17, 101)`."""
    listed = [f"{row + 1:,}" for row in rows]
    return f"{total:,} row{'' if total == 1 else 's'} ({', '.join(listed)}{', ...' if total > len(listed) else ''})"


def stands_against(name: str, kind: str, rows: list[int], takes: str) -> InputError:
    """The error for rows, by index, whose value is none of a kind that the user named."""
    return InputError(f"columns.{name}", f"{kind}, which {rows_text(rows[:5], len(rows))} stand against", takes)
