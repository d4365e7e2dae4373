"""What a study's test rows say of single classes: the base rate, the rarest class, and calibration class by class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.ensemble.uncertainty import class_calibration
from dge_ray.stats.metrics.rarest import FEWEST, base_rate, rarest_class
from dge_ray.stats.volume.reflection import risk_interval

OF_THE_RAREST = ("average_precision", "recall")


def class_findings(
    members: np.ndarray, y: np.ndarray, classes: Sequence[Any], *, seed: int, clusters: np.ndarray | None = None
) -> dict[str, Any]:
    """report.json's `classes`.

    `base_rate`, the accuracy of always predicting the `commonest` class; `rarest`, the class with its rows, share,
    average precision and recall, each (value, lo, hi) over new members and rows, None where all rows are of one class;
    `calibration`, a line for each class that occurs (of two the rarest: the other's is its mirror image) with the
    expected calibration error (value, lo, hi) over new rows. No ends where the class, or what is outside it, has fewer
    than ten rows.

    Shape: members (K, N, C), y (N,).
    """
    counts, names = np.bincount(y, minlength=len(classes)), [str(name) for name in classes]
    rarest, found = rarest_class(y), dict[str, Any]()
    if rarest is not None:
        found = {"class": names[rarest], "rows": int(counts[rarest]), "share": float(counts[rarest] / len(y))}
        keys = {"task": "classification", "clusters": clusters}
        found |= {metric: list(risk_interval(members, y, metric=metric, **keys)) for metric in OF_THE_RAREST}
    mean, shown = ensemble_mean(members), [c for c in range(len(classes)) if counts[c]]
    if len(classes) == 2 and rarest is not None:
        shown = [rarest]
    lines = []
    for c in shown:
        reliability, rows = class_calibration(mean, y, c, seed=seed), int(counts[c])
        value, *ends = reliability.ece
        told = min(rows, len(y) - rows) >= FEWEST
        lines.append(
            {
                "class": names[c],
                "rows": rows,
                "share": rows / len(y),
                "mean_probability": float(mean[:, c].mean()),
                "ece": [value, *(ends if told else (None, None))],
                "plain_ece": reliability.plain_ece,
            }
        )
    return {
        "base_rate": base_rate(y),
        "commonest": names[int(counts.argmax())],
        "rarest": found or None,
        "calibration": lines,
    }
