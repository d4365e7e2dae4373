"""Declared estimands: what is estimated on a table, written in words, with its model-based variance.

    mean(age)                               of a column of numbers
    proportion(income = '>50K')             of rows with that value
    ols(hours ~ age + sex)[age]             a coefficient of a linear regression
    logistic(death = 'yes' ~ age + stage)   all coefficients of a logistic regression of an event
    logistic(death = 'yes' ~ age + stage)[age, stage = 'IV', intercept]

A name or value of letters, digits, dots, hyphens and the like stands as it is; one with a blank or any of ()[]~+=,
or a quote in it stands in quotes of any kind, a quote of the same kind doubled. A boolean column alone is the event
that it is true. A regression has an intercept. Of a column of categories or booleans each category but the schema's
first, the reference, is a term of its own: every table of the schema, resampled or synthetic, has the same
parameters. Rows with a null in a column that an estimand reads are left out of it.

What a table cannot tell (no such category in it, separated classes, collinear terms) is NaN with a reason.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError, nearest, nearest_column
from dge_ray.inference.estimand_models import Event, Model, Term
from dge_ray.table import Column, Kind, TableCodec, TableSchema, from_pandas

if TYPE_CHECKING:
    import pandas as pd

FORM = "mean(COLUMN), proportion(COLUMN = VALUE), ols(COLUMN ~ TERM + ...), logistic(COLUMN = VALUE ~ TERM + ...)[TERM]"
KINDS = ("mean", "proportion", "ols", "logistic")
INTERCEPT = "intercept"
NUMBERS = (Kind.NUMERIC, Kind.INTEGER)
CATEGORIES = (Kind.CATEGORICAL, Kind.BOOLEAN)

_TOKEN = re.compile(
    r"""\s*(?:(?P<sign>[()\[\]~+=,])"""
    r"""|(?P<quoted>(["'`])(?:(?!\3).|\3\3)*\3)"""
    r"""|(?P<word>[^\s()\[\]~+=,"'`]+))"""
)
_PLAIN = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Estimates:
    """Of p parameters on one table: values and model-based variances, (p,) each, and why one is NaN, else None."""

    value: np.ndarray
    variance: np.ndarray
    reasons: tuple[str | None, ...]


@dataclass(frozen=True)
class Estimands:
    """p parameters to estimate, each a scalar with a name. `picks`: of each, which model and which coefficient."""

    names: tuple[str, ...]
    schema: TableSchema
    models: tuple[Model, ...]
    picks: tuple[tuple[int, int], ...]

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return list(dict.fromkeys(name for model in self.models for name in model.columns))

    def __call__(self, table: "pa.Table | pd.DataFrame") -> Estimates:
        """Every parameter on one table of the schema; other columns of it are ignored.

        Raises:
            InputError: a column that is read is absent or of another type.
        """
        rows = table if isinstance(table, pa.Table) else from_pandas(table)
        values = TableCodec(self.schema).encode(rows, self.columns)
        fits = [model.fit(values) for model in self.models]
        value, variance = (np.array([fits[m][which][j] for m, j in self.picks]) for which in (0, 1))
        return Estimates(value, variance, tuple(fits[m][2][j] for m, j in self.picks))


def read_estimands(given: str | Iterable[str], schema: TableSchema) -> Estimands:
    """Estimands as written, checked against the schema: texts, or one text with several, separated by commas.

    Raises:
        InputError: one that cannot be read, an unknown column, or one whose kind does not suit.
    """
    texts = [given] if isinstance(given, str) else list(given)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise InputError("estimands", repr(given), f"one or more of {FORM}")
    names: list[str] = []
    models: list[Model] = []
    picks: list[tuple[int, int]] = []
    for text in texts:
        for model, chosen in _Reader(text, schema).all():
            if model not in models:
                models.append(model)
            for j in chosen:
                name = _name(model, j, schema)
                if name not in names:
                    names.append(name)
                    picks.append((models.index(model), j))
    return Estimands(tuple(names), schema, tuple(models), tuple(picks))


class _Reader:
    """Reads one text: its tokens from left to right."""

    def __init__(self, text: str, schema: TableSchema) -> None:
        self.text, self.schema, self.tokens, self.at = text, schema, list(_tokens(text)), 0

    def all(self) -> list[tuple[Model, list[int]]]:
        """Each estimand's model, and which of its parameters."""
        bracketed = self._skip("[")
        estimands = [self._estimand()]
        while self._skip(","):
            estimands.append(self._estimand())
        if bracketed:
            self._expect("]")
        if self.at < len(self.tokens):
            raise self._unread()
        return estimands

    def _estimand(self) -> tuple[Model, list[int]]:
        kind = self._word()
        if kind not in KINDS:
            raise InputError("estimands", f"{kind!r} in {self.text!r}", nearest(kind, list(KINDS)))
        self._expect("(")
        if kind in ("mean", "ols"):
            response: str | Event = self._column(NUMBERS).name
        else:
            response = self._event()
        if kind in ("mean", "proportion"):
            self._expect(")")
            return Model(kind, response), [0]
        self._expect("~")
        terms = self._terms()
        while self._skip("+"):
            terms += self._terms()
        self._expect(")")
        model = Model(kind, response, tuple(terms))
        if len(set(terms)) < len(terms) or model.columns[0] in [term.column for term in terms]:
            raise InputError("estimands", f"a column twice in {self.text!r}", "each column once in a formula")
        return model, self._picked(model)

    def _terms(self) -> list[Term]:
        column = self._column((*NUMBERS, *CATEGORIES))
        if column.name == INTERCEPT:
            raise InputError("estimands", f"a term {INTERCEPT!r} in {self.text!r}", "a column of another name")
        if column.kind in NUMBERS:
            return [Term(column.name)]
        return [Term(column.name, code) for code in range(1, len(column.categories))]

    def _picked(self, model: Model) -> list[int]:
        if not self._skip("["):
            return list(range(1 + len(model.terms)))
        chosen = self._pick(model)
        while self._skip(","):
            chosen += self._pick(model)
        self._expect("]")
        return chosen

    def _pick(self, model: Model) -> list[int]:
        name = self._word()
        known = list(dict.fromkeys(term.column for term in model.terms))
        if name == INTERCEPT and name not in known:
            return [0]
        if name not in known:
            raise InputError("estimands", f"[{name}] in {self.text!r}", nearest(name, [INTERCEPT, *known]))
        level = self._level(self.schema[name]) if self._skip("=") else None
        indices = [j for j, t in enumerate(model.terms, 1) if t.column == name and level in (None, t.level)]
        if not indices:
            raise InputError("estimands", f"the reference of {name!r} in {self.text!r}", "another category of it")
        return indices

    def _event(self) -> Event:
        column = self._column((*NUMBERS, *CATEGORIES))
        if self._skip("="):
            return Event(column.name, self._level(column))
        if column.kind is Kind.BOOLEAN and True in column.categories:
            return Event(column.name, column.categories.index(True))
        raise InputError("estimands", f"{column.name!r} without a value in {self.text!r}", f"{column.name} = VALUE")

    def _level(self, column: Column) -> float:
        word = self._word()
        if column.kind in NUMBERS:
            if (number := _number(word)) is None:
                raise InputError("estimands", f"{column.name} = {word!r} in {self.text!r}", "a number")
            return number
        known = [str(category) for category in column.categories]
        for code, category in enumerate(known):
            if word == category or (column.kind is Kind.BOOLEAN and word.lower() == category.lower()):
                return code
        raise InputError("estimands", f"{column.name} = {word!r} in {self.text!r}", nearest(word, known))

    def _column(self, kinds: Sequence[Kind]) -> Column:
        name = self._word()
        if name not in self.schema.names:
            got = f"no column {name!r} in {self.text!r}"
            raise InputError("estimands", got, nearest_column(name, self.schema.names))
        column = self.schema[name]
        if column.kind not in kinds:
            got = f"the {column.kind} column {name!r} in {self.text!r}"
            raise InputError("estimands", got, "a column that is " + " or ".join(kinds))
        return column

    def _skip(self, sign: str) -> bool:
        there = self.at < len(self.tokens) and self.tokens[self.at] == (sign, True)
        self.at += there
        return there

    def _expect(self, sign: str) -> None:
        if not self._skip(sign):
            raise self._unread()

    def _word(self) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][1]:
            raise self._unread()
        self.at += 1
        return self.tokens[self.at - 1][0]

    def _unread(self) -> InputError:
        where = repr(self.tokens[self.at][0]) if self.at < len(self.tokens) else "its end"
        return InputError("estimands", f"{self.text!r}, which cannot be read from {where} on", FORM)


def _tokens(text: str) -> Iterable[tuple[str, bool]]:
    """Words, and signs (True)."""
    at, text = 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise InputError("estimands", f"{text!r}, whose quotes are not closed", FORM)
        at = match.end()
        if match["quoted"] is not None:
            mark = match["quoted"][0]
            yield match["quoted"][1:-1].replace(2 * mark, mark), False
        else:
            yield match["sign"] or match["word"], match["sign"] is not None


def _name(model: Model, j: int, schema: TableSchema) -> str:
    """A parameter's name: it reads as itself."""
    response = model.response
    left = _quoted(response) if isinstance(response, str) else _equal(response.column, response.value, schema)
    if model.kind in ("mean", "proportion"):
        return f"{model.kind}({left})"
    right = " + ".join(dict.fromkeys(_quoted(term.column) for term in model.terms))
    if j == 0:
        return f"{model.kind}({left} ~ {right})[{INTERCEPT}]"
    term = model.terms[j - 1]
    which = _quoted(term.column) if term.level is None else _equal(term.column, term.level, schema)
    return f"{model.kind}({left} ~ {right})[{which}]"


def _equal(name: str, value: float, schema: TableSchema) -> str:
    column = schema[name]
    shown = f"{value:g}" if column.kind in NUMBERS else str(column.categories[int(value)])
    return f"{_quoted(name)} = {_quoted(shown)}"


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else "'" + text.replace("'", "''") + "'"


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
