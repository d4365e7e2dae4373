"""How often safe augmentation takes a candidate that brings nothing, and one that does.

    python experiments/coverage/safe.py [replicates=400] [seed=0] --json FILE

A law of its own: five features with an interaction and a sine, two classes or a number with noise. Each replicate draws
a real table; candidate 0 is a learner on its rows, cross-fitted on five folds, and the others are the same learner with
rows beside them. Candidates of a null are the learner with another seed, or with rows of the table itself drawn again,
which bring it nothing; those of a gain have as many new rows of the law as there are real ones. `covered`: the share of
replicates in which real rows alone were kept (a null), or were left (a gain, no claim). `uncorrected`: the same without
the correction of the cross-fit's variance. About 3 CPU-minutes.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows

from dge_ray.stats.comparison.safe_choice import safe_choice
from dge_ray.stats.metrics.losses import contributions

FOLDS, MEMBERS = 5, 2
LEARNERS = {
    "class tree": lambda s: DecisionTreeClassifier(min_samples_leaf=10, max_features=0.6, random_state=s),
    "tree": lambda s: DecisionTreeRegressor(min_samples_leaf=10, max_features=0.6, random_state=s),
}
CASES = [  # learner, real rows, kind of candidates, how many
    ("class tree", 100, "another seed", 1),
    ("class tree", 300, "another seed", 3),
    ("class tree", 1000, "another seed", 1),
    ("tree", 100, "another seed", 1),
    ("tree", 300, "another seed", 3),
    ("tree", 300, "its rows again", 1),
    ("class tree", 300, "its rows again", 1),
    ("class tree", 300, "new rows", 1),
    ("tree", 300, "new rows", 1),
]


def law(rows: int, number: bool, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features (rows, 5) and target (rows,)."""
    x = random.standard_normal((rows, 5))
    signal = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + 0.5 * x[:, 3]
    if number:
        return x, signal + random.standard_normal(rows)
    return x, (random.random(rows) < 1 / (1 + np.exp(-1.5 * signal))).astype(int)


def losses_of(name: str, rows: int, kind: str, count: int, random: np.random.Generator) -> np.ndarray:
    """Cross-fitted losses (1 + count, rows) of one real table, candidate 0 first; each is a mean over MEMBERS fits."""
    number, make = name == "tree", LEARNERS[name]
    x, y = law(rows, number, random)
    new = [law(rows, number, random) for _ in range(count)]
    predictions = np.zeros((1 + count, rows, 1 if number else 2))
    for train, test in KFold(FOLDS, shuffle=True, random_state=int(random.integers(2**31))).split(x):
        for candidate in range(1 + count):
            for _ in range(MEMBERS):
                ours, targets = x[train], y[train]
                if candidate and kind == "its rows again":
                    again = random.choice(train, len(train) // 2)
                    ours, targets = np.concatenate([ours, x[again]]), np.concatenate([targets, y[again]])
                elif candidate and kind == "new rows":
                    ours, targets = np.concatenate([ours, new[candidate - 1][0]]), np.r_[targets, new[candidate - 1][1]]
                model = make(int(random.integers(2**31))).fit(ours, targets)
                told = model.predict(x[test])[:, None] if number else model.predict_proba(x[test])
                predictions[candidate, test] += told / MEMBERS
    return contributions("squared_error" if number else "log_loss", predictions, y)


def run(replicates: int = 400, seed: int = 0) -> list[dict]:
    """All claims."""
    lines = []
    for place, (name, rows, kind, count) in enumerate(CASES):
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(14, place)))
        kept, before, widths = [], [], []
        for _ in range(replicates):
            losses = losses_of(name, rows, kind, count, random)
            choice = safe_choice(losses, folds=FOLDS)
            kept.append(choice.index == 0)
            before.append(safe_choice(losses).index == 0)
            widths.append(float(choice.bound * choice.errors[1:].mean()))
        gain = kind == "new rows"
        told = "safe augmentation takes what brings a gain" if gain else "safe augmentation keeps real rows alone"
        setting = f"{name}, {rows} rows, {count} candidate{'s' * (count > 1)}: {kind}"
        held = [not one for one in kept] if gain else kept
        line = claim(told, setting, "new tables, folds and seeds", held, widths, holds=not gain)
        first = 1 - float(np.mean(before)) if gain else float(np.mean(before))
        lines.append(line | {"uncorrected": first})
    return lines


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
