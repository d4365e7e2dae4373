"""Declared estimands from labelled rows and unlabelled ones, whose target a generator predicts: never worse, in the
long run, than the labelled rows alone. What is computed, and why it is safe: `stats/power_tuned.py`. Without Ray.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.estimators.base import is_integer
from dge_ray.estimators.laws import member_law
from dge_ray.estimators.slm import completing
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import make_generator
from dge_ray.inference.estimand_models import Event, Model
from dge_ray.inference.estimands import read_estimands
from dge_ray.phrases import spoken_in_python
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.inference.guarded import guarded_interval
from dge_ray.stats.inference.power_tuned import PowerTuned, influences, inverse_slope, power_tuned
from dge_ray.table import Columns, TableCodec, TableSchema, from_pandas, infer_schema

FEWEST_UNLABELLED = 10  # rows
COLUMNS = ["value", "se", "lower", "upper", "weight", "labelled_value", "labelled_se"]


def safe_estimate(
    estimands: str | Iterable[str],
    labelled: pd.DataFrame | pa.Table,
    unlabelled: pd.DataFrame | pa.Table,
    *,
    generator: str | Generator = "autoregressive",
    generator_settings: Mapping[str, Any] | None = None,
    folds: int = 5,
    draws: int = 20,
    level: float = 0.95,
    epsilon: float | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Estimates of `labelled` rows, made better by real rows without the target.

    A generator, fitted on the labelled rows outside each fold, gives the target's law given the other columns, in the
    fold's rows and in the unlabelled ones. Each coefficient has its own weight of these predictions, 0 where they tell
    nothing. A generator that was fitted elsewhere brings what it knows from there; it need not be right.

    Args:
        estimands: as `dge_ray.inference.estimands` reads them, as "mean(income)" or
            "logistic(death = 'yes' ~ age + stage)"; the response of each is the target.
        labelled: real rows, all columns.
        unlabelled: more real rows, drawn as the labelled ones were, without one column: the target.
        generator: a name (one that completes rows), or a generator that was fitted on other rows than these.
        generator_settings: of the named generator.
        folds: of the labelled rows; one generator a fold.
        draws: values of the target a row, where the generator has no exact law.
        level: of the intervals.
        epsilon: holds each interval between those of the labelled rows alone at `level` and at `level` - `epsilon`: it
            covers with at least `level` - `epsilon` whatever the generator, if these hold theirs.
        random_state: gives all randomness.

    Returns:
        A line for each parameter: value, se, lower, upper, weight, and labelled_value, labelled_se of the labelled rows
        alone.

    Raises:
        InputError: columns that do not fit, an estimand of another response, too few rows, or a bad setting.
    """
    real, more = (rows if isinstance(rows, pa.Table) else from_pandas(rows) for rows in (labelled, unlabelled))
    target = _target(real, more)
    if epsilon is not None and not 0 < epsilon < level:
        raise InputError("epsilon", repr(epsilon), f"a number above 0 and below the level, {level:g}")
    if not is_integer(folds) or not 2 <= folds <= real.num_rows:
        raise InputError("folds", repr(folds), f"a whole number from 2 to the {real.num_rows} labelled rows")
    if isinstance(generator, str) and generator not in completing():
        raise InputError("generator", repr(generator), "one of " + ", ".join(completing()))
    with spoken_in_python():
        schema = infer_schema(real, target=target)
    request = read_estimands(estimands, schema)
    for model in request.models:
        if model.columns[0] != target:
            got = f"{model.columns[0]!r} as a response, which the unlabelled rows have too"
            raise InputError("estimands", got, f"estimands of {target!r}")
    laws = _Laws(schema, real, more, generator, dict(generator_settings or {}), folds, draws, random_state)
    results = {i: _estimated(model, laws, level) for i, model in enumerate(request.models)}
    if epsilon is not None:
        results = {i: _guarded(found, len(laws.folds), level, epsilon) for i, found in results.items()}
    lines = [[getattr(results[i], name)[j] for name in COLUMNS] for i, j in request.picks]
    return pd.DataFrame(lines, columns=COLUMNS, index=pd.Index(request.names, name="estimand"))


def _guarded(found: PowerTuned, rows: int, level: float, epsilon: float) -> PowerTuned:
    def alone(level: float) -> tuple[np.ndarray, np.ndarray]:
        half = student.ppf((1 + level) / 2, max(rows - len(found.value) - 1, 1)) * found.labelled_se
        return found.labelled_value - half, found.labelled_value + half

    low, high = guarded_interval(alone(level), alone(level - epsilon), (found.lower, found.upper))
    return replace(found, lower=low, upper=high)


