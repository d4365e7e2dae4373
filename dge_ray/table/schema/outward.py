"""Bounds that tell of no row: a schema for those who may not know the real table's smallest and largest values.

Each bound is moved outward to a multiple of 1, 2 or 5 times a power of ten, at least a tenth of the column's span and
at least two of its steps, and never stays where it was. What is within the old bounds is within the new ones.
"""

import math
import sys
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from dge_ray.table.arrow.arrow_types import arrow_type, type_bounds
from dge_ray.table.schema.table_schema import MEASURED, Column, Kind, TableSchema


def outward_schema(schema: TableSchema, own: Collection[str] = ()) -> TableSchema:
    """The schema with every bound moved outward, but for the columns `own`, whose bounds somebody gave, and without
    what identities tell of single categories."""
    columns = tuple(c if c.name in own else outward(c) for c in schema.columns)
    return replace(schema, columns=columns, identities=tuple(i.untold() for i in schema.identities))


def outward(column: Column, *, low: bool = True, high: bool = True) -> Column:
    """A measured column with its bounds (the low one, the high one) moved outward; another column as it is.

    Within what its type holds: a bound that is the type's own stays.
    """
    if column.kind not in MEASURED or column.minimum is None or column.maximum is None:
        return column
    minimum, maximum = column.minimum, column.maximum
    unit = _unit(column, min(maximum - minimum, sys.float_info.max) or abs(minimum) or 1.0)
    least, most = type_bounds(arrow_type(column.type))
    if low:
        moved = math.floor(minimum / unit) * unit
        moved = moved if moved < minimum else moved - unit
        minimum = max(min(moved, float(np.nextafter(minimum, -np.inf))), least)
    if high:
        moved = math.ceil(maximum / unit) * unit
        moved = moved if moved > maximum else moved + unit
        maximum = min(max(moved, float(np.nextafter(maximum, np.inf))), most)
    return replace(column, minimum=minimum, maximum=maximum)


def _unit(column: Column, span: float) -> float:
    """What bounds are multiples of: of whole numbers and times a multiple of their step."""
    step = 1.0 if column.kind is Kind.INTEGER else float(column.step)
    if column.kind is Kind.NUMERIC:
        return _nice(max(span / 10, 0.0 if column.decimals is None else 2 * 10.0**-column.decimals))
    return step * _nice(max(span / 10 / step, 2.0))


def _nice(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(nice * power for nice in (1.0, 2.0, 5.0, 10.0) if nice * power >= least * (1 - 1e-9))
