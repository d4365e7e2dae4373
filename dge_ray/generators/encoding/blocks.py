"""Categories side by side: a row's coded columns as blocks of one wide array, one block a column."""

from collections.abc import Sequence

import torch

SMALLEST_UNIFORM = 1e-20  # keeps log(-log(u)) finite


class Blocks:
    """Blocks of `sizes` (c,) categories, `width` together. `owner` (width,): each place's block.

    Sums within blocks are one product with an indicator matrix `member` (width, c), and what is handed back to the
    places one with `spread` (c, width): a softmax a block would be c small, slow calls.
    """

    def __init__(self, sizes: Sequence[int], device: str = "cpu") -> None:
        self.sizes, self.width = list(sizes), sum(sizes)
        lengths = torch.tensor(self.sizes, dtype=torch.int64)
        self.owner = torch.repeat_interleave(torch.arange(len(self.sizes)), lengths).to(device)
        self.starts = (torch.cumsum(lengths, 0) - lengths).to(device)
        if self.sizes:
            self.member = torch.nn.functional.one_hot(self.owner, len(self.sizes)).float()
            self.spread = self.member.t().contiguous()

    def one_hot(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (n, c) as indicators (n, width)."""
        out = torch.zeros(len(codes), self.width, device=codes.device)
        return out.scatter_(1, codes + self.starts, 1.0) if self.sizes else out

    def log_softmax(self, logits: torch.Tensor) -> torch.Tensor:
        """log probabilities (n, width) within each block."""
        return self._log_softmax(logits, self._largest(logits)) if self.sizes else logits

    def relaxed(self, logits: torch.Tensor, temperature: float, random: torch.Generator, *, hard: bool) -> torch.Tensor:
        """Gumbel-softmax draws (n, width): nearly one-hot, or `hard` ones with the gradients of nearly one-hot ones.

        Source: Jang et al. 2017. What is only nearly one-hot would tell made rows from real ones by itself, and the
        maker would answer with logits so large that it draws one category only.
        """
        if not self.sizes:
            return logits
        noisy = logits + gumbel(logits, random)
        largest = self._largest(noisy)
        picked = noisy.detach().eq(largest).float() if hard else None
        if picked is not None and not noisy.requires_grad:
            return picked
        soft = self._log_softmax(noisy / temperature, largest / temperature).exp()
        return soft if picked is None else soft + (picked - soft.detach())

    def _log_softmax(self, logits: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        shifted = logits - largest
        return shifted - ((shifted.exp() @ self.member).log() @ self.spread)

    def _largest(self, logits: torch.Tensor) -> torch.Tensor:
        """The largest of each place's block (n, width), a constant to autograd."""
        with torch.no_grad():
            largest = torch.stack([part.amax(1) for part in logits.split(self.sizes, 1)], 1)
            return largest.index_select(1, self.owner)

    def draw(self, logits: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        """Codes (n, c) int64 by each block's probabilities."""
        if not self.sizes:
            return torch.empty(len(logits), 0, dtype=torch.int64, device=logits.device)
        noisy = logits + gumbel(logits, random)
        return torch.stack([part.argmax(1) for part in noisy.split(self.sizes, 1)], 1)


def gumbel(like: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Standard Gumbel noise of another tensor's shape, float32."""
    # rand's largest value is 1 - 2**-24: only 0 would be infinite.
    uniform = torch.rand(like.shape, generator=random, device=like.device).clamp_min_(SMALLEST_UNIFORM)
    return uniform.log_().neg_().log_().neg_()
