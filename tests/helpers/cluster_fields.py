"""A strict check of nested fields, for documents without a schema to ask offline; and typos to try checks on."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
PINS = dict(
    line.split("==") for line in (CLUSTER / "constraints.txt").read_text().splitlines() if not line.startswith("#")
)

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's, where it is there: ten times as fast


@dataclass(frozen=True)
class Map:
    """A mapping whose keys are the user's own."""

    values: Any


def field_faults(value: Any, spec: Any, at: str = "") -> list[str]:
    """One line for everything in `value` that `spec` does not allow.

    A spec is a dict (these keys and no others; `key!` must be there), a list of one spec, a `Map`, a type, a set of
    values, or a pattern for strings.
    """
    if isinstance(spec, dict):
        if not isinstance(value, dict):
            return [f"{at}: {value!r}, not a mapping"]
        known = {key.rstrip("!"): inner for key, inner in spec.items()}
        unknown = [f"{at}.{key}: unknown" for key in value if key not in known]
        absent = [f"{at}.{key[:-1]}: missing" for key in spec if key.endswith("!") and key[:-1] not in value]
        inner = [
            fault for key in value if key in known for fault in field_faults(value[key], known[key], f"{at}.{key}")
        ]
        return unknown + absent + inner
    if isinstance(spec, Map):
        if not isinstance(value, dict):
            return [f"{at}: {value!r}, not a mapping"]
        return [fault for key in value for fault in field_faults(value[key], spec.values, f"{at}.{key}")]
    if isinstance(spec, list):
        if not isinstance(value, list):
            return [f"{at}: {value!r}, not a list"]
        return [fault for i, item in enumerate(value) for fault in field_faults(item, spec[0], f"{at}[{i}]")]
    if isinstance(spec, type):
        good = type(value) is spec
    elif isinstance(spec, set):
        good = value in spec
    else:
        good = isinstance(value, str) and re.fullmatch(spec, value) is not None
    return [] if good else [f"{at}: {value!r}"]


def load(text: str) -> list[Any]:
    """The documents of a YAML file."""
    return list(yaml.load_all(text, LOADER))


def dump(documents: list[Any]) -> str:
    return yaml.dump_all(documents, Dumper=DUMPER)


def misspelt(document: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every key of a document once with its last letter doubled: the path to it, and a copy of the document."""
    for path in key_paths(document):
        changed = copy.deepcopy(document)
        holder = changed
        for step in path[:-1]:
            holder = holder[step]
        key = path[-1]
        items = [(key + key[-1] if name == key else name, value) for name, value in holder.items()]
        holder.clear()
        holder.update(items)
        yield path, changed


def key_paths(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every mapping key below a node."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*at, key)
            yield from key_paths(value, (*at, key))
    elif isinstance(node, list):
        for i, item in enumerate(node):
            yield from key_paths(item, (*at, i))
