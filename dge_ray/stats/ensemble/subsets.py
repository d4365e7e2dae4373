"""Which subsets of members are averaged over, and the metrics of many ensembles at once.

All subsets of a size where they are few; otherwise cyclic windows of random permutations, so that every member enters
equally often and windows of growing size are nested (the curve over K is smooth). The same subsets serve all volumes.
"""

from itertools import combinations
from math import comb

import numpy as np

from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.metrics.auc import fast_auc
from dge_ray.stats.metrics.losses import CLIP

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
        metrics: of "log_loss", "auc", "accuracy", "macro_f1", "mae".
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
        parts = [
            _metrics((masks[i : i + step] @ flat).reshape(-1, c, n), y, metrics) for i in range(0, len(masks), step)
        ]
        for metric in metrics:
            result[metric][size - 1] = np.concatenate([part[metric] for part in parts]).mean()
    return result


def _metrics(p: np.ndarray, y: np.ndarray, metrics: list[str]) -> dict[str, np.ndarray]:
    """Metrics of many predictions. Shape: (S, C, N), (N,) -> metric -> (S,)."""
    result = {}
    if "mae" in metrics:
        result["mae"] = np.abs(p[:, 0] - y).mean(axis=1)
    if "log_loss" in metrics:
        clipped = np.maximum(p, CLIP)
        true = np.where(y == 1, clipped[:, 1], clipped[:, 0]) if p.shape[1] == 2 else clipped[:, y, np.arange(len(y))]
        result["log_loss"] = -np.log(true / clipped.sum(axis=1)).mean(axis=1)
    if "auc" in metrics:
        result["auc"] = fast_auc(p, y)
    if "accuracy" in metrics or "macro_f1" in metrics:
        confusion = _confusion(p, y)
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        sizes = confusion.sum(axis=1) + confusion.sum(axis=2)
        result["accuracy"] = hits.sum(axis=1) / len(y)
        f1 = np.divide(2 * hits, sizes, out=np.zeros(hits.shape), where=sizes > 0)
        result["macro_f1"] = f1.sum(axis=1) / (sizes > 0).sum(axis=1)
    return result


def _confusion(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Counts of (truth, prediction). Shape: (S, C, N), (N,) -> (S, C, C)."""
    classes = p.shape[1]
    guess = (p[:, 1] > p[:, 0]).astype(np.int64) if classes == 2 else p.argmax(axis=1)
    return np.stack([np.bincount(codes, minlength=classes**2) for codes in y * classes + guess]).reshape(
        -1, classes, classes
    )
