"""What reading texts as something else comes to."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Parsed:
    """Texts (n different ones) read as a `kind`: number, date, time, duration or boolean.

    `values`: (n,), null where a text is none. `bounds`: (n,) bool, where it is the bound of a censored value ('<0.5').
    `notes`: how they were read, where that is not plain. `codes`: they are numbers to look at, but are codes.
    """

    kind: str
    values: pa.Array
    bounds: np.ndarray
    notes: tuple[str, ...] = field(default=())
    codes: bool = False

    @property
    def valid(self) -> np.ndarray:
        """Which of the texts were read, shape (n,)."""
        return np.asarray(self.values.is_valid())
