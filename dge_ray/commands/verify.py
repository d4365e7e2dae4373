"""`dge-ray verify`: is a bundle whole, unchanged and what it says, and does it hold copies of rare real rows?"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.bundle.checksums import FILE as SUMS
from dge_ray.bundle.checksums import from_text, sha256, stays_inside
from dge_ray.bundle.croissant import FILE as CROISSANT
from dge_ray.bundle.croissant import parts_of, validate
from dge_ray.bundle.opening import MOST_JSON, read_file, read_json
from dge_ray.bundle.received import PartsRead, bundle_faults
from dge_ray.commands import gates
from dge_ray.commands.gates import ending, gated
from dge_ray.commands.verbs import VerifyKeys
from dge_ray.errors import InputError
from dge_ray.options import Say, to_stderr
from dge_ray.phrases import one_line
from dge_ray.publishing.card import FILE as CARD
from dge_ray.publishing.card import UNSIGNED
from dge_ray.publishing.card_page import FILE as PAGE
from dge_ray.publishing.copies import Matches, RealRows
from dge_ray.publishing.request import DRAWING
from dge_ray.storage import Folder
from dge_ray.table import TableCodec, TableSchema
from dge_ray.table.filling import broken
from dge_ray.table.marks import read_mark
from dge_ray.table.reading.load import read_told, typed_table
from dge_ray.table.reading.options import Reading, ReadTable
from dge_ray.table.schema.identities import in_words

MOST_BROKEN = 1e-3  # of the rows: where bounds leave no other way, one may break an identity
NEEDED = ("bundle.json", "schema.json", CROISSANT, CARD, PAGE, SUMS)


def verify(bundle: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Check all of a bundle: `clean`, `faults` (a line each), and `notes` of what could not be checked.

    `real`: the real table, for its publisher: no synthetic row may be a copy of a rare one.

    Raises:
        InputError: no bundle, an unknown key, or a real table that cannot be read.
    """
    keys = VerifyKeys.read(options)
    real = keys.real
    if keys.gate == "no_copies" and real is None:
        raise InputError("gate", "no_copies without a real table", "real=, the table that copies are looked for in")
    folder = Folder.open(bundle, "bundle")
    folder.check_readable("bundle")
    if not folder.exists("bundle.json") and not folder.exists(SUMS):
        raise InputError("bundle", f"{folder}, without bundle.json", "a folder that `dge-ray publish` has written")
    notes: list[str] = []
    faults = _strangers(folder)
    if not faults:  # nothing is read behind a link
        parts = _Parts(None if real is None else read_told(real, keys.reading), keys.reading)
        say("members" if real is None else "members, and copies of real rows")
        wrong = bundle_faults(folder, parts)
        say("checksums")
        sums, faults = _checksums(folder, parts.digests)
        faults += wrong or _metadata(folder, sums, notes)
        if not faults:
            faults += parts.mark_faults()
            faults += parts.identity_faults(notes)
            faults += parts.copy_faults(notes)
        elif real is not None:
            notes.append("copies of real rows were not looked for: the faults come first")
    elif real is not None:
        notes.append("copies of real rows were not looked for: the faults come first")
    notes.append(UNSIGNED)
    result = {"bundle": str(folder), "clean": not faults, "faults": faults, "notes": notes}
    return gated(result, keys.gate, not faults and (keys.gate != "no_copies" or real is not None))


class _Parts(PartsRead):
    """What `verify` keeps of each part of the bundle, which is read once: its digest, its mark, its copies."""

    def __init__(self, real: ReadTable | None, reading: Reading) -> None:
        self._read, self._reading, self._real, self._facts = real, reading, None, {}
        self.digests: dict[str, str] = {}
        self._marks: dict[str, pa.Schema] = {}
        self._broken: Counter[str] = Counter()
        self._rows = 0

    def begins(self, facts: dict[str, Any], schema: TableSchema) -> None:
        self._facts, self._schema = facts, schema
        self._told = {identity: {} for identity in schema.identities if not identity.computable}
        if self._read is not None:
            self._real = RealRows(typed_table(self._read, self._reading, schema.dated), schema)
            self._matches = Matches(self._real.once, schema)
            self._times = np.zeros(len(self._real.once), np.int64)

    def content(self, name: str, sha256: Any) -> None:
        self.digests[name] = sha256.hexdigest()

    def rows(self, name: str, table: pa.Table) -> None:
        self._marks[name] = table.schema
        self._recount(table)
        if self._real is not None:
            self._times += self._matches.of(table)

    def _recount(self, table: pa.Table) -> None:
        """Note how many rows break each identity and order; of what a category tells, which values it has."""
        schema = self._schema
        if not schema.identities and not schema.orders:
            return
        self._rows += table.num_rows
        names = {name for i in schema.identities for name in (i.column, *i.of)} | {n for o in schema.orders for n in o}
        columns = TableCodec(schema).encode(table, [name for name in schema.names if name in names])
        self._broken.update({words: int(rows.sum()) for words, rows in broken(columns, schema).items()})
        for identity, told in self._told.items():
            own, of = columns[identity.column], columns[identity.of[0]]
            there = (of >= 0) & (own >= 0 if own.dtype.kind == "i" else ~np.isnan(own))
            pairs, counts = np.unique(np.stack([of[there].astype(float), own[there]]), axis=1, return_counts=True)
            for category, value, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
                values = told.setdefault(category, Counter())
                values[value] += count

    def identity_faults(self, notes: list[str]) -> list[str]:
        """A line for each identity or order between columns that more than one row in a thousand breaks."""
        for identity, told in self._told.items():
            rarer = sum(values.total() - max(values.values()) for values in told.values())
            self._broken[in_words(identity)] = rarer
        if self._broken:
            kept = sum(not count for count in self._broken.values())
            notes.append(f"{kept} of {len(self._broken)} identities and orders hold in all {self._rows:,} rows")
        return [
            f"rows: got {count:,} of {self._rows:,} that break {one_line(words)}; takes one in 1,000 at most"
            for words, count in sorted(self._broken.items())
            if count > MOST_BROKEN * self._rows
        ]

    def mark_faults(self) -> list[str]:
        """A line for each part without a mark of synthetic rows, or with another's."""
        faults, own = [], self._facts.get("bundle")
        for name, schema in sorted(self._marks.items()):
            try:
                mark = read_mark(schema)
            except InputError as error:
                faults.append(f"{name}: {error}")
                continue
            if mark is None:
                faults.append(f"{name}: got no mark of synthetic rows; takes one")
            elif (mark["bundle"], mark["member"]) != (own, int(name.partition("/")[0].partition("=")[2])):
                got = f"the mark of member {mark['member']} of bundle {mark['bundle']!r}"
                faults.append(f"{name}: got {got}; takes its own, of bundle {own!r}")
        return faults

    def copy_faults(self, notes: list[str]) -> list[str]:
        """A line where rows are copies of rare real rows; nothing where there is no real table."""
        if self._real is None:
            return []
        rows = self._facts["members"] * self._facts["rows_per_member"]
        copies = self._real.copies(self._times, rows)
        notes.append(
            f"{copies.unique:,} of {rows:,} rows equal a real row that occurs once, {copies.rare:,} a rare one"
        )
        return [f"rows: got {copies.rare:,} exact copies of rare real rows; takes none"] if copies.rare else []


