"""Does the joint law name a cheap (K, m), and is the cell as good as it says?

    python experiments/dge2023/joint_law.py SOURCE [key=value ...] --json FILE

A plain loop without Ray, one thread: 8 members, the law fitted to their validation predictions; then 8 members that it
has not seen are fitted at the named cell's and the best cell's volumes and measured on test rows, nothing of which was
looked at before. The excess of the named cell over the best (the mean over all subsets of its size) has an interval
over members and rows, paired. Costs are CPU-seconds measured in the loop: a member's generator, its rows (a straight
share of the whole draw), its fit.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from time import process_time

import numpy as np
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from dge_ray.downstream import make_learner
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import draw_rows
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.ensemble.klaw import law_losses
from dge_ray.stats.volume.joint_law import JointLaw, joint_law
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.table import TableCodec

MEMBERS = 8
EPSILONS = (0.02, 0.05)
WORDS = ["generator=autoregressive", "learner=forest", "ratios=0.25,0.5,1,2,4,8,16", "validation_fraction=0.2"]


def fit_members(prepared: Prepared, numbers: range, volumes: list[int], part: str) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (K, V, N, C) of the part's rows, and CPU-seconds (K, V): generator, rows, fit."""
    codec, real = TableCodec(prepared.schema), prepared.encoded()[part]
    name, settings = prepared.config.generators[0]
    predictions, costs = [], []
    for number in numbers:
        started = process_time()
        generator = make_generator(name, **settings)
        seed = prepared.config.seed
        own = integer(seed, Purpose.FIT, member=number)
        generator.fit(prepared.parts["train"], prepared.schema, seed=own, stopping=prepared.parts["stopping"])
        fitted = process_time() - started
        started = process_time()
        rows = draw_rows(generator, volumes[-1], shard_rows=prepared.shard_rows, seed=seed, member=number)
        drawn = process_time() - started
        predictions.append([])
        costs.append([])
        for volume in volumes:
            started = process_time()
            learned = integer(seed, Purpose.LEARNER, member=number, bits=31)
            keys = prepared.config.learner
            learner = make_learner(keys.name, keys.settings, prepared.schema, seed=learned)
            learner.fit(codec.encode(rows.slice(0, volume)))
            costs[-1].append(fitted + drawn * volume / volumes[-1] + process_time() - started)
            predictions[-1].append(learner.predict(real))
    return np.array(predictions, dtype=np.float64), np.array(costs)


def measured_excess(named: np.ndarray, size: int, best: np.ndarray, most: int, y: np.ndarray) -> tuple[float, ...]:
    """(value, lo, hi) of R(named) / R(best) - 1 on these rows, jackknife over members and rows.

    Shape: named, best (K, N, C).
    """
    k = len(named)

    def both(keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return law_losses(named[keep], y, size), law_losses(best[keep], y, most)

    ours, theirs = both(np.arange(k))
    excess = ours.mean() / theirs.mean() - 1
    by_row = (ours - (1 + excess) * theirs) / theirs.mean()
    left = [both(np.delete(np.arange(k), at)) for at in range(k)]
    pseudo = np.array([k * excess - (k - 1) * (a.mean() / b.mean() - 1) for a, b in left])
    error = np.sqrt(by_row.var(ddof=1) / len(y) + pseudo.var(ddof=1) / k)
    half = float(student.ppf(0.975, k - 1)) * error
    return float(excess), float(excess - half), float(excess + half)


def one_table(source: str, words: list[str]) -> list[dict]:
    """A row for each epsilon; the members are fitted once."""
    started = process_time()
    prepared = prepare(read_config(source, [*WORDS, *words]))
    volumes = list(prepared.volumes)
    p, costs = fit_members(prepared, range(MEMBERS), volumes, "validation")
    keys = {"task": prepared.task, "volumes": volumes, "costs": costs.mean(axis=0)}
    laws = [joint_law(p, prepared.truth("validation"), **keys, epsilon=epsilon) for epsilon in EPSILONS]
    cells = [cell for law in laws for cell in (law.cheapest, law.best) if cell is not None]
    looked = sorted({cell.volume for cell in cells})
    fresh, _ = fit_members(prepared, range(MEMBERS, 2 * MEMBERS), looked, "test") if looked else (np.empty(0), None)
    rows = []
    for law in laws:
        row = {"table": prepared.name, "rows": prepared.rows, "members": MEMBERS, "costs": costs.mean(axis=0).tolist()}
        row |= {"generator": prepared.config.generator_name, "learner": prepared.arms[0].label, "law": asdict(law)}
        rows.append(row | _measured(law, fresh, looked, prepared.truth("test")))
    return [*rows, {"table": prepared.name, "cpu_seconds": process_time() - started}]


def _measured(law: JointLaw, fresh: np.ndarray, looked: list[int], y: np.ndarray) -> dict:
    if law.best is None or law.cheapest is None:
        return {}
    named, best = (fresh[:, looked.index(cell.volume)] for cell in (law.cheapest, law.best))
    value, low, high = measured_excess(named, law.cheapest.members, best, law.best.members, y)
    return {
        "price": law.cheapest.cpu_seconds / law.best.cpu_seconds,
        "measured_excess": [value, low, high],
        "half_the_price": law.cheapest.cpu_seconds <= law.best.cpu_seconds / 2,
        "within_epsilon": value <= law.epsilon,
    }


def main(words: list[str]) -> None:
    at = words.index("--json")
    target, (source, *more) = Path(words[at + 1]), words[:at] + words[at + 2 :]
    with threadpool_limits(limits=1):
        rows = one_table(source, more)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(rows, indent=1, default=float) + "\n")
    for row in rows:
        print(json.dumps(row, default=float))


if __name__ == "__main__":
    main(sys.argv[1:])
