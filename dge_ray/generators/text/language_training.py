"""Fitting the language model: one-cycle AdamW on rows of like length, an average of the weights, held-out rows."""

from typing import Any

import numpy as np
import torch

from dge_ray.generators.fitting.averaged import AveragedAdam, AveragedFit
from dge_ray.generators.fitting.neural import stream
from dge_ray.generators.fitting.schedule import WARMUP, one_cycle
from dge_ray.generators.text.settings import CausalLmSettings, LanguageSettings
from dge_ray.generators.text.words import PAD

WEIGHTS, ORDER, MASKS = 0, 1, 2  # the streams of a fit: indices at Purpose.FIT
ALIKE = 16  # batches' rows that are put in the order of their lengths, so that few tokens of a batch are padding
AVERAGED = 0.25  # of an epoch: what the weights' average reaches back
CLIP = 1.0  # the gradient's norm, as a rare long step would undo many


Encoded = tuple[torch.Tensor, torch.Tensor]
"""Tokens (n, most), and conditions (c, n) int64."""


class LanguageFit(AveragedFit):
    """A network (of language_network.py or causal_network.py) fitted to tokens (n, most) with conditions (c, n), a
    round being an epoch.

    What counts is the moving average of the weights. Losses are mean nats a row; held-out ones have no dropout.
    """

    def __init__(
        self,
        network: Any,
        rows: Encoded,
        heldout: Encoded,
        *,
        settings: LanguageSettings | CausalLmSettings,
        rate: float,
        dropout: float,
        seed: int,
    ) -> None:
        self.network, self.rows, self.heldout = network, rows, heldout
        self.batch_size, self.lr, self.dropout = settings.batch_size, settings.lr * rate, dropout
        self.lengths = (rows[0] != PAD).sum(1).cpu().numpy()
        self.steps_per_epoch = -(-len(self.lengths) // self.batch_size)
        self.order, self.masks = stream(seed, ORDER), stream(seed, MASKS, network.device)
        self.descent = AveragedAdam(network.flat, weight_decay=settings.weight_decay)
        self.streams = {"order": self.order, "masks": self.masks}

    def run(self, done: int, rounds: int) -> float:
        """One epoch."""
        tokens, conditions = self.rows
        steps, span = rounds * self.steps_per_epoch, max(AVERAGED * self.steps_per_epoch, 1.0)
        total = torch.zeros((), dtype=torch.float64, device=self.network.device)
        for rows in self._batches():
            nats, _ = self.network.losses(tokens[rows], conditions[:, rows], self._masks(len(rows)))
            total += nats.detach().double().sum()
            self.network.flat.gradient.zero_()
            (nats.sum() / (tokens[rows] != PAD).sum()).backward()
            self.network.flat.clip(CLIP)
            self.descent.step(self.lr * one_cycle(self.descent.done, steps, WARMUP), span=span)
        return float(total) / len(tokens)

    def score(self) -> float | None:
        if not len(self.heldout[0]):
            return None
        with self.descent.averaged():
            return -float(self.network.log_prob(*self.heldout).mean())

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
