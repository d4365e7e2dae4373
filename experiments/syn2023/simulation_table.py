"""README's table of the simulated regression, and simulation.expected.json, from the runs' own file.

usage: simulation_table.py results/simulation.json [--json simulation.expected.json]

Means over seeds with 95 % t intervals; differences are paired, both models of a seed having the same rows.
"""

import json
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

ORDER = ("1K", "1K fine-tuned", "5K", "5K fine-tuned")  # from the worst, as the authors found them


def main(argv: list[str]) -> None:
    rows = json.loads(Path(argv[0]).read_text())
    groups: dict[tuple[str, int], dict[str, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    baselines: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        group = groups[row["learner"], row["members"]] if row["model"] in ORDER else baselines[row["learner"]]
        group[row["model"]][row["seed"]] = row["rmse"]
    found = [summary(*key, curves, baselines[key[0]]) for key, curves in groups.items()]
    for one in found:
        show(one)
    if "--json" in argv:
        Path(argv[argv.index("--json") + 1]).write_text(json.dumps(found, indent=1) + "\n")


def summary(
    learner: str, members: int, curves: dict[str, dict[int, Any]], baselines: dict[str, dict[int, float]]
) -> dict[str, Any]:
    """Every model's curve, and the differences that the paper's claims are about."""
    raw, own = baselines["raw"], baselines["pretraining"]
    best = {name: {seed: min(curve.values()) for seed, curve in seeds.items()} for name, seeds in curves.items()}
    found: dict[str, Any] = {"learner": learner, "members": members, "raw": mean(raw), "pretraining": mean(own)}
    for name, seeds in curves.items():
        ratios = next(iter(seeds.values()))
        found[name] = {
            "seeds": len(seeds),
            "rmse": {ratio: mean({seed: curve[ratio] for seed, curve in seeds.items()}) for ratio in ratios},
            "best": mean(best[name]),
            "raw_minus_best": paired(raw, best[name]),
            "best_minus_pretraining": paired(best[name], own),
        }
    for worse, better in pairwise(ORDER):
        if worse in best and better in best:
            found[f"{worse} minus {better}"] = paired(best[worse], best[better])
    return found


def mean(values: dict[int, float]) -> list[float]:
    """(mean, lo, hi)."""
    x = np.array(list(values.values()))
    if len(x) < 2:
        return [float(x.mean())]
    half = float(student.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return [float(x.mean()), float(x.mean() - half), float(x.mean() + half)]


def paired(a: dict[int, float], b: dict[int, float]) -> list[float]:
    """(mean of a - b over the seeds that both have, lo, hi)."""
    return mean({seed: a[seed] - b[seed] for seed in a if seed in b})


def show(found: dict[str, Any]) -> None:
    print(f"\n{found['learner']}, members {found['members']}: raw {words(found['raw'])}", end="")
    print(f", the generator's own rows {words(found['pretraining'])}")
    for name in ORDER:
        if name in found:
            one = found[name]
            cells = " | ".join(f"{value[0]:.4f}" for value in one["rmse"].values())
            print(f"| {name} ({one['seeds']} seeds) | {cells} | {words(one['best'])} |", end="")
            print(f" {words(one['raw_minus_best'])} | {words(one['best_minus_pretraining'])} |")
    for key, value in found.items():
        if " minus " in key:
            print(f"{key}: {words(value)}")


def words(value: list[float]) -> str:
    return f"{value[0]:.4f}" + (f" ({value[1]:.4f} to {value[2]:.4f})" if len(value) > 1 else "")


if __name__ == "__main__":
    main(sys.argv[1:])
