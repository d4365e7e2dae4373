"""What an estimator is fed: codes with nan where it takes nan itself, else one-hot, imputed, scaled columns, TF-IDF."""

from typing import Any, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from dge_ray.errors import InputError
from dge_ray.phrases import advice
from dge_ray.table.schema.table_schema import CODED, MEASURED, Kind, TableSchema

MAX_LEVELS = 100  # one-hot columns of one table column; rarer levels share one more
MOST_TERMS = 50_000  # words and pairs of words of a text column, the commonest of the sample
DENSE_WIDTH = 50  # above this many one-hot columns a matrix is sparse, where the estimator takes one

BOOSTING = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


def takes_missing(estimator: BaseEstimator) -> bool:
    """Whether the estimator says that it handles nan itself."""
    return bool(get_tags(estimator).input_tags.allow_nan)


def takes_text(estimator: BaseEstimator) -> bool:
    """Whether text can be laid before the estimator as TF-IDF, of which a dense matrix would be all zeros."""
    return bool(get_tags(estimator).input_tags.sparse)


def refuse_text(name: str, column: str) -> InputError:
    """The refusal of a text column by a learner that cannot take one."""
    takes = f"tfidf_linear or text_lstm, or a table without: {advice('drop', [column])}"
    return InputError("learner", f"{name!r} for the text column '{column}'", takes)


def prepared(estimator: BaseEstimator, schema: TableSchema) -> BaseEstimator:
    """The estimator such that it fits on `feature_matrix`: itself if it takes nan, else behind an encoding pipeline.
    With text it fits on `feature_frame`, always behind one: words and pairs of neighbours with TF-IDF weights.

    What is chosen depends on the estimator's tags and the schema alone, never on the rows, so that all volumes of a
    study are prepared alike. Histogram boosting is told which columns are categories, unless it was told already;
    columns with more categories than it has bins stay ordinal.

    Raises:
        InputError: there is text, and the estimator takes no sparse matrix.
    """
    if schema.texts and not takes_text(estimator):
        raise refuse_text(type(estimator).__name__, schema.texts[0].name)
    if isinstance(estimator, BOOSTING) and estimator.get_params()["categorical_features"] == "from_dtype":
        bins = estimator.get_params()["max_bins"]
        mask = [column.kind in CODED and len(column.categories) <= bins for column in schema.features]
        estimator.set_params(categorical_features=mask)
    if takes_missing(estimator) and not schema.texts:
        return estimator
    return Pipeline([("encode", _encoder(schema, get_tags(estimator).input_tags.sparse)), ("estimator", estimator)])


def _encoder(schema: TableSchema, takes_sparse: bool) -> ColumnTransformer:
    coded = {i: len(c.categories) for i, c in enumerate(schema.features) if c.kind in CODED}
    measured = [i for i, c in enumerate(schema.features) if c.kind in MEASURED]
    texts = [i for i, c in enumerate(schema.features) if c.kind is Kind.TEXT]
    width = sum(min(levels, MAX_LEVELS + 1) for levels in coded.values())
    sparse = bool(texts) or (takes_sparse and width > DENSE_WIDTH)
    parts = []
    if coded:
        # A code outside the list (-1 as nan: missing or unseen) is all zeros, or the pooled column where there is one.
        one_hot = OneHotEncoder(
            categories=cast(Any, [np.arange(levels, dtype=np.float64) for levels in coded.values()]),
            handle_unknown="infrequent_if_exist",
            max_categories=MAX_LEVELS + 1,
            sparse_output=sparse,
        )
        parts.append(("coded", one_hot, list(coded)))
    if measured:
        impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        parts.append(("measured", make_pipeline(impute, StandardScaler()), measured))
    for i in texts:
        parts.append((f"text{i}", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MOST_TERMS), i))
    return ColumnTransformer(parts, sparse_threshold=1.0 if sparse else 0.0)


def fill_empty(matrix: np.ndarray) -> np.ndarray:
    """The matrix with columns that hold no value at all set to 0.

    Histogram boosting cannot bin such a column, and what it may hold at prediction time nothing was learned about.
    """
    empty = np.isnan(matrix).all(axis=0)
    if not empty.any():
        return matrix
    matrix = matrix.copy()
    matrix[:, empty] = 0.0
    return matrix
