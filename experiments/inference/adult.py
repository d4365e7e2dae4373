"""Adult, as Decruyenaere et al. 2024 (arXiv 2312.07837) used it: do intervals from synthetic rows hold the truth?

    python experiments/inference/adult.py adult.parquet generator=copula [runs=200] [members=5] [seed=0] \
        rows=FILE.jsonl --json FILE

Truth: the complete-case rows. A run draws 5,000 of them with replacement (so that the truth is that of the law that is
drawn from, and intervals may be held to their level), fits `members` generators, and draws 5,000 rows from each.
`generator`: copula (each fit weights the rows at random: in effect parameters from a posterior), plugin (the copula
fitted plainly once, drawn from `members` times) or autoregressive. Runs are written to `rows` as they finish, and the
same command goes on from there. Answers, for each estimand: the coverage of .95 intervals by one table, `naive`,
`corrected` by sqrt(1 + k/n) and, for parameters drawn, by sqrt(1 + 2k/n), a mean over the run's members; `pooled`: T_p
of all members; `debiased`: the first member's rows with the bias estimated from 100,000 draws taken out, corrected;
relative bias and error of the standard error in percent. CPU-seconds a run, 5 members: 0.25 with a copula, 13
autoregressive.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import read_words, write

from dge_ray.generators.registry import make_generator
from dge_ray.inference.debiasing import DRAWS, debiased, learn_shifts
from dge_ray.inference.estimands import Estimands, read_estimands
from dge_ray.stats.inference.pooled import combine
from dge_ray.table import TableSchema, infer_schema

N = 5000
MEAN = "mean(age)"
LOGIT = "logistic(income = '>50K' ~ age)[age]"
SLOPE = "ols(hours-per-week ~ age + education-num)[education-num]"
ESTIMANDS = [MEAN, LOGIT, SLOPE]
DEBIASED = [MEAN, SLOPE]
GENERATORS = {"copula": "copula", "plugin": "copula", "autoregressive": "autoregressive"}


def complete_cases(path: str) -> pa.Table:
    """The table without the column `split` and without rows that lack a value."""
    table = pq.read_table(path).drop_columns(["split"])
    return pa.Table.from_pandas(table.to_pandas().dropna(), preserve_index=False).replace_schema_metadata(None)


def one_run(
    table: pa.Table, schema: TableSchema, estimands: Estimands, generator: str, members: int, seed: int, run: int
) -> dict:
    """Estimates and variances: of the real rows, of each member's, and of the first member's debiased ones."""
    started = time.process_time()
    streams = np.random.SeedSequence(seed, spawn_key=(list(GENERATORS).index(generator), run)).spawn(2)
    # The same real rows for every generator.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(len(GENERATORS), run)))
    real = table.take(rng.integers(0, table.num_rows, N))
    seeds = [int(s) for s in streams[0].generate_state(3 * members, np.uint32)]
    settings = {"resample": False} if generator == "plugin" else {}
    found, fitted = [], None
    for k in range(members):
        if fitted is None or generator != "plugin":
            fitted = make_generator(GENERATORS[generator], **settings).fit(real, schema, seed=seeds[3 * k])
        rows = fitted.sample(N, seed=seeds[3 * k + 1])
        found.append(estimands(rows))
        if k == 0:
            targets = read_estimands(DEBIASED, schema)
            shifts = learn_shifts(targets, real, fitted.sample(DRAWS, seed=seeds[3 * k + 2]))
            mended = targets(debiased(rows, shifts, schema, seed=seeds[3 * k + 2], member=0))
    original = estimands(real)
    return {
        "run": run,
        "real": [original.value.tolist(), original.variance.tolist()],
        "members": [np.array([f.value for f in found]).tolist(), np.array([f.variance for f in found]).tolist()],
        "debiased": [mended.value.tolist(), mended.variance.tolist()],
        "cpu_seconds": time.process_time() - started,
    }


def covered(q: np.ndarray, u: np.ndarray, truth: float, factor: float = 1.0) -> list[float]:
    """The share of normal .95 intervals that hold the truth, variances times `factor`: see `share`."""
    return share(np.abs(q - truth) <= 1.959963984540054 * np.sqrt(factor * u))


def share(held: np.ndarray) -> list[float]:
    """A share and its standard error over runs: `held` (members, runs) or (runs,). Members of a run go together."""
    by_run = np.atleast_2d(held).mean(axis=0)
    return [float(by_run.mean()), float(by_run.std(ddof=1) / np.sqrt(len(by_run)))]


def summarise(runs: list[dict], names: list[str], truth: np.ndarray) -> list[dict]:
    """A row per estimand; coverages as [share, standard error]."""
    lines = []
    for i, name in enumerate(names):
        q, u = (np.array([run["members"][part] for run in runs])[..., i].T for part in (0, 1))  # (members, runs)
        real_q, real_u = (np.array([run["real"][part][i] for run in runs]) for part in (0, 1))
        pooled = combine(q, u, "T_p", k=N, n=N)
        lo, hi = pooled.interval()
        line = {
            "estimand": name,
            "truth": float(truth[i]),
            "runs": len(runs),
            "members": len(q),
            "original": covered(real_q, real_u, truth[i]),
            "naive": covered(q, u, truth[i]),
            "corrected": covered(q, u, truth[i], 2.0),
            "corrected for parameters drawn": covered(q, u, truth[i], 3.0),
            "pooled": share((lo <= truth[i]) & (truth[i] <= hi)),
        }
        if name in DEBIASED:
            at = DEBIASED.index(name)
            mended_q, mended_u = (np.array([run["debiased"][part][at] for run in runs]) for part in (0, 1))
            line["debiased"] = covered(mended_q, mended_u, truth[i], 2.0)
        line["relative bias %"] = float(100 * (q.mean() / truth[i] - 1))
        line["SE error %"] = {
            "original": error_of_se(real_q, real_u),
            "naive": float(np.mean([error_of_se(*pair) for pair in zip(q, u, strict=True)])),
            "pooled": error_of_se(pooled.estimate, pooled.variance),
        }
        lines.append(line)
    return lines


def error_of_se(q: np.ndarray, u: np.ndarray) -> float:
    """Mean stated standard error over the estimates' own spread, less 1, in percent."""
    return float(100 * (np.sqrt(u).mean() / q.std(ddof=1) - 1))


def main(arguments: list[str]) -> None:
    """Parse the table, key=value arguments and --json FILE; run what is missing, write."""
    options, target = read_words(arguments)
    generator, file = options["generator"], Path(options["rows"])
    runs, members, seed = (
        int(options.get(key, default)) for key, default in (("runs", 200), ("members", 5), ("seed", 0))
    )
    warnings.simplefilter("ignore")
    table = complete_cases(arguments[0])
    schema = infer_schema(table, target="income")
    estimands = read_estimands(ESTIMANDS, schema)
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    with threadpool_limits(1):
        for run in range(len(done), runs):
            done.append(one_run(table, schema, estimands, generator, members, seed, run))
            with file.open("a") as out:
                out.write(json.dumps(done[-1]) + "\n")
    found = {
        "generator": generator,
        "seed": seed,
        "rows": N,
        "cpu_seconds": sum(run["cpu_seconds"] for run in done),
        "estimands": summarise(done, ESTIMANDS, estimands(table).value),
    }
    print(json.dumps(found, indent=1), file=sys.stderr)
    write(target, found)


if __name__ == "__main__":
    main(sys.argv[1:])
