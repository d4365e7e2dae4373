"""Which marginals a model is made of: chosen one after another where the model so far is wrong, and counted.

AIM of McKenna, Mullins, Sheldon and Miklau (2022): candidates are all parts of the marginals of `degree` columns; one
is worth its columns in common with these, times how far the model's counts are from the rows', less what is noise. In
a private fit both steps of a round are mechanisms on all rows: the choice is the exponential mechanism, the counts get
discrete Gaussian noise, and together they cost one Gaussian of the plan's multiplier. Its 1 / multiplier^2 is what
rounds are paid from, and a round that told nothing is followed by finer ones: what rounds cost may depend on what
earlier ones gave, as long as the sum is bounded (Smith and Thakurta 2022).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.special import logit, ndtr

from dge_ray.generators.marginals.estimate import Estimate, Measured, estimate
from dge_ray.generators.marginals.junction import Clique, cells_of
from dge_ray.generators.private.discrete import discrete_gaussians, variance_for
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.streams import Use

MOST_CELLS = 10_000  # of a marginal
CELLS_A_ROW = 8  # of a model, at most: more could not be told from so few rows
FEW_COLUMNS = 10  # of which marginals of three columns are looked at
ROUNDS = 16  # a column, at most, at the noise that the first ones have
PLAIN_ROUNDS = 4  # a column, at most, of a fit without privacy
CHOICE = 0.1  # of a round's cost, for the choice
STEPS, LAST_STEPS = 100, 1000  # of the descent, in a round and at the end
SPREAD = math.sqrt(2 / math.pi)  # of a normal number: its mean size, in sds


@dataclass(frozen=True)
class Candidates:
    """Cliques with their counts of the rows (tables) and their worths, and what a model of them may hold."""

    sizes: tuple[int, ...]
    rows: float
    counts: dict[Clique, np.ndarray]
    worth: dict[Clique, float]
    cells: int

    @classmethod
    def of(
        cls,
        tokens: np.ndarray,
        sizes: Sequence[int],
        *,
        degree: int | None,
        cells: int,
        weights: np.ndarray | None = None,
    ) -> "Candidates":
        """Of tokens (d, n), each row counted once or by its weight (n,)."""
        d = len(sizes)
        degree = min(d, degree or (3 if d <= FEW_COLUMNS else 2))
        every = itertools.combinations(range(d), degree)
        workload = [c for c in every if math.prod(sizes[v] for v in c) <= MOST_CELLS]
        cliques = {(v,) for v in range(d)} | {part for c in workload for part in parts(c)}
        worth = {c: float(max(1, sum(len(set(c) & set(w)) for w in workload))) for c in sorted(cliques)}
        counts = {c: count(tokens, sizes, c, weights) for c in worth}
        n = tokens.shape[1]
        return cls(tuple(sizes), float(n), counts, worth, min(cells, CELLS_A_ROW * n))

    @property
    def single(self) -> list[Clique]:
        return [(v,) for v in range(len(self.sizes))]

    def within(self, known: Estimate, share: float) -> list[Clique]:
        """Those that the model holds already, or can hold in a share of its cells."""
        held = {part for c in known.potentials for part in parts(c)}
        room = share * self.cells
        return [c for c in self.worth if c in held or cells_of(self.sizes, [*known.potentials, c]) <= room]

    def errors(self, cliques: Sequence[Clique], model: Estimate) -> np.ndarray:
        """How far the model's counts are from the rows' (c,): the sum of sizes, of which one row changes at most 1."""
        return np.array([np.abs(self.counts[c] - model.counts(c)).sum() for c in cliques])

    def worths(self, cliques: Sequence[Clique]) -> np.ndarray:
        return np.array([self.worth[c] for c in cliques])


def parts(clique: Clique) -> list[Clique]:
    """The clique's parts, itself included."""
    return [part for k in range(1, len(clique) + 1) for part in itertools.combinations(clique, k)]


def count(tokens: np.ndarray, sizes: Sequence[int], clique: Clique, weights: np.ndarray | None = None) -> np.ndarray:
    """How many rows, or how much weight, each cell of a clique has; float64, an axis a column."""
    shape = [sizes[v] for v in clique]
    at = np.ravel_multi_index([tokens[v].astype(np.int64) for v in clique], shape)
    return np.bincount(at, weights, minlength=math.prod(shape)).reshape(shape).astype(np.float64)


