"""Scores of models that were trained on one member and judged on others, with intervals over members.

f_i is trained on member i. Judged on the pooled rows of the other members it scores v_i, and the estimate is the mean
of the v_i (van Breugel et al. 2023; `dge.md` 4.1). The v_i are *not* independent: two of them share nearly all of their
judges, and each member is the training set of one and a judge of many. The mean is a U-statistic of degree 2 over
members, and its interval is the jackknife's: a member is left out as training set *and* as judge (Arvesen 1969). The
spread of the v_i divided by the root of K would be too short by what the judges have in common.

Such an interval is about fresh members (and their rows and fits) of the same generators fitted on the same real table.
A bias that all generators share is in every score, and no interval here covers it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student


@dataclass(frozen=True)
class Estimate:
    """A mean over members, with what it takes to compare it with another one of the same members.

    `by_member` (N,): each f_i's own score. `left` (N,): the estimate with one member left out, NaN where nothing would
    be left. `freedom`: degrees of freedom over members. `rows`: standard error over the real rows that judged, 0 where
    the judges are members; `rows_freedom` belongs to it.
    """

    value: float
    by_member: np.ndarray
    left: np.ndarray
    freedom: int
    rows: float = 0.0
    rows_freedom: float = np.inf

    @property
    def sd(self) -> float:
        """Standard deviation of the f_i's scores, ddof 1."""
        return float(self.by_member.std(ddof=1))

    def minus(self, other: "Estimate") -> "Estimate":
        """The difference of two estimates from the same members, member by member."""
        apart = min((self.rows, self.rows_freedom), (other.rows, other.rows_freedom), key=lambda pair: -pair[0])
        return Estimate(
            self.value - other.value,
            self.by_member - other.by_member,
            self.left - other.left,
            min(self.freedom, other.freedom),
            *apart,
        )

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """A t interval by the jackknife over members, real rows' variance added; NaN for fewer than three members."""
        members = (len(self.left) - 1) / len(self.left) * float(((self.left - self.left.mean()) ** 2).sum())
        total = members + self.rows**2
        if total == 0 or not np.isfinite(total):
            return (self.value, self.value) if total == 0 else (np.nan, np.nan)
        freedom = total**2 / (members**2 / max(self.freedom, 1) + self.rows**4 / self.rows_freedom)
        half = float(student.ppf(0.5 + level / 2, freedom)) * float(np.sqrt(total))
        return self.value - half, self.value + half


def crossed(scores: np.ndarray, rows: np.ndarray) -> Estimate:
    """The mean over i of f_i's score on the pooled rows of its judges.

    With K of N members as judges in turn (a rotating choice) each member still judges equally often, and N - 1 degrees
    of freedom remain; where the same few judge all, there are as few degrees as judges, less one.

    Args:
        scores: (N, N) mean row contribution of f_i on member j; NaN where j does not judge i, and on the diagonal.
        rows: (N,) rows of each member.

    >>> round(crossed(np.array([[np.nan, 1.0], [3.0, np.nan]]), np.array([5, 5])).value, 12)
    2.0
    """
    count = len(scores)
    judged = np.isfinite(scores)
    weights = np.where(judged, rows, 0.0)
    weighted = np.where(judged, scores, 0.0) * weights
    left = np.full(count, np.nan)
    for k in range(count):
        kept = np.arange(count) != k
        size = weights[np.ix_(kept, kept)].sum(axis=1)
        if size.any():
            left[k] = (weighted[np.ix_(kept, kept)].sum(axis=1)[size > 0] / size[size > 0]).mean()
    by_member = _ratio(weighted.sum(axis=1), weights.sum(axis=1))
    freedom = min(count, int(judged.any(axis=0).sum())) - 1
    return Estimate(float(by_member.mean()), by_member, left, freedom)


def uncrossed(values: np.ndarray, rows_error: np.ndarray | None = None, rows: int = 0) -> Estimate:
    """The mean of scores that share no member: each f_i on held-out rows of its own member, or on real rows.

    Args:
        values: (N,) scores.
        rows_error: (N,) each score's standard error over the `rows` real rows. Their mean is taken for the mean's own,
            as if all f_i erred on the same rows: never too small.
    """
    count = len(values)
    left = (values.sum() - values) / (count - 1) if count > 2 else np.full(count, np.nan)
    if rows_error is None:
        return Estimate(float(values.mean()), values, left, count - 1)
    return Estimate(float(values.mean()), values, left, count - 1, float(rows_error.mean()), rows - 1.0)


def subset_score(scores: np.ndarray, rows: np.ndarray, members: np.ndarray) -> float:
    """`crossed` for some of the members alone; NaN where none of them judges another. Shape: (N, N), (N,), (S,)."""
    part, weights = scores[np.ix_(members, members)], np.broadcast_to(rows[members], (len(members), len(members)))
    judged = np.isfinite(part)
    size = (weights * judged).sum(axis=1)
    if not size.any():
        return float("nan")
    sums = (np.where(judged, part, 0.0) * weights).sum(axis=1)
    return float((sums[size > 0] / size[size > 0]).mean())


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
