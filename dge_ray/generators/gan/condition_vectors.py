"""Training by sampling: each row of a batch is asked for one category of one column, rare ones more often.

A condition is a place in the one-hot vector of all conditioned columns side by side. Its column is uniform; its
category has the column's own frequencies, or those of log(1 + rows), so that rare categories are seen while training.

Source: Xu et al. 2019, Modeling tabular data using conditional GAN, section 4.3.
"""

from collections.abc import Sequence

import numpy as np
import torch


class ConditionLaw:
    """How conditions are drawn. `sizes` (c,): categories a column; `counts` (width,): rows a category."""

    def __init__(self, sizes: Sequence[int], counts: np.ndarray, device: str = "cpu") -> None:
        self.sizes, self.width, self.counts = list(sizes), sum(sizes), counts
        self.device = torch.device(device)
        self._ends = {"real": self._cumulative(counts), "log": self._cumulative(np.log1p(counts))}

    @classmethod
    def fit(cls, sizes: Sequence[int], codes: np.ndarray, device: str = "cpu") -> "ConditionLaw":
        """From the codes (n, c) of the conditioned columns."""
        counts = [np.bincount(codes[:, j], minlength=size) for j, size in enumerate(sizes)]
        return cls(sizes, np.concatenate([*counts, np.empty(0, np.int64)]).astype(np.int64), device)

    def probabilities(self, frequencies: str) -> np.ndarray:
        """Each place's probability (width,); `frequencies`: real or log."""
        return np.diff(self._ends[frequencies].cpu().numpy(), prepend=0.0) / max(len(self.sizes), 1)

    def draw(self, n: int, frequencies: str, random: torch.Generator) -> torch.Tensor:
        """Places (n,) int64; zeros where there are no columns to ask for."""
        if not self.width:
            return torch.zeros(n, dtype=torch.int64, device=self.device)
        along = torch.rand(n, generator=random, device=self.device, dtype=torch.float64) * len(self.sizes)
        return torch.searchsorted(self._ends[frequencies], along, right=True)

    def vectors(self, places: torch.Tensor) -> torch.Tensor:
        """One-hot vectors (n, width) of places (n,)."""
        out = torch.zeros(len(places), self.width, device=self.device)
        return out.scatter_(1, places[:, None], 1.0) if self.width else out

    def _cumulative(self, weights: np.ndarray) -> torch.Tensor:
        """Ends (width,) of the categories' intervals, column j's within [j, j + 1]."""
        parts = np.split(weights.astype(np.float64), np.cumsum(self.sizes)[:-1]) if self.sizes else []
        ends = []
        for j, part in enumerate(parts):
            below = np.cumsum(part)
            ends.append(j + below / below[-1])
        return torch.from_numpy(np.concatenate([*ends, np.empty(0)])).to(self.device)


class RowFinder:
    """Real rows by condition, from the codes (n, c) that the law was fitted on."""

    def __init__(self, law: ConditionLaw, codes: np.ndarray) -> None:
        self.rows = len(codes)
        order = np.argsort(codes.T, axis=1, kind="stable").ravel()
        self._order = torch.from_numpy(order).to(law.device)
        counts = torch.from_numpy(law.counts).to(law.device)
        # Each column's counts add up to n, so one running sum finds a category's rows in all columns' orders.
        self._counts, self._first = counts, torch.cumsum(counts, 0) - counts

    def draw(self, places: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """A random row (n,) that meets each condition (n,); any row where there are no columns to ask for."""
        share = torch.rand(len(places), generator=random, device=places.device, dtype=torch.float64)
        if not len(self._order):
            return (share * self.rows).long()
        return self._order[self._first[places] + (share * self._counts[places]).long()]
