"""Syn-Test: its level and power, in closed form and with a small network, and decisions on real tables.

    python experiments/syn2023/syntest.py closed     [tables=2000 seed=0]
    python experiments/syn2023/syntest.py deep       [tables=200 seed=0]
    python experiments/syn2023/syntest.py deep_power [tables=100 seed=0]
    python experiments/syn2023/syntest.py decisions adult=TABLE california=TABLE [replicates=39 seed=0]

Each writes results/syntest_NAME.json beside it. What the parts are is in README.syntest.md.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gaussian
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.stats import norm
from scipy.stats import t as student

from dge_ray.commands import test as verb
from dge_ray.distributed.refits import run_refits
from dge_ray.inference.relevance import Relevance
from dge_ray.inference.replicates import Null, Pipeline, Recipe, RefitNull, Stream, saved, stream
from dge_ray.stats.inference.syntest import rate
from dge_ray.storage import Folder
from dge_ray.table import infer_schema

ALPHA = 0.05
RATIOS = (1, 4, 10)
RESULTS = Path(__file__).parent / "results"


def generator(seed: int, *address: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=address))


def address(seed: int, *where: int) -> int:
    """A seed of its own for the streams of one table's test."""
    return int(generator(seed, *where, 1).integers(2**63))


def share(rejected: list[bool]) -> dict[str, Any]:
    """A rejection rate with its 95 % Clopper-Pearson interval."""
    found = rate(int(sum(rejected)), len(rejected))
    return {"rate": found.value, "interval": [found.low, found.high], "tables": found.trials}


# Closed form: maximum-likelihood Gaussians, least squares (gaussian.py).

ROWS = 500  # two halves of 250 in the published procedure
PRETRAINING = 2_000
REPLICATES = 199
X7 = 0.1 * np.sqrt(1 / 12) / 0.2  # x7's standard deviation over the noise's in the simulation function: .144
PARTIAL = np.sqrt(1 - 2 * gaussian.CORRELATION**2)  # of the tested feature given the others


