"""`dge-ray verify`: is a bundle whole, unchanged and what it says, and does it hold copies of rare real rows?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dge_ray.bundle.checksums import FILE as SUMS
from dge_ray.bundle.checksums import from_text, sha256, stays_inside
from dge_ray.bundle.croissant import FILE as CROISSANT
from dge_ray.bundle.croissant import parts_of, validate
from dge_ray.bundle.received import Members, bundle_faults, load_members
from dge_ray.commands.verbs import VerifyKeys
from dge_ray.errors import InputError
from dge_ray.options import Say, to_stderr
from dge_ray.publishing.card import FILE as CARD
from dge_ray.publishing.card import UNSIGNED
from dge_ray.publishing.card_page import FILE as PAGE
from dge_ray.publishing.copies import Matches, RealRows
from dge_ray.publishing.request import DRAWING
from dge_ray.storage import Folder
from dge_ray.table import TableSchema, load_table
from dge_ray.table.marks import read_mark

NEEDED = ("bundle.json", "schema.json", CROISSANT, CARD, PAGE, SUMS)


def verify(bundle: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Check all of a bundle: `clean`, `faults` (a line each), and `notes` of what could not be checked.

    `real`: the real table, for its publisher: no synthetic row may be a copy of a rare one.

    Raises:
        InputError: no bundle, an unknown key, or a real table that cannot be read.
    """
    real = VerifyKeys.read(options).real
    folder = Folder.open(bundle, "bundle")
    folder.check_readable("bundle")
    if not folder.exists("bundle.json") and not folder.exists(SUMS):
        raise InputError("bundle", f"{folder}, without bundle.json", "a folder that `dge-ray publish` has written")
    notes: list[str] = []
    faults = _strangers(folder)
    if not faults:  # nothing is read behind a link
        say("checksums")
        sums, faults = _checksums(folder)
        say("members")
        wrong = bundle_faults(folder)
        faults += wrong or _metadata(folder, sums, notes)
    if not faults:
        members = load_members(bundle)
        faults += _marks(folder, members)
        if real is not None:
            say("copies of real rows")
            faults += _copies(members, real, notes)
    elif real is not None:
        notes.append("copies of real rows were not looked for: the faults come first")
    notes.append(UNSIGNED)
    return {"bundle": str(folder), "clean": not faults, "faults": faults, "notes": notes}


def lines(found: Mapping[str, Any]) -> list[str]:
    """The answer in plain lines."""
    head = f"{found['bundle']}: " + ("clean" if found["clean"] else f"{len(found['faults'])} faults")
    return [head, *(f"fault: {line}" for line in found["faults"]), *(f"note: {line}" for line in found["notes"])]


def exit_code(result: Mapping[str, Any]) -> int:
    """1 for a bundle that is not clean."""
    return 0 if result["clean"] else 1


def _strangers(folder: Folder) -> list[str]:
    """Links, names that no system is safe with, and the sign of a bundle that is not finished."""
    faults = []
    for name in folder.files():
        if folder.is_local and (Path(folder.path) / name).is_symlink():
            faults.append(f"{name}: got a link; takes a file")
        elif not stays_inside(name):
            faults.append(f"{name!r}: got a name that is not safe everywhere; takes letters, digits and '/'")
    if folder.exists(DRAWING):
        faults.append(f"{DRAWING}: got a bundle that is not finished; the call that began it goes on from here")
    return faults


def _checksums(folder: Folder) -> tuple[dict[str, str], list[str]]:
    if not folder.exists(SUMS):
        return {}, [f"{SUMS}: got no such file; takes the digests of all others"]
    try:
        sums, faults = from_text(folder.read_bytes(SUMS).decode())
    except UnicodeDecodeError:
        return {}, [f"{SUMS}: got damaged; takes text"]
    present = [name for name in folder.files() if name != SUMS]
    faults += [f"{name}: got no such file; takes the one that {SUMS} names" for name in sums if name not in present]
    faults += [
        f"{name}: got a file that {SUMS} does not name; takes none beyond it" for name in present if name not in sums
    ]
    for name in present:
        if name in sums and sha256(folder, name) != sums[name]:
            faults.append(f"{name}: got other bytes than {SUMS} says; takes the file as it was published")
    return sums, faults


def _metadata(folder: Folder, sums: Mapping[str, str], notes: list[str]) -> list[str]:
    """The files that a bundle must have, and croissant.json against the schema, the checksums and its own library."""
    faults = [f"{name}: got no such file; takes one" for name in NEEDED if name != SUMS and not folder.exists(name)]
    try:
        document, facts = folder.read_json(CROISSANT), folder.read_json("bundle.json")
        schema = TableSchema.from_json(folder.read_bytes("schema.json").decode())
        own = parts_of(facts["members"], schema, sums)
        if not isinstance(document, dict) or any(document.get(name) != value for name, value in own.items()):
            faults.append(f"{CROISSANT}: got other files or columns than the bundle's; takes these and digests")
            return faults
    except (InputError, OSError, ValueError, KeyError, TypeError, RecursionError):
        return faults if faults else [f"{CROISSANT}: got damaged, or what it describes is"]
    found = validate(document)
    if found is None:
        notes.append(f"{CROISSANT} was not checked by its own library: pip install 'dge-ray[croissant]'")
    return [*faults, *(f"{CROISSANT}: {line}" for line in found or [])]


def _marks(folder: Folder, members: Members) -> list[str]:
    faults = []
    own = members.facts.get("bundle")
    for name in folder.files():
        if not name.startswith("member="):
            continue
        try:
            mark = read_mark(pq.read_schema(pa.BufferReader(folder.read_bytes(name))))
        except InputError as error:
            faults.append(f"{name}: {error}")
            continue
        if mark is None:
            faults.append(f"{name}: got no mark of synthetic rows; takes one")
        elif (mark["bundle"], mark["member"]) != (own, int(name.partition("/")[0].partition("=")[2])):
            got = f"the mark of member {mark['member']} of bundle {mark['bundle']!r}"
            faults.append(f"{name}: got {got}; takes its own, of bundle {own!r}")
    return faults


def _copies(members: Members, source: str, notes: list[str]) -> list[str]:
    real = RealRows(load_table(source), members.schema)
    look, times = Matches(real.once, members.schema), np.zeros(len(real.once), np.int64)
    for k in range(len(members)):
        times += look.of(members.table(k))
    rows = len(members) * members.volume
    found = real.copies(times, rows)
    notes.append(f"{found.alone:,} of {rows:,} rows equal a real row that occurs once, {found.rare:,} a rare one")
    return [f"rows: got {found.rare:,} exact copies of rare real rows; takes none"] if found.rare else []
