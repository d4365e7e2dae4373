"""What every differentially private fit needs: its public numbers and secret key, Poisson batches, and noisy steps.

Neighbouring tables differ in one train row, whose contribution is nothing in one of them (zero-out: the number of rows
n is public). A step is a Poisson-subsampled Gaussian mechanism (Abadi et al. 2016, Mironov et al. 2019): each row
enters with probability `sample_rate` whatever the others do, its gradient is cut to the L2 norm `clip`, and the sum
gets normal noise of sd `noise_multiplier * clip`.

All of a mechanism's randomness comes from `key` at an address of (member, what for, step): whoever knows the key undoes
the noise, so it is no seed; and a fit that is cut off or tried again gives the same output, which is one mechanism's
and is charged once. Limits: numpy's generator is not a cryptographic one, and noise in floating point has gaps that an
adversary with exact outputs could use (Mironov 2012).
"""

from dataclasses import dataclass, field

import numpy as np
import torch

from dge_ray.generators.base import Unsupported
from dge_ray.generators.registry import names_with
from dge_ray.seeds import NO_MEMBER, Purpose, numpy_generator

BATCH, NOISE = 0, 1  # a step's streams: indices 2 * step + these
MARGINALS = 0  # the index of the histogram's stream, which belongs to no member


@dataclass(frozen=True)
class PrivateFit:
    """How one private fit is done; all of it public but `key`.

    clip: L2 bound of one row's gradient. noise_multiplier: sd of the noise on a sum of clipped gradients, over `clip`.
    sample_rate: the probability with which each row enters a step. marginals_multiplier: sd of the noise on the
    histograms of all columns together, over their sensitivity; they are one mechanism, the same for all members with
    one key. key: secret, 256 bits of the operating system's entropy. member: which member's streams are meant.
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
        rng = numpy_generator(self.key, Purpose.PRIVATE, member=self.member, index=2 * step + BATCH)
        return np.flatnonzero(rng.random(n) < self.sample_rate)

    def noise(self, step: int, size: int) -> np.ndarray:
        """A step's noise (size,) float32, of sd `noise_multiplier * clip`. Drawn on the CPU whatever the device."""
        rng = numpy_generator(self.key, Purpose.PRIVATE, member=self.member, index=2 * step + NOISE)
        return rng.standard_normal(size, dtype=np.float32) * np.float32(self.noise_multiplier * self.clip)

    def marginal_noise(self, size: int) -> np.ndarray:
        """Noise (size,) float64 of the histograms, of sd `marginals_multiplier`: the same for all members."""
        rng = numpy_generator(self.key, Purpose.PRIVATE, member=NO_MEMBER, index=MARGINALS)
        return rng.standard_normal(size) * self.marginals_multiplier


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