def closed_table(effect: float, seed: int, number: int, published: bool) -> dict[str, Any]:
    """Every test's decision on one table, and (`published`) the published procedure's with its statistics."""
    rng = generator(seed, round(1000 * effect), number)
    rows = gaussian.real_rows(ROWS, effect, rng)
    options = {"replicates": REPLICATES, "alpha": ALPHA}
    found: dict[str, Any] = {f"refit {r}": gaussian.refit_rejects(rows, r * ROWS, rng, **options) for r in RATIOS}
    found["raw"] = gaussian.raw_rejects(rows, rng, **options)
    if not published:
        return found
    volumes = [r * ROWS // 2 for r in RATIOS]
    twins, null, drawn = gaussian.published(rows, volumes, rng, draws_each=REPLICATES, alpha=ALPHA)
    chosen = None if twins.volume is None else volumes.index(twins.volume)
    found["paper, its own volume"] = chosen is not None and bool(twins.p[chosen] <= ALPHA)
    for v, r in enumerate(RATIOS):
        found[f"paper {r}"] = twins.p[v] <= ALPHA
        found[f"paper {r}, its own estimate"] = twins.errors[v].value
        found[f"paper {r}, score"] = score(null[:, v], drawn[:, v, 0])
    return found


def score(null: np.ndarray, drawn: np.ndarray) -> float:
    """The published procedure's combined p-value without its floor of 1 / (1 + D): the log of Hommel's combination of
    normal tail probabilities. Shape: (2, D), (2,)."""
    other = null[::-1]
    logs = norm.logsf((drawn - other.mean(axis=1)) / other.std(axis=1))
    return float(min(np.log(2) + logs.min(), logs.max()))


def closed(tables: int, seed: int) -> dict[str, Any]:
    """Figures 4 and 5: rejection rates with no effect, with the weak x7 of the simulation, and with half of it.

    "matched": the published procedure (on half as many tables) at the cut-off that rejects 5 % of those without an
    effect.
    """
    made: dict[str, Any] = {"rows": ROWS, "pretraining": PRETRAINING, "replicates": REPLICATES, "alpha": ALPHA}
    cuts: dict[int, float] = {}
    for name, strength, count in (("none", 0.0, tables), ("half of x7", X7 / 2, tables // 5), ("x7", X7, tables // 5)):
        effect = float(strength / PARTIAL)
        found = [closed_table(effect, seed, i, i < tables // 2) for i in range(count)]
        published = found[: tables // 2]
        cuts = cuts or {r: float(np.quantile([f[f"paper {r}, score"] for f in published], ALPHA)) for r in RATIOS}
        more = [with_pretraining(effect, seed, i) for i in range(tables // 5)]
        matched = {f"paper {r}, matched": share([f[f"paper {r}, score"] <= cuts[r] for f in published]) for r in RATIOS}
        tests = {**rates(found), **matched, **rates(more)}
        made[name] = {"effect": effect, "tests": tests, "paper's own estimates": means(published)}
        print(name, json.dumps({test: round(value["rate"], 4) for test, value in tests.items()}), file=sys.stderr)
    return made


def rates(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every decision among what was found for each table."""
    return {n: share([f[n] for f in found if n in f]) for n, v in found[0].items() if isinstance(v, bool)}


def means(found: list[dict[str, Any]]) -> dict[str, float]:
    return {n.partition(",")[0]: float(np.mean([f[n] for f in found])) for n in found[0] if n.endswith("estimate")}


def with_pretraining(effect: float, seed: int, number: int) -> dict[str, Any]:
    """The tests of all rows, those of pre-training among them; and the t-test of least squares beside them."""
    rng = generator(seed, round(1000 * effect), number, 1)
    rows = gaussian.real_rows(ROWS + PRETRAINING, effect, rng)
    options = {"replicates": REPLICATES, "alpha": ALPHA}
    return {
        "refit 1, raw + pre-training": gaussian.refit_rejects(rows, len(rows), rng, **options),
        "raw + pre-training": gaussian.raw_rejects(rows, rng, **options),
        "t-test": t_test(rows[:ROWS]),
        "t-test, raw + pre-training": t_test(rows),
    }


def t_test(rows: np.ndarray) -> bool:
    """Two-sided, of the tested feature's coefficient: what no test of these rows beats by much."""
    design = np.column_stack([np.ones(len(rows)), rows[:, :3]])
    slope, residual, *_ = np.linalg.lstsq(design, rows[:, gaussian.Y], rcond=None)
    freedom = len(rows) - design.shape[1]
    error = np.sqrt(residual[0] / freedom * np.linalg.inv(design.T @ design)[3, 3])
    return bool(2 * student.sf(abs(slope[3]) / error, freedom) <= ALPHA)


# A small network: the simulation function, columns x1 to x8 and y.

DEEP_ROWS = 200
DEEP_REPLICATES = 19  # alpha = .05 is exact: one of twenty ranks
DEEP_RATIO = 4
NETWORK = Recipe("autoregressive", {"epochs": 20, "hidden": 16, "embedding": 8, "bins": 16, "batch_size": 32})


def simulated(n: int, rng: np.random.Generator) -> pa.Table:
    """y = 8 + x1^2 + x2 x3 + cos(x4) + exp(x5 x6) + .1 x7 + N(0, .2^2); x8 tells nothing."""
    x = rng.random((n, 8))
    y = 8 + x[:, 0] ** 2 + x[:, 1] * x[:, 2] + np.cos(x[:, 3]) + np.exp(x[:, 4] * x[:, 5]) + 0.1 * x[:, 6]
    y += 0.2 * rng.standard_normal(n)
    return pa.table({**{f"x{j + 1}": x[:, j] for j in range(8)}, "y": y})


def deep_table(real: pa.Table, feature: str, seed: int) -> dict[str, bool]:
    """Decisions of the pipeline-refit null, and of the raw rows' statistic among the null tables'.

    Replicates end once both counts make rejection impossible or all are done, which changes no decision.
    """
    order = [*(n for n in real.column_names if n not in (feature, "y")), feature, "y"]
    real = real.select(order)
    schema = infer_schema(real, target="y")
    law = NETWORK.fit(real, schema, seed=stream(seed, 0, Stream.LAW))
    null = Null(schema, (feature,), NETWORK, saved(law.save), None)
    judge = Relevance(schema, (feature,), "ridge", {})
    replicate_of = RefitNull(real, null, Pipeline(schema, NETWORK, DEEP_RATIO * DEEP_ROWS, judge, seed))
    names = ("statistic", "raw")
    observed, reached = replicate_of(0), dict.fromkeys(names, 0)
    most = round(ALPHA * (1 + DEEP_REPLICATES)) - 1
    for replicate in range(1, DEEP_REPLICATES + 1):
        if min(reached.values()) > most:
            break
        found = replicate_of(replicate)
        for name in names:
            reached[name] += found[name] >= observed[name]
    return {"refit": bool(reached["statistic"] <= most), "raw": bool(reached["raw"] <= most)}


def deep(tables: int, seed: int) -> dict[str, Any]:
    """Figure 4 with a generator that is trained: x8, which tells nothing."""
    return by_network("x8", tables, seed)


def deep_power(tables: int, seed: int) -> dict[str, Any]:
    """Figure 5 with the same generator: x7."""
    return by_network("x7", tables, seed)


def by_network(feature: str, tables: int, seed: int) -> dict[str, Any]:
    """One Ray task a table; a run that is cut off is gone on with."""

    def one(number: int) -> dict[str, bool]:
        column = int(feature[1:])
        real = simulated(DEEP_ROWS, generator(seed, column, number))
        return deep_table(real, feature, address(seed, column, number))

    folder = Folder.open(f"syntests/{feature}-{seed}")
    found, cost = run_refits({}, lambda _: one, tables, folder=folder, say=lambda line: print(line, file=sys.stderr))
    facts = {"rows": DEEP_ROWS, "ratio": DEEP_RATIO, "replicates": DEEP_REPLICATES, "alpha": ALPHA, "feature": feature}
    return {**facts, "tests": rates(found), "cost": cost}


# Real tables, through `dge-ray test`'s own function.

REAL_ROWS = 600  # of each table, drawn at random
ADULT = ("age", "education-num", "hours-per-week")
TINY = {
    "generator": {"name": "autoregressive", "epochs": 10, "batch_size": 64},
    "learner": {"name": "boosting", "max_iter": 30},
}


def decisions(adult: str, california: str, replicates: int, seed: int) -> dict[str, Any]:
    """p-values on Adult's women (three features together; fnlwgt, a sampling weight, beside them) and on California."""
    made: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        women, houses = Path(scratch) / "women.parquet", Path(scratch) / "california.parquet"
        table = pq.read_table(adult)
        table = table.filter(pc.field("sex") == "Female").drop_columns(["sex", "split"])
        pq.write_table(some(table, seed), women)
        pq.write_table(some(pq.read_table(california), seed), houses)
        for name, source, target, features in (
            ("adult", women, "income", ADULT),
            ("adult, fnlwgt", women, "income", ("fnlwgt",)),
            ("california", houses, "MedHouseVal", ("MedInc",)),
        ):
            for method, ratio in (("refit", 1), ("paper", [1, 2])):
                words = {"features": list(features), "target": target, "method": method, "ratio": ratio, "seed": seed}
                words |= {"replicates": replicates, "out": f"{scratch}/out", **TINY}
                found = verb.test(str(source), words, lambda line: print(line, file=sys.stderr))
                made[f"{name}, {method}"] = {**found, "source": source.stem}
    return made


def some(table: pa.Table, seed: int) -> pa.Table:
    return table.take(pa.array(generator(seed, 0).permutation(table.num_rows)[:REAL_ROWS]))


PARTS: dict[str, tuple[Callable[..., dict[str, Any]], int]] = {
    "closed": (closed, 2000),
    "deep": (deep, 200),
    "deep_power": (deep_power, 100),
}


def main(arguments: list[str]) -> None:
    """Run one part, write and print its result."""
    options = dict(argument.split("=", 1) for argument in arguments[1:])
    began, part, seed = time.process_time(), arguments[0], int(options.get("seed", 0))
    if part == "decisions":
        made = decisions(options["adult"], options["california"], int(options.get("replicates", 39)), seed)
    else:
        work, tables = PARTS[part]
        made = work(int(options.get("tables", tables)), seed)
    made["cpu_seconds"] = round(time.process_time() - began, 1)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"syntest_{part}.json").write_text(json.dumps(made, indent=1) + "\n")
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
