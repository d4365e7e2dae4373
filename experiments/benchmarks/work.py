"""What a step and a sampled row ask of the processor: products counted from layer shapes, bytes and calls as seen."""

import math
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dge_ray.generators.autoregressive.generator import TokenModel
from dge_ray.generators.diffusion.edm import Edm
from dge_ray.generators.diffusion.generator import DiffusionModel

LOOKED_UP = ("index_select", "gather", "index")  # these read what they give, not the whole table


def fit_flops(model: TokenModel | DiffusionModel) -> int:
    """Floating-point operations of matrix products a row of a training batch: forward, and both gradients."""
    if isinstance(model, TokenModel):
        return 3 * sum(_column_flops(model, j, looked_up=False) for j in range(1, len(model.network.sizes)))
    process = _edm(model)
    whole = sum(2 * math.prod(shape) for shape in process.network.shapes.values() if len(shape) == 2)
    first = 2 * math.prod(process.network.shapes["in.A"])
    return 3 * whole - first + _belief_flops(process)  # the input has no gradient


def sample_flops(model: TokenModel | DiffusionModel) -> int:
    """The same, a sampled row."""
    if isinstance(model, TokenModel):
        looked_up = model.sampler.tables is not None
        return sum(_column_flops(model, j, looked_up=looked_up) for j in range(1, len(model.network.sizes)))
    process = _edm(model)
    once = sum(2 * math.prod(shape) for shape in process.network.shapes.values() if len(shape) == 2)
    expected = sum(2 * vectors.numel() for vectors in process.vectors)
    return process.steps * (once + _belief_flops(process)) + (process.steps - 1) * expected


def _column_flops(model: TokenModel, j: int, *, looked_up: bool) -> int:
    """Column j's three products; the first is a sum of table rows where it is looked up."""
    shapes = model.network.shapes
    names = ("B", "C") if looked_up else ("A", "B", "C")
    return sum(2 * math.prod(shapes[f"{j}.{name}"]) for name in names)


def _belief_flops(process: Edm) -> int:
    """Products with code vectors that are no unit vectors: there and back."""
    return sum(4 * vectors.numel() for vectors in process.vectors if vectors.shape[0] != vectors.shape[1])


def _edm(model: DiffusionModel) -> Edm:
    assert isinstance(model.process, Edm), "counted for formulation=edm"
    return model.process


class Traffic(TorchDispatchMode):
    """Bytes that operations read and write, each operand once, and how many operations there are but for views.

    What caches keep from one operation to the next is counted all the same: a rate of these bytes may exceed the
    memory's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.calls = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            read, written = _tensors((args, kwargs or {})), _tensors(out)
            name = func.overloadpacket.__name__
            if name == "_embedding_bag_forward_only":
                indices, width = args[1], args[0].shape[1]
                self.bytes += (indices.numel() * width + written[0].numel()) * written[0].element_size()
                self.bytes += _bytes([indices])
            else:
                self.bytes += _bytes(written) * (2 if name in LOOKED_UP else 1)
                self.bytes += _bytes(read[1:] if name in LOOKED_UP else read)
            self.calls += 1
        return out


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
