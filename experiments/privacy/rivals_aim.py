"""AIM (McKenna, Mullins, Sheldon, Miklau 2022), an adaptive and iterative mechanism, on the inference beside it.

Written anew for rivals.py: that of `smartnoise-synth` 1.0.8 took some 40 CPU-seconds a round on Adult, of which it
needs tens. The steps and constants are those of the paper and of the authors' code (16 d rounds at most, 90 % of each
for the measurement, a finer one after a round that told nothing, models within a share of the size). What differs: the
model goes on from the last round's potentials, for `ITERATIONS` steps a round; the number of rows is public; and noise
comes from numpy's generator, for this is a trial on public tables and no release.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from rivals_inference import Clique, Measured, Model, cells_of, estimate

MOST_CELLS = 10_000  # of a marginal of the workload
ITERATIONS, LAST_ITERATIONS = 100, 1000


def workload_weights(sizes: Sequence[int], degree: int) -> dict[Clique, int]:
    """The candidates, which are all parts of the marginals of `degree` columns, and how much of these each one has."""
    columns = range(len(sizes))
    workload = [c for c in itertools.combinations(columns, degree) if math.prod(sizes[v] for v in c) <= MOST_CELLS]
    parts = {part for c in workload for k in range(1, degree + 1) for part in itertools.combinations(c, k)}
    return {part: sum(len(set(part) & set(c)) for c in workload) for part in sorted(parts, key=lambda c: (len(c), c))}


def aim(
    tokens: np.ndarray, sizes: Sequence[int], *, rho: float, degree: int, model_size: float, rng: np.random.Generator
) -> Model:
    """A model of tokens (d, n) by rho-zCDP. `model_size`: MiB of its tables at most."""
    weights = workload_weights(sizes, degree)
    answers = {c: counts(tokens, sizes, c) for c in weights}
    rounds = 16 * len(sizes)
    sd, budget = math.sqrt(rounds / (2 * 0.9 * rho)), math.sqrt(8 * 0.1 * rho / rounds)

    def measure(clique: Clique) -> Measured:
        return Measured(clique, answers[clique] + sd * rng.standard_normal(answers[clique].shape), sd)

    measured = [measure(c) for c in weights if len(c) == 1]
    used = len(measured) * 0.5 / sd**2
    model = estimate(Model(sizes, {}, float(tokens.shape[1])), measured, ITERATIONS)
    last = False
    while not last:
        if rho - used < 2 * (0.5 / sd**2 + budget**2 / 8):
            sd, budget, last = math.sqrt(1 / (2 * 0.9 * (rho - used))), math.sqrt(8 * 0.1 * (rho - used)), True
        used += 0.5 / sd**2 + budget**2 / 8
        known = {part for c in model.potentials for k in range(1, len(c) + 1) for part in itertools.combinations(c, k)}
        room = model_size * 2**20 / 8 * used / rho
        small = [c for c in weights if c in known or cells_of(sizes, [*model.potentials, c]) <= room]
        errors = np.array([np.abs(answers[c] - model.project(c)).sum() for c in small])
        noise = math.sqrt(2 / math.pi) * sd * np.array([answers[c].size for c in small])
        of = np.array([weights[c] for c in small])
        chosen = small[exponential(of * (errors - noise), budget, float(of.max()), rng)]
        before = model.project(chosen)
        measured.append(measure(chosen))
        model = estimate(model, measured, ITERATIONS)
        if np.abs(model.project(chosen) - before).sum() <= math.sqrt(2 / math.pi) * sd * before.size:
            sd, budget = sd / 2, 2 * budget
    return estimate(model, measured, LAST_ITERATIONS)


def counts(tokens: np.ndarray, sizes: Sequence[int], clique: Clique) -> np.ndarray:
    """How many rows each cell of a clique has."""
    shape = [sizes[v] for v in clique]
    at = np.ravel_multi_index([tokens[v].astype(np.int64) for v in clique], shape)
    return np.bincount(at, minlength=math.prod(shape)).reshape(shape).astype(np.float64)


def exponential(scores: np.ndarray, budget: float, sensitivity: float, rng: np.random.Generator) -> int:
    """An index by the exponential mechanism; `budget`: its epsilon, which is budget^2 / 8 in zCDP."""
    logs = 0.5 * budget / sensitivity * scores
    chances = np.exp(logs - logs.max())
    return int(rng.choice(len(scores), p=chances / chances.sum()))
