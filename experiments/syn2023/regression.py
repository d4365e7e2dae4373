"""The simulated regression of Shen, Liu and Shen 2023 (the authors' code): seven uniform features, sigma .2."""

import numpy as np
import pyarrow as pa

from dge_ray.seeds import Purpose, numpy_generator

TRUE, FIT, TUNE = 0, 1, 2  # what rows are for: members of their random streams
NOISE = 0.2


def expected(x: np.ndarray) -> np.ndarray:
    """E[y|x] (n,) of x (7, n)."""
    return 8 + x[0] ** 2 + x[1] * x[2] + np.cos(x[3]) + np.exp(x[4] * x[5]) + 0.1 * x[6]


def simulated(n: int, seed: int, *, purpose: int, index: int = 0) -> pa.Table:
    """n rows, columns x1..x7 and the target y."""
    rng = numpy_generator(seed, Purpose.SPLIT, member=purpose, index=index)
    x = rng.random((7, n))
    y = expected(x) + NOISE * rng.standard_normal(n)
    return pa.table({**{f"x{j + 1}": x[j] for j in range(7)}, "y": y})
