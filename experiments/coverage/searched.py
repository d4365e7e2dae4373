"""Coverage of m-hat's interval after `search=refine`, which fits a part of the grid, beside that of the full grid.

    python experiments/coverage/searched.py [replicates=400] [seed=0] --json FILE

The surfaces of `surfaces.py` at ratios 1 to 30. `whole grid`: all 30 volumes fitted. `fitted volumes`: the range of the
candidates among the volumes that the search fitted, as the interval was once; nothing is claimed for it. `search`: the
package's interval, which holds the volumes too that draws of the smooth curve over the whole grid do not reject.
Widths count volumes of the grid; `fits` is the share of the grid that was fitted.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows
from searches import RATIOS, VOLUMES, looked_at
from surfaces import NAMES, Surface

from dge_ray.stats.volume.reflection import reflection_point

TARGET = "the best volume of the grid, given the train rows"
SIZES = ((8, 1000), (4, 300))


def one_line(name: str, members: int, rows: int, replicates: int, seed: int) -> list[dict]:
    """Three lines of a surface."""
    surface, fits = Surface(name, RATIOS), list[float]()
    best = int(VOLUMES[surface.best(members)])
    found: dict[str, list[tuple[int, int]]] = {"whole grid": [], "fitted volumes": [], "search": []}
    for replicate in range(replicates):
        address = np.random.SeedSequence(seed, spawn_key=(23, len(name), ord(name[0]), rows, replicate))
        predictions, y = surface.draw(members, rows, np.random.default_rng(address))
        done = looked_at(predictions, y, replicate)
        fits.append(len(done) / len(VOLUMES))
        part, keys = predictions[:, np.isin(VOLUMES, done)], {"task": "regression", "seed": replicate}
        found["whole grid"].append(reflection_point(predictions, y, volumes=VOLUMES, **keys).interval)
        found["fitted volumes"].append(reflection_point(part, y, volumes=done, **keys).interval)
        found["search"].append(reflection_point(part, y, volumes=done, grid=VOLUMES, **keys).interval)
    setting = f"{name}, best ratio {best // 1000}, {members} members, {rows} rows"
    lines = []
    for way, ends in found.items():
        held = [lo <= best <= hi for lo, hi in ends]
        widths = [(hi - lo) / 1000 + 1 for lo, hi in ends]
        line = claim(f"m-hat: {way}", setting, TARGET, held, widths, holds=way != "fitted volumes")
        lines.append(line | {"fits": 1.0 if way == "whole grid" else float(np.mean(fits))})
    return lines


def run(replicates: int = 400, seed: int = 0) -> list[dict]:
    """All surfaces of 8 members on 1,000 rows, and those with their best volume inside the grid of 4 on 300."""
    inside = ("sharp", "mild", "early", "late")
    lines = [line for name in (*NAMES, "flat", *inside[2:]) for line in one_line(name, *SIZES[0], replicates, seed)]
    return lines + [line for name in inside for line in one_line(name, *SIZES[1], replicates, seed)]


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
