"""A smooth regression for residuals: the sum of a curve of each measured column and a step for each category, by ridge.

Boosting is too flat where rows are few, and two regressions that are flat at the same rows give residuals that go
together: with y and x both a square of z, 500 rows and boosting alone the covariance test rejected five in six true
hypotheses.
"""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.preprocessing import SplineTransformer

from dge_ray.table import Columns, TableSchema
from dge_ray.table.schema.table_schema import CODED

KNOTS = 8  # of cubic splines, at quantiles: a curve bends so often and no more
ALPHAS = np.logspace(-3, 3, 7)


class Additive:
    """As a `Learner`: `fit(columns)`, `predict(columns)` of shape (n, 1), or (n, C) probabilities."""

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self.splines: dict[str, tuple[SplineTransformer, float]] = {}

    def fit(self, columns: Columns) -> "Additive":
        y = columns[str(self.schema.target)]
        for column in self.schema.features:
            if column.kind not in CODED:
                values = columns[column.name]
                known = values[~np.isnan(values)]
                middle = float(np.median(known)) if len(known) else 0.0
                # Straight on beyond the outermost rows. A column with a few values has fewer places to bend at.
                places: Any = np.unique(np.quantile(known, np.linspace(0, 1, KNOTS))) if len(known) else np.zeros(1)
                if len(places) > 1:
                    spline = SplineTransformer(knots=places[:, None], extrapolation="linear", include_bias=False)
                    self.splines[column.name] = spline.fit(known[:, None]), middle
        x = self._design(columns)
        self.model: Any = None
        self.classes = None if self.schema.task == "regression" else np.unique(y)
        if self.classes is None:
            self.model = RidgeCV(ALPHAS).fit(x, y)
        elif len(self.classes) > 1:
            self.model = LogisticRegression(max_iter=500).fit(x, y)
        return self

    def predict(self, columns: Columns) -> np.ndarray:
        if self.classes is None:
            return self.model.predict(self._design(columns))[:, None]
        shares = np.zeros((len(next(iter(columns.values()))), len(self.schema.classes)))
        shares[:, self.classes] = 1.0 if len(self.classes) == 1 else self.model.predict_proba(self._design(columns))
        return shares

    def _design(self, columns: Columns) -> np.ndarray:
        n = len(next(iter(columns.values())))
        parts = [np.zeros((n, 1))]  # a design without a column is none
        for column in self.schema.features:
            values = columns[column.name]
            if column.kind in CODED:
                parts.append((values[:, None] == np.arange(len(column.categories))).astype(np.float64))
            elif column.name in self.splines:
                spline, middle = self.splines[column.name]
                missing = np.isnan(values)
                parts += [spline.transform(np.where(missing, middle, values)[:, None]), missing[:, None]]
        return np.hstack(parts)
