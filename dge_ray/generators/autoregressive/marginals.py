"""Output biases corrected after a fit, so that tokens are drawn as often as the rows have them.

What likelihood and early stopping leave draws rare classes too rarely: half of it in the law given true features, half
because a column is drawn given drawn columns and not true ones. Nothing in the fit settles marginals; biases can. Rows
are drawn once, column by column, and before a column's tokens are drawn its biases are moved until its mean
probabilities over these rows are the wanted shares. Each move is a step of iterative scaling (Darroch & Ratcliff 1972),
which brings them nearer every time. (Two sweeps over rows drawn anew, with .7 of the log ratio of drawn shares, leave
twice the distance in more time.)
"""

from collections.abc import Sequence

import numpy as np
import torch

from dge_ray.generators.autoregressive.network import BLOCK_ROWS, TokenNetwork
from dge_ray.generators.autoregressive.sampling import Sampler, invert

SWEEPS = 3
MOST_ROWS = 60_000  # drawn: a share of .1 has a standard error of at most .0012 in them
ROWS_A_ROW = 20  # ... and no more than so many a fitted row, whose shares are noisier
MOST_NUMBERS = 1 << 26  # 256 MiB of one column's logits, or of embeddings where a table has very many columns
KNOWN_ROWS = 1.0  # added to a token's fitted rows and to what the law gives of them: few rows do not tell of a share


def token_shares(row: np.ndarray, size: int) -> torch.Tensor:
    """Shares (size,) of a column's tokens (n,), with a tenth of a row more for each so that none is impossible."""
    counts = np.bincount(row, minlength=size) + 0.1
    return torch.from_numpy(counts / counts.sum()).float()


def settle_marginals(
    network: TokenNetwork, shares: Sequence[torch.Tensor], fitted: int, generator: torch.Generator
) -> None:
    """Move the output biases until columns are drawn at `shares` (size,), which so many fitted rows had. `generator`
    lives on the network's device."""
    sampler = Sampler(network)
    width = max(*network.sizes, network.starts[-2] if sampler.tables is None else 0)
    rows = min(MOST_ROWS, ROWS_A_ROW * fitted, MOST_NUMBERS // width)
    drawn = torch.zeros(len(network.sizes), rows, dtype=torch.int32, device=network.device)
    inputs = sampler.inputs(drawn, 0)
    for j, share in enumerate(shares):
        bias, uniform = network.weights[f"{j}.c"], torch.rand(rows, generator=generator, device=network.device)
        wanted = share.to(network.device).double() * fitted + KNOWN_ROWS
        logits = bias[None] if j == 0 else torch.cat([sampler.logits(j, part) for part in inputs.split(BLOCK_ROWS)])
        for _ in range(SWEEPS):
            mean = torch.zeros(len(share), dtype=torch.float64, device=network.device)
            for block in logits.split(BLOCK_ROWS):
                mean += torch.softmax(block, 1)[:, : len(share)].sum(0, dtype=torch.float64)
            change = (wanted / (mean / len(logits) * fitted + KNOWN_ROWS)).log().float()
            bias[: len(share)] += change
            if j > 0:  # of column 0 they are the biases themselves
                logits[:, : len(share)] += change
        parts = zip(logits.expand(rows, -1).split(BLOCK_ROWS), uniform.split(BLOCK_ROWS), strict=True)
        tokens = [invert(torch.softmax(block, 1)[:, : len(share)], at) for block, at in parts]
        drawn[j] = torch.cat(tokens)
        sampler.put(inputs, j, drawn[j])
