"""What utility is made of, estimated with learners: density ratio of the features, response model, weighted fits.

Xu, Sun and Cheng 2023 bound utility by three things: how far the features' laws are apart, how well the responses were
learned, how well the downstream model is specified. All learners here are cross-fitted and calibrated, and all
randomness is addressed. No Ray.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression

from dge_ray.downstream import Learner, align, make_learner
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.utility.overlap import Overlap, overlap
from dge_ray.table.codec import Columns
from dge_ray.table.features import target_vector
from dge_ray.table.schema.table_schema import Column, Kind, TableSchema

FOLDS = 5
# Small trees: full ones fit the noise of a few thousand rows, which costs the joint model twice their error there.
BASES: tuple[tuple[str, dict], ...] = (("linear", {}), ("boosting", {"max_leaf_nodes": 8}))
MOST_ROWS = 20_000  # of each side that a domain classifier is fitted on
DOMAIN, REDRAW, RESAMPLE = 0, 1, 2  # indices of the streams of Purpose.UTILITY


def rows_of(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def take(columns: Columns, rows: np.ndarray) -> Columns:
    """Some rows, by index or mask."""
    return {name: values[rows] for name, values in columns.items()}


class Stack:
    """A linear learner and a boosting, each fitted on all but one of five folds, joined on what they predict for the
    fold left out: so the joint prediction is calibrated on rows that neither saw.

    Classes are joined by a logistic regression on log probabilities, values by least squares.
    """

    def __init__(self, schema: TableSchema, *, seed: int) -> None:
        self.schema, self.seed = schema, seed
        self.out_of_fold = np.empty((0, 1))

    def fit(self, columns: Columns) -> Self:
        """Fit; leaves the joint predictions of the rows themselves in `out_of_fold`, (n, C) or (n, 1)."""
        n, y = rows_of(columns), target_vector(columns, self.schema)
        folds = numpy_generator(self.seed, Purpose.SPLIT).permutation(n) % FOLDS
        self._bases: list[list[Learner]] = []
        parts: list[np.ndarray] = [np.empty(0)] * FOLDS
        for fold in range(FOLDS):
            kept = take(columns, folds != fold)
            fitted = []
            for i, (name, settings) in enumerate(BASES):
                seed = integer(self.seed, Purpose.LEARNER, member=fold, index=i, bits=31)
                fitted.append(make_learner(name, settings, self.schema, seed=seed).fit(kept))
            self._bases.append(fitted)
            parts[fold] = self._inputs(fitted, take(columns, folds == fold))
        inputs = np.empty((n, parts[0].shape[1]))
        for fold, part in enumerate(parts):
            inputs[folds == fold] = part
        self._present = np.unique(y) if self.schema.classes else np.empty(0, np.int64)
        if len(self._present) != 1:
            joint = LogisticRegression(max_iter=1000) if self.schema.classes else LinearRegression()
            self._joint = joint.fit(inputs, y)
        self.out_of_fold = self._join(inputs)
        return self

    def predict(self, columns: Columns) -> np.ndarray:
        """(n, C) probabilities, or (n, 1) values, of rows that were not fitted on: from the mean over the folds."""
        return self._join(np.mean([self._inputs(fitted, columns) for fitted in self._bases], axis=0))

    def _inputs(self, fitted: list[Learner], columns: Columns) -> np.ndarray:
        predictions = [learner.predict(columns).astype(np.float64) for learner in fitted]
        if not self.schema.classes:
            return np.concatenate(predictions, axis=1)
        return np.concatenate([np.log(p[:, 1:]) - np.log(p[:, :1]) for p in predictions], axis=1)

    def _join(self, inputs: np.ndarray) -> np.ndarray:
        if not self.schema.classes:
            return np.asarray(self._joint.predict(inputs)).reshape(-1, 1)
        one_class = len(self._present) == 1
        p = np.ones((len(inputs), 1)) if one_class else self._joint.predict_proba(inputs)  # type: ignore[union-attr]
        return align(p, self._present, len(self.schema.classes)).astype(np.float64)


def domain_schema(schema: TableSchema, columns: Sequence[Column]) -> tuple[TableSchema, str]:
    """The schema of telling real rows (1) from synthetic ones (0) by some columns, and its target's name."""
    target = "real"
    while target in schema.names:
        target += "_"
    return TableSchema(
        (*columns, Column(target, Kind.CATEGORICAL, "int64", categories=(0, 1))), target, "binary"
    ), target


def density_ratio(
    real: Columns, held_out: Columns, synthetic: Columns, schema: TableSchema, *, seed: int
) -> tuple[np.ndarray, Overlap]:
    """The weights (m,) that make synthetic features look real, with mean 1, and what the classifier behind them says.

    The classifier sees features only, as many real as synthetic rows. A synthetic row's weight comes from folds that
    did not hold it; the overlap is measured on `held_out` real rows, which neither generator nor classifier saw.
    """
    domain, target = domain_schema(schema, schema.features)
    features = [column.name for column in schema.features]
    m, n = rows_of(synthetic), rows_of(real)
    size = min(m, n, MOST_ROWS)
    chosen = numpy_generator(seed, Purpose.SUBSAMPLE)
    seen, seen_real = chosen.permutation(m)[:size], chosen.permutation(n)[:size]
    both = {f: np.concatenate([synthetic[f][seen], real[f][seen_real]]) for f in features}
    stack = Stack(domain, seed=seed).fit({**both, target: np.repeat(np.array([0, 1], np.int32), size)})
    odds = np.empty(m)
    odds[seen] = _log_odds(stack.out_of_fold[:size])
    if size < m:
        rest = np.setdiff1d(np.arange(m), seen)
        odds[rest] = _log_odds(stack.predict({f: synthetic[f][rest] for f in features}))
    return overlap(odds, _log_odds(stack.predict({f: held_out[f] for f in features})))


def _log_odds(p: np.ndarray) -> np.ndarray:
    return np.log(p[:, 1]) - np.log(p[:, 0])


def redraw(response: Stack, real: Columns, synthetic: Columns, *, seed: int) -> np.ndarray:
    """A target (m,) for the synthetic features, from a response model that was fitted on `real`.

    Classes are drawn from the model's probabilities. Values are its mean plus one of its out-of-fold residuals, any
    with equal chance: noise that varies with the features is evened out.
    """
    generator = numpy_generator(seed, Purpose.UTILITY, index=REDRAW)
    predicted = response.predict(synthetic)
    if response.schema.classes:
        levels = predicted.cumsum(axis=1)
        drawn = (generator.random((len(predicted), 1)) * levels[:, -1:] > levels).sum(axis=1)
        return np.minimum(drawn, predicted.shape[1] - 1).astype(np.int32)
    residuals = target_vector(real, response.schema) - response.out_of_fold[:, 0]
    return predicted[:, 0] + generator.choice(residuals, len(predicted))


def fit_weighted(learner: Learner, columns: Columns, weights: np.ndarray, *, seed: int) -> Learner:
    """Fit with a weight for each row. A learner that takes none gets rows drawn with replacement in their proportion:
    duplicates in place of weights."""
    if isinstance(learner, EstimatorLearner) and learner.takes_weights:
        return learner.fit(columns, weights)
    generator = numpy_generator(seed, Purpose.UTILITY, index=RESAMPLE)
    return learner.fit(take(columns, generator.choice(len(weights), len(weights), p=weights / weights.sum())))
