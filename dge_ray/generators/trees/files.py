"""The stages of a fit as arrays and JSON values."""

from typing import Any

import numpy as np

from dge_ray.generators.encoding.tokens import Discretiser
from dge_ray.generators.trees.axis import Axis
from dge_ray.generators.trees.boosted import Boosted
from dge_ray.generators.trees.leaves import Law
from dge_ray.generators.trees.model import Forest, Stage
from dge_ray.generators.trees.rows import Scale
from dge_ray.generators.trees.splitter import Nodes

_NODES = {"feature": np.int32, "threshold": np.uint8, "child": np.int32, "depth": np.uint8}
_LAW = {"begin": np.int32, "size": np.int32, "coarse": np.int32, "kind": np.int8, "weights": np.float64}


def stages_state(stages: list[Stage]) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Arrays by name, and JSON values by stage. `weights`: the laws' rows, one stage after the other."""
    arrays: dict[str, np.ndarray] = {}
    plain: list[dict[str, Any]] = []
    donors = [np.empty(0, np.int32)]
    for j, stage in enumerate(stages):
        part = {"shares": stage.scale.shares}
        record = {"orders": list(stage.orders), "trees": 0, "rows": 0, "boosted": None}
        part |= {f"order.{i}": table for i, table in stage.orders.items()}
        if stage.codes is not None:
            part["codes"] = stage.codes
        if isinstance(stage.given, Forest):
            nodes = stage.given.nodes
            part |= {f"nodes.{name}": getattr(nodes, name).astype(kind) for name, kind in _NODES.items()}
            record["trees"] = nodes.trees
        if isinstance(stage.given, Boosted):
            models, record["boosted"] = stage.given.state()
            part |= {f"boosted.{name}": value for name, value in models.items()}
        if stage.given is not None and stage.given.law is not None:
            law = stage.given.law
            part |= {f"law.{name}": getattr(law, name).astype(kind) for name, kind in _LAW.items()}
            record |= {"rows": len(law.donors), "apart": law.apart}
            donors.append(law.donors.astype(np.int32))
        arrays |= {f"stage.{j}.{name}": value for name, value in part.items()}
        plain.append(record)
    arrays["weights"] = np.concatenate(donors)
    return arrays, plain


def stages_from(tokens: Discretiser, arrays: dict[str, np.ndarray], plain: list[dict[str, Any]]) -> list[Stage]:
    """What `stages_state` wrote."""
    stages = []
    ends = np.cumsum([record["rows"] for record in plain])
    for j, (column, record) in enumerate(zip(tokens.columns.values(), plain, strict=True)):
        part = {k.removeprefix(f"stage.{j}."): v for k, v in arrays.items() if k.startswith(f"stage.{j}.")}
        axis = Axis.of(column)
        scale = Scale(part["shares"], axis.smooth)
        law = given = None
        if record["rows"]:
            donors = arrays["weights"][ends[j] - record["rows"] : ends[j]]
            law = Law(
                **{name: _wide(part[f"law.{name}"]) for name in _LAW}, donors=donors, scale=scale, apart=record["apart"]
            )
        if record["boosted"] is not None:
            models = {k.removeprefix("boosted."): v for k, v in part.items() if k.startswith("boosted.")}
            given = Boosted.restored(models, record["boosted"], scale, law)
        elif law is not None:
            nodes = Nodes(**{name: _wide(part[f"nodes.{name}"]) for name in _NODES}, trees=record["trees"])
            given = Forest(nodes, law)
        orders = {i: part[f"order.{i}"] for i in record["orders"]}
        stages.append(Stage(axis, part.get("codes"), scale, given, orders))
    return stages


def _wide(values: np.ndarray) -> np.ndarray:
    """Integers as indices, which numpy takes without converting them."""
    return values.astype(np.int64) if values.dtype.kind in "iu" else values
