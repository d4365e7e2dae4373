"""Class-balanced rows: as many of each category of one coded column, the other columns drawn given it.

Made for learners that see too few rows of a rare class. Such rows follow another law than the real ones: probabilities
learnt from them answer to equal class shares, and must be set right before they are read as risks.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, nearest_column
from dge_ray.generators.base import Generator, Unsupported
from dge_ray.generators.rows.conditions import Held
from dge_ray.generators.rows.constraints import Constraint, sample_within
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table.arrow.arrow_types import pc, plain
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import CODED, Column, TableSchema

ORDER, FIRST_CLASS = 0, 1  # indices at Purpose.BALANCE: the order of the rows, and each class's own rows from here


def check_balanced(name: str, schema: TableSchema) -> Column:
    """The coded column whose categories are to be balanced.

    Raises:
        InputError: there is no such coded column.
    """
    coded = [column.name for column in schema.varying if column.kind in CODED]
    if name not in coded:
        raise InputError("balance", repr(name), nearest_column(name, coded) if coded else "a table with a coded column")
    return schema[name]


def sample_balanced(
    generator: Generator,
    n: int,
    name: str,
    schema: TableSchema,
    constraints: Sequence[Constraint] = (),
    *,
    seed: int,
) -> tuple[pa.Table, float]:
    """`n` rows in random order, n / c of each of the c categories of column `name` (chance decides who has one more).

    Beside them the share of the rows drawn that was kept: all, without constraints, from generators that can be given
    the column; the others' rows are drawn until they fit. A pure function of its arguments; `sample(n)` is no prefix of
    `sample(n')`.

    Raises:
        InputError: there is no such coded column.
        StudyError: a category, or the constraints within it, comes up in too few of the rows drawn.
    """
    column = check_balanced(name, schema)
    classes, rng = len(column.categories), numpy_generator(seed, Purpose.BALANCE, index=ORDER)
    counts = np.full(classes, n // classes)
    counts[rng.permutation(classes)[: n % classes]] += 1
    drawn = 0.0
    parts = []
    for code, count in enumerate(counts.tolist()):
        if not count:
            continue
        address = integer(seed, Purpose.BALANCE, index=FIRST_CLASS + code)
        part, kept = _of_class(generator, count, column, code, constraints, seed=address)
        parts.append(part)
        drawn += count / kept
    return pa.concat_tables(parts).take(pa.array(rng.permutation(n))).combine_chunks(), n / drawn


def _of_class(
    generator: Generator, n: int, column: Column, code: int, constraints: Sequence[Constraint], *, seed: int
) -> tuple[pa.Table, float]:
    one = TableCodec(TableSchema((column,))).decode({column.name: np.array([code], dtype=np.int32)}, seed=seed)
    try:
        return sample_within(Held(generator, one), n, constraints, seed=seed)
    except Unsupported:
        value = plain(one[column.name]).combine_chunks()
        of_class = _OfClass(f"{column.name} == {value[0].as_py()}", column.name, "==", None, value)
        return sample_within(generator, n, [*constraints, of_class], seed=seed)


class _OfClass(Constraint):
    """One category and nothing else: not a missing value either, which would meet a user's constraint."""

    def holds(self, table: pa.Table) -> np.ndarray:
        assert self.values is not None
        equal = pc.equal(plain(table.column(self.left)), self.values[0])
        return np.asarray(pc.fill_null(equal, False).to_numpy(), dtype=bool)
