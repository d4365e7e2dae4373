"""The interval of a metric's value: on its scale, within its range, and by what its error rests on."""

from collections.abc import Sequence

import numpy as np

from dge_ray.stats.intervals import Source, interval, over_rows
from dge_ray.stats.metrics.losses import METRICS

FEWEST_CLUSTERS = 10  # that hold a row of the rarest class, below which what rests on classes has no interval


def metric_interval(
    metric: str,
    contributions: np.ndarray,
    y: np.ndarray,
    others: Sequence[Source] = (),
    *,
    level: float = 0.95,
    clusters: np.ndarray | None = None,
) -> tuple[float, float]:
    """The interval of a metric's value, by its record: scale, range, and what its error rests on; NaN where there are
    too few rows, or clusters, of the rarest class to say.

    Shape: y (N,); contributions (N,), or of the G clusters that `clusters` (N,) names.
    """
    record, value = METRICS[metric], float(contributions.mean())
    if clusters is not None:
        if record.by_class and min(len(np.unique(clusters[y == c])) for c in np.unique(y)) < FEWEST_CLUSTERS:
            return float("nan"), float("nan")
        rows, deciding = over_rows(contributions), len(contributions)
        return interval(value, rows, others, level=level, limits=record.limits, deciding=deciding)
    if record.few is not None:
        few = record.few(value, y, level, sum(source.adds for source in others))
        if few is not None:
            return few
    rows = over_rows(contributions, y if record.by_class else None)
    deciding = int(np.bincount(y)[np.bincount(y) > 0].min()) if record.by_class else len(y)
    return interval(value, rows, others, level=level, limits=record.limits, deciding=deciding)
