"""The two networks of the GAN, on weights that are handed in: what makes rows, and what tells them from real ones.

Both are those of Xu et al. 2019 (section 4.4): the maker's layers add their outputs to their inputs side by side, with
batch norm (or without); the critic's have leaky ReLUs and dropout, and may see several rows at once (pac, Lin et al.
2018).
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from dge_ray.generators.fitting.flat_weights import FlatWeights, Weights

LEAK = 0.2
EPSILON = 1e-5  # of batch norm

Moments = list[tuple[torch.Tensor, torch.Tensor]]
"""Each layer's mean and variance, (hidden,) both."""


@dataclass(frozen=True)
class Maker:
    """Noise (n, latent) and conditions (n,) to outputs (n, outputs): scores, then logits.

    A layer sees the noise, the condition's one-hot vector and all layers before it. Its matrix is kept by what comes
    in, not by layer: what the noise gives to all layers and outputs is one product with `in.W`, what the condition
    gives is one row of `in.C`, and what layer i gives to all that follow is one product with `i.W`. No row is put
    together and no product has a one-hot vector in it.
    """

    latent: int
    conditions: int
    hidden: int
    layers: int
    outputs: int
    batch_norm: bool = True

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {"in.W": (self.latent, self._above(0)), "in.C": (self.conditions, self._above(0))}
        for i in range(self.layers):
            shapes[f"{i}.W"] = (self.hidden, self._above(i + 1))
            shapes |= {f"{i}.{name}": (self.hidden,) for name in (("gain", "shift") if self.batch_norm else ("b",))}
        return shapes | {"out.shift": (self.outputs,)}

    def _above(self, layer: int) -> int:
        """How many units there are from a layer on, outputs included."""
        return (self.layers - layer) * self.hidden + self.outputs

    def initialise(self, weights: FlatWeights, random: torch.Generator) -> None:
        """As one matrix a layer would be: uniform in +-1 / sqrt(all its inputs)."""
        weights.initialise(random)
        views = weights.views(weights.flat)
        for layer in range(self.layers + 1):
            inputs = self.latent + self.conditions + layer * self.hidden
            below = [(f"{i}.W", self.hidden) for i in range(layer)]
            for name, reach in [("in.W", self.latent), ("in.C", self.latent), *below]:
                first = views[name].shape[1] - self._above(layer)
                width = self.outputs if layer == self.layers else self.hidden
                views[name][:, first : first + width] *= math.sqrt(reach / inputs)

    def __call__(
        self, w: Weights, noise: torch.Tensor, places: torch.Tensor, moments: Moments | None = None
    ) -> torch.Tensor:
        """Outputs (n, outputs) float32, normalised by the batch's own moments, or by these: then rows do not affect
        another. `w` may be of another type."""
        rest = self._first(w, noise, places)
        for i in range(self.layers):
            before, rest = rest.split([self.hidden, self._above(i + 1)], 1)
            unit = self._unit(w, i, before, moments[i] if moments else (None, None))
            rest = torch.addmm(rest, unit, w[f"{i}.W"])
        return rest.float() + w["out.shift"]

    def moments(self, w: Weights, noise: torch.Tensor, places: torch.Tensor) -> Moments:
        """What batch norm sees on average: the moments of these inputs in each layer; none without it."""
        moments: Moments = []
        with torch.no_grad():
            rest = self._first(w, noise, places)
            for i in range(self.layers if self.batch_norm else 0):
                before, rest = rest.split([self.hidden, self._above(i + 1)], 1)
                variance, mean = torch.var_mean(before, 0, correction=0)
                moments.append((mean, variance))
                rest = torch.addmm(rest, self._unit(w, i, before, moments[i]), w[f"{i}.W"])
        return moments

    def _first(self, w: Weights, noise: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        noise = noise.to(w["in.W"].dtype)
        if not self.conditions:
            return noise @ w["in.W"]
        return torch.addmm(w["in.C"].index_select(0, places), noise, w["in.W"])

    def _unit(
        self, w: Weights, i: int, before: torch.Tensor, moments: tuple[torch.Tensor | None, torch.Tensor | None]
    ) -> torch.Tensor:
        if not self.batch_norm:
            return functional.relu(before + w[f"{i}.b"])
        mean, variance = moments
        normal = functional.batch_norm(
            before.float(),
            mean,
            variance,
            w[f"{i}.gain"],
            w[f"{i}.shift"],
            training=mean is None,
            eps=EPSILON,
        )
        return functional.relu(normal.to(before.dtype))


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

    def masks(
        self, n: int, dropout: float, random: torch.Generator, kind: torch.dtype = torch.float32
    ) -> torch.Tensor | None:
        """What each layer's units are multiplied by, (layers, n / pac, hidden): 0, or 1 / (1 - dropout)."""
        if not dropout:
            return None
        shape = (self.layers, n // self.pac, self.hidden)
        # 16 random bits a unit: with a uniform number each, a step of the published networks takes a fifth longer.
        draws = torch.empty(-(-math.prod(shape) // 4), dtype=torch.int64, device=random.device)
        bits = draws.random_(-(2**63), None, generator=random).view(torch.int16)[: math.prod(shape)].view(shape)
        least = round(dropout * 2**16) - 2**15  # of those that are kept
        return bits.clamp_(least - 1, least).sub_(least - 1).to(kind).div_(1 - dropout)

    def __call__(self, w: Weights, x: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        """Values (n / pac,) float32. `w` may be of another type, which masks then have too."""
        h = x.to(w["out.W"].dtype).reshape(-1, self.inputs * self.pac)
        for i in range(self.layers):
            h = functional.leaky_relu(torch.addmm(w[f"{i}.b"], h, w[f"{i}.W"]), LEAK)
            if masks is not None:
                h = h * masks[i]
        return torch.addmm(w["out.b"], h, w["out.W"]).squeeze(1).float()

    def slopes(self, w: Weights, x: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        """The gradient of each value by its inputs, (n / pac, pac * inputs), which can itself be differentiated.

        Piecewise linear units have constant slopes, so it is a product of matrices: one backward pass instead of the
        double one that autograd would need. (The slopes' own gradient by the weights through the units' signs is 0.)
        """
        h, slopes = x.detach().to(w["out.W"].dtype).reshape(-1, self.inputs * self.pac), []
        with torch.no_grad():
            for i in range(self.layers):
                h = torch.addmm(w[f"{i}.b"], h, w[f"{i}.W"])
                above = torch.ones_like(h) if masks is None else masks[i]
                slopes.append(torch.ops.aten.leaky_relu_backward(above, h, LEAK, False))
                h = h * slopes[i]
        along = w["out.W"].t()
        for i in reversed(range(self.layers)):
            along = (along * slopes[i]) @ w[f"{i}.W"].t()
        return along.expand(len(h), -1)

    def penalty(self, w: Weights, x: torch.Tensor, masks: torch.Tensor | None = None) -> torch.Tensor:
        """Mean squared distance of the slopes' norms from 1 (Gulrajani et al. 2017)."""
        return (torch.linalg.vector_norm(self.slopes(w, x, masks).float(), dim=1) - 1).square().mean()
