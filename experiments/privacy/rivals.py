"""Our private generators against AIM and MST at equal budgets: what learners make of each one's rows.

usage: rivals.py [python=INTERPRETER] [source=FILE] [tables=[adult,parity2,...]] [epsilons=[1,3,10]]
                 [ways=[autoregressive,marginals,aim,mst]] [seeds=3] [once=[mst]] [ratio=2] [delta=1e-6]
                 [bins=32] [degree={adult: 2, parity2: 3, parity3: 3}] [model_size=2]
                 --work FOLDER --json FILE

Tables: rivals_tables.py. Ways: a private generator of this package (`-K`: K models at a split budget); `aim`, written
in rivals_aim.py, whose workload are the marginals of `degree` columns and whose model has `model_size` MiB at most;
`mst`, of `smartnoise-synth`, which the interpreter `python` has. `once`: with one seed alone, each WAY, TABLE/WAY or
TABLE/WAY/EPSILON. Boosting learns from `ratio` times the train rows and is scored on the test rows; `real`: it learns
from the train rows.

Budgets: the same epsilon and delta for all. Ours are planned as a study's are (privacy/plan.py). The rivals take whole
numbers, so they get the tokens of our private histogram, with at most `bins` bins a measured column, and pay for it
what ours pay: its zCDP is taken off what (epsilon, delta) allows, and the rest is theirs.

Intervals are 95 % over test rows, given the fits, of the mean over seeds; `against` is the paired difference to the
first way in `ways` on the same test rows. Finished cases are kept in --work and not done again; it also holds the
keys, so it is as secret as a study's `privacy/key`.
"""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
import pyarrow as pa
import torch
from measure import SHARED, finish, words
from rivals_aim import aim
from rivals_tables import Rows, read_rows

from dge_ray.downstream.learners import make_learner
from dge_ray.generators.checks import encode_rows
from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.marginals import noisy_marginals
from dge_ray.generators.private.tokens import private_discretiser
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import draw_rows
from dge_ray.privacy.accounting import Mechanism, epsilon
from dge_ray.privacy.key import keyed_digest, new_key, read_key, write_key
from dge_ray.privacy.plan import PrivacyPlan, Steps, plan_privacy
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.metrics.auc import auc_contributions
from dge_ray.storage import Folder
from dge_ray.table import TableCodec, target_vector

SHARD_ROWS = 32_768
RIVALS = ("aim", "mst")


class Runs:
    """One table, and its cases that are done or are done now."""

    def __init__(self, name: str, rows: Rows, work: Path, options: dict[str, Any]) -> None:
        self.name, self.rows, self.options = name, rows, options
        self.codec = TableCodec(rows.schema)
        self.test = self.codec.encode(rows.test)
        self.truth = target_vector(self.test, rows.schema)
        self.work, self.delta = work / name, float(options["delta"])
        folder = Folder.open(self.work)
        if read_key(folder) is None:
            write_key(folder, new_key())
        self.key = read_key(folder)

    @property
    def n(self) -> int:
        return self.rows.train.num_rows

    def learned(self, rows: pa.Table, seed: int) -> np.ndarray:
        learner = make_learner("boosting", {}, self.rows.schema, seed=integer(seed, Purpose.LEARNER))
        return learner.fit(self.codec.encode(rows)).predict(self.test)

    def case(self, way: str, total: float, seed: int) -> dict[str, Any]:
        """What is kept of a case: `predictions` (rows, classes), `cpu_s` of the fit or fits, and numbers of the way."""
        file = self.work / f"{way}-{total:g}-{seed}.npz"
        if not file.exists():
            name, _, models = way.partition("-")
            if way in RIVALS:
                found = self._rival(way, total, seed)
            elif way == "real":
                found = {"predictions": self.learned(self.rows.train, seed), "cpu_s": 0.0}
            else:
                found = self._own(name, int(models or 1), total, seed)
            np.savez(file, **found)
            print(json.dumps({"done": f"{self.name}/{file.stem}", "cpu_s": float(found["cpu_s"])}), flush=True)
        with np.load(file) as kept:
            return dict(kept)

    def _plan(self, name: str, models: int, total: float) -> PrivacyPlan:
        steps = Steps(*private_steps(name, private_settings(name, {}), self.n))
        return plan_privacy(total, self.delta, models, self.n, [steps], models="each")

    def _fit(self, plan: PrivacyPlan, case: str, member: int = 0) -> PrivateFit:
        """A member's fit, with a key of the case's own, as another study would have."""
        assert self.key is not None
        steps, own = plan.steps_of(member), int(keyed_digest(self.key, case), 16)
        at_rest = plan.marginals_multiplier
        return PrivateFit(steps.clip, plan.noise_multiplier, steps.sample_rate, steps.steps, at_rest, own, member)

    def _own(self, name: str, models: int, total: float, seed: int) -> dict[str, Any]:
        plan, settings = self._plan(name, models, total), private_settings(name, {})
        predictions, cpu_s = [], 0.0
        for member in range(models):
            private = self._fit(plan, f"{name} {models} {total} {seed}", member)
            began = time.process_time()
            made = make_generator(name, **settings)
            made.fit(self.rows.train, self.rows.schema, seed=integer(seed, Purpose.FIT, member=member), private=private)
            cpu_s += time.process_time() - began
            rows = draw_rows(made, self._count(), shard_rows=SHARD_ROWS, seed=seed, member=member)
            predictions.append(self.learned(rows, seed))
        return {"predictions": np.mean(predictions, axis=0), "cpu_s": cpu_s, "spent": plan.spent}

    def _count(self) -> int:
        return round(self.options["ratio"] * self.n)

    def _rival(self, rival: str, total: float, seed: int) -> dict[str, Any]:
        schema, options = self.rows.schema, self.options
        private = self._fit(self._plan("autoregressive", 1, total), f"{rival} {total} {seed}")
        began = time.process_time()
        values = encode_rows(self.rows.train, schema)
        marginals = noisy_marginals(schema.modelled, values, self.n, private)
        tokens = private_discretiser(schema.modelled, marginals, bins=options["bins"])
        cpu_s = time.process_time() - began
        rho = zcdp(total, self.delta) - 0.5 / private.marginals_multiplier**2
        encoded = tokens.encode(values)
        if rival == "aim":
            degree = options["degree"].get(self.name.partition("-")[0], 2)
            rng, began = numpy_generator(seed, Purpose.FIT), time.process_time()
            model = aim(encoded, tokens.sizes, rho=rho, degree=degree, model_size=options["model_size"], rng=rng)
            cpu_s += time.process_time() - began
            found = model.model.draw(self._count(), rng)
        else:
            found, more = self._spanning_tree(encoded, tokens.sizes, rho, seed)
            cpu_s += more
        drawn = tokens.decode(found, numpy_generator(seed, Purpose.SHARD))
        predictions = self.learned(TableCodec(schema).decode(drawn, seed=seed), seed)
        as_normal = epsilon([Mechanism(private.marginals_multiplier), Mechanism((2 * rho) ** -0.5)], self.delta)
        return {"predictions": predictions, "cpu_s": cpu_s, "spent": total, "rho": rho, "as_normal": as_normal}

    def _spanning_tree(self, encoded: np.ndarray, sizes: list[int], rho: float, seed: int) -> tuple[np.ndarray, float]:
        """MST's rows (d, rows), and its CPU-seconds."""
        job, made = self.work / "job.npz", self.work / "made.npz"
        np.savez(job, tokens=encoded, sizes=np.array(sizes), rho=rho, rows=self._count(), seed=seed)
        script = Path(__file__).with_name("rivals_mst.py")
        subprocess.run([self.options["python"], "-W", "ignore", str(script), str(job), str(made)], check=True)
        with np.load(made) as file:
            return file["tokens"], float(file["cpu_s"])


