"""Coverage of the risk and of U on rows that belong together, and how often U passes falsely, with `group_column`.

    python experiments/coverage/clusters.py [replicates=400] [seed=0] --json FILE

The laws of `risks.py` with clusters: half of a feature's variance is its cluster's, a cluster shifts the target by an
amount that no feature tells, and members and real fits err by clusters as well as by rows. Test rows come in 8, 20, 60
or 200 clusters of ten rows, or in 20 or 60 of 1 to 40, ten on average. `rows alone` takes the rows of 60 clusters for
independent ones, and `own rows` is 600 rows with a cluster each, the same law without any; nothing is claimed for the
first. False PASS is asked at the true U, where each PASS is false. `told`: the share of replicates with an interval, or
with a verdict.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import run_rows

from dge_ray.stats.clusters import by_cluster
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import LOSSES, metric_value
from dge_ray.stats.utility.gap import Utility, ensemble_losses, utility
from dge_ray.stats.volume.reflection import risk_interval

FITS = 5
CLUSTERS = (8, 20, 60, 200)
TRUTHS, MANY = 100, np.repeat(np.arange(2000), 10)  # draws behind a truth, and their clusters of ten
Draw = Callable[[int, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""Members, (rows,) codes of clusters, random -> predictions (members, rows, classes), truth (rows,)."""


def apart(shape: tuple[int, ...], code: np.ndarray, random: np.random.Generator, share: float = 0.5) -> np.ndarray:
    """Standard normal values of which `share` of the variance is a cluster's. Shape: -> (*shape, rows)."""
    own = random.standard_normal((*shape, len(code)))
    of_cluster = random.standard_normal((*shape, int(code.max()) + 1))[..., code]
    return np.sqrt(share) * of_cluster + np.sqrt(1 - share) * own


def classes(base: float) -> Draw:
    """Two classes, the second with about this share."""

    def draw(members: int, code: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        told = 1.5 * apart((), code, random) + np.log(base / (1 - base))
        unknown = apart((), code, random, share=1.0)
        y = (random.random(len(code)) < expit(told + unknown)).astype(int)
        noise = 0.4 * random.standard_normal((members, 1)) + 0.6 * apart((members,), code, random)
        p = expit(0.7 * told + noise)
        return np.stack([1 - p, p], axis=2), y

    return draw


def numbers(noise: str) -> Draw:
    """A number with noise of this law within clusters."""

    def draw(members: int, code: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = apart((), code, random)
        within = random.standard_normal(len(code)) if noise == "normal" else random.exponential(size=len(code)) - 1
        y = 0.7 * apart((), code, random, share=1.0) + within
        own = 0.4 * random.standard_normal((members, 1)) * x + 0.5 * apart((members,), code, random)
        return own[..., None], y

    return draw


LAWS = {
    "two classes, 30 %": classes(0.3),
    "two classes, 5 %": classes(0.05),
    "normal noise": numbers("normal"),
    "exponential noise": numbers("exponential"),
}
RISKS = (
    ("two classes, 30 %", "log_loss"),
    ("two classes, 30 %", "auc"),
    ("two classes, 30 %", "accuracy"),
    ("two classes, 5 %", "log_loss"),
    ("two classes, 5 %", "auc"),
    ("two classes, 5 %", "average_precision"),
    ("normal noise", "rmse"),
    ("exponential noise", "mae"),
)
UTILITIES = (
    ("two classes, 30 %", "log_loss"),
    ("two classes, 30 %", "zero_one"),
    ("two classes, 5 %", "log_loss"),
    ("normal noise", "squared_error"),
    ("exponential noise", "squared_error"),
)


Rows = tuple[int, str]
"""How many clusters, and of which sizes."""
SETS: tuple[Rows, ...] = (
    *((count, "of ten") for count in CLUSTERS),
    *((count, "of 1 to 40") for count in (20, 60)),
    (600, "of one"),
)
ALONE = (60, "of ten")
UNEVEN = (20, "of 1 to 40")  # about eleven of one size: the degrees of freedom are too many


def codes(rows: Rows, random: np.random.Generator) -> np.ndarray:
    """(rows,) which cluster a row is of."""
    clusters, sizes = rows
    if sizes == "of 1 to 40":
        return np.repeat(np.arange(clusters), 1 + random.binomial(39, random.beta(0.7, 2.3, clusters)))
    return np.repeat(np.arange(clusters), 10 if sizes == "of ten" else 1)


def name_of(rows: Rows, clustered: bool) -> str:
    if rows[1] == "of one":
        return "own rows"
    return "clusters" if clustered else "rows alone"


def ways(rows: Rows) -> list[bool]:
    """Whether clusters are told."""
    return [True, False] if rows == ALONE else [True]


def true_risk(draw: Draw, metric: str, members: int, random: np.random.Generator) -> float:
    """Over new members and new clusters."""
    values = []
    for _ in range(TRUTHS):
        p, y = draw(members, MANY, random)
        values.append(metric_value(metric, ensemble_mean(p), y))
    return float(np.sqrt(np.mean(np.square(values)))) if metric == "rmse" else float(np.mean(values))


def risks(number: int, members: int, replicates: int, seed: int) -> list[dict]:
    """`risk_interval` of one law and metric."""
    (law, metric), lines = RISKS[number], []
    draw, task = LAWS[law], "regression" if metric in ("rmse", "mae") else "classification"
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(20, number, members)))
    truth = true_risk(draw, metric, members, random)
    for rows in SETS:
        found: dict[bool, list[tuple[float, float]]] = {way: [] for way in ways(rows)}
        for _ in range(replicates):
            code = codes(rows, random)
            p, y = draw(members, code, random)
            if task == "classification" and np.bincount(y, minlength=2).min() < 1:
                continue
            for clustered, ends in found.items():
                given = code if clustered and rows[1] != "of one" else None
                _, lo, hi = risk_interval(p, y, task=task, metric=metric, clusters=given)
                if not np.isnan(lo):  # else too few to say
                    ends.append((lo, hi))
        setting = f"{law}, {metric}, {members} members, {rows[0]} clusters {rows[1]}"
        for clustered, ends in found.items():
            if len(ends) < 20:  # withheld: no interval is given that could be wrong
                continue
            held = [bool(lo <= truth <= hi) for lo, hi in ends]
            name, target = f"risk, {name_of(rows, clustered)}", "new members and new clusters"
            # that a rare class is in ten clusters by luck alone is none of the kind
            holds = clustered and len(ends) > replicates / 2 and rows != UNEVEN
            line = claim(name, setting, target, held, [hi - lo for lo, hi in ends], holds=holds)
            lines.append(line | {"told": len(ends) / replicates})
    return lines


