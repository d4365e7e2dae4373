"""Fine-tuning at several learning rates: the best so far, kept together with the state of the fit under way."""

import math
from typing import Any

import numpy as np
import torch

from dge_ray.generators.base import Keeper
from dge_ray.generators.fitting.rounds import pack, unpack

FINE_TUNING_RATES = (1.0, 0.3, 0.1, 0.03)  # of `lr`: which one suits depends on how alike the two tables are
STATE, ARRAY = "state", "array."  # names of what is kept: the bytes of a fit's state, and the best model's arrays


class Tuning:
    """The rates that are done, and the arrays, JSON values and history of the one with the best held-out loss.

    It is itself a `Keeper`, of the next rate's fit: it writes that fit's state to `keeper` with what it holds, so that
    a fine-tuning of the same `identity` goes on at the rate where it was cut off.
    """

    def __init__(self, keeper: Keeper, identity: str) -> None:
        self.keeper, self.identity = keeper, identity
        self.done, self.best = 0, math.inf
        self.arrays: dict[str, np.ndarray] = {}
        self.extra: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self._state: bytes | None = None
        data = keeper.read()
        kept = None if data is None else unpack(data)
        if kept is None or kept[1]["identity"] != identity:
            return
        tensors, facts = kept
        self.done, self.best, self.extra, self.history = (facts[key] for key in ("done", "best", "extra", "history"))
        self.arrays = {k.removeprefix(ARRAY): v.numpy() for k, v in tensors.items() if k.startswith(ARRAY)}
        if STATE in tensors:
            self._state = tensors[STATE].numpy().tobytes()

    def add(self, rate: float, history: list[dict[str, Any]], arrays: dict[str, np.ndarray], extra: Any) -> None:
        """A rate's fit is over: its model and history. Without held-out losses the first rate stands."""
        scores = [record["heldout"] for record in history if record["heldout"] is not None]
        if not self.done or min(scores) < self.best:
            self.best, self.history = min(scores, default=self.best), [{**record, "rate": rate} for record in history]
            self.arrays, self.extra = {name: array.copy() for name, array in arrays.items()}, extra
        self.done = self.done + 1 if scores else len(FINE_TUNING_RATES)
        self.clear()

    def due(self) -> bool:
        return self.keeper.due()

    def read(self) -> bytes | None:
        return self._state

    def write(self, state: bytes) -> None:
        tensors = {ARRAY + name: torch.from_numpy(array) for name, array in self.arrays.items()}
        if state:
            tensors[STATE] = torch.frombuffer(bytearray(state), dtype=torch.uint8)
        facts = {key: vars(self)[key] for key in ("identity", "done", "best", "extra", "history")}
        self._state = state or None
        self.keeper.write(pack(tensors, facts))

    def clear(self) -> None:
        """Forget the fit under way, not the rates that are done."""
        self.write(b"")


class Nowhere:
    """A keeper that keeps nothing."""

    def due(self) -> bool:
        return False

    def read(self) -> None:
        return None

    def write(self, state: bytes) -> None:
        pass

    def clear(self) -> None:
        pass