def lines(result: Mapping[str, Any]) -> list[str]:
    """The answer in plain lines."""
    head = f"{result['bundle']}: " + ("clean" if result["clean"] else f"{len(result['faults'])} faults")
    faults, notes = (f"fault: {line}" for line in result["faults"]), (f"note: {line}" for line in result["notes"])
    return [head, *faults, *notes, *ending(result)]


def exit_code(result: Mapping[str, Any]) -> int:
    """1 for a bundle that is not clean; of a gate its own."""
    return gates.exit_code(result) if "gate" in result else 0 if result["clean"] else 1


def _strangers(folder: Folder) -> list[str]:
    """Links, pipes and devices, names that no system is safe with, and the sign of a bundle that is not finished."""
    faults = []
    for name in folder.files():
        if folder.is_local and (Path(folder.path) / name).is_symlink():
            faults.append(f"{name}: got a link; takes a file")
        elif folder.is_local and not (Path(folder.path) / name).is_file():
            faults.append(f"{name}: got a pipe, socket or device; takes a file")
        elif not stays_inside(name):
            faults.append(f"{name!r}: got a name that is not safe everywhere; takes letters, digits and '/'")
    if folder.exists(DRAWING):
        faults.append(f"{DRAWING}: got a bundle that is not finished; the call that began it goes on from here")
    return faults


def _checksums(folder: Folder, known: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """SHA256SUMS, and what is not as it says. `known`: digests of files that were read already."""
    if not folder.exists(SUMS):
        return {}, [f"{SUMS}: got no such file; takes the digests of all others"]
    try:
        sums, faults = from_text(read_file(folder, SUMS, MOST_JSON).decode())
    except UnicodeDecodeError:
        return {}, [f"{SUMS}: got damaged; takes text"]
    present = [name for name in folder.files() if name != SUMS]
    faults += [f"{name}: got no such file; takes the one that {SUMS} names" for name in sums if name not in present]
    faults += [
        f"{name}: got a file that {SUMS} does not name; takes none beyond it" for name in present if name not in sums
    ]
    for name in present:
        if name in sums and (known.get(name) or sha256(folder, name)) != sums[name]:
            faults.append(f"{name}: got other bytes than {SUMS} says; takes the file as it was published")
    return sums, faults


def _metadata(folder: Folder, sums: Mapping[str, str], notes: list[str]) -> list[str]:
    """The files that a bundle must have, and croissant.json against the schema, the checksums and its own library."""
    faults = [f"{name}: got no such file; takes one" for name in NEEDED if name != SUMS and not folder.exists(name)]
    for name in sorted(name for name in sums if name.endswith(".json") and folder.exists(name)):
        try:
            read_json(folder, name)
        except InputError as error:
            faults.append(str(error))
    if faults:
        return faults
    try:
        document, facts = read_json(folder, CROISSANT), read_json(folder, "bundle.json")
        schema = TableSchema.from_json(read_file(folder, "schema.json", MOST_JSON).decode())
        own = parts_of(facts["members"], schema, sums)
        if not isinstance(document, dict) or any(document.get(name) != value for name, value in own.items()):
            return [f"{CROISSANT}: got other files or columns than the bundle's; takes these and digests"]
    except (InputError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return [f"{CROISSANT}: got damaged, or what it describes is"]
    errors = validate(document)
    if errors is None:
        notes.append(f"{CROISSANT} was not checked by its own library: pip install 'dge-ray[croissant]'")
    return [f"{CROISSANT}: {line}" for line in errors or []]
