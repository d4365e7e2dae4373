"""Members of several kinds of generator: how much of their spread lies between the kinds."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

MIN_MEMBERS = 2  # of a family: fewer have no spread of their own


def between_share(members: np.ndarray, families: Sequence[str], *, level: float = 0.95) -> tuple[float, float, float]:
    """Share of the members' variance that lies between families, with an interval.

    One-way analysis of variance, summed over rows and classes: with f families of sizes n_i, MSB and MSW the mean
    squares between and within, the between component is (MSB - MSW) / n0, n0 = (N - sum n_i^2 / N) / (f - 1)
    (Searle, Casella and McCulloch 1992, section 3.6). The share is that component over the sum of both, unbiased up to
    the ratio and cut at 0. Interval: jackknife over members within families, on the uncut share, t with N - f degrees:
    the families are these ones, taken as they are; what other families would show is not in it.

    Shape: (K, N, C), K names -> share, lower, upper, all in [0, 1].

    Raises:
        ValueError: fewer than two families, or one with fewer than two members.
    """
    names = np.array(families)
    kinds, counts = np.unique(names, return_counts=True)
    if len(kinds) < 2 or counts.min() < MIN_MEMBERS:
        sizes = dict(zip(kinds.tolist(), counts.tolist(), strict=True))
        raise ValueError(f"families {sizes}: at least two, of two members each, are needed")
    flat = members.reshape(len(members), -1).astype(np.float64)
    gram = flat @ flat.T  # everything below is a function of inner products: no pass over the rows a left-out member
    full = _share(gram, names)
    everyone = np.arange(len(names))
    if counts.min() == MIN_MEMBERS:  # one left out, its family would have no spread: nothing is known of the error
        return float(np.clip(full, 0, 1)), 0.0, 1.0
    variance = 0.0
    for kind, count in zip(kinds, counts, strict=True):
        left = np.array([_share(*_without(gram, names, k)) for k in everyone[names == kind]])
        variance += (count - 1) / count * ((left - left.mean()) ** 2).sum()
    half = student.ppf((1 + level) / 2, len(names) - len(kinds)) * variance**0.5
    share, lower, upper = (float(np.clip(v, 0, 1)) for v in (full, full - half, full + half))
    return share, lower, upper


def _without(gram: np.ndarray, names: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    kept = np.delete(np.arange(len(names)), k)
    return gram[np.ix_(kept, kept)], names[kept]


def _share(gram: np.ndarray, names: np.ndarray) -> float:
    """The share from the members' inner products (K, K), before it is cut."""
    total = len(names)
    kinds, counts = np.unique(names, return_counts=True)
    grand = gram.sum() / total
    by_kind = sum(gram[np.ix_(names == kind, names == kind)].sum() / n for kind, n in zip(kinds, counts, strict=True))
    between = (by_kind - grand) / (len(kinds) - 1)
    within = (np.trace(gram) - by_kind) / (total - len(kinds))
    usual = (total - (counts**2).sum() / total) / (len(kinds) - 1)
    component = (between - within) / usual
    return float(component / (component + within)) if component + within > 0 else 0.0
