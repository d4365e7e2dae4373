"""One line of a coverage table: what is claimed, where, and how often it held."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def claim(
    name: str,
    setting: str,
    target: str,
    held: Sequence[bool],
    widths: Sequence[float],
    *,
    level: float = 0.95,
    holds: bool = True,
) -> dict[str, Any]:
    """`held`: whether the interval of each replicate held the target. `holds`: false where the page says that the claim
    does not hold there. `mcse`: the Monte Carlo standard error of `covered`."""
    share = float(np.mean(held))
    return {
        "claim": name,
        "setting": setting,
        "target": target,
        "level": level,
        "covered": share,
        "mcse": float(np.sqrt(max(share * (1 - share), 0.25 / len(held)) / len(held))),
        "width": float(np.mean(widths)),
        "replicates": len(held),
        "holds": holds,
    }
