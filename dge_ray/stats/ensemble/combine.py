"""Members into one prediction: the mean over members, in float64 and in one fixed order."""

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError
from dge_ray.stats.metrics.tasks import check_task

Floats = np.ndarray  # float64


def ensemble_mean(predictions: ArrayLike) -> Floats:
    """The ensemble's prediction: the mean over members of probabilities (or of regression predictions).

    Members are added one after another in float64, so the result depends neither on threads nor on how the array lies
    in memory.

    Shape: (members, ..., rows, classes) -> (..., rows, classes).

    >>> ensemble_mean([[[0.2, 0.8]], [[0.6, 0.4]]]).round(12).tolist()
    [[0.4, 0.6]]
    """
    members = np.asarray(predictions)
    total = members[0].astype(np.float64)
    for member in members[1:]:
        total += member
    return total / len(members)


def leave_one_out_means(members: Floats) -> Floats:
    """The K ensembles that lack one member each. Shape: (K, ...) -> (K, ...), K >= 2.

    >>> leave_one_out_means(np.array([1.0, 2.0, 6.0])).tolist()
    [4.0, 3.5, 1.5]
    """
    if len(members) == 2:
        return members[::-1].copy()
    return (ensemble_mean(members) * len(members) - members) / (len(members) - 1)


def check_cells(predictions: ArrayLike, truth: ArrayLike, *, task: str, volumes: ArrayLike | None = None) -> tuple:
    """The arguments that every function of a surface takes, checked and in float64.

    Args:
        predictions: (members, volumes, rows, classes); classes = 1 in regression; NaN where a cell was not computed.
        truth: (rows,) class codes, or values in regression.
        task: "classification" or "regression" ("binary" and "multiclass" are classification too).
        volumes: (volumes,) ascending.

    Returns:
        predictions (float64), truth (int64 or float64), task, volumes (int64).

    Raises:
        InputError: naming the argument that is wrong.
    """
    cells = np.asarray(predictions, dtype=np.float64)
    if cells.ndim != 4 or 0 in cells.shape:
        raise InputError("predictions", f"shape {cells.shape}", "a non-empty (members, volumes, rows, classes)")
    task = check_task(task)
    sizes = np.arange(cells.shape[1]) if volumes is None else np.asarray(volumes, dtype=np.int64)
    if sizes.shape != (cells.shape[1],) or np.any(np.diff(sizes) <= 0):
        raise InputError("volumes", f"{sizes.tolist()}", f"{cells.shape[1]} ascending volumes, one a column")
    return cells, check_truth(truth, task, rows=cells.shape[2], classes=cells.shape[3]), task, sizes


def check_truth(truth: ArrayLike, task: str, *, rows: int, classes: int) -> np.ndarray:
    """`truth` as int64 codes or float64 values of the right length, or InputError."""
    y = np.asarray(truth)
    if y.shape != (rows,):
        raise InputError("truth", f"shape {y.shape}", f"({rows},), one value a row of the predictions")
    if rows < 2:
        raise InputError("truth", f"{rows} row", "at least 2 rows")
    if task == "regression":
        if classes != 1:
            raise InputError("predictions", f"{classes} classes in regression", "1")
        y = y.astype(np.float64)
        if not np.isfinite(y).all():
            raise InputError("truth", f"{int((~np.isfinite(y)).sum())} values that are not finite", "finite values")
        return y
    if classes < 2:
        raise InputError("predictions", f"{classes} class", "at least 2 classes")
    if not np.issubdtype(y.dtype, np.integer) and np.any(y != np.floor(y)):
        raise InputError("truth", f"dtype {y.dtype}", f"class codes 0 to {classes - 1}")
    y = y.astype(np.int64)
    if y.min() < 0 or y.max() >= classes:
        raise InputError("truth", f"codes {y.min()} to {y.max()}", f"class codes 0 to {classes - 1}")
    return y


def finished_members(cells: Floats) -> np.ndarray:
    """Which (member, volume) cells were computed. Shape: (K, M, N, C) -> (K, M) bool.

    Raises:
        InputError: a cell is computed for some rows only, or is infinite.
    """
    missing = np.isnan(cells)
    any_missing, all_missing = np.any(missing, axis=(2, 3)), np.all(missing, axis=(2, 3))
    if np.any(any_missing & ~all_missing):
        member, volume = np.argwhere(any_missing & ~all_missing)[0]
        raise InputError("predictions", f"NaN in some rows of member {member}, volume {volume}", "whole cells or none")
    if np.isinf(cells).any():
        raise InputError("predictions", "infinite values", "finite values, or NaN for a cell that was not computed")
    return np.logical_not(all_missing)
