"""Which of a pilot's candidates is chosen on validation, by the rule of one standard error."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import contributions, higher_is_better


def judge(
    predictions: Mapping[str, np.ndarray], truth: np.ndarray, *, metric: str, preferred: Sequence[str]
) -> list[dict[str, Any]]:
    """Every candidate's score, and which is chosen: the first of those preferred that is not worse than the best by
    more than one standard error of their difference.

    The best of several scores is partly luck, the more so the fewer the rows: what is preferred beforehand is left only
    for what validation shows to be better.

    Errors are paired on the validation rows and over rows alone: two members say nothing reliable of their spread.

    Args:
        predictions: by candidate, in any order.
        truth: (rows,) of validation.
        preferred: names, the most preferred first; it has those of all candidates.

    Returns:
        A record a candidate, in the order given: `name`, `score` and its `se`, `to_best` and `to_chosen` (the
        difference in the metric, candidate less that one, and its standard error) and `chosen`.

    Shape: predictions[name] (members, rows, classes).
    """
    rows = {name: contributions(metric, ensemble_mean(p), truth) for name, p in predictions.items()}
    sign = -1.0 if higher_is_better(metric) else 1.0
    in_order = [name for name in preferred if name in rows]
    best = min(in_order, key=lambda name: sign * rows[name].mean())

    def difference(name: str, other: str) -> list[float]:
        return [float((rows[name] - rows[other]).mean()), _error(rows[name] - rows[other])]

    def is_near(name: str) -> bool:
        distance, error = difference(name, best)
        return sign * distance <= error

    chosen = next(name for name in in_order if is_near(name))
    return [
        {
            "name": name,
            "score": float(own.mean()),
            "se": _error(own),
            "to_best": difference(name, best),
            "to_chosen": difference(name, chosen),
            "chosen": name == chosen,
        }
        for name, own in rows.items()
    ]


def _error(by_row: np.ndarray) -> float:
    """The standard error of a mean over rows."""
    return float(by_row.std(ddof=1) / np.sqrt(len(by_row)))
