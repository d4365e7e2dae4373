"""The last correction of a network's rows: each column's marginal made that of the training rows.

Networks that are trained on joint losses are a few per cent off in single columns, which costs nothing to set right:
generated scores are put through their own distribution function, as the encoder's normal scores are by construction,
and each category's logit is shifted until its mean probability is its share of the rows. Ranks within a column, and
odds ratios between a row's categories, stay as the network has them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri

from dge_ray.generators.encoding.blocks import Blocks
from dge_ray.generators.encoding.ranks import FARTHEST

ROWS = 8_192  # generated rows that a calibration is fitted on
KNOTS = 513  # quantiles kept of a column's generated scores
SWEEPS = 20  # of shifting the logits; each brings the shares several times nearer
FARTHEST_SHIFT = 10.0
NEVER = -1e4  # the shift of a category that no training row has


@dataclass(frozen=True)
class MarginalCalibration:
    """`quantiles` (q, KNOTS): generated scores at even levels, q = 0 where they stay. `shifts` (width,): of logits."""

    quantiles: np.ndarray
    shifts: np.ndarray

    @classmethod
    def fit(cls, scores: np.ndarray, logits: torch.Tensor, blocks: Blocks, shares: np.ndarray) -> "MarginalCalibration":
        """From generated scores (n, q) and logits (n, width), and each category's share of the rows (width,)."""
        quantiles = np.quantile(scores, np.linspace(0, 1, KNOTS), axis=0).T if scores.shape[1] else np.empty((0, KNOTS))
        wanted = torch.from_numpy(shares).float().to(logits.device)
        shifts = torch.zeros_like(wanted)
        for _ in range(SWEEPS):
            expected = blocks.log_softmax(logits + shifts).exp().mean(0)
            shifts += (wanted.clamp_min(1e-12) / expected.clamp_min(1e-12)).log()
            shifts = shifts.clamp(-FARTHEST_SHIFT, FARTHEST_SHIFT)
        shifts = torch.where(wanted > 0, shifts, NEVER)
        return cls(np.ascontiguousarray(quantiles, np.float64), shifts.cpu().numpy())

    def scores(self, scores: np.ndarray) -> np.ndarray:
        """Scores (n, q) as standard normal ones."""
        if not len(self.quantiles):
            return scores
        levels = np.linspace(0, 1, KNOTS)
        uniform = [np.interp(column, knots, levels) for column, knots in zip(scores.T, self.quantiles, strict=True)]
        return np.clip(ndtri(np.stack(uniform, 1)), -FARTHEST, FARTHEST)

    def logits(self, logits: torch.Tensor) -> torch.Tensor:
        """Shifted logits (n, width)."""
        return logits + torch.from_numpy(self.shifts).to(logits.device)

    def state(self) -> dict[str, np.ndarray]:
        return {"calibration.quantiles": self.quantiles, "calibration.shifts": self.shifts}

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray]) -> "MarginalCalibration":
        return cls(arrays["calibration.quantiles"], arrays["calibration.shifts"])

    @classmethod
    def none(cls, width: int) -> "MarginalCalibration":
        """One that changes nothing."""
        return cls(np.empty((0, KNOTS)), np.zeros(width, np.float32))


def code_shares(codes: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Each category's share of the rows (width,), from codes (n, c)."""
    parts = [np.bincount(codes[:, j], minlength=size) / len(codes) for j, size in enumerate(sizes)]
    return np.concatenate([*parts, np.empty(0)])
