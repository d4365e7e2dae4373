"""Rows that belong together: one person's, household's or day's.

Their losses are alike, and errors that take them for independent rows are too small: intervals of the risk held .72 to
.79 of an audit's truths, and U passed falsely in .22 to .42. Everything here rests on row contributions whose mean is
the estimate, so clusters take the rows' place: a cluster's contribution is its sum of what its rows differ from the
mean by (the linearised ratio; how many rows a cluster has is then no error), and the mean is unchanged.

Large clusters draw the mean to themselves, so their own differences are too small. As many clusters of one size, by
Kish's effective number, stand for the correction (G_e / (G_e - 1) in place of G / (G - 1)), which comes within .01 of
CR2's coverage (Bell, McCaffrey 2002). Degrees of freedom remain those of the number of clusters.
"""

import numpy as np


def by_cluster(contributions: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Contributions of clusters, whose mean is that of the rows'; unchanged without clusters.

    Shape: (..., N), (N,) codes -> (..., G).

    >>> by_cluster(np.array([1.0, 3.0, 8.0, 10.0]), np.array([4, 4, 9, 9])).tolist()
    [2.0, 9.0]
    """
    if clusters is None:
        return contributions
    _, code, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    count, rows = len(sizes), contributions.shape[-1]
    mean = contributions.mean(axis=-1, keepdims=True)
    flat = (contributions - mean).reshape(-1, rows)
    sums = np.stack([np.bincount(code, weights=one, minlength=count) for one in flat])
    effective = rows**2 / float((sizes**2).sum())
    scale = np.sqrt(effective / (effective - 1) * (count - 1) / count) if count > 1 else 1.0
    return mean + (sums * (scale * count / rows)).reshape(*contributions.shape[:-1], count)
