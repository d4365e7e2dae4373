"""Does `search=refine` find what the full 30-point grid finds, with at most 40 % of its fits?

    python experiments/syn2023/refine.py [tables=abalone,california] [seeds=5] [members=6] [cache=tensors] --json FILE

The full grid's predictions are computed once (`tensors.py`), and the search is replayed on them: the same predictions
as a study would make (`same.py` holds that against a study on Ray). A row of the output is a table and a seed: the
volume that the full grid calls best, the search's, and that of a plain log grid with as many volumes, which is the
baseline to beat; each with its distance in cells of the 30-point grid, its regret on validation and on test over the
paired standard error, and its interval. The last rows are the means.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
from measure import finish, words
from tensors import tensor_of

from dge_ray.results.refining import refined_volumes
from dge_ray.stats.volume.reflection import ReflectionPoint, reflection_point
from dge_ray.stats.volume.volumes import volume_risks
from dge_ray.study.prepared import Prepared


def main(argv: list[str]) -> None:
    _, options, file = words(argv, tables="abalone,california", seeds=5, members=6, cache="tensors")
    rows = []
    for table in str(options["tables"]).split(","):
        for seed in range(options["seeds"]):
            prepared, predictions = tensor_of(table, seed, options["members"], Path(options["cache"]))
            rows.append({"table": table, "seed": seed, **compared(prepared, predictions)})
            print(markdown(rows[-1]), file=sys.stderr, flush=True)
    finish(rows, file)


def replayed(prepared: Prepared, validation: np.ndarray) -> list[int]:
    """The volumes that the search looks at, ascending."""
    return refined_volumes(
        prepared,
        prepared.truth("validation"),
        search=lambda batch: batch,
        predictions=lambda done: validation[:, places(prepared, done)],
        say=lambda _: None,
    )


def places(prepared: Prepared, volumes: list[int]) -> np.ndarray:
    return np.flatnonzero(np.isin(prepared.volumes, volumes))


def compared(prepared: Prepared, predictions: dict[str, np.ndarray]) -> dict[str, Any]:
    """The full grid, the search and the log grid of one table and seed."""
    full = point(prepared, predictions["validation"], list(prepared.volumes))
    looked = replayed(prepared, predictions["validation"])
    found: dict[str, Any] = {
        "n": prepared.n,
        "validation_rows": prepared.rows["validation"],
        "members": full.members,
        "fits_share": len(looked) / len(prepared.volumes),
        "looked_at": looked,
        "full": described(full),
    }
    for name, volumes in (("refine", looked), ("log_grid", log_grid(prepared, len(looked)))):
        chosen = point(prepared, predictions["validation"], volumes)
        at, best = (prepared.volumes.index(one.volume) for one in (chosen, full))
        found[name] = {**described(chosen), "cells": abs(at - best)}
        for split in ("validation", "test"):
            risks = volume_risks(predictions[split].astype(float), prepared.truth(split), prepared.metric)
            regret, weights = float(risks.risks[at] - risks.risks[best]), risks.contrast(at, best)
            found[name][f"regret_{split}"] = regret
            found[name][f"paired_se_{split}"] = risks.spread.error(weights) if at != best else 0.0
    return found


def point(prepared: Prepared, validation: np.ndarray, volumes: list[int]) -> ReflectionPoint:
    return reflection_point(
        validation[:, places(prepared, volumes)],
        prepared.truth("validation"),
        task=prepared.task,
        volumes=volumes,
        metric=prepared.metric,
        seed=prepared.config.seed,
    )


def described(found: ReflectionPoint) -> dict[str, Any]:
    ends = [found.candidates[0], found.candidates[-1]]
    return {"volume": found.volume, "interval": list(found.interval), "candidates": ends, "status": found.status}


def log_grid(prepared: Prepared, count: int) -> list[int]:
    """As many volumes of the grid, as even as it allows on the log scale."""
    volumes, wanted = np.array(prepared.volumes), count
    while True:
        even = np.geomspace(volumes[0], volumes[-1], wanted)
        picked = sorted({int(volumes[np.abs(np.log(volumes / one)).argmin()]) for one in even})
        if len(picked) >= count:
            return picked
        wanted += 1


def markdown(row: dict[str, Any]) -> str:
    """A line of the README's table; volumes as ratios."""
    n = row["n"]

    def ratios(volumes: list[int]) -> str:
        return "-".join(f"{volume / n:.0f}" for volume in volumes)

    cells = [row["table"], str(row["seed"]), f"{row['fits_share']:.0%}", f"{row['full']['volume'] / n:.0f}"]
    cells += [f"{ratios(row['full']['interval'])} ({ratios(row['full']['candidates'])})"]
    for name in ("refine", "log_grid"):
        found = row[name]
        regrets = " / ".join(
            f"{found[f'regret_{s}'] / found[f'paired_se_{s}'] if found[f'paired_se_{s}'] else 0:.2f}"
            for s in ("validation", "test")
        )
        cells += [f"{found['volume'] / n:.0f}", str(found["cells"]), regrets]
        cells += [f"{ratios(found['interval'])} ({ratios(found['candidates'])})"]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main(sys.argv[1:])
