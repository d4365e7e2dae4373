"""Weights as views of one flat vector: one optimiser call, one file entry, one average for a whole network."""

import math
from collections.abc import Mapping

import torch

Weights = dict[str, torch.Tensor]


class FlatWeights:
    """A network's weights by name. A name's last part says what it is: W (inputs, outputs) and b (outputs,) of a linear
    map, C (categories, outputs) the rows of the same map that a one-hot input would pick, `gain` and `shift` (units,)
    of a normalisation, anything else a vector that starts at 0.

    `weights[name]` are leaves of autograd whose values are views of `flat` and whose gradients are views of `gradient`,
    both (p,) float32; a backward pass adds to `gradient`.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], device: str = "cpu") -> None:
        self.shapes = dict(shapes)
        self.flat = torch.zeros(sum(math.prod(shape) for shape in self.shapes.values()), device=device)
        self.gradient = torch.zeros_like(self.flat)
        self.weights = self.views(self.flat)
        for leaf, gradient in zip(self.weights.values(), self.views(self.gradient).values(), strict=True):
            leaf.requires_grad_()
            leaf.grad = gradient
        self.flat.grad = self.gradient

    def views(self, flat: torch.Tensor) -> Weights:
        """Another vector (p,) seen as weights by name."""
        parts = flat.split([math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(shape).detach() for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)}

    def cast(self, kind: torch.dtype) -> Weights:
        """The leaves as another type, through which their gradients come back; normalisations stay float32."""
        return {n: w if n.endswith((".gain", ".shift")) else w.to(kind) for n, w in self.weights.items()}

    def initialise(self, random: torch.Generator) -> None:
        """Linear maps uniform in +-1 / sqrt(inputs), gains 1, the rest 0. `random` is a CPU stream."""
        for name, view in self.views(self.flat).items():
            kind = name.rpartition(".")[2]
            if kind in ("W", "C", "b"):
                reach = 1 / math.sqrt(self.shapes[name.removesuffix(kind) + "W"][0] or 1)
                view.copy_((torch.rand(view.shape, generator=random) * 2 - 1) * reach)
            else:
                view.fill_(float(kind == "gain"))

    def clip(self, most: float) -> None:
        """Shrink the gradient to a norm of at most `most`."""
        self.gradient.mul_((most / self.gradient.norm().clamp_min(1e-12)).clamp_max(1.0))
