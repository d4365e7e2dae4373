"""Prediction with conditional generators (Syn-Slm): the law of y given x, of K generators of (X, y).

Shen, Liu & Shen 2023, Boosting data analytics with synthetic volume expansion, predict with draws of a generator's
target given the features. Here nothing of the rows to predict enters a fit, encoders included, and where a generator
knows the target's law given all features (the autoregressor, whose last column it is), that law is taken as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize_scalar
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

from dge_ray.errors import InputError, nearest
from dge_ray.estimators.base import MemberClassifier, MemberRegressor, TableEstimator, is_integer
from dge_ray.estimators.laws import Laws, joined, member_law, stack
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import make_generator, names_with
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table.arrow.frame import from_pandas
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import TableSchema

BLOCK_ROWS = 1_024  # rows whose laws are held at once
LEFT_OUT, MOST_LEFT_OUT = 0.1, 1_000  # share of the rows, and the most, that `calibrate` leaves out
SPREADS = (0.2, 3.0)


def completing() -> list[str]:
    """The generators that complete rows from any of their columns."""
    return names_with(lambda abilities: abilities.completes)


class _SynSlm(TableEstimator):
    """What the classifier and the regressor share."""

    n_draws: int
    poor_score = True  # as good as its generator, and no generator is good on every 200 rows

    def __init__(
        self,
        generator: str = "autoregressive",
        generator_settings: Mapping[str, Any] | None = None,
        n_members: int = 8,
        n_draws: int = 50,
        backend: str = "local",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self._keep(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.generator != "autoregressive"  # a row's draws depend on its place among the rows
        return tags

    def _check_settings(self) -> None:
        if self.generator not in completing():
            raise InputError("generator", repr(self.generator), nearest(self.generator, completing()))
        super()._check_settings()
        if not is_integer(self.n_draws) or self.n_draws < 1:
            raise InputError("n_draws", repr(self.n_draws), "a whole number from 1")

    def _fit(self, table: pa.Table, seed: int, stopping: pa.Table | None = None) -> Self:
        """Fit on X and y as one table; `stopping`: rows to stop early on, of each generator's own choice if None."""
        self._fit_seed, self.spread_ = seed, 1.0
        settings = dict(self.generator_settings or {})
        fit = partial(_fit_generator, table, stopping, self.schema_, self.generator, settings, seed)
        self.generators_: list[Generator] = self._each_member(fit)
        return self

    def _laws(self, X: Any) -> Iterator[Laws]:
        """The laws of blocks of X's rows, in encoded values."""
        check_is_fitted(self)
        return self._blocks(from_pandas(self._features(X, reset=False)))

    def _blocks(self, table: pa.Table) -> Iterator[Laws]:
        for start in range(0, table.num_rows, BLOCK_ROWS):
            given = self._given(table.slice(start, BLOCK_ROWS))
            laws = []
            for k, generator in enumerate(self.generators_):
                seed = integer(self._fit_seed, Purpose.PREDICT, member=k, index=start)
                laws.append(member_law(generator, given, self.schema_, draws=self.n_draws, seed=seed))
            yield stack(laws, self.spread_)

    def _given(self, table: pa.Table) -> pa.Table:
        """The modelled features as the generators saw them; unseen categories become missing."""
        codec = TableCodec(TableSchema(tuple(self.schema_.features)))
        if not self.schema_.features:
            return table
        return codec.decode(codec.encode(table), seed=0)


