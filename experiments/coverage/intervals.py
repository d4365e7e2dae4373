"""Coverage of the other intervals: gain of doubling, differences to baselines, risk on test, wrongful drops.

    python experiments/coverage/intervals.py [replicates=1000] [seed=0] --json FILE

Each row: a claim, its setting, target and level, and the share of replicates in which it held. "members all alike" has
members that differ along one direction only, the hardest case for a variance from 4 members. About 4 CPU-minutes.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import read_words, write
from surfaces import NAMES, VOLUMES, Surface

from dge_ray.stats.comparison.baselines import naive_single_difference, paired_difference
from dge_ray.stats.ensemble.klaw import gain_of_doubling
from dge_ray.stats.volume.pruning import hopeless_volumes
from dge_ray.stats.volume.reflection import risk_interval

SETTINGS = [(members, rows) for members in (4, 8) for rows in (300, 3000)]
PLACE = 2  # of the volume looked at: 1,000 rows a member


def stream(seed: int, *address: int) -> np.random.Generator:
    """The random stream at an address."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=address))


def one_volume(replicates: int, seed: int) -> list[dict]:
    """Intervals that look at one volume of the surface `mild`."""
    rows_out = []
    surface = Surface("mild")
    for members, rows in SETTINGS:
        alone, together = (np.sqrt(surface.risk(k)[PLACE]) for k in (1, members))
        truth = surface.risk(members)[PLACE] - surface.risk(2 * members)[PLACE]
        held = {"gain_of_doubling, upper bound": [], "naive_single_difference": [], "risk_interval": []}
        alike = []
        for replicate in range(replicates):
            generator = stream(seed, 0, members, rows, replicate)
            predictions, y = surface.draw(members, rows, generator)
            cell = predictions[:, PLACE]
            bound = gain_of_doubling(cell)[1]
            held["gain_of_doubling, upper bound"].append((bound >= truth, bound))
            _, low, high = naive_single_difference(cell, y, "rmse", task="regression")
            held["naive_single_difference"].append((low <= together - alone <= high, high - low))
            _, low, high = risk_interval(cell, y, task="regression")
            held["risk_interval"].append((low <= together <= high, high - low))
            direction = generator.standard_normal((members, 1)) * generator.standard_normal(rows)
            bound = gain_of_doubling(direction[..., None])[1]
            alike.append((bound >= 1 / (2 * members), bound))
        held["gain_of_doubling, upper bound, members all alike"] = alike
        rows_out += [_row(what, f"K={members}, rows={rows}", share) for what, share in held.items()]
    return rows_out


def two_models(replicates: int, seed: int) -> list[dict]:
    """`paired_difference` between two fixed linear predictors, truth known; its model is given, its rows are drawn."""
    rows_out = []
    for rows in (300, 3000):
        held = []
        for replicate in range(replicates):
            x, y = np.split(stream(seed, 1, rows, replicate).standard_normal((rows, 3)), [2], axis=1)
            first, second = x @ [[0.3], [0.1]], x @ [[0.2], [0.3]]
            _, low, high = paired_difference(first, second, y[:, 0], "rmse", task="regression")
            held.append((low <= np.sqrt(1.10) - np.sqrt(1.13) <= high, high - low))
        rows_out.append(_row("paired_difference", f"rows={rows}", held, target="these models, new rows"))
    return rows_out


def drops(replicates: int, seed: int) -> list[dict]:
    """Looks at every K from 4 to 8: is the true reflection point at 8 members ever dropped, and how much is saved."""
    rows_out = []
    for number, name in enumerate(NAMES):
        surface = Surface(name)
        best = int(VOLUMES[surface.best(8)])
        for rows in (300, 3000):
            kept, saved = [], []
            for replicate in range(replicates):
                predictions, y = surface.draw(8, rows, stream(seed, 2, number, rows, replicate))
                dropped: set[int] = set()
                for members in range(4, 8):
                    predictions[members:, np.isin(VOLUMES, list(dropped))] = np.nan
                    seen = predictions[:members]
                    dropped |= set(hopeless_volumes(seen, y, task="regression", volumes=VOLUMES, target_members=8))
                    saved.append(len(dropped) / len(VOLUMES))
                kept.append((best not in dropped, float(len(VOLUMES) - len(dropped))))
            row = _row("best volume never dropped", f"{name}, rows={rows}", kept, level=0.99)
            rows_out.append(row | {"fits_saved_after_4": float(np.mean(saved))})
    return rows_out


def _row(
    what: str,
    setting: str,
    held: list[tuple[bool, float]],
    *,
    target: str = "new members and new rows",
    level: float = 0.95,
) -> dict:
    """`held`: whether it held, and its width (an upper bound's own value; volumes left, where some are dropped)."""
    return claim(what, setting, target, [h for h, _ in held], [w for _, w in held], level=level)


def main(arguments: list[str]) -> None:
    """Parse key=value arguments and --json FILE, run, write."""
    options, file = read_words(arguments)
    replicates, seed = int(options.get("replicates", 1000)), int(options.get("seed", 0))
    rows = one_volume(replicates, seed) + two_models(replicates, seed) + drops(replicates, seed)
    for row in rows:
        saved = f" (saves {row['fits_saved_after_4']:.0%})" if "fits_saved_after_4" in row else ""
        print(f"| {row['claim']} | {row['setting']} | {row['level']} | {row['covered']:.3f}{saved} |", file=sys.stderr)
    write(file, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
