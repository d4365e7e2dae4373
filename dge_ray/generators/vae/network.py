"""The VAE's networks and its bound: rows to a latent normal, and back to a law of rows (Kingma & Welling 2014)."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from dge_ray.generators.encoding.blocks import Blocks
from dge_ray.generators.fitting.flat_weights import Weights

LOG_2_PI = 1.8378770664093453
LEAST_LOG_SCALE = -5.0  # a score's noise is at least e^-5: a thousandth of a column's ranks


@dataclass(frozen=True)
class Coder:
    """Encoder and decoder. A row is `scores` numbers and the one-hot blocks of `blocks`."""

    scores: int
    blocks: Blocks
    latent: int
    hidden: int
    layers: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        width = self.scores + self.blocks.width
        shapes = _mlp("encoder", width, self.hidden, self.layers, 2 * self.latent)
        shapes |= _mlp("decoder", self.latent, self.hidden, self.layers, width)
        return shapes | {"log_scale": (self.scores,)}

    def encode(self, w: Weights, scores: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and log variances of the latents, (n, latent) both, of scores (n, q) and codes (n, c)."""
        out = self._run(w, "encoder", torch.cat([scores, self.blocks.one_hot(codes)], 1))
        mean, log_variance = out.split(self.latent, 1)
        return mean, log_variance.clamp(-20, 20)  # exp of anything beyond is no number soon

    def decode(self, w: Weights, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means of the scores (n, q) and logits (n, width) of latents (n, latent)."""
        out = self._run(w, "decoder", latents)
        return out[:, : self.scores], out[:, self.scores :]

    def scales(self, w: Weights) -> torch.Tensor:
        """Standard deviations (q,) of the scores around their means, a learnt number a column."""
        return w["log_scale"].clamp_min(LEAST_LOG_SCALE).exp()

    def losses(
        self, w: Weights, scores: torch.Tensor, codes: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstruction and divergence, (n,) nats both: their sum bounds -log p(row). `noise`: (n, latent) normal."""
        mean, log_variance = self.encode(w, scores, codes)
        means, logits = self.decode(w, mean + (log_variance / 2).exp() * noise)
        scale = self.scales(w)
        nats = (((scores - means) / scale).square() / 2 + scale.log() + LOG_2_PI / 2).sum(1)
        if self.blocks.width:
            nats = nats - self.blocks.log_softmax(logits).gather(1, codes + self.blocks.starts).sum(1)
        return nats, divergence(mean, log_variance)

    def _run(self, w: Weights, side: str, x: torch.Tensor) -> torch.Tensor:
        for i in range(self.layers):
            x = functional.relu(torch.addmm(w[f"{side}.{i}.b"], x, w[f"{side}.{i}.W"]))
        return torch.addmm(w[f"{side}.out.b"], x, w[f"{side}.out.W"])


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats, (n,), of normals (n, latent)."""
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2


def _mlp(side: str, inputs: int, hidden: int, layers: int, outputs: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(layers):
        shapes |= {f"{side}.{i}.W": (inputs, hidden), f"{side}.{i}.b": (hidden,)}
        inputs = hidden
    return shapes | {f"{side}.out.W": (inputs, outputs), f"{side}.out.b": (outputs,)}
