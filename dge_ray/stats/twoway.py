"""Variances that have two sources: which members were fitted, and which real rows were seen.

A statistic of K members and N rows is given by its row contributions `full` (mean over rows = the statistic) and by
its jackknife pseudo-values over members, row by row: `pseudo[k] = K full - (K - 1) full_without_k`. Then
(`papers`: two-way random effects; utility.md 1.8 is the case of a mean of one-member losses)

    rows        = var over rows of full / N                        these members, new rows
    members     = var over members of the row means of pseudo / K  these rows, new members
    interaction = mean square of what is left / (K N)              in both of the above, so taken off once
    total       = rows + members - interaction, never below rows or members

All are covariance matrices over B statistics at once (volumes, say), which share members and rows.

In a cross-fitted study the rows are of F folds, and a member is F generators that were fitted apart, one a fold: given
the real rows, what they err by is independent. A statistic that is a mean over rows is then the sum of the folds' own,
each with its share of the rows, and so is what members and interaction are of it, with F (K - 1) degrees of freedom in
place of K - 1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln
from scipy.stats import t as student


@dataclass(frozen=True)
class TwoWay:
    """Covariances of B statistics over new rows and over new members; each (B, B)."""

    rows: np.ndarray
    members: np.ndarray
    interaction: np.ndarray
    n_members: int
    n_rows: int
    n_folds: int = 1

    @property
    def member_freedom(self) -> int:
        """Degrees of freedom of what members add."""
        return self.n_folds * (self.n_members - 1)

    def parts(self, weights: np.ndarray) -> tuple[float, float]:
        """(row variance, what the members add) of the contrast with `weights` (B,)."""
        rows = float(weights @ self.rows @ weights)
        members = float(weights @ self.members @ weights)
        return rows, max(members - float(weights @ self.interaction @ weights), members - rows, 0.0)

    def deviation(self, weights: np.ndarray) -> float:
        """Square root of a contrast's estimated variance, for t statistics; over rows alone with a single member."""
        return float(np.sqrt(sum(self.parts(weights))))

    def error(self, weights: np.ndarray) -> float:
        """Standard error of a contrast over new members and new rows, for reading; NaN with a single member.

        `deviation` divided by c4 of its degrees of freedom: the root of an unbiased variance is too small on average
        (by 8 % with 4 members and no row variance), and this one is right on average.
        """
        if self.n_members < 2:
            return float("nan")
        freedom = self.freedom(weights)
        return self.deviation(weights) / float(
            np.sqrt(2 / freedom) * np.exp(gammaln((freedom + 1) / 2) - gammaln(freedom / 2))
        )

    def error_rows(self, weights: np.ndarray) -> float:
        """Standard error of a contrast over new rows, members as they are."""
        return float(np.sqrt(weights @ self.rows @ weights))

    def freedom(self, weights: np.ndarray) -> float:
        """Satterthwaite's degrees of freedom of a contrast's variance; rows alone with a single member."""
        rows, members = self.parts(weights)
        if self.n_members < 2 or rows + members == 0:
            return self.n_rows - 1.0
        return (rows + members) ** 2 / (rows**2 / (self.n_rows - 1) + members**2 / self.member_freedom)

    def half_width(self, weights: np.ndarray, level: float) -> float:
        """Half of the two-sided t interval of a contrast; over rows alone with a single member."""
        return float(student.ppf(0.5 + level / 2, self.freedom(weights))) * self.deviation(weights)

    def added_by_members(self) -> np.ndarray:
        """What members add to the row covariance, (B, B): members - interaction, made positive semi-definite."""
        values, vectors = np.linalg.eigh(self.members - self.interaction)
        return (vectors * np.maximum(values, 0.0)) @ vectors.T


def two_way(full: np.ndarray, pseudo: np.ndarray | None, folds: np.ndarray | None = None) -> TwoWay:
    """The covariances from row contributions and pseudo-values.

    Args:
        full: (B, N) row contributions of each statistic.
        pseudo: (K, B, N) pseudo-values of each member's part, K >= 2; None if there is a single member.
        folds: (N,) codes 0 .. F - 1 of the folds that rows are of, where each has its own fits and every statistic is a
            mean over rows.
    """
    b, n = full.shape
    centred = full - full.mean(axis=1, keepdims=True)
    rows = centred @ centred.T / (n * (n - 1))
    if pseudo is None:
        return TwoWay(rows, np.zeros((b, b)), np.zeros((b, b)), 1, n)
    code = np.zeros(n, np.int64) if folds is None else folds
    count, k = int(code.max()) + 1, len(pseudo)
    members, interaction = np.zeros((b, b)), np.zeros((b, b))
    for fold in range(count):
        own = pseudo[:, :, code == fold]
        share = (own.shape[2] / n) ** 2
        by_member = own.mean(axis=2)  # (K, B)
        by_member -= by_member.mean(axis=0)
        members += share * (by_member.T @ by_member) / (k * (k - 1))
        left = own - own.mean(axis=0)
        left -= by_member[:, :, None]
        flat = left.transpose(1, 0, 2).reshape(b, -1)
        interaction += share * (flat @ flat.T) / ((k - 1) * max(own.shape[2] - 1, 1) * k * own.shape[2])
    return TwoWay(rows, members, interaction, k, n, count)


def pseudo_values(full: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Jackknife pseudo-values over members. Shape: full (...,), without (K, ...) -> (K, ...)."""
    k = len(without)
    return k * full - (k - 1) * without
