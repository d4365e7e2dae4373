"""The coarse-to-fine search on simulated surfaces, where the truly best volume is known (ratios 1 to 30, 8 members).

    python experiments/coverage/searches.py [replicates=60] [rows=1000] [seed=0] --json FILE

A row of the output is a surface: share of the grid's fits, and for the search and for a plain log grid of as many
volumes: cells between its choice and the full grid's, share of replicates within one cell, regret against the full
grid's choice over the paired standard error, and the *true* risk of its choice above the best volume's, beside the same
of the full grid's choice. About 20 CPU-seconds.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import read_words, write
from surfaces import NAMES, Surface

from dge_ray.stats.volume.refine import coarse_volumes, next_volumes
from dge_ray.stats.volume.volumes import volume_risks

RATIOS = tuple(float(r) for r in range(1, 31))
VOLUMES = np.arange(1, 31) * 1000
MEMBERS = 8


def looked_at(predictions: np.ndarray, y: np.ndarray, seed: int) -> list[int]:
    """The volumes that the search has fitted, ascending."""
    done, batch = [], coarse_volumes(VOLUMES)
    while batch:
        done = sorted({*done, *batch})
        at = np.isin(VOLUMES, done)
        batch = next_volumes(predictions[:, at], y, task="regression", volumes=done, grid=VOLUMES, seed=seed)
    return done


def log_grid(count: int) -> list[int]:
    """`count` volumes of the grid or one more, as even on the log scale as it allows."""
    wanted, picked = count, list[int]()
    while len(picked) < count:
        even = np.geomspace(VOLUMES[0], VOLUMES[-1], wanted)
        picked = sorted({int(VOLUMES[np.abs(np.log(VOLUMES / one)).argmin()]) for one in even})
        wanted += 1
    return picked


def simulate(name: str, rows: int, replicates: int, seed: int) -> dict:
    """One line of the table."""
    surface = Surface(name, RATIOS)
    truth = np.sqrt(surface.risk(MEMBERS))
    shares: list[float] = []
    cells: dict[str, list[int]] = {"refine": [], "log_grid": []}
    regret: dict[str, list[float]] = {"refine": [], "log_grid": []}
    excess: dict[str, list[float]] = {"full": [], "refine": [], "log_grid": []}
    for replicate in range(replicates):
        address = np.random.SeedSequence(seed, spawn_key=(2, (*NAMES, "flat").index(name), rows, replicate))
        predictions, y = surface.draw(MEMBERS, rows, np.random.default_rng(address))
        found = volume_risks(predictions, y, "rmse")
        best = int(found.risks.argmin())
        done = looked_at(predictions, y, replicate)
        shares.append(len(done) / len(VOLUMES))
        excess["full"].append(truth[best] - truth.min())
        for how, volumes in (("refine", done), ("log_grid", log_grid(len(done)))):
            places = np.flatnonzero(np.isin(VOLUMES, volumes))
            chosen = int(places[found.risks[places].argmin()])
            cells[how].append(abs(chosen - best))
            error = found.spread.error(found.contrast(chosen, best)) if chosen != best else 1.0
            regret[how].append((found.risks[chosen] - found.risks[best]) / error)
            excess[how].append(truth[chosen] - truth.min())
    row: dict = {"surface": name, "members": MEMBERS, "rows": rows, "replicates": replicates}
    row |= {"fits_share": float(np.mean(shares)), "fits_share_most": max(shares)}
    row |= {"best_ratio": int(truth.argmin()) + 1, "true_excess_full": float(np.mean(excess["full"]))}
    for how in cells:
        row[how] = {
            "cells": float(np.mean(cells[how])),
            "within_one_cell": float(np.mean(np.array(cells[how]) <= 1)),
            "regret_over_se": float(np.mean(regret[how])),
            "within_one_se": float(np.mean(np.array(regret[how]) <= 1)),
            "true_excess": float(np.mean(excess[how])),
        }
    return row


def markdown(row: dict) -> str:
    """A line of the README's table."""
    cells = [row["surface"], str(row["best_ratio"]), f"{row['fits_share']:.0%}", f"{1e3 * row['true_excess_full']:.2f}"]
    for how in ("refine", "log_grid"):
        found = row[how]
        cells += [f"{found['cells']:.1f} ({found['within_one_cell']:.2f})"]
        cells += [f"{found['regret_over_se']:.2f} ({found['within_one_se']:.2f})", f"{1e3 * found['true_excess']:.2f}"]
    return "| " + " | ".join(cells) + " |"


def main(arguments: list[str]) -> None:
    """Parse key=value arguments and --json FILE, run, write."""
    options, file = read_words(arguments)
    replicates, seed = int(options.get("replicates", 60)), int(options.get("seed", 0))
    rows = []
    for name in (*NAMES, "flat"):
        rows.append(simulate(name, int(options.get("rows", 1000)), replicates, seed))
        print(markdown(rows[-1]), file=sys.stderr, flush=True)
    write(file, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
