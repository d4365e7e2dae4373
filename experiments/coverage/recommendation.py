"""Is the recommended cell (K, m) as good as the best, and how much cheaper? On simulated surfaces with a known truth.

    python experiments/coverage/recommendation.py [surfaces=300] [seed=0] --json FILE

A surface (see `surfaces`) has one of five shapes, 4, 8 or 16 members, and 300, 1,000 or 3,000 rows; a member costs what
its generator does, .1 to 10 times what 1x rows cost, and its rows. All are drawn anew for each surface, and `recommend`
is called as a study calls it, with a margin of 2 % of the noise's standard deviation in RMSE. The same with 60 to 150
rows, where little is told, is no claim. Lines: is the cell's true risk within the margin of the true best, over all
surfaces, and over those of which the recommendation says that it is known; `price`: the median of the cell's price over
that of the grid's truly best cell. About 20 CPU-seconds.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows
from surfaces import NAMES, RATIOS, VOLUMES, Surface

from dge_ray.stats.volume.recommendation import Recommendation, recommend

MEMBERS = (4, 8, 16)
ROWS = {"300 to 3,000 rows": (300, 1000, 3000), "60 to 150 rows": (60, 100, 150)}
MARGIN = 0.02
TARGET = "the best cell of the grid, given this train split"


def simulate(choices: tuple[int, ...], address: np.random.SeedSequence) -> tuple[Recommendation, float, float]:
    """One surface: the recommendation, its true excess in RMSE, its price over that of the truly best cell."""
    generator = np.random.default_rng(address)
    surface = Surface(str(generator.choice([*NAMES, "flat"])))
    members, rows = int(generator.choice(MEMBERS)), int(generator.choice(choices))
    prices = float(np.exp(generator.uniform(np.log(0.1), np.log(10.0)))) + RATIOS
    predictions, y = surface.draw(members, rows, generator)
    found = recommend(predictions, y, task="regression", volumes=VOLUMES, prices=prices, margin=MARGIN)
    best = surface.best(members)
    own = np.sqrt(surface.risk(found.members)[VOLUMES.tolist().index(found.volume)])
    least = np.sqrt(surface.risk(members)[best])
    return found, float(own - least), found.price / float(members * prices[best])


def run(surfaces: int = 300, seed: int = 0) -> list[dict]:
    """Two lines for each range of rows."""
    lines = []
    for place, (setting, choices) in enumerate(ROWS.items()):
        addresses = [np.random.SeedSequence(seed, spawn_key=(place, index)) for index in range(surfaces)]
        found = [simulate(choices, address) for address in addresses]
        told = [one for one in found if one[0].told]
        for name, part, holds in (
            ("recommendation within the margin", found, place == 0),
            ("recommendation known to be within the margin", told, True),
        ):
            within, bounds = [one[1] <= MARGIN for one in part], [one[0].excess[1] for one in part]
            shares = {"told": len(told) / len(found), "price": float(np.median([one[2] for one in part]))}
            lines.append(claim(name, setting, TARGET, within, bounds, holds=holds) | shares)
    return lines


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
