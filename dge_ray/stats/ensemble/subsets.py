"""Which subsets of members are averaged over, and the metrics of many ensembles at once.

All subsets of a size where they are few; otherwise cyclic windows of random permutations, so that every member enters
equally often and windows of growing size are nested (the curve over K is smooth). The same subsets serve all volumes.
"""

from itertools import combinations
from math import comb

import numpy as np

from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.metrics.batch import Batch
from dge_ray.stats.metrics.losses import METRICS, Metric

ALL_UP_TO = 70  # C(8, 4): with 8 members or fewer every subset is used
RANDOM_SUBSETS = 32  # at least so many of a size otherwise
CHUNK = 2_000_000  # numbers held at once


def member_subsets(members: int, size: int, *, seed: int) -> np.ndarray:
    """Subsets of `size` of `members` members, as 0/1 rows. Shape: -> (subsets, members) bool.

    >>> member_subsets(3, 2, seed=0).astype(int).tolist()
    [[1, 1, 0], [1, 0, 1], [0, 1, 1]]
    """
    if comb(members, size) <= ALL_UP_TO:
        chosen = np.array(list(combinations(range(members), size)))
    else:
        generator = numpy_generator(seed, Purpose.SUBSETS, index=members)
        windows = (np.arange(members)[:, None] + np.arange(size)) % members
        rounds = -(-RANDOM_SUBSETS // members)
        chosen = np.concatenate([generator.permutation(members)[windows] for _ in range(rounds)])
    mask = np.zeros((len(chosen), members), dtype=bool)
    np.put_along_axis(mask, chosen, True, axis=1)
    return mask


def subset_averages(members: np.ndarray, y: np.ndarray, metrics: list[str], *, seed: int) -> dict[str, np.ndarray]:
    """Each metric averaged over the subsets of every size 1..K. No K-law is used.

    Args:
        members: (K, N, C) predictions.
        y: (N,) truth.
        metrics: names in METRICS.
        seed: the study's; see `member_subsets`.

    Returns:
        metric -> (K,), entry K-1 for size K.
    """
    k, n, c = members.shape
    flat = np.ascontiguousarray(members.transpose(0, 2, 1)).reshape(k, c * n)  # classes before rows: long inner loops
    result = {metric: np.empty(k) for metric in metrics}
    step = max(1, CHUNK // (c * n))
    for size in range(1, k + 1):
        masks = member_subsets(k, size, seed=seed) / size
        parts: dict[str, list[np.ndarray]] = {metric: [] for metric in metrics}
        for i in range(0, len(masks), step):
            batch = Batch((masks[i : i + step] @ flat).reshape(-1, c, n), y)
            for metric in metrics:
                parts[metric].append(_values(METRICS[metric], batch))
        for metric in metrics:
            result[metric][size - 1] = np.concatenate(parts[metric]).mean()
    return result


def _values(metric: Metric, batch: Batch) -> np.ndarray:
    """The metric of each prediction of a batch. Shape: -> (S,)."""
    if metric.fast is not None:
        return metric.fast(batch)
    return metric.contributions(batch.p.transpose(0, 2, 1), batch.y).mean(axis=-1)