def zcdp(total: float, delta: float) -> float:
    """The most rho such that rho-zCDP is (total, delta)-differential privacy, by the bound of Canonne, Kamath and
    Steinke (2020), proposition 7, at its best order: that of the rivals' own code."""

    def spent(rho: float) -> float:
        orders = 1 + np.geomspace(1e-3, 1e5, 20_000)
        log_delta = (orders - 1) * (orders * rho - total) - np.log(orders - 1) + orders * np.log1p(-1 / orders)
        return float(log_delta.min())

    low, high = 0.0, total
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) <= math.log(delta) else (low, middle)
    return low


def interval(each: np.ndarray) -> dict[str, Any]:
    """The mean of per-row contributions (n,), and its 95 % interval over the rows."""
    half = 1.96 * each.std(ddof=1) / len(each) ** 0.5
    return {"auc": float(each.mean()), "interval": [float(each.mean() - half), float(each.mean() + half)]}


def cells(runs: Runs, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The table's rows of the results: a way at an epsilon each."""
    rows, keep = [], {"table": runs.name, "n": runs.n, "test_rows": len(runs.truth)}
    for total in options["epsilons"]:
        first: np.ndarray | None = None
        for way in options["ways"]:
            once = {way, f"{runs.name}/{way}", f"{runs.name}/{way}/{total:g}"} & set(options["once"])
            kept = [runs.case(way, total, seed) for seed in range(1 if once else options["seeds"])]
            each = np.array([auc_contributions(case["predictions"], runs.truth) for case in kept])
            row = {**keep, "way": way, "epsilon": total, "delta": runs.delta, **interval(each.mean(axis=0))}
            row |= {key: float(kept[0][key]) for key in ("spent", "rho", "as_normal") if key in kept[0]}
            row |= {"seeds": len(each), "each": each.mean(axis=1).tolist()}
            row |= {"fit_cpu_s": float(np.mean([case["cpu_s"] for case in kept]))}
            if first is None:
                first = each
            else:
                against = interval(each.mean(axis=0) - first.mean(axis=0))
                row["against"] = {"way": options["ways"][0], "difference": against.pop("auc"), **against}
            rows.append(row)
    real = auc_contributions(runs.case("real", 0, 0)["predictions"], runs.truth)
    return [*rows, {**keep, "way": "real", **interval(real)}]


def main(argv: list[str]) -> None:
    defaults = {
        "python": "",
        "source": str(SHARED / "adult.parquet"),
        "tables": ["adult", "parity2", "parity3", "parity2-2000", "parity3-2000"],
    }
    defaults |= {"epsilons": [1, 3, 10], "ways": ["autoregressive", "marginals", "aim", "mst"], "seeds": 3}
    degree = {"adult": 2, "parity2": 3, "parity3": 3}
    defaults |= {"once": ["mst"], "ratio": 2.0, "delta": "1e-6", "bins": 32, "degree": degree, "model_size": 2}
    if "--work" not in argv:
        sys.exit("--work: got nothing; takes a folder")
    at = argv.index("--work")
    work, argv = Path(argv[at + 1]), argv[:at] + argv[at + 2 :]
    _, options, file = words(argv, **defaults)
    if not options["python"] and "mst" in options["ways"]:
        sys.exit("python: got nothing; mst takes an interpreter that has smartnoise-synth")
    torch.set_num_threads(1)
    rows = []
    for name in options["tables"]:
        rows += cells(Runs(name, read_rows(name, options["source"]), work, options), options)
    finish(rows, file)


if __name__ == "__main__":
    main(sys.argv[1:])
