r"""Cross-fitted studies and the plain split on small tables: coverage of the risk and of m-hat, `undecided`, regret.

    python experiments/coverage/crossfit.py [replicates=400] [first=200] [last=1000] [trees=0] [minutes=0] [seed=0] \
        --json FILE

Four laws of five features: a regression with a sine and an interaction, and two classes (both learned by a layer of
cosines with random weights and ridge), a regression with squares and noise whose scale varies (ridge on squares), and a
class of about 10 % (logistic). With `trees=1` the first two, learned by trees to leaves of 3 and of 1.
`n` rows beside test: 200, 500, 1,000 (those from `first` to `last`), and n / 4 test rows. A member is a smoothed
bootstrap with a bandwidth of its own, so members err, and unequally. Four members, volumes of 1/8 to 4 times the
generator's rows. `plain`: 15 % of the n rows validate, a
tenth of the rest stops generators, the others are learned from. `folds`: five of them, each member five generators,
each fitted without a fold and without a tenth of the rest, as `folds=5` does it.

Everything is read by the package's own functions. Targets are worked out with eight fresh members a fold on 1,500 fresh
rows, with the law's own noise in place of drawn noise; over four of the eight by the K-law for squared error and Brier
score, and over halves for log loss. "refit": four fresh members on all n rows.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows

from dge_ray.stats.metrics.losses import contributions
from dge_ray.stats.volume.nested import nested_cell, nested_choice
from dge_ray.stats.volume.reflection import ReflectionPoint, reflection_point, risk_interval

MEMBERS, FRESH, FOLDS, JUDGES = 4, 8, 5, 1500
RATIOS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
SIZES = (200, 500, 1000)
HOLDS = ("plain, on test", "folds, on test", "folds, without test rows")
# What the page says does not hold, by law: members that all err at the same places, and few rows of a class.
FAILS = {"sine": HOLDS, "rare": ("plain, on test", "folds, without test rows")}
Rows = tuple[np.ndarray, np.ndarray]
"""Features (rows, 5) and target (rows,)."""


@dataclass(frozen=True)
class Law:
    """A law of rows, the learner on it, and the metric."""

    name: str
    task: str
    metric: str
    learner: str

    def mean(self, x: np.ndarray) -> np.ndarray:
        """E(y | x)."""
        if self.name == "sine":
            return np.sin(1.5 * x[:, 0]) + 0.5 * x[:, 1] ** 2 + x[:, 2] * x[:, 3]
        if self.name == "squares":
            return x[:, 0] + 0.5 * x[:, 1] ** 2 - 0.7 * x[:, 2] * x[:, 0]
        if self.name == "classes":
            return expit(1.2 * x[:, 0] + 0.8 * x[:, 1] * x[:, 2])
        return expit(-3.2 + 1.2 * x[:, 0] + 0.8 * x[:, 1] + 0.4 * x[:, 2] ** 2)

    def variance(self, x: np.ndarray) -> np.ndarray:
        """var(y | x)."""
        if self.task == "classification":
            p = self.mean(x)
            return p * (1 - p)
        return self._scale(x) ** 2

    def _scale(self, x: np.ndarray) -> np.ndarray:
        return 0.5 * (1 + 0.6 * np.abs(x[:, 4]))

    def draw(self, n: int, random: np.random.Generator) -> Rows:
        x = random.standard_normal((n, 5))
        if self.task == "classification":
            return x, (random.random(n) < self.mean(x)).astype(float)
        return x, self.mean(x) + self._scale(x) * random.standard_normal(n)

    def floor(self, x: np.ndarray) -> np.ndarray:
        """The least loss that is to be expected in each row: it has a mean of its own, known better."""
        p = self.mean(x)
        if self.metric == "log_loss":
            return -(p * np.log(p) + (1 - p) * np.log(1 - p))
        return self.variance(x)


LAWS = (
    Law("sine", "regression", "rmse", "network"),
    Law("squares", "regression", "rmse", "ridge"),
    Law("classes", "classification", "brier", "network"),
    Law("rare", "classification", "log_loss", "logistic"),
    Law("sine", "regression", "rmse", "tree"),
    Law("classes", "classification", "brier", "tree"),
)
CHEAP = 4  # of them; a tree costs ten times what the others do


def synthetic(rows: Rows, volume: int, law: Law, random: np.random.Generator) -> Rows:
    """A member's rows: a part of the rows drawn again, smoothed by a bandwidth of its own; some classes are flipped."""
    x, y = rows
    h = random.uniform(0.1, 0.5)
    own = random.permutation(len(y))[: max(2, int(0.85 * len(y)))]
    i = random.choice(own, volume)
    drawn = x[i] + h * random.standard_normal((volume, x.shape[1]))
    if law.task == "classification":
        return drawn, np.where(random.random(volume) < 0.02, 1 - y[i], y[i])
    return drawn, y[i] + 0.3 * h * y.std() * random.standard_normal(volume)


