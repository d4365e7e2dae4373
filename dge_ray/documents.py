"""JSON and YAML from elsewhere, read so that they mean one thing and end: what both formats allow beyond is refused."""

import json
import math
from typing import Any, NoReturn

import yaml


class UnsoundError(ValueError):
    """JSON that Python would read, and other readers otherwise. The text says what."""


def strict_json(text: str | bytes) -> Any:
    """The content of a JSON text.

    Raises:
        UnsoundError: a key twice in one object, NaN or an infinity, or a number that no float holds (1e999).
        ValueError, RecursionError: no JSON, no UTF-8, nested too deeply.

    >>> strict_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    dge_ray.documents.UnsoundError: the key 'a' twice
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


class _Loader(yaml.SafeLoader):
    """Plain values alone. Aliases make a few lines stand for more than any memory holds, and nothing here needs one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if getattr(event, "anchor", None) is not None:
            name = f"{'*' if isinstance(event, yaml.AliasEvent) else '&'}{event.anchor[:40]}"
            raise yaml.MarkedYAMLError(problem=f"{name}, an anchor or alias, which is not taken here")
        return super().compose_node(parent, index)


def plain_yaml(text: str | bytes) -> Any:
    """The content of a YAML text, as `yaml.safe_load` gives it.

    Raises:
        yaml.YAMLError: no YAML, an anchor or alias, a value that its type cannot have (2020-13-45), nested too deeply.
    """
    try:
        return yaml.load(text, _Loader)
    except (ValueError, RecursionError, OverflowError) as error:  # UnicodeDecodeError is a ValueError
        raise yaml.YAMLError(str(error).partition("\n")[0] if str(error) else type(error).__name__) from None
