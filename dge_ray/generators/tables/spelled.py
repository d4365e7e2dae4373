"""Values as other tools write them: categories as floats or truth values, missing ones as words, rows with numbers."""

import re
from collections.abc import Collection

import numpy as np
import pyarrow as pa

from dge_ray.table.arrow.arrow_types import is_string, pc, plain
from dge_ray.table.schema.table_schema import Column

MISSING = frozenset({"", "nan", "none", "<na>", "nat", "null"})  # in small letters
TRUTH = {"true": 1.0, "false": 0.0}
ROW_NUMBERS = re.compile(r"|Unnamed: \d+|index|level_0")  # what pandas calls an index that it writes


def row_numbers(table: pa.Table, known: Collection[str]) -> list[str]:
    """The columns that are no columns of the table, but its rows' numbers: named as pandas does, and whole numbers from
    0 or 1 on (or, without a name of its own, any)."""
    found = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in known or not ROW_NUMBERS.fullmatch(name):
            continue
        numbers = _numbers(column)
        if numbers is None or not np.isfinite(numbers).all() or (numbers != np.rint(numbers)).any():
            continue
        unnamed = name == "" or name.startswith("Unnamed")
        if unnamed or np.array_equal(numbers - numbers[:1], np.arange(len(numbers))):
            found.append(name)
    return found


def without_missing_words(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts with nulls in place of words that say that there is none."""
    if not is_string(values.type):
        return values
    says = pc.is_in(pc.utf8_lower(plain(values)), value_set=pa.array(sorted(MISSING)))
    return pc.if_else(says, pa.scalar(None, plain(values).type), plain(values))


def recoded(column: Column, values: pa.ChunkedArray, codes: np.ndarray) -> tuple[np.ndarray, int]:
    """The codes (n,) of a coded column, those that are -1 found by what their values mean, and how many of these are no
    category: 1, "1", 1.0 and "01" are one number, and true is 1. What two categories may mean is neither."""
    meant: dict[str | float, set[int]] = {}
    for code, category in enumerate(column.categories):
        meant.setdefault(_meaning(category), set()).add(code)
    codes, strange = codes.copy(), 0
    places = np.flatnonzero(codes < 0)
    different = values.take(pa.array(places)).to_pylist()
    known: dict[object, int | None] = {}
    for value in dict.fromkeys(different):
        if value is None or str(value).lower() in MISSING:
            known[value] = -1
        else:
            found = meant.get(_meaning(value), set())
            known[value] = next(iter(found)) if len(found) == 1 else None
    for place, value in zip(places.tolist(), different, strict=True):
        code = known[value]
        strange += code is None
        codes[place] = -1 if code is None else code
    return codes, strange


def as_numbers(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Texts that are all numbers or truth values, as numbers; None where one is neither."""
    texts = dict.fromkeys(values.to_pylist())
    known = {text: None if text is None else _meaning(text) for text in texts}
    if any(isinstance(value, str) for value in known.values()):
        return None
    return pa.chunked_array([pa.array([known[text] for text in values.to_pylist()], pa.float64())])


def _meaning(value: object) -> str | float:
    """The number that a value is or spells, or its text."""
    text = str(value)
    if text.lower() in TRUTH:
        return TRUTH[text.lower()]
    try:
        number = float(text)
    except ValueError:
        return text
    return number if np.isfinite(number) and "_" not in text else text


def _numbers(column: pa.ChunkedArray) -> np.ndarray | None:
    numbers = as_numbers(plain(column)) if is_string(column.type) else column
    if numbers is None or not (pa.types.is_integer(numbers.type) or pa.types.is_floating(numbers.type)):
        return None
    return np.array(pc.cast(numbers, pa.float64(), safe=False).to_numpy(), dtype=np.float64)