def utilities(number: int, members: int, replicates: int, seed: int) -> list[dict]:
    """U's interval and verdict of one law and loss."""
    (law, loss), lines = UTILITIES[number], []
    draw = LAWS[law]
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(21, number, members)))

    def losses(code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        p, y = draw(members + FITS, code, random)
        whole, pseudo = ensemble_losses(p[:members], y, loss)
        return whole, pseudo, LOSSES[loss].of(p[members:], y), y

    truth = float(np.mean([w.mean() - r.mean() for w, _, r, _ in (losses(MANY) for _ in range(TRUTHS))]))
    shift = 1.0 - truth  # a margin must be above 0: losses are moved so that the truth is 1
    for rows in SETS:
        read: dict[bool, list[Utility]] = {way: [] for way in ways(rows)}
        for _ in range(replicates):
            code = codes(rows, random)
            whole, pseudo, real, y = losses(code)
            rarest = int(np.bincount(y, minlength=2).min()) if loss in ("log_loss", "zero_one") else None
            for clustered, kept in read.items():
                given = code if clustered and rows[1] != "of one" else None
                at = [by_cluster(values, given) for values in (pseudo + shift, real, whole + shift)]
                kept.append(utility(at[0], at[1], margin=1.0, whole=at[2], rarest=rarest))
        setting = f"{law}, {loss}, {members} members, {rows[0]} clusters {rows[1]}"
        for clustered, kept in read.items():
            widths = [one.interval[1] - one.interval[0] for one in kept]
            held = [bool(one.interval[0] <= 1.0 <= one.interval[1]) for one in kept]
            told, target = [one.withheld is None for one in kept], "new members, fits and clusters"
            name, share = name_of(rows, clustered), {"told": float(np.mean(told))}
            # with most of the variance that of five fits whose squared errors are skewed, rows of their own fail too
            holds = clustered and share["told"] > 0.5 and (law, members) != ("normal noise", 8)
            lines.append(claim(f"U of the ensemble, {name}", setting, target, held, widths, holds=holds) | share)
            sound = [one.verdict != "PASS" for one in kept]
            lines.append(claim(f"no false PASS, {name}", setting, target, sound, widths, holds=clustered) | share)
    return lines


def run(replicates: int = 400, seed: int = 0) -> list[dict]:
    """All claims: of the risk with 4 members, of U with 4 and 8."""
    made = [line for n in range(len(RISKS)) for line in risks(n, 4, replicates, seed)]
    return made + [line for n in range(len(UTILITIES)) for k in (4, 8) for line in utilities(n, k, replicates, seed)]


if __name__ == "__main__":
    run_rows(sys.argv[1:], run)
