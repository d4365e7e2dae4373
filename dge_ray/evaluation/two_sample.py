"""How well a classifier tells the rows of two tables apart, on rows that it was not fitted on."""

from collections.abc import Sequence

import numpy as np

from dge_ray.downstream import make_learner
from dge_ray.evaluation.ingredients import domain_schema, take
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.leakage.attacks import auc_with_interval
from dge_ray.table.codec import Columns
from dge_ray.table.schema.table_schema import Column, TableSchema

FOLDS = 3
LEARNER = ("boosting", {"max_leaf_nodes": 8})


def two_sample_auc(
    first: Columns, second: Columns, schema: TableSchema, columns: Sequence[Column], *, seed: int
) -> list[float]:
    """[area under the curve, 95 % interval over rows], .5 being by chance: Lopez-Paz and Oquab 2017, by ranks.

    Each third of the rows is scored by a boosting fitted on the others.

    Args:
        first: columns (n,) by name; of second's likewise; about equally many rows.
        columns: those of the schema that the classifier sees, none of them text.
    """
    domain, target = domain_schema(schema, columns)
    sizes = [len(next(iter(rows.values()))) for rows in (second, first)]
    both = {c.name: np.concatenate([second[c.name], first[c.name]]) for c in columns}
    both[target] = np.repeat(np.array([0, 1], np.int32), sizes)
    # shuffled within each table, so that every fold has its share of both
    order = numpy_generator(seed, Purpose.SPLIT)
    folds = np.concatenate([order.permutation(size) % FOLDS for size in sizes])
    scores = np.empty(len(folds))
    for fold in range(FOLDS):
        learner = make_learner(*LEARNER, domain, seed=integer(seed, Purpose.LEARNER, index=fold, bits=31))
        learner.fit(take(both, folds != fold))
        scores[folds == fold] = learner.predict(take(both, folds == fold))[:, 1]
    return list(auc_with_interval(scores[sizes[0] :], scores[: sizes[0]]))
