"""Fitting the autoregressor: as many steps as suit the number of rows, one-cycle AdamW, an average of the weights."""

import math
from collections.abc import Iterator, Sequence

import torch

from dge_ray.generators.network import Dropout, Network
from dge_ray.generators.neural import stream

ORDER, MASKS, WEIGHTS = 0, 1, 2  # the streams of a fit: indices at Purpose.FIT
WARMUP = 0.3  # share of the steps in which the rate rises


def batch_size_for(rows: int) -> int:
    """The power of two nearest to rows / 64, from 32 to 512."""
    return int(min(512, max(32, 2 ** round(math.log2(max(rows, 1) / 64)))))


def epochs_for(rows: int, batch_size: int, *, least_epochs: int = 12, least_steps: int = 900) -> int:
    """Enough passes for `least_steps` steps, at least `least_epochs`."""
    return max(least_epochs, math.ceil(least_steps / max(1, rows // batch_size)))


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """A step's rate as a share of the highest: a cosine up from 1/25 over `warmup` of the steps, then one down to 0.

    Source: Smith & Topin 2018, super-convergence; the shape is that of torch's OneCycleLR.
    """
    peak = warmup * steps
    if step < peak:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * step / peak)) / 2
    return (1 + math.cos(math.pi * (step - peak) / max(steps - peak, 1))) / 2


class TokenFit:
    """The network fitted to tokens (d, n), a round being an epoch.

    What counts is the moving average of the weights over about an epoch: it is what is looked at on `heldout` (d, r),
    and the average after the best epoch is what is left in the network. (The weights of one step in mid-schedule are
    noisy: without the average, Adult has .97 % of shape error, with it .79 %.)

    Weights named in `frozen` stay as they are. Losses are mean nats a row, token probabilities only; those of a round
    with dropout and as they went.
    """

    def __init__(
        self,
        network: Network,
        tokens: torch.Tensor,
        heldout: torch.Tensor | None,
        *,
        batch_size: int,
        lr: float,
        dropout: float,
        weight_decay: float,
        seed: int,
        frozen: Sequence[str] = (),
    ) -> None:
        self.network, self.tokens, self.heldout, self.lr = network, tokens, heldout, lr
        self.batch_size = min(batch_size, tokens.shape[1])
        self.steps_per_epoch = tokens.shape[1] // self.batch_size
        self.dropout = Dropout(dropout, network.hidden, stream(seed, MASKS), device=str(network.device))
        self.order = stream(seed, ORDER)
        network.flat.grad = network.flat_gradient
        self.optimizer = torch.optim.AdamW([network.flat], lr=lr, weight_decay=weight_decay, fused=True)
        self.average, self.best = network.flat.clone(), network.flat.clone()
        self.frozen = {name: network.weights[name].clone() for name in frozen}
        self.step = 0

    def run(self, done: int, rounds: int) -> float:
        """One epoch."""
        network, nats = self.network, 0.0
        for batch in self._batches():
            rate = one_cycle(self.step, rounds * self.steps_per_epoch, WARMUP)
            self.optimizer.param_groups[0]["lr"] = self.lr * rate
            nats += network.loss_and_gradients(batch, self.dropout)
            self.optimizer.step()
            for name, weight in self.frozen.items():
                network.weights[name].copy_(weight)
            self.step += 1
            self.average.lerp_(network.flat, max(1 / self.step, 1 / self.steps_per_epoch))
        return nats / self.steps_per_epoch

    def score(self) -> float | None:
        if self.heldout is None:
            return None
        current = self.network.flat.clone()
        self.network.flat.copy_(self.average)
        nats = -float(self.network.log_prob(self.heldout).mean())
        self.network.flat.copy_(current)
        return nats

    def keep(self) -> None:
        self.best.copy_(self.average)

    def finish(self) -> None:
        self.network.flat.grad = None
        self.network.flat.copy_(self.best)

    def state(self) -> dict[str, torch.Tensor]:
        moments = self.optimizer.state[self.network.flat]
        return {
            "weights": self.network.flat,
            "average": self.average,
            "best": self.best,
            **{f"adam.{name}": value for name, value in moments.items()},
            "step": torch.tensor(self.step),
            "order": self.order.get_state(),
            "masks": self.dropout.generator.get_state(),
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.network.flat.copy_(state["weights"])
        self.average.copy_(state["average"])
        self.best.copy_(state["best"])
        moments = {name: state[f"adam.{name}"] for name in ("step", "exp_avg", "exp_avg_sq")}
        device = self.network.device
        self.optimizer.state[self.network.flat] = {
            name: value.clone() if name == "step" else value.to(device, copy=True) for name, value in moments.items()
        }
        self.step = int(state["step"])
        self.order.set_state(state["order"])
        self.dropout.generator.set_state(state["masks"])

    def _batches(self) -> Iterator[torch.Tensor]:
        """Tokens (d, batch_size) int64 of whole batches in a random order; the last, smaller one is left out."""
        n = self.tokens.shape[1]
        rows = torch.randperm(n, generator=self.order).to(self.tokens.device)
        for start in range(0, n - self.batch_size + 1, self.batch_size):
            yield self.tokens.index_select(1, rows[start : start + self.batch_size]).long()
