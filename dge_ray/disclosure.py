"""What a bundle must not tell of the real rows: identifier-like columns, copies of rare rows, and, where there is a
privacy ledger, every number that was read off them outside it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dge_ray.config import StudyConfig
from dge_ray.copies import Copies, Matches, RealRows
from dge_ray.distributed.sampling import Cut, all_parts, over_parts
from dge_ray.errors import InputError
from dge_ray.folder import IDENTITY
from dge_ray.masking import mask
from dge_ray.prepare import read_real
from dge_ray.storage import Folder
from dge_ray.table import data_digest, take_split_column
from dge_ray.table.infer import MIN_IDENTIFIER_ROWS
from dge_ray.table.schema import Kind, TableSchema
from dge_ray.words import number

LEDGER = "privacy/ledger.json"
IDENTIFIER_SHARE = 0.5  # of the rows, in distinct values: then a value is that of fewer than two rows on the average
NO_GUARANTEE = "no formal privacy guarantee: the generators were fitted on the real rows without added noise"


def read_ledger(folder: Folder) -> dict[str, Any] | None:
    """A study's privacy ledger, or a bundle's; None where there is none.

    Raises:
        InputError: it is damaged: it must not be taken for none.
    """
    if not folder.exists(LEDGER):
        return None
    ledger = folder.read_json(LEDGER)
    numbers = [ledger.get(name) for name in ("epsilon", "delta")] if isinstance(ledger, dict) else [None]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
        raise InputError(str(folder / LEDGER), "a damaged file", "the study's privacy ledger, with epsilon and delta")
    return ledger


def privacy_facts(ledger: Mapping[str, Any] | None) -> dict[str, Any]:
    """bundle.json's statement, and the numbers behind it where there are some."""
    if ledger is None:
        return {"privacy": NO_GUARANTEE}
    spent = ledger.get("spent")
    epsilon = spent if isinstance(spent, int | float) else ledger["epsilon"]
    left = uncovered(ledger)
    text = f"differentially private: epsilon {number(epsilon)}, delta {ledger['delta']:.2g}; {ledger.get('adjacency')}"
    text += f"; not covered: {', '.join(left)}" if left else ""
    numbers = {"epsilon": epsilon, "delta": ledger["delta"], "adjacency": ledger.get("adjacency")}
    return {"privacy": text, "differential_privacy": numbers}


def uncovered(ledger: Mapping[str, Any]) -> list[str]:
    """What touched real rows and is in no epsilon, as the ledger says."""
    return [str(one.get("what")) for one in ledger.get("entries") or [] if one.get("status") == "uncovered"]


def check_identifiers(schema: TableSchema, rows: int, allowed: bool) -> list[str]:
    """The columns that look like identifiers, of `rows` real rows.

    Raises:
        InputError: there are some, and they are not allowed.
    """
    found = [c.name for c in schema.columns if c.kind is Kind.IDENTIFIER]
    least = max(MIN_IDENTIFIER_ROWS, IDENTIFIER_SHARE * rows)
    found += [c.name for c in schema.columns if c.kind is Kind.CATEGORICAL and len(c.categories) >= least]
    if found and not allowed:
        names = ", ".join(f"'{name}'" for name in found)
        got = (
            "values that nearly all differ: an identifier tells who a row is, and schema.json lists a category's values"
        )
        takes = (
            f"a study without {'it' if len(found) == 1 else 'them'} (drop=[{','.join(found)}]), or allow=identifiers"
        )
        raise InputError(f"column{'s' * (len(found) > 1)} {names}", got, takes)
    return found


@dataclass(frozen=True)
class Looked:
    """What a look for copies of real rows found; `copies`: None where the real table is not to be had."""

    copies: Copies | None
    why: str = ""


def check_copies(cut: Cut, members: int, real: RealRows | str, allowed: bool, say: Callable[[str], None]) -> Looked:
    """Look for copies of real rows among the members' rows, before one of them leaves the study.

    Rows that the study does not hold are drawn for this, and once more when they are written.

    Args:
        real: the real table, or why it is not to be had.

    Raises:
        InputError: there are copies of rare real rows, or no real table to look in, and that is not allowed.
    """
    if isinstance(real, str):
        if allowed:
            say(f"copies of real rows were not looked for: {real}")
            return Looked(None, real)
        takes = "the real table, to look for copies of its rows; allow=copies publishes unseen"
        raise InputError("source", f"{real}, so nobody can see whether rows are copies of rare real ones", takes)
    times = np.zeros(len(real.once), np.int64)
    for found in over_parts(cut, all_parts(cut, members), Matches(real.once, cut.spec.schema)):
        times += found
    rows = members * cut.volume
    copies = real.copies(times, rows)
    if copies.rare and not allowed:
        got = f"{copies.rare:,} of {rows:,} synthetic rows that are exact copies of rare real rows"
        takes = (
            "none: fewer epochs, another generator or a privacy budget copies less, columns.NAME.decimals or "
            "drop=[NAME] makes rows less telling; allow=copies publishes them"
        )
        raise InputError("study", got, takes)
    return Looked(copies)


def real_rows(cut: Cut, config: StudyConfig) -> RealRows | str:
    """The study's real table, or why it is not to be had."""
    try:
        whole, _ = read_real(config)
        table, _ = take_split_column(whole, config.split_column)
    except InputError as error:
        return f"the real table cannot be read ({mask(error.got)})"
    if data_digest(whole) != cut.spec.folder.read_json(IDENTITY).get("data"):
        return "the real table is not the one that the study was made from any more"
    return RealRows(table, cut.spec.schema)


def scrubbed(value: Any, places: list[str]) -> Any:
    """A JSON value without secrets, and without the paths that are places of this study."""
    text = mask(json.dumps(value))
    for place in sorted(filter(None, places), key=len, reverse=True):
        text = text.replace(json.dumps(place)[1:-1], "(a place of the publisher)")
    return json.loads(text)
