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
        outcomes: each learner's weights one after the other, 0 first, as `Prepared.arms` has them.
        truth: the validation rows'.
    """
    if outcomes[0].arm.weight is None:
        return list(outcomes), {}
    candidates, table = [], []
    for learner, group in groupby(outcomes, key=lambda outcome: outcome.arm.learner):
        safe, rows = _safe_outcome(list(group), truth)
        candidates.append(safe)
        table += [{"learner": learner.name, **row} for row in rows]
    return candidates, {"weights": table}


def _safe_outcome(group: Sequence[Outcome], truth: np.ndarray) -> tuple[Outcome, list[dict[str, Any]]]:
    """The safe one of a learner's weights, and how each stands to weight 0 at its reflection point."""
    prepared = group[0].prepared
    sign = 1.0 if prepared.lower_is_better else -1.0
    cells = [(i, j) for i, outcome in enumerate(group) for j in outcome.complete]
    losses = [
        sign * contributions(prepared.metric, ensemble_mean(group[i].predictions["validation"][:, j]), truth)
        for i, j in cells
    ]
    comparison = safe_choice(losses, seed=prepared.config.seed)
    # A weight's volume was chosen on the same rows, so the bound is that of all cells, whichever are compared.
    at = [cells.index((i, outcome.choice.index)) for i, outcome in enumerate(group)]
    better = [i for i, c in enumerate(at) if comparison.limits[c] < 0]
    best = min(better, key=lambda i: comparison.differences[at[i]], default=0)
    rows = [
        {
            "weight": outcome.arm.weight,
            "safe": i == best,
            "volume": outcome.choice.volume,
            "ratio": outcome.choice.volume / prepared.base,
            "difference": sign * float(comparison.differences[c]),
            "limit": sign * float(comparison.limits[c]),
        }
        for i, (outcome, c) in enumerate(zip(group, at, strict=True))
    ]
    return group[best], rows
