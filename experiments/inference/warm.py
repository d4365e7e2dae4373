"""Warm refits against cold ones: does a bootstrap whose fits start from the real rows' generator see the whole spread?

    python experiments/inference/warm.py lines=FILE [tables=6] [replicates=40] --json FILE

`lines`: what coverage.py wrote for the autoregressive generator; its first tables' cold replicates are compared with
warm ones here: ratios of standard errors and of the real rows' part of the variance, and CPU-seconds. A warm fit is
done at several learning rates, and the best by the stopping rows is kept (generators/tuning.py). About 20 CPU-seconds
a table.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import simulation
import torch
from coverage import MEMBERS, ROWS, SETTINGS, boot, read, tables_rows

from dge_ray.inference.estimands import read_estimands
from dge_ray.inference.replicates import Recipe, saved
from dge_ray.inference.resampling import Resampled


def main(arguments: list[str]) -> None:
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    torch.set_num_threads(1)
    lines = [line for line in read(options["lines"]) if line["generator"] == "autoregressive"]
    count, estimands = int(options.get("replicates", 40)), read_estimands(simulation.ESTIMANDS, simulation.SCHEMA)
    pairs, seconds = [], {"warm": 0.0, "cold": 0.0}
    for line in lines[: int(options.get("tables", 6))]:
        rng, train, stopping = tables_rows(line["table"])
        seeds = [int(seed) for seed in rng.integers(2**62, size=2 * MEMBERS)]
        cold = Recipe("autoregressive", SETTINGS["autoregressive"])
        first = cold.fit(train, simulation.SCHEMA, seed=seeds[0], stopping=stopping)
        warm = Recipe(cold.name, cold.settings, saved(first.save))
        began = time.process_time()
        work = Resampled(train, stopping, warm, estimands, ROWS, seed=seeds[0])
        replicates = [work(b) for b in range(count)]
        seconds["warm"] += (time.process_time() - began) / count
        seconds["cold"] += line["cpu_seconds"] / len(line["synthetic"])
        changed = {
            key: [one[name] for one in replicates] for key, name in (("synthetic", "synthetic"), ("resampled", "real"))
        }
        pairs.append((boot({**line, **changed}), boot({**line, **{k: line[k][:count] for k in changed}})))
    rows = []
    for p, name in enumerate(estimands.names):
        means = {
            part: [np.nanmean([getattr(one[i], part)[p] for one in pairs]) for i in (0, 1)] for part in ("real", "fit")
        }
        square = [np.nanmean([one[i].se[p] ** 2 for one in pairs]) for i in (0, 1)]
        ratios = {f"{part}_warm_over_cold": float(means[part][0] / means[part][1]) for part in means}
        rows.append({"estimand": name, "se_warm_over_cold": float(np.sqrt(square[0] / square[1])), **ratios})
    each = {name: value / len(pairs) for name, value in seconds.items()}
    report = {"tables": len(pairs), "replicates": count, "cpu_seconds_a_replicate": each, "estimands": rows}
    print(json.dumps(report, indent=1))
    if "--json" in arguments:
        Path(arguments[arguments.index("--json") + 1]).write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
