"""Does the interval of the expected calibration error hold, and how far off is its estimate?

    python experiments/dge2023/calibration.py [replicates=1500] [seed=0] --json FILE

A binary model says q, uniform on .6 to .999, where the truth is q - off: so the expected calibration error is `off`.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import run_rows

from dge_ray.stats.ensemble.uncertainty import calibration

SETTINGS = [(300, 0.0), (300, 0.02), (300, 0.05), (1000, 0.05), (2000, 0.1)]


def draw(n: int, off: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (n, 2) and classes (n,)."""
    q = generator.uniform(0.6, 0.999, n)
    return np.stack([q, 1 - q], axis=1), (generator.uniform(size=n) >= q - off).astype(int)


def run(replicates: int = 1500, seed: int = 0) -> list[dict]:
    rows = []
    for number, (n, off) in enumerate(SETTINGS):
        held, values, plain = [], [], []
        for replicate in range(replicates):
            stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, replicate)))
            found = calibration(*draw(n, off, stream), seed=replicate)
            held.append(found.ece[1] <= off <= found.ece[2])
            values.append(found.ece[0])
            plain.append(found.plain_ece)
        row = {"rows": n, "truth": off, "replicates": replicates, "held": np.mean(held)}
        rows.append(row | {"estimate": np.mean(values), "plain": np.mean(plain)})
    return rows


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
