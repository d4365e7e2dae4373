"""Fitting a diffusion: AdamW on noisy batches, and a moving average of the weights."""

import math
from collections.abc import Callable

import torch

from dge_ray.generators.diffusion.process import Process
from dge_ray.generators.fitting.descent import Descent
from dge_ray.generators.fitting.neural import stream
from dge_ray.generators.fitting.replay import stage

WEIGHTS, NOISE, LOOK, EPOCHS = 0, 1, 2, 16  # the streams of a fit: indices at Purpose.FIT; epoch e's order: EPOCHS + e
ROUNDS = 40  # of a fit
LOOKS = 8  # draws of noise that held-out rows are looked at through, the same each time


def steps_for(rows: int, batch_size: int) -> int:
    """Enough for 250 passes over the rows, from 1,500 to 8,000."""
    return min(8_000, max(1_500, math.ceil(250 * rows / batch_size)))


def steps_per_round(steps: int) -> int:
    """A fortieth of the steps, rounded up."""
    return math.ceil(steps / ROUNDS)


class DenoisingFit:
    """A process fitted to rows (scores, codes), a round being a fortieth of the steps.

    With `ema`, what counts is the moving average of the weights over about a round: it is what is looked at on
    `heldout`, and the average after the best round is what is left in the process.

    `rate(step, steps)`: the learning rate as a share of `lr`.
    """

    def __init__(
        self,
        process: Process,
        rows: tuple[torch.Tensor, torch.Tensor],
        heldout: tuple[torch.Tensor, torch.Tensor] | None,
        *,
        steps: int,
        batch_size: int,
        lr: float,
        rate: Callable[[int, int], float],
        weight_decay: float,
        ema: bool,
        seed: int,
    ) -> None:
        self.process, self.table, self.heldout = process, rows, heldout
        self.lr, self.rate, self.ema, self.seed = lr, rate, ema, seed
        self.batch_size = min(batch_size, len(rows[0]))
        self.steps_per_round = steps_per_round(steps)
        self.random = stream(seed, NOISE)
        device = process.flat.device
        self.rows = torch.zeros(self.batch_size, dtype=torch.int64, device=device)
        shapes = process.noise(self.batch_size, stream(seed, NOISE))
        self.noise = [torch.empty_like(part, device=device) for part in shapes]
        weights = process.flat.clone()
        self.gradient = torch.zeros_like(weights)
        self.descent = Descent(
            weights,
            self.gradient,
            self._lose,
            steps=self.steps_per_round,
            weight_decay=weight_decay,
            betas=(0.9, 0.99),
        )
        self.step = 0
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def run(self, done: int, rounds: int) -> float:
        """`steps_per_round` steps."""
        steps = range(self.step, self.step + self.steps_per_round)
        rates = [self.lr * self.rate(step, rounds * self.steps_per_round) for step in steps]
        shares = [max(1 / (step + 1), 1 / self.steps_per_round) if self.ema else 1.0 for step in steps]
        self.descent.plan(rates, shares)
        for _ in steps:
            self._draw()
            self.descent.step()
            self.step += 1
        return float(self.descent.mean_losses())

    @torch.no_grad()
    def score(self) -> float | None:
        if self.heldout is None:
            return None
        look, device = stream(self.seed, LOOK), self.gradient.device
        total = torch.zeros((), dtype=torch.float64, device=device)
        for _ in range(LOOKS):
            noise = [part.to(device) for part in self.process.noise(len(self.heldout[0]), look)]
            total += self.process.loss(self.descent.average, *self.heldout, noise)
        return float(total) / LOOKS

    def keep(self) -> None:
        self.descent.keep()

    def finish(self) -> None:
        self.descent.finish()
        self.process.flat.copy_(self.descent.flat)

    def state(self) -> dict[str, torch.Tensor]:
        return {**self.descent.state(), "step": torch.tensor(self.step), "noise": self.random.get_state()}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.descent.restore(state)
        self.step = int(state["step"])
        self.random.set_state(state["noise"])

    def _draw(self) -> None:
        """This step's rows and noise: whole batches of an order drawn anew for each pass, which is a function of the
        step."""
        n, size = len(self.table[0]), self.batch_size
        epoch, at = divmod(self.step, n // size)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.randperm(n, generator=stream(self.seed, EPOCHS + epoch)).to(self.rows.device)
        self.rows.copy_(self._order[at * size : (at + 1) * size])
        for buffer, part in zip(self.noise, self.process.noise(size, self.random), strict=True):
            stage(buffer, part)

    def _lose(self, at: torch.Tensor) -> torch.Tensor:
        weights = self.descent.flat.detach().requires_grad_()
        scores, codes = (part[self.rows] for part in self.table)
        loss = self.process.loss(weights, scores, codes, self.noise)
        self.gradient.copy_(torch.autograd.grad(loss, weights)[0])
        return loss.detach()
