"""Is it the features or the responses? Losses of one pipeline, trained on four variants of each member's rows.

    as_is        the member's rows
    reweighted   weighted by the density ratio of real to synthetic features
    redrawn      labels drawn from a response model of the real rows
    both         both

Members are paired over the variants and rows over everything, so that the differences are those of the variants alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dge_ray.stats.utility.gap import LEVEL, Difference, mean_difference

VARIANTS = ("as_is", "reweighted", "redrawn", "both")


@dataclass(frozen=True)
class Part:
    """A mean difference of losses with its two-way 95 % interval."""

    value: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, difference: Difference) -> "Part":
        return cls(difference.value, difference.interval())


@dataclass(frozen=True)
class Attribution:
    """`responses`: as_is - redrawn. `features`: as_is - reweighted, what the feature law costs this class; near 0 for a
    well specified one whatever the features. `residue`: both - real, what neither explains: estimation."""

    responses: Part
    features: Part
    residue: Part
    risks: dict[str, float]


def attribution(variants: Mapping[str, np.ndarray], real: np.ndarray) -> Attribution:
    """The parts. Shape: `variants[name]` (S, N) for each of VARIANTS, real (B, N)."""
    as_is = variants["as_is"]
    return Attribution(
        responses=Part.of(mean_difference(as_is - variants["redrawn"])),
        features=Part.of(mean_difference(as_is - variants["reweighted"])),
        residue=Part.of(mean_difference(variants["both"], real)),
        risks={name: float(variants[name].mean()) for name in VARIANTS},
    )


@dataclass(frozen=True)
class Misspecification:
    """Real risk of a class less that of a flexible learner, both trained on real rows. `lower`: the one-sided 95 %
    bound; `well_specified` where it is not above 0: no loss can be shown."""

    value: float
    lower: float
    well_specified: bool


def misspecification(fitted: np.ndarray, flexible: np.ndarray) -> Misspecification:
    """Shape: (B, N) losses of the class, (B', N) of the flexible learner, on the same rows."""
    difference = mean_difference(fitted, flexible)
    lower = difference.bounds(LEVEL)[0]
    return Misspecification(difference.value, lower, lower <= 0)
