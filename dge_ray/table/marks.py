"""The mark that a table of synthetic rows carries, so that who trains on it again can know what it is.

It stands in the schema metadata of a Parquet file, which other readers ignore. It is a note, not a seal: whoever
rewrites the file can take it out.
"""

import json
import math
from typing import Any

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.table.strict_json import strict_json

KEY = b"dge_ray.synthetic"
TAKES = "a bundle, a member from 0, a generation from 1, and the synthetic share (0 to 1) of what it was fitted on"
NAMES = ("bundle", "member", "generation", "share", "history")


def marked(table: pa.Table, mark: dict[str, Any]) -> pa.Table:
    """The same rows with the mark in the schema's metadata; other metadata stays, another mark is replaced.

    `mark`: `bundle`: what tells this bundle from others; `member`: k; `generation`: 1 for rows of a generator fitted on
    real rows, one more for each time that synthetic rows were fitted on; `share`: the synthetic share, 0 to 1, of the
    rows that the generator was fitted on; perhaps `history`: an entry a generation (lineage.py).

    Raises:
        InputError: a mark that `read_mark` would refuse.
    """
    _check(mark)
    content = json.dumps({name: mark[name] for name in NAMES if name in mark}, allow_nan=False)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), KEY: content.encode()})


def read_mark(schema: pa.Schema) -> dict[str, Any] | None:
    """The mark in an Arrow schema (`pq.read_schema(file)`, `table.schema`); None where there is none.

    Raises:
        InputError: there is one, but damaged. To take such rows for unmarked ones would be to take them for real.
    """
    content = (schema.metadata or {}).get(KEY)
    if content is None:
        return None
    try:
        mark = strict_json(content)
    except (ValueError, RecursionError):
        raise InputError("mark of synthetic rows", "a damaged one", f"JSON with {TAKES}") from None
    _check(mark)
    return mark


def _check(mark: Any) -> None:
    counts = {"member": 0, "generation": 1}
    fine = (
        isinstance(mark, dict)
        and isinstance(mark.get("bundle"), str)
        and mark["bundle"] != ""
        and all(type(mark.get(name)) is int and mark[name] >= least for name, least in counts.items())
        and type(mark.get("share")) in (int, float)
        and math.isfinite(mark["share"])
        and 0 <= mark["share"] <= 1
        and isinstance(mark.get("history", []), list)
        and all(_is_entry(entry) for entry in mark.get("history", []))
    )
    if not fine:
        raise InputError("mark of synthetic rows", repr(mark)[:80], TAKES)


def _is_entry(entry: Any) -> bool:
    """Whether it tells of one generation: its number, the synthetic share, and its utility or none."""
    if not (isinstance(entry, dict) and type(entry.get("generation")) is int and _is_number(entry.get("share"))):
        return False
    one = entry.get("utility")
    if one is None:
        return True
    ends = one.get("interval") if isinstance(one, dict) else None
    fine = isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends)) and ends[0] < ends[1]
    return fine and all(isinstance(one.get(name), str) for name in ("loss", "learner")) and _is_number(one.get("value"))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
