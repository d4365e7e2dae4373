"""Is the ranking's stated probability calibrated, and does the gap certificate lie? Simulations with known risks.

    python experiments/utility2023/agreement.py [replicates=1000] [seed=0] --json FILE

`dge-ray utility` states a probability that synthetic and real rows put the same pipeline first, and certifies pairs.
Loss tensors are simulated from risks that are known: in each replicate A pipelines get a risk r_a when trained on real
rows (sd `gap` around .5) and s_a = r_a + u_a on synthetic ones (u_a of mean `cost`, sd `utility`), and losses with
effects of rows (all share them), of a pipeline's own rows (its synthetic and real fits share them), of members and of
fits. What is counted:

    truly  the pipelines with the least s_a and the least r_a are the same one
    again  a fresh study of the same pipelines (new rows, members, seeds) puts the same one first by both

and the reliability table sets each against the probability stated: in bins, and as the mean stated less the share that
happened. `fitted` has real fits: the closed-form problem of `problem.py` with four classes; s_a is the mean over 200
fresh members, r_a exact. Certificates: the share of certified pairs whose true order differs, in the same simulations,
and where lying is easiest, at pairs whose synthetic gap is exactly 0. About 200 CPU-seconds.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from problem import CLASSES, excess, fit, real_rows, stream

from dge_ray.stats.ensemble.uncertainty import binomial_interval
from dge_ray.stats.utility.consistency import Ranking, ranking

BINS = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0])
REAL_FITS = 5
FRESH_MEMBERS = 200
FITTED_SIZES = (60, 120, 240)
TEST_ROWS = 400
COUNTED = (("pairs", "same_order"), ("separable", "separable_false"), ("certain", "certain_false"))


@dataclass(frozen=True)
class Setting:
    """A population of studies. Standard deviations: of the risks (`gap`, `utility`), and of the losses' effects: a
    pipeline's own rows, members, synthetic fits' and real fits' own errors a row, real fits' seeds."""

    name: str
    pipelines: int
    members: int
    rows: int
    gap: float
    utility: float
    cost: float = 0.01
    own: float = 0.3
    member: float = 0.03
    error: float = 0.3
    fit: float = 0.005
    skewed: bool = False


# A risk's standard error over the pipeline's own rows is own / sqrt(rows), about .015; over members member / sqrt(S).
SETTINGS = (
    Setting("gaps well above the errors", 4, 6, 400, gap=0.10, utility=0.03),
    Setting("gaps like the errors", 4, 6, 400, gap=0.02, utility=0.02),
    Setting("synthetic order unrelated", 4, 6, 400, gap=0.03, utility=0.15),
    Setting("seven pipelines", 7, 8, 400, gap=0.04, utility=0.02),
    Setting("three members that lead", 4, 3, 800, gap=0.05, utility=0.05, own=0.1, member=0.10),
    Setting("skewed losses", 4, 6, 400, gap=0.03, utility=0.03, skewed=True),
)
# (r, s) of two pipelines whose synthetic risks are equal: any certificate is false. Errors of a gap are about .02.
TIES = {
    "synthetic tie, the better one pays": ((0.50, 0.60), (0.60, 0.60)),
    "synthetic tie, both pay half": ((0.50, 0.60), (0.55, 0.55)),
    "both tied": ((0.50, 0.50), (0.50, 0.50)),
    "both tied, dear": ((0.50, 0.50), (0.70, 0.70)),
}


def losses(
    setting: Setting, r: np.ndarray, s: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Losses of synthetic fits (A, S, N) and real ones (A, B, N) around the risks."""
    a, k, n = setting.pipelines, setting.members, setting.rows

    def noise(*shape: int) -> np.ndarray:
        return generator.exponential(size=shape) - 1 if setting.skewed else generator.standard_normal(shape)

    rows = 0.3 * noise(n) + setting.own * noise(a, 1, n)
    synthetic = s[:, None, None] + rows + 0.5 * setting.own * noise(a, 1, n) + setting.error * noise(a, k, n)
    synthetic += setting.member * (noise(1, k, 1) + noise(a, k, 1))
    real = r[:, None, None] + rows + setting.fit * noise(a, REAL_FITS, 1) + 0.3 * setting.error * noise(a, REAL_FITS, n)
    return synthetic, real


