"""Does the K-law's interval hold: simulated members, and tree, forest, MLP, 1-NN and ridge.

    python experiments/dge2023/klaw.py [replicates=400] [seed=0] --json FILE

Simulated: surfaces of experiments/coverage with a closed form; the risk of 16 members predicted from 4 and from 8, its
interval on new rows against the closed form, on these rows against 16 members that were drawn. Learners: Friedman's
first problem (noise 1, target standardised), 1,000 real rows, Gaussian-copula members at 1,000 rows each, a pool of 320
members; each of 40 seeds gets 8 members and 250 real rows of its own and predicts the risk of 16 members on new rows;
truth: the pool on all 10,000. `auto`: members that doubling and the step to the predicted number end with, when the
tolerance is 1 % of the risk.
"""

import sys
import warnings
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import make_friedman1
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import run_rows

sys.path.insert(0, str(Path(__file__).parents[1] / "coverage"))
from surfaces import Surface

from dge_ray.generators.registry import make_generator
from dge_ray.stats.ensemble.klaw import gain_of_doubling, law_losses, members_variance
from dge_ray.stats.ensemble.klaw_interval import next_members, predicted_risk
from dge_ray.table import from_pandas, infer_schema

PLACE = 2  # the surface's volume that is looked at: 1,000 rows a member
FIT, TEST, POOL, SEEDS, SIZE, ASKED = 1000, 10_000, 320, 40, 8, 16


def stream(seed: int, *address: int) -> np.random.Generator:
    """The random stream at an address."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=address))


def simulated(replicates: int, seed: int) -> list[dict]:
    """Coverage and width of both intervals over fresh members and rows."""
    out = []
    for number, name in enumerate(("sharp", "plateau")):
        surface = Surface(name)
        truth = surface.risk(ASKED)[PLACE]
        for members in (4, 8):
            for rows in (300, 3000):
                new, here, widths, widths_here = [], [], [], []
                for replicate in range(replicates):
                    p, y = surface.draw(ASKED, rows, stream(seed, 0, number, members, rows, replicate))
                    found = predicted_risk(p[:members, PLACE], y, ASKED, task="regression")
                    measured = law_losses(p[:, PLACE], y, ASKED).mean()
                    new.append(found.lo <= truth <= found.hi)
                    here.append(found.lo_here <= measured <= found.hi_here)
                    widths.append((found.hi - found.lo) / truth)
                    widths_here.append((found.hi_here - found.lo_here) / truth)
                row = {"what": "simulated", "surface": name, "members": members, "rows": rows, "size": ASKED}
                row |= {"replicates": replicates, "held_new_rows": np.mean(new), "width_new_rows": np.mean(widths)}
                out.append(row | {"held_these_rows": np.mean(here), "width_these_rows": np.mean(widths_here)})
    return out


def learners(seed: int) -> dict[str, Any]:
    """Learners by name; a member's seed reaches those that draw."""
    return {
        "tree": DecisionTreeRegressor(random_state=seed),
        "forest": RandomForestRegressor(10, random_state=seed),
        "mlp": make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(32,), max_iter=40, random_state=seed)),
        "1-nn": make_pipeline(StandardScaler(), KNeighborsRegressor(1)),
        "ridge": make_pipeline(StandardScaler(), Ridge(1.0)),
    }


def real_learners(seed: int) -> list[dict]:
    """Of 40 seeds, how many intervals hold the pool's risk of 16 members."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y = make_friedman1(FIT + TEST, noise=1.0, random_state=seed)
    y = (y - y.mean()) / y.std()
    frame = pd.DataFrame(x[:FIT], columns=[f"x{at}" for at in range(x.shape[1])]).assign(y=y[:FIT])
    table = from_pandas(frame)
    schema = infer_schema(table, target="y")
    kept: dict[str, list[np.ndarray]] = {name: [] for name in learners(0)}
    cost = dict.fromkeys(kept, 0.0)
    for member in range(POOL):
        drawn = make_generator("copula").fit(table, schema, seed=member).sample(FIT, seed=member).to_pandas()
        features, target = drawn[frame.columns[:-1]].to_numpy(), drawn["y"].to_numpy()
        for name, learner in learners(member).items():
            started = process_time()
            kept[name].append(learner.fit(features, target).predict(x[FIT:]).astype(np.float32))
            cost[name] += process_time() - started
    out = []
    for name, members in kept.items():
        p, truth = np.array(members, dtype=np.float64)[..., None], y[FIT:]
        s2, limit = float(members_variance(p).mean()), float(law_losses(p, truth, np.inf).mean())
        goal, held, widths = limit + s2 / ASKED, [], []
        for at in range(SEEDS):
            own, rows = slice(at * SIZE, (at + 1) * SIZE), slice(at * TEST // SEEDS, (at + 1) * TEST // SEEDS)
            found = predicted_risk(p[own, rows], truth[rows], ASKED, task="regression")
            held.append(found.lo <= goal <= found.hi)
            widths.append((found.hi - found.lo) / goal)
        row = {"what": "learner", "learner": name, "members": SIZE, "size": ASKED, "seeds": SEEDS, "held": sum(held)}
        row |= {"width": np.mean(widths), "risk_1": limit + s2, "risk_16": goal, "risk_endless": limit}
        row["gain_from_8_to_16"] = (s2 / SIZE - s2 / ASKED) / (limit + s2 / SIZE)
        out.append(row | {"cpu_seconds": cost[name]})
    return out


def auto(replicates: int, seed: int) -> list[dict]:
    """Members that both rules stop with, and what the last doubling would have brought still."""
    out = []
    for number, name in enumerate(("sharp", "plateau")):
        surface = Surface(name)
        for rows in (300, 3000):
            ended: dict[str, list[int]] = {"doubling": [], "predicted": []}
            for replicate in range(replicates):
                p, y = surface.draw(32, rows, stream(seed, 1, number, rows, replicate))
                for rule, counts in ended.items():
                    counts.append(_stop(p[:, PLACE], y, rule))
            for rule, counts in ended.items():
                ks = np.array(counts)
                gain = surface.risk(1)[PLACE] - surface.risk(2)[PLACE]  # s2 / 2, so doubling K brings gain / K
                over = np.mean(gain / ks > 0.01 * surface.risk(16)[PLACE])
                row = {"what": "auto", "surface": name, "rows": rows, "rule": rule, "members": ks.mean()}
                out.append(row | {"stopped_too_early": over, "replicates": replicates})
    return out


def _stop(p: np.ndarray, y: np.ndarray, rule: str) -> int:
    k = 4
    while True:
        bound = 0.01 * float(law_losses(p[:k], y, k).mean())
        upper = gain_of_doubling(p[:k])[1]
        if upper < bound or k >= len(p):
            return k
        k = min(len(p), next_members(k, upper, bound) if rule == "predicted" else 2 * k)


def run(replicates: int = 400, seed: int = 0) -> list[dict]:
    rows = simulated(replicates, seed) + real_learners(seed) + auto(replicates, seed)
    return rows


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
