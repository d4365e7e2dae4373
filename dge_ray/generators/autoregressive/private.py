"""Sums of clipped per-row gradients of the autoregressor, without a gradient a row.

Every weight but the embeddings is used once a row, in a product: the row's gradient is an outer product of its input a
and what comes back g, of squared norm |g|^2 |a|^2 (a bias: |g|^2), which needs no outer product (Goodfellow 2015). A
column's embedding is used once a row too: |dx_j|^2. So a block of rows goes through the network once, norms are summed
on the way, and the sums are the usual matrix products with each g multiplied by its row's factor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dge_ray.generators.autoregressive.network import TokenNetwork, cross_entropy
from dge_ray.generators.private.rounds import blocks, clip_factors

BLOCK = 1024  # rows whose activations are in memory at once


@dataclass
class Pass:
    """What one column's products need: activations h1, h2 and what comes back dh, dr, dz, each (b, width)."""

    h1: torch.Tensor
    h2: torch.Tensor
    dh: torch.Tensor
    dr: torch.Tensor
    dz: torch.Tensor


def clipped_sum(
    network: TokenNetwork, tokens: torch.Tensor, rows: torch.Tensor, clip: float, weights: Sequence[float]
) -> torch.Tensor:
    """The sum (p,) over `rows` (b,) of tokens (d, n) of the gradients of a row's loss, each cut to the norm `clip`.

    The loss is the columns' -log p(token | those before it), with `weights` (d,). The sum is
    `network.flat_gradient`, which the next call overwrites.
    """
    network.flat_gradient.zero_()
    for block in blocks(rows, BLOCK):
        _add_block(network, tokens.index_select(1, block).long(), clip, weights)
    return network.flat_gradient


def learned_weights(network: TokenNetwork) -> torch.Tensor:
    """1 (p,) where a weight means something, 0 in the padding of outputs: no noise shall move that."""
    learned = torch.ones_like(network.flat)
    views = learned.split([view.numel() for view in network.weights.values()])
    for part, (name, view) in zip(views, network.weights.items(), strict=True):
        column, _, kind = name.partition(".")
        if kind in ("C", "c"):
            part.view(view.shape)[..., network.sizes[int(column)] :] = 0.0
    return learned


def _add_block(network: TokenNetwork, tokens: torch.Tensor, clip: float, weights: Sequence[float]) -> None:
    w, g, starts, b = network.weights, network.gradients, network.starts, tokens.shape[1]
    x = network.embed(tokens)
    lengths = torch.stack([_square(x[:, starts[j] : starts[j + 1]]) for j in range(len(tokens) - 1)]).cumsum(0)
    dx = torch.zeros_like(x)
    nats = torch.zeros(b, device=network.device)
    first = cross_entropy(network.logits(0, x).clone(), tokens[0], nats).mul_(b * weights[0])  # of sums, not means
    norms = _square(first)
    passes = []
    for j in range(1, len(tokens)):
        seen = x[:, : starts[j]]
        h1 = torch.addmm(w[f"{j}.a"], seen, w[f"{j}.A"]).relu_()
        r2 = torch.addmm(w[f"{j}.b"], h1, w[f"{j}.B"]).relu_()
        h2 = h1 + r2
        dz = cross_entropy(torch.addmm(w[f"{j}.c"], h2, w[f"{j}.C"]), tokens[j], nats).mul_(b * weights[j])
        dh = torch.mm(dz, w[f"{j}.C"].t())
        dr = torch.ops.aten.threshold_backward(dh, r2, 0)
        dh.addmm_(dr, w[f"{j}.B"].t())
        dh = torch.ops.aten.threshold_backward(dh, h1, 0)
        dx[:, : starts[j]].addmm_(dh, w[f"{j}.A"].t())
        norms += _square(dh) * (lengths[j - 1] + 1) + _square(dr) * (_square(h1) + 1) + _square(dz) * (_square(h2) + 1)
        passes.append(Pass(h1, h2, dh, dr, dz))
    norms += _square(dx)
    finite = norms.isfinite()
    if not finite.all():  # a factor of 0 would not do: 0 times infinity is no number, in all weights
        _add_block(network, tokens[:, finite], clip, weights)
        return
    factors = clip_factors(norms, clip)[:, None]
    g["0.c"] += first.mul_(factors).sum(0)
    for j, of in enumerate(passes, 1):
        for name, entered, back in (("A", x[:, : starts[j]], of.dh), ("B", of.h1, of.dr), ("C", of.h2, of.dz)):
            back.mul_(factors)
            g[f"{j}.{name}"].addmm_(entered.t(), back)
            g[f"{j}.{name.lower()}"] += back.sum(0)
    dx.mul_(factors)
    for j in range(len(tokens) - 1):
        g[f"{j}.embed"].index_add_(0, tokens[j], dx[:, starts[j] : starts[j + 1]])


def _square(rows: torch.Tensor) -> torch.Tensor:
    """Squared lengths (b,) of rows (b, width)."""
    return torch.linalg.vecdot(rows, rows)
