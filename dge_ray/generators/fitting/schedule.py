"""How long fits with weights take by themselves, and the rates of their steps."""

import math

WARMUP = 0.3  # share of the steps in which the rate rises


def batch_size_for(rows: int) -> int:
    """The power of two nearest to rows / 64, from 32 to 512."""
    return int(min(512, max(32, 2 ** round(math.log2(max(rows, 1) / 64)))))


def epochs_for(rows: int, batch_size: int, *, least_epochs: int = 12, least_steps: int = 900) -> int:
    """Enough passes for `least_steps` steps, at least `least_epochs`."""
    return max(least_epochs, math.ceil(least_steps / max(1, rows // batch_size)))


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """A step's rate as a share of the highest: a cosine up from 1/25 over `warmup` of the steps, then one down to 0.

    Source: Smith & Topin 2018, super-convergence; the shape is that of torch's OneCycleLR.
    """
    peak = warmup * steps
    if step < peak:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * step / peak)) / 2
    return (1 + math.cos(math.pi * (step - peak) / max(steps - peak, 1))) / 2
