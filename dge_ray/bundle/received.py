"""A bundle in the hands of who received it: checked whole before anything is made of it, then read member by member.

A bundle comes from elsewhere. What is read are JSON and Parquet at names made of numbers here, never a name or a path
that stands in a file. Of a local bundle regular files alone are opened: no link, no pipe, no device. No pickle is
involved, and rows are unpacked some at a time.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from dge_ray.bundle import checksums
from dge_ray.bundle.opening import MOST_JSON, check_regular, read_file, read_json, refuse
from dge_ray.bundle.unpacking import MOST_PART, TooLargeError, as_stored, batches
from dge_ray.errors import InputError
from dge_ray.storage import Folder
from dge_ray.table import TableSchema, arrow_schema, check_schema, check_table, to_pandas

if TYPE_CHECKING:
    import pandas as pd

_TEXTS, _COUNTS = ("generator", "version"), ("members", "rows_per_member")


class PartsRead:
    """What a caller makes of a bundle's parts while they are checked, so that none is read again. Here: nothing."""

    def begins(self, facts: dict[str, Any], schema: TableSchema) -> None:
        """Facts and schema are sound."""

    def content(self, name: str, sha256: "hashlib._Hash") -> None:
        """A part was read; its rows are not checked yet."""

    def rows(self, name: str, table: pa.Table) -> None:
        """Rows of a part, some at a time, are what the schema allows."""


class _Digest(PartsRead):
    """The sha256 of a bundle: of its schema and of the digests of its parts."""

    def __init__(self, schema: bytes) -> None:
        self.sha256 = hashlib.sha256(schema)

    def content(self, name: str, sha256: "hashlib._Hash") -> None:
        self.sha256.update(sha256.digest())


class Members:
    """K synthetic tables of one schema.

    Attributes:
        schema: what the columns are, the target among them.
        facts: bundle.json: generator, version, members, rows_per_member, and what else the publisher says.
        volume: rows of each member.
        digest: sha256 (hex) of the schema, the members' files and the volume; where the bundle lies does not matter.
    """

    def __init__(self, folder: Folder, schema: TableSchema, facts: dict[str, Any], volume: int, digest: str) -> None:
        self._folder, self.schema, self.facts, self.volume, self.digest = folder, schema, facts, volume, digest

    def __len__(self) -> int:
        return int(self.facts["members"])

    def __repr__(self) -> str:
        return f"<{len(self)} members of {self.volume:,} rows, {self.facts['generator']}, in {self._folder}>"

    def _repr_html_(self) -> str:
        from markupsafe import escape

        estimates = ", ".join(self.estimates) or "none"
        rows = "".join(
            f"<tr><td>{escape(one.name)}</td><td>{escape(str(one.kind))}</td></tr>" for one in self.schema.columns
        )
        target = f"; target {escape(self.schema.target)}" if self.schema.target else ""
        return (
            f"<div><p><b>{escape(repr(self)[1:-1])}</b>{target}; the publisher's estimates: {escape(estimates)}</p>"
            f"<table><tr><th>column</th><th>kind</th></tr>{rows}</table></div>"
        )

    def table(self, k: int) -> pa.Table:
        """Member k's rows, in their order.

        Raises:
            InputError: no such member, or more rows than go into half of this machine's memory.
        """
        if not isinstance(k, int) or isinstance(k, bool) or not 0 <= k < len(self):
            raise InputError("member", repr(k), f"a member's number, 0 to {len(self) - 1}")
        parts, rows, size, most = [], 0, 0, _half_of_memory()
        types = arrow_schema(self.schema)
        for name in _parts(self._folder, k):
            for table in _unpacked(self._folder, name, *_parquet(self._folder, name), types):
                parts.append(table.slice(0, self.volume - rows))
                rows, size = rows + parts[-1].num_rows, size + parts[-1].nbytes
                if size > most:
                    takes = f"at most {most:,} bytes, half of this machine's memory: fewer rows (volume=)"
                    raise InputError("bundle", f"{self._folder}, whose member {k} has more once unpacked", takes)
                if rows == self.volume:
                    return pa.concat_tables(parts)
        return pa.concat_tables(parts)

    def frame(self, k: int) -> "pd.DataFrame":
        """Member k's rows as a pandas frame."""
        return to_pandas(self.table(k))

    @property
    def estimates(self) -> dict[str, dict[str, Any]]:
        """The publisher's own estimates by name (`mean(age)`), with `estimate`, `se` and `interval` from refits on
        resampled real rows; empty where the bundle has none, or has them of other members or of another volume.

        Raises:
            InputError: estimates.json is damaged.
        """
        told = self.more("estimates.json")
        if not isinstance(told, dict) or not isinstance(told.get("estimands"), list):
            return {}
        if (told.get("members", len(self)), told.get("volume", self.volume)) != (len(self), self.volume):
            return {}
        named = [one for one in told["estimands"] if isinstance(one, dict) and isinstance(one.get("name"), str)]
        return {one["name"]: one for one in named}

    def more(self, name: str) -> Any:
        """The content of a JSON file that a publisher may add to a bundle (estimates.json); None where it is not there.

        Raises:
            InputError: it is damaged.
        """
        return read_json(self._folder, name) if self._folder.exists(name) else None


