"""One replicate of a study: real rows resampled, generators and learners fitted anew, and its results read again.

Each part of the real rows is resampled within itself, whole groups where rows belong together, so that no row stands on
both sides of a fit. Of a cross-fitted study each fold's rows are resampled within the fold, and what stops a fit is
parted from what it learns by original rows. Of a row that is drawn twice a learner that stops on some of its rows sees
one that counts twice. What is left of the bootstrap's bias: a resampled table holds about two thirds of the rows'
values, so risks of replicates are higher; their spread alone is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import t as student

from dge_ray.downstream import make_learner
from dge_ray.downstream.estimator import EstimatorLearner
from dge_ray.errors import StudyError
from dge_ray.generators.rows.constraints import read_constraints, sample_within
from dge_ray.inference.replicates import Recipe
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.inference.pipeline_bootstrap import LEAST
from dge_ray.stats.metrics.losses import METRICS, higher_is_better, metric_value
from dge_ray.table import Columns, TableCodec, TableSchema, target_vector

RESULTS = ("risk", "utility", "best_volume")
TARGETS = {
    "risk": "of as many members at this volume, over new real tables of as many rows",
    "utility": "that risk less the learner's on real rows, over new real tables of as many rows",
    "best_volume": "the volume that such a study would choose on a new real table of as many rows",
}
# Streams at Purpose.BOOTSTRAP, whose member is the replicate; those below 100 are of `resampling.py`.
PARTS, STOPS, FITS = 100, 200, 1000


@dataclass(frozen=True)
class RealRows:
    """A study's real rows. `pool`: those that are not test, of `folds` parts (rows of the pool) that are each judged by
    what was fitted on the others; or, of a study without folds, train, stopping and validation as three tables.

    `groups`: by table (train, stopping, validation, test, pool), codes of rows that belong together.
    """

    tables: Mapping[str, pa.Table]
    folds: tuple[np.ndarray, ...] = ()
    groups: Mapping[str, np.ndarray] | None = None
    stopping: float = 0.1  # of the rows that a fold's generators see

    def again(self, seed: int, replicate: int) -> list[tuple[dict[str, pa.Table], np.ndarray]]:
        """Resampled rows: of each fold (one, without folds) train, stopping, validation and test; and which rows those
        of train were."""
        drawn = {
            name: numpy_generator(seed, Purpose.BOOTSTRAP, member=replicate, index=PARTS + at)
            for at, name in enumerate(sorted(self.tables))
        }
        rows = {
            name: self._resampled(name, np.arange(table.num_rows), drawn[name])
            for name, table in self.tables.items()
            if name != "pool"
        }
        whole = {name: self.tables[name].take(pa.array(own)) for name, own in rows.items()}
        if not self.folds:
            return [(whole, rows["train"])]
        pool, unit = self.tables["pool"], self._unit("pool")
        held = [self._resampled("pool", own, drawn["pool"]) for own in self.folds]
        made = []
        for fold, own in enumerate(held):
            rest = np.concatenate([other for f, other in enumerate(held) if f != fold])
            rng = numpy_generator(seed, Purpose.BOOTSTRAP, member=replicate, index=STOPS + fold)
            each = np.unique(unit[rest])
            stops = np.isin(unit[rest], rng.permutation(each)[: max(1, round(self.stopping * len(each)))])
            parts = {"train": rest[~stops], "stopping": rest[stops], "validation": own}
            tables = {name: pool.take(pa.array(places)) for name, places in parts.items()}
            made.append(({**whole, **tables}, parts["train"]))
        return made

    def _unit(self, name: str) -> np.ndarray:
        groups = (self.groups or {}).get(name)
        return np.arange(self.tables[name].num_rows) if groups is None else groups

    def _resampled(self, name: str, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """As many of these rows, or of their groups, drawn with replacement."""
        unit = self._unit(name)[rows]
        each, code = np.unique(unit, return_inverse=True)
        if len(each) == len(rows):
            return rows[rng.integers(0, len(rows), len(rows))]
        by_unit = np.split(rows[np.argsort(code, kind="stable")], np.cumsum(np.bincount(code))[:-1])
        return np.concatenate([by_unit[g] for g in rng.integers(0, len(each), len(each))])


@dataclass(frozen=True)
class Repeated:
    """A replicate: `results` of a study done again. `volumes`: the grid, ascending; `at`: the place that risk and
    utility are read at; `learner`: its name and settings; `real_fits`: of the learner on real rows, for utility."""

    real: RealRows
    schema: TableSchema
    generator: Recipe
    learner: tuple[str, Mapping[str, Any]]
    members: int
    volumes: tuple[int, ...]
    at: int
    metric: str
    results: tuple[str, ...]
    real_fits: int
    seed: int
    constraints: tuple[str, ...] = ()

    def __call__(self, replicate: int) -> dict[str, Any]:
        """`results`, each a number, None where a fit failed; `failures`: what was the matter, each with how often."""
        try:
            return {"results": self._again(replicate), "failures": {}}
        except StudyError as error:  # of this table alone
            return {"results": dict.fromkeys(self.results), "failures": {str(error): 1}}

    def _again(self, replicate: int) -> dict[str, float | None]:
        codec = TableCodec(self.schema)
        shown = range(len(self.volumes)) if "best_volume" in self.results else (self.at,)
        judged: dict[str, list[np.ndarray]] = {"validation": [], "test": [], "real": []}
        truth: dict[str, list[np.ndarray]] = {"validation": [], "test": []}
        for fold, (parts, drawn) in enumerate(self.real.again(self.seed, replicate)):
            columns = {name: codec.encode(table) for name, table in parts.items()}
            sizes = [self.volumes[place] for place in shown]
            own = self._members(parts, columns, sizes, replicate, fold)
            for split, y in truth.items():
                judged[split].append(own[split])
                y.append(target_vector(columns[split], self.schema))
            if "utility" in self.results:
                judged["real"].append(self._on_real_rows(columns, drawn, replicate, fold))
        found: dict[str, float] = {}
        if "best_volume" in self.results:
            sign = -1.0 if higher_is_better(self.metric) else 1.0
            at = int(np.argmin(sign * self._values(judged["validation"], truth["validation"])))
            found["best_volume"] = float(self.volumes[at])
        risk = self._values(judged["test"], truth["test"])[list(shown).index(self.at)]
        found["risk"] = float(risk)
        if "utility" in self.results:
            found["utility"] = float(risk - self._values(judged["real"], truth["test"]).mean())
        return {name: found[name] if np.isfinite(found[name]) else None for name in self.results}

    def _values(self, predictions: list[np.ndarray], truth: list[np.ndarray]) -> np.ndarray:
        """The metric of each, over the folds' rows together. Shape: (cases, rows, classes) each -> (cases,)."""
        y = np.concatenate(truth)
        return np.array([metric_value(self.metric, one, y) for one in np.concatenate(predictions, axis=1)])

    def _members(
        self, parts: Mapping[str, pa.Table], columns: Mapping[str, Columns], sizes: list[int], replicate: int, fold: int
    ) -> dict[str, np.ndarray]:
        """What the ensembles predict at each size. Shape: (sizes, rows, classes) of validation and test."""
        seeds = [[self._seed(replicate, fold, 4 * k + at) for at in range(3)] for k in range(self.members)]
        fitted = self.generator.fit_each(
            parts["train"], self.schema, seeds=[own[0] for own in seeds], stopping=parts.get("stopping")
        )
        rules, codec = read_constraints(self.constraints, self.schema), TableCodec(self.schema)
        sums: dict[str, list[Any]] = {split: [0.0] * len(sizes) for split in ("validation", "test")}
        for generator, (_, of_rows, of_learner) in zip(fitted, seeds, strict=True):
            rows = codec.encode(sample_within(generator, sizes[-1], rules, seed=of_rows)[0])
            for at, size in enumerate(sizes):
                learner = self._learner(of_learner).fit({name: values[:size] for name, values in rows.items()})
                for split, total in sums.items():
                    total[at] = total[at] + learner.predict(columns[split]).astype(np.float64)
        return {split: np.stack(total) / self.members for split, total in sums.items()}

    def _on_real_rows(self, columns: Mapping[str, Columns], drawn: np.ndarray, replicate: int, fold: int) -> np.ndarray:
        """What fits on the real rows predict of test. Shape: drawn (train rows,) -> (real_fits, rows, classes)."""
        _, first, times = np.unique(drawn, return_index=True, return_counts=True)
        made = []
        for index in range(self.real_fits):
            learner, train = self._learner(self._seed(replicate, fold, 4 * index + 3)), columns["train"]
            if isinstance(learner, EstimatorLearner) and learner.stops_on_its_rows:
                learner.fit({name: values[first] for name, values in train.items()}, times.astype(np.float64))
            else:
                learner.fit(train)
            made.append(learner.predict(columns["test"]).astype(np.float64))
        return np.stack(made)

    def _learner(self, seed: int) -> Any:
        name, settings = self.learner
        return make_learner(name, settings, self.schema, seed=seed >> 32)

    def _seed(self, replicate: int, fold: int, index: int) -> int:
        return integer(self.seed, Purpose.BOOTSTRAP, member=replicate, index=FITS * (1 + fold) + index)


