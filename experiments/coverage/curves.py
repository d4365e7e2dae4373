"""The curve over volumes: does its band hold all of it, and how often are its calls wrong, on simulated surfaces.

    python experiments/coverage/curves.py [replicates=40] [seed=0] [grids=doubling,dense] --json FILE

Five surfaces (see `surfaces`; `flat` has no bias, only its members' variance), 4 and 8 members, 300 and 3,000 rows, on
the 8 doublings and, for 8 members and 300 rows, on ratios 1 to 30 one by one. Fresh members and rows a replicate. A row
of the output: shares of replicates in which the band held the true curve at all 49 places, the interval of the rise
held the true one, the intervals of the differences all held, and in which what was called or claimed was wrong: a rise
of a curve whose largest volume is no worse than the best, a volume that the curve is called flat (or enough) from,
though some larger one truly differs (gains) by the tolerance or more. Then the calls themselves. Tolerance: 1 % of the
risk. About 1 CPU-minute.
"""

import sys
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import read_words, write
from surfaces import NAMES, RATIOS, Surface

from dge_ray.stats.volume.curve_shape import CurveShape, curve_shape

CALLS = ("rise", "plateau", "falls", "undecided")
GRIDS = {"doubling": tuple(RATIOS), "dense": tuple(float(r) for r in range(1, 31))}
UNIT = 1000  # rows at ratio 1
TOLERANCE = 0.01


def simulate(grid: str, name: str, members: int, rows: int, replicates: int, seed: int) -> dict:
    """One line of the table."""
    surface = Surface(name, GRIDS[grid])
    number = (*NAMES, "flat").index(name)
    volumes = (np.array(surface.ratios) * UNIT).astype(np.int64)
    truth = np.sqrt(surface.risk(members))
    held: dict[str, list[bool]] = {key: [] for key in ("band", "rise", "differences")}
    wrong: dict[str, list[bool]] = {key: [] for key in ("rise", "plateau_from", "enough_from")}
    calls, half = Counter[str](), []
    for replicate in range(replicates):
        address = np.random.SeedSequence(seed, spawn_key=(list(GRIDS).index(grid), number, members, rows, replicate))
        predictions, y = surface.draw(members, rows, np.random.default_rng(address))
        found = curve_shape(
            predictions, y, task="regression", volumes=volumes, tolerance=TOLERANCE, seed=replicate, draws=2000
        )
        calls[found.call] += 1
        band = found.band
        at, lo, hi = (np.array(part) for part in (band.at, band.lo, band.hi))
        curve = np.sqrt(surface.risk(members, at / UNIT))
        held["band"].append(bool(((lo <= curve) & (curve <= hi)).all()))
        half.append(float(np.mean(hi - lo) / 2))
        rise = truth[-1] - truth[:-1].min()
        held["rise"].append(found.rise[1] <= rise <= found.rise[2])
        best = int(np.argmin([d.value for d in found.differences]))
        apart = truth - truth[best]
        inside = [d.lo <= t <= d.hi for d, t in zip(found.differences, apart, strict=True)]
        held["differences"].append(all(inside))
        wrong["rise"].append(found.call == "rise" and rise <= 0)
        for key, sides in (("plateau_from", 2), ("enough_from", 1)):
            wrong[key].append(not _true_claim(found, key, sides, volumes, truth))
    setting = f"{grid} grid, {name} surface, {members} members, {rows} rows"
    widths = [2 * one for one in half]
    return claim("band of the curve", setting, "the whole curve, new members and new rows", held["band"], widths) | {
        "grid": grid,
        "surface": name,
        "members": members,
        "rows": rows,
        "held": {key: float(np.mean(values)) for key, values in held.items()},
        "wrong": {key: float(np.mean(values)) for key, values in wrong.items()},
        "band_half_width": float(np.mean(half)),
        "true_rise": float(rise),
        "calls": {call: calls[call] / replicates for call in CALLS},
    }


def _true_claim(found: CurveShape, key: str, sides: int, volumes: np.ndarray, truth: np.ndarray) -> bool:
    """Whether no volume beyond the one told differs (or gains) by the tolerance, in truth. No claim is no error."""
    volume = getattr(found, key)
    if volume is None:
        return True
    place = int(np.flatnonzero(volumes == volume)[0])
    gains = truth[place] - truth[place:]
    return bool((np.abs(gains) if sides == 2 else gains).max() < found.tolerance)


def markdown(row: dict) -> str:
    """A line of the README's table."""
    held, wrong, calls = row["held"], row["wrong"], row["calls"]
    return (
        f"| {row['grid']} | {row['surface']} | {row['members']} | {row['rows']} | {held['band']:.3f} | "
        f"{held['rise']:.3f} | {held['differences']:.3f} | {wrong['rise']:.3f} | {wrong['plateau_from']:.3f} | "
        f"{wrong['enough_from']:.3f} | {' / '.join(f'{calls[call]:.2f}' for call in CALLS)} |"
    )


def main(arguments: list[str]) -> None:
    """Parse key=value arguments and --json FILE, run, write."""
    options, file = read_words(arguments)
    replicates, seed = int(options.get("replicates", 40)), int(options.get("seed", 0))
    grids = options.get("grids", "doubling,dense").split(",")
    cells = [("doubling", *cell) for cell in product((*NAMES, "flat"), (4, 8), (300, 3000))]
    cells += [("dense", name, 8, 300) for name in (*NAMES, "flat")]
    rows = []
    for cell in cells:
        if cell[0] in grids:
            rows.append(simulate(*cell, replicates, seed))
            print(markdown(rows[-1]), file=sys.stderr, flush=True)
    write(file, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
