"""What `dge-ray check` shows of a table's columns. It is for the table's holder: ranges and common values are real."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from dge_ray.phrases import NOTHING, number, one_line
from dge_ray.study.prepared import Prepared
from dge_ray.table import MEASURED, Column, Kind
from dge_ray.table.arrow.arrow_types import pc, plain

LEFT_OUT = "left out"  # the kind of a column that the study has not
_COMMONEST = 3
_WIDEST = {"name": 28, "values": 44, "repaired": 60}
_NUMBERS = ("missing", "distinct")
_MOST_LINES = 200


def describe_columns(prepared: Prepared) -> list[dict[str, Any]]:
    """A record a column: name, kind, type, missing and distinct (counts), values (range, or the commonest and their
    shares), repaired (what was done to it, None for nothing) and warnings. Columns that were left out stand last.

    Of a private study nothing is counted: what it prints is public.
    """
    table = None if prepared.config.private else _real_rows(prepared)
    records = [_record(column, table) for column in prepared.schema.columns]
    names = {record["name"] for record in records}
    gone = dict.fromkeys(note.column for note in prepared.column_notes if note.column not in names)
    records += [{"name": name, "kind": LEFT_OUT, "type": None, **_counts(None), "values": None} for name in gone]
    for record in records:
        notes = [note for note in prepared.column_notes if note.column == record["name"]]
        record["repaired"] = "; ".join(dict.fromkeys(note.done for note in notes if note.done)) or None
        record["warnings"] = list(dict.fromkeys(str(note) for note in notes))
    return records


def column_lines(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The records as a table in fixed columns."""
    shown = [_shown(record) for record in records[:_MOST_LINES]]
    names = [
        name for name in ("name", "kind", "missing", "distinct", "values", "repaired") if any(r[name] for r in shown)
    ]
    widths = {name: max(len(name), *(len(row[name]) for row in shown)) for name in names}
    rows = [{name: name for name in names}, *shown]
    lines = [
        "  ".join(row[n].rjust(widths[n]) if n in _NUMBERS else row[n].ljust(widths[n]) for n in names).rstrip()
        for row in rows
    ]
    left = len(records) - len(shown)
    return [*lines, f"and {left:,} columns more, which --json has"] if left else lines


def _real_rows(prepared: Prepared) -> pa.Table:
    """All real rows, without planted ones."""
    parts = dict(prepared.parts)
    if prepared.canaries is not None:
        parts["train"] = parts["train"][: parts["train"].num_rows - prepared.canaries[0].num_rows]
    return pa.concat_tables(parts.values())


def _record(column: Column, table: pa.Table | None) -> dict[str, Any]:
    about = {"name": column.name, "kind": column.kind.value, "type": column.type}
    if table is None:
        return {**about, **_counts(None), "values": None}
    values = plain(table[column.name])
    return {**about, **_counts(values), "values": _values(column, values.drop_null())}


def _counts(values: pa.ChunkedArray | None) -> dict[str, int | None]:
    if values is None:
        return {"missing": None, "distinct": None}
    return {"missing": values.null_count, "distinct": len(pc.unique(values.drop_null()))}


def _values(column: Column, present: pa.ChunkedArray) -> str | None:
    if not len(present) or column.kind in (Kind.IDENTIFIER, Kind.TEXT):
        return None  # nobody's name or words
    if column.kind in MEASURED:
        # Arrow has no order of durations.
        ordered = present.cast(pa.int64()) if pa.types.is_duration(present.type) else present
        low, high = (bound.cast(present.type).as_py() for bound in pc.min_max(ordered).values())
        return f"{_scalar(low)} to {_scalar(high)}"
    counted = sorted(pc.value_counts(present).to_pylist(), key=lambda entry: -entry["counts"])[:_COMMONEST]
    return ", ".join(f"{_scalar(entry['values'])} {entry['counts'] / len(present):.0%}" for entry in counted)


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return one_line(str(value))[:20]


def _shown(record: Mapping[str, Any]) -> dict[str, str]:
    texts = {"name": one_line(record["name"]) or "''", "kind": record["kind"]}
    texts |= {name: NOTHING if record[name] is None else f"{record[name]:,}" for name in _NUMBERS}
    texts |= {name: one_line(record[name] or "") for name in ("values", "repaired")}
    return {n: t if len(t) <= _WIDEST.get(n, len(t)) else t[: _WIDEST[n] - 1] + "…" for n, t in texts.items()}
