"""AdamW on a flat vector of weights with a moving average, a batch at a time: what the VAE's and the texts' fits share.

`descent.py` is for steps of one shape, which a GPU records; here a step is whatever its caller makes of it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from dge_ray.generators.fitting.adam import FusedAdam
from dge_ray.generators.fitting.flat_weights import FlatWeights


class AveragedAdam:
    """Steps of `weights`, whose moving average is what counts; `best`: the average that was kept last."""

    def __init__(self, weights: FlatWeights, *, weight_decay: float) -> None:
        self.weights, self.flat = weights, weights.flat
        self.flat.grad = weights.gradient  # which the end of a fit at another rate took away
        self.optimizer = FusedAdam(self.flat, betas=(0.9, 0.999), weight_decay=weight_decay)
        self.average, self.best = self.flat.clone(), self.flat.clone()
        self.done = 0

    def step(self, rate: float, *, span: float) -> None:
        """One step along the gradient at the learning rate `rate`; the average reaches back `span` steps."""
        self.optimizer.step(rate)
        self.done += 1
        self.average.lerp_(self.flat, max(1 / self.done, 1 / span))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A block in which the weights are their average."""
        current = self.flat.clone()
        self.flat.copy_(self.average)
        yield
        self.flat.copy_(current)

    def keep(self) -> None:
        self.best.copy_(self.average)

    def finish(self) -> None:
        """Put what was kept in place."""
        self.flat.grad = None
        self.flat.copy_(self.best)

    def state(self) -> dict[str, torch.Tensor]:
        moments = dict(self.optimizer.state("adam"))
        return {**self._vectors(), **moments, "step": torch.tensor(self.done)}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        for name, vector in self._vectors().items():
            vector.copy_(state[name])
        self.optimizer.restore("adam", state)
        self.done = int(state["step"])

    def _vectors(self) -> dict[str, torch.Tensor]:
        return {"weights": self.flat, "average": self.average, "best": self.best}


class AveragedFit:
    """What of a fit (rounds.RoundsFit) is kept, left in place, written down and gone on with, by its `descent`.

    `streams`: its random streams, by the names under which their states are written.
    """

    descent: AveragedAdam
    streams: dict[str, torch.Generator]

    def keep(self) -> None:
        self.descent.keep()

    def finish(self) -> None:
        self.descent.finish()

    def state(self) -> dict[str, torch.Tensor]:
        return {**self.descent.state(), **{name: stream.get_state() for name, stream in self.streams.items()}}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        self.descent.restore(state)
        for name, stream in self.streams.items():
            stream.set_state(state[name])
