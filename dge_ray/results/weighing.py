"""Which weight of synthetic rows a learner may have: one that is known to beat the raw rows alone, or none of them."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from dge_ray.results.outcomes import Outcome
from dge_ray.stats.comparison.safe_choice import safe_choice
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import contributions


def safe_weights(outcomes: Sequence[Outcome], truth: np.ndarray) -> tuple[list[Outcome], dict[str, Any]]:
    """Of each learner the one weight that may be chosen, and what report.json's `weights` says; all where none are.

    The weight is that of least risk at its own reflection point among those whose ensemble is *known* to beat that of
    the raw rows alone, weight 0: paired on the validation rows, at one level for all weights and volumes that were
    looked at (`stats.safe_choice`). Where none is known to, it is 0.

    Args:
        outcomes: each learner's weights one after the other, 0 first, as `Prepared.apart` has them.
        truth: the validation rows'.
    """
    if not outcomes[0].prepared.config.weights:
        return list(outcomes), {}
    chosen, weights = [], []
    for learner, group in groupby(outcomes, key=lambda one: one.prepared.config.learners[0]):
        safe, rows = _judged(list(group), truth)
        chosen.append(safe)
        weights += [{"learner": learner.name, **row} for row in rows]
    return chosen, {"weights": weights}


def _judged(group: Sequence[Outcome], truth: np.ndarray) -> tuple[Outcome, list[dict[str, Any]]]:
    """The safe one of a learner's weights, and how each stands to weight 0 at its reflection point."""
    prepared = group[0].prepared
    sign = 1.0 if prepared.lower_is_better else -1.0
    cells = [(i, j) for i, one in enumerate(group) for j in one.complete_volumes]
    losses = [
        sign * contributions(prepared.metric, ensemble_mean(group[i].predictions["validation"][:, j]), truth)
        for i, j in cells
    ]
    judged = safe_choice(losses, seed=prepared.config.seed)
    # A weight's volume was chosen on the same rows, so the bound is that of all cells, whichever are compared.
    at = [cells.index((i, one.choice.index)) for i, one in enumerate(group)]
    better = [i for i, c in enumerate(at) if judged.limits[c] < 0]
    best = min(better, key=lambda i: judged.differences[at[i]], default=0)
    rows = [
        {
            "weight": one.prepared.config.weights[0],
            "safe": i == best,
            "volume": one.choice.volume,
            "ratio": one.choice.volume / prepared.base,
            "difference": sign * float(judged.differences[c]),
            "limit": sign * float(judged.limits[c]),
        }
        for i, (one, c) in enumerate(zip(group, at, strict=True))
    ]
    return group[best], rows
