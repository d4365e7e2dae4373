"""A row's likelihood: that of what a generator models of it, and nothing where it breaks what the real rows keep."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from dge_ray.generators.encoding.tokens import Discretiser
from dge_ray.table.codec import TableCodec
from dge_ray.table.filling import broken
from dge_ray.table.schema.table_schema import TableSchema


def row_log_prob(
    table: pa.Table, schema: TableSchema, discretiser: Discretiser, law: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """log p (n,) of rows by the law of their tokens (d, m), and -inf for rows that break an identity or order between
    columns, since no drawn row does. Columns that others tell add nothing.

    Where drawn values change places to keep an order, the likelihood is that of the row before they did.

    Raises:
        InputError: a column is absent.
    """
    columns = TableCodec(schema).encode(table)
    log_p = discretiser.log_prob(columns, law)
    for rows in broken(columns, schema).values():
        log_p[rows] = -np.inf
    return log_p
