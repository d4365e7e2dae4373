"""Coverage of the reflection point's interval, and truth of the standard errors, on simulated surfaces.

    python experiments/coverage/reflection.py [replicates=1000] [workers=1] [seed=0] --json FILE

20 cells: sharp, mild, plateau, edge and flat (no bias at all, the best volume at the end of the grid); 4 and 8 members;
300 and 3,000 rows. Each replicate draws fresh members and fresh rows (see `surfaces`), and calls `reflection_point` and
`estimate_surface` as a study does. A row of the output is a cell: share of replicates whose interval holds the true
reflection point, mean width in volumes of the grid, share whose candidates (volumes not rejected as best) do and their
number, share of each status, and mean `se` over the standard deviation of the estimated R(K, m) across replicates
(mean, least and greatest over the 8 volumes, at all members and over every ensemble size). About 12 CPU-minutes at
1,000 replicates.
"""

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import read_words, write
from surfaces import NAMES, VOLUMES, Surface

from dge_ray.stats.volume.reflection import reflection_point
from dge_ray.stats.volume.surface import estimate_surface

MEMBERS, ROWS = (4, 8), (300, 3000)
SURFACES = (*NAMES, "flat")
STATUSES = ("interior", "plateau", "not_reached", "undecided")


def simulate(name: str, members: int, rows: int, replicates: int, seed: int) -> dict:
    """One cell of the table."""
    surface = Surface(name)
    best = surface.best(members)
    places = {int(volume): place for place, volume in enumerate(VOLUMES)}
    covered, widths, kept, candidates, hits, statuses = [], [], [], [], [], Counter()
    values, errors = [], []  # (replicates, 8 volumes, K sizes)
    for replicate in range(replicates):
        address = np.random.SeedSequence(seed, spawn_key=(SURFACES.index(name), members, rows, replicate))
        predictions, y = surface.draw(members, rows, np.random.default_rng(address))
        point = reflection_point(predictions, y, task="regression", volumes=VOLUMES, seed=replicate)
        low, high = (places[volume] for volume in point.interval)
        covered.append(low <= best <= high)
        widths.append(high - low + 1)
        kept.append(int(VOLUMES[best]) in point.candidates)
        candidates.append(len(point.candidates))
        hits.append(point.index == best)
        statuses[point.status] += 1
        cells = estimate_surface(predictions, y, task="regression", volumes=VOLUMES, metrics=["rmse"])
        values.append(np.reshape([cell.value for cell in cells], (len(VOLUMES), members)))
        errors.append(np.reshape([cell.se for cell in cells], (len(VOLUMES), members)))
    ratio = np.mean(errors, axis=0) / np.std(values, axis=0, ddof=1)
    last = ratio[:, -1]
    setting = f"{name} surface, {members} members, {rows} rows"
    return claim(
        "reflection point", setting, "the best volume of the grid, given this train split", covered, widths
    ) | {
        "surface": name,
        "members": members,
        "rows": rows,
        "candidates_coverage": float(np.mean(kept)),
        "candidates_number": float(np.mean(candidates)),
        "hit": float(np.mean(hits)),
        "status": {status: statuses[status] / replicates for status in STATUSES},
        "se_over_sd": float(last.mean()),
        "se_over_sd_range": [float(last.min()), float(last.max())],
        "se_over_sd_all_sizes": float(ratio.mean()),
        "se_over_sd_all_sizes_range": [float(ratio.min()), float(ratio.max())],
    }


def run(replicates: int, workers: int, seed: int) -> list[dict]:
    """All 20 cells."""
    jobs = [(*cell, replicates, seed) for cell in product(SURFACES, MEMBERS, ROWS)]
    with ProcessPoolExecutor(workers) as pool:
        rows = []
        for row in pool.map(simulate, *zip(*jobs, strict=True)):
            print(markdown(row), file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def markdown(row: dict) -> str:
    """A cell as a line of the README's table."""
    share = " / ".join(f"{row['status'][status]:.2f}" for status in STATUSES)
    low, high = row["se_over_sd_range"]
    return (
        f"| {row['surface']} | {row['members']} | {row['rows']} | {row['covered']:.3f} | {row['width']:.2f} | "
        f"{row['candidates_coverage']:.3f} | {row['candidates_number']:.2f} | {row['hit']:.2f} | "
        f"{share} | {row['se_over_sd']:.3f} ({low:.2f}-{high:.2f}) |"
    )


def main(arguments: list[str]) -> None:
    """Parse key=value arguments and --json FILE, run, write."""
    options, file = read_words(arguments)
    rows = run(int(options.get("replicates", 1000)), int(options.get("workers", 1)), int(options.get("seed", 0)))
    write(file, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
