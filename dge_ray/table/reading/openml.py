"""Tables of OpenML by name, name and version, or number, through scikit-learn (which caches what it downloads)."""

from typing import Any

import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.table.arrow.frame import from_pandas

PREFIX = "openml:"
_TAKES = "openml:NAME, openml:NAME@VERSION or openml:ID of an active OpenML table"


def load_openml(source: str) -> pa.Table:
    """The table: nominal attributes as dictionaries, the target among the columns.

    Raises:
        InputError: no such table, a sparse one, or OpenML does not answer.
    """
    return from_pandas(_fetch(source).frame)


def openml_target(source: str) -> str | None:
    """The table's default target; None where it names none or several.

    Raises:
        InputError: as `load_openml`.
    """
    named = _fetch(source).details.get("default_target_attribute")
    return named if named and "," not in named else None


def _fetch(source: str) -> Any:
    from sklearn.datasets import fetch_openml

    query = _question(source)
    try:
        # No target: sklearn refuses targets with missing values, which here may be dropped.
        return fetch_openml(**query, target_column=None, as_frame=True, parser="auto")
    # sklearn's OpenMLError and "no such dataset" are ValueErrors; a network that is down is an OSError.
    except (ValueError, OSError) as error:
        reason = str(error).strip().split("\n", 1)[0][:200]
        raise InputError("source", f"'{source}' ({reason})", _TAKES) from error


def _question(source: str) -> dict[str, Any]:
    """`fetch_openml` arguments for a source."""
    text = source.removeprefix(PREFIX)
    if text.isdecimal():
        return {"data_id": int(text)}
    name, _, version = text.partition("@")
    if not name or ("@" in text and not version.isdecimal()):
        raise InputError("source", f"'{source}'", _TAKES)
    return {"name": name, "version": int(version) if version else "active"}
