"""AIM (McKenna, Mullins, Sheldon, Miklau 2022), an adaptive and iterative mechanism, accounted by zCDP.

Written anew for rivals.py, on the inference of our generator `marginals`: that of `smartnoise-synth` 1.0.8 took some 40
CPU-seconds a round on Adult, of which it needs tens. The steps and constants are those of the paper and of the authors'
code (16 d rounds at most, 90 % of each for the measurement, a finer one after a round that told nothing, models within
a share of the size). What differs: the model goes on from the last round's potentials, for `STEPS` steps a round; the
number of rows is public; and noise comes from numpy's generator, for this is a trial on public tables and no release.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from dge_ray.generators.marginals.choose import LAST_STEPS, MOST_CELLS, SPREAD, STEPS, count, parts
from dge_ray.generators.marginals.estimate import Estimate, Measured, estimate
from dge_ray.generators.marginals.junction import Clique, cells_of


def workload_weights(sizes: Sequence[int], degree: int) -> dict[Clique, int]:
    """The candidates, which are all parts of the marginals of `degree` columns, and how much of these each one has."""
    every = itertools.combinations(range(len(sizes)), degree)
    workload = [c for c in every if math.prod(sizes[v] for v in c) <= MOST_CELLS]
    candidates = {part for c in workload for part in parts(c)}
    return {c: sum(len(set(c) & set(w)) for w in workload) for c in sorted(candidates, key=lambda c: (len(c), c))}


def aim(
    tokens: np.ndarray, sizes: Sequence[int], *, rho: float, degree: int, model_size: float, rng: np.random.Generator
) -> Estimate:
    """A model of tokens (d, n) by rho-zCDP. `model_size`: MiB of its tables at most."""
    weights = workload_weights(sizes, degree)
    answers = {c: count(tokens, sizes, c) for c in weights}
    rounds = 16 * len(sizes)
    sd, budget = math.sqrt(rounds / (2 * 0.9 * rho)), math.sqrt(8 * 0.1 * rho / rounds)

    def measure(clique: Clique) -> Measured:
        return Measured(clique, answers[clique] + sd * rng.standard_normal(answers[clique].shape), sd)

    measured = [measure(c) for c in weights if len(c) == 1]
    used = len(measured) * 0.5 / sd**2
    model = estimate(Estimate(tuple(sizes), {}, float(tokens.shape[1])), measured, STEPS)
    last = False
    while not last:
        if rho - used < 2 * (0.5 / sd**2 + budget**2 / 8):
            sd, budget, last = math.sqrt(1 / (2 * 0.9 * (rho - used))), math.sqrt(8 * 0.1 * (rho - used)), True
        used += 0.5 / sd**2 + budget**2 / 8
        known = {part for c in model.potentials for part in parts(c)}
        room = model_size * 2**20 / 8 * used / rho
        small = [c for c in weights if c in known or cells_of(sizes, [*model.potentials, c]) <= room]
        errors = np.array([np.abs(answers[c] - model.counts(c)).sum() for c in small])
        noise = SPREAD * sd * np.array([answers[c].size for c in small])
        of = np.array([weights[c] for c in small])
        chosen = small[exponential(of * (errors - noise), budget, float(of.max()), rng)]
        before = model.counts(chosen)
        measured.append(measure(chosen))
        model = estimate(model, measured, STEPS)
        if np.abs(model.counts(chosen) - before).sum() <= SPREAD * sd * before.size:
            sd, budget = sd / 2, 2 * budget
    return estimate(model, measured, LAST_STEPS)


def exponential(scores: np.ndarray, budget: float, sensitivity: float, rng: np.random.Generator) -> int:
    """An index by the exponential mechanism; `budget`: its epsilon, which is budget^2 / 8 in zCDP."""
    logs = 0.5 * budget / sensitivity * scores
    chances = np.exp(logs - logs.max())
    return int(rng.choice(len(scores), p=chances / chances.sum()))
