"""The two networks of the GAN, on weights that are handed in: what makes rows, and what tells them from real ones.

Both are those of Xu et al. 2019 (section 4.4): the maker's layers add their outputs to their inputs side by side, with
batch norm; the critic's have leaky ReLUs and dropout, and may see several rows at once (pac, Lin et al. 2018).
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from dge_ray.generators.flat_weights import Weights

LEAK = 0.2
EPSILON = 1e-5  # of batch norm

Moments = list[tuple[torch.Tensor, torch.Tensor]]
"""Each layer's mean and variance, (hidden,) both."""


@dataclass(frozen=True)
class Maker:
    """Noise and conditions (n, inputs) to outputs (n, outputs): scores, then logits."""

    inputs: int
    hidden: int
    layers: int
    outputs: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        shapes, width = {}, self.inputs
        for i in range(self.layers):
            shapes |= {f"{i}.W": (width, self.hidden), f"{i}.gain": (self.hidden,), f"{i}.shift": (self.hidden,)}
            width += self.hidden
        return shapes | {"out.W": (width, self.outputs), "out.b": (self.outputs,)}

    def __call__(self, w: Weights, x: torch.Tensor, moments: Moments | None = None) -> torch.Tensor:
        """Outputs (n, outputs), normalised by the batch's own moments, or by these: then rows do not affect another."""
        for i in range(self.layers):
            mean, variance = (None, None) if moments is None else moments[i]
            x = torch.cat([x, self._unit(w, i, x, mean, variance)], 1)
        return torch.addmm(w["out.b"], x, w["out.W"])

    def moments(self, w: Weights, x: torch.Tensor) -> Moments:
        """What batch norm sees on average: the moments of inputs (n, inputs) in each layer."""
        found: Moments = []
        with torch.no_grad():
            for i in range(self.layers):
                variance, mean = torch.var_mean(x @ w[f"{i}.W"], 0, correction=0)
                found.append((mean, variance))
                x = torch.cat([x, self._unit(w, i, x, mean, variance)], 1)
        return found

    def _unit(
        self, w: Weights, i: int, x: torch.Tensor, mean: torch.Tensor | None, variance: torch.Tensor | None
    ) -> torch.Tensor:
        normal = functional.batch_norm(
            x @ w[f"{i}.W"],
            mean,
            variance,
            w[f"{i}.gain"],
            w[f"{i}.shift"],
            training=mean is None,
            eps=EPSILON,
        )
        return functional.relu(normal)


@dataclass(frozen=True)
class Critic:
    """Rows with their conditions (n, inputs), `pac` at a time, to values (n / pac,)."""

    inputs: int
    hidden: int
    layers: int
    pac: int = 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        shapes, width = {}, self.inputs * self.pac
        for i in range(self.layers):
            shapes |= {f"{i}.W": (width, self.hidden), f"{i}.b": (self.hidden,)}
            width = self.hidden
        return shapes | {"out.W": (width, 1), "out.b": (1,)}

    def masks(self, n: int, dropout: float, random: torch.Generator) -> torch.Tensor | None:
        """What each layer's units are multiplied by, (layers, n / pac, hidden): 0, or 1 / (1 - dropout)."""
        if not dropout:
            return None
        shape = (self.layers, n // self.pac, self.hidden)
        kept = torch.rand(shape, generator=random, device=random.device) >= dropout
        return kept.float().div_(1 - dropout)

    def __call__(self, w: Weights, x: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        """Values (n / pac,)."""
        h = x.reshape(-1, self.inputs * self.pac)
        for i in range(self.layers):
            h = functional.leaky_relu(torch.addmm(w[f"{i}.b"], h, w[f"{i}.W"]), LEAK)
            if masks is not None:
                h = h * masks[i]
        return torch.addmm(w["out.b"], h, w["out.W"]).squeeze(1)

    def slopes(self, w: Weights, x: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        """The gradient of each value by its inputs, (n / pac, pac * inputs), which can itself be differentiated.

        Piecewise linear units have constant slopes, so it is a product of matrices: one backward pass instead of the
        double one that autograd would need. (The slopes' own gradient by the weights through the units' signs is 0.)
        """
        h, slopes = x.detach().reshape(-1, self.inputs * self.pac), []
        with torch.no_grad():
            for i in range(self.layers):
                h = torch.addmm(w[f"{i}.b"], h, w[f"{i}.W"])
                slope = torch.where(h > 0, 1.0, LEAK)
                if masks is not None:
                    slope = slope * masks[i]
                h = h * slope
                slopes.append(slope)
        along = w["out.W"].t()
        for i in reversed(range(self.layers)):
            along = (along * slopes[i]) @ w[f"{i}.W"].t()
        return along.expand(len(h), -1)

    def penalty(self, w: Weights, x: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        """Mean squared distance of the slopes' norms from 1 (Gulrajani et al. 2017)."""
        return ((self.slopes(w, x, masks).square().sum(1) + 1e-12).sqrt() - 1).square().mean()
