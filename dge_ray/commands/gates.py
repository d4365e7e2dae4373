"""`gate=`: a verdict that must be met, for continuous integration; and where a verb has written its page."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dge_ray.errors import InputError, nearest
from dge_ray.report.words.answer import link

NOT_MET = 3  # exit code


def gated(result: Mapping[str, Any], wanted: str | None, met: bool) -> dict[str, Any]:
    """A verb's result with `gate`: what was wanted, and whether it is met; as it is where nothing was wanted."""
    return {**result} if wanted is None else {**result, "gate": {"wanted": wanted, "met": bool(met)}}


@dataclass(frozen=True)
class Threshold:
    """A score that must be at least, or at most, a number."""

    name: str
    at_least: bool
    number: float

    def met(self, score: Mapping[str, Any] | None) -> bool:
        """By the interval's end or, without an interval, by the score itself; a score that there is not meets none."""
        if score is None:
            return False
        low, high = score.get("interval") or (score["value"], score["value"])
        return low >= self.number if self.at_least else high <= self.number


def read_threshold(text: str | None, names: Sequence[str]) -> Threshold | None:
    """The gate that is spelled `NAME >= NUMBER` or `NAME <= NUMBER`, with one of these names.

    Raises:
        InputError: it is none, or its name is none of these.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\w+)\s*(>=|<=)\s*([-+.\de]+)\s*", text)
    try:
        name, sign, least = found.groups() if found else ("", "", "")
        number = float(least)
    except ValueError:
        takes = f"METRIC >= NUMBER or METRIC <= NUMBER, such as 'gate={names[0]} <= 0.5'"
        raise InputError("gate", repr(text), takes) from None
    if name not in names:
        raise InputError("gate", repr(text), nearest(name, list(names)))
    return Threshold(name, sign == ">=", number)


def exit_code(result: Mapping[str, Any]) -> int:
    """NOT_MET for a result whose gate is not met."""
    return 0 if (result.get("gate") or {}).get("met", True) else NOT_MET


def ending(result: Mapping[str, Any]) -> list[str]:
    """A verb's last lines: the gate, and what it wrote, as a link."""
    gate = result.get("gate")
    lines = [f"gate={gate['wanted']}: {'met' if gate['met'] else 'not met'}"] if gate else []
    return [*lines, *(f"{name}: {link(result[key])}" for key, name in WRITTEN.items() if result.get(key))]


WRITTEN = {"page": "Report", "file": "Written"}  # keys of a result
