"""The scores of the published protocol: what a booster learns from rows, and whether one tells them from real ones.

Both are XGBoost's where it is installed (the extra `xgboost`, or the package xgboost-cpu), as published. Else they are
scikit-learn's histogram boosting on the same grid, without `gamma` and with the fewest rows of a leaf for
`min_child_weight`; BOOSTER says which.
"""

import warnings
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from dge_ray.table import Columns, TableSchema, target_vector

HAS_XGBOOST = find_spec("xgboost") is not None
BOOSTER = f"xgboost {__import__('xgboost').__version__}" if HAS_XGBOOST else f"scikit-learn {version('scikit-learn')}"
# eval/mle/mle.py of TabSyn's repository (amazon-science/tabsyn), which TabDiff's and TabPC's have too.
DEPTHS, CHILD_WEIGHTS, GAMMAS, ROUNDS = (5, 10, 20), (1, 10), (0.0, 1.0), (10, 50, 100)
VALIDATION = 9  # a ninth of the rows that are learned from chooses
FOLDS = 3
SEED = 0


def one_hot(schema: TableSchema, *tables: Columns) -> list[np.ndarray]:
    """Each table's rows (n, p) float32: measured columns as they are, a column a category, missing one of them."""
    parts: list[list[np.ndarray]] = [[] for _ in tables]
    for column in schema.modelled:
        for part, table in zip(parts, tables, strict=True):
            values = table[column.name]
            if values.dtype.kind == "f":
                part.append(values[:, None])
            else:
                part.append(values[:, None] == np.arange(-1, len(column.categories))[None, :])
    return [np.concatenate(part, axis=1, dtype=np.float32) for part in parts]


def features_and_target(schema: TableSchema, *tables: Columns) -> list[tuple[np.ndarray, np.ndarray]]:
    """X one-hot, and y: classes, or the logarithm of the target cut to 1 ... 20,000, as published."""
    features = TableSchema(tuple(c for c in schema.columns if c.name != schema.target))
    out = []
    for x, table in zip(one_hot(features, *tables), tables, strict=True):
        y = target_vector(table, schema)
        out.append((x, np.log(np.clip(y, 1, 20_000)) if schema.task == "regression" else y))
    return out


def mle(schema: TableSchema, drawn: Columns, held: Columns) -> dict[str, Any]:
    """`mle`: AUC (regression: RMSE of the logarithm) on real test rows of the booster that does best on a ninth of the
    drawn rows, fitted on the others; `mle_chosen`: its depth, child weight, gamma and rounds. Two classes at most."""
    (x, y), (x_test, y_test) = features_and_target(schema, drawn, held)
    order = np.random.default_rng(SEED).permutation(len(y))
    judges, rows = order[: len(y) // VALIDATION], order[len(y) // VALIDATION :]
    regression = schema.task == "regression"

    def score(truth: np.ndarray, predicted: np.ndarray) -> float:
        if regression:
            return -float(np.sqrt(np.mean((predicted - truth) ** 2)))
        return float(roc_auc_score(truth, predicted))

    best: tuple[float, float, list[float]] = (-np.inf, -np.inf, [])
    for depth, weight, gamma in product(DEPTHS, CHILD_WEIGHTS, GAMMAS if HAS_XGBOOST else (0.0,)):
        model = booster(regression, max_depth=depth, min_child_weight=weight, gamma=gamma).fit(x[rows], y[rows])
        both = np.concatenate([x[judges], x_test])
        for rounds, predicted in zip(ROUNDS, staged(model, both, regression), strict=True):
            found = score(y[judges], predicted[: len(judges)])
            if found > best[0]:
                best = found, score(y_test, predicted[len(judges) :]), [depth, weight, gamma, rounds]
    return {"mle": -best[1] if regression else best[1], "mle_chosen": best[2]}


def detector(schema: TableSchema, real: Columns, drawn: Columns) -> float:
    """AUC in three folds of a booster at its defaults that tells drawn rows from real ones, each fold's at least .5."""
    x = np.concatenate(one_hot(TableSchema(schema.columns), real, drawn))
    many = len(next(iter(real.values())))
    y = (np.arange(len(x)) >= many).astype(int)
    found = []
    for train, held in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(x, y):
        *_, predicted = staged(booster(False).fit(x[train], y[train]), x[held], regression=False)
        found.append(max(0.5, float(roc_auc_score(y[held], predicted))))
    return float(np.mean(found))


def booster(regression: bool, **grid: Any) -> Any:
    """A booster of the grid's point, on one thread; `grid` empty: its defaults."""
    if HAS_XGBOOST:
        from xgboost import XGBClassifier, XGBRegressor

        kind = XGBRegressor if regression else XGBClassifier
        return kind(n_estimators=ROUNDS[-1], tree_method="hist", n_jobs=1, random_state=SEED, **grid)
    settings = {"early_stopping": False, "max_iter": ROUNDS[-1], "random_state": SEED}
    if grid:
        settings |= {"max_depth": grid["max_depth"], "min_samples_leaf": grid["min_child_weight"]}
        settings["max_leaf_nodes"] = None
    return (HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier)(**settings)


def staged(model: Any, x: np.ndarray, regression: bool) -> Iterator[np.ndarray]:
    """Predictions (n,), or the second class's probability, after each of ROUNDS: of one fit, as its first rounds are
    those of a shorter one."""
    call = model.predict if regression else model.predict_proba
    if HAS_XGBOOST:
        for rounds in ROUNDS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                predicted = call(x, iteration_range=(0, rounds))
            yield predicted if regression else predicted[:, 1]
    else:
        stages = model.staged_predict(x) if regression else model.staged_predict_proba(x)
        for rounds, predicted in enumerate(stages, 1):
            if rounds in ROUNDS:
                yield predicted if regression else predicted[:, 1]