def load_members(path: str | Path, volume: int | None = None) -> Members:
    """The bundle at a local folder or a pyarrow filesystem URI; `volume`: only the first rows of each member.

    All of it is read and checked first, so this takes as long as reading every file once.

    Raises:
        InputError: no bundle, or a file that is missing, damaged or at odds with the others: the file, what it is, and
            what it takes.
    """
    folder = Folder.open(path, "bundle")
    folder.check_readable("bundle")
    facts, schema = _facts(folder), _schema(folder)
    rows = facts["rows_per_member"]
    if volume is not None and (not isinstance(volume, int) or isinstance(volume, bool) or not 1 <= volume <= rows):
        raise InputError("volume", repr(volume), f"a whole number from 1 to the {rows:,} rows of each member")
    _check_members(folder, facts["members"])
    _check_sums(folder)
    digest = _Digest(read_file(folder, "schema.json", MOST_JSON))
    for k in range(facts["members"]):
        _check_member(folder, k, schema, rows, digest)
    kept = rows if volume is None else volume
    digest.sha256.update(f"{kept}".encode())
    return Members(folder, schema, facts, kept, digest.sha256.hexdigest())


def _facts(folder: Folder) -> dict[str, Any]:
    facts = read_json(folder, "bundle.json")
    if not isinstance(facts, dict):
        refuse(folder, "bundle.json", f"a JSON {type(facts).__name__}", "an object")
    for name in _TEXTS:
        if not isinstance(facts.get(name), str):
            refuse(folder, "bundle.json", f"{name} {facts.get(name)!r}", "a text")
    for name in _COUNTS:
        if not isinstance(facts.get(name), int) or isinstance(facts[name], bool) or facts[name] < 1:
            refuse(folder, "bundle.json", f"{name} {facts.get(name)!r}", "a whole number from 1")
    return facts


def _schema(folder: Folder) -> TableSchema:
    raw = read_json(folder, "schema.json")
    try:
        schema = TableSchema.from_json(json.dumps(raw))
    except (ValueError, KeyError, TypeError, AttributeError):
        refuse(folder, "schema.json", "no table's schema", "columns with name, kind and type, a target and its task")
    faults = check_schema(schema)
    if faults:
        refuse(folder, "schema.json", faults[0], "a schema that a table can have")
    return schema


def _check_sums(folder: Folder) -> None:
    """Of a published bundle: whether the files that its checksums name are as they were written."""
    if not folder.exists(checksums.FILE):
        return
    sums, faults = checksums.from_text(read_file(folder, checksums.FILE, MOST_JSON).decode(errors="replace"))
    if faults:
        raise InputError("bundle", faults[0], "a bundle as `dge-ray publish` has written it")
    for name, digest in sums.items():
        if not folder.exists(name):
            refuse(folder, name, "not there", f"every file that {checksums.FILE} names")
        check_regular(folder, name)
        if checksums.sha256(folder, name) != digest:
            refuse(folder, name, "changed since it was published", f"the sha256 that {checksums.FILE} tells")


def _check_members(folder: Folder, count: int) -> None:
    folders = [name for name in folder.list() if name.startswith("member=")]
    # One more than there are: a count of a billion is no reason to make a billion names.
    expected = [f"member={k:03d}" for k in range(min(count, len(folders) + 1))]
    for name in expected:
        if name not in folders:
            refuse(folder, name, "not there", f"a folder: bundle.json says {count} members")
    for name in folders:
        if name not in expected:
            refuse(
                folder,
                name,
                "no member of this bundle",
                f"{expected[0]} to {expected[-1]}: bundle.json says {count} members",
            )


