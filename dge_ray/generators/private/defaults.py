"""How a generator is fitted privately where nobody says otherwise: settings of its own, batches, steps. No torch.

What is a generator's own of it stands with its abilities (`PrivateWay`).
"""

from collections.abc import Mapping
from typing import Any

from dge_ray.errors import InputError
from dge_ray.generators.abilities import PrivateWay
from dge_ray.generators.registry import REGISTRY, abilities, names_with, settings_class

ROWS_A_BATCH = 1 / 32  # of the rows a step, on average, ...
FEWEST, MOST = 64, 1024  # ... within these


def private_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A generator's settings in a private fit, the given ones on top.

    Raises:
        InputError: one that a private fit does not use, or a generator that has none.
    """
    way, takes = _way(name), f"no such setting with privacy.epsilon: a private fit of {name} has none"
    for key in settings:
        if key in way.unused:
            raise InputError(f"generator.{key}", repr(settings[key]), takes)
    return {**way.settings, **settings}


def private_steps(name: str, settings: Mapping[str, Any], n: int) -> tuple[float, float, int]:
    """The clip, the probability of a row in a step, and the steps, of a fit to n rows."""
    way, read = _way(name), settings_class(name).read(settings)
    if way.whole:
        return way.clip, 1.0, way.steps
    batch, epochs = getattr(read, "batch_size", None), getattr(read, "epochs", None)
    rows = min(n, batch or max(FEWEST, min(MOST, round(ROWS_A_BATCH * n))))
    rate = rows / n
    steps = getattr(read, "steps", None) or way.steps
    return way.clip, rate, max(1, round(epochs / rate)) if epochs else steps


def _way(name: str) -> PrivateWay:
    way = abilities(name).private if name in REGISTRY else None
    if way is None:
        raise InputError("generator", f"{name!r} with privacy.epsilon", " or ".join(names_with(lambda a: a.private)))
    return way
