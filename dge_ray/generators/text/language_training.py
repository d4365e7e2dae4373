"""Fitting the language model: one-cycle AdamW on rows of like length, an average of the weights, held-out rows."""

from typing import Any

import numpy as np
import torch

from dge_ray.generators.fitting.flat_weights import adam_state, restore_adam
from dge_ray.generators.fitting.neural import stream
from dge_ray.generators.fitting.schedule import WARMUP, one_cycle
from dge_ray.generators.text.words import PAD

WEIGHTS, ORDER, MASKS = 0, 1, 2  # the streams of a fit: indices at Purpose.FIT
ALIKE = 16  # batches' rows that are put in the order of their lengths, so that few tokens of a batch are padding
AVERAGED = 0.25  # of an epoch: what the weights' average reaches back
CLIP = 1.0  # the gradient's norm, as a rare long step would undo many


class LanguageFit:
    """A network (of language_network.py or causal_network.py) fitted to tokens (n, most) with conditions (c, n), a
    round being an epoch.

    What counts is the moving average of the weights. Losses are mean nats a row; held-out ones have no dropout.
    """

    def __init__(
        self,
        network: Any,
        rows: tuple[torch.Tensor, torch.Tensor],
        heldout: tuple[torch.Tensor, torch.Tensor] | None,
        *,
        batch_size: int,
        lr: float,
        dropout: float,
        weight_decay: float,
        seed: int,
    ) -> None:
        self.network, self.rows, self.heldout = network, rows, heldout
        self.batch_size, self.lr, self.dropout = batch_size, lr, dropout
        self.lengths = (rows[0] != PAD).sum(1).cpu().numpy()
        self.steps_per_epoch = -(-len(self.lengths) // batch_size)
        self.order, self.masks = stream(seed, ORDER), stream(seed, MASKS, network.device)
        self.flat = network.flat.flat
        self.flat.grad = network.flat.gradient  # which the end of a fit at another rate took away
        self.optimizer = torch.optim.AdamW([self.flat], lr=lr, weight_decay=weight_decay, fused=True)
        self.average, self.best = self.flat.clone(), self.flat.clone()
        self.step = 0

    def run(self, done: int, rounds: int) -> float:
        """One epoch."""
        tokens, conditions = self.rows
        steps = rounds * self.steps_per_epoch
        total = torch.zeros((), dtype=torch.float64, device=self.network.device)
        for rows in self._batches():
            nats, _ = self.network.losses(tokens[rows], conditions[:, rows], self._masks(len(rows)))
            total += nats.detach().double().sum()
            self.network.flat.gradient.zero_()
            (nats.sum() / (tokens[rows] != PAD).sum()).backward()
            self.network.flat.clip(CLIP)
            self.optimizer.param_groups[0]["lr"] = self.lr * one_cycle(self.step, steps, WARMUP)
            self.optimizer.step()
            self.step += 1
            self.average.lerp_(self.flat, max(1 / self.step, 1 / max(AVERAGED * self.steps_per_epoch, 1.0)))
        return float(total) / len(tokens)

    def score(self) -> float | None:
        if self.heldout is None:
            return None
        current = self.flat.clone()
        self.flat.copy_(self.average)
        nats = -float(self.network.log_prob(*self.heldout).mean())
        self.flat.copy_(current)
        return nats

    def keep(self) -> None:
        self.best.copy_(self.average)

    def finish(self) -> None:
        self.flat.grad = None
        self.flat.copy_(self.best)

    def state(self) -> dict[str, torch.Tensor]:
        return {
            "weights": self.flat,
            "average": self.average,
            "best": self.best,
            **dict(adam_state(self.optimizer, self.flat, "adam")),
            "step": torch.tensor(self.step),
            "order": self.order.get_state(),
            "masks": self.masks.get_state(),
        }

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        for name, vector in (("weights", self.flat), ("average", self.average), ("best", self.best)):
            vector.copy_(state[name])
        restore_adam(self.optimizer, self.flat, "adam", state)
        self.step = int(state["step"])
        self.order.set_state(state["order"])
        self.masks.set_state(state["masks"])

    def _batches(self) -> list[torch.Tensor]:
        """The epoch's rows in random order, but of like length within a batch."""
        order = torch.randperm(len(self.lengths), generator=self.order).numpy()
        parts = []
        for start in range(0, len(order), ALIKE * self.batch_size):
            some = order[start : start + ALIKE * self.batch_size]
            some = some[np.argsort(self.lengths[some], kind="stable")]
            parts += list(torch.from_numpy(some).to(self.network.device).split(self.batch_size))
        return [parts[i] for i in torch.randperm(len(parts), generator=self.order).tolist()]

    def _masks(self, n: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        if not self.dropout:
            return None
        widths, keep = (self.network.shape.embedding, self.network.shape.hidden), 1 - self.dropout
        drawn = (torch.rand(n, width, generator=self.masks, device=self.network.device) for width in widths)
        first, second = ((part < keep).float() / keep for part in drawn)
        return first, second
