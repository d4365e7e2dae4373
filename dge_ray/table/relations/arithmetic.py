"""Sums and products: a numeric column that is computed from others, exactly or but for its rounding.

Found on a sample of rows, confirmed on all. An identity is exact where float arithmetic alone is between the two sides;
else it is one but for rounding, and then the column's spread is many times what rounding leaves open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dge_ray.table.arrow.arrow_types import arrow_type
from dge_ray.table.relations.chance import tolerated_by_chance
from dge_ray.table.schema.identities import Identity
from dge_ray.table.schema.table_schema import Column, Kind

ROWS = 2_000  # looked at before all
MOST_COLUMNS = 300  # in a search for sums; pairs of more are looked at alone
MOST_FACTORS = 100  # columns in a search for products
MOST_OF = 12  # columns that one is the sum of
LEAST_ROWS = 30
SPREAD = 10  # times what rounding leaves open: of a column that is one but for rounding
ROUNDED = 0.4  # of the values that rounding must give as they are, not a unit beside
EXACT = 1e-9  # of the column's span: what float arithmetic leaves


@dataclass(frozen=True)
class Numbers:
    """Columns of numbers in the rows where all are present: values (n, d) float64, and the columns."""

    values: np.ndarray
    columns: tuple[Column, ...]

    def sample(self) -> "Numbers":
        n = len(self.values)
        return self if n <= ROWS else Numbers(self.values[np.linspace(0, n - 1, ROWS).astype(int)], self.columns)


def unit(column: Column) -> float:
    """The smallest difference of two of its values; 0 where there is none."""
    if column.kind is Kind.NUMERIC:
        return 0.0 if column.decimals is None else 10.0**-column.decimals
    return float(column.step)


def exact(column: Column, values: np.ndarray) -> float:
    """What float arithmetic, and the column's storage, may leave between two sides that are equal."""
    dtype = arrow_type(column.type)
    stored = np.finfo(dtype.to_pandas_dtype()).eps if str(dtype) in ("float", "halffloat") else np.finfo(float).eps
    return float(EXACT * np.ptp(values) + 8 * stored * np.abs(values).max())


def near(column: Column, sources: Sequence[Column], factors: Sequence[float]) -> float:
    """What rounding may leave: half a unit of the column, and of each source that has decimals half of its own."""
    own = [abs(f) * unit(s) for s, f in zip(sources, factors, strict=True) if s.kind is Kind.NUMERIC]
    if unit(column) == 0 or any(part > unit(column) * (1 + EXACT) for part in own):
        return 0.0  # a source is coarser than the column, which then tells more than it
    return (0.5 * unit(column) + 0.5 * sum(own)) * (1 + 1e-6)


def holds(
    column: Column, values: np.ndarray, predicted: np.ndarray, rounding: float, free: int, *, chance: bool = True
) -> bool:
    """Whether a column is what is predicted of it: in every row, but for rounding, and not by chance."""
    error, least = np.abs(values - predicted).max(), exact(column, values)
    if not np.isfinite(error):
        return False
    if error > least and (
        error > rounding or values.std() < SPREAD * rounding or not _rounds(column, values, predicted)
    ):
        return False
    return not (chance and tolerated_by_chance(values, predicted, max(rounding, least), free))


def _rounds(column: Column, values: np.ndarray, predicted: np.ndarray) -> bool:
    """Whether rounding gives enough of the values themselves: not where every other one is half a unit off, which is
    what is left of a difference of one that no rounding makes."""
    return bool((np.abs(values - predicted) <= 0.49 * unit(column)).mean() >= ROUNDED)


def sums(numbers: Numbers) -> Iterator[tuple[np.ndarray, float]]:
    """Relations that hold in the sample: weights (d,) and a constant with values @ weights = constant.

    Each column in turn is regressed on those before it that were no sums: first on the one that it goes along with
    most, then on all of them. A column that is exactly a sum is not among those that later ones are regressed on.
    """
    sample = numbers.sample()
    n, d = sample.values.shape
    if n < LEAST_ROWS:
        return
    centred = sample.values - sample.values.mean(0)
    scale = np.where(centred.std(0) > 0, centred.std(0), 1.0)
    x = centred / scale
    basis: list[int] = []
    q = np.empty((n, 0))
    for j in range(d):
        if not centred[:, j].any():
            continue
        found = _pair(sample, x, basis, j)
        if found is None and 3 * (len(basis) + 1) + 20 <= n and d <= MOST_COLUMNS and len(basis) > 1:
            rest = x[:, j] - q @ (q.T @ x[:, j])
            rest -= q @ (q.T @ rest)
            most = max(exact(sample.columns[j], sample.values[:, j]), 2 * MOST_OF * unit(sample.columns[j]))
            if np.abs(rest).max() * scale[j] <= most:
                found = _fitted(sample, basis, j)
        if found is not None:
            yield found
            weights, constant = found
            if np.abs(sample.values @ weights - constant).max() <= exact(sample.columns[j], sample.values[:, j]):
                continue
        rest = x[:, j] - q @ (q.T @ x[:, j])
        rest -= q @ (q.T @ rest)
        if (size := np.linalg.norm(rest)) > 1e-9 * np.sqrt(n):
            basis.append(j)
            q = np.c_[q, rest / size]


def _pair(sample: Numbers, x: np.ndarray, basis: list[int], j: int) -> tuple[np.ndarray, float] | None:
    if not basis:
        return None
    together = np.abs(x[:, basis].T @ x[:, j]) / len(x)
    best = int(together.argmax())
    return _fitted(sample, [basis[best]], j) if together[best] > 0.99 else None


