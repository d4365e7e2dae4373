"""A small language model: a recurrent network over words that sees the row's other columns at every word.

The law of the next word is a product of two softmaxes: over the commonest words and groups of the others, then within
the group (Grave et al. 2017, efficient softmax approximation for GPUs), so that rare words cost nothing until one of
them is due. Word vectors are shared between input and output. Every category of one column (the target, where there is
one) has a logit of its own for every word, which starts at the word's share in that category: what a class is known by
is there before the first step.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn.functional import embedding

from dge_ray.generators.fitting.flat_weights import FlatWeights
from dge_ray.generators.text.network import TextNetwork
from dge_ray.generators.text.words import MISSING, PAD, SPECIAL, UNKNOWN

HEAD = 2_000  # words in the first softmax ...
GROUP = 6_000  # ... and up to which the first group of the others goes
NEVER = -1e9


@dataclass(frozen=True)
class Shape:
    """`words`: tokens. `conditions`: each other column's tokens. `own`: tokens of the column with logits of its own,
    which is `conditions[0]`; 1 where no column has."""

    words: int
    conditions: tuple[int, ...]
    own: int
    hidden: int
    embedding: int
    most: int

    @property
    def bounds(self) -> list[int]:
        """Where the head and the groups end."""
        return sorted({min(self.words, HEAD), *(b for b in (GROUP, self.words) if HEAD < b <= self.words)})


class LanguageNetwork(TextNetwork):
    """Tokens (n, most) as words.py has them, given conditions (c, n): other columns' tokens."""

    block_rows = 256  # the head's logits then stay near the core

    def __init__(self, shape: Shape, *, missing: bool, device: str = "cpu") -> None:
        self.shape, self.missing, self.device = shape, missing, torch.device(device)
        s, self.bounds, self.most = shape, shape.bounds, shape.most
        self.groups = list(pairwise(self.bounds))
        self.flat = FlatWeights(
            {
                "words": (s.words, s.embedding),
                "groups": (len(self.groups), s.embedding),
                "start": (s.embedding,),
                "conditions.in": (sum(s.conditions), s.embedding),
                "conditions.out": (sum(s.conditions), s.embedding),
                "gates.in": (3 * s.hidden, s.embedding),
                "gates.own": (3 * s.hidden, s.hidden),
                "gates.a": (3 * s.hidden,),
                "gates.b": (3 * s.hidden,),
                "out": (s.embedding, s.hidden),
                "own.words": (s.own, s.words),
                "own.groups": (s.own, len(self.groups)),
            },
            device,
        )
        self.offsets = [sum(s.conditions[:j]) for j in range(len(s.conditions))]

    def initialise(self, random: torch.Generator, shares: np.ndarray) -> None:
        """Start from `random` (a CPU stream) and the words' shares of each own category (own, words)."""
        scale = {"gates.in": self.shape.hidden, "gates.own": self.shape.hidden, "out": self.shape.hidden}
        for name, view in self.flat.views(self.flat.flat).items():
            if name in scale:
                view.copy_((torch.rand(view.shape, generator=random) * 2 - 1) / math.sqrt(scale[name]))
            elif name in ("words", "groups", "start", "conditions.in"):
                view.copy_(torch.randn(view.shape, generator=random) * 0.1)
            else:
                view.zero_()
        with torch.no_grad():
            words = torch.from_numpy(shares).float()
            groups = torch.stack([words[:, a:b].sum(1) for a, b in self.groups], 1) if self.groups else None
            self.flat.weights["own.words"].copy_(words.clamp_min(1e-12).log())
            if groups is not None:
                self.flat.weights["own.groups"].copy_(groups.clamp_min(1e-12).log())

    def losses(
        self, tokens: torch.Tensor, conditions: torch.Tensor, masks: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """-log p of every token that is not PAD, (t,), and the row that each belongs to, (t,).

        `masks`: dropout of embeddings (n, embedding) and hidden units (n, hidden), the same at every word of a row.
        """
        w = self.flat.weights
        length = int((tokens != PAD).sum(1).max())
        tokens = tokens[:, :length]
        seen, out, own = self._conditions(conditions)
        words = embedding(tokens[:, :-1].clamp_min(0), w["words"])
        inputs = torch.cat([w["start"].expand(len(tokens), 1, -1), words], 1) + seen[:, None]
        if masks is not None:
            inputs = inputs * masks[0][:, None]
        gates = [w["gates.in"], w["gates.own"], w["gates.a"], w["gates.b"]]
        first = torch.zeros(1, len(tokens), self.shape.hidden, device=self.device)
        hidden, _ = torch.gru(inputs, first, gates, True, 1, 0.0, True, False, True)
        if masks is not None:
            hidden = hidden * masks[1][:, None]
        row, place = (tokens != PAD).nonzero(as_tuple=True)
        states = hidden[row, place] @ w["out"].T + out[row]
        return self._nats(states, own[row], tokens[row, place]), row

    def _draw_block(self, out: torch.Tensor, conditions: torch.Tensor, random: torch.Generator) -> None:
        w = self.flat.weights
        seen, shift, own = self._conditions(conditions)
        hidden = torch.zeros(len(out), self.shape.hidden, device=self.device)
        rows = torch.arange(len(out), device=self.device)
        inputs = w["start"] + seen
        for place in range(self.shape.most):
            uniform = torch.rand(2, len(out), generator=random, device=self.device)[:, rows]
            hidden = torch.gru_cell(inputs, hidden, w["gates.in"], w["gates.own"], w["gates.a"], w["gates.b"])
            states = hidden @ w["out"].T + shift[rows]
            words = self._next(states, own[rows], uniform, first=place == 0)
            out[rows, place] = words.int()
            going = words >= SPECIAL
            if not bool(going.any()):
                return
            rows, hidden = rows[going], hidden[going]
            inputs = w["words"][words[going]] + seen[rows]

    def _next(self, states: torch.Tensor, own: torch.Tensor, uniform: torch.Tensor, *, first: bool) -> torch.Tensor:
        """The next word (n,) by inverting its distribution function: of the head, then of the group it is in."""
        logits = self._head(states, own)
        logits[:, UNKNOWN] = NEVER
        if not (first and self.missing):
            logits[:, MISSING] = NEVER
        words = inverted(logits, uniform[0])
        for j, (low, high) in enumerate(self.groups):
            at = (words == self.bounds[0] + j).nonzero().squeeze(1)
            if len(at):
                words[at] = -1 - low - inverted(self._group(states[at], own[at], low, high), uniform[1][at])
        # The numbers of groups in the head are words elsewhere: what is drawn of a group was negated till here.
        return torch.where(words < 0, -1 - words, words)

    def _nats(self, states: torch.Tensor, own: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """-log p of words (t,)."""
        head = torch.log_softmax(self._head(states, own), 1)
        index = words.long()
        for j, (low, high) in enumerate(self.groups):
            index = torch.where((words >= low) & (words < high), self.bounds[0] + j, index)
        nats = -head.gather(1, index[:, None]).squeeze(1)
        for low, high in self.groups:
            at = ((words >= low) & (words < high)).nonzero().squeeze(1)
            if len(at):
                within = torch.log_softmax(self._group(states[at], own[at], low, high), 1)
                nats = nats.index_add(0, at, -within.gather(1, (words[at].long() - low)[:, None]).squeeze(1))
        return nats

    def _head(self, states: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Logits of the head's words and of the groups (n, head + groups)."""
        w, top = self.flat.weights, self.bounds[0]
        vectors = torch.cat([w["words"][:top], w["groups"]])
        return torch.addmm(own @ torch.cat([w["own.words"][:, :top], w["own.groups"]], 1), states, vectors.T)

    def _group(self, states: torch.Tensor, own: torch.Tensor, low: int, high: int) -> torch.Tensor:
        w = self.flat.weights
        return torch.addmm(own @ w["own.words"][:, low:high], states, w["words"][low:high].T)

    def _conditions(self, conditions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What conditions (c, n) add to every input and to every state, (n, embedding), and `own` as one-hot rows."""
        w, n = self.flat.weights, conditions.shape[1]
        places = conditions + torch.tensor(self.offsets, dtype=torch.int64, device=self.device)[:, None]
        seen, out = (w[f"conditions.{way}"][places].sum(0) for way in ("in", "out"))
        own = torch.zeros(n, self.shape.own, device=self.device)
        code = conditions[0] if self.shape.own > 1 else torch.zeros(n, dtype=torch.int64, device=self.device)
        return seen, out, own.scatter_(1, code[:, None], 1.0)


def inverted(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Draws (n,) from logits (n, size) by inverting each row's distribution function at `uniform` (n,)."""
    cdf = torch.softmax(logits, 1).cumsum(1)
    at = torch.searchsorted(cdf, (uniform * cdf[:, -1])[:, None], right=True).squeeze(1)
    return at.clamp_(max=logits.shape[1] - 1)
