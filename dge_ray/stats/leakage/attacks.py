"""What an attack's scores say: area under its curve, true positives at few false ones, and what differential privacy
allows. Evidence, never a guarantee: another attack may do better.

Scores are of rows that the generators saw, (n1,), and of rows of the same law that they never saw, (n0,); higher means
"seen". Both are taken for independent draws. Ties count half in the area.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import beta, norm

from dge_ray.stats.metrics.auc import auc_contributions

LEVEL = 0.95
RATES = (0.01, 0.001)  # false positive rates at which an attack is judged
CURVE_POINTS = 60  # of a curve that is kept


def auc_with_interval(seen: np.ndarray, unseen: np.ndarray, *, level: float = LEVEL) -> tuple[float, float, float]:
    """The area, P(seen scores above unseen), with an interval by DeLong's variance on the log-odds scale.

    Where the sample's order is perfect that variance is 0; the interval is then the exact one of min(n1, n0) disjoint
    pairs, all of which are in order.

    >>> round(auc_with_interval(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.5, 0.5]))[0], 3)
    0.889
    """
    scores, truth = np.r_[unseen, seen], np.repeat([0, 1], [len(unseen), len(seen)])
    # The contributions' function takes probabilities of both classes; ranks are all that counts.
    contributions = auc_contributions(np.stack([-scores, scores], axis=1), truth)
    value = float(contributions.mean())
    error = float(np.sqrt(((contributions - value) ** 2).sum())) / len(contributions)
    least = ((1 - level) / 2) ** (1 / min(len(seen), len(unseen)))
    if value in (0.0, 1.0):
        return (value, least, 1.0) if value else (value, 0.0, 1 - least)
    z, centre = float(norm.ppf(0.5 + level / 2)), np.log(value / (1 - value))
    half = z * error / (value * (1 - value))
    lower, upper = (float(1 / (1 + np.exp(-(centre + sign * half)))) for sign in (-1, 1))
    return value, lower, upper


def clopper_pearson(hits: int, trials: int, *, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a share."""
    tail = (1 - level) / 2
    lower = float(beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0
    upper = float(beta.ppf(1 - tail, hits + 1, trials - hits)) if hits < trials else 1.0
    return lower, upper


def roc(seen: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve's corners from (0, 0) to (1, 1): false and true positive rates of every threshold."""
    thresholds = np.unique(np.r_[seen, unseen])[::-1]
    at = [1 - np.searchsorted(np.sort(scores), thresholds, side="left") / len(scores) for scores in (unseen, seen)]
    return np.r_[0.0, at[0]], np.r_[0.0, at[1]]


def thinned_roc(seen: np.ndarray, unseen: np.ndarray) -> dict[str, list[float]]:
    """The curve at CURVE_POINTS false positive rates, evenly apart on a log axis from one row's share to 1."""
    fpr, tpr = roc(seen, unseen)
    at = np.geomspace(1 / len(unseen), 1, CURVE_POINTS)
    return {"fpr": at.tolist(), "tpr": np.interp(at, fpr, tpr).tolist()}


def tpr_at_fpr(
    seen: np.ndarray, unseen: np.ndarray, rate: float, *, level: float = LEVEL
) -> tuple[float, float, float]:
    """The share of seen rows found where a share `rate` of the unseen ones is taken for seen, with an interval.

    The value is the sample curve's, between its corners by a coin. The interval is of the true curve at exactly `rate`:
    it covers the threshold's own error too. Of the unseen scores the k-th largest is exceeded by a share of the law
    that is Beta(k, n0 - k + 1), or less where scores tie; so with half of what may go wrong it is chosen high enough
    that the true rate is at most `rate` (for the lower end) or at least that (for the upper); the other half is spent
    on Clopper and Pearson's interval of the seen rows above it. Free of any law, and so wide: with fewer than about
    4.4 / rate unseen rows the lower end is 0.
    """
    fpr, tpr = roc(seen, unseen)
    ordered, n0, tail = np.sort(unseen)[::-1], len(unseen), (1 - level) / 4
    rank = np.arange(1, n0 + 1)
    lower, upper = 0.0, 1.0
    strict = int((beta.ppf(1 - tail, rank, n0 - rank + 1) <= rate).sum())  # the k-th largest and those above it
    if strict:
        hits = int((seen > ordered[strict - 1]).sum())
        lower = clopper_pearson(hits, len(seen), level=1 - 2 * tail)[0]
    loose = int((beta.ppf(tail, rank, n0 - rank + 1) < rate).sum())  # one further is at least `rate`
    if loose < n0:
        hits = int((seen >= ordered[loose]).sum())
        upper = clopper_pearson(hits, len(seen), level=1 - 2 * tail)[1]
    return float(np.interp(rate, fpr, tpr)), lower, upper


def tpr_allowed(fpr: np.ndarray | float, epsilon: float, delta: float) -> np.ndarray:
    """The most true positives that an attack on an (epsilon, delta)-private release can have at a false positive rate.

    min(e^epsilon fpr + delta, 1 - e^-epsilon (1 - delta - fpr)), neither above 1: the two constraints of the
    definition, on the event that the attack says "seen" and on its complement.
    """
    fpr = np.asarray(fpr, dtype=np.float64)
    one = np.exp(min(epsilon, 700.0)) * fpr + delta
    other = 1 - np.exp(-epsilon) * (1 - delta - fpr)
    return np.minimum(np.minimum(one, other), 1.0)


def auc_allowed(epsilon: float, delta: float) -> float:
    """The area under `tpr_allowed`: the most that any attack on an (epsilon, delta)-private release can have.

    >>> round(auc_allowed(1.0, 0.0), 4), auc_allowed(0.0, 0.0)
    (0.7311, 0.5)
    """
    growth = float(np.exp(min(epsilon, 700.0)))
    knee = (1 - delta) / (1 + growth)
    rest = 1 - knee
    last = max(1 - delta - knee, 0.0)  # beyond fpr = 1 - delta the curve is 1
    return float(growth * knee**2 / 2 + delta * knee + rest - last**2 / 2 / growth)


def epsilon_at_least(
    seen: np.ndarray,
    unseen: np.ndarray,
    delta: float,
    *,
    rates: Sequence[float] = (0.001, 0.01, 0.1),
    level: float = LEVEL,
) -> float:
    """The epsilon under which these scores would be surprising: log((TPR - delta) / FPR) with each at its bound.

    Thresholds are set beforehand, at the ranks of `rates` among the unseen scores (for false positives) and among the
    seen ones (for false negatives, by the mirrored constraint); all bounds hold together (Bonferroni). Evidence and not
    an audit: it takes rows for independent, and those of one training run are only nearly so.
    """
    tail = (1 - level) / (4 * len(rates))
    largest = 0.0
    for hits, misses in ((seen, unseen), (-unseen, -seen)):
        ordered, n = np.sort(misses)[::-1], len(misses)
        for rate in rates:
            k = max(1, round(rate * n))
            false = float(beta.ppf(1 - tail, k, n - k + 1))
            true = clopper_pearson(int((hits > ordered[k - 1]).sum()), len(hits), level=1 - 2 * tail)[0]
            if true > delta:
                largest = max(largest, float(np.log((true - delta) / false)))
    return largest


def leak_found(auc_interval: Sequence[float], epsilon_at_least: float) -> bool:
    """Whether an attack's scores show that seen rows can be told from unseen ones: by the area's lower end, or by an
    epsilon of 0 being refuted, each at its own level.

    >>> leak_found([0.56, 0.61], 0.0), leak_found([0.49, 0.53], 0.0), leak_found([0.49, 0.53], 0.2)
    (True, False, True)
    """
    return auc_interval[0] > 0.5 or epsilon_at_least > 0
