"""Membership inference: scores of rows that should be high for those that the generators were fitted on.

What an outsider has are the released rows of all K members, taken together, and auxiliary real rows of the same law:

- density: log of the released rows' density over that of the auxiliary rows, both by small generators of our own. The
  ratio is DOMIAS's (van Breugel, Sun, Qian, van der Schaar 2023); the density models are not.
- distance: how much nearer the nearest released row is than the nearest auxiliary one; `nearest` without the latter.
- classifier: the log-odds of a boosting that tells released rows from auxiliary ones.

Who has the generators' weights too (`likelihood`) has their own densities, over that of the auxiliary rows. With one
set of population rows, the share of these that a row's ratio exceeds (RMIA's score: Zarifzadeh, Liu, Shokri 2024) is a
rising function of the ratio, with the same curve but for ties. Members of one study share all train rows, so none can
stand for a generator that has not seen a row: the reference is fitted on auxiliary rows only.

`blind` looks at no released row: what it finds is a difference between train and test, and no leak.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingClassifier

from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.leakage.nearest import nearest, unit_points
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.schema.table_schema import CODED, TableSchema

Knows = Literal["nothing", "rows", "generators"]

MOST_FITTED = 40_000  # released rows that the attacker's own models are fitted on, from all members alike
REFERENCES = 2  # densities of the auxiliary rows, whose logs are averaged: each has a seed's noise
NEAR = 1e-3  # added to distances before their ratio is taken: below it rows are as good as equal
RELEASED, REFERENCE, CLASSIFIER = 2, 3, 4  # indices of the streams of Purpose.ATTACK; REFERENCE by member


@dataclass(frozen=True)
class Material:
    """What attackers work with. `released`: a table a member; `generators`: a member's each, with `log_prob`, for who
    has the weights; empty where nobody does. `candidates`: rows whose membership is in question."""

    schema: TableSchema
    released: Sequence[pa.Table]
    auxiliary: pa.Table
    candidates: pa.Table
    generators: Sequence[Any]
    seed: int

    def pooled(self, most: int = MOST_FITTED) -> pa.Table:
        """The first rows of all members alike, about `most` of them."""
        each = np.arange(-(-most // len(self.released)))
        # Taken and not sliced: a slice would keep the whole member in memory.
        return pa.concat_tables([rows.take(pa.array(each[: rows.num_rows])) for rows in self.released])


@dataclass(frozen=True)
class Scores:
    """An attack's scores of the rows asked about, (n,), and by each member alone where that is had, (K, n)."""

    name: str
    knows: Knows
    values: np.ndarray
    by_member: np.ndarray | None = None


def membership_scores(material: Material) -> list[Scores]:
    """Every attack's scores; `likelihood` only where there are generators."""
    pooled, reference = material.pooled(), _reference(material)
    density = _density(material, pooled, integer(material.seed, Purpose.ATTACK, index=RELEASED))
    scores = [
        Scores("blind", "nothing", -reference),
        Scores("density", "rows", density - reference),
        *_distances(material),
        Scores("classifier", "rows", _classifier_scores(material, pooled)),
    ]
    if material.generators:
        each = np.array([floored(generator.log_prob(material.candidates)) for generator in material.generators])
        scores.append(Scores("likelihood", "generators", each.mean(axis=0) - reference, each - reference))
    return scores


def floored(log_p: np.ndarray) -> np.ndarray:
    """Log densities (n,) with those outside the support a nat below the least of the others."""
    inside = log_p[np.isfinite(log_p)]
    return np.maximum(log_p, inside.min() - 1 if len(inside) else 0.0)


def _density(material: Material, rows: pa.Table, seed: int) -> np.ndarray:
    fitted: Any = make_generator("autoregressive").fit(rows, material.schema, seed=seed)
    return floored(fitted.log_prob(snapped(material.candidates, rows, material.schema)))


def snapped(candidates: pa.Table, rows: pa.Table, schema: TableSchema) -> pa.Table:
    """The rows asked about, each measured value the nearest one that occurs in `rows`: a density fitted on these has
    support there, and says of a value beyond their ends what it says of the end."""
    codec = TableCodec(schema)
    columns, known = codec.encode(candidates), codec.encode(rows)
    for name, values in columns.items():
        if values.dtype.kind == "f":
            levels = np.unique(known[name][~np.isnan(known[name])])
            if len(levels):
                at = np.searchsorted((levels[1:] + levels[:-1]) / 2, values)
                columns[name] = np.where(np.isnan(values), np.nan, levels[at])
    return codec.decode(columns, seed=0, as_they_are=True)


def _reference(material: Material) -> np.ndarray:
    seeds = [integer(material.seed, Purpose.ATTACK, member=r, index=REFERENCE) for r in range(REFERENCES)]
    return np.mean([_density(material, material.auxiliary, seed) for seed in seeds], axis=0)


def _distances(material: Material) -> list[Scores]:
    codec = TableCodec(material.schema)
    candidates, auxiliary = codec.encode(material.candidates), codec.encode(material.auxiliary)

    def distance(others: Columns) -> np.ndarray:
        # Scaled by the auxiliary rows, which every attacker has.
        points, neighbours, _ = unit_points(candidates, others, auxiliary)
        return np.log(np.sqrt(nearest(points, neighbours)[0]) + NEAR)

    to_auxiliary = distance(auxiliary)
    each = np.array([distance(codec.encode(rows)) for rows in material.released])
    return [
        Scores("nearest", "rows", -each.min(axis=0), -each),
        Scores("distance", "rows", to_auxiliary - each.min(axis=0), to_auxiliary - each),
    ]


def _classifier_scores(material: Material, pooled: pa.Table) -> np.ndarray:
    codec = TableCodec(material.schema)

    def matrix(table: pa.Table) -> np.ndarray:
        columns = codec.encode(table)
        return np.stack([np.where(v < 0, np.nan, v) if v.dtype.kind == "i" else v for v in columns.values()], axis=1)

    released, auxiliary = matrix(pooled), matrix(material.auxiliary)
    most = 255  # categories that the boosting takes; a column of more keeps its codes' order
    coded: Any = [c.kind in CODED and len(c.categories) < most for c in material.schema.varying]
    never: Any = False  # scikit-learn's annotations know neither list nor truth value
    model = HistGradientBoostingClassifier(
        categorical_features=coded,
        class_weight="balanced",
        early_stopping=never,
        random_state=integer(material.seed, Purpose.ATTACK, index=CLASSIFIER, bits=31),
    )
    model.fit(np.r_[released, auxiliary], np.repeat([1, 0], [len(released), len(auxiliary)]))
    return model.decision_function(matrix(material.candidates))
