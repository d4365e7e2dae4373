"""A difference with its interval, in one word."""

from dge_ray.stats.metrics.losses import higher_is_better


def judged(difference: tuple[float, float, float], metric: str, margin: float | None = None) -> str:
    """`better`, `worse`, `level` (the interval holds 0 and lies within the margin) or `untold`.

    Args:
        difference: (value, lo, hi) of a metric, in its own direction.
        margin: what may be lost or gained before it matters; None: nothing is level.

    >>> judged((0.02, 0.01, 0.03), "auc"), judged((0.0, -0.1, 0.1), "auc"), judged((0.0, -0.1, 0.1), "auc", 0.2)
    ('better', 'untold', 'level')
    """
    value, lo, hi = difference
    if not lo <= 0 <= hi:
        return "better" if (value > 0) == higher_is_better(metric) else "worse"
    return "level" if margin is not None and -margin <= lo and hi <= margin else "untold"
