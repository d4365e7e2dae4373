"""Encoded columns as the numeric matrix and target vector that learners take."""

import numpy as np

from dge_ray.table.codec import Columns
from dge_ray.table.schema import CODED, TableSchema


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


def target_vector(columns: Columns, schema: TableSchema) -> np.ndarray:
    """y of shape (n,): int32 codes into `schema.classes` (-1: missing or unseen), float64 in regression."""
    if schema.target is None:
        raise ValueError("the schema has no target")
    return columns[schema.target]