def squares(x: np.ndarray) -> np.ndarray:
    upper = np.triu_indices(x.shape[1])
    return np.column_stack([np.ones(len(x)), x, (x[:, :, None] * x[:, None, :])[:, upper[0], upper[1]]])


def logistic(f: np.ndarray, y: np.ndarray, start: np.ndarray, steps: int = 8) -> np.ndarray:
    """Newton's steps of a logistic regression with a small ridge penalty."""
    w = start
    for _ in range(steps):
        p = expit(f @ w)
        hessian = (f * (p * (1 - p))[:, None]).T @ f + np.eye(f.shape[1])
        step = np.linalg.solve(hessian, f.T @ (y - p) - w)
        w = w + step
        if np.abs(step).max() < 1e-3:
            break
    return w


def inputs(law: Law, x: np.ndarray, seed: int) -> np.ndarray:
    """What a learner makes of features. `network`: a layer of cosines with random weights, a fit's own."""
    if law.learner == "tree":
        return x
    if law.learner == "ridge":
        return squares(x)
    if law.learner == "logistic":
        return np.column_stack([np.ones(len(x)), x, x**2])
    random = np.random.default_rng(seed)
    weights, shift = random.normal(0, 0.7, (x.shape[1], 50)), random.uniform(0, 2 * np.pi, 50)
    return np.column_stack([np.ones(len(x)), x, np.cos(x @ weights + shift)])


