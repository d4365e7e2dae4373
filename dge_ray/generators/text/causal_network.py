"""A causal language model of the transformers package as the law of a text's tokens, given other columns' tokens.

A row is a sequence: a token for each other column (the label's first), then the text's. The package gives the network;
what is drawn, and from which random stream, is decided here, so that its own generation and torch's global generator
are not involved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dge_ray.generators.text.language_network import inverted
from dge_ray.generators.text.network import TextNetwork
from dge_ray.generators.text.words import PAD

if TYPE_CHECKING:
    from tokenizers import Tokenizer  # type: ignore[import-not-found]


@dataclass(frozen=True)
class SubWords:
    """The tokeniser of a model: tokens are its ids; `end` ends a text, `missing` alone is the text of a null."""

    tokenizer: "Tokenizer"
    end: int
    missing: int
    most: int

    def encode(self, texts: Sequence[str | None]) -> np.ndarray:
        """Tokens (n, `most`) int32: a text's first ones, `end` if it was not cut off, PAD."""
        tokens = np.full((len(texts), self.most), PAD, dtype=np.int32)
        for row, text in zip(tokens, texts, strict=True):
            ids = [] if text is None else self.tokenizer.encode(text, add_special_tokens=False).ids
            ids = [self.missing] if text is None else [*ids, self.end][: self.most]
            row[: len(ids)] = ids
        return tokens

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Texts (n,), objects, of tokens (n, `most`)."""
        texts = np.empty(len(tokens), dtype=object)
        for i, row in enumerate(tokens.tolist()):
            ids = [token for token in row if token not in (PAD, self.end)]
            texts[i] = None if row[0] == self.missing else self.tokenizer.decode(ids, skip_special_tokens=True)
        return texts


class ModuleWeights:
    """A module's parameters as views of one vector (p,) float32, and their gradients as views of another."""

    def __init__(self, module: torch.nn.Module, device: str) -> None:
        parameters = list(module.parameters())  # each once, however many layers share it
        self.flat = torch.cat([p.detach().reshape(-1).float() for p in parameters]).to(device)
        self.gradient = torch.zeros_like(self.flat)
        module.to(device)
        start = 0
        for parameter in parameters:
            stop = start + parameter.numel()
            parameter.data = self.flat[start:stop].view(parameter.shape)
            parameter.grad = self.gradient[start:stop].view(parameter.shape)
            start = stop

    def clip(self, most: float) -> None:
        """Shrink the gradient to a norm of at most `most`."""
        self.gradient.mul_((most / self.gradient.norm().clamp_min(1e-12)).clamp_max(1.0))


class CausalNetwork(TextNetwork):
    """`module`: a causal language model whose embedding has `words.missing` + 1 rows and one for each condition token
    (sizes: `conditions`). It is never put into training mode: its dropout would draw from torch's global generator."""

    block_rows = 64

    def __init__(
        self, module: Any, words: SubWords, conditions: tuple[int, ...], *, missing: bool, device: str = "cpu"
    ) -> None:
        self.module, self.words, self.missing, self.device = module.eval(), words, missing, torch.device(device)
        self.most, self.flat = words.most, ModuleWeights(module, device)
        first = words.missing + 1
        self.offsets = [first + sum(conditions[:j]) for j in range(len(conditions))]

    def losses(self, tokens: torch.Tensor, conditions: torch.Tensor, masks: None = None) -> tuple[torch.Tensor, ...]:
        """-log p of every token that is not PAD, (t,), and the row that each belongs to, (t,)."""
        tokens = tokens[:, : int((tokens != PAD).sum(1).max())].long()
        prefix = self._prefix(conditions)
        inputs = torch.cat([prefix, tokens[:, :-1].clamp_min(0)], 1)  # behind a text's end, where nothing is read
        logits = self.module(input_ids=inputs, use_cache=False).logits[:, prefix.shape[1] - 1 :]
        row, place = (tokens != PAD).nonzero(as_tuple=True)
        log_p = torch.log_softmax(logits[row, place, : self.words.missing + 1].float(), 1)
        return -log_p.gather(1, tokens[row, place][:, None]).squeeze(1), row

    def _draw_block(self, out: torch.Tensor, conditions: torch.Tensor, random: torch.Generator) -> None:
        """Rows that have ended go on to the block's end: what the package keeps of the past has them all."""
        inputs, past = self._prefix(conditions), None
        going = torch.ones(len(out), dtype=torch.bool, device=self.device)
        for place in range(self.words.most):
            output = self.module(input_ids=inputs, cache=past, use_cache=True)
            past, logits = output.cache, output.logits[:, -1, : self.words.missing + 1].float()
            if place > 0 or not self.missing:
                logits[:, self.words.missing] = -torch.inf
            uniform = torch.rand(len(out), generator=random, device=self.device)
            tokens = inverted(logits, uniform)
            out[going, place] = tokens[going].int()
            going &= (tokens != self.words.end) & (tokens != self.words.missing)
            if not bool(going.any()):
                return
            inputs = tokens[:, None]

    def _prefix(self, conditions: torch.Tensor) -> torch.Tensor:
        """The sequences' first tokens (n, c); the end token alone where there are no other columns."""
        if not self.offsets:
            return torch.full((conditions.shape[1], 1), self.words.end, device=self.device)
        return (conditions + torch.tensor(self.offsets, device=self.device)[:, None]).T
