"""Several networks of the same shape as one program: every product is a batched one, with a leading member axis.

At the default size one network's products keep a small part of a GPU busy, and a step is bound by its launches.
"""

from collections.abc import Sequence

import torch

from dge_ray.generators.autoregressive.network import Masks, TokenNetwork, cross_entropy


class StackedNetwork:
    """k networks over the same tokens. `flat` and `flat_gradient` (k, p) hold a network's weights in a row, and
    `weights[name]` and `gradients[name]` (k, ...) are views of them."""

    def __init__(self, networks: Sequence[TokenNetwork]) -> None:
        first = networks[0]
        self.widths, self.starts, self.shapes = first.widths, first.starts, first.shapes
        self.flat = torch.stack([network.flat for network in networks])
        self.flat_gradient = torch.zeros_like(self.flat)
        self.weights = self._views(self.flat)
        self.gradients = self._views(self.flat_gradient)

    def _views(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = flat.split([shape.numel() for shape in map(torch.Size, self.shapes.values())], dim=1)
        return {name: part.unflatten(1, shape) for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)}

    def loss_and_gradients(self, tokens: torch.Tensor, dropout: Masks) -> torch.Tensor:
        """`TokenNetwork.loss_and_gradients` of every member, (k,), over its own batch: tokens (k, d, n)."""
        w, g, (k, d, n) = self.weights, self.gradients, tokens.shape
        at = [tokens[:, j, :, None].expand(k, n, self.widths[j]) for j in range(d - 1)]  # in an embedding's rows
        inputs = [slice(self.starts[j], self.starts[j + 1]) for j in range(d - 1)]
        x = torch.empty(k, n, self.starts[-2], device=tokens.device)
        for j in range(d - 1):
            x[:, :, inputs[j]] = w[f"{j}.embed"].gather(1, at[j])
        dx = torch.zeros_like(x)
        nats = torch.zeros(k, n, device=tokens.device)
        for j, column in enumerate(tokens.unbind(1)):
            if j == 0:
                dz = cross_entropy(w["0.c"].unsqueeze(1).repeat(1, n, 1), column, nats)
                torch.sum(dz, 1, out=g["0.c"])
                continue
            seen = x[:, :, : self.starts[j]]
            first, second = dropout.masks(n)
            h1 = _affine(seen, w[f"{j}.A"], w[f"{j}.a"]).relu_().mul_(first)
            r2 = _affine(h1, w[f"{j}.B"], w[f"{j}.b"]).relu_()
            h2 = torch.add(h1, r2).mul_(second)
            dz = cross_entropy(_affine(h2, w[f"{j}.C"], w[f"{j}.c"]), column, nats)
            torch.bmm(h2.mT, dz, out=g[f"{j}.C"])
            torch.sum(dz, 1, out=g[f"{j}.c"])
            dh = torch.bmm(dz, w[f"{j}.C"].mT).mul_(second)
            dr = torch.ops.aten.threshold_backward(dh, r2, 0)
            torch.bmm(h1.mT, dr, out=g[f"{j}.B"])
            torch.sum(dr, 1, out=g[f"{j}.b"])
            dh.baddbmm_(dr, w[f"{j}.B"].mT).mul_(first)
            dh = torch.ops.aten.threshold_backward(dh, h1, 0)
            torch.bmm(seen.mT, dh, out=g[f"{j}.A"])
            torch.sum(dh, 1, out=g[f"{j}.a"])
            dx[:, :, : self.starts[j]].baddbmm_(dh, w[f"{j}.A"].mT)
        for j in range(d - 1):
            g[f"{j}.embed"].zero_().scatter_add_(1, at[j], dx[:, :, inputs[j]])
        return nats.mean(1)


def _affine(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """x (k, n, i) times weight (k, i, o), plus bias (k, o)."""
    return torch.baddbmm(bias.unsqueeze(1), x, weight)
