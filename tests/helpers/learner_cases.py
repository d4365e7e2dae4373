"""A schema of every kind of column, rows of it, and settings that make learners quick."""

from typing import Any

import numpy as np

from dge_ray.downstream import Learner, make_learner
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import Column, Kind, TableSchema

NAMES = ["boosting", "boosting_early", "boosting_stopped", "linear", "tree", "forest", "mlp", "knn", "svm", "torch_mlp"]
QUICK: dict[str, dict[str, Any]] = {
    "boosting": {"max_iter": 10},
    "boosting_early": {"max_iter": 10},
    "boosting_stopped": {"max_iter": 10},
    "forest": {"n_estimators": 5},
    "mlp": {"max_iter": 5},
    "torch_mlp": {"min_steps": 20, "min_epochs": 1, "hidden": [16]},
}


def schema(task: str = "binary", classes: int = 2, levels: int = 4) -> TableSchema:
    if task == "regression":
        target = Column("y", Kind.NUMERIC, "double", minimum=-1e4, maximum=1e4)
    else:
        target = Column("y", Kind.CATEGORICAL, "string", categories=tuple("abcdefgh"[:classes]))
    return TableSchema(
        (
            Column("number", Kind.NUMERIC, "double", missing=True, minimum=-9.0, maximum=9.0),
            Column(
                "colour", Kind.CATEGORICAL, "string", categories=tuple(f"c{i}" for i in range(levels)), missing=True
            ),
            target,
            Column("whole", Kind.INTEGER, "int64", minimum=0.0, maximum=9.0),
            Column("flag", Kind.BOOLEAN, "bool", categories=(False, True)),
            Column("when", Kind.DATETIME, "timestamp[ns]", minimum=1.6e18, maximum=1.7e18),
            Column("same", Kind.CONSTANT, "string", categories=("x",)),
        ),
        "y",
        task,  # type: ignore[arg-type]
    )


def sample(table: TableSchema, n: int = 300, seed: int = 0) -> Columns:
    """Rows whose target depends on a number, a category and a flag; some values are missing."""
    rng = np.random.default_rng(seed)
    levels = len(table["colour"].categories)
    columns: Columns = {
        "number": rng.normal(size=n),
        "colour": rng.integers(0, levels, n).astype(np.int32),
        "whole": rng.integers(0, 10, n).astype(np.float64),
        "flag": rng.integers(0, 2, n).astype(np.int32),
        "when": rng.uniform(1.6e18, 1.7e18, n),
    }
    signal = 2 * columns["number"] + 2 * (columns["colour"] % 2) - columns["flag"] + 0.3 * rng.normal(size=n)
    if table.task == "regression":
        columns["y"] = 1000 + 50 * signal
    else:
        cuts = np.quantile(signal, np.linspace(0, 1, len(table.classes) + 1)[1:-1])
        columns["y"] = np.digitize(signal, cuts).astype(np.int32)
    columns["number"][rng.random(n) < 0.1] = np.nan
    columns["colour"][rng.random(n) < 0.1] = -1
    return columns


def quick(name: str, table: TableSchema, seed: int = 3) -> Learner:
    return make_learner(name, QUICK.get(name, {}), table, seed=seed)


def rows_of(columns: Columns, index: np.ndarray) -> Columns:
    return {name: values[index] for name, values in columns.items()}
