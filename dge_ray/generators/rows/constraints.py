"""Constraints on rows, such as `age >= 18`, `low <= high` or `state in [CA, NY]`: drawn anew until they hold.

A row with a null in a constraint's column meets it. Drawing again is bounded: constraints that too few of a
generator's rows meet are refused with the share that does.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from dge_ray.errors import InputError, StudyError, nearest_column
from dge_ray.generators.base import Draws, Generator
from dge_ray.seeds import Purpose, integer
from dge_ray.spelling import settled, spelled_yaml
from dge_ray.table.arrow.arrow_types import arrow_type, is_string, pc, value_type
from dge_ray.table.schema.table_schema import CODED, MEASURED, Column, TableSchema

MOST_DRAWN = 100  # rows drawn for each one that is asked for
FORM = "COLUMN >= VALUE, COLUMN <= OTHER_COLUMN, COLUMN in [VALUE, ...]; one of >= <= > < == != in"

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": pc.greater_equal,
    "<=": pc.less_equal,
    ">": pc.greater,
    "<": pc.less,
    "==": pc.equal,
    "!=": pc.not_equal,
}
_PARTS = re.compile(r"(?P<left>.+?)\s*(?P<operator>>=|<=|==|!=|>|<|\bin\b)\s*(?P<right>.+)", re.DOTALL)


@dataclass(frozen=True)
class Constraint:
    """One constraint, as it was written: `left` and, in a comparison of two columns, `other` are columns."""

    text: str
    left: str
    operator: str
    other: str | None
    values: pa.Array | None

    def holds(self, table: pa.Table) -> np.ndarray:
        """Which rows meet it, (n,) bool."""
        left = table.column(self.left)
        if self.operator == "in":
            met = pc.or_(pc.is_in(_plain(left), value_set=self.values), pc.is_null(left, nan_is_null=True))
        else:
            right = self.values[0] if self.values is not None else _plain(table.column(self.other))
            met = pc.fill_null(_COMPARE[self.operator](_plain(left), right), True)
        nothing = pc.is_null(left, nan_is_null=True)
        return np.asarray(pc.or_(met, nothing).to_numpy(), dtype=bool)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def read_constraints(texts: Sequence[str], schema: TableSchema) -> tuple[Constraint, ...]:
    """Constraints as written, checked against the schema.

    Raises:
        InputError: one that cannot be read, an unknown column, or a value that its column cannot have.
    """
    return tuple(_read(text, schema) for text in texts)


def _read(text: str, schema: TableSchema) -> Constraint:
    parts = _PARTS.fullmatch(text.strip())
    if parts is None:
        raise InputError("constraints", repr(text), FORM)
    left, sign, right = parts["left"].strip(), parts["operator"], parts["right"].strip()
    modelled = {column.name: column for column in schema.varying}
    if left not in modelled:
        raise InputError("constraints", f"{text!r} with no column {left!r}", nearest_column(left, list(modelled)))
    column = modelled[left]
    if column.kind in CODED and sign in (">=", "<=", ">", "<"):
        raise InputError("constraints", f"{text!r} on the {column.kind} column {left!r}", "==, != or in")
    if right in modelled and sign != "in":
        if modelled[right].kind not in MEASURED or column.kind not in MEASURED:
            raise InputError("constraints", f"{text!r} of categories", "two columns of numbers or times")
        return Constraint(text, left, sign, right, None)
    try:
        # A category is what was typed, a number or date what it means.
        typed = spelled_yaml(right)
        texts = is_string(value_type(arrow_type(column.type)))
        values = settled(typed if sign == "in" else [typed], reading="texts" if texts else "yaml")
    except yaml.YAMLError:
        raise InputError("constraints", repr(text), FORM) from None
    if not isinstance(values, list) or not values:
        raise InputError("constraints", f"{text!r} without a list", "COLUMN in [VALUE, ...]")
    return Constraint(text, left, sign, None, _values(text, values, column))


def _values(text: str, values: list[Any], column: Column) -> pa.Array:
    dtype = value_type(arrow_type(column.type))
    try:
        if pa.types.is_string(dtype) or pa.types.is_large_string(dtype):
            values = [str(value) for value in values]
        if pa.types.is_integer(dtype):  # age >= 17.5 is a sound bound on whole numbers
            return pa.array(values, pa.float64())
        return pa.array(values).cast(dtype)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise InputError("constraints", repr(text), f"values of type {dtype} for '{column.name}'") from None


def meets(table: pa.Table, constraints: Sequence[Constraint]) -> np.ndarray:
    """Which rows meet all of them, (n,) bool."""
    return np.logical_and.reduce([c.holds(table) for c in constraints], initial=True) & np.ones(table.num_rows, bool)


def broken_by_real_rows(constraints: Sequence[Constraint], table: pa.Table) -> tuple[str, ...]:
    """A line for each constraint that real rows break: synthetic rows will follow another law than they."""
    shares = [(c.text, 1 - c.holds(table).mean()) for c in constraints]
    return tuple(f"constraint '{text}': {share:.2%} of the real rows break it" for text, share in shares if share)


def sample_within(generator: Draws, n: int, constraints: Sequence[Constraint], *, seed: int) -> tuple[pa.Table, float]:
    """`n` rows that meet the constraints, and the share of rows drawn that did; a pure function of its arguments.

    Raises:
        StudyError: fewer than one in MOST_DRAWN of the rows drawn do.
    """
    table = generator.sample(n, seed=seed)
    if not constraints:
        return table, 1.0
    tables, drawn, kept, batch = [], 0, 0, 0
    while True:
        good = meets(table, constraints)
        tables.append(table.filter(pa.array(good)))
        drawn, kept = drawn + table.num_rows, kept + int(good.sum())
        if kept >= n:
            return pa.concat_tables(tables).slice(0, n).combine_chunks(), kept / drawn
        if drawn >= MOST_DRAWN * n:
            least = min(constraints, key=lambda c: int(c.holds(table).sum()))
            met = f"{kept} of {drawn} rows drawn meet them"
            raise StudyError(f"constraints: {met}, too few to go on; least often met: '{least.text}'")
        batch += 1
        more = min(1.2 * (n - kept) / max(kept / drawn, 1 / MOST_DRAWN), MOST_DRAWN * n - drawn, 4 * n)
        table = generator.sample(max(1, int(more)), seed=integer(seed, Purpose.REDRAW, index=batch))


def complete_within(generator: Generator, given: pa.Table, constraints: Sequence[Constraint], *, seed: int) -> pa.Table:
    """The rows `given` completed, each drawn anew until it meets the constraints; a pure function of its arguments.

    Raises:
        StudyError: some row meets them in none of MOST_DRAWN draws.
    """
    rows = generator.sample(given.num_rows, seed=seed, given=given)  # type: ignore[call-arg]  # optional in the Protocol
    for batch in range(1, MOST_DRAWN):
        broken = np.flatnonzero(~meets(rows, constraints))
        if not len(broken):
            return rows
        address, order = integer(seed, Purpose.REDRAW, index=batch), np.arange(rows.num_rows)
        again = generator.sample(len(broken), seed=address, given=given.take(broken))  # type: ignore[call-arg]
        order[broken] = rows.num_rows + np.arange(len(broken))
        rows = pa.concat_tables([rows, again]).take(order).combine_chunks()
    if lost := int((~meets(rows, constraints)).sum()):
        least = min(constraints, key=lambda c: int(c.holds(rows).sum()))
        raise StudyError(f"constraints: {lost} of the rows given meet them in no draw; least often met: '{least.text}'")
    return rows
