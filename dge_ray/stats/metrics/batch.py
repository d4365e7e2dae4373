"""Metrics of many predictions of the same rows at once, without their row contributions: for averages over subsets."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dge_ray.stats.metrics.auc import fast_auc
from dge_ray.stats.metrics.rarest import fast_average_precision, rarest_class

CLIP = 1e-7  # smallest probability that log loss sees


@dataclass(frozen=True)
class Batch:
    """Predictions `p` (S, C, N), classes before rows for long inner loops, and the truth `y` (N,); metrics are (S,)."""

    p: np.ndarray
    y: np.ndarray

    @cached_property
    def confusion(self) -> np.ndarray:
        """Counts of (truth, prediction), (S, C, C)."""
        classes = self.p.shape[1]
        guess = (self.p[:, 1] > self.p[:, 0]).astype(np.int64) if classes == 2 else self.p.argmax(axis=1)
        counts = [np.bincount(codes, minlength=classes**2) for codes in self.y * classes + guess]
        return np.stack(counts).reshape(-1, classes, classes)

    def log_loss(self) -> np.ndarray:
        p, y = self.p, self.y
        clipped = np.maximum(p, CLIP)
        true = np.where(y == 1, clipped[:, 1], clipped[:, 0]) if p.shape[1] == 2 else clipped[:, y, np.arange(len(y))]
        return -np.log(true / clipped.sum(axis=1)).mean(axis=1)

    def auc(self) -> np.ndarray:
        return fast_auc(self.p, self.y)

    def accuracy(self) -> np.ndarray:
        return np.diagonal(self.confusion, axis1=1, axis2=2).sum(axis=1) / len(self.y)

    def macro_f1(self) -> np.ndarray:
        hits = np.diagonal(self.confusion, axis1=1, axis2=2)
        sizes = self.confusion.sum(axis=1) + self.confusion.sum(axis=2)
        f1 = np.divide(2 * hits, sizes, out=np.zeros(hits.shape), where=sizes > 0)
        return f1.sum(axis=1) / (sizes > 0).sum(axis=1)

    def average_precision(self) -> np.ndarray:
        return fast_average_precision(self.p, self.y)

    def recall(self) -> np.ndarray:
        rarest = rarest_class(self.y)
        if rarest is None:
            return np.full(len(self.p), np.nan)
        return self.confusion[:, rarest, rarest] / self.confusion[:, rarest].sum(axis=1)

    def mae(self) -> np.ndarray:
        return np.abs(self.p[:, 0] - self.y).mean(axis=1)
