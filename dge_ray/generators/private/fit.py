"""What every differentially private fit needs: its public numbers and secret key, Poisson batches, and noisy steps.

Neighbouring tables differ in one train row, whose contribution is nothing in one of them (zero-out: the number of rows
n is public). A step is a Poisson-subsampled Gaussian mechanism (Abadi et al. 2016, Mironov et al. 2019): each row
enters with probability `sample_rate` whatever the others do, its gradient is cut to the L2 norm `clip`, and the sum
gets normal noise of sd `noise_multiplier * clip`.

All of a mechanism's randomness comes from `key` at an address of (what for, member, step), by a cipher (streams.py):
whoever knows the key undoes the noise, so it is no seed; and a fit that is cut off or tried again gives the same
output, which is one mechanism's and is charged once. Limits: the noise of steps is of floating point, whose gaps and
rounding an adversary with exact outputs could use (Mironov 2012); that of the histogram is not. Time is not hidden.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch

from dge_ray.generators.base import Unsupported
from dge_ray.generators.private.discrete import discrete_gaussians, variance_for
from dge_ray.generators.private.streams import SecretStream, Use
from dge_ray.generators.registry import names_with


@dataclass(frozen=True)
class PrivateFit:
    """How one private fit is done; all of it public but `key`.

    clip: L2 bound of one row's gradient. noise_multiplier: sd of the noise on a sum of clipped gradients, over `clip`.
    sample_rate: the probability with which each row enters a step. marginals_multiplier: sd of the normal noise that
    the histograms' is accounted for as, over the sensitivity of all columns together; they are one mechanism, the same
    for all members with one key. key: secret, 256 bits of the operating system's entropy. member: which member's
    streams are meant.
    """

    clip: float
    noise_multiplier: float
    sample_rate: float
    steps: int
    marginals_multiplier: float
    key: int = field(repr=False)
    member: int = 0

    def batch(self, step: int, n: int) -> np.ndarray:
        """The rows (b,) int64, ascending, of `n` that enter a step: each by its own draw; there may be none."""
        return np.flatnonzero(self.stream(Use.BATCH, step).events(n, self.sample_rate))

    def noise(self, step: int, size: int) -> np.ndarray:
        """A step's noise (size,) float32, of sd `noise_multiplier * clip`. Drawn on the CPU whatever the device."""
        return (self.stream(Use.NOISE, step).normals(size) * (self.noise_multiplier * self.clip)).astype(np.float32)

    def histogram_noise(self, cells: int, columns: int) -> np.ndarray:
        """Noise (cells,) int64 of the histograms of so many columns together, the same for all members.

        A discrete Gaussian with `histogram_sd`; none where the multiplier is 0, which no plan has.
        """
        if not self.marginals_multiplier:
            return np.zeros(cells, dtype=np.int64)
        return discrete_gaussians(cells, self._histogram_variance(columns), SecretStream(self.key, Use.HISTOGRAM))

    def histogram_sd(self, columns: int) -> float:
        """About the sd of the noise on a count: a row adds 1 to one cell of each column, sensitivity sqrt(columns)."""
        return math.sqrt(self._histogram_variance(columns)) if self.marginals_multiplier else 0.0

    def _histogram_variance(self, columns: int) -> Fraction:
        return variance_for(Fraction(self.marginals_multiplier) ** 2 * columns)

    def stream(self, use: Use, step: int) -> SecretStream:
        """The member's stream at an address."""
        return SecretStream(self.key, use, member=self.member, step=step)


def noisy_step(clipped_sum: torch.Tensor, private: PrivateFit, step: int, n: int) -> torch.Tensor:
    """The gradient that a step may use: a sum of clipped gradients (p,) with its noise, over the expected batch size.

    In place. `n`: the train rows, which are public; the size of the batch that was drawn is not used.
    """
    noise = torch.from_numpy(private.noise(step, clipped_sum.numel())).to(clipped_sum.device)
    return clipped_sum.add_(noise).div_(private.sample_rate * n)


def not_private(name: str) -> Unsupported:
    """The refusal of a generator that has no private fit."""
    private = " or ".join(names_with(lambda abilities: abilities.private))
    return Unsupported("privacy", f"a {name} generator", f"{private}, which can be fitted privately")
