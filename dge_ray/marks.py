"""The mark that a table of synthetic rows carries, so that who trains on it again can know what it is.

It stands in the schema metadata of a Parquet file, which other readers ignore. It is a note, not a seal: whoever rewrites
the file can take it out.
"""

import json
import math
from typing import Any

import pyarrow as pa

from dge_ray.errors import InputError

KEY = b"dge_ray.synthetic"
TAKES = "a bundle, a member from 0, a generation from 1, and the synthetic share (0 to 1) of what it was fitted on"


def marked(table: pa.Table, mark: dict[str, Any]) -> pa.Table:
    """The same rows with the mark in the schema's metadata; other metadata stays, another mark is replaced.

    `mark`: `bundle`: what tells this bundle from others; `member`: k; `generation`: 1 for rows of a generator fitted on
    real rows, one more for each time that synthetic rows were fitted on; `share`: the synthetic share, 0 to 1, of the
    rows that the generator was fitted on.

    Raises:
        InputError: a mark that `read_mark` would refuse.
    """
    _check(mark)
    content = json.dumps({name: mark[name] for name in ("bundle", "member", "generation", "share")}, allow_nan=False)
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
        mark = json.loads(content)
    except (ValueError, RecursionError):
        raise InputError("mark of synthetic rows", "a damaged one", f"JSON with {TAKES}") from None
    _check(mark)
    return mark


def _check(mark: Any) -> None:
    whole = {"member": 0, "generation": 1}
    fine = (
        isinstance(mark, dict)
        and isinstance(mark.get("bundle"), str)
        and mark["bundle"] != ""
        and all(type(mark.get(name)) is int and mark[name] >= least for name, least in whole.items())
        and type(mark.get("share")) in (int, float)
        and math.isfinite(mark["share"])
        and 0 <= mark["share"] <= 1
    )
    if not fine:
        raise InputError("mark of synthetic rows", repr(mark)[:80], TAKES)
