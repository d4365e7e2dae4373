"""Fitting the autoregressor: as many steps as suit the number of rows, one-cycle AdamW, an average of the weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dge_ray.generators.autoregressive.marginals import settle_marginals
from dge_ray.generators.autoregressive.network import Dropout, TokenNetwork, Windows
from dge_ray.generators.autoregressive.smoothing import Smoother
from dge_ray.generators.fitting.descent import Descent
from dge_ray.generators.fitting.neural import stream
from dge_ray.generators.fitting.replay import stage
from dge_ray.generators.fitting.schedule import WARMUP, one_cycle

ORDER, MASKS, WEIGHTS, DRAWS = 0, 1, 2, 3  # the streams of a fit: indices at Purpose.FIT


@dataclass(frozen=True)
class Size:
    """A network's width, and the least epochs that are planned for it."""

    hidden: int
    epochs: int


USUAL, LARGE = Size(64, 12), Size(128, 24)
MANY_ROWS = 15_000


def size_for(rows: int, task: str | None) -> Size:
    """What suits so many rows. A regression on many stops for want of width and steps: its best epoch is the last.
    (TSTR R2, Beijing, 30,000 rows: .618 and .659. AUC, Adult, 30,000: .924 and .923, at 2.7 times the cost.)
    """
    return LARGE if rows > MANY_ROWS and task == "regression" else USUAL


class TokenFit:
    """The network fitted to tokens (d, n), a round being an epoch.

    What counts is the moving average of the weights over about an epoch: it is what is looked at on `heldout` (d, r),
    and the average after the best epoch is what is left in the network. (The weights of one step in mid-schedule are
    noisy: without the average, Adult has .97 % of shape error, with it .79 %.)

    Weights named in `frozen` stay as they are. `smooth`: what is done to gradients (smoothing.py). `shares`: each
    column's token shares (size,), which drawn rows are to have: output biases are settled by them at the end
    (marginals.py). `judged`: the one column whose loss counts on `heldout`. Losses are mean nats a row, token
    probabilities only; those of a round with dropout and as they went.
    """

    def __init__(
        self,
        network: TokenNetwork,
        tokens: torch.Tensor,
        heldout: torch.Tensor | None,
        *,
        batch_size: int,
        lr: float,
        dropout: float,
        weight_decay: float,
        seed: int,
        smooth: Smoother | None = None,
        shares: Sequence[torch.Tensor] | None = None,
        frozen: Sequence[str] = (),
        judged: int | None = None,
    ) -> None:
        self.network, self.tokens, self.heldout, self.lr, self.judged = network, tokens, heldout, lr, judged
        self.seed, self.shares, self.smooth = seed, shares, smooth
        columns, rows = tokens.shape
        self.batch_size = min(batch_size, rows)
        self.steps_per_epoch = rows // self.batch_size
        self.dropout = Dropout(dropout, network.hidden, stream(seed, MASKS), device=str(network.device))
        self.order = stream(seed, ORDER)
        self.rows = torch.zeros(self.steps_per_epoch, self.batch_size, dtype=torch.int64, device=network.device)
        self.places = torch.zeros(self.steps_per_epoch, columns - 1, 2, dtype=torch.int64, device=network.device)
        self.descent = Descent(
            network.flat,
            network.flat_gradient,
            self._lose,
            steps=self.steps_per_epoch,
            weight_decay=weight_decay,
            held=[(network.weights[name], network.weights[name].clone()) for name in frozen],
        )
        self.step = 0

    def run(self, done: int, rounds: int) -> float:
        """One epoch."""
        rows, places = self.draw_epoch()
        stage(self.rows, rows)
        stage(self.places, places)
        self.descent.plan(*self.plan_epoch(rounds))
        for _ in range(self.steps_per_epoch):
            self.descent.step()
        return float(self.descent.mean_losses())

    def draw_epoch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next epoch's rows (steps, batch_size) in a random order, the last, smaller batch left out, and the places
        of its dropout windows (steps, d - 1, 2)."""
        columns, n = self.tokens.shape
        order = torch.randperm(n, generator=self.order)[: self.steps_per_epoch * self.batch_size]
        places = self.dropout.places(self.steps_per_epoch, columns - 1, self.batch_size)
        return order.view(self.steps_per_epoch, -1), places

    def plan_epoch(self, rounds: int) -> tuple[list[float], list[float]]:
        """Each step's rate, and its weights' share of the average."""
        steps = range(self.step, self.step + self.steps_per_epoch)
        self.step = steps.stop
        rates = [self.lr * one_cycle(step, rounds * self.steps_per_epoch, WARMUP) for step in steps]
        return rates, [max(1 / (step + 1), 1 / self.steps_per_epoch) for step in steps]

    def _lose(self, at: torch.Tensor) -> torch.Tensor:
        batch = self.tokens.index_select(1, self.rows.index_select(0, at).squeeze(0)).long()
        windows = Windows(self.dropout.pool, self.places.index_select(0, at).squeeze(0), self.batch_size)
        losses = self.network.loss_and_gradients(batch, windows)
        if self.smooth is not None:
            self.smooth(self.network.flat_gradient)
        return losses

    def score(self) -> float | None:
        if self.heldout is None:
            return None
        current = self.network.flat.clone()
        self.network.flat.copy_(self.descent.average)
        nats = -float(self.network.log_prob(self.heldout, only=self.judged).mean())
        self.network.flat.copy_(current)
        return nats

    def keep(self) -> None:
        self.descent.keep()

    def finish(self) -> None:
        self.descent.finish()
        if self.shares is not None:
            random = stream(self.seed, DRAWS, self.network.device)
            settle_marginals(self.network, self.shares, self.tokens.shape[1], random)

    def state(self) -> dict[str, torch.Tensor]:
        streams = {"order": self.order.get_state(), "masks": self.dropout.generator.get_state()}
        return {**self.descent.state(), "step": torch.tensor(self.step), **streams}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.descent.restore(state)
        self.step = int(state["step"])
        self.order.set_state(state["order"])
        self.dropout.generator.set_state(state["masks"])
