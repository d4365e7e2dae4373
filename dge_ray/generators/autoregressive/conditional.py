"""Rows of an autoregressor given any of their columns: proposals in column order, weighed by what they must meet.

Columns before the first unknown one need nothing. Where a given column comes after an unknown one, rows are proposed
with the given columns held, and a proposal's weight is the probability of those columns given what was drawn before
them. A Metropolis chain over independent proposals then has the conditional law as its limit, which it nears
geometrically: where weights sum to S times the largest possible one, within exp(-S) (Mengersen & Tweedie 1996, theorem
2.1). How long a row's chain must be is judged from proposals of its own: a chain that ended as soon as its own weights
look good would favour the states that look so.

A way to meet the condition that fewer than one in a hundred proposals takes may be missed without notice.
"""

import logging
import math

import torch

from dge_ray.generators.autoregressive.sampling import UNKNOWN, Sampler

logger = logging.getLogger(__name__)

PILOT = 64  # proposals a row from which its chain's length is judged
ENOUGH = 10.0  # the S that is aimed at: exp(-10) is 5 in 100,000
TOO_FEW = 3.0  # the S under which a row is told to be unsettled
LONGEST = 4_096  # proposals a row
PROPOSALS_AT_ONCE = 1 << 16


def complete(sampler: Sampler, tokens: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Tokens (d, n) with the columns that are UNKNOWN (in all rows alike) drawn given the others."""
    unknown = [bool(column[0] == UNKNOWN) for column in tokens]
    known = [j for j, is_unknown in enumerate(unknown) if not is_unknown]
    last = known[-1] + 1 if known else 0
    if any(unknown[:last]):
        rows = tokens[:last]
        lengths = _lengths(_Chains(sampler, rows, generator).advance(PILOT))
        unsettled = 0
        for length in lengths.unique().tolist():
            alike = torch.nonzero(lengths == length).squeeze(1)
            chains = _Chains(sampler, rows[:, alike], generator)
            unsettled += int((chains.advance(length) < TOO_FEW).sum())
            rows[:, alike] = chains.state
        if unsettled:
            logger.warning(
                "%d of %d rows: the given columns are so rare together that %d proposals a row may not do",
                unsettled,
                tokens.shape[1],
                LONGEST,
            )
    sampler.fill(tokens, generator)
    return tokens


def _lengths(sums: torch.Tensor) -> torch.Tensor:
    """Proposals (n,) that rows need, powers of two, from their S (n,) after PILOT of them; twice as many to be safe."""
    needed = (2 * PILOT * ENOUGH / sums).log2().ceil().exp2()
    return needed.clamp(PILOT, LONGEST).long()


class _Chains:
    """A chain a row, each over proposals of its own. `state` (c, n): where they are."""

    def __init__(self, sampler: Sampler, conditions: torch.Tensor, generator: torch.Generator) -> None:
        self.sampler, self.conditions, self.generator = sampler, conditions, generator
        self.state = conditions.clone()
        self.weights = torch.full(
            (conditions.shape[1],), -math.inf, device=conditions.device
        )  # the log weights of `state`

    def advance(self, proposals: int) -> torch.Tensor:
        """So many steps; gives the sum of the proposals' weights over the largest of them, (n,)."""
        total, largest = self.weights.clone(), self.weights.clone()
        n = self.conditions.shape[1]
        once = max(1, min(proposals, PROPOSALS_AT_ONCE // n))
        for start in range(0, proposals, once):
            count = min(once, proposals - start)
            proposed = self.conditions.repeat_interleave(count, 1)
            weights = self.sampler.fill(proposed, self.generator).view(n, count)
            self._step(proposed.view(len(proposed), n, count), weights)
            total = torch.logaddexp(total, weights.logsumexp(1))
            largest = torch.maximum(largest, weights.amax(1))
        return (total - largest).exp()

    def _step(self, proposed: torch.Tensor, weights: torch.Tensor) -> None:
        """Metropolis' rule over proposals (c, n, count), one after the other."""
        chance = torch.rand(weights.shape, generator=self.generator, device=weights.device).log_()
        chosen = torch.full_like(weights[:, 0], -1, dtype=torch.long)
        for i in range(weights.shape[1]):
            accepted = chance[:, i] < weights[:, i] - self.weights
            self.weights = torch.where(accepted, weights[:, i], self.weights)
            chosen[accepted] = i
        moved = torch.nonzero(chosen >= 0).squeeze(1)
        self.state[:, moved] = proposed[:, moved, chosen[moved]]