def plain_estimate(candidates: Candidates) -> Estimate:
    """A model without privacy: marginals are added until none is further off than so many rows by chance."""
    measured = [Measured(c, candidates.counts[c], 1.0) for c in candidates.single]
    model = estimate(Estimate(candidates.sizes, {}, candidates.rows), measured, STEPS)
    for _ in range(PLAIN_ROUNDS * len(candidates.sizes)):
        cliques = candidates.within(model, 1.0)
        chance = np.array([SPREAD * np.sqrt(model.counts(c).clip(0)).sum() for c in cliques])
        scores = candidates.worths(cliques) * (candidates.errors(cliques, model) - chance)
        best = int(scores.argmax())
        if scores[best] <= 0:
            break
        measured.append(Measured(cliques[best], candidates.counts[cliques[best]], 1.0))
        model = estimate(model, measured, STEPS)
    return estimate(model, measured, LAST_STEPS)


def private_estimate(candidates: Candidates, private: PrivateFit) -> Estimate:
    """A model by choices and counts that cost one Gaussian of `private.noise_multiplier` on all rows."""
    total = private.noise_multiplier**-2
    cost = total / (ROUNDS * len(candidates.sizes))
    measured: list[Measured] = []

    def measure(clique: Clique) -> None:
        sd = ((1 - CHOICE) * cost) ** -0.5
        noise = marginal_noise(private, len(measured), candidates.counts[clique].size, sd)
        measured.append(
            Measured(clique, candidates.counts[clique] + noise.reshape(candidates.counts[clique].shape), sd)
        )

    for clique in candidates.single:
        measure(clique)
    used = (1 - CHOICE) * cost * len(measured)
    model = estimate(Estimate(candidates.sizes, {}, candidates.rows), measured, STEPS)
    for turn in itertools.count():
        if last := total - used < 2 * cost:
            cost = total - used
        used += cost
        cliques, sd = candidates.within(model, used / total), ((1 - CHOICE) * cost) ** -0.5
        worths = candidates.worths(cliques)
        noise = SPREAD * sd * np.array([candidates.counts[c].size for c in cliques])
        scores = worths * (candidates.errors(cliques, model) - noise)
        clique = cliques[choose(private, turn, scores / worths.max(), choice_epsilon(CHOICE * cost))]
        before = model.counts(clique)
        measure(clique)
        model = estimate(model, measured, STEPS)
        if last:
            return estimate(model, measured, LAST_STEPS)
        if np.abs(model.counts(clique) - before).sum() <= SPREAD * sd * before.size:
            cost *= 4
    raise AssertionError


def choice_epsilon(cost: float) -> float:
    """The epsilon of an exponential mechanism that costs a Gaussian of multiplier cost**-0.5.

    With scores of sensitivity 1 weighed by exp(epsilon score / 2), the logarithm of the ratio of two neighbouring
    tables' laws lies within a range of epsilon (Durfee and Rogers 2019). The worst such pair has two outcomes; the
    worst of these is symmetric, randomised response of epsilon / 2, and lies above the trade-off curve of a Gaussian
    of mean m = sqrt(cost) where its one corner does: 1 / (1 + exp(-epsilon / 2)) = Phi(m / 2).
    """
    return 2 * float(logit(ndtr(math.sqrt(cost) / 2)))


def choose(private: PrivateFit, turn: int, scores: np.ndarray, epsilon: float) -> int:
    """An index by the exponential mechanism, of scores (c,) that one row changes by 1 at most."""
    chances = np.exp(0.5 * epsilon * (scores - scores.max()))
    ends = np.cumsum(chances / chances.sum())
    uniform = int(private.stream(Use.CHOICE, turn).words(1)[0]) / 2**64
    return min(int(np.searchsorted(ends, uniform, side="right")), len(scores) - 1)


def marginal_noise(private: PrivateFit, number: int, cells: int, sd: float) -> np.ndarray:
    """The whole-numbered noise (cells,) int64 of a measurement, accounted for as normal noise of this sd: a row adds 1
    to one cell."""
    variance = variance_for(Fraction(sd) ** 2)
    return discrete_gaussians(cells, variance, private.stream(Use.MARGINAL, number))
