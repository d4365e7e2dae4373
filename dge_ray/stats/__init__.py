"""Statistics of the prediction tensor: pure functions of P (members, volumes, rows, classes) and the truth.

numpy and scipy only. Modules: losses, auc (metrics and their row contributions); combine; klaw, subsets, surface
(R(K, m)); twoway, volumes, reflection (errors and the reflection point); pruning; compare (baselines).
"""

from dge_ray.stats.combine import ensemble_mean
from dge_ray.stats.compare import metrics_of, naive_single, naive_single_difference, paired_difference
from dge_ray.stats.klaw import gain_of_doubling, law_losses
from dge_ray.stats.losses import METRICS, SELECTION, higher_is_better
from dge_ray.stats.pruning import hopeless_volumes
from dge_ray.stats.reflection import ReflectionPoint, reflection_point, risk_interval
from dge_ray.stats.surface import Cell, estimate_surface

__all__ = [
    "METRICS",
    "SELECTION",
    "Cell",
    "ReflectionPoint",
    "ensemble_mean",
    "estimate_surface",
    "gain_of_doubling",
    "higher_is_better",
    "hopeless_volumes",
    "law_losses",
    "metrics_of",
    "naive_single",
    "naive_single_difference",
    "paired_difference",
    "reflection_point",
    "risk_interval",
]
