"""Every approach of the DGE paper in some disjoint groups of members: how well it does, and how much that varies.

Groups of G members each, on the same test rows (`papers`: van Breugel et al. 2023, released code; dge.md 2). In each:

    dge_K                the first K of the group's members, K in 5, 10, 20 up to G, and G itself
    naive_single         the group's first member
    naive_ensemble       G learner seeds on the first member's rows; naive_single is its first
    naive_concatenated   one learner on the rows of all the group's members
    real_ensemble        G learner seeds on the real rows: one for all groups
    real_single          its first

The spread over groups holds the generators, their rows and the learner; not the real rows, which are the same in all.
"""

from typing import Any

import numpy as np
from scipy.stats import t as student

from dge_ray.errors import InputError
from dge_ray.stats.comparison.baselines import metrics_of
from dge_ray.stats.ensemble.combine import ensemble_mean

SIZES = (5, 10, 20)


def group_table(
    members: np.ndarray,
    ensembles: np.ndarray,
    concatenated: np.ndarray,
    real: np.ndarray,
    truth: np.ndarray,
    *,
    task: str,
    level: float = 0.95,
) -> dict[str, Any]:
    """`methods`: method -> metric -> mean, sd (ddof 1), values by group; `differences`: method -> metric -> [dge_G -
    method, lo, hi], paired by group, a t interval over new groups of generators on these real rows.

    Shape: members and ensembles (R, G, rows, classes), concatenated (R, rows, classes), real (G, rows, classes),
    truth (rows,).

    Raises:
        InputError: fewer than two groups, or shapes that do not agree.
    """
    groups, size = members.shape[:2]
    if groups < 2 or ensembles.shape != members.shape or concatenated.shape != members[:, 0].shape:
        got = f"shapes {members.shape}, {ensembles.shape}, {concatenated.shape}"
        raise InputError("groups", got, "two groups or more of as many members, seeds and rows")
    full = f"dge_{size}"
    predictions = {f"dge_{k}": [ensemble_mean(group[:k]) for group in members] for k in SIZES if k < size}
    predictions[full] = [ensemble_mean(group) for group in members]
    predictions["naive_single"] = list(members[:, 0])
    predictions["naive_ensemble"] = [ensemble_mean(group) for group in ensembles]
    predictions["naive_concatenated"] = list(concatenated)
    predictions["real_ensemble"], predictions["real_single"] = [ensemble_mean(real)], [real[0]]
    scored = {name: [metrics_of(p, truth, task=task) for p in by_group] for name, by_group in predictions.items()}
    metrics = list(scored[full][0])
    values = {
        name: {metric: np.array([score[metric] for score in scores]) for metric in metrics}
        for name, scores in scored.items()
    }
    quantile = float(student.ppf(0.5 + level / 2, groups - 1))
    methods = {
        name: {metric: _summary(by_group) for metric, by_group in by_metric.items()}
        for name, by_metric in values.items()
    }
    differences = {
        name: {metric: _interval(values[full][metric] - by_group, quantile) for metric, by_group in by_metric.items()}
        for name, by_metric in values.items()
        if name != full
    }
    return {"methods": methods, "differences": differences}


def _summary(values: np.ndarray) -> dict[str, Any]:
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"mean": float(values.mean()), "sd": spread, "values": values.tolist()}


def _interval(differences: np.ndarray, quantile: float) -> list[float]:
    mean, half = differences.mean(), quantile * differences.std(ddof=1) / np.sqrt(len(differences))
    return [float(mean), float(mean - half), float(mean + half)]
