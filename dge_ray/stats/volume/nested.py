"""The volume chosen on the other folds, so that a fold's rows play no part in the choice that is read on them.

The least of several risks is optimistic on the rows that chose it. In a cross-fitted study without test rows each fold
is therefore read at the volume that does best on the rows of the others. What that is a risk of is the whole procedure,
choice included. Generators of the other folds have seen this fold's rows, so a little of them is left in the choice;
coverage with it: experiments/coverage.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.stats.ensemble.combine import check_cells, ensemble_mean
from dge_ray.stats.metrics.losses import check_metric, contributions, higher_is_better
from dge_ray.stats.volume.volumes import complete_members


def nested_choice(
    predictions: ArrayLike,
    truth: ArrayLike,
    held: Sequence[np.ndarray],
    *,
    task: str,
    volumes: ArrayLike,
    metric: str | None = None,
) -> tuple[int, ...]:
    """For each fold the place of the volume with the least risk on the rows of all other folds.

    Args:
        predictions: (members, volumes, rows, classes); NaN where not computed, as in `reflection_point`.
        truth: (rows,).
        held: the rows of each fold, two or more.
        task: "classification" or "regression".
        volumes: (volumes,) ascending.
        metric: default the task's selection metric.
    """
    cells, y, task, _ = check_cells(predictions, truth, task=task, volumes=volumes)
    metric = check_metric(metric, task)
    members, kept = complete_members(cells)
    sign = -1.0 if higher_is_better(metric) else 1.0
    ensemble, places = ensemble_mean(members), []
    for own in held:
        rest = np.setdiff1d(np.arange(len(y)), own)
        risks = sign * contributions(metric, ensemble[:, rest], y[rest]).mean(axis=1)
        places.append(int(kept[int(np.argmin(risks))]))
    return tuple(places)


def nested_cell(predictions: np.ndarray, held: Sequence[np.ndarray], places: Sequence[int]) -> np.ndarray:
    """Each fold's rows at its own volume. Shape: (members, volumes, rows, classes) -> (members, rows, classes).

    >>> cells = np.array([[[[1.0], [2.0]], [[3.0], [4.0]]]])
    >>> nested_cell(cells, [np.array([0]), np.array([1])], (1, 0))[0, :, 0].tolist()
    [3.0, 2.0]
    """
    out = np.empty((predictions.shape[0], *predictions.shape[2:]), predictions.dtype)
    for rows, place in zip(held, places, strict=True):
        out[:, rows] = predictions[:, place, rows]
    return out
