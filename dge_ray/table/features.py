"""Encoded columns as the numeric matrix, or the frame, and the target vector that learners take."""

import re
from typing import TYPE_CHECKING

import numpy as np

from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import CODED, TableSchema

if TYPE_CHECKING:
    import pandas as pd

WORDLESS = "wordless"
_A_WORD = re.compile(r"\w\w")  # what scikit-learn's vectorisers take for one


def feature_matrix(columns: Columns, schema: TableSchema) -> tuple[np.ndarray, np.ndarray]:
    """X of shape (n, p), float64 (codes as floats, nan for missing), and which features are coded, shape (p,), bool.

    Features stand in the order of `schema.features`.
    """
    features = schema.features
    n = len(columns[features[0].name]) if features else len(next(iter(columns.values())))
    matrix = np.empty((n, len(features)), dtype=np.float64)
    for j, column in enumerate(features):
        values = columns[column.name]
        matrix[:, j] = np.where(values < 0, np.nan, values) if column.kind in CODED else values
    return matrix, np.array([column.kind in CODED for column in features], dtype=bool)


def feature_frame(columns: Columns, schema: TableSchema) -> "pd.DataFrame":
    """X of a table with text, a frame of p columns: text as `str`, WORDLESS where it has no word or is missing (so that
    a sample has a word at least), the others as in `feature_matrix`.
    """
    import pandas as pd

    texts = {column.name for column in schema.texts}
    frame = {}
    for column in schema.features:
        values = columns[column.name]
        if column.name in texts:
            frame[column.name] = np.array([v if v and _A_WORD.search(v) else WORDLESS for v in values], dtype=object)
        else:
            frame[column.name] = np.where(values < 0, np.nan, values) if column.kind in CODED else values
    return pd.DataFrame(frame)


def target_vector(columns: Columns, schema: TableSchema) -> np.ndarray:
    """y of shape (n,): int32 codes into `schema.classes` (-1: missing or unseen), float64 in regression."""
    if schema.target is None:
        raise ValueError("the schema has no target")
    return columns[schema.target]
