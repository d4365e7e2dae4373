"""Real rows alone, unless something else is known to do better: the rule that makes augmentation safe.

Candidates (weights of synthetic rows, volumes) are judged on the same real rows, which none of them was fitted on.
Taking the least risk among C candidates would take noise for gains: of C that are all a little worse than real rows
alone, one often looks best. Here a candidate counts only if its *paired* gain over real rows alone is larger than the
largest of C such gains would be under no gain at all (joint normal errors, correlated as the row differences are), at
level alpha together. So:

- candidates that bring nothing or do harm: real rows alone are kept with probability 1 - alpha or more, whatever C;
- the risk is never worse than real rows' by more than the few standard errors, of order 1 / sqrt(N), that an error of
  the test needs, and then with probability alpha: asymptotically never worse;
- a candidate with a fixed gain is taken in the end, as the errors shrink.

The errors are over new rows, given the fits, where what is chosen among are these very models. Where rows were judged
by a cross-fit, what is chosen is a way of fitting: the fits of k folds share most of their rows, and err together in a
way that no variance over rows shows. Their variance is then multiplied by 1 + k / (k - 1), as Nadeau and Bengio (2003)
correct that of a mean over k folds. Without it a candidate that brings nothing was taken in .06 to .09 of cases.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dge_ray.errors import InputError
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.volume.volumes import root

DRAWS = 4000
ALPHA = 0.05


@dataclass(frozen=True)
class SafeChoice:
    """What was chosen, and how each candidate stood to real rows alone, which are candidate 0.

    `differences` (C,): risk less that of real rows alone, negative is better; `errors` (C,): their paired standard
    errors; `bound`: how many of those a gain must be to count.
    """

    index: int
    differences: np.ndarray
    errors: np.ndarray
    bound: float

    @property
    def limits(self) -> np.ndarray:
        """Upper bounds (C,) of the differences, right together with probability 1 - alpha; negative: known better."""
        return self.differences + self.bound * self.errors


def safe_choice(losses: ArrayLike, *, alpha: float = ALPHA, seed: int = 0, folds: int | None = None) -> SafeChoice:
    """The candidate of least risk among those known to beat real rows alone, or else these.

    Args:
        losses: (C, N) row contributions to a risk that is to be small (`metrics.losses.contributions`, with its sign
            changed for a metric to be maximised), on N rows that no candidate was fitted on; candidate 0 is real rows
            alone.
        alpha: probability of taking any candidate where none is better.
        seed: of the draws behind the bound.
        folds: of the cross-fit that judged the rows, from 2; None: the candidates are models that are there.

    Raises:
        InputError: fewer than two rows, losses that are not finite, an alpha outside (0, 0.5], or fewer than two folds.
    """
    table = np.asarray(losses, dtype=np.float64)
    if table.ndim != 2 or len(table) < 1 or table.shape[1] < 2 or not np.isfinite(table).all():
        raise InputError("losses", f"shape {table.shape}, or values that are not finite", "finite (candidates, rows)")
    check_alpha(alpha)
    apart = table - table[0]
    rows = apart.shape[1]
    differences, errors = apart.mean(axis=1), apart.std(axis=1, ddof=1) / np.sqrt(rows)
    if folds is not None:
        if folds < 2:
            raise InputError("folds", repr(folds), "a whole number from 2")
        errors = errors * np.sqrt(1 + folds / (folds - 1))
    varying = np.flatnonzero(errors > 0)  # one that never differs from real rows has no gain
    bound = _largest(apart[varying], alpha, seed) if len(varying) else 0.0
    better = varying[differences[varying] + bound * errors[varying] < 0]
    index = int(better[np.argmin(differences[better])]) if len(better) else 0
    return SafeChoice(index, differences, errors, bound)


def check_alpha(alpha: float) -> None:
    """InputError unless 0 < alpha <= 0.5."""
    if isinstance(alpha, bool) or not isinstance(alpha, int | float | np.number) or not 0 < alpha <= 0.5:
        raise InputError("alpha", repr(alpha), "a number above 0, at most 0.5")


def _largest(apart: np.ndarray, alpha: float, seed: int) -> float:
    """The 1 - alpha quantile of the largest of correlated t statistics, N - 1 degrees of freedom. Shape: (C, N)."""
    generator = numpy_generator(seed, Purpose.WEIGHT)
    freedom = apart.shape[1] - 1
    drawn = generator.standard_normal((DRAWS, len(apart))) @ root(
        np.corrcoef(np.atleast_2d(apart)).reshape(len(apart), -1)
    )
    drawn *= np.sqrt(freedom / generator.chisquare(freedom, size=DRAWS))[:, None]
    return float(np.quantile(drawn.max(axis=1), 1 - alpha))
