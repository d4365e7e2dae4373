"""The autoregressor over column tokens: column j's token given the tokens before it, exact and in closed form.

Column 0 has only a bias: its marginal. Column j > 0 sees x_j, the embeddings of the tokens before it, through

    h1 = relu(x_j A + a);  h2 = h1 + relu(h1 B + b);  token ~ softmax(h2 C + c)

with weights of its own, so columns share nothing but the embeddings. Two things follow. The mask of the usual masked
network is never multiplied out: column j's product has only the inputs that it sees. And once x is known, a column's
loss and all its gradients can be finished before the next column starts, so `loss_and_gradients` works on one
cache-sized column at a time, without an autograd graph (the tests hold it against autograd).

All weights are views of one flat vector, as are their gradients: one optimiser call, one file entry, one average.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch

BLOCK_ROWS = 4096  # rows at a time where no gradient is taken
LANES = 16  # output widths are padded to this many: softmax over fewer is ten times slower a row (no vector fits)
POOL_ROWS = 65_536  # rows of random dropout masks to take windows of
FREQUENCIES = 16  # waves of an ordered column's first embedding, the k-th with an amplitude of 1/k
NEVER = -1e4  # the logit of padding: its probability and gradient are exactly 0


class Masks(Protocol):
    """A source of dropout masks."""

    def masks(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The next column's two masks (n, hidden)."""
        ...


