"""Categories side by side: a row's coded columns as blocks of one wide array, one block a column."""

from collections.abc import Sequence

import torch

SMALLEST_UNIFORM = 1e-20  # keeps log(-log(u)) finite


class Blocks:
    """Blocks of `sizes` (c,) categories, `width` together. `owner` (width,): each place's block.

    Sums within blocks are one product with an indicator matrix: a softmax a block would be c small, slow calls.
    """

    def __init__(self, sizes: Sequence[int], device: str = "cpu") -> None:
        self.sizes, self.width = list(sizes), sum(sizes)
        lengths = torch.tensor(self.sizes, dtype=torch.int64)
        self.owner = torch.repeat_interleave(torch.arange(len(self.sizes)), lengths).to(device)
        self.starts = (torch.cumsum(lengths, 0) - lengths).to(device)
        self.member = torch.nn.functional.one_hot(self.owner, len(self.sizes)).float() if self.sizes else None

    def one_hot(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (n, c) as indicators (n, width)."""
        out = torch.zeros(len(codes), self.width, device=codes.device)
        return out.scatter_(1, codes + self.starts, 1.0) if self.sizes else out

    def log_softmax(self, logits: torch.Tensor) -> torch.Tensor:
        """log probabilities (n, width) within each block."""
        if self.member is None:
            return logits
        with torch.no_grad():
            largest = torch.stack([part.amax(1) for part in logits.split(self.sizes, 1)], 1)
        shifted = logits - largest[:, self.owner]
        return shifted - (shifted.exp() @ self.member).log()[:, self.owner]

    def relaxed(self, logits: torch.Tensor, temperature: float, random: torch.Generator) -> torch.Tensor:
        """One-hot draws (n, width) with the gradients of nearly one-hot ones (straight-through Gumbel-softmax).

        Source: Jang et al. 2017. What is only nearly one-hot would tell made rows from real ones by itself, and the
        maker would answer with logits so large that it draws one category only.
        """
        if not self.sizes:
            return logits
        noisy = logits + gumbel(logits, random)
        soft = self.log_softmax(noisy / temperature).exp()
        with torch.no_grad():
            hard = self.one_hot(torch.stack([part.argmax(1) for part in noisy.split(self.sizes, 1)], 1))
            rest = hard - soft
        return soft + rest

    def draw(self, logits: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Codes (n, c) int64 by each block's probabilities."""
        if not self.sizes:
            return torch.empty(len(logits), 0, dtype=torch.int64, device=logits.device)
        noisy = logits + gumbel(logits, random)
        return torch.stack([part.argmax(1) for part in noisy.split(self.sizes, 1)], 1)


def gumbel(like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Standard Gumbel noise of another tensor's shape."""
    uniform = torch.rand(like.shape, generator=random, device=like.device).clamp_min_(SMALLEST_UNIFORM)
    return uniform.log_().neg_().clamp_min_(SMALLEST_UNIFORM).log_().neg_()