def intervals(
    released: Mapping[str, float], replicates: Sequence[Mapping[str, Any]], *, metric: str, level: float
) -> list[dict[str, Any]]:
    """What is printed of each result: a t interval about the study's own, by the replicates' standard deviation; of the
    best volume the range of the central `level` of replicates, and each volume's share of them.

    released: of the study, by name. replicates: `results` of each.
    """
    rows = []
    for name, own in released.items():
        found = np.array([one[name] for one in replicates if one[name] is not None], dtype=np.float64)
        row: dict[str, Any] = {"name": name, "target": TARGETS[name], "estimate": own, "replicates": len(found)}
        row |= {"se": None, "interval": None}
        if len(found) < LEAST:
            row["reason"] = "too few replicates have a result"
        elif name == "best_volume":
            ends = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
            volumes, counts = np.unique(found, return_counts=True)
            shares = {str(int(v)): count / len(found) for v, count in zip(volumes, counts, strict=True)}
            row |= {"interval": [float(end) for end in ends], "shares": shares}
        else:
            low, high = METRICS[metric].limits if name == "risk" else (-np.inf, np.inf)
            se = float(found.std(ddof=1))
            half = float(student.ppf((1 + level) / 2, len(found) - 1)) * se
            row |= {"se": se, "interval": [max(own - half, low), min(own + half, high)]}
        rows.append(row)
    return rows
