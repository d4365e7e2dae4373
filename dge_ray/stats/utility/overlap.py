"""How far the law of synthetic features covers that of real ones, from a classifier that tells the two apart.

With c(x) the calibrated probability of "real" at equal shares, w = c / (1 - c) estimates the density ratio dP_X / dQ_X.
chi^2(P || Q) = E_P w - 1 = E_Q w^2 - 1; V = sqrt(1 + chi^2) with d = 1/2 is a level of domination: P(C) <= V Q(C)^d for
every set C (by Cauchy and Schwarz). The ratio is heavy-tailed: weights are clipped at its 99.5 % point on real rows.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

CLIP_AT = 0.995
LEAST_ESS = 0.01  # of the synthetic rows; below it the two laws hardly meet and no bound is worth stating


@dataclass(frozen=True)
class Overlap:
    """`chi2_real` and `chi2_synthetic`: the two forms, which agree for a well estimated ratio. `domination`: V; None
    where `support_failure`. `ess`: effective rows of the weights, `ess_share` over the synthetic rows. `largest_ratio`:
    W. `clipped`: share of synthetic rows whose weight was cut. `c2st`: the classifier's balanced accuracy on rows that
    it was not fitted on, with its 95 % interval; 0.5 is "cannot tell"."""

    chi2_real: float
    chi2_synthetic: float
    domination: float | None
    ess: float
    ess_share: float
    largest_ratio: float
    clipped: float
    c2st: float
    c2st_interval: tuple[float, float]
    support_failure: bool


def overlap(synthetic: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, Overlap]:
    """Weights of the synthetic rows with mean 1, and what the ratio says.

    Args:
        synthetic: (m,) log odds of "real", of synthetic rows.
        real: (N,) the same of held-out real rows.
    """
    ratio, ratio_real = np.exp(synthetic), np.exp(real)
    largest = float(np.quantile(ratio_real, CLIP_AT))
    weights = np.minimum(ratio, largest)
    ess = float(weights.sum() ** 2 / (weights**2).sum())
    failure = ess < LEAST_ESS * len(weights)
    chi2 = float(np.minimum(ratio_real, largest).mean()) - 1
    right = [float(np.mean(real > 0)), float(np.mean(synthetic < 0))]
    accuracy = sum(right) / 2
    variance = sum(p * (1 - p) / n for p, n in zip(right, (len(real), len(synthetic)), strict=True)) / 4
    half = float(norm.ppf(0.975) * np.sqrt(variance))
    return weights / weights.mean(), Overlap(
        chi2_real=chi2,
        chi2_synthetic=float((weights**2).mean()) - 1,
        domination=None if failure else float(np.sqrt(1 + max(chi2, 0.0))),
        ess=ess,
        ess_share=ess / len(weights),
        largest_ratio=largest,
        clipped=float(np.mean(ratio > largest)),
        c2st=accuracy,
        c2st_interval=(accuracy - half, accuracy + half),
        support_failure=failure,
    )