def learned(law: Law, rows: Rows, sizes: np.ndarray, judges: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Predictions of the learner on each first rows, on each of some features. -> (volumes, rows, classes) each."""
    features, y = inputs(law, rows[0], seed), rows[1]
    told = [inputs(law, j, seed) for j in judges]
    out = [np.empty((len(sizes), len(own))) for own in judges]
    w = np.zeros(features.shape[1])
    for at, m in enumerate(sizes):
        f, target = features[:m], y[:m]
        if law.learner == "tree":
            kind = DecisionTreeRegressor if law.task == "regression" else DecisionTreeClassifier
            tree = kind(min_samples_leaf=3 if law.task == "regression" else 1, random_state=seed).fit(f, target)
            for one, g in zip(out, told, strict=True):
                if law.task == "regression":
                    one[at] = tree.predict(g)
                else:
                    p = tree.predict_proba(g)
                    one[at] = p[:, -1] if p.shape[1] > 1 else tree.classes_[0]
            continue
        if law.learner == "logistic":
            w = logistic(f, target, w)
        else:
            w = np.linalg.solve(f.T @ f + (1.0 if law.learner == "ridge" else 0.3) * np.eye(f.shape[1]), f.T @ target)
        for one, g in zip(out, told, strict=True):
            one[at] = expit(g @ w) if law.learner == "logistic" else g @ w
            if law.metric == "brier":
                one[at] = np.clip(one[at], 0.02, 0.98)
    if law.task == "regression":
        return [one[..., None] for one in out]
    return [np.stack([1 - one, one], axis=-1) for one in out]


def members(
    law: Law, rows: Rows, count: int, sizes: np.ndarray, judges: list[np.ndarray], random: np.random.Generator
) -> list[np.ndarray]:
    """Predictions of some members, fitted on the rows. Shape: -> (count, volumes, rows, classes) each."""
    each = [
        learned(law, synthetic(rows, int(sizes[-1]), law, random), sizes, judges, int(random.integers(2**31)))
        for _ in range(count)
    ]
    return [np.stack(one) for one in zip(*each, strict=True)]


def expected_risks(law: Law, fresh: np.ndarray, x: np.ndarray, floor: float) -> np.ndarray:
    """The mean loss of an ensemble of MEMBERS of the fresh members at each volume, over the law. Shape: -> (volumes,).

    `floor`: the mean of the law's least loss, in place of that of the few rows.
    """
    p, own = law.mean(x), law.floor(x)
    if law.metric == "log_loss":
        halves = fresh.reshape(-1, MEMBERS, *fresh.shape[1:]).mean(axis=1)
        losses = [contributions("log_loss", halves, np.full(len(x), c)) for c in (0, 1)]
        loss = ((1 - p) * losses[0] + p * losses[1]).mean(axis=0)
    else:
        value = fresh[..., -1]
        spread = value.var(axis=0, ddof=1)
        loss = (value.mean(axis=0) - p) ** 2 + own + spread * (1 / MEMBERS - 1 / len(fresh))
    return (loss - own).mean(axis=1) + floor


def as_metric(law: Law, loss: float) -> float:
    return float(np.sqrt(loss)) if law.metric == "rmse" else float(loss)


@dataclass
class Read:
    """What one way of reading gave over replicates."""

    risk: list[bool]
    widths: list[float]
    errors: list[float]  # the estimate less the target


def in_parts(rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """The first `share` of rows, and the others."""
    first = round(share * len(rows))
    return rows[:first], rows[first:]


class Setting:
    """One law at one number of rows; results of all replicates."""

    def __init__(self, law: Law, n: int, seed: int) -> None:
        self.law, self.n = law, n
        self.address = (LAWS.index(law), n)
        self.seed = seed
        probe = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(99, self.address[0])))
        self.floor = float(law.floor(probe.standard_normal((2_000_000, 5))).mean())
        self.reads: dict[str, Read] = {}
        self.points: dict[str, list[tuple[ReflectionPoint, int]]] = {"plain": [], "folds": []}
        self.regret: dict[str, list[float]] = {"plain": [], "folds": []}

    def read(self, way: str, interval: tuple[float, float, float], target: float) -> None:
        kept = self.reads.setdefault(way, Read([], [], []))
        value, lo, hi = interval
        kept.risk.append(bool(lo <= target <= hi))
        kept.widths.append(hi - lo)
        kept.errors.append(value - target)

    def replicate(self, number: int) -> None:
        law, n = self.law, self.n
        random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(*self.address, number)))
        x, y = law.draw(n, random)
        test_x, test_y = law.draw(n // 4, random)
        judge = random.standard_normal((JUDGES, 5))
        if law.task == "classification" and min(np.bincount(y.astype(int), minlength=2)) < 2 * FOLDS:
            return
        keys = {"task": law.task, "metric": law.metric}
        order = random.permutation(n)  # each class and target tenth is spread over folds and parts alike
        order = order[np.argsort(y[order], kind="stable")]
        fold = np.empty(n, int)
        fold[order] = (np.arange(n) + random.integers(FOLDS)) % FOLDS

        def sizes(rows: np.ndarray) -> np.ndarray:
            return np.array([max(2, round(ratio * len(rows))) for ratio in RATIOS])

        def risks(fresh: np.ndarray) -> np.ndarray:
            return expected_risks(law, fresh, judge, self.floor)

        # all n rows, fresh members: what a refit would be
        refit = risks(members(law, (x, y), FRESH, sizes(y), [judge], random)[0])

        # the plain split
        every = np.arange(n)
        validation = order[(np.arange(n) * 0.15 + random.random()) % 1.0 < 0.15]
        rest = random.permutation(np.setdiff1d(every, validation))
        _, train = in_parts(rest, 0.1)
        at = sizes(train)
        own = members(law, (x[train], y[train]), MEMBERS, at, [x[validation], test_x], random)
        truth = risks(members(law, (x[train], y[train]), FRESH, at, [judge], random)[0])
        point = reflection_point(own[0], self._y(y[validation]), volumes=at, seed=number, **keys)
        self.points["plain"].append((point, int(at[np.argmin(truth)])))
        self.regret["plain"].append(refit[point.index] / refit.min() - 1)
        target = as_metric(law, float(truth[point.index]))
        self.read("plain, on test", risk_interval(own[1][:, point.index], self._y(test_y), **keys), target)

        # folds
        held = [np.flatnonzero(fold == f) for f in range(FOLDS)]
        parts = [random.permutation(np.flatnonzero(fold != f)) for f in range(FOLDS)]
        trains = [in_parts(part, 0.1)[1] for part in parts]
        at = sizes(trains[0])
        p = np.empty((MEMBERS, len(at), n, 1 if law.task == "regression" else 2))
        on_test, truths = [], []
        for f, rows in enumerate(trains):
            own = members(law, (x[rows], y[rows]), MEMBERS, at, [x[held[f]], test_x], random)
            p[:, :, held[f]] = own[0]
            on_test.append(own[1])
            truths.append(risks(members(law, (x[rows], y[rows]), FRESH, at, [judge], random)[0]))
        by_fold = np.array(truths)  # (folds, volumes)
        share = np.array([len(rows) for rows in held]) / n
        point = reflection_point(p, self._y(y), volumes=at, seed=number, **keys)
        self.points["folds"].append((point, int(at[np.argmin(share @ by_fold)])))
        self.regret["folds"].append(refit[point.index] / refit.min() - 1)

        tiled, copies = np.tile(self._y(test_y), FOLDS), np.tile(np.arange(len(test_y)), FOLDS)
        stacked = np.concatenate([one[:, point.index] for one in on_test], axis=1)
        target = as_metric(law, float(by_fold[:, point.index].mean()))
        self.read("folds, on test", risk_interval(stacked, tiled, clusters=copies, **keys), target)

        places = nested_choice(p, self._y(y), held, task=law.task, volumes=at, metric=law.metric)
        nested = risk_interval(nested_cell(p, held, places), self._y(y), **keys)
        target = float(sum(s * by_fold[f, place] for f, (s, place) in enumerate(zip(share, places, strict=True))))
        self.read("folds, without test rows", nested, as_metric(law, target))
        self.read("refit, by folds", nested, as_metric(law, float(refit[point.index])))
        minimum = risk_interval(p[:, point.index], self._y(y), **keys)
        self.read("least risk, by folds", minimum, as_metric(law, float(share @ by_fold[:, point.index])))

    def _y(self, y: np.ndarray) -> np.ndarray:
        return y if self.law.task == "regression" else y.astype(int)

    def lines(self) -> list[dict]:
        law = self.law
        setting = f"{law.name}, {law.learner}, {law.metric}, {self.n} rows, {MEMBERS} members"
        lines = []
        targets = {
            "plain, on test": "new members and new rows, given the train rows",
            "folds, on test": "new members and new rows, given the folds' train rows",
            "folds, without test rows": "new members and new rows at each fold's choice, given the folds' train rows",
            "refit, by folds": "new members fitted on all rows",
            "least risk, by folds": "new members and new rows, given the folds' train rows, read where it was chosen",
        }
        for way, kept in self.reads.items():
            holds = way in HOLDS and way not in FAILS.get(law.name, ())
            line = claim(f"risk: {way}", setting, targets[way], kept.risk, kept.widths, holds=holds)
            lines.append(line | {"bias": float(np.mean(kept.errors)), "sd": float(np.std(kept.errors, ddof=1))})
        for way, kept in self.points.items():
            held = [point.interval[0] <= best <= point.interval[1] for point, best in kept]
            widths = [len(point.candidates) for point, _ in kept]
            undecided = float(np.mean([point.status == "undecided" for point, _ in kept]))
            regret = self.regret[way]
            lines.append(
                claim(f"m-hat: {way}", setting, "the best volume of the grid, given the train rows", held, widths)
                | {
                    "undecided": undecided,
                    "regret": float(np.mean(regret)),
                    "regret_mcse": float(np.std(regret, ddof=1) / np.sqrt(len(regret))),
                }
            )
        return lines


def run(
    replicates: int = 400, first: int = 200, last: int = 1000, trees: int = 0, minutes: int = 0, seed: int = 0
) -> list[dict]:
    """All settings, each with as many replicates; fewer where `minutes` are over before. `trees`: those of trees."""
    until = time.monotonic() + 60 * minutes if minutes else float("inf")
    laws = LAWS[CHEAP:] if trees else LAWS[:CHEAP]
    settings = [Setting(law, n, seed) for n in SIZES if first <= n <= last for law in laws]
    for number in range(replicates):
        if time.monotonic() > until:
            break
        for setting in settings:
            setting.replicate(number)
    return [line for setting in settings for line in setting.lines()]


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
