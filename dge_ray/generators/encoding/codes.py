"""The tokens of a coded column: its codes."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Codes:
    """The tokens of a coded column: its codes, and missing."""

    levels: int
    missing: bool
    placed = False  # whether `decode` needs a place within the token

    @property
    def size(self) -> int:
        return self.levels + self.missing

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Tokens (n,) int32 of codes (n,); -1 where the column cannot hold the value."""
        return np.where(values < 0, self.levels if self.missing else -1, values).astype(np.int32)

    def decode(self, tokens: np.ndarray, place: np.ndarray | None = None) -> np.ndarray:
        """Codes (n,) int32 of tokens (n,)."""
        return np.where(tokens == self.levels, np.int32(-1), tokens) if self.missing else tokens

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """log p(value | its token), (n,): 0 where the column can hold the value, -inf elsewhere."""
        return np.where(self.encode(values) < 0, -np.inf, 0.0)
