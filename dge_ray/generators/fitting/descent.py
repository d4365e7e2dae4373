"""AdamW on a flat vector of weights, at planned rates, with a moving average: what token and diffusion fits share."""

from collections.abc import Callable, Mapping, Sequence

import torch

from dge_ray.generators.fitting.adam import FusedAdam
from dge_ray.generators.fitting.replay import Replay, fast_products, stage


class Descent:
    """Steps of `flat` (any shape, float32) along the gradients that `lose` leaves in `gradient`.

    Args:
        lose: leaves the step's gradient in `gradient` and gives its losses, of shape `losses`; it is told which step
            of the round it is, (1,) int64 on the device, and must not wait for the device.
        steps: of a round.
        held: views of `flat` and the values that they keep.

    Nothing is read back from the device but the losses, once a round. A step is recorded on a GPU (replay.py); rates
    are tables on the device for that reason.
    """

    def __init__(
        self,
        flat: torch.Tensor,
        gradient: torch.Tensor,
        lose: Callable[[torch.Tensor], torch.Tensor],
        *,
        steps: int,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        losses: tuple[int, ...] = (),
        held: Sequence[tuple[torch.Tensor, torch.Tensor]] = (),
    ) -> None:
        self.flat, self.lose, self.steps, self.held = flat, lose, steps, held
        device = flat.device
        exact = torch.float64 if device.type == "cpu" else torch.float32  # what fused AdamW reads a rate as
        self.rate = torch.zeros((), dtype=exact, device=device)
        self.rates = torch.zeros(steps, dtype=exact, device=device)
        self.shares = torch.zeros(steps, device=device)
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        self.total = torch.zeros(losses, dtype=torch.float64, device=device)
        flat.grad = gradient
        self.optimizer = FusedAdam(flat, betas=betas, weight_decay=weight_decay)
        self.average, self.best = flat.clone(), flat.clone()
        self.step = Replay(self._step, self._changed, device)

    def plan(self, rates: Sequence[float], shares: Sequence[float]) -> None:
        """Begin a round: each step's rate, and the share of the average that its weights take."""
        stage(self.rates, torch.tensor(rates, dtype=self.rates.dtype))
        stage(self.shares, torch.tensor(shares))
        self.at.zero_()
        self.total.zero_()

    def mean_losses(self) -> torch.Tensor:
        """The round's losses a step, float64 on the CPU."""
        return self.total.cpu() / self.steps

    def keep(self) -> None:
        self.best.copy_(self.average)

    def finish(self) -> None:
        """Put what was kept in place."""
        self.flat.grad, self.step.graph = None, None
        self.flat.copy_(self.best)

    def state(self) -> dict[str, torch.Tensor]:
        moments = self.optimizer.state("adam")
        return {"weights": self.flat, "average": self.average, "best": self.best, **dict(moments)}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        for name, value in self.state().items():
            value.copy_(state[name])

    def _changed(self) -> list[torch.Tensor]:
        return [self.flat, self.average, self.at, self.total, *self.optimizer.moments.values()]

    def _step(self) -> None:
        with fast_products(self.flat.device):
            losses = self.lose(self.at)
        self.total += losses
        self.rate.copy_(self.rates.index_select(0, self.at).squeeze(0))
        self.optimizer.step(self.rate)
        for view, value in self.held:
            view.copy_(value)
        self.average.lerp_(self.flat, self.shares.index_select(0, self.at).squeeze(0))
        self.at += 1
