"""The estimators behind declared estimands (estimands.py), on a table's encoded columns."""

from dataclasses import dataclass

import numpy as np

from dge_ray.stats.inference.regression import Coefficients, least_squares, logistic
from dge_ray.table import Columns


@dataclass(frozen=True)
class Term:
    """A coefficient's column; `level`: the category whose indicator it is, by code."""

    column: str
    level: int | None = None


@dataclass(frozen=True)
class Event:
    """Rows of a column with a value: a code of a column of categories, or a number."""

    column: str
    value: float

    def of(self, values: Columns) -> np.ndarray:
        return (values[self.column] == self.value).astype(np.float64)


@dataclass(frozen=True)
class Model:
    """One estimator: a mean or proportion has one parameter, a regression an intercept and its terms."""

    kind: str
    response: str | Event
    terms: tuple[Term, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        first = self.response if isinstance(self.response, str) else self.response.column
        return tuple(dict.fromkeys([first, *(term.column for term in self.terms)]))

    def fit(self, values: Columns) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
        """Value, variance and reason of each parameter."""
        known = np.logical_and.reduce([_known(values[name]) for name in self.columns])
        values = {name: values[name][known] for name in self.columns}
        y = values[self.response] if isinstance(self.response, str) else self.response.of(values)
        if self.kind in ("mean", "proportion"):
            estimate = _mean(y, self.kind)
            return estimate.value, estimate.variance, [estimate.reason]
        return self._regress(y, values)

    def _regress(self, y: np.ndarray, values: Columns) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
        columns = [values[t.column] if t.level is None else values[t.column] == t.level for t in self.terms]
        x = np.column_stack([np.ones(len(y)), *columns]).astype(np.float64)
        reasons: list[str | None] = [None, *(self._absent(term, values) for term in self.terms)]
        lost = self._without_reference(values)
        used = np.array([reason is None for reason in reasons])
        for name in lost:  # one category that is there takes the reference's place: the other terms stay what they are
            used[next((j for j, t in enumerate(self.terms, 1) if t.column == name and used[j]), 0)] = False
        estimate = (least_squares if self.kind == "ols" else logistic)(x[:, used], y)
        value, variance = np.full((2, len(used)), np.nan)
        value[used], variance[used] = estimate.value, estimate.variance
        for j, term in enumerate([None, *self.terms]):
            if lost and reasons[j] is None and (term is None or term.column in lost):
                reasons[j] = f"no row of the reference of {lost[0] if term is None else term.column}"
                value[j] = variance[j] = np.nan
        return value, variance, [reason or estimate.reason for reason in reasons]

    def _absent(self, term: Term, values: Columns) -> str | None:
        absent = term.level is not None and not (values[term.column] == term.level).any()
        return f"no row of this category of {term.column}" if absent else None

    def _without_reference(self, values: Columns) -> list[str]:
        coded = dict.fromkeys(term.column for term in self.terms if term.level is not None)
        return [name for name in coded if not (values[name] == 0).any()]


def _known(values: np.ndarray) -> np.ndarray:
    return values >= 0 if values.dtype.kind == "i" else ~np.isnan(values)


def _mean(y: np.ndarray, kind: str) -> Coefficients:
    n = len(y)
    if n < 2:
        return Coefficients(np.array([np.nan]), np.array([np.nan]), f"{n} known values")
    value = y.mean()
    spread = value * (1 - value) if kind == "proportion" else y.var(ddof=1)
    return Coefficients(np.array([value]), np.array([spread / n]))
