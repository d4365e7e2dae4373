"""`gate=`: a verdict that must be met, for continuous integration; and where a verb has written its page."""

from collections.abc import Mapping
from typing import Any

from dge_ray.report.words.answer import link

NOT_MET = 3  # exit code


def gated(result: Mapping[str, Any], wanted: str | None, met: bool) -> dict[str, Any]:
    """A verb's result with `gate`: what was wanted, and whether it is met; as it is where nothing was wanted."""
    return {**result} if wanted is None else {**result, "gate": {"wanted": wanted, "met": bool(met)}}


def exit_code(result: Mapping[str, Any]) -> int:
    """NOT_MET for a result whose gate is not met."""
    return 0 if (result.get("gate") or {}).get("met", True) else NOT_MET


def ending(result: Mapping[str, Any]) -> list[str]:
    """A verb's last lines: the gate, and what it wrote, as a link."""
    gate = result.get("gate")
    lines = [f"gate={gate['wanted']}: {'met' if gate['met'] else 'not met'}"] if gate else []
    return [*lines, *(f"{name}: {link(result[key])}" for key, name in WRITTEN.items() if result.get(key))]


WRITTEN = {"page": "Report", "file": "Written"}  # keys of a result
