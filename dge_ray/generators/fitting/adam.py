"""Adam and AdamW of one flat vector, by torch's fused kernel."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

EPSILON = 1e-8


class FusedAdam:
    """Steps of `flat` (any shape, float32) along `flat.grad`. `decoupled`: weights decay beside the gradient (AdamW).

    torch.optim's classes call the same kernel, to the same bits, but the first one that is made imports torch's
    compiler: 1.5 CPU-seconds in each process that fits a generator.
    """

    def __init__(
        self, flat: torch.Tensor, *, betas: tuple[float, float], weight_decay: float, decoupled: bool = True
    ) -> None:
        self.flat, self.betas, self.weight_decay = flat, betas, weight_decay
        self._kernel: Any = torch.ops.aten._fused_adamw_ if decoupled else torch.ops.aten._fused_adam_
        self.moments = {"step": torch.zeros((), device=flat.device)}
        self.moments |= {name: torch.zeros_like(flat) for name in ("exp_avg", "exp_avg_sq")}

    def step(self, lr: float | torch.Tensor) -> None:
        """One step at a rate; a tensor () on the device is read there."""
        assert self.flat.grad is not None
        self.moments["step"] += 1
        self._kernel(
            [self.flat],
            [self.flat.grad],
            [self.moments["exp_avg"]],
            [self.moments["exp_avg_sq"]],
            [],
            [self.moments["step"]],
            lr=lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def state(self, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
        """The moments by name."""
        return ((f"{prefix}.{name}", value) for name, value in self.moments.items())

    def restore(self, prefix: str, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what `state` gave."""
        for name, value in self.moments.items():
            value.copy_(state[f"{prefix}.{name}"])
