"""Words for true and false."""

import numpy as np
import pyarrow as pa

from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.types.parsed import Parsed
from dge_ray.table.types.words import FALSE, TRUE, one_of, trimmed_text


def parse_booleans(texts: pa.Array) -> Parsed:
    """Different texts (n,) as truth values: true, yes, Y, on, 1, in some languages and any case."""
    words = pc.utf8_lower(trimmed_text(texts))
    true, false = (np.asarray(pc.is_in(words, value_set=one_of(s, words.type))) for s in (TRUE, FALSE))
    return Parsed("boolean", pa.array(true, mask=~(true | false)), np.zeros(len(texts), dtype=bool))
