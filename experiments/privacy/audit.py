"""An audit of private fits: the epsilon that their outputs prove at least, where one odd row is in them or not.

usage: audit.py [fits=1000] [epsilon=1] [control=20] [seed=0] --work FOLDER --json FILE

In half of the fits of a case the canary is a row like the others; in the other half it counts for nothing, so that the
number of rows, which is public, is the same: the accountant's adjacency. The other rows are the same in all fits, keys
are not. Two attackers say how much a fit looks as if the canary were in: `log_prob` by its likelihood under the
released member; `steps` knows all other rows and sees the steps' noisy sums (but the first and the last), as the
accountant grants it, and adds up the steps' log likelihood ratios, in which other rows enter as expected.

A threshold and a side are chosen on one half of the fits. The bound comes from the other half: log((true - delta) /
false), with Clopper and Pearson's bounds of both rates at 97.5 %, so that it holds at 95 %. `control` is an epsilon at
which the attackers must see the canary: that they find nothing would mean nothing otherwise. Finished fits are kept in
--work and not done again. Keys come from `seed`: the rows are made up, and nobody's.
"""

import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
import pyarrow as pa
import torch
from measure import finish, words

from dge_ray.generators.autoregressive.generator import TARGET_WEIGHT, Autoregressive
from dge_ray.generators.autoregressive.network import TokenNetwork
from dge_ray.generators.autoregressive.private import clipped_sum
from dge_ray.generators.fitting.rounds import unpack
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.marginals import public_cells
from dge_ray.generators.private.rounds import ADAM
from dge_ray.privacy.plan import PrivacyPlan, Steps, plan_privacy
from dge_ray.stats.leakage.attacks import auc_with_interval, clopper_pearson
from dge_ray.table import TableCodec, TableSchema
from dge_ray.table.schema.table_schema import Column, Kind

N = 80
DELTA = 1e-3
STEPS = Steps(clip=1.0, sample_rate=0.5, steps=20)  # 20 rounds are the most: the state is told after each
SETTINGS = {"hidden": 8, "embedding": 4, "lr": 0.5}
ATTACKERS = ("log_prob", "steps")
SCHEMA = TableSchema(
    (
        Column("shape", Kind.CATEGORICAL, "string", categories=("round", "square", "torn")),
        Column("size", Kind.INTEGER, "int64", minimum=0, maximum=9, decimals=0),
        Column("sold", Kind.CATEGORICAL, "string", categories=("no", "yes")),
    ),
    "sold",
    "binary",
)


def rows() -> pa.Table:
    """N rows of small things that were not sold, and, in the last place, a canary: nothing about it is like them."""
    i = np.arange(N - 1)
    shapes, sizes = np.where(i % 3, "round", "square"), i % 4
    return pa.table({"shape": [*shapes, "torn"], "size": [*sizes, 9], "sold": ["no"] * (N - 1) + ["yes"]})


@dataclass(frozen=True)
class WithoutTheLast(PrivateFit):
    """A private fit in which the last row counts for nothing: it enters no step and no histogram."""

    own_counts: tuple[int, ...] = field(default=(), kw_only=True)  # the row's, in the cells of all columns

    def batch(self, step: int, n: int) -> np.ndarray:
        drawn = super().batch(step, n)
        return drawn[drawn != n - 1]

    def histogram_noise(self, cells: int, columns: int) -> np.ndarray:
        return super().histogram_noise(cells, columns) - np.array(self.own_counts)


def counts_of(row: pa.Table) -> tuple[int, ...]:
    """What one row adds to the histograms."""
    values = TableCodec(SCHEMA).encode(row)
    parts = []
    for column in SCHEMA.modelled:
        cells = public_cells(column)
        parts.append(np.bincount(cells.find(values[column.name]), minlength=cells.size))
    return tuple(np.concatenate(parts).tolist())


