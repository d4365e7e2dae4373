"""The interval of a metric's value: on its scale, within its range, and by what its error rests on."""

from collections.abc import Sequence

import numpy as np

from dge_ray.stats.intervals import Source, interval, over_rows
from dge_ray.stats.metrics.losses import METRICS


def metric_interval(
    metric: str, contributions: np.ndarray, y: np.ndarray | None, others: Sequence[Source] = (), *, level: float = 0.95
) -> tuple[float, float]:
    """The interval of a metric's value, by its record: scale, range, and what its error rests on.

    Shape: contributions (N,), y (N,); None for y where contributions are of clusters of rows.
    """
    record, value = METRICS[metric], float(contributions.mean())
    if y is None:
        rows, deciding = over_rows(contributions), len(contributions)
        return interval(value, rows, others, level=level, limits=record.limits, deciding=deciding)
    if record.few is not None:
        few = record.few(value, y, level, sum(source.adds for source in others))
        if few is not None:
            return few
    rows = over_rows(contributions, y if record.by_class else None)
    deciding = int(np.bincount(y)[np.bincount(y) > 0].min()) if record.by_class else len(y)
    return interval(value, rows, others, level=level, limits=record.limits, deciding=deciding)
