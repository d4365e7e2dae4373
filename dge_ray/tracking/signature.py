"""What a logged model takes and gives, by the table's schema alone: no row is looked at.

MLflow checks a model's input against the types of its signature before the model sees it, and no type of its own serves
everybody: it takes no whole numbers for `double` and no floats or gaps for `long` in a frame or a file of
`mlflow models predict`, no text for `datetime` in CSV, and for a column of `any` type its server reads no CSV. So the
signature says what comes out, and the model itself reads what goes in (`dge_ray.table.schema.served`). What it takes is
in the model's metadata.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from dge_ray.table.arrow.arrow_types import arrow_type, is_clock, is_temporal, value_type
from dge_ray.table.schema.table_schema import CODED, Column, Kind, TableSchema
from dge_ray.tracking.scoring import PREDICTION, SHARE

SCALARS = {bool: "boolean", int: "long", float: "double"}


def signature(schema: TableSchema) -> Any:
    """MLflow's signature: the prediction, and in classification the probability of each class."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    shares = [ColSpec("double", f"{SHARE}{name}") for name in schema.classes]
    kind = _scalar(schema.classes) if schema.classes else "double"
    return ModelSignature(outputs=Schema([*shares, ColSpec(kind, PREDICTION)]))


def taken(schema: TableSchema) -> list[dict[str, Any]]:
    """The columns that the model reads: name, type, and whether each must be there."""
    return [{"name": column.name, "type": _type(column), "required": not column.missing} for column in schema.features]


def _type(column: Column) -> str:
    dtype = value_type(arrow_type(column.type))
    if is_clock(dtype):
        return "time of day as 08:30:00" if pa.types.is_time(dtype) else "duration as 2:30:00 or PT2H30M"
    if is_temporal(dtype):
        return "date, or ISO text"
    if column.kind in CODED:
        return _scalar(column.categories)
    return "string" if column.kind is Kind.TEXT else "double"


def _scalar(values: Sequence[Any]) -> str:
    """MLflow's name of the values' one type."""
    kinds = {type(value) for value in values}
    return SCALARS.get(kinds.pop(), "string") if len(kinds) == 1 else "string"
