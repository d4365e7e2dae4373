"""What a bundle must not tell of the real rows: identifier-like columns, copies of rare rows, and, where there is a
privacy ledger, every number that was read off them outside it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.masking import mask, mask_all
from dge_ray.phrases import advice
from dge_ray.privacy.ledger import FILE as LEDGER
from dge_ray.privacy.ledger import privacy_statement, read_ledger
from dge_ray.publishing.copies import Copies, Matches, RealRows
from dge_ray.publishing.rows import Cut, all_parts, over_parts
from dge_ray.storage import Folder
from dge_ray.study.opened import ChangedStudyError, OpenStudy
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import Column, Kind, TableSchema

IDENTIFIER_SHARE = 0.5  # of the rows, in distinct values: then a value is that of fewer than two rows on the average
FEW_ROWS, FEW_ROWS_SHARE = 5, 0.25  # a category of fewer rows tells of few persons; of a column with that many of them


def study_ledger(folder: Folder) -> dict[str, Any] | None:
    """A study's privacy ledger; None where there is none.

    Raises:
        InputError: it is damaged: it must not be taken for none.
    """
    return read_ledger(folder) if folder.exists(LEDGER) else None


def privacy_facts(folder: Folder, uncovered: str | None = None) -> dict[str, Any]:
    """bundle.json's statement, and the numbers behind it where there are some. `uncovered`: what is told beyond."""
    ledger, text = study_ledger(folder), privacy_statement(folder)
    if ledger is None:
        return {"privacy": text}
    text += f"; not covered: {uncovered}" if uncovered else ""
    numbers = {"epsilon": ledger["spent"], "delta": ledger["delta"], "adjacency": ledger.get("adjacency")}
    return {"privacy": text, "differential_privacy": numbers}


def check_identifiers(schema: TableSchema, rows: int, allowed: bool, real: pa.Table | None = None) -> list[str]:
    """The columns that tell who a row is, of `rows` real rows: identifiers, whatever their type; categories of which
    there are half as many as rows; and, where the real table may be looked at, categories of fewer than 4 rows on the
    average, such as names, that leave half of the rows in categories of fewer than 5. The table's size does not matter.

    Raises:
        InputError: there are some, and they are not allowed.
    """
    columns = [c.name for c in schema.columns if c.kind is Kind.IDENTIFIER]
    columns += [c.name for c in schema.columns if c.kind is Kind.CATEGORICAL and _singles_out(c, schema, rows, real)]
    if columns and not allowed:
        names = ", ".join(f"'{name}'" for name in columns)
        got = "values that nearly all differ: identifiers tell who a row is, and schema.json lists categories"
        takes = f"a study without ({advice('drop', columns)}), or allow=identifiers"
        raise InputError(f"column{'s' * (len(columns) > 1)} {names}", got, takes)
    return columns


def _singles_out(column: Column, schema: TableSchema, rows: int, real: pa.Table | None) -> bool:
    count = len(column.categories)
    if count >= IDENTIFIER_SHARE * rows:
        return True
    if real is None or count <= FEW_ROWS_SHARE * rows:
        return False
    codes = TableCodec(schema).encode(real, [column.name])[column.name]
    each = np.bincount(codes[codes >= 0], minlength=count)
    return bool(each[each < FEW_ROWS].sum() >= IDENTIFIER_SHARE * each.sum())


def check_copies(
    cut: Cut, members: int, real: RealRows | str, allowed: bool, say: Callable[[str], None], *, counts: bool = True
) -> Copies | None:
    """Copies of real rows among the members' rows, looked for before one of them leaves the study; None: not looked.

    Rows that the study does not hold are drawn for this, and once more when they are written.

    Args:
        real: the real table, or why it is not to be had.
        counts: whether a refusal may tell how many there are.

    Raises:
        InputError: there are copies of rare real rows, or no real table to look in, and that is not allowed.
    """
    if isinstance(real, str):
        if allowed:
            say(f"copies of real rows were not looked for: {real}")
            return None
        takes = "the real table, to look for copies of its rows; allow=copies publishes unseen"
        raise InputError("source", f"{real}, so nobody can see whether rows are copies of rare real ones", takes)
    times = np.zeros(len(real.once), np.int64)
    for matches in over_parts(cut, all_parts(cut, members), Matches(real.once, cut.spec.schema)):
        times += matches
    rows = members * cut.volume
    copies = real.copies(times, rows)
    if copies.rare and not allowed:
        how_many = f"{copies.rare:,} of {rows:,} " if counts else ""
        got = f"{how_many}synthetic rows that are exact copies of rare real rows"
        takes = (
            "none: fewer epochs, another generator or a privacy budget copies less, columns.NAME.decimals or "
            "drop=[NAME] makes rows less telling; allow=copies publishes them"
        )
        raise InputError("study", got, takes)
    return copies


def real_table(study: OpenStudy) -> pa.Table | str:
    """The study's real table, or why it is not to be had."""
    try:
        prepared = study.prepared
    except ChangedStudyError:
        return "the real table is not the one that the study was made from any more"
    except InputError as error:
        return f"the real table cannot be read ({mask(error.got)})"
    return pa.concat_tables(prepared.parts.values())


def real_rows(study: OpenStudy) -> RealRows | str:
    """As `real_table`, to look for copies in."""
    table = real_table(study)
    return table if isinstance(table, str) else RealRows(table, study.schema)


def scrubbed(value: Any, places: list[str]) -> Any:
    """A JSON value without secrets, and without the paths that are places of this study."""
    text = json.dumps(mask_all(value))
    for place in sorted(filter(None, places), key=len, reverse=True):
        text = text.replace(json.dumps(place)[1:-1], "(a place of the publisher)")
    return json.loads(text)
