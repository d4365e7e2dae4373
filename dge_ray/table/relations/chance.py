"""How unlikely what holds in every row would be of columns that have nothing to do with each other."""

import math

import numpy as np

# A hundred tables of fifteen columns have some 10^4 pairs and 10^5 triples: none of them is to look like an identity.
LEVEL = math.log(1e-12)


def tolerated_by_chance(values: np.ndarray, predicted: np.ndarray, tolerance: float, free: int) -> bool:
    """Whether a prediction with `free` fitted numbers could be within the tolerance of all values by chance.

    Of independent columns every row holds with the share p of (value, prediction) pairs of different rows that hold,
    and the fit makes `free` of them hold: all n do with a chance of p^(n - free). Five rows a fitted number are left
    out, not one: the fit also leans the others its way.
    """
    ordered, n = np.sort(values), len(values)
    at = predicted[:: max(1, n // 500)]
    hits = np.searchsorted(ordered, at + tolerance, "right") - np.searchsorted(ordered, at - tolerance, "left")
    share = min(1.0, max(float(hits.sum()), 1.0) / (n * len(at)))
    return (n - 5 * free) * math.log(share) > LEVEL


def told_by_chance(groups: np.ndarray, values: np.ndarray) -> bool:
    """Whether each group could have one value alone by chance. Codes from 0, each (n,).

    A group of m rows of independent columns has one value with a chance of at most the sum of share^m over the values,
    and rows drawn without replacement less than that. Groups of one row tell nothing. Of the rows that have other than
    the commonest value, which a law of rare exceptions would give too, half must stand in groups of 5 or more.
    """
    counts = np.bincount(values)
    shares = counts[counts > 0] / len(values)
    sizes = np.bincount(groups)
    several, times = np.unique(sizes[sizes >= 2], return_counts=True)
    top = shares.max()
    log_chance = sum(
        t * min(0.0, m * math.log(top) + math.log(((shares / top) ** m).sum()))
        for m, t in zip(several.tolist(), times.tolist(), strict=True)
    )
    rarer = values != counts.argmax()
    supported = (sizes[groups[rarer]] >= 5).mean() if rarer.any() else 0.0
    return log_chance > LEVEL or supported < 0.5
