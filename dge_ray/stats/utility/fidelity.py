"""How far synthetic columns and pairs of columns are from real ones: shape error and trend error, in [0, 1].

Arguments are columns by name: integer codes for categories (-1: missing, a level of its own), floats for measured
values (nan: missing). 0 is identical; real held-out rows against real training rows give the noise floor.
"""

from collections.abc import Mapping

import numpy as np

DECILES = np.linspace(0.1, 0.9, 9)


def ks_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference between the two samples' distribution functions (Kolmogorov-Smirnov), nan left out.

    >>> ks_distance(np.array([0.0, 1.0]), np.array([0.5, 1.5]))
    0.5
    """
    a, b = np.sort(a[~np.isnan(a)]), np.sort(b[~np.isnan(b)])
    if not len(a) or not len(b):
        return float(len(a) != len(b))
    at = np.concatenate([a, b])
    below_a = np.searchsorted(a, at, side="right") / len(a)
    below_b = np.searchsorted(b, at, side="right") / len(b)
    return float(np.abs(below_a - below_b).max())


def total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """Half the sum over levels of |difference of shares| between two samples of codes, -1 counting as a level.

    >>> total_variation(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    0.25
    """
    size = int(max(a.max(), b.max())) + 2
    share_a = np.bincount(a + 1, minlength=size) / len(a)
    share_b = np.bincount(b + 1, minlength=size) / len(b)
    return float(np.abs(share_a - share_b).sum() / 2)


def column_errors(real: Mapping[str, np.ndarray], synthetic: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Each column's error: KS distance where measured, total variation where coded.

    Missing values of a measured column enter as its share of nulls: the larger of the two differences counts.
    """
    errors = {}
    for name, a in real.items():
        b = synthetic[name]
        if a.dtype.kind == "f":
            errors[name] = max(ks_distance(a, b), abs(float(np.isnan(a).mean() - np.isnan(b).mean())))
        else:
            errors[name] = total_variation(a, b)
    return errors


def shape_error(real: Mapping[str, np.ndarray], synthetic: Mapping[str, np.ndarray]) -> float:
    """Mean of `column_errors`."""
    return float(np.mean(list(column_errors(real, synthetic).values())))


def _cut(real: np.ndarray, values: np.ndarray) -> np.ndarray:
    if real.dtype.kind != "f":
        return values
    edges = np.unique(np.nanquantile(real, DECILES))
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left")).astype(np.int64)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def pair_errors(real: Mapping[str, np.ndarray], synthetic: Mapping[str, np.ndarray]) -> dict[tuple[str, str], float]:
    """Each pair's error: |difference of Pearson correlations| / 2 where both are measured, else the total variation of
    the contingency tables, measured columns cut at the real deciles."""
    names = list(real)
    cut_real = {n: _cut(real[n], real[n]) + 1 for n in names}
    cut_synthetic = {n: _cut(real[n], synthetic[n]) + 1 for n in names}
    errors = {}
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if real[first].dtype.kind == "f" and real[second].dtype.kind == "f":
                a = _correlation(real[first], real[second])
                errors[first, second] = abs(a - _correlation(synthetic[first], synthetic[second])) / 2
                continue
            width = 1 + int(max(cut_real[second].max(), cut_synthetic[second].max()))
            errors[first, second] = total_variation(
                cut_real[first].astype(np.int64) * width + cut_real[second],
                cut_synthetic[first].astype(np.int64) * width + cut_synthetic[second],
            )
    return errors


def trend_error(real: Mapping[str, np.ndarray], synthetic: Mapping[str, np.ndarray]) -> float:
    """Mean of `pair_errors`; 0 for a single column."""
    return float(np.mean(list(pair_errors(real, synthetic).values()) or [0.0]))
