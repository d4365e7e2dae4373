"""The law of highest entropy that fits noisy marginals best: mirror descent on a junction tree.

Algorithm 1 of McKenna, Sheldon and Miklau (2019), with its line search.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dge_ray.generators.marginals.junction import Clique, JunctionTree, Model, Tables, marginal

GROW, SHRINK = 1.1, 0.5  # of the step, where it did and did not lower the loss enough
# A descent ends before its last step where so many steps lower the loss by less: half a squared error over all cells,
# in rows or in sds of the noise.
PATIENCE, TOLERANCE = 25, 1e-8


@dataclass(frozen=True)
class Measured:
    """A marginal's noisy counts (an axis a column), and the sd of their noise."""

    clique: Clique
    counts: np.ndarray
    sd: float


@dataclass(frozen=True)
class Estimate:
    """A model by its log potentials, one table a measured clique; `total`: the rows that counts are of."""

    sizes: tuple[int, ...]
    potentials: Tables
    total: float

    @cached_property
    def model(self) -> Model:
        tree = JunctionTree.over(self.sizes, self.potentials)
        return Model(tree, tree.calibrated(self.potentials))

    def counts(self, clique: Clique) -> np.ndarray:
        """The expected counts of a clique."""
        return self.total * self.model.project(clique)


def estimate(start: Estimate, measured: Sequence[Measured], steps: int) -> Estimate:
    """The potentials after at most `steps` steps from another's, for all measurements."""
    descent = _Descent(start, measured)
    before = descent.loss
    for step in range(1, steps + 1):
        descent.step()
        if step % PATIENCE == 0:
            if before - descent.loss < TOLERANCE:
                break
            before = descent.loss
    return Estimate(start.sizes, descent.potentials, start.total)


class _Descent:
    def __init__(self, start: Estimate, measured: Sequence[Measured]) -> None:
        self.measured, self.total = measured, start.total
        self.potentials = {m.clique: np.zeros(m.counts.shape) for m in measured} | start.potentials
        self.tree = JunctionTree.over(start.sizes, self.potentials)
        curves: dict[Clique, float] = {}
        for m in measured:
            curves[m.clique] = curves.get(m.clique, 0.0) + m.sd**-2
        self.rate = 2.0 / (max(curves.values()) * self.total)
        self.loss, self.slopes, self.counts = self._look(self.potentials)

    def step(self) -> None:
        moved = {c: table - self.rate * self.slopes[c] for c, table in self.potentials.items()}
        loss, slopes, counts = self._look(moved)
        expected = sum(float((self.slopes[c] * (self.counts[c] - counts[c])).sum()) for c in slopes)
        if self.loss - loss >= 0.5 * expected:
            self.potentials, self.loss, self.slopes, self.counts = moved, loss, slopes, counts
            self.rate *= GROW
        else:
            self.rate *= SHRINK

    def _look(self, potentials: Tables) -> tuple[float, Tables, Tables]:
        """Half the squared error over the variances, its slopes in the counts, and the counts."""
        tables, loss = self.tree.calibrated(potentials), 0.0
        slopes, counts = {}, {}
        for m in self.measured:
            if m.clique not in counts:
                home = self.tree.home(m.clique)
                assert home is not None
                counts[m.clique] = self.total * marginal(tables[home], self.tree.bags[home], m.clique)
                slopes[m.clique] = np.zeros(m.counts.shape)
            off = counts[m.clique] - m.counts
            loss += 0.5 * float((off**2).sum()) / m.sd**2
            slopes[m.clique] += off / m.sd**2
        return loss, slopes, counts
