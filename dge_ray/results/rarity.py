"""Which real rows the generators find least likely: their features' log density, by members that have an exact one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import logsumexp

from dge_ray.generators.registry import abilities, generator_class
from dge_ray.generators.rows.posterior import joint_log_density
from dge_ray.stats.comparison.subgroups import TAIL, Group
from dge_ray.storage import Folder
from dge_ray.study.records.files import generator_folder
from dge_ray.table.schema.table_schema import TableSchema

MOST_MEMBERS = 2  # that are asked: they largely agree on what is rare, and each passes all test rows once a class
MOST_CLASSES = 10


def least_likely(folder: Folder, names: Sequence[str], schema: TableSchema, table: pa.Table) -> Group | None:
    """The tenth of the rows with the least density of features; None in regression (a member knows the density of
    features and target together, and a row that is rare for its target alone is hard for every method), with many
    classes, or where no member has `log_prob`.

    Args:
        names: the members' generators by name, member 0 first.
    """
    if schema.task == "regression" or not 0 < len(schema.classes) <= MOST_CLASSES:
        return None
    supported = [k for k, name in enumerate(names) if abilities(name).log_prob][:MOST_MEMBERS]
    if not supported:
        return None
    generators = []
    for k in supported:
        with folder.downloaded(generator_folder(k)) as path:
            generators.append(generator_class(names[k]).load(path, device="cpu"))
    density = feature_log_density(generators, schema, table)
    return Group("least likely tenth, by the generators", TAIL, density <= np.quantile(density, TAIL))


def feature_log_density(generators: Sequence[Any], schema: TableSchema, table: pa.Table) -> np.ndarray:
    """log of the mean over generators of p(features), the sum of p(features, class) over classes. Shape: -> (n,)."""
    joint = joint_log_density(generators, schema, table)
    return logsumexp(logsumexp(joint, axis=0), axis=0) - np.log(joint.shape[1])
