"""The steps of a private fit: Poisson batch, clipped sum, noise, Adam, an average of the weights. For any network."""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch

from dge_ray.generators.private.fit import PrivateFit, noisy_step

ROUNDS = 20  # after each, progress is told and the state may be kept
WARMUP = 0.1  # share of the steps in which the rate rises
ADAM = (0.9, 0.999)

ClippedSum: TypeAlias = Callable[[torch.Tensor, int], torch.Tensor]
"""Rows (b,) int64 and the step to the sum (p,) of their gradients, each cut to the L2 norm `clip`; b may be 0."""


def rounds_of(steps: int) -> int:
    return min(ROUNDS, steps)


class PrivateRounds:
    """A fit (rounds.Fit) of `flat` (p,), float32, by noisy steps on `n` rows.

    Reads of the rows nothing but `clipped_sum`: no loss, no score, and the batch's own size is not used. What is left
    in place at the end is an average of the weights in which step t has weight about t: the noise of single steps goes,
    early weights count little. `learned` (p,): 1 where a weight is learned; 0 leaves it, whatever its noise. `smooth`:
    what is done to a noisy gradient (p,), in place.
    """

    def __init__(
        self,
        flat: torch.Tensor,
        clipped_sum: ClippedSum,
        private: PrivateFit,
        *,
        n: int,
        lr: float,
        learned: torch.Tensor,
        smooth: Callable[[torch.Tensor], None] | None = None,
    ) -> None:
        self.flat, self.clipped_sum, self.private, self.n, self.lr = flat, clipped_sum, private, n, lr
        self.learned, self.smooth, self.average, self.step = learned, smooth, flat.clone(), 0
        self.moments = {"first": torch.zeros_like(flat), "second": torch.zeros_like(flat)}

    def run(self, done: int, rounds: int) -> float | None:
        for _ in range(self.step, self.private.steps * (done + 1) // rounds):
            self._one()
        return None

    def _one(self) -> None:
        rows = torch.from_numpy(self.private.batch(self.step, self.n)).to(self.flat.device)
        gradient = noisy_step(self.clipped_sum(rows, self.step), self.private, self.step, self.n)
        if self.smooth is not None:  # of what is private already: it costs no budget
            self.smooth(gradient)
        self.step += 1
        beta1, beta2 = ADAM
        first, second = self.moments["first"], self.moments["second"]
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = (second / (1 - beta2**self.step)).sqrt_().add_(1e-8)
        rate = self.lr * self._share(self.step / self.private.steps) / (1 - beta1**self.step)
        self.flat.sub_((first / scale).mul_(self.learned), alpha=rate)
        self.average.lerp_(self.flat, min(1.0, 2 / (self.step + 1)))

    def _share(self, along: float) -> float:
        """The rate at a share of the steps, over the highest: up in a straight line, then a cosine down to 0."""
        if along < WARMUP:
            return along / WARMUP
        return (1 + math.cos(math.pi * (along - WARMUP) / (1 - WARMUP))) / 2

    def score(self) -> float | None:
        return None

    def keep(self) -> None:
        pass

    def finish(self) -> None:
        self.flat.copy_(self.average)

    def state(self) -> dict[str, torch.Tensor]:
        step = torch.tensor(self.step)  # the streams are addressed by it
        return {"weights": self.flat, "average": self.average, **self.moments, "step": step}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        for name, value in self.state().items():
            value.copy_(state[name])
        self.step = int(state["step"])


def clip_factors(square_norms: torch.Tensor, clip: float) -> torch.Tensor:
    """What each row's gradient is multiplied with (b,) so that its L2 norm is at most `clip`.

    A gradient that is no finite number is taken for 0: nothing of its row is used, so the bound holds for it too.
    """
    factors = clip / square_norms.sqrt().clamp_min(clip)
    return torch.where(square_norms.isfinite(), factors, 0.0)


def blocks(rows: torch.Tensor, most: int) -> list[torch.Tensor]:
    """Rows (b,) in blocks that fit in memory, at most `most` each; none of no rows."""
    return list(rows.split(most)) if len(rows) else []