def _parts(folder: Folder, k: int) -> Iterator[str]:
    """The names of a member's files, in order; without a gap, as `_check_member` has seen."""
    yield from (f"member={k:03d}/part-{j:05d}.parquet" for j in range(len(folder.list(f"member={k:03d}"))))


def _check_member(folder: Folder, k: int, schema: TableSchema, rows: int, parts: PartsRead) -> None:
    """One member's files against the schema and the row count. Each is read once, and `parts` hears of it."""
    place, expected, seen = f"member={k:03d}", arrow_schema(schema), 0
    stored = as_stored(expected)
    try:
        files = folder.list(place)
    except OSError:
        refuse(folder, place, "no folder", "a folder of part-00000.parquet, ...")
    for j, name in enumerate(files):
        if name != f"part-{j:05d}.parquet":
            refuse(folder, f"{place}/{name}", "out of place", f"files part-00000.parquet to part-{len(files) - 1:05d}")
    for name in _parts(folder, k):
        opened, content = _parquet(folder, name)
        parts.content(name, hashlib.sha256(content))
        fault = _schema_fault(opened.schema_arrow, expected, stored)
        if fault:
            refuse(folder, name, fault, "the columns and types of schema.json")
        seen += opened.metadata.num_rows  # known before any row is unpacked
        if seen > rows:
            refuse(folder, name, f"row {seen:,} of the member", f"{rows:,} rows a member, as bundle.json says")
        for table in _unpacked(folder, name, opened, content, expected):
            try:
                faults = check_table(table, schema)
            except (pa.ArrowException, OSError, ValueError):  # a time zone that is none
                refuse(folder, name, "damaged", "Parquet")
            if faults:
                refuse(folder, name, faults[0], "rows that schema.json allows")
            parts.rows(name, table)
    if seen < rows:
        refuse(folder, place, f"{seen:,} rows", f"{rows:,} rows a member, as bundle.json says")


def _schema_fault(actual: pa.Schema, expected: pa.Schema, stored: pa.Schema) -> str | None:
    """What is wrong with a part's columns and types; `stored`: the expected ones as Parquet gives them back."""
    if actual.names != expected.names:
        odd = [name for name in actual.names if name not in expected.names]
        missing = [name for name in expected.names if name not in actual.names]
        if odd:
            return f"the unknown column {odd[0]!r}"
        return f"no column {missing[0]!r}" if missing else f"columns in the order {actual.names}"
    takes = {name: (expected.field(name).type, stored.field(name).type) for name in expected.names}
    wrong = [name for name in actual.names if actual.field(name).type not in takes[name]]
    if wrong:
        return f"column '{wrong[0]}': type {actual.field(wrong[0]).type}, expected {expected.field(wrong[0]).type}"
    return None


def _parquet(folder: Folder, name: str) -> tuple[pq.ParquetFile, bytes]:
    content = read_file(folder, name, MOST_PART)
    try:
        return pq.ParquetFile(pa.BufferReader(content)), content
    except (pa.ArrowException, OSError):
        refuse(folder, name, "damaged", "Parquet")


def _unpacked(
    folder: Folder, name: str, opened: pq.ParquetFile, content: bytes, types: pa.Schema
) -> Iterator[pa.Table]:
    """A part's rows, some at a time, in the types of the schema (Parquet has no seconds, for one)."""
    try:
        for table in batches(opened, content):
            table.validate(full=True)
            yield table if table.schema.types == types.types else table.cast(types.with_metadata(table.schema.metadata))
    except TooLargeError as error:
        refuse(folder, name, str(error), f"a part of at most {MOST_PART:,} bytes once it is unpacked")
    except (pa.ArrowException, OSError, ValueError):  # broken pages
        refuse(folder, name, "damaged", "Parquet")


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def bundle_faults(folder: Folder, parts: PartsRead) -> list[str]:
    """What is wrong with a bundle's facts, schema and members, a line a fault; at most one of each member.

    Each part is read once: what else is to be made of it, `parts` makes of it then.
    """
    try:
        facts, schema = _facts(folder), _schema(folder)
    except InputError as error:
        return [str(error)]
    parts.begins(facts, schema)
    faults = []
    checks: list[Callable[[], None]] = [partial(_check_members, folder, facts["members"])]
    for k in range(min(facts["members"], len(folder.list()))):
        checks.append(partial(_check_member, folder, k, schema, facts["rows_per_member"], parts))
    for check in checks:
        try:
            check()
        except InputError as error:
            faults.append(str(error))
    return list(dict.fromkeys(faults))
