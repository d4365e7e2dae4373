"""What a fit of the GAN leaves: the encoder, the maker with its weights and moments, and how rows are drawn from it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from dge_ray.generators.encoding.blocks import Blocks
from dge_ray.generators.encoding.calibration import ROWS, MarginalCalibration
from dge_ray.generators.encoding.modes import ModeEncoder
from dge_ray.generators.encoding.ranks import MixedEncoder
from dge_ray.generators.fitting.flat_weights import FlatWeights, Weights
from dge_ray.generators.gan.condition_vectors import ConditionLaw
from dge_ray.generators.gan.networks import Maker, Moments
from dge_ray.generators.gan.settings import GanSettings

DRAW_ROWS = 8_192  # rows made at a time

RowEncoder = MixedEncoder | ModeEncoder


@dataclass
class GanModel:
    """The maker's outputs are q scores, then logits of `blocks`, of which the first are those of `law`.

    `moments` and `calibration` are those of `settle`.
    """

    encoder: RowEncoder
    law: ConditionLaw
    settings: GanSettings
    device: str
    moments: Moments = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blocks = Blocks(self.encoder.sizes, self.device)
        self.scores = len(self.encoder.measured)
        s = self.settings
        self.maker = Maker(s.latent, self.law.width, s.hidden, s.layers, self.scores + self.blocks.width, s.batch_norm)
        self.weights = FlatWeights(self.maker.shapes, self.device)
        self.calibration = MarginalCalibration.none(self.blocks.width)

    def outputs(
        self, w: Weights, places: torch.Tensor, random: torch.Generator, moments: Moments | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (n, q) and logits (n, width) of new rows that are asked for conditions (n,).

        Without moments, batch norm's are the batch's own.
        """
        out = self.maker(w, self._noise(len(places), random), places, moments)
        scores, logits = out[:, : self.scores], out[:, self.scores :]
        return (scores.tanh() if self.settings.encoding == "modes" else scores), logits

    def _noise(self, n: int, random: torch.Generator) -> torch.Tensor:
        return torch.randn(n, self.settings.latent, generator=random, device=self.device)

    def settle(self, shares: np.ndarray, random: torch.Generator) -> None:
        """Take batch norm's moments of the weights as they are, and calibrate to `shares` (width,).

        The moments are those of conditions drawn as in the fit: rows are then made by the function that was fitted,
        however seldom their condition is.
        """
        with torch.no_grad():
            fitted = self.law.draw(ROWS, self.settings.frequencies, random)
            self.moments = self.maker.moments(self.weights.weights, self._noise(ROWS, random), fitted)
            if self.settings.calibrate:
                places = self.law.draw(ROWS, "real", random)
                scores, logits = self.outputs(self.weights.weights, places, random, self.moments)
                # Offsets within modes have no law that is known beforehand: only their categories are calibrated.
                known = scores.cpu().numpy()[:, : 0 if self.settings.encoding == "modes" else None]
                self.calibration = MarginalCalibration.fit(known, logits, self.blocks, shares)

    def draw(self, places: torch.Tensor, random: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n, q) and codes (n, c) of rows that are asked for the conditions `places` (n,)."""
        drawn = list(self._draw(places, random))
        scores, codes = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        return self.calibration.scores(scores), codes

    def _draw(self, places: torch.Tensor, random: torch.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in places.split(DRAW_ROWS):
            with torch.no_grad():
                scores, logits = self.outputs(self.weights.weights, part, random, self.moments)
                codes = self.blocks.draw(self.calibration.logits(logits), random)
            yield scores.cpu().numpy(), codes.cpu().numpy()
