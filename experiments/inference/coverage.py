"""Coverage of naive, corrected, pooled and pipeline-bootstrapped intervals on simulated patients (simulation.py).

    python experiments/inference/coverage.py copula|autoregressive [tables=200] [first=0] lines=FILE
    python experiments/inference/coverage.py summary lines=FILE[,FILE] --json FILE

The first form writes a line a table to `lines` as it is done, and goes on from what is there; the second makes the
tables of them. Each table: 300 fitted rows (and 30 to stop on), K = 5 released members of 300 rows, 50 replicates of 2
fits and 4 draws each (dge_ray/inference/resampling.py). The autoregressive generator is small, so that 105 fits a
table take 11 CPU-seconds.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import simulation
import torch
from scipy.stats import beta

from dge_ray.inference.estimands import read_estimands
from dge_ray.inference.replicates import Recipe
from dge_ray.inference.resampling import Resampled, plain
from dge_ray.stats.inference.pipeline_bootstrap import KINDS, Bootstrapped, pipeline_bootstrap
from dge_ray.stats.inference.pooled import combine

ROWS, STOPPING, MEMBERS, REPLICATES = 300, 30, 5, 50
SETTINGS: dict[str, dict[str, Any]] = {
    "copula": {},
    "autoregressive": {"bins": 16, "hidden": 32, "epochs": 30, "batch_size": 64, "dropout": 0.0},
}
RELEASE = 1_000_000  # the replicate whose seeds are the released members'


def tables_rows(table: int) -> tuple[np.random.Generator, pa.Table, pa.Table]:
    """A table's rows to fit and to stop on, and the stream that they came from."""
    rng = np.random.default_rng(np.random.SeedSequence(7, spawn_key=(table,)))
    return rng, simulation.draw(ROWS, rng), simulation.draw(STOPPING, rng)


def one_table(name: str, table: int) -> dict[str, Any]:
    """Everything that the intervals of one simulated table are made of."""
    rng, train, stopping = tables_rows(table)
    estimands = read_estimands(simulation.ESTIMANDS, simulation.SCHEMA)
    recipe, began = Recipe(name, SETTINGS[name]), time.process_time()
    seeds = [int(seed) for seed in rng.integers(2**62, size=2 * MEMBERS)]
    fitted = recipe.fit_each(train, simulation.SCHEMA, seeds=seeds[:MEMBERS], stopping=stopping)
    found = [estimands(one.sample(ROWS, seed=seed)) for one, seed in zip(fitted, seeds[MEMBERS:], strict=True)]
    replicate = Resampled(train, stopping, recipe, estimands, ROWS, seed=seeds[0])
    replicates = [replicate(b) for b in range(REPLICATES)]
    real = estimands(train)
    return {
        "generator": name,
        "table": table,
        "names": estimands.names,
        "released": plain(np.array([one.value for one in found])),
        "variances": plain(np.array([one.variance for one in found])),
        "real": plain(real.value),
        "real_variance": plain(real.variance),
        "synthetic": [one["synthetic"] for one in replicates],
        "resampled": [one["real"] for one in replicates],
        "cpu_seconds": time.process_time() - began,
    }


def boot(line: dict[str, Any]) -> Bootstrapped:
    """The bootstrap of one table's line."""
    names = ("released", "synthetic", "real", "resampled")
    return pipeline_bootstrap(*(np.array(line[name], dtype=np.float64) for name in names))


