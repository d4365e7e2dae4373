"""The networks of the diffusion generator: MLPs whose weights are views of one flat vector."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import layer_norm, linear, relu, silu

from dge_ray.generators.fitting.precision import compute_type

TIME_FEATURES = 128  # of the published network


class FlatNetwork(ABC):
    """A network as a function of its weights: `flat` (p,) float32, cut into `shapes` by name.

    Matrices are products in `compute_type`; what comes out is float32.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], *, device: str) -> None:
        self.shapes, self.device = shapes, torch.device(device)
        self.type = compute_type(self.device)
        self.flat = torch.zeros(sum(math.prod(shape) for shape in shapes.values()), device=self.device)

    def views(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """The weights by name."""
        parts = flat.split([math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(shape) for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)}

    def initialise(self, generator: torch.Generator) -> None:
        """Random matrices of variance 1 / inputs, drawn on the CPU; biases and the head are zero."""
        for name, weights in self.views(self.flat).items():
            weights.zero_()
            if weights.ndim == 2 and weights.numel() and name != "head.A":
                weights.copy_(torch.randn(weights.shape, generator=generator) * weights.shape[1] ** -0.5)

    @abstractmethod
    def __call__(self, flat: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor: ...


class ResidualMlp(FlatNetwork):
    """x (n, inputs) -> (n, outputs): a linear map, `layers` blocks h + B silu(A norm(h)), a norm, a linear map."""

    def __init__(self, inputs: int, outputs: int, *, width: int, layers: int, device: str) -> None:
        shapes: dict[str, tuple[int, ...]] = {"in.A": (width, inputs), "in.a": (width,)}
        for j in range(layers):
            shapes |= {f"{j}.A": (width, width), f"{j}.a": (width,), f"{j}.B": (width, width), f"{j}.b": (width,)}
        super().__init__(shapes | {"head.A": (outputs, width), "head.a": (outputs,)}, device=device)
        self.layers = layers

    def __call__(self, flat: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        return self._forward(flat, inputs[0], linear)

    def traced(self, flat: torch.Tensor, inputs: torch.Tensor) -> tuple[torch.Tensor, list["Seen"]]:
        """`self(flat, inputs)`, and what its linear layers saw, in the order in which their weights lie in `flat`."""
        seen = []

        def layer(h: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            out = linear(h, matrix, bias)
            if not out.requires_grad:  # the first: gradients end here, as neither rows nor weights want any
                out.requires_grad_()
            seen.append(Seen(h.detach(), out))
            return out

        return self._forward(flat, inputs, layer), seen

    def _forward(self, flat: torch.Tensor, x: torch.Tensor, layer: Callable[..., torch.Tensor]) -> torch.Tensor:
        w = self.views(flat.to(self.type))
        h = layer(x.to(self.type), w["in.A"], w["in.a"])
        for j in range(self.layers):
            inner = silu(layer(layer_norm(h, h.shape[1:]), w[f"{j}.A"], w[f"{j}.a"]))
            h = h + layer(inner, w[f"{j}.B"], w[f"{j}.b"])
        return layer(layer_norm(h, h.shape[1:]), w["head.A"], w["head.a"]).float()


class Seen(NamedTuple):
    """A linear layer's inputs (n, in) and outputs (n, out), these being part of a graph."""

    inputs: torch.Tensor
    outputs: torch.Tensor


class PublishedMlp(FlatNetwork):
    """TabDDPM's: x (n, inputs), time features (n, 128) and classes' one-hot (n, classes) -> (n, outputs).

    A linear map of x to 128, plus Linear-SiLU-Linear of the time, plus SiLU of the class's embedding; then hidden
    layers Linear-ReLU of `widths`, and a linear head. Source: Kotelnikov et al. 2023, TabDDPM, sections 3 and B.
    """

    def __init__(self, inputs: int, outputs: int, classes: int, *, widths: list[int], device: str) -> None:
        k = TIME_FEATURES
        shapes: dict[str, tuple[int, ...]] = {"in.A": (k, inputs), "in.a": (k,), "class": (k, classes)}
        shapes |= {"time.A": (k, k), "time.a": (k,), "time.B": (k, k), "time.b": (k,)}
        for j, (before, width) in enumerate(zip([k, *widths], widths, strict=False)):
            shapes |= {f"{j}.A": (width, before), f"{j}.a": (width,)}
        super().__init__(shapes | {"head.A": (outputs, widths[-1]), "head.a": (outputs,)}, device=device)
        self.layers = len(widths)

    def __call__(self, flat: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        w = self.views(flat.to(self.type))
        x, time, classes = (part.to(self.type) for part in inputs)
        time = linear(silu(linear(time, w["time.A"], w["time.a"])), w["time.B"], w["time.b"])
        h = linear(x, w["in.A"], w["in.a"]) + time + silu(linear(classes, w["class"]))
        for j in range(self.layers):
            h = relu(linear(h, w[f"{j}.A"], w[f"{j}.a"]))
        return linear(h, w["head.A"], w["head.a"]).float()


def time_features(time: torch.Tensor, count: int, longest: float) -> torch.Tensor:
    """Cosines and sines (n, count) of times (n,), with periods from 2 pi to 2 pi `longest` in equal ratios."""
    half = count // 2
    frequency = torch.exp(-math.log(longest) * torch.arange(half, device=time.device) / half)
    phase = time[:, None] * frequency
    return torch.cat([phase.cos(), phase.sin()], 1)
