"""How a generator is fitted privately where nobody says otherwise: settings of its own, batches, steps. No torch.

Tried out on bank_marketing and credit_default at epsilon 3 (experiments/privacy/README.dp.md), not on Adult.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dge_ray.errors import InputError
from dge_ray.generators.base import SETTINGS

ROWS_A_BATCH = 1 / 32  # of the rows a step, on average, ...
FEWEST, MOST = 64, 1024  # ... within these


@dataclass(frozen=True)
class PrivateWay:
    """A generator's private fit. settings: in place of its own defaults. unused: settings that then mean nothing.

    Its `batch_size` and `epochs`, where given, say how many rows a step has on average and how often it sees a row;
    `steps` how many there are.
    """

    settings: Mapping[str, Any]
    clip: float
    steps: int
    unused: frozenset[str] = field(default_factory=frozenset)


WAYS = {
    "autoregressive": PrivateWay(
        settings={"hidden": 32, "embedding": 8, "lr": 0.01, "bins": 64},
        clip=1.0,
        steps=600,
        unused=frozenset({"dropout", "weight_decay", "patience", "stop_on", "freeze", "budget_seconds"}),
    ),
    # Many draws and few steps: README.diffusion.md there.
    "diffusion": PrivateWay(
        settings={"bins": 64, "width": 128, "layers": 1, "batch_size": 2048, "lr": 0.01},
        clip=1.0,
        steps=150,
        unused=frozenset(
            {"formulation", "first", "last", "timesteps", "weight_decay", "ema", "patience", "budget_seconds"}
        ),
    ),
}


def private_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A generator's settings in a private fit, the given ones on top.

    Raises:
        InputError: one that a private fit does not use, or a generator that has none.
    """
    if name not in WAYS:
        raise InputError("generator", f"{name!r} with privacy.epsilon", " or ".join(sorted(WAYS)))
    way, takes = WAYS[name], f"no such setting with privacy.epsilon: a private fit of {name} has none"
    for key in settings:
        if key in way.unused:
            raise InputError(f"generator.{key}", repr(settings[key]), takes)
    return {**way.settings, **settings}


def private_steps(name: str, settings: Mapping[str, Any], n: int) -> tuple[float, float, int]:
    """The clip, the probability of a row in a step, and the steps, of a fit to n rows."""
    read = SETTINGS[name].read(settings)
    batch, epochs = getattr(read, "batch_size", None), getattr(read, "epochs", None)
    rows = min(n, batch or max(FEWEST, min(MOST, round(ROWS_A_BATCH * n))))
    rate = rows / n
    steps = getattr(read, "steps", None) or WAYS[name].steps
    return WAYS[name].clip, rate, max(1, round(epochs / rate)) if epochs else steps
