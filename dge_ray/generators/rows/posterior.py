"""A generator used as a classifier: the class whose joint density with the features is the largest.

This is the label-token predictor of the Syn paper's sentiment study, by Bayes' rule: where the label comes first, as in
the generators here, p(label | features) needs the density of the row once for every label.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import softmax

from dge_ray.errors import InputError
from dge_ray.generators.registry import abilities, names_with
from dge_ray.table.arrow.arrow_types import arrow_type, from_json_scalars
from dge_ray.table.schema.table_schema import TableSchema


def joint_log_density(generators: Sequence[Any], schema: TableSchema, table: pa.Table) -> np.ndarray:
    """log p(features, class) for every class, by each generator. Shape: -> (classes, generators, n).

    Raises:
        InputError: the schema's target is no class, or a generator has no `log_prob`.
    """
    if schema.target is None or not schema.classes:
        raise InputError("target", repr(schema.target), "a column of classes")
    for generator in generators:
        if not abilities(generator).log_prob:
            takes = " or ".join(names_with(lambda abilities: abilities.log_prob))
            raise InputError("generator", f"{generator.name!r}, which has no log_prob", takes)
    column = schema[schema.target]
    values = from_json_scalars(column.categories, arrow_type(column.type))
    parts = []
    for code in range(len(values)):
        of_class = values.take(pa.array(np.full(table.num_rows, code)))
        if schema.target in table.column_names:
            labelled = table.set_column(table.column_names.index(schema.target), schema.target, of_class)
        else:
            labelled = table.append_column(schema.target, of_class)
        parts.append([generator.log_prob(labelled) for generator in generators])
    return np.array(parts)


def class_posterior(generators: Sequence[Any], schema: TableSchema, table: pa.Table) -> np.ndarray:
    """p(class | features) by each generator, whatever the table's own target says; of rows that are impossible with
    every class, the same for each. Shape: -> (generators, n, classes).

    Raises:
        InputError: as `joint_log_density`.
    """
    density = joint_log_density(generators, schema, table)
    density[:, np.isneginf(density).all(axis=0)] = 0.0
    return np.moveaxis(softmax(density, axis=0), 0, 2)
