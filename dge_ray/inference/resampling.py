"""One replicate of the pipeline bootstrap: real rows resampled, generators refitted, rows redrawn, estimands computed.

Train and stopping rows are resampled apart, each within itself: a copy of one row on both sides would tell early
stopping that overfitting pays. Fits are cold, as the members' were: a fit that starts from the real rows' generator
stays near it, and the standard error comes out too small (measured in experiments/inference/README.bootstrap.md).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import StudyError
from dge_ray.generators.rows.constraints import read_constraints, sample_within
from dge_ray.inference.estimands import Estimands
from dge_ray.inference.replicates import Recipe
from dge_ray.seeds import Purpose, integer, numpy_generator

FITS = 2  # of a replicate: the least that tells members' spread from the real rows'
DRAWS = 4  # of a fit: cheap beside it
TRAIN, STOPPING, FIRST = 0, 1, 2  # a replicate's streams: indices at Purpose.BOOTSTRAP


@dataclass(frozen=True)
class Resampled:
    """A replicate: estimates of FITS x DRAWS tables of `volume` synthetic rows, and of the resampled real rows."""

    train: pa.Table
    stopping: pa.Table | None
    generator: Recipe
    estimands: Estimands
    volume: int
    seed: int
    constraints: tuple[str, ...] = ()

    def __call__(self, replicate: int) -> dict[str, Any]:
        """`synthetic` (FITS, DRAWS, p) and `real` (p,) as lists, None where there is no estimate; `failures`: what was
        the matter, each with how often."""
        train = self._again(self.train, replicate, TRAIN)
        stopping = None if self.stopping is None else self._again(self.stopping, replicate, STOPPING)
        streams = [FIRST + j * (1 + DRAWS) for j in range(FITS)]
        values = np.full((FITS, DRAWS, len(self.estimands.names)), np.nan)
        failures: dict[str, int] = {}
        rules = read_constraints(self.constraints, self.estimands.schema)
        try:
            seeds = [self._seed(replicate, at) for at in streams]
            fitted = self.generator.fit_each(train, self.estimands.schema, seeds=seeds, stopping=stopping)
            for j, (generator, at) in enumerate(zip(fitted, streams, strict=True)):
                for d in range(DRAWS):
                    rows, _ = sample_within(generator, self.volume, rules, seed=self._seed(replicate, at + 1 + d))
                    estimate = self.estimands(rows)
                    values[j, d] = estimate.value
                    for name, reason in zip(self.estimands.names, estimate.reasons, strict=True):
                        if reason is not None:
                            failures[f"{name}: {reason}"] = failures.get(f"{name}: {reason}", 0) + 1
        except StudyError as error:  # a loss that blows up, constraints that few rows meet: of this table alone
            failures[str(error)] = 1
        return {"synthetic": plain(values), "real": plain(self.estimands(train).value), "failures": failures}

    def _again(self, rows: pa.Table, replicate: int, which: int) -> pa.Table:
        rng = numpy_generator(self.seed, Purpose.BOOTSTRAP, member=replicate, index=which)
        return rows.take(pa.array(rng.integers(0, rows.num_rows, rows.num_rows)))

    def _seed(self, replicate: int, index: int) -> int:
        return integer(self.seed, Purpose.BOOTSTRAP, member=replicate, index=index)


def plain(values: np.ndarray) -> Any:
    """Nested lists with None for NaN, as JSON holds them."""
    held = values.astype(object)
    held[~np.isfinite(values)] = None
    return held.tolist()
