"""Normal latents given the intervals that some of them lie in, for a copula some of whose columns are known.

A column known to a point fixes its latent. One known to a token only (a category, a value that many rows share) leaves
an interval: such latents are drawn by Gibbs sweeps, each from its normal law given the others, cut to its interval
(Geweke 1991). Unknown columns are left out of the sweeps, and drawn at the end from the normal law given the rest, so
the sweeps need only forget where the tied columns' latents began.
"""

import numpy as np
from scipy.special import ndtr, ndtri

SWEEPS = 15
POINT = 1e-9  # an interval of ranks this narrow is a point
EDGE = 1e-12  # of ranks: further out is no latent


def complete(correlation: np.ndarray, lower: np.ndarray, upper: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Latents (d, n) of mean 0 and `correlation` (d, d) whose normal ranks lie between `lower` and `upper` (d, n).

    A column whose intervals are all (0, 1) is unknown.
    """
    known = np.flatnonzero(((lower > 0) | (upper < 1)).any(axis=1))
    unknown = np.setdiff1d(np.arange(len(lower)), known)
    low, high = lower[known], upper[known]
    latent = ndtri(np.clip(low + rng.random(low.shape) * (high - low), EDGE, 1 - EDGE))
    tied = np.flatnonzero((high - low > POINT).any(axis=1))
    if len(tied) and len(known) > 1:
        precision = np.linalg.inv(correlation[np.ix_(known, known)])
        for _ in range(SWEEPS):
            for j in tied:
                spread = precision[j, j] ** -0.5
                others = np.delete(np.arange(len(known)), j)
                mean = -(precision[j, others] @ latent[others]) / precision[j, j]
                ends = [ndtr((ndtri(end[j]) - mean) / spread) for end in (low, high)]
                u = np.clip(ends[0] + rng.random(low.shape[1]) * (ends[1] - ends[0]), EDGE, 1 - EDGE)
                free = high[j] - low[j] > POINT
                latent[j, free] = (mean + spread * ndtri(u))[free]
    slope = np.linalg.solve(correlation[np.ix_(known, known)], correlation[np.ix_(known, unknown)]).T
    rest = correlation[np.ix_(unknown, unknown)] - slope @ correlation[np.ix_(known, unknown)]
    out = np.empty_like(lower)
    out[known] = latent
    out[unknown] = slope @ latent
    if len(unknown):
        out[unknown] += np.linalg.cholesky(rest) @ rng.standard_normal((len(unknown), lower.shape[1]))
    return out
