"""Weights of families of members by their loss: stacking over families, non-negative and summing to one.

Within a family every member counts the same. Weights are fitted where K and m are chosen, on validation rows; what they
gain over an ensemble of equals is read on rows that they were not fitted on: by folds of the validation rows, and on
test rows. Source: Wolpert 1992, stacked generalization; Breiman 1996, stacked regressions, for the constraint.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.stats import t as student

from dge_ray.stats.metrics.by_row import CLIP, log_loss, squared_error

FOLDS = 10
MIN_MEMBERS = 2  # of a family: fewer have no spread of their own
TOLERANCE = 1e-6  # nats above the least log loss possible
MOST_STEPS = 5_000


@dataclass(frozen=True)
class Gain:
    """Loss of equals less the stacked one's, a mean over rows: positive is better. `over_members`: whether the standard
    error has the members' spread too; without two members in each family it is of rows alone."""

    value: float
    se: float
    lower: float
    upper: float
    over_members: bool


def family_means(members: np.ndarray, families: Sequence[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The families in the order of their first members, their mean predictions, and their shares of the members.

    Shape: (K, rows, classes), K names -> F names, (F, rows, classes) float64, (F,).
    """
    names = list(dict.fromkeys(families))
    at = np.array([names.index(name) for name in families])
    means = np.stack([members[at == f].mean(axis=0, dtype=np.float64) for f in range(len(names))])
    return names, means, np.bincount(at) / len(at)


def stacked_weights(means: np.ndarray, truth: np.ndarray, start: np.ndarray, *, task: str) -> np.ndarray:
    """The weights (F,) of least log loss, or of least squared error in regression. They are never worse than `start`.

    Both problems are convex. The log loss is minimised by expectation maximisation of a mixture with fixed parts, from
    `start` (F,), which must be positive, until its duality gap is under 1e-6; the squared error exactly, as
    non-negative least squares.

    Shape: `means` (F, rows, classes), `truth` (rows,) codes or values.
    """
    if task == "regression":
        residuals = means[:, :, 0].T - truth[:, None]  # (rows, F)
        scale = np.sqrt((residuals**2).mean()) or 1.0
        # Over w = s v, v of sum 1: s^2 |R v|^2 + (s - 1)^2 is least at the v of least |R v|, whatever s.
        wide = np.vstack([residuals / (scale * np.sqrt(len(truth))), np.ones(means.shape[0])])
        found, _ = nnls(wide, np.append(np.zeros(len(truth)), 1.0))
        weights = found / found.sum() if found.sum() else start
        better = ((residuals @ weights) ** 2).mean() <= ((residuals @ start) ** 2).mean()
        return weights if better else start
    likely = np.maximum(means[:, np.arange(len(truth)), truth.astype(np.int64)], CLIP)  # (F, rows)
    weights = np.asarray(start, dtype=np.float64)
    for _ in range(MOST_STEPS):
        ratios = (likely / (weights @ likely)).mean(axis=1)  # at the optimum 1 where there is weight, and nowhere more
        if ratios.max() - 1 < TOLERANCE:
            break
        weights = weights * ratios
    return weights / weights.sum()


def combined(means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of the families. Shape: (F, rows, classes), (F,) -> (rows, classes)."""
    return np.tensordot(weights, means, axes=1)


def stacking_losses(
    means: np.ndarray, truth: np.ndarray, shares: np.ndarray, weights: np.ndarray, *, task: str
) -> np.ndarray:
    """Loss of equals less that of the weighted families, row by row (rows,): log loss or squared error."""
    loss = squared_error if task == "regression" else log_loss
    return loss(combined(means, shares), truth) - loss(combined(means, weights), truth)


def crossfit_gain(
    members: np.ndarray, families: Sequence[str], truth: np.ndarray, *, task: str, order: np.ndarray
) -> Gain:
    """The gain on the rows that the weights are fitted on, by ten folds of them: each fold's weights are the others'.

    `order`: a permutation of the rows, which are cut into folds in it. Shape: (K, rows, classes), K names, (rows,).
    """
    return _gain(members, families, lambda m, f: _crossfit(m, f, truth, task, order))


def gain_elsewhere(
    fitted_on: np.ndarray,
    members: np.ndarray,
    families: Sequence[str],
    truths: tuple[np.ndarray, np.ndarray],
    *,
    task: str,
) -> Gain:
    """The gain on other rows than the weights are fitted on.

    Args:
        fitted_on: the members' predictions of the rows that the weights are fitted on.
        members: their predictions of the rows that are judged.
        families: of each member.
        truths: of both, in this order.

    Shape: (K, rows, classes) and (K, other rows, classes).
    """

    def gains(kept: np.ndarray, names: Sequence[str]) -> np.ndarray:
        _, means, shares = family_means(fitted_on[kept], names)
        weights = stacked_weights(means, truths[0], shares, task=task)
        return stacking_losses(family_means(members[kept], names)[1], truths[1], shares, weights, task=task)

    return _gain(np.arange(len(members)), families, gains)


def _crossfit(
    members: np.ndarray, families: Sequence[str], truth: np.ndarray, task: str, order: np.ndarray
) -> np.ndarray:
    _, means, shares = family_means(members, families)
    gains = np.empty(len(truth))
    for fold in np.array_split(order, min(FOLDS, len(order))):
        others = np.setdiff1d(order, fold)
        weights = stacked_weights(means[:, others], truth[others], shares, task=task)
        gains[fold] = stacking_losses(means[:, fold], truth[fold], shares, weights, task=task)
    return gains


def _gain(
    members: np.ndarray, families: Sequence[str], gains: Callable[[np.ndarray, Sequence[str]], np.ndarray]
) -> Gain:
    """`gains(members, families)`, (rows,), of all members, with the variance over rows and, by a jackknife over members
    within families that refits the weights, over members."""
    rows = gains(members, families)
    variance, freedom = rows.var(ddof=1) / len(rows), len(rows) - 1
    names = np.array(families)
    kinds, counts = np.unique(names, return_counts=True)
    over_members = bool(counts.min() >= MIN_MEMBERS)
    if over_members:
        for kind, count in zip(kinds, counts, strict=True):
            kept = [np.delete(np.arange(len(names)), k) for k in np.flatnonzero(names == kind)]
            left = np.array([gains(members[some], names[some].tolist()).mean() for some in kept])
            variance += (count - 1) / count * ((left - left.mean()) ** 2).sum()
        freedom = min(freedom, len(names) - len(kinds))
    value, se = float(rows.mean()), float(np.sqrt(variance))
    half = float(student.ppf(0.975, freedom)) * se
    return Gain(value, se, value - half, value + half, over_members)
