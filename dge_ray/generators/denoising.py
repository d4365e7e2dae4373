"""Fitting a diffusion: AdamW on noisy batches, and a moving average of the weights."""

import math
from collections.abc import Callable
from typing import Protocol

import torch

from dge_ray.generators.neural import stream

WEIGHTS, NOISE, LOOK, EPOCHS = 0, 1, 2, 16  # the streams of a fit: indices at Purpose.FIT; epoch e's order: EPOCHS + e
ROUNDS = 40  # of a fit
LOOKS = 8  # draws of noise that held-out rows are looked at through, the same each time


class Process(Protocol):
    """A diffusion of scores (n, q) and codes (n, c), as far as fitting and sampling know it."""

    @property
    def flat(self) -> torch.Tensor: ...

    def loss(
        self, flat: torch.Tensor, scores: torch.Tensor, codes: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """The mean loss of the rows with the weights `flat`, at noise drawn from `generator`."""
        ...

    def sample(
        self,
        n: int,
        generator: torch.Generator,
        known: torch.Tensor | None = None,
        scores: torch.Tensor | None = None,
        codes: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


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
        self.process, self.rows, self.heldout = process, rows, heldout
        self.lr, self.rate, self.ema, self.seed = lr, rate, ema, seed
        self.batch_size = min(batch_size, len(rows[0]))
        self.steps_per_round = steps_per_round(steps)
        self.noise = stream(seed, NOISE)
        self.weights = process.flat.clone().requires_grad_()
        self.optimizer = torch.optim.AdamW(
            [self.weights], lr=lr, weight_decay=weight_decay, betas=(0.9, 0.99), fused=True
        )
        self.average, self.best = process.flat.clone(), process.flat.clone()
        self.step = 0
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def run(self, done: int, rounds: int) -> float:
        """`steps_per_round` steps."""
        total = 0.0
        for _ in range(self.steps_per_round):
            scores, codes = self._batch()
            self.optimizer.param_groups[0]["lr"] = self.lr * self.rate(self.step, rounds * self.steps_per_round)
            loss = self.process.loss(self.weights, scores, codes, self.noise)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.step += 1
            share = max(1 / self.step, 1 / self.steps_per_round) if self.ema else 1.0
            self.average.lerp_(self.weights.detach(), share)
            total += float(loss.detach())
        return total / self.steps_per_round

    @torch.no_grad()
    def score(self) -> float | None:
        if self.heldout is None:
            return None
        look = stream(self.seed, LOOK)
        return sum(float(self.process.loss(self.average, *self.heldout, look)) for _ in range(LOOKS)) / LOOKS

    def keep(self) -> None:
        self.best.copy_(self.average)

    def finish(self) -> None:
        self.process.flat.copy_(self.best)

    def state(self) -> dict[str, torch.Tensor]:
        moments = self.optimizer.state[self.weights]
        return {
            "weights": self.weights,
            "average": self.average,
            "best": self.best,
            **{f"adam.{name}": value for name, value in moments.items()},
            "step": torch.tensor(self.step),
            "noise": self.noise.get_state(),
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            self.weights.copy_(state["weights"])
        self.average.copy_(state["average"])
        self.best.copy_(state["best"])
        moments = {name: state[f"adam.{name}"] for name in ("step", "exp_avg", "exp_avg_sq")}
        self.optimizer.state[self.weights] = {
            name: value.clone() if name == "step" else value.to(self.weights.device, copy=True)
            for name, value in moments.items()
        }
        self.step = int(state["step"])
        self.noise.set_state(state["noise"])

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """This step's rows: whole batches of an order drawn anew for each pass, which is a function of the step."""
        n, size = len(self.rows[0]), self.batch_size
        epoch, at = divmod(self.step, n // size)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.randperm(n, generator=stream(self.seed, EPOCHS + epoch)).to(self.weights.device)
        chosen = self._order[at * size : (at + 1) * size]
        return self.rows[0][chosen], self.rows[1][chosen]
