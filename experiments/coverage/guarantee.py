"""The guarantee of `stats/inference/guarded.py`: with a generator that is wrong, right, and none of both.

    python experiments/coverage/guarantee.py [replicates=4000] [seed=0] --json FILE

Three answers on 40 real rows: a one-sided t test of a mean of 0, sets of three classes by conformal prediction, and a
t interval of a mean. The synthetic rows, 400, come from a law whose mean (whose classifier's certainty) is `wrong`, or
from the real one's law (`right`). Real rows are skewed in `skewed` (exponential, less its mean). alpha and epsilon are
.05: `level` is .90, the guarantee; `covered` is the share of tables in which no true hypothesis was rejected, or the
truth was in the set or interval; `real_alone` the same of the real rows at alpha; `width`: of a set or interval.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from claims import claim
from command import read_words, write
from scipy.stats import t as student

from dge_ray.stats.ensemble.uncertainty import conformal_sets
from dge_ray.stats.inference.guarded import guarded_conformal_sets, guarded_interval, guarded_rejection

ROWS, MADE, ALPHA, EPSILON = 40, 400, 0.05, 0.05
WRONG = 1.0  # standard deviations


def rows(law: str, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.exponential(size=n) - 1 if law == "skewed" else rng.standard_normal(n)


def mean_and_error(x: np.ndarray) -> tuple[float, float]:
    return float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))


def tests(law: str, shift: float, effect: float, replicates: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether the guarded test and the real rows alone reject a mean of 0, by replicate."""
    p = np.empty((2, replicates))
    for r in range(replicates):
        rng = np.random.default_rng([seed, 0, r])
        real, made = rows(law, ROWS, rng) + effect, rows(law, MADE, rng) + effect + shift
        for i, x in enumerate((real, np.concatenate([real, made]))):
            middle, error = mean_and_error(x)
            p[i, r] = student.sf(middle / error, len(x) - 1)
    return guarded_rejection(p[0], p[1], ALPHA, EPSILON), p[0] <= ALPHA


def intervals(law: str, shift: float, replicates: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(replicates, 2) ends of the guarded interval, and of the real rows' own."""
    guarded, alone = np.empty((2, replicates, 2))
    for r in range(replicates):
        rng = np.random.default_rng([seed, 1, r])
        real, made = rows(law, ROWS, rng), rows(law, MADE, rng) + shift
        ends = []
        for x, level in ((real, 1 - ALPHA), (real, 1 - ALPHA - EPSILON), (np.concatenate([real, made]), 1 - ALPHA)):
            middle, error = mean_and_error(x)
            half = student.ppf((1 + level) / 2, len(x) - 1) * error
            ends.append((middle - half, middle + half))
        guarded[r], alone[r] = guarded_interval(*ends), ends[0]
    return guarded, alone


def sets(certainty: float, replicates: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether the guarded set and the real rows' own hold the truth, and the guarded one's size, by replicate."""
    held, alone, size = np.empty((3, replicates))
    for r in range(replicates):
        rng = np.random.default_rng([seed, 2, r])
        logits = rng.standard_normal((ROWS + MADE + 1, 3)) * 1.5
        # the classifier is surer than it should be; a wrong generator agrees with it
        shares = np.exp(logits / 2)
        shares[ROWS:-1] = np.exp(logits[ROWS:-1] / 2 * certainty)
        y = np.array([rng.choice(3, p=row / row.sum()) for row in shares])
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        real, made, new = (p[:ROWS], y[:ROWS]), (p[ROWS:-1], y[ROWS:-1]), p[-1:]
        found = guarded_conformal_sets(real, made, new, level=1 - ALPHA, epsilon=EPSILON)[0]
        held[r], size[r] = found[y[-1]], found.sum()
        alone[r] = conformal_sets(*real, new, level=1 - ALPHA)[0, y[-1]]
    return held.astype(bool), alone.astype(bool), size


def lines(replicates: int, seed: int) -> list[dict[str, Any]]:
    made = []
    for law in ("normal", "skewed"):
        for name, shift in (("wrong", WRONG), ("right", 0.0)):
            found, alone = tests(law, shift, 0.0, replicates, seed)
            zero = np.zeros(replicates)
            line = claim("guarded test", f"{law}, {name} generator", "a true null", ~found, zero, level=0.90)
            made.append({**line, "real_alone": float(1 - alone.mean())})
            found, alone = tests(law, shift if name == "wrong" else 0.0, 0.4, replicates, seed)
            line = claim("power, not below the real rows'", f"{law}, {name} generator", "power", found, zero, level=0.0)
            made.append({**line, "real_alone": float(alone.mean())})
            ends, own = intervals(law, shift, replicates, seed)
            inside, inside_own = ((e[:, 0] <= 0) & (e[:, 1] >= 0) for e in (ends, own))
            line = claim("guarded interval", f"{law}, {name} generator", "a mean", inside, np.ptp(ends, 1), level=0.90)
            line["holds"] = law == "normal"  # on 40 skewed rows the t interval itself does not hold
            made.append({**line, "real_alone": float(inside_own.mean()), "real_width": float(np.ptp(own, 1).mean())})
    for name, certainty in (("wrong", 3.0), ("right", 1.0)):
        held, alone, size = sets(certainty, replicates, seed)
        line = claim("guarded conformal sets", f"{name} generator", "a class", held, size, level=0.90)
        made.append({**line, "real_alone": float(alone.mean())})
    return made


if __name__ == "__main__":
    options, file = read_words(sys.argv[1:])
    found = lines(int(options.get("replicates", 4000)), int(options.get("seed", 0)))
    for row in found:
        print({key: value for key, value in row.items() if key not in ("mcse", "holds", "target")}, file=sys.stderr)
    write(file, found)
