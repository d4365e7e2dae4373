"""Debiasing synthetic rows for declared estimands: what a generator gets wrong of them is taken out of its rows.

After Decruyenaere et al. 2024 (arXiv 2411.04216). A generator whose estimates converge slower than real rows' do biases
every table drawn from it, and no factor on a standard error mends that. Here the bias is estimated, generator against
real rows, and one column is shifted by it: for `mean(Y)` by a constant, for an `ols(Y ~ A + X)[A]` by a multiple of A -
E[A | X]. Afterwards that estimate on the rows is as efficient as one on the real rows, so that intervals by sqrt(1 +
k/n) hold for it. Other estimates that read the column change as well, and no better; columns with atoms (many zeros)
lose them. Shifted values keep their column's bounds and precision: the shift is solved for with the bounds in place,
and rounding goes up or down at random, right on average.

This is the publisher's side: it reads the real rows, and spends no privacy budget for it, so it has no place in a study
with differential privacy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.inference.estimand_models import Model, Term
from dge_ray.inference.estimands import Estimands
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table import Column, Columns, Kind, TableCodec, TableSchema

DRAWS = 100_000  # rows of a generator that stand for its law
ROUNDS = 60  # of the fixed-point iteration; each takes off most of what the bounds had kept of the shift
SETTLED = 1e-9  # of the column's spread
TAKES = "mean(COLUMN), or one coefficient but the intercept: ols(COLUMN ~ TERM + ...)[TERM]"


@dataclass(frozen=True)
class Shift:
    """What is added to a column: `by`, times the exposure's residual where there is one.

    `expected`: of the exposure on 1 and the terms of `given`, (1 + len(given),).
    """

    column: str
    by: float
    exposure: Term | None = None
    given: tuple[Term, ...] = ()
    expected: tuple[float, ...] = ()

    def of(self, values: Columns) -> np.ndarray:
        """The shifts of rows (n,); 0 where the exposure or what it is given is missing."""
        if self.exposure is None:
            return np.full(len(values[self.column]), self.by)
        design, exposure = _design(self.given, values), _term(self.exposure, values)
        return self.by * np.nan_to_num(exposure - design @ np.array(self.expected))


def learn_shifts(estimands: Estimands, real: pa.Table, draws: pa.Table) -> tuple[Shift, ...]:
    """The shift of each estimand, in turn, each learned after those before it.

    `real`: the rows that the generator was fitted on; `draws`: many rows of it (DRAWS), not those to be shifted.

    Raises:
        InputError: an estimand that is neither a mean nor a slope of a linear regression, or one that these rows cannot
            tell.
    """
    codec, shifts = TableCodec(estimands.schema), []
    columns = estimands.columns
    truth, law = codec.encode(real, columns), codec.encode(draws, columns)
    for name, (which, j) in zip(estimands.names, estimands.picks, strict=True):
        model = estimands.models[which]
        if model.kind not in ("mean", "ols") or (model.kind == "ols" and j == 0):
            raise InputError("debias", name, TAKES)
        shift = _learn(model, j, truth, law, estimands.schema)
        if shift is None:
            raise InputError("debias", f"{name}, of which these rows tell nothing", TAKES)
        law = {**law, shift.column: _shifted(shift, law, estimands.schema[shift.column])}
        shifts.append(shift)
    return tuple(shifts)


def debiased(
    table: pa.Table, shifts: Sequence[Shift], schema: TableSchema, *, seed: int, member: int, part: int = 0
) -> pa.Table:
    """A part of a member's rows with the shifts in them, of the same schema; the other columns are as they were."""
    codec = TableCodec(schema)
    read = dict.fromkeys(c for s in shifts for c in (s.column, *(t.column for t in (s.exposure, *s.given) if t)))
    values = codec.encode(table, list(read))
    for shift in shifts:
        values[shift.column] = _shifted(shift, values, schema[shift.column])
    for name in dict.fromkeys(shift.column for shift in shifts):
        place = schema.names.index(name)
        rng = numpy_generator(seed, Purpose.POOL, member=member, index=1 + part * len(schema.columns) + place)
        rounded = _rounded(values[name], schema[name], rng)
        one_column = TableCodec(replace(schema, columns=(schema[name],), target=None, task=None))
        table = table.set_column(
            place, table.schema.field(place), one_column.decode({name: rounded}, seed=seed).column(0)
        )
    return table


