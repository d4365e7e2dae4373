"""Variances that have two sources: which members were fitted, and which real rows were seen.

A statistic of K members and N rows is given by its row contributions `full` (mean over rows = the statistic) and by
its jackknife pseudo-values over members, row by row: `pseudo[k] = K full - (K - 1) full_without_k`. Then
(`papers`: two-way random effects; utility.md 1.8 is the case of a mean of one-member losses)

    rows        = var over rows of full / N                        these members, new rows
    members     = var over members of the row means of pseudo / K  these rows, new members
    interaction = mean square of what is left / (K N)              in both of the above, so taken off once
    total       = rows + members - interaction, never below rows or members

All are covariance matrices over B statistics at once (volumes, say), which share members and rows.
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
        return (rows + members) ** 2 / (rows**2 / (self.n_rows - 1) + members**2 / (self.n_members - 1))

    def half_width(self, weights: np.ndarray, level: float) -> float:
        """Half of the two-sided t interval of a contrast; over rows alone with a single member."""
        return float(student.ppf(0.5 + level / 2, self.freedom(weights))) * self.deviation(weights)

    def added_by_members(self) -> np.ndarray:
        """What members add to the row covariance, (B, B): members - interaction, made positive semi-definite."""
        values, vectors = np.linalg.eigh(self.members - self.interaction)
        return (vectors * np.maximum(values, 0.0)) @ vectors.T


def two_way(full: np.ndarray, pseudo: np.ndarray | None) -> TwoWay:
    """The covariances from row contributions and pseudo-values.

    Args:
        full: (B, N) row contributions of each statistic.
        pseudo: (K, B, N) pseudo-values of each member's part, K >= 2; None if there is a single member.
    """
    b, n = full.shape
    centred = full - full.mean(axis=1, keepdims=True)
    rows = centred @ centred.T / (n * (n - 1))
    if pseudo is None:
        return TwoWay(rows, np.zeros((b, b)), np.zeros((b, b)), 1, n)
    k = len(pseudo)
    by_member = pseudo.mean(axis=2)  # (K, B)
    by_member -= by_member.mean(axis=0)
    members = by_member.T @ by_member / (k * (k - 1))
    left = pseudo - pseudo.mean(axis=0)
    left -= by_member[:, :, None]
    flat = left.transpose(1, 0, 2).reshape(b, -1)
    interaction = flat @ flat.T / ((k - 1) * (n - 1) * k * n)
    return TwoWay(rows, members, interaction, k, n)


def pseudo_values(full: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Jackknife pseudo-values over members. Shape: full (...,), without (K, ...) -> (K, ...)."""
    k = len(without)
    return k * full - (k - 1) * without
