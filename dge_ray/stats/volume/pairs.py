"""Which pairs of learner and volume may be the best: one multiple comparison over the grids of all learners.

The learners share members and rows, so their errors are strongly correlated, and all pairs are compared jointly as the
volumes of one grid are (see `reflection`): the pairs not rejected hold the best pair with the given level, however many
learners were looked at.
"""

from collections.abc import Sequence

import numpy as np

from dge_ray.stats.volume.reflection import DRAWS, best_set
from dge_ray.stats.volume.volumes import volume_risks


def best_pairs(
    predictions: Sequence[np.ndarray],
    truth: np.ndarray,
    *,
    metric: str,
    seed: int,
    clusters: np.ndarray | None = None,
    level: float = 0.95,
    draws: int = DRAWS,
) -> list[np.ndarray]:
    """Which volumes of each learner are not rejected as the best of all pairs.

    Args:
        predictions: by learner, (members, volumes, rows, classes) on the same members and validation rows; NaN for a
            cell that was not computed, whose volume is then left out.
        truth: (rows,).
        clusters: (rows,) codes of rows that belong together.

    Returns:
        By learner, (volumes,) bool; false where a volume was left out.
    """
    cells = np.concatenate([np.asarray(one, dtype=np.float64) for one in predictions], axis=1)
    curve = volume_risks(cells, truth, metric, clusters)
    held = np.zeros(cells.shape[1], dtype=bool)
    held[curve.kept] = best_set(curve, seed=seed, level=level, draws=draws)
    return np.split(held, np.cumsum([one.shape[1] for one in predictions])[:-1])
