"""Losses of a network's scores, row by row: the log loss, and the beta divergence, which lets odd rows count for less.

The beta-divergence loss of a model f at an observation z is (the density power divergence's; general Bayesian updating
takes it in place of the log-likelihood, for robustness)

    l(z) = INT f(y)^(beta+1) dy / (beta+1)  -  f(z)^beta / beta

and as beta -> 0, l + 1/beta - 1 -> -log f(z): so much is added here, and the loss is the log loss at 0. A row's
gradient is weighted by f(z)^beta: rows that the model finds impossible, as a generator's faults are, nearly vanish.
Classes: f is the softmax, the integral a sum. Regression: f is normal around the score with standard deviation s, for
which INT f^(beta+1) = (2 pi s^2)^(-beta/2) (1+beta)^(-1/2); s is one number for all rows, learned with the network.

It withstands what its law has no room for, such as targets far off. The divergence is proper: of wrong labels, which a
classifier's law has room for, it fits the share that there is, as the log loss does.
"""

import math

import torch
from torch.nn.functional import cross_entropy, log_softmax, mse_loss

SMALLEST_LOG_SCALE = -5.0  # of s: a model that fits a row exactly would shrink it without end


def log_losses(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of class codes, or the squared error of float targets. Shape: (n, C), (n,) -> (n,)."""
    if target.is_floating_point():
        return mse_loss(scores[:, 0], target, reduction="none")
    return cross_entropy(scores, target, reduction="none")


def beta_losses(scores: torch.Tensor, target: torch.Tensor, log_scale: torch.Tensor, beta: float) -> torch.Tensor:
    """The beta-divergence loss, plus 1/beta - 1. Shape: scores (n, C), target (n,), log_scale (1,) -> (n,).

    `log_scale`: log of s; classes have no use for it. `beta`: above 0, or 0 for the log loss (of the normal law with
    its s, in regression).
    """
    if target.is_floating_point():
        log_scale = log_scale.clamp_min(SMALLEST_LOG_SCALE)
        log_f = -0.5 * ((target - scores[:, 0]) * (-log_scale).exp()).square() - log_scale - 0.5 * math.log(2 * math.pi)
        log_integral = -beta * (log_scale + 0.5 * math.log(2 * math.pi)) - 0.5 * math.log1p(beta)
    else:
        log_p = log_softmax(scores, dim=1)
        log_f = log_p.gather(1, target[:, None])[:, 0]
        log_integral = torch.logsumexp((1 + beta) * log_p, dim=1)
    if beta == 0:
        return -log_f
    # exp(log_integral) / (1 + beta) - 1, exact where beta is small: both parts vanish with it
    first = torch.expm1(log_integral - math.log1p(beta))
    return first - torch.expm1(beta * log_f) / beta