def intervals(line: dict[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Lower and upper ends (p,) by each way."""
    keys = ("released", "variances", "real", "real_variance")
    released, u, real, of_real = (np.array(line[key], dtype=np.float64) for key in keys)
    refitted, pooled = boot(line), combine(released, u, "T_p", k=ROWS, n=ROWS)
    half = 1.96 * np.sqrt(u[0])
    return {
        "real rows": (real - 1.96 * np.sqrt(of_real), real + 1.96 * np.sqrt(of_real)),
        "naive": (released[0] - half, released[0] + half),
        "corrected": (released[0] - np.sqrt(2) * half, released[0] + np.sqrt(2) * half),
        "T_p": pooled.interval(),
        **{kind: refitted.interval(kind) for kind in KINDS},
    }


def summary(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a generator and estimand: coverage of each interval with its 95 % Monte-Carlo interval, and the spread."""
    truth, rows = simulation.truths(), []
    for name in dict.fromkeys(line["generator"] for line in lines):
        mine = [line for line in lines if line["generator"] == name]
        ends = [intervals(line) for line in mine]
        boots = [boot(line) for line in mine]
        pooled = [
            combine(np.array(line["released"], float), np.array(line["variances"], float), "T_p", k=1, n=1)
            for line in mine
        ]
        for p, label in enumerate(mine[0]["names"]):
            q = np.array([one.estimate[p] for one in boots])
            known = np.isfinite(q)
            sd = q[known].std(ddof=1)
            row: dict[str, Any] = {
                "generator": name,
                "estimand": label,
                "truth": truth[p],
                "tables": int(known.sum()),
                "lost_tables": int((~known).sum()),
                "lost_replicates": int(sum(REPLICATES - one.kept[p] for one in boots)),
                "bias_over_sd": (q[known].mean() - truth[p]) / sd,
                "debiased_bias_over_sd": (np.nanmean([b.debiased[p] for b in boots]) - truth[p]) / sd,
                "empirical_sd": sd,
                "debiased_sd": float(np.nanstd([b.debiased[p] for b in boots], ddof=1)),
                "mean_se": {
                    "naive": float(np.nanmean([np.sqrt(np.array(line["variances"], float)[0, p]) for line in mine])),
                    "T_p": float(np.nanmean([one.se[p] for one in pooled])),
                    "bootstrap": float(np.sqrt(np.nanmean([b.se[p] ** 2 for b in boots]))),
                    "debiased": float(np.sqrt(np.nanmean([b.debiased_se[p] ** 2 for b in boots]))),
                },
                "parts": {
                    part: float(np.nanmean([getattr(b, part)[p] for b in boots])) for part in ("real", "fit", "draw")
                },
                "df": float(np.nanmedian([b.df[p] for b in boots])),
                "coverage": {},
            }
            for kind in ends[0]:
                held = np.array([e[kind][0][p] <= truth[p] <= e[kind][1][p] for e in ends])[known]
                row["coverage"][kind] = [float(held.mean()), *clopper(int(held.sum()), len(held))]
            rows.append(row)
    return rows


def clopper(hits: int, n: int) -> list[float]:
    """The exact 95 % interval of a share (Clopper, Pearson 1934)."""
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, n - hits + 1))
    return [low, 1.0 if hits == n else float(beta.ppf(0.975, hits + 1, n - hits))]


def read(files: str) -> list[dict[str, Any]]:
    """The lines of some files; half a line at the end, of a run that was killed, is left out."""
    texts = [
        line for name in files.split(",") if Path(name).exists() for line in Path(name).read_text().split("\n")[:-1]
    ]
    return [json.loads(text) for text in texts]


def main(arguments: list[str]) -> None:
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    if arguments[0] == "summary":
        rows = summary(read(options["lines"]))
        for row in rows:
            shares = "  ".join(f"{kind} {share[0]:.3f}" for kind, share in row["coverage"].items())
            print(f"{row['generator'][:6]} {row['estimand'][-18:]:>18} bias/sd {row['bias_over_sd']:+.2f}  {shares}")
        if "--json" in arguments:
            Path(arguments[arguments.index("--json") + 1]).write_text(json.dumps(rows, indent=1) + "\n")
        return
    torch.set_num_threads(1)
    done = {(line["generator"], line["table"]) for line in read(options["lines"])}
    first = int(options.get("first", 0))
    for table in range(first, first + int(options.get("tables", 200))):
        if (arguments[0], table) not in done:
            line = json.dumps(one_table(arguments[0], table))
            with open(options["lines"], "a") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