def _learn(model: Model, j: int, real: Columns, law: Columns, schema: TableSchema) -> Shift | None:
    """The shift after which the generator's own rows, `law`, show what the real rows say. None: they cannot tell."""
    assert isinstance(model.response, str)
    real, law = ({n: v[_complete(model, part)] for n, v in part.items()} for part in (real, law))
    y, real_y = law[model.response], real[model.response]
    if len(real_y) < 2 or len(y) < 2:
        return None
    shift = Shift(model.response, 0.0)
    direction, scale, target = np.ones(len(y)), 1.0, real_y.mean()
    if model.kind == "ols":
        terms = model.terms
        given = tuple(term for i, term in enumerate(terms, 1) if i != j)
        # The generator's conditional means, by its own rows; what is left of them is what the coefficient stands on.
        design = _design(given, law)
        expected, outcome = (np.linalg.lstsq(design, v, rcond=None)[0] for v in (_term(terms[j - 1], law), y))
        direction = _term(terms[j - 1], law) - design @ expected
        real_design = _design(given, real)
        left = _term(terms[j - 1], real) - real_design @ expected
        scale = float(np.mean(direction**2))
        if min(scale, np.mean(left**2)) <= SETTLED * max(1.0, float(np.var(_term(terms[j - 1], law)))):
            return None
        target = np.mean(left * (real_y - real_design @ outcome)) / np.mean(left**2)
        shift = Shift(model.response, 0.0, terms[j - 1], given, tuple(expected.tolist()))
    column, by = schema[model.response], 0.0
    for _ in range(ROUNDS):
        step = target - np.mean(direction * _within(y + by * direction, column)) / scale
        by += step
        if abs(step) <= SETTLED * (y.std() + abs(target)):
            break
    return replace(shift, by=float(by))


def _complete(model: Model, values: Columns) -> np.ndarray:
    """Rows without a missing value in what the model reads."""
    known = [v >= 0 if v.dtype.kind == "i" else ~np.isnan(v) for v in (values[name] for name in model.columns)]
    return np.logical_and.reduce(known)


def _shifted(shift: Shift, values: Columns, column: Column) -> np.ndarray:
    return _within(values[shift.column] + shift.of(values), column)


def _within(values: np.ndarray, column: Column) -> np.ndarray:
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    return np.clip(values, low, high)


def _rounded(values: np.ndarray, column: Column, rng: np.random.Generator) -> np.ndarray:
    """To the column's precision, up or down at random so that the mean stays; a nearest value would undo small shifts.

    Neighbours of the bounds need no care: bounds lie on the grid themselves.
    """
    if column.kind is Kind.INTEGER:
        grid = float(column.step)
    elif column.decimals is not None:
        grid = 10.0**-column.decimals
    else:
        return values
    scaled = values / grid
    near = np.rint(scaled)
    exact = np.abs(scaled - near) < 1e-6  # a value on the grid stays, whatever its last bits say
    return np.where(exact, near, np.floor(scaled + rng.random(len(values)))) * grid


def _term(term: Term, values: Columns) -> np.ndarray:
    """A term's values (n,); NaN where missing."""
    column = values[term.column]
    if term.level is None:
        return column
    return np.where(column < 0, np.nan, column == term.level)


def _design(terms: Sequence[Term], values: Columns) -> np.ndarray:
    n = len(next(iter(values.values())))
    return np.column_stack([np.ones(n), *(_term(term, values) for term in terms)])
