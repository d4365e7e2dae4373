"""What a diffusion of scores (n, q) and codes (n, c) is, as far as fitting and sampling know it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from dge_ray.generators.diffusion.denoiser import FlatNetwork

Held = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Which columns are known (q + c,), and their scores (n, q) and codes (n, c)."""


class Process(ABC):
    """Noise, loss and sampling, by the weights of `network`."""

    network: FlatNetwork

    @property
    def flat(self) -> torch.Tensor:
        """The weights (p,)."""
        return self.network.flat

    @property
    @abstractmethod
    def block_rows(self) -> int:
        """Rows that are sampled at once."""

    @abstractmethod
    def noise(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """What a loss of n rows draws, on the CPU: the same on every device."""

    @abstractmethod
    def loss(
        self, flat: torch.Tensor, scores: torch.Tensor, codes: torch.Tensor, noise: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The mean loss of the rows with the weights `flat`, at `noise` on their device."""

    @torch.no_grad()
    def sample(
        self,
        n: int,
        generator: torch.Generator,
        known: torch.Tensor | None = None,
        scores: torch.Tensor | None = None,
        codes: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (n, q) and codes (n, c) of n rows; columns where `known` (q + c,) are held at `scores`, `codes`."""
        blocks = []
        for start in range(0, n, self.block_rows):
            rows = slice(start, min(start + self.block_rows, n))
            held = None if known is None or scores is None or codes is None else (known, scores[rows], codes[rows])
            blocks.append(self._sample_block(rows.stop - start, generator, held))
        return torch.cat([x for x, _ in blocks]), torch.cat([z for _, z in blocks])

    @abstractmethod
    def _sample_block(self, n: int, generator: torch.Generator, held: Held | None) -> tuple[torch.Tensor, torch.Tensor]:
        """`sample` of so few rows that all of them are in memory at once."""