def _target(real: pa.Table, more: pa.Table) -> str:
    """The one column that the unlabelled rows lack."""
    lacks = [name for name in real.column_names if name not in more.column_names]
    if len(lacks) != 1:
        raise InputError("unlabelled", f"{len(lacks)} columns fewer than labelled", "all columns but one, the target")
    if more.num_rows < FEWEST_UNLABELLED:
        raise InputError("unlabelled", f"{more.num_rows} rows", f"at least {FEWEST_UNLABELLED}")
    return lacks[0]


@dataclass
class _Laws:
    """The target's law in each labelled row, by a generator that has not seen it, and in each unlabelled row by all of
    them."""

    schema: TableSchema
    real: pa.Table
    more: pa.Table
    generator: str | Generator
    settings: dict[str, Any]
    count: int
    draws: int
    seed: int

    def __post_init__(self) -> None:
        codec, names = TableCodec(self.schema), [column.name for column in self.schema.features]
        features = TableCodec(TableSchema(tuple(self.schema.features)))
        self.columns = codec.encode(self.real)
        self.columns_more = codec.encode(self.more, names)
        order = numpy_generator(self.seed, Purpose.WEIGHT).permutation(self.real.num_rows)
        self.folds = np.empty(self.real.num_rows, np.int64)
        self.folds[order] = np.arange(self.real.num_rows) % self.count
        # unseen categories become missing, as the generators take them
        given, given_more = (features.decode(features.encode(rows), seed=0) for rows in (self.real, self.more))
        self.laws, self.laws_more = [], []
        for fold in range(self.count):
            one, seed = self._fitted(fold), integer(self.seed, Purpose.PREDICT, index=fold)
            inside = pa.array(self.folds == fold)
            for rows, kept in ((given.filter(inside), self.laws), (given_more, self.laws_more)):
                kept.append(member_law(one, rows, self.schema, draws=self.draws, seed=seed))

    def _fitted(self, fold: int) -> Any:
        if not isinstance(self.generator, str):
            return self.generator
        seed = integer(self.seed, Purpose.FIT, index=fold)
        outside = self.real.filter(pa.array(self.folds != fold))
        return make_generator(self.generator, **self.settings).fit(outside, self.schema, seed=seed)

    def expected(self, response: str | Event) -> tuple[np.ndarray, np.ndarray]:
        """The response's expectation: (n,) of each labelled row, (J, N) of each unlabelled one by every predictor."""
        own = np.empty(self.real.num_rows)
        for fold, law in enumerate(self.laws):
            own[self.folds == fold] = _mean(law, response)
        rows = self.more.num_rows
        return own, np.stack([np.broadcast_to(_mean(law, response), rows) for law in self.laws_more])


def _mean(law: tuple[np.ndarray, np.ndarray], response: str | Event) -> np.ndarray:
    values, weights = law
    return ((values if isinstance(response, str) else values == response.value) * weights).sum(axis=1)


def _known(model: Model, columns: Columns) -> np.ndarray:
    """Rows (n,) in which whatever a model reads of these columns is known."""
    known = np.ones(len(next(iter(columns.values()))), dtype=bool)
    for name in model.columns:
        if name in columns:
            known &= columns[name] >= 0 if columns[name].dtype.kind == "i" else ~np.isnan(columns[name])
    return known


def _design(model: Model, columns: Columns) -> np.ndarray:
    """An intercept and the model's terms, (n, p)."""
    terms = [columns[t.column] if t.level is None else columns[t.column] == t.level for t in model.terms]
    return np.column_stack([np.ones(len(next(iter(columns.values())))), *terms])


def _estimated(model: Model, laws: _Laws, level: float) -> PowerTuned:
    """One model's coefficients, from the rows in which all that it reads is known."""
    known, known_more = _known(model, laws.columns), _known(model, laws.columns_more)
    rows = {name: values[known] for name, values in laws.columns.items()}
    theta = model.fit(rows)[0]
    if not np.isfinite(theta).all():
        nothing = np.full(len(theta), np.nan)
        return PowerTuned(*[nothing] * len(COLUMNS))
    x, x_more = (_design(model, laws.columns)[known], _design(model, laws.columns_more)[known_more])
    y = rows[model.response] if isinstance(model.response, str) else model.response.of(rows)
    own, more = laws.expected(model.response)
    logistic = model.kind == "logistic"
    keys = {"logistic": logistic, "inverse": inverse_slope(x, theta, logistic=logistic)}
    return power_tuned(
        theta,
        influences(x, y, theta, **keys),
        influences(x, own[known], theta, **keys),
        np.stack([influences(x_more, predicted[known_more], theta, **keys) for predicted in more]),
        laws.folds[known],
        level=level,
    )
