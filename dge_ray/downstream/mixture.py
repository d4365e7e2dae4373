"""Real rows with synthetic ones behind them, and how much the latter count.

The weight w is that of all synthetic rows together, as a multiple of the real rows' own: n real rows count 1 each, m
synthetic ones w n / m each. So w means the same whatever the volume m is: more rows at one w only make what the
generator says less noisy. w = 0 is real rows alone; w = 1 lets the generator say as much as the rows it was fitted on
(with m = n, synthetic rows as if they were real). It is the w-likelihood of general Bayesian updating, in which a
synthetic row's log-likelihood counts w n / m times.
"""

from dataclasses import dataclass

import numpy as np

from dge_ray.errors import InputError


@dataclass(frozen=True)
class Mixture:
    """The first `real` rows are real; those behind them are synthetic, of `weight` together per real row."""

    real: int
    weight: float

    def row_weight(self, rows: int) -> float:
        """What one synthetic row of a sample of `rows` rows counts; 0 where there is none.

        >>> Mixture(real=100, weight=0.5).row_weight(300)
        0.25
        """
        return self.weight * self.real / (rows - self.real) if rows > self.real else 0.0

    def weights(self, rows: int) -> np.ndarray:
        """Of each of `rows` rows, (rows,) float64.

        >>> Mixture(real=2, weight=1.0).weights(6).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.5, 0.5]
        """
        return np.where(np.arange(rows) < self.real, 1.0, self.row_weight(rows))


def no_weights(field: str, name: str) -> InputError:
    """The refusal of a learner that cannot let some rows count less than others."""
    takes = "one whose fit has sample_weight, such as boosting, linear, forest or torch_mlp"
    return InputError(field, f"{name}, which takes no weights", takes)
