"""How good synthetic rows are: what learners make of them, their errors, and whether they are copies."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from dge_ray.stats.leakage.nearest import closer_share, copy_share
from dge_ray.stats.utility.fidelity import shape_error, trend_error
from dge_ray.table import Columns, TableCodec, TableSchema, feature_matrix, target_vector

LEARNER_SEED = 0
NEAREST_ROWS = 10_000  # synthetic rows whose neighbours are looked for, and as many real ones at most on either side
TWO_SAMPLE_ROWS = 10_000  # of each kind


def quality(
    schema: TableSchema, synthetic: pa.Table, train: pa.Table, test: pa.Table, rng: np.random.Generator
) -> dict[str, float]:
    """The card of `synthetic`; `rng` picks the rows of what is too dear for all of them.

    auc_hgb, auc_linear (accuracy_* of more than two classes, r2_* in regression): trained on synthetic, scored on test.
    shape_error, trend_error: against train. two_sample: AUC of a boosting that tells synthetic rows from test rows,
    cross-validated. closer_to_train: share nearer to train than to as many test rows. copies: share equal to a train
    row.
    """
    codec = TableCodec(schema)
    drawn, real, held = codec.encode(synthetic), codec.encode(train), codec.encode(test)
    return {
        **tstr(schema, drawn, held),
        "shape_error": shape_error(real, drawn),
        "trend_error": trend_error(real, drawn),
        "two_sample": two_sample(schema, _some(drawn, TWO_SAMPLE_ROWS, rng), _some(held, TWO_SAMPLE_ROWS, rng)),
        "closer_to_train": _closer(drawn, real, held, rng),
        "copies": copy_share(drawn, real),
    }


def _closer(drawn: Columns, real: Columns, held: Columns, rng: np.random.Generator) -> float:
    many = min(_count(real), _count(held), NEAREST_ROWS)
    return closer_share(_some(drawn, NEAREST_ROWS, rng), _some(real, many, rng), _some(held, many, rng))


def _count(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _some(columns: Columns, most: int, rng: np.random.Generator) -> Columns:
    """At most so many rows, at random."""
    chosen = rng.permutation(_count(columns))[:most]
    return {name: values[chosen] for name, values in columns.items()}


def tstr(schema: TableSchema, drawn: Columns, held: Columns) -> dict[str, float]:
    """Scores on real test rows of a boosting at defaults and a linear model."""
    x, categorical = feature_matrix(drawn, schema)
    x_test, _ = feature_matrix(held, schema)
    y, y_test = target_vector(drawn, schema), target_vector(held, schema)
    # HistGradientBoosting takes at most 255 categories; longer columns enter as ordered codes.
    fits = np.array([len(c.categories) <= 255 for c in schema.features]) & categorical
    settings: dict[str, Any] = dict(early_stopping=False, random_state=LEARNER_SEED, categorical_features=fits)
    if schema.task == "regression":
        trees: Any = HistGradientBoostingRegressor(**settings)
        linear: Any = Ridge()
    else:
        trees, linear = HistGradientBoostingClassifier(**settings), LogisticRegression(max_iter=500)
    coded = np.flatnonzero(categorical)
    scaled = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), coded),
        (make_pipeline(SimpleImputer(), StandardScaler()), np.flatnonzero(~categorical)),
    )
    metric, score = _metric(schema)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = {"hgb": trees, "linear": make_pipeline(scaled, linear)}
        return {f"{metric}_{name}": score(model.fit(x, y), x_test, y_test) for name, model in models.items()}


def _metric(schema: TableSchema) -> tuple[str, Callable[[Any, np.ndarray, np.ndarray], float]]:
    if schema.task == "regression":
        return "r2", lambda model, x, y: float(r2_score(y, model.predict(x)))
    if schema.task == "binary":
        return "auc", lambda model, x, y: float(roc_auc_score(y == model.classes_[1], model.predict_proba(x)[:, 1]))
    return "accuracy", lambda model, x, y: float(accuracy_score(y, model.predict(x)))


def two_sample(schema: TableSchema, drawn: Columns, held: Columns) -> float:
    """AUC, cross-validated in five folds, of a boosting that tells synthetic from real rows; .5: it cannot."""
    many = min(_count(drawn), _count(held))
    whole = TableSchema(schema.columns)  # the target is a column like the others here
    matrices = [feature_matrix({n: v[:many] for n, v in t.items()}, whole)[0] for t in (drawn, held)]
    categorical = np.array([0 < len(c.categories) <= 255 for c in whole.features])
    learner = HistGradientBoostingClassifier(
        early_stopping=False, random_state=LEARNER_SEED, categorical_features=categorical
    )
    y = np.repeat([0, 1], many)
    folds = cross_val_predict(learner, np.concatenate(matrices), y, cv=5, method="predict_proba")
    return float(roc_auc_score(y, folds[:, 1]))
