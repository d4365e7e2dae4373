"""Fitting the VAE: one-cycle AdamW on the evidence bound, an average of the weights, held-out rows to stop by."""

from collections.abc import Callable

import numpy as np
import torch

from dge_ray.generators.encoding.calibration import code_shares
from dge_ray.generators.fitting.averaged import AveragedAdam, AveragedFit
from dge_ray.generators.fitting.neural import stream
from dge_ray.generators.fitting.schedule import WARMUP, one_cycle
from dge_ray.generators.vae.model import VaeModel

WEIGHTS, ORDER, NOISE, HELDOUT, CALIBRATION = 0, 1, 2, 3, 4  # the streams of a fit: indices at Purpose.FIT
BLOCK_ROWS = 8_192  # held-out rows at a time

Encoded = tuple[np.ndarray, np.ndarray]


class VaeFit(AveragedFit):
    """Both networks fitted to rows, a round being an epoch.

    `real(round)` gives scores (n, q) and codes (n, c), whose ties fall anew each round. What counts is the moving
    average of the weights over about an epoch. Losses are bounds on -log p in nats a row, their divergence weighted by
    `settings.kl_weight` (as by TVAE's doubled reconstruction); held-out ones have the same noise each time.
    """

    def __init__(
        self,
        model: VaeModel,
        real: Callable[[int], Encoded],
        heldout: Encoded | None,
        *,
        batch_size: int,
        rate: float,
        seed: int,
    ) -> None:
        s = model.settings
        self.model, self.real, self.batch_size, self.lr, self.seed = model, real, batch_size, s.lr * rate, seed
        self.device = torch.device(model.device)
        self.heldout = None if heldout is None else self._on_device(heldout)
        self.order, self.noise = stream(seed, ORDER), stream(seed, NOISE, self.device)
        self.descent = AveragedAdam(model.weights, weight_decay=s.weight_decay)
        self.streams = {"order": self.order, "noise": self.noise}

    def run(self, done: int, rounds: int) -> float:
        """One epoch."""
        scores, codes = self._on_device(self.real(done))
        n, size = len(scores), self.batch_size
        order = torch.randperm(n, generator=self.order).to(self.device)
        steps, nats = n // size, torch.zeros((), device=self.device)
        for part in order[: steps * size].split(size):
            loss = self._loss(scores[part], codes[part], self.noise)
            self.model.weights.gradient.zero_()
            loss.backward()
            nats += loss.detach()
            self.descent.step(self.lr * one_cycle(self.descent.done, rounds * steps, WARMUP), span=steps)
        return float(nats) / steps

    def score(self) -> float | None:
        if self.heldout is None:
            return None
        scores, codes = self.heldout
        random = stream(self.seed, HELDOUT, self.device)
        with torch.no_grad(), self.descent.averaged():
            parts = zip(scores.split(BLOCK_ROWS), codes.split(BLOCK_ROWS), strict=True)
            nats = sum(float(self._loss(*part, random)) * len(part[0]) for part in parts)
        return nats / len(scores)

    def finish(self) -> None:
        super().finish()
        shares = code_shares(self.real(0)[1], self.model.blocks.sizes)
        self.model.settle(shares, stream(self.seed, CALIBRATION, self.device))

    def _loss(self, scores: torch.Tensor, codes: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        noise = torch.randn(len(scores), self.model.settings.latent, generator=random, device=self.device)
        nats, kl = self.model.coder.losses(self.model.weights.weights, scores, codes, noise)
        return (nats + self.model.settings.kl_weight * kl).mean()

    def _on_device(self, rows: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(rows[0]).to(self.device), torch.from_numpy(rows[1]).to(self.device)