class SynSlmRegressor(MemberRegressor, _SynSlm):
    """y's law given x from K conditional generators, and its mean as the prediction.

    K generators are fitted on (X, y), each with its own random streams; the predicted law is their laws' mixture. X may
    be a frame with categories, strings, booleans, dates and missing values, or a numeric array. A feature that is
    missing or of a category that was never seen, where the fit had none, is taken as unknown: the law is then that
    given the other features, from draws.

    Args:
        generator: autoregressive (the law of its tokens, without draws), diffusion, copula or mostlyai.
        generator_settings: its settings; None for the defaults.
        n_members: K.
        n_draws: values a row and member, where the generator has no exact law: quantiles of the diffusion's, else
            draws.
        calibrate: leave a tenth of the rows (at most 1,000) out of all fits, stop the fits on them, and draw the
            mixture in, or out, around its mean by the one factor that has the best CRPS on them. Generators that are
            not sure of the mean say so by laws that are too wide. The mean stays; atoms of y need not be values of y.
        backend: "local", or "ray" to fit members in parallel on the Ray that is running, or a local one.
        random_state: gives all randomness.

    Attributes:
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.
        generators_: the fitted generators, member by member.
        spread_: the factor that `calibrate` found, or 1.
    """

    calibrate: bool

    def __init__(
        self,
        generator: str = "autoregressive",
        generator_settings: Mapping[str, Any] | None = None,
        n_members: int = 8,
        n_draws: int = 50,
        calibrate: bool = False,
        backend: str = "local",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self._keep(locals())

    def fit(self, X: Any, y: Any) -> Self:
        """Fit generators.

        Raises:
            InputError: a parameter, X or y is at fault.
        """
        table, seed = self._number_table(X, y), self._seed()
        if not self.calibrate:
            return self._fit(table, seed)
        order = numpy_generator(seed, Purpose.STOPPING).permutation(table.num_rows)
        cut = min(MOST_LEFT_OUT, max(1, round(LEFT_OUT * len(order))))
        left_out = table.take(order[:cut])
        self._fit(table.take(np.sort(order[cut:])), seed, left_out)
        self.spread_ = self._best_spread(left_out)
        return self

    def _best_spread(self, table: pa.Table) -> float:
        """The factor with which the laws have the best CRPS on rows that no generator was fitted on."""
        target = str(self.schema_.target)
        laws = self._laws_of(table)
        y = TableCodec(self.schema_).encode(table, [target])[target]

        def score(spread: float) -> float:
            return float(replace(laws, spread=spread).crps(y).mean())

        best: Any = minimize_scalar(score, bounds=SPREADS, method="bounded", options={"xatol": 1e-3})
        return float(best.x)

    def predict_distribution(self, X: Any) -> Laws:
        """The laws of all rows; K n s values and as many weights in memory, s up to eight times the target's bins."""
        check_is_fitted(self)
        return self._laws_of(from_pandas(self._features(X, reset=False)))

    def _laws_of(self, table: pa.Table) -> Laws:
        blocks = list(self._blocks(table))
        rows = [np.arange(block.rows) + at * BLOCK_ROWS for at, block in enumerate(blocks)]
        n = sum(map(len, rows))
        members = range(self.n_members)
        parts = [[(at, (b.values[k], b.weights[k])) for at, b in zip(rows, blocks, strict=True)] for k in members]
        return stack([joined(part, n) for part in parts], self.spread_)

    def predict_quantiles(self, X: Any, q: Any) -> np.ndarray:
        """Quantiles (n, q) of the predicted law at the levels q (q,).

        Raises:
            InputError: a level outside [0, 1].
        """
        levels = np.atleast_1d(np.asarray(q, dtype=np.float64))
        if levels.ndim > 1 or not ((levels >= 0) & (levels <= 1)).all():
            raise InputError("q", repr(q), "levels from 0 to 1")
        return np.concatenate([block.quantiles(levels) for block in self._laws(X)])

    def predict_members(self, X: Any) -> np.ndarray:
        """Each member's mean of y given x: float64 (K, n, 1)."""
        return np.concatenate([block.mean() for block in self._laws(X)], axis=1)[:, :, None]

    def predict(self, X: Any) -> np.ndarray:
        """The mean of the predicted law, float64 (n,)."""
        return self.predict_members(X)[:, :, 0].mean(axis=0)

    def crps(self, X: Any, y: Any) -> np.ndarray:
        """The predicted laws' continuous ranked probability scores at y (n,), in units of y: (n,); small is good.

        Raises:
            ValueError: y has another length than X, or holds what is no finite number.
        """
        at = column_or_1d(check_array(y, ensure_2d=False, dtype="float64"))
        check_consistent_length(X, at)
        parts, start = [], 0
        for block in self._laws(X):
            parts.append(block.crps(at[start : start + BLOCK_ROWS]))
            start += BLOCK_ROWS
        return np.concatenate(parts)


class SynSlmClassifier(MemberClassifier, _SynSlm):
    """The classes' probabilities given x from K conditional generators; else as `SynSlmRegressor`.

    Attributes:
        classes_, n_features_in_, feature_names_in_: as everywhere in scikit-learn.
        generators_: the fitted generators, member by member.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit generators.

        Raises:
            InputError: a parameter, X or y is at fault.
        """
        return self._fit(self._coded_table(X, y), self._seed())

    def predict_members(self, X: Any) -> np.ndarray:
        """Each member's probabilities: float64 (K, n, C), classes in the order of `classes_`."""
        blocks = []
        for block in self._laws(X):
            codes = range(len(self.classes_))
            shares = [(block.weights * (block.values == code)).sum(axis=2) for code in codes]
            blocks.append(np.stack(shares, axis=2))
        return np.concatenate(blocks, axis=1)[:, :, self._order]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The mean over members of their probabilities: float64 (n, C), classes in the order of `classes_`."""
        return self.predict_members(X).mean(axis=0)


def _fit_generator(
    table: pa.Table,
    stopping: pa.Table | None,
    schema: TableSchema,
    name: str,
    settings: Mapping[str, Any],
    seed: int,
    number: int,
) -> Generator:
    fresh = make_generator(name, **settings)
    return fresh.fit(table, schema, seed=integer(seed, Purpose.FIT, member=number), stopping=stopping)
