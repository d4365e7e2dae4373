"""Coverage of `dge-ray estimates results=`: risk, U and the best volume over new real tables.

    python experiments/coverage/pipeline.py [tables=100] [replicates=25] [seed=0] --json FILE

Laws of three features, learned by trees: `bumps`, a regression with a sine, and `classes`, two of them by a logistic
law. Tables of 200 rows (120 train, 40 validation, 40 test), copula generators, three members, volumes of .5, 1 and 4
times the train rows. A table has its own result and `replicates` studies done again on its resampled rows. The truth:
the mean of 200 further tables' results, and for the best volume the share of these whose own choice the interval
holds.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows

from dge_ray.inference.repeated import RESULTS, TARGETS, RealRows, Repeated, intervals
from dge_ray.inference.replicates import Recipe
from dge_ray.study.records.predictions import REAL_FITS
from dge_ray.table import infer_schema

ROWS, TRUTHS, MEMBERS, VOLUMES = 200, 200, 3, (60, 120, 480)
CUT = {"train": (0, 120), "validation": (120, 40), "test": (160, 40)}
LAWS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str, tuple[str, dict]]] = {
    "bumps": (lambda x: np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] ** 2, "rmse", ("tree", {"min_samples_leaf": 3})),
    "classes": (lambda x: 1.2 * x[:, 0] + 0.8 * x[:, 1], "log_loss", ("tree", {"min_samples_leaf": 10})),
}


def table(law: str, random: np.random.Generator) -> pa.Table:
    mean, metric, _ = LAWS[law]
    x = random.standard_normal((ROWS, 3))
    columns = {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}
    if metric == "log_loss":
        return pa.table(columns | {"y": np.where(random.random(ROWS) < expit(mean(x)), "yes", "no")})
    return pa.table(columns | {"y": mean(x) + 0.5 * random.standard_normal(ROWS)})


class AsItIs(RealRows):
    """Rows that are not resampled."""

    def again(self, seed: int, replicate: int) -> list[tuple[dict[str, pa.Table], np.ndarray]]:
        return [(dict(self.tables), np.arange(self.tables["train"].num_rows))]


def study(law: str, rows: pa.Table, kind: type[RealRows], seed: int) -> Repeated:
    """A study of the rows; replicate 0 of rows as they are is its own result."""
    _, metric, learner = LAWS[law]
    return Repeated(
        real=kind({name: rows.slice(*span) for name, span in CUT.items()}),
        schema=infer_schema(rows, target="y"),
        generator=Recipe("copula", {}),
        learner=learner,
        members=MEMBERS,
        volumes=VOLUMES,
        at=1,
        metric=metric,
        results=RESULTS,
        real_fits=REAL_FITS,
        seed=seed,
    )


def of_law(law: str, tables: int, replicates: int, seed: int) -> list[dict]:
    """Three lines."""

    def fresh(which: int, number: int) -> pa.Table:
        address = np.random.SeedSequence(seed, spawn_key=(24, list(LAWS).index(law), which, number))
        return table(law, np.random.default_rng(address))

    others = [study(law, fresh(0, number), AsItIs, number)(0)["results"] for number in range(TRUTHS)]
    kept: dict[str, list[tuple[float, float]]] = {name: [] for name in RESULTS}
    for number in range(tables):
        rows = fresh(1, number)
        own = study(law, rows, AsItIs, number)(0)["results"]
        again = study(law, rows, RealRows, number)
        found = [again(1 + replicate)["results"] for replicate in range(replicates)]
        for one in intervals(own, found, metric=LAWS[law][1], level=0.95):
            kept[one["name"]].append(tuple(one["interval"]))
    setting = f"{law}, {ROWS} rows, {MEMBERS} members, {replicates} replicates"
    lines = []
    for name, ends in kept.items():
        widths, values = [hi - lo for lo, hi in ends], np.array([other[name] for other in others])
        if name != "best_volume":
            truth = float(values.mean())
            lines.append(
                claim(f"pipeline: {name}", setting, TARGETS[name], [lo <= truth <= hi for lo, hi in ends], widths)
            )
            continue
        shares = [float(np.mean((values >= lo) & (values <= hi))) for lo, hi in ends]
        line = claim("pipeline: best_volume", setting, TARGETS[name], [True] * len(ends), widths)
        error = float(np.std(shares, ddof=1) / np.sqrt(len(shares)))  # of a mean of shares, not of yes and no
        lines.append(line | {"covered": float(np.mean(shares)), "mcse": error})
    return lines


def run(tables: int = 100, replicates: int = 25, seed: int = 0) -> list[dict]:
    """All laws."""
    return [line for law in LAWS for line in of_law(law, tables, replicates, seed)]


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