class Observed:
    """What an observer of the steps has (a Keeper): the state after each but the last."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []

    def due(self) -> bool:
        return True

    def read(self) -> None:
        return None

    def write(self, state: bytes) -> None:
        kept = unpack(state)
        assert kept is not None
        self.states.append(kept[0])

    def clear(self) -> None:
        pass


def scores(table: pa.Table, private: PrivateFit, seed: int) -> dict[str, float]:
    """One fit, as the attackers see it."""
    seen, canary = Observed(), table.slice(N - 1)
    generator = Autoregressive(**SETTINGS).fit(table, SCHEMA, seed=seed, private=private, keeper=seen)
    _, model = generator._state()
    tokens = torch.from_numpy(model.discretiser.encode(TableCodec(SCHEMA).encode(table)))
    network = TokenNetwork(model.network.sizes, hidden=model.network.hidden, widths=model.network.widths)
    weights = [TARGET_WEIGHT if column.name == SCHEMA.target else 1.0 for column in SCHEMA.modelled]
    variance, ratio = (private.noise_multiplier * private.clip) ** 2, 0.0
    for before, after in zip(seen.states, seen.states[1:], strict=False):
        noisy = (after["first"] - ADAM[0] * before["first"]) / (1 - ADAM[0]) * (private.sample_rate * N)
        network.flat.copy_(before["weights"])
        noisy -= private.sample_rate * clipped_sum(network, tokens, torch.arange(N - 1), private.clip, weights)
        own = clipped_sum(network, tokens, torch.tensor([N - 1]), private.clip, weights)
        entered = float((noisy @ own - own @ own / 2) / variance)
        ratio += float(np.logaddexp(np.log1p(-private.sample_rate), np.log(private.sample_rate) + entered))
    return {"log_prob": float(generator.log_prob(canary)[0]), "steps": ratio}


def fit_case(epsilon: float, fits: int, seed: int, file: Path) -> tuple[list[dict[str, Any]], PrivacyPlan]:
    """The case's fits, those in `file` (a line each) and the others: by turns with the canary and without."""
    plan = plan_privacy(epsilon, DELTA, 1, N, [STEPS], models="one")
    table = rows()
    own = counts_of(table.slice(N - 1))
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    with file.open("a") as kept:
        for i in range(len(done), fits):
            key = int.from_bytes(hashlib.sha256(f"{seed} {epsilon} {i}".encode()).digest(), "big")
            noise = (plan.noise_multiplier, STEPS.sample_rate, STEPS.steps, plan.marginals_multiplier, key)
            canary = i % 2 == 0
            private = PrivateFit(STEPS.clip, *noise) if canary else WithoutTheLast(STEPS.clip, *noise, own_counts=own)
            began = time.process_time()
            found = scores(table, private, seed)
            done.append({"canary": canary, **found, "cpu_s": time.process_time() - began})
            print(json.dumps(done[-1]), file=kept, flush=True)
    return done[:fits], plan


def bound(seen: np.ndarray, unseen: np.ndarray, threshold: float, side: int) -> float:
    """The epsilon that a threshold proves on these scores, at 95 %; below 0 where it proves none.

    side 1: above it the attacker says "in"; -1: below it he says "not in", which is the definition's other direction.
    """
    right, wrong = (seen, unseen) if side > 0 else (-unseen, -seen)
    true = clopper_pearson(int((right > side * threshold).sum()), len(right))[0]
    false = clopper_pearson(int((wrong > side * threshold).sum()), len(wrong))[1]
    return float(np.log((true - DELTA) / false)) if true > DELTA else -np.inf


def audit(fits: list[dict[str, Any]], attacker: str) -> dict[str, Any]:
    """The area under the attacker's curve on all fits, and the bound from a threshold chosen on every other pair."""
    score, canary = np.array([one[attacker] for one in fits]), np.array([one["canary"] for one in fits])
    first = np.arange(len(fits)) // 2 % 2 == 0
    area, low, high = auc_with_interval(score[canary], score[~canary])
    tried = [(t, side) for t in np.unique(score[first]) for side in (1, -1)]
    chosen = max(tried, key=lambda one: bound(score[first & canary], score[first & ~canary], *one))
    proved = max(0.0, bound(score[~first & canary], score[~first & ~canary], *chosen))
    return {"attacker": attacker, "auc": area, "auc_interval": [low, high], "epsilon_at_least": proved}


def main(argv: list[str]) -> None:
    if "--work" not in argv:
        sys.exit("--work: got nothing; takes a folder")
    at = argv.index("--work")
    work, argv = Path(argv[at + 1]), argv[:at] + argv[at + 2 :]
    work.mkdir(parents=True, exist_ok=True)
    _, options, file = words(argv, fits=1000, epsilon=1.0, control=20.0, seed=0)
    torch.set_num_threads(1)
    found = []
    for epsilon in (float(options["epsilon"]), float(options["control"])):
        kept = work / f"epsilon={epsilon:g}-seed={options['seed']}.jsonl"
        fits, plan = fit_case(epsilon, options["fits"], options["seed"], kept)
        case = {"epsilon": epsilon, "spent": plan.spent, "delta": DELTA, "noise_multiplier": plan.noise_multiplier}
        case |= {"fits": len(fits), "cpu_s_a_fit": float(np.mean([one["cpu_s"] for one in fits]))}
        found += [{**case, **audit(fits, attacker)} for attacker in ATTACKERS]
    finish(found, file)


if __name__ == "__main__":
    main(sys.argv[1:])