def _fitted(sample: Numbers, sources: list[int], j: int) -> tuple[np.ndarray, float] | None:
    """The relation of a column to those of the sources that it needs, with plain factors where they will do."""
    y, column = sample.values[:, j], sample.columns[j]
    spread = sample.values.std(0)
    least = max(exact(column, y), 1e-7 * spread[j])
    for _ in range(2):  # what other columns seem to add is noise of rounding, and goes with the first pass
        a = sample.values[:, sources]
        middle = a.mean(0)
        factors = np.linalg.lstsq(a - middle, y - y.mean(), rcond=None)[0]
        weighs = np.abs(factors) * spread[sources]
        kept = weighs > max(least, 0.2 * unit(column))
        if kept.all():
            break
        sources = [s for s, k in zip(sources, kept, strict=True) if k]
        if not sources:
            return None
    if len(sources) > MOST_OF:
        return None
    a, of = sample.values[:, sources], [sample.columns[s] for s in sources]
    if len(factors) != len(sources):
        factors = np.linalg.lstsq(a - a.mean(0), y - y.mean(), rcond=None)[0]
    for plain in plainer(factors):
        if not plain.all():
            continue
        rounding = max(near(column, of, plain.tolist()), near_any(sample, [*sources, j], [*plain.tolist(), -1.0]))
        rest = y - a @ plain
        if np.ptp(rest) > 2 * max(rounding, exact(column, y)):
            continue
        for constant in _constants(rest):
            predicted = a @ plain + constant
            if np.abs(y - predicted).max() <= max(rounding, exact(column, y)):
                # Of several columns of a relation one may be what rounding gives, and not this one: see `solved_for`.
                weights = np.zeros(len(spread))
                weights[sources], weights[j] = -plain, 1.0
                return weights, constant
    return None


def near_any(sample: Numbers, places: list[int], weights: Sequence[float]) -> float:
    """What rounding may leave where another column of the relation is the one that was rounded, in the last's terms."""
    most = 0.0
    for at, weight in enumerate(weights[:-1]):
        others = [sample.columns[p] for i, p in enumerate(places) if i != at]
        factors = [-w / weight for i, w in enumerate(weights) if i != at]
        most = max(most, abs(weight) * near(sample.columns[places[at]], others, factors))
    return most


def plainer(factors: np.ndarray) -> Iterator[np.ndarray]:
    """The factors as whole numbers and plain fractions, as decimals of 2 to 6 digits, and as they are."""
    yield np.array([float(Fraction(f).limit_denominator(12)) if 1e-3 < abs(f) < 1e6 else f for f in factors.tolist()])
    for digits in (2, 3, 4, 6, 9):
        yield np.array([float(f"{f:.{digits}g}") for f in factors.tolist()])
    yield factors


def _constants(rest: np.ndarray) -> Iterator[float]:
    """What may be left, the plainest first: nothing, or the middle of the rest in 1 to 9 digits, and as it is."""
    middle = float(rest.min() + rest.max()) / 2
    yield 0.0
    for digits in (1, 2, 3, 4, 6, 9):
        yield float(f"{middle:.{digits}g}")
    yield middle


def products(numbers: Numbers) -> Iterator[tuple[int, tuple[int, int], tuple[float, float], float]]:
    """Columns that are a constant times a product or a quotient of two others in the sample: place, the two places,
    their powers, and the constant. Found by the cosine of the two sides, which is 1."""
    sample = numbers.sample()
    n, d = sample.values.shape
    if n < LEAST_ROWS or not 3 <= d <= MOST_FACTORS:
        return
    few = sample.values[np.linspace(0, n - 1, min(n, 200)).astype(int)]
    size = np.sqrt((few**2).sum(0))
    safe = np.where(size > 0, size, 1.0)
    for i in range(d):
        for powers in ((1.0, 1.0), (1.0, -1.0)):
            others = range(i + 1, d) if powers[1] > 0 else [k for k in range(d) if k != i]
            places = [k for k in others if powers[1] > 0 or (few[:, k] != 0).all()]
            if not places:
                continue
            made = few[:, [i]] * few[:, places] ** powers[1]
            length = np.sqrt((made**2).sum(0))
            cosine = np.abs((made / np.where(length > 0, length, 1.0)).T @ (few / safe))
            for at, j in zip(*np.nonzero(cosine > 1 - 1e-4), strict=True):
                k = places[at]
                if j in (i, k):
                    continue
                whole = (
                    sample.values[:, i] * np.where(sample.values[:, k] == 0, np.nan, sample.values[:, k]) ** powers[1]
                )
                whole = sample.values[:, i] * sample.values[:, k] if powers[1] > 0 else whole
                if not np.isfinite(whole).all() or not whole.any():
                    continue
                y, column = sample.values[:, j], sample.columns[j]
                best = np.array([float(whole @ y) / float(whole @ whole)])
                for factor in plainer(best):
                    rounding = 0.5 * unit(column) * (1 + 1e-6)
                    if holds(column, y, factor[0] * whole, rounding, 1) and not _of_one(sample, (i, k), j):
                        yield int(j), (i, k), powers, float(factor[0])
                        break


def _of_one(sample: Numbers, two: tuple[int, int], j: int) -> bool:
    """Whether one of the two does not vary: then it is no product."""
    return any(np.ptp(sample.values[:, place]) == 0 for place in two)


def solved_for(
    weights: np.ndarray, constant: float, columns: Sequence[Column], place: int
) -> tuple[Identity, list[Column]]:
    """The relation of `sums` as what one of its columns is."""
    of = [i for i in np.flatnonzero(weights).tolist() if i != place]
    factors = tuple(float(f) for f in -weights[of] / weights[place] + 0.0)
    names = tuple(columns[i].name for i in of)
    return Identity(columns[place].name, "sum", names, factors, float(constant / weights[place]) + 0.0), [
        columns[i] for i in of
    ]
