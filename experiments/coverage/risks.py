"""Coverage of risks on test rows: skewed losses, rare classes, AUC with few positives, the rarest class, small groups.

    python experiments/coverage/risks.py [replicates=400] [seed=0] --json FILE

Members are drawn for each replicate: a classifier's logit is the true one, shrunk to .7, plus a member's own shift and
noise; a regression member errs along one direction and anew in each row, and the target's noise is normal, exponential
or Student's t with 4 degrees of freedom. The truth is the mean over 300 ensembles on 20,000 rows each. `told` is the
share of replicates in which an interval was given at all; coverage is of these. About 3 CPU-minutes.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows

from dge_ray.stats.comparison.subgroups import Group, subgroup_risks
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import metric_value
from dge_ray.stats.volume.reflection import risk_interval

TARGET = "new members and new rows"
Draw = Callable[[int, int, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def classes(base: float) -> Draw:
    """Two classes, the second with about this share."""

    def draw(members: int, rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = 1.5 * random.standard_normal(rows)
        logit = x + np.log(base / (1 - base)) - (0.6 if base < 0.1 else 0.0)
        y = (random.random(rows) < expit(logit)).astype(int)
        noise = 0.4 * random.standard_normal((members, 1)) + 0.6 * random.standard_normal((members, rows))
        p = expit(0.7 * logit + noise)
        return np.stack([1 - p, p], axis=2), y

    return draw


def numbers(noise: str) -> Draw:
    """A number with noise of this law, of mean 0."""
    laws = {
        "normal": lambda random, n: random.standard_normal(n),
        "exponential": lambda random, n: random.exponential(size=n) - 1,
        "t4": lambda random, n: random.standard_t(4, size=n),
    }

    def draw(members: int, rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = random.standard_normal(rows)
        own = 0.4 * random.standard_normal((members, 1)) * x + 0.5 * random.standard_normal((members, rows))
        return own[..., None], laws[noise](random, rows)

    return draw


CASES = [  # law, metric, rows, members, whether the page says that it holds
    *(
        ("two classes, 30 %", classes(0.3), metric, rows, 4, True)
        for metric in ("log_loss", "auc")
        for rows in (68, 1000)
    ),
    ("two classes, 1 %", classes(0.01), "log_loss", 1000, 4, True),
    ("two classes, 1 %", classes(0.01), "log_loss", 5000, 8, True),
    ("two classes, 1 %", classes(0.01), "auc", 300, 4, True),
    ("two classes, 1 %", classes(0.01), "auc", 1000, 8, True),
    ("two classes, 30 %", classes(0.3), "accuracy", 68, 4, True),
    ("normal noise", numbers("normal"), "rmse", 68, 4, True),
    ("exponential noise", numbers("exponential"), "rmse", 68, 4, False),
    ("exponential noise", numbers("exponential"), "rmse", 1000, 8, True),
    ("t noise, 4 degrees of freedom", numbers("t4"), "rmse", 300, 4, False),
    ("t noise, 4 degrees of freedom", numbers("t4"), "mae", 300, 4, True),
    *(
        (f"two classes, {base:.0%}", classes(base), metric, rows, members, True)
        for metric in ("average_precision", "recall")
        for base, rows, members in ((0.3, 68, 4), (0.3, 1000, 4), (0.1, 1000, 4), (0.01, 1000, 8), (0.01, 5000, 8))
    ),
]


def risks(replicates: int, seed: int) -> list[dict]:
    """`risk_interval` on each case."""
    lines = []
    for number, (law, draw, metric, rows, members, holds) in enumerate(CASES):
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(9, number)))
        task = "regression" if metric in ("rmse", "mae") else "classification"
        values = []
        for _ in range(300):
            p, y = draw(members, 20000, random)
            values.append(metric_value(metric, ensemble_mean(p), y))
        truth = float(np.sqrt(np.mean(np.square(values)))) if metric == "rmse" else float(np.mean(values))
        held, widths = [], []
        for _ in range(replicates):
            p, y = draw(members, rows, random)
            if task == "classification" and np.bincount(y, minlength=2).min() < 1:
                continue
            _, lo, hi = risk_interval(p, y, task=task, metric=metric)
            if np.isnan(lo):  # too few to say
                continue
            held.append(bool(lo <= truth <= hi))
            widths.append(hi - lo)
        setting = f"{law}, {metric}, {members} members, {rows} rows"
        line = claim("risk on test", setting, TARGET, held, widths, holds=holds)
        lines.append(line | {"told": len(held) / replicates})
    return lines


def groups(replicates: int, seed: int) -> list[dict]:
    """Brier score of a group of few rows."""
    lines = []
    for number, (base, rows) in enumerate(((0.01, 40), (0.01, 400), (0.01, 2000), (0.1, 100), (0.4, 30), (0.4, 100))):
        random, draw = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(10, number))), classes(base)
        values = [metric_value("brier", ensemble_mean(p), y) for p, y in (draw(6, 20000, random) for _ in range(300))]
        truth, held, widths = float(np.mean(values)), [], []
        for _ in range(replicates):
            p, y = draw(6, rows, random)
            _, lo, hi = subgroup_risks([Group("g", 0.1, np.ones(rows, bool))], p, {}, y)[0]["risk"]
            if lo is not None:
                held.append(bool(lo <= truth <= hi))
                widths.append(hi - lo)
        if len(held) < 20:  # "too few to say": no interval is given that could be wrong
            held, widths = [True] * replicates, [np.nan] * replicates
            told = 0.0
        else:
            told = len(held) / replicates
        setting = f"outcome of {base:.0%}, 6 members, {rows} rows in the group"
        # a group that has ten of a rare outcome by luck alone is none of its kind
        lines.append(
            claim("risk in a group", setting, TARGET, held, widths, holds=told == 0 or told > 0.5) | {"told": told}
        )
    return lines


def run(replicates: int = 400, seed: int = 0) -> list[dict]:
    """All claims."""
    return [*risks(replicates, seed), *groups(replicates, seed)]


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