class TokenNetwork:
    """Weights of the autoregressor.

    Args:
        sizes: tokens a column, (d,).
        hidden: width of a column's two hidden layers.
        widths: of each column's embedding, (d,).

    `weights[name]` and `gradients[name]` are views of `flat` and `flat_gradient`, both float32 (p,). Names: `j.embed`
    (size, e) of all columns but the last; `j.A` (inputs, hidden), `j.a`, `j.B` (hidden, hidden), `j.b`, `j.C`
    (hidden, padded size) of all columns but the first; `j.c` (padded size,) of all.
    """

    def __init__(self, sizes: Sequence[int], *, hidden: int, widths: Sequence[int], device: str = "cpu") -> None:
        self.sizes, self.hidden, self.device = list(sizes), hidden, torch.device(device)
        self.widths = list(widths)
        self.starts = [
            sum(self.widths[:j]) for j in range(len(self.widths) + 1)
        ]  # column j's embedding: starts[j]:starts[j + 1]
        shapes: dict[str, tuple[int, ...]] = {}
        for j, size in enumerate(self.sizes):
            padded = -(-size // LANES) * LANES
            if j < len(self.sizes) - 1:
                shapes[f"{j}.embed"] = (size, self.widths[j])
            if j > 0:
                shapes |= {f"{j}.A": (self.starts[j], hidden), f"{j}.a": (hidden,)}
                shapes |= {f"{j}.B": (hidden, hidden), f"{j}.b": (hidden,), f"{j}.C": (hidden, padded)}
            shapes[f"{j}.c"] = (padded,)
        self.shapes = shapes
        self.flat = torch.zeros(sum(math.prod(s) for s in shapes.values()), device=self.device)
        self.flat_gradient = torch.zeros_like(self.flat)
        self.weights = self._views(self.flat)
        self.gradients = self._views(self.flat_gradient)

    def _views(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = flat.split([math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(shape) for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)}

    def initialise(
        self,
        generator: torch.Generator,
        marginals: Sequence[torch.Tensor],
        ranks: Sequence[torch.Tensor | None],
    ) -> None:
        """Random weights.

        The output biases start at the columns' log `marginals` (size,), so that training starts from independent
        columns. `ranks`: for each column the places (size,) in [0, 1] of its ordered tokens (nan: a token without a
        place), None where tokens have no order. Their embeddings start as random smooth functions of the place, so that
        what is learnt of a value holds for its neighbours (California housing: TSTR R2 .772 to .804 in the same time).
        """

        def normal(name: str, scale: float) -> None:
            draw = torch.randn(self.shapes[name], generator=generator)  # on the CPU: the same on every device
            self.weights[name].copy_(draw * scale)

        def smooth(name: str, rank: torch.Tensor) -> None:
            k = torch.arange(1, FREQUENCIES + 1)
            waves = torch.cos(math.pi * rank[:, None] * k) / k  # (size, frequencies)
            waves *= (2 / (1 / k**2).sum()) ** 0.5  # variance one a unit
            draw = waves @ torch.randn(FREQUENCIES, self.shapes[name][1], generator=generator)
            placed = ~rank.isnan()
            self.weights[name][placed.to(self.device)] = draw[placed].to(self.device)

        for j, (marginal, rank) in enumerate(zip(marginals, ranks, strict=True)):
            if j < len(self.sizes) - 1:
                normal(f"{j}.embed", 1.0)
                if rank is not None:
                    smooth(f"{j}.embed", rank)
            if j > 0:
                normal(f"{j}.A", (3 * self.starts[-1]) ** -0.5)
                normal(f"{j}.B", self.hidden**-0.5)
                normal(f"{j}.C", 0.02)
            self.weights[f"{j}.c"].fill_(NEVER)[: self.sizes[j]] = torch.log(marginal)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """The inputs (n, e) of all columns, for tokens (d, n)."""
        x = torch.empty(tokens.shape[1], self.starts[-2], device=self.device)
        for j in range(len(self.sizes) - 1):
            x[:, self.starts[j] : self.starts[j + 1]] = self.weights[f"{j}.embed"].index_select(0, tokens[j])
        return x

    def logits(self, j: int, x: torch.Tensor) -> torch.Tensor:
        """Column j's logits (n, padded size) for inputs x (n, >= starts[j])."""
        w = self.weights
        if j == 0:
            return w["0.c"].expand(len(x), -1)
        h = torch.addmm(w[f"{j}.a"], x[:, : self.starts[j]], w[f"{j}.A"]).relu_()
        h = h + torch.addmm(w[f"{j}.b"], h, w[f"{j}.B"]).relu_()
        return torch.addmm(w[f"{j}.c"], h, w[f"{j}.C"])

    def log_prob(self, tokens: torch.Tensor, *, only: int | None = None) -> torch.Tensor:
        """log p(tokens) in nats, (n,) float64, for tokens (d, n); `only`: of this column, given those before it."""
        total = torch.zeros(tokens.shape[1], dtype=torch.float64, device=self.device)
        for start in range(0, tokens.shape[1], BLOCK_ROWS):
            block = tokens[:, start : start + BLOCK_ROWS]
            x = self.embed(block)
            for j, column in enumerate(block):
                if only is not None and j != only:
                    continue
                log_p = torch.log_softmax(self.logits(j, x), 1).gather(1, column[:, None]).squeeze(1)
                total[start : start + BLOCK_ROWS] += log_p
        return total

    def last_law(self, tokens: torch.Tensor) -> torch.Tensor:
        """The last column's token probabilities (n, size), float64, given the tokens (d, n) before it."""
        last = len(self.sizes) - 1
        logits = self.logits(last, self.embed(tokens))[:, : self.sizes[last]]
        return torch.softmax(logits.double(), 1)

    def shares(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Each column's mean token probabilities (size,), float64, given the tokens before it in rows (d, n)."""
        totals = [torch.zeros(size, dtype=torch.float64, device=self.device) for size in self.sizes]
        for start in range(0, tokens.shape[1], BLOCK_ROWS):
            x = self.embed(tokens[:, start : start + BLOCK_ROWS])
            for j, total in enumerate(totals):
                total += torch.softmax(self.logits(j, x), 1)[:, : len(total)].sum(0, dtype=torch.float64)
        return [total / tokens.shape[1] for total in totals]

    def loss_and_gradients(self, tokens: torch.Tensor, dropout: Masks) -> torch.Tensor:
        """Mean nats a row over the batch tokens (d, n), (); its gradients are left in `flat_gradient`."""
        w, g, n = self.weights, self.gradients, tokens.shape[1]
        x = self.embed(tokens)
        dx = torch.zeros_like(x)
        nats = torch.zeros(n, device=self.device)
        for j, column in enumerate(tokens):
            if j == 0:
                dz = cross_entropy(self.logits(0, x).clone(), column, nats)
                torch.sum(dz, 0, out=g["0.c"])
                continue
            seen = x[:, : self.starts[j]]
            first, second = dropout.masks(n)
            h1 = torch.addmm(w[f"{j}.a"], seen, w[f"{j}.A"]).relu_().mul_(first)
            r2 = torch.addmm(w[f"{j}.b"], h1, w[f"{j}.B"]).relu_()
            h2 = torch.add(h1, r2).mul_(second)
            dz = cross_entropy(torch.addmm(w[f"{j}.c"], h2, w[f"{j}.C"]), column, nats)
            torch.mm(h2.t(), dz, out=g[f"{j}.C"])
            torch.sum(dz, 0, out=g[f"{j}.c"])
            dh = torch.mm(dz, w[f"{j}.C"].t()).mul_(second)
            dr = torch.ops.aten.threshold_backward(dh, r2, 0)
            torch.mm(h1.t(), dr, out=g[f"{j}.B"])
            torch.sum(dr, 0, out=g[f"{j}.b"])
            dh.addmm_(dr, w[f"{j}.B"].t()).mul_(first)
            dh = torch.ops.aten.threshold_backward(dh, h1, 0)
            torch.mm(seen.t(), dh, out=g[f"{j}.A"])
            torch.sum(dh, 0, out=g[f"{j}.a"])
            dx[:, : self.starts[j]].addmm_(dh, w[f"{j}.A"].t())
        for j in range(len(self.sizes) - 1):
            g[f"{j}.embed"].zero_().index_add_(0, tokens[j], dx[:, self.starts[j] : self.starts[j + 1]])
        return nats.mean()


def cross_entropy(logits: torch.Tensor, column: torch.Tensor, nats: torch.Tensor) -> torch.Tensor:
    """Add -log p(token) to `nats` (..., n) and return d(mean nats) / d logits (..., n, size)."""
    p = torch.softmax(logits, -1)
    at = column.unsqueeze(-1)
    nats -= p.gather(-1, at).squeeze(-1).clamp_min_(1e-38).log_()
    p.scatter_add_(-1, at, p.new_full((1,) * p.ndim, -1.0).expand(at.shape))
    return p.div_(p.shape[-2])


class Dropout:
    """Dropout masks: windows at random places of a pool of random masks, with elements 0 or 1 / (1 - p).

    Drawing every element of every step afresh costs a sixth of a fit; windows cost nothing.
    """

    def __init__(self, p: float, hidden: int, generator: torch.Generator, *, device: str = "cpu") -> None:
        keep = torch.rand(POOL_ROWS, hidden, generator=generator) >= p
        self.pool = (keep / (1 - p)).to(device)
        self.generator = generator

    def masks(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Two masks (n, hidden), n <= POOL_ROWS."""
        return Windows(self.pool, self.places(1, 1, n)[0], n).masks(n)

    def places(self, steps: int, columns: int, n: int) -> torch.Tensor:
        """Where the windows (n, hidden) of steps start, (steps, columns, 2) on the CPU: as `masks` would draw them."""
        return torch.randint(POOL_ROWS - n + 1, (steps, columns, 2), generator=self.generator)


class Windows:
    """A step's dropout masks at `places` (columns, 2), or (columns, 2, k) for k members whose pools lie in one.

    On a GPU they are gathered, all at once, so that nobody waits for `places`; on the CPU a window is a view.
    """

    def __init__(self, pool: torch.Tensor, places: torch.Tensor, n: int) -> None:
        if pool.is_cuda or places.ndim > 2:
            rows = places.unsqueeze(-1) + torch.arange(n, device=pool.device)
            self._pairs = iter(pool.index_select(0, rows.flatten()).view(*rows.shape, pool.shape[1]))
        else:
            self._pairs = iter([[pool[start : start + n] for start in pair] for pair in places.tolist()])

    def masks(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The next column's two masks (n, hidden) or (k, n, hidden)."""
        first, second = next(self._pairs)
        return first, second
