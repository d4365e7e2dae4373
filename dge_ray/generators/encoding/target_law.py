"""What the values of a column's tokens are, where a generator says each token's probability instead of drawing one."""

import numpy as np

from dge_ray.generators.encoding.hashed import Hashed
from dge_ray.generators.encoding.tokens import CELLS_PER_BIN, Bins, ColumnTokens, Values

PARTS = CELLS_PER_BIN  # equal parts of a bin's mass: about its cells, within which the density is constant


def atoms(column: ColumnTokens) -> np.ndarray | None:
    """Encoded values (size, parts) that are equally likely given their token; the middles of a bin's parts.

    None where many categories share a token.
    """
    if isinstance(column, Hashed):
        return None
    tokens = np.arange(column.size, dtype=np.int32)
    if isinstance(column, Bins):
        places = (np.arange(PARTS) + 0.5) / PARTS
        return column.decode(tokens.repeat(PARTS), np.tile(places, column.size)).reshape(column.size, PARTS)
    return (column.centres() if isinstance(column, Values) else column.decode(tokens))[:, None].astype(np.float64)
