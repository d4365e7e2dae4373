"""What a fit of the VAE leaves: the encoder of rows, the networks' weights, and how rows are drawn from them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dge_ray.generators.encoding.blocks import Blocks
from dge_ray.generators.encoding.calibration import ROWS, MarginalCalibration
from dge_ray.generators.encoding.ranks import MixedEncoder
from dge_ray.generators.fitting.flat_weights import FlatWeights
from dge_ray.generators.vae.network import Coder
from dge_ray.generators.vae.settings import VaeSettings

DRAW_ROWS = 8_192  # rows made at a time


@dataclass
class VaeModel:
    """`calibration` is that of `settle`."""

    encoder: MixedEncoder
    settings: VaeSettings
    device: str

    def __post_init__(self) -> None:
        s = self.settings
        self.blocks = Blocks(self.encoder.sizes, self.device)
        self.coder = Coder(len(self.encoder.measured), self.blocks, s.latent, s.hidden, s.layers)
        self.weights = FlatWeights(self.coder.shapes, self.device)
        self.calibration = MarginalCalibration.none(self.blocks.width)

    def settle(self, shares: np.ndarray, random: torch.Generator) -> None:
        """Calibrate to `shares` (width,), where the settings ask for it."""
        if self.settings.calibrate:
            scores, logits = self._outputs(ROWS, random)
            self.calibration = MarginalCalibration.fit(scores.cpu().numpy(), logits, self.blocks, shares)

    def draw(self, n: int, random: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n, q) and codes (n, c) of rows from the prior, drawn from the decoder's law and not its means."""
        scores, codes = (np.concatenate(parts) for parts in zip(*self._draw(n, random), strict=True))
        return self.calibration.scores(scores), codes

    def _draw(self, n: int, random: torch.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, n, DRAW_ROWS):
            scores, logits = self._outputs(min(DRAW_ROWS, n - start), random)
            codes = self.blocks.draw(self.calibration.logits(logits), random)
            yield scores.cpu().numpy(), codes.cpu().numpy()

    def _outputs(self, n: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (n, q), their noise included, and logits (n, width)."""
        w = self.weights.weights
        with torch.no_grad():
            latents = torch.randn(n, self.settings.latent, generator=random, device=self.device)
            means, logits = self.coder.decode(w, latents)
            noise = torch.randn(means.shape, generator=random, device=self.device)
            return means + self.coder.scales(w) * noise, logits