def same_first(r: np.ndarray, s: np.ndarray) -> bool:
    return int(r.argmin()) == int(s.argmin())


def simulated(setting: Setting, replicates: int, seed: int) -> Iterator[tuple[Ranking, dict[str, Any]]]:
    """The ranking of each replicate, with what is true of it: `r`, `s`, and whether a fresh study would agree."""
    number = SETTINGS.index(setting)
    for replicate in range(replicates):
        generator = stream(seed, number, replicate)
        r = 0.5 + setting.gap * generator.standard_normal(setting.pipelines)
        s = r + setting.cost + setting.utility * generator.standard_normal(setting.pipelines)
        first, fresh = (losses(setting, r, s, generator) for _ in range(2))
        again = same_first(*(tensor.mean(axis=(1, 2)) for tensor in fresh))
        names = [str(a) for a in range(setting.pipelines)]
        yield ranking(*first, names, seed=replicate), {"r": r, "s": s, "again": again}


def member_rows(
    n: int, real: tuple[np.ndarray, np.ndarray], bias: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of a member: the features of `problem.py`, responses of a quadratic fitted on resampled real rows, off by
    `bias` x for all members alike."""
    drawn = generator.integers(len(real[0]), size=len(real[0]))
    x = np.sqrt(0.25 + 2 * generator.random(n)) - 0.5
    return x, fit("quadratic", real[0][drawn], real[1][drawn])(x) + bias * x + 0.3 * generator.standard_normal(n)


def fitted(replicates: int, seed: int) -> Iterator[tuple[Ranking, dict[str, Any]]]:
    """Real fits: a real table, six members of as many rows, 400 test rows, and the risks that belong to them."""
    for replicate in range(replicates):
        generator = stream(seed, 99, replicate)
        n, bias = FITTED_SIZES[replicate % len(FITTED_SIZES)], 0.4 * generator.standard_normal()
        table = real_rows(n, generator)
        on_real = {name: fit(name, *table) for name in CLASSES}
        r = np.array([excess(on_real[name]) for name in CLASSES])
        s = np.zeros(len(CLASSES))
        for _ in range(FRESH_MEMBERS):
            member = member_rows(n, table, bias, generator)
            s += np.array([excess(fit(name, *member)) for name in CLASSES]) / FRESH_MEMBERS
        found, again = None, False
        for time_around in range(2):
            x, y = real_rows(TEST_ROWS, generator)
            members = [member_rows(n, table, bias, generator) for _ in range(6)]
            synthetic = np.array([[(fit(name, *m)(x) - y) ** 2 for m in members] for name in CLASSES])
            real = np.array([[(on_real[name](x) - y) ** 2] for name in CLASSES])
            if time_around == 0:
                found = ranking(synthetic, real, CLASSES, seed=replicate)
            else:
                again = same_first(real.mean(axis=(1, 2)), synthetic.mean(axis=(1, 2)))
        assert found is not None
        yield found, {"r": r, "s": s, "again": again}


def reliability(stated: np.ndarray, happened: np.ndarray) -> list[dict[str, Any]]:
    """By bin of the stated probability: how many, the mean stated, the share that happened, its exact interval."""
    which = np.clip(np.searchsorted(BINS, stated, side="right") - 1, 0, len(BINS) - 2)
    rows = []
    for b in np.unique(which):
        there = which == b
        hits, count = int(happened[there].sum()), int(there.sum())
        lo, hi = binomial_interval(np.array(hits), np.array(count))
        rows.append(
            {
                "from": BINS[b],
                "to": BINS[b + 1],
                "count": count,
                "stated": float(stated[there].mean()),
                "happened": hits / count,
                "interval": [float(lo), float(hi)],
            }
        )
    return rows


def run(name: str, made: Iterator[tuple[Ranking, dict[str, Any]]]) -> dict[str, Any]:
    """Reliability and certificates of a population."""
    stated, truly, again = [], [], []
    counts = dict.fromkeys((name for both in COUNTED for name in both), 0)
    for found, truth in made:
        stated.append(found.top_agrees)
        truly.append(same_first(truth["r"], truth["s"]))
        again.append(truth["again"])
        place = {label: at for at, label in enumerate(found.names)}
        for pair in found.pairs:
            i, j = place[pair.first], place[pair.second]
            kept = (truth["r"][j] - truth["r"][i]) * (truth["s"][j] - truth["s"][i]) > 0
            counts["pairs"] += 1
            counts["same_order"] += bool(kept)
            for flag in ("separable", "certain"):
                counts[flag] += getattr(pair, flag)
                counts[f"{flag}_false"] += getattr(pair, flag) and not kept
    row: dict[str, Any] = {"name": name, "replicates": len(stated), **counts, "stated": float(np.mean(stated))}
    for event, values in (("truly", np.array(truly)), ("again", np.array(again))):
        apart = np.array(stated) - values
        row[event] = {
            "happened": float(values.mean()),
            "stated_less_happened": float(apart.mean()),
            "se": float(apart.std(ddof=1) / np.sqrt(len(apart))),
            "bins": reliability(np.array(stated), values),
        }
    return row


def tied(replicates: int, seed: int) -> list[dict[str, Any]]:
    """How often a pair is certified whose synthetic risks are equal: every certificate is false."""
    setting = Setting("two pipelines", 2, 6, 400, gap=0.0, utility=0.0)
    rows = []
    for number, (name, (r, s)) in enumerate(TIES.items()):
        flags = []
        for replicate in range(replicates):
            tensors = losses(setting, np.array(r), np.array(s), stream(seed, 50 + number, replicate))
            pair = ranking(*tensors, ["a", "b"], seed=replicate, draws=2).pairs[0]
            flags.append((pair.separable, pair.certain))
        separable, certain = np.mean(flags, axis=0).tolist()
        rows.append({"name": name, "replicates": replicates, "separable": separable, "certain": certain})
    return rows


def show(rows: list[dict[str, Any]], ties: list[dict[str, Any]]) -> None:
    """The tables of the folder's README."""
    heads = [f"{a:g} to {b:g}" for a, b in pairwise(BINS)]
    for event in ("truly", "again"):
        print(f"\n| {event} | stated | happened | stated - happened (se) | {' | '.join(heads)} |")
        print("|---" * (len(heads) + 4) + "|")
        for r in rows:
            one = r[event]
            by_bin = {b["from"]: f"{b['stated']:.2f}, {b['happened']:.2f} ({b['count']})" for b in one["bins"]}
            means = f"{r['stated']:.3f} | {one['happened']:.3f} | {one['stated_less_happened']:+.3f} ({one['se']:.3f})"
            print(f"| {r['name']} | {means} | {' | '.join(by_bin.get(b, '') for b in BINS[:-1])} |")
    print("\n| population | pairs, of the same order | certified, falsely | certain, falsely |\n|---|---|---|---|")
    for r in rows:
        counts = [f"{r[one]}, {r[other]}" for one, other in COUNTED]
        print(f"| {r['name']} | {' | '.join(counts)} |")
    print("\n| every certificate is false | certified | certain |\n|---|---|---|")
    for r in ties:
        print(f"| {r['name']} | {r['separable']:.4f} | {r['certain']:.4f} |")


def main(arguments: list[str]) -> None:
    """Parse key=value arguments and --json FILE, run, print the tables, write."""
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    file = Path(arguments[arguments.index("--json") + 1]) if "--json" in arguments else None
    replicates, seed = int(options.get("replicates", 1000)), int(options.get("seed", 0))
    started = time.process_time()
    rows = [run(setting.name, simulated(setting, replicates, seed)) for setting in SETTINGS]
    rows.append(run("fitted", fitted(replicates // 2, seed)))
    ties = tied(2 * replicates, seed)
    show(rows, ties)
    print(f"{time.process_time() - started:.0f} CPU-seconds", file=sys.stderr)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"populations": rows, "ties": ties}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
