"""Rows that belong together: one person's, household's or day's.

Their losses are alike, and errors that take them for independent rows are too small: intervals of the risk held .72 to
.79 of an audit's truths, and U passed falsely in .22 to .42. Everything here rests on row contributions whose mean is
the estimate, so a cluster's contributions are added up and the clusters take the rows' place: the mean is unchanged,
and its variance, skewness and degrees of freedom are those over clusters.
"""

import numpy as np


def by_cluster(contributions: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Contributions of clusters, whose mean is that of the rows'; unchanged without clusters.

    Shape: (..., N), (N,) codes -> (..., G).

    >>> by_cluster(np.array([1.0, 3.0, 8.0]), np.array([4, 4, 9])).tolist()
    [2.6666666666666665, 5.333333333333333]
    """
    if clusters is None:
        return contributions
    _, code = np.unique(clusters, return_inverse=True)
    count, rows = int(code.max()) + 1, contributions.shape[-1]
    flat = contributions.reshape(-1, rows)
    sums = np.stack([np.bincount(code, weights=one, minlength=count) for one in flat])
    return (sums * (count / rows)).reshape(*contributions.shape[:-1], count)
