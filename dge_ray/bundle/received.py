"""A bundle in the hands of who received it: checked whole before anything is made of it, then read member by member.

A bundle comes from elsewhere. What is read are JSON and Parquet at names made of numbers here, never a name or a path
that stands in a file; a link that leaves a local bundle is refused, and no pickle is involved.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq

from dge_ray.bundle import checksums
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
        """A part's rows are what the schema allows."""


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

    def table(self, k: int) -> pa.Table:
        """Member k's rows, in their order.

        Raises:
            InputError: no such member.
        """
        if not isinstance(k, int) or isinstance(k, bool) or not 0 <= k < len(self):
            raise InputError("member", repr(k), f"a member's number, 0 to {len(self) - 1}")
        parts, rows = [], 0
        for name in _parts(self._folder, k):
            if rows >= self.volume:
                break
            parts.append(_parquet(self._folder, name)[0].read())
            rows += parts[-1].num_rows
        return pa.concat_tables(parts).slice(0, self.volume)

    def frame(self, k: int) -> "pd.DataFrame":
        """Member k's rows as a pandas frame."""
        return to_pandas(self.table(k))

    def more(self, name: str) -> Any:
        """The content of a JSON file that a publisher may add to a bundle (estimates.json); None where it is not there.

        Raises:
            InputError: it is damaged.
        """
        return _json(self._folder, name) if self._folder.exists(name) else None


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
    digest = _Digest(folder.read_bytes("schema.json"))
    for k in range(facts["members"]):
        _check_member(folder, k, schema, rows, digest)
    kept = rows if volume is None else volume
    digest.sha256.update(f"{kept}".encode())
    return Members(folder, schema, facts, kept, digest.sha256.hexdigest())


def _facts(folder: Folder) -> dict[str, Any]:
    facts = _json(folder, "bundle.json")
    if not isinstance(facts, dict):
        _refuse(folder, "bundle.json", f"a JSON {type(facts).__name__}", "an object")
    for name in _TEXTS:
        if not isinstance(facts.get(name), str):
            _refuse(folder, "bundle.json", f"{name} {facts.get(name)!r}", "a text")
    for name in _COUNTS:
        if not isinstance(facts.get(name), int) or isinstance(facts[name], bool) or facts[name] < 1:
            _refuse(folder, "bundle.json", f"{name} {facts.get(name)!r}", "a whole number from 1")
    return facts


def _schema(folder: Folder) -> TableSchema:
    raw = _json(folder, "schema.json")
    try:
        schema = TableSchema.from_json(json.dumps(raw))
    except (ValueError, KeyError, TypeError, AttributeError):
        _refuse(folder, "schema.json", "no table's schema", "columns with name, kind and type, a target and its task")
    faults = check_schema(schema)
    if faults:
        _refuse(folder, "schema.json", faults[0], "a schema that a table can have")
    return schema


def _json(folder: Folder, name: str) -> Any:
    if not folder.exists(name):
        takes = "a folder that `dge-ray sample` has written: bundle.json, schema.json, member=000, ..."
        raise InputError("bundle", f"{folder}, without {name}", takes)
    _stays_inside(folder, name)
    try:
        return json.loads(_bytes(folder, name), parse_constant=_no_number)
    except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8, or NaN
        _refuse(folder, name, "damaged", "JSON")


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def _check_sums(folder: Folder) -> None:
    """Of a published bundle: whether the files that its checksums name are as they were written."""
    if not folder.exists(checksums.FILE):
        return
    _stays_inside(folder, checksums.FILE)
    sums, faults = checksums.from_text(_bytes(folder, checksums.FILE).decode(errors="replace"))
    if faults:
        raise InputError("bundle", faults[0], "a bundle as `dge-ray publish` has written it")
    for name, digest in sums.items():
        if not folder.exists(name):
            _refuse(folder, name, "not there", f"every file that {checksums.FILE} names")
        _stays_inside(folder, name)
        if checksums.sha256(folder, name) != digest:
            _refuse(folder, name, "changed since it was published", f"the sha256 that {checksums.FILE} tells")


def _check_members(folder: Folder, count: int) -> None:
    folders = [name for name in folder.list() if name.startswith("member=")]
    # One more than there are: a count of a billion is no reason to make a billion names.
    expected = [f"member={k:03d}" for k in range(min(count, len(folders) + 1))]
    for name in expected:
        if name not in folders:
            _refuse(folder, name, "not there", f"a folder: bundle.json says {count} members")
    for name in folders:
        if name not in expected:
            _refuse(
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
    try:
        files = folder.list(place)
    except OSError:
        _refuse(folder, place, "no folder", "a folder of part-00000.parquet, ...")
    for j, name in enumerate(files):
        if name != f"part-{j:05d}.parquet":
            _refuse(folder, f"{place}/{name}", "out of place", f"files part-00000.parquet to part-{len(files) - 1:05d}")
    for name in _parts(folder, k):
        _stays_inside(folder, name)
        opened, content = _parquet(folder, name)
        parts.content(name, hashlib.sha256(content))
        fault = _schema_fault(opened.schema_arrow, expected)
        if fault:
            _refuse(folder, name, fault, "the columns and types of schema.json")
        seen += opened.metadata.num_rows  # known before any row is unpacked
        if seen > rows:
            _refuse(folder, name, f"row {seen:,} of the member", f"{rows:,} rows a member, as bundle.json says")
        try:
            table = opened.read()
            table.validate(full=True)
            faults = check_table(table, schema)
        except (pa.ArrowException, OSError, ValueError):  # broken pages, a time zone that is none
            _refuse(folder, name, "damaged", "Parquet")
        if faults:
            _refuse(folder, name, faults[0], "rows that schema.json allows")
        parts.rows(name, table)
    if seen < rows:
        _refuse(folder, place, f"{seen:,} rows", f"{rows:,} rows a member, as bundle.json says")


def _schema_fault(actual: pa.Schema, expected: pa.Schema) -> str | None:
    if actual.names != expected.names:
        odd = [name for name in actual.names if name not in expected.names]
        missing = [name for name in expected.names if name not in actual.names]
        if odd:
            return f"the unknown column {odd[0]!r}"
        return f"no column {missing[0]!r}" if missing else f"columns in the order {actual.names}"
    wrong = [name for name in actual.names if actual.field(name).type != expected.field(name).type]
    if wrong:
        return f"column '{wrong[0]}': type {actual.field(wrong[0]).type}, expected {expected.field(wrong[0]).type}"
    return None


def _parquet(folder: Folder, name: str) -> tuple[pq.ParquetFile, bytes]:
    content = _bytes(folder, name)
    try:
        return pq.ParquetFile(pa.BufferReader(content)), content
    except (pa.ArrowException, OSError):
        _refuse(folder, name, "damaged", "Parquet")


def _bytes(folder: Folder, name: str) -> bytes:
    try:
        return folder.read_bytes(name)
    except OSError as error:  # a folder of that name, no right to read it
        _refuse(folder, name, (str(error).splitlines() or [type(error).__name__])[0], "a file that can be read")


def _stays_inside(folder: Folder, name: str) -> None:
    """A local file that is a link may lie anywhere: it must lie in the bundle."""
    if folder.is_local:
        root = Path(folder.path).resolve()
        if not (Path(folder.path) / name).resolve().is_relative_to(root):
            _refuse(folder, name, "a link that leaves the bundle", "a file in it")


def _refuse(folder: Folder, name: str, got: str, takes: str) -> NoReturn:
    raise InputError(str(folder / name), got, takes)


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
