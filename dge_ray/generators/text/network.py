"""What networks of text have in common: densities and draws in blocks of rows."""

from abc import ABC, abstractmethod
from typing import Any

import torch

from dge_ray.generators.text.words import PAD


class TextNetwork(ABC):
    """Tokens (n, `most`) given conditions (c, n), other columns' tokens; `block_rows` are looked at together."""

    device: Any
    most: int
    block_rows: int

    @abstractmethod
    def losses(self, tokens: torch.Tensor, conditions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """-log p (nats) of each token that is there, and its row: (tokens,), (tokens,)."""

    @abstractmethod
    def _draw_block(self, out: torch.Tensor, conditions: torch.Tensor, random: torch.Generator) -> None:
        """Fill `out` (rows, most), all PAD."""

    def log_prob(self, tokens: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """log p(tokens | conditions) in nats, (n,) float64."""
        total = torch.zeros(len(tokens), dtype=torch.float64, device=self.device)
        with torch.no_grad():
            for start in range(0, len(tokens), self.block_rows):
                part = slice(start, start + self.block_rows)
                nats, row = self.losses(tokens[part], conditions[:, part])
                total[part].index_add_(0, row, -nats.double())
        return total

    def draw(self, conditions: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Tokens (n, most) given conditions (c, n); `random` lives on the network's device."""
        n = conditions.shape[1]
        out = torch.full((n, self.most), PAD, dtype=torch.int32, device=self.device)
        with torch.no_grad():
            for start in range(0, n, self.block_rows):
                part = slice(start, min(start + self.block_rows, n))
                self._draw_block(out[part], conditions[:, part], random)
        return out
