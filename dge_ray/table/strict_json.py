"""JSON from elsewhere, read so that it means one thing: what the format allows beyond is refused."""

import json
import math
from typing import Any, NoReturn


class UnsoundError(ValueError):
    """JSON that Python would read, and other readers otherwise. The text says what."""


def strict_json(text: str | bytes) -> Any:
    """The content of a JSON text.

    Raises:
        UnsoundError: a key twice in one object, NaN or an infinity, or a number that no float holds (1e999).
        ValueError, RecursionError: no JSON, no UTF-8, nested too deeply.

    >>> strict_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    dge_ray.table.strict_json.UnsoundError: the key 'a' twice
    """
    return json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_each_once)


def _no_constant(word: str) -> NoReturn:
    raise UnsoundError(f"{word}, which is no number of JSON's")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise UnsoundError(f"the number {text[:40]}, which is too large")
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise UnsoundError(f"the key {name[:40]!r} twice")
        found[name] = value
    return found
