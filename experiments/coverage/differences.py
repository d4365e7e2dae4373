"""Coverage of the differences to each baseline, for new members, fits and rows.

    python experiments/coverage/differences.py [replicates=400] [seed=0] --json FILE

A law of its own: five features with an interaction and a sine, a target of two classes or a number with noise of
Student's t with 4 degrees of freedom. One real table of n rows. A member resamples it, with noise of a size of its own
on the features (so members are imperfect and unequal), and a learner is fitted on 2 n such rows. Banks of members and
fits are made once for each learner; a replicate draws K members, the baselines' fits and test rows anew from banks and
a pool of 20,000 rows, and the truth is the mean over the banks on the whole pool. About 8 CPU-minutes.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows

from dge_ray.stats.comparison.baselines import naive_single_difference
from dge_ray.stats.comparison.differences import PROCEDURE, Fits, difference
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import metric_value

ROWS, POOL, BANK, FEW, GROUPS = 400, 20000, 160, 40, 4
LEARNERS = {
    "ridge": (lambda s: Ridge(), True),
    "tree": (lambda s: DecisionTreeRegressor(min_samples_leaf=10, max_features=0.6, random_state=s), True),
    "logistic": (lambda s: LogisticRegression(max_iter=300), False),
    "class tree": (lambda s: DecisionTreeClassifier(min_samples_leaf=10, max_features=0.6, random_state=s), False),
    "boosting": (
        lambda s: HistGradientBoostingClassifier(max_iter=40, max_features=0.8, random_state=s),
        False,
    ),
    "boosted numbers": (
        lambda s: HistGradientBoostingRegressor(max_iter=40, max_features=0.8, random_state=s),
        True,
    ),
}
SIZES = ((4, 300), (8, 300), (4, 5000), (8, 1500))


def law(rows: int, number: bool, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features (rows, 5) and target (rows,)."""
    x = random.standard_normal((rows, 5))
    signal = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + 0.5 * x[:, 3]
    if number:
        return x, signal + random.standard_t(4, size=rows)
    return x, (random.random(rows) < 1 / (1 + np.exp(-1.5 * signal))).astype(int)


@dataclass
class Banks:
    """Predictions on the pool. `single` (BANK, P, C); `seeds` (FEW, 8, P, C): seeds on the first FEW members; `joint`
    K -> (FEW, 1 + GROUPS, P, C): models on all rows of member sets, and without each group; `sets` K -> (FEW, K)."""

    x: np.ndarray
    y: np.ndarray
    single: np.ndarray
    seeds: np.ndarray
    sets: dict[int, np.ndarray]
    joint: dict[int, np.ndarray]
    real: np.ndarray
    real_ensemble: np.ndarray


def banks(name: str, seed: int) -> Banks:
    """All fits of one learner."""
    make, number = LEARNERS[name]
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(7, list(LEARNERS).index(name))))
    train, y_train = law(ROWS, number, random)
    pool, y_pool = law(POOL, number, random)
    tables = []
    for _ in range(BANK):
        drawn = random.integers(ROWS, size=2 * ROWS)
        noise = 0.3 * np.exp(0.5 * random.standard_normal())
        tables.append((train[drawn] + noise * random.standard_normal((2 * ROWS, 5)), y_train[drawn]))
    fits = iter(range(10**9))

    def fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        model = make(next(fits)).fit(x, y)
        out = model.predict(pool)[:, None] if number else model.predict_proba(pool)
        return out.astype(np.float32)

    def together(members: np.ndarray) -> np.ndarray:
        return fitted(*(np.concatenate([tables[k][part] for k in members]) for part in (0, 1)))

    single = np.stack([fitted(*table) for table in tables])
    # the first of the seeds on a member is its own fit, as in a study
    seeds = np.stack([np.stack([single[k], *(fitted(*tables[k]) for _ in range(7))]) for k in range(FEW)])
    sets = {k: np.stack([random.choice(BANK, k, replace=False) for _ in range(FEW)]) for k in (4, 8)}
    joint = {
        k: np.stack(
            [
                np.stack([together(own), *(together(own[np.arange(k) % GROUPS != g]) for g in range(GROUPS))])
                for own in chosen
            ]
        )
        for k, chosen in sets.items()
    }
    real = np.stack([fitted(train, y_train) for _ in range(60)])
    again = [random.integers(ROWS, size=ROWS) for _ in range(120)]
    return Banks(
        pool, y_pool, single, seeds, sets, joint, real, np.stack([fitted(train[r], y_train[r]) for r in again])
    )


def one_learner(name: str, replicates: int, seed: int) -> list[dict]:
    """Rows of the table of one learner."""
    bank, number = banks(name, seed), LEARNERS[name][1]
    metric, task = ("rmse", "regression") if number else ("log_loss", "classification")
    lines = []
    for members, rows in SIZES:
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(8, members, rows)))

        def mean_of(draws: list[np.ndarray]) -> float:
            return float(np.mean([metric_value(metric, p.astype(np.float64), bank.y) for p in draws]))

        dge = mean_of([ensemble_mean(bank.single[random.choice(BANK, members, replace=False)]) for _ in range(400)])
        truths = {
            "naive single": dge - mean_of(list(bank.single)),
            "naive ensemble": dge - mean_of([ensemble_mean(s[:members]) for s in bank.seeds]),
            # of the same members on both sides: the two are so alike that other members' error would hide it
            "naive concatenated": mean_of([ensemble_mean(bank.single[own]) for own in bank.sets[members]])
            - mean_of(list(bank.joint[members][:, 0])),
            "real rows": dge - mean_of(list(bank.real)),
            "real ensemble": dge
            - mean_of(
                [ensemble_mean(bank.real_ensemble[random.choice(120, members, replace=False)]) for _ in range(60)]
            ),
        }
        held: dict[str, list[bool]] = {method: [] for method in truths}
        widths: dict[str, list[float]] = {method: [] for method in truths}
        for _ in range(replicates):
            at = random.choice(POOL, rows, replace=False)
            y = bank.y[at]
            first = int(random.integers(FEW))
            own = np.r_[first, random.choice(np.delete(np.arange(BANK), first), members - 1, replace=False)]
            drawn = bank.single[own][:, at].astype(np.float64)
            chosen = int(random.integers(FEW))
            of_set = bank.single[bank.sets[members][chosen]][:, at].astype(np.float64)
            baselines = {
                "naive ensemble": (drawn, Fits("first_member", bank.seeds[first, :members][:, at])),
                "naive concatenated": (of_set, Fits("grouped", bank.joint[members][chosen][:, at])),
                "real rows": (drawn, Fits("mean", bank.real[random.choice(60, 5, replace=False)][:, at])),
                "real ensemble": (
                    drawn,
                    Fits("ensemble", bank.real_ensemble[random.choice(120, members, replace=False)][:, at]),
                ),
            }
            got = {method: difference(p, fits, y, metric) for method, (p, fits) in baselines.items()}
            ends = {method: (one.lo, one.hi) for method, one in got.items()}
            ends["naive single"] = naive_single_difference(drawn, y, metric, task=task)[1:]
            for method, (lo, hi) in ends.items():
                held[method].append(bool(lo <= truths[method] <= hi))
                widths[method].append(hi - lo)
        setting = f"{name}, {members} members, {rows} test rows"
        lines += [claim(f"difference to {m}", setting, PROCEDURE, held[m], widths[m]) for m in truths]
    return lines


def run(replicates: int = 400, seed: int = 0) -> list[dict]:
    """All learners."""
    return [line for name in LEARNERS for line in one_learner(name, replicates, seed)]


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
