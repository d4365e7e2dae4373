"""Coverage of U of the ensemble, and how often a verdict passes falsely.

    python experiments/coverage/utility.py [replicates=400] [seed=0] --json FILE

Members, real fits and test rows are drawn for each replicate, by the laws of `risks.py`; a real fit errs as a member's
own model does, so that the ensemble is better than it. False PASS is asked at the margin where it is hardest: the true
U itself, so that each PASS is false; its line's `covered` is the share without one, nominal .95. `told` is the share of
replicates whose verdict was not withheld. About 2 CPU-minutes.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows
from risks import classes, numbers

from dge_ray.stats.metrics.losses import LOSSES
from dge_ray.stats.utility.gap import ensemble_losses, utility

FITS = 5
CASES = [
    ("two classes, 30 %", classes(0.3), "log_loss", 300),
    ("two classes, 30 %", classes(0.3), "zero_one", 1000),
    ("two classes, 1 %", classes(0.01), "log_loss", 300),
    ("two classes, 1 %", classes(0.01), "log_loss", 5000),
    ("normal noise", numbers("normal"), "squared_error", 300),
    ("exponential noise", numbers("exponential"), "squared_error", 100),
    ("t noise, 4 degrees of freedom", numbers("t4"), "squared_error", 300),
]


def one_case(number: int, members: int, replicates: int, seed: int) -> list[dict]:
    """Two lines: the interval, and the verdict."""
    law, draw, loss, rows = CASES[number]
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(11, number, members)))

    def losses(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        p, y = draw(members + FITS, rows, random)
        whole, pseudo = ensemble_losses(p[:members], y, loss)
        real = LOSSES[loss].of(p[members:], y)
        return whole, pseudo, real, y

    truth = float(np.mean([w.mean() - r.mean() for w, _, r, _ in (losses(20000) for _ in range(300))]))
    held, widths, sound, told = [], [], [], 0
    for _ in range(replicates):
        whole, pseudo, real, y = losses(rows)
        rarest = int(np.bincount(y, minlength=2).min()) if loss in ("log_loss", "zero_one") else None
        shift = 1.0 - truth  # a margin must be above 0: losses are moved so that the truth is 1
        found = utility(pseudo + shift, real, margin=1.0, whole=whole + shift, rarest=rarest)
        lo, hi = found.interval
        held.append(bool(lo <= 1.0 <= hi))
        widths.append(hi - lo)
        sound.append(found.verdict != "PASS")
        told += found.withheld is None
    setting = f"{law}, {loss}, {members} members, {rows} rows"
    target = "new members, fits and rows"
    withheld = told < replicates / 2
    return [
        claim("U of the ensemble", setting, target, held, widths, holds=not withheld) | {"told": told / replicates},
        claim("no false PASS", setting, target, sound, widths) | {"told": told / replicates},
    ]


def run(replicates: int = 400, seed: int = 0) -> list[dict]:
    """All cases with 4 and with 8 members."""
    return [line for n in range(len(CASES)) for k in (4, 8) for line in one_case(n, k, replicates, seed)]


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
