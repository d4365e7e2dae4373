"""Boosting that stops early on rows held out of its own training rows, and what boosting of other packages needs.

No real row that a volume is chosen or reported on takes part: what ends the fit is a tenth of the rows at hand.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split

from dge_ray.downstream.preparing import BOOSTING

HELD_OUT = 0.1
PLAIN_ROUNDS = 100  # histogram boosting's own default, where nothing tells it when to stop
STOP = "early_stopping_rounds"  # the setting's name in all three packages

# Silent, without files, on one thread (sums keep their order), and with a use for the seed, as `boosting` has one.
OF_PACKAGE: Mapping[str, Mapping[str, Any]] = {
    "catboost": {"verbose": False, "allow_writing_files": False, "thread_count": 1, "random_state": 0},
    "lightgbm": {"verbosity": -1, "n_jobs": 1, "subsample": 0.8, "subsample_freq": 1, "colsample_bytree": 0.8},
    "xgboost": {"n_jobs": 1, "subsample": 0.8, "colsample_bytree": 0.8},
}


def package_defaults(path: str) -> Mapping[str, Any]:
    """Defaults of an estimator of another package that differ from its own; none for packages not listed."""
    return OF_PACKAGE.get(path.partition(".")[0], {})


def stops_early(estimator: BaseEstimator) -> bool:
    """Whether an estimator of another package is asked to stop early, for which it must be handed rows."""
    return _package(estimator) in OF_PACKAGE and bool(estimator.get_params(deep=False).get(STOP))


def fit_stopped(
    estimator: Any, matrix: np.ndarray, target: np.ndarray, weights: np.ndarray | None, seed: int
) -> tuple[str, ...]:
    """Fit with a tenth of the rows held out to stop on. Where they are too few for that, without stopping: in words.

    `target`: class codes, each of 0..P-1 present; or float64.
    """
    classes = target if target.dtype.kind == "i" else None
    if not can_hold_out(target, HELD_OUT):
        estimator.set_params(**{STOP: None})
        estimator.fit(matrix, target, **({} if weights is None else {"sample_weight": weights}))
        return (f"{STOP} left out",)
    rest, held = train_test_split(np.arange(len(target)), test_size=HELD_OUT, stratify=classes, random_state=seed)
    more = {} if weights is None else {"sample_weight": weights[rest]}
    # XGBoost says much about each round unless told not to here; LightGBM has given up the common name.
    more |= {"verbose": False} if _package(estimator) == "xgboost" else {}
    x, y = matrix[held], target[held]
    more |= {"eval_X": (x,), "eval_y": (y,)} if _package(estimator) == "lightgbm" else {"eval_set": [(x, y)]}
    estimator.fit(matrix[rest], target[rest], **more)
    return ()


def fit_histogram_to_size(estimator: BaseEstimator, target: np.ndarray) -> tuple[str, ...]:
    """Have a histogram boosting that would stop early not do so where a sample is too small to hold rows out of: in
    words."""
    values = estimator.get_params(deep=False)
    share = values["validation_fraction"]
    if values["early_stopping"] is True and isinstance(share, float) and not can_hold_out(target, share):
        rounds = min(values["max_iter"], PLAIN_ROUNDS)
        estimator.set_params(early_stopping=False, max_iter=rounds)
        return (f"early_stopping left out, max_iter {rounds}",)
    return ()


def holds_out(estimator: BaseEstimator) -> bool:
    """Whether the estimator stops early on rows of its own, so that each class needs two rows."""
    return stops_early(estimator) or (
        isinstance(estimator, BOOSTING) and estimator.get_params()["early_stopping"] is True
    )


def can_hold_out(target: np.ndarray, share: float) -> bool:
    """Whether a share of the rows can be held out with each class on both sides."""
    rows, held = len(target), ceil(share * len(target))
    if target.dtype.kind != "i":
        return rows >= 2
    counts = np.bincount(target)
    return bool(counts.min() >= 2) and len(counts) <= min(held, rows - held)


def _package(estimator: BaseEstimator) -> str:
    return type(estimator).__module__.partition(".")[0]
