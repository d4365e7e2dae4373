"""Utility of private ensembles of Adult against epsilon and K: K models at a split budget, and one drawn K times.

usage: dp_adult.py [source=FILE] [epsilons=[1,3,10]] [members=[1,4,8]] [seeds=1] [ratio=2] [delta=1e-6] [plain=4]
                   --work FOLDER --json FILE

Generators are fitted on the official train rows; boosting learns from each member's rows (`ratio` times the train rows)
and is scored on the official test rows; an ensemble is the mean of its members' probabilities. The schema is
adult_schema.json, from the codebook. `plain`: members without privacy, for comparison; `real`: boosting on the train
rows. Intervals are 95 % over test rows, given the members. Finished members are kept in --work and not done again; it
also holds the keys, so it is as secret as a study's `privacy/key`.
"""

import json
import os
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

from dge_ray.downstream.learners import make_learner
from dge_ray.generators.base import Generator
from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import draw_rows
from dge_ray.privacy.key import keyed_digest, new_key, read_key, write_key
from dge_ray.privacy.plan import PrivacyPlan, Steps, plan_privacy
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.metrics.auc import auc_contributions
from dge_ray.storage import Folder
from dge_ray.table import TableCodec, TableSchema, load_table, target_vector
from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.public import conform

SHARD_ROWS = 32_768
GENERATOR = "autoregressive"


class Runs:
    """The table, and members that are done or are done now: (test predictions, CPU-seconds of the fit)."""

    def __init__(self, source: str, work: Path, ratio: float, seed: int) -> None:
        self.schema = TableSchema.from_json((Path(__file__).parent / "adult_schema.json").read_text())
        table = load_table(source)
        parts = {part: table.filter(pc.equal(table["split"], part)) for part in ("train", "test")}
        self.train, test = (conform(parts[part].drop_columns(["split"]), self.schema) for part in ("train", "test"))
        self.codec = TableCodec(self.schema)
        self.test = self.codec.encode(test)
        self.truth = target_vector(self.test, self.schema)
        self.work, self.ratio, self.seed = work / f"seed={seed}", ratio, seed
        folder = Folder.open(self.work)
        if read_key(folder) is None:
            write_key(folder, new_key())
        self.key = read_key(folder)
        self.last: tuple[PrivateFit | None, Generator] | None = None

    @property
    def n(self) -> int:
        return self.train.num_rows

    def learned(self, rows: pa.Table, member: int) -> np.ndarray:
        learner = make_learner("boosting", {}, self.schema, seed=integer(self.seed, Purpose.LEARNER, member=member))
        return learner.fit(self.codec.encode(rows)).predict(self.test)

    def member(self, name: str, member: int, settings: dict[str, Any], private: PrivateFit | None) -> np.ndarray:
        """A member's predictions (rows, classes). `private` may draw from another member's model."""
        file = self.work / f"{name}-{member}.npy"
        if file.exists():
            return np.load(file)
        began = time.process_time()
        generator = self.generator(member if private is None else private.member, settings, private)
        fitted = time.process_time() - began
        count = round(self.ratio * self.n)
        rows = draw_rows(generator, count, shard_rows=SHARD_ROWS, seed=self.seed, member=member)
        found = self.learned(rows, member)
        np.save(file, found)
        print(json.dumps({"done": file.stem, "fit_cpu_s": fitted, "cpu_s": time.process_time() - began}), flush=True)
        return found

    def generator(self, model: int, settings: dict[str, Any], private: PrivateFit | None) -> Generator:
        """A fitted model; the last one is kept, for it may be drawn from again."""
        if self.last is None or private is None or self.last[0] != private:
            seed = integer(self.seed, Purpose.FIT, member=model)
            made = make_generator(GENERATOR, **settings)
            made.fit(self.train, self.schema, seed=seed, **({} if private is None else {"private": private}))
            self.last = private, made
        return self.last[1]

    def score(self, members: list[np.ndarray]) -> dict[str, Any]:
        each = auc_contributions(np.mean(members, axis=0), self.truth)
        half = 1.96 * each.std(ddof=1) / len(each) ** 0.5
        single = [float(auc_contributions(one, self.truth).mean()) for one in members]
        return {
            "auc": float(each.mean()),
            "interval": [float(each.mean() - half), float(each.mean() + half)],
            "single_mean": float(np.mean(single)),
            "single_sd": float(np.std(single, ddof=1)) if len(single) > 1 else None,
        }


def private_cells(runs: Runs, epsilons: list[float], members: list[int], delta: float) -> list[dict[str, Any]]:
    settings = private_settings(GENERATOR, {})
    steps = Steps(*private_steps(GENERATOR, settings, runs.n))
    cells = []
    for total in epsilons:
        one: PrivacyPlan | None = None
        for k in members:
            plan = plan_privacy(total, delta, k, runs.n, [steps], models="each")
            one = plan if k == 1 else one
            found = [runs.member(f"each-{total}-{k}", j, settings, of(plan, runs.key, j)) for j in range(k)]
            cells.append({"models": "each", **facts(plan, k), **runs.score(found)})
            if k > 1 and one is not None:  # the model of K = 1, whose rows member 0 has there
                same = of(one, runs.key, 0)
                found = [runs.member(f"each-{total}-1", j, settings, same) for j in range(k)]
                cells.append({"models": "one", **facts(one, k), **runs.score(found)})
    return cells


def of(plan: PrivacyPlan, key: int | None, member: int) -> PrivateFit:
    """A member's fit; every plan has streams of its own, as another study would have."""
    assert key is not None
    steps, own = plan.steps_of(member), int(keyed_digest(key, f"{plan.epsilon} {plan.members}"), 16)
    return PrivateFit(
        steps.clip, plan.noise_multiplier, steps.sample_rate, steps.steps, plan.marginals_multiplier, own, member
    )


def facts(plan: PrivacyPlan, members: int) -> dict[str, Any]:
    noise = {"noise_multiplier": plan.noise_multiplier, "marginals_multiplier": plan.marginals_multiplier}
    return {"epsilon": plan.epsilon, "delta": plan.delta, "members": members, "spent": plan.spent, **noise}


def main(argv: list[str]) -> None:
    defaults = {"source": str(SHARED / "adult.parquet"), "epsilons": [1, 3, 10], "members": [1, 4, 8], "seeds": 1}
    if "--work" not in argv:
        sys.exit("--work: got nothing; takes a folder")
    at = argv.index("--work")
    work, argv = Path(argv[at + 1]), argv[:at] + argv[at + 2 :]
    _, options, file = words(argv, **defaults, ratio=2.0, delta="1e-6", plain=4)
    torch.set_num_threads(1)
    rows = []
    for seed in range(options["seeds"]):
        runs = Runs(options["source"], work, options["ratio"], seed)
        keep = {"seed": seed, "n": runs.n, "ratio": runs.ratio, "test_rows": len(runs.truth)}
        members = sorted(options["members"])
        rows += [
            {**keep, **cell} for cell in private_cells(runs, options["epsilons"], members, float(options["delta"]))
        ]
        if options["plain"] and seed == 0:
            plain = [runs.member("plain", j, {}, None) for j in range(options["plain"])]
            rows += [{**keep, "models": "no privacy", "members": k, **runs.score(plain[:k])} for k in (1, len(plain))]
            rows.append({**keep, "models": "real", "members": None, **runs.score([runs.learned(runs.train, 0)])})
    finish(rows, file)


if __name__ == "__main__":
    main(sys.argv[1:])
