"""Rows' gradients, each cut to a norm, and their sum: what one row can add to a step of a private fit is bounded.

A linear layer with inputs a_i and gradients g_i at its outputs has the gradient g_i a_i' of row i, and g_i of its bias.
So a row's norm is known from the layers' inputs and outputs alone, and the sum of cut gradients is one product a layer:
one pass back, and no row's gradient is ever held (Goodfellow 2015, arXiv:1510.01799).
"""

from collections.abc import Sequence

import torch
from torch.linalg import vecdot

from dge_ray.generators.diffusion.denoiser import Seen
from dge_ray.generators.private.rounds import clip_factors

SLACK = 1e-5  # of the squared norm: what rounding may have taken from it


def add_clipped(
    into: Sequence[torch.Tensor], seen: Sequence[Seen], loss: torch.Tensor, clip: float, *, draws: int = 1
) -> None:
    """Add the sum of the rows' gradients, each scaled down to the norm `clip` where it is longer.

    Args:
        into: the gradients' parts by layer, a matrix (out, in) and a bias (out,) in turn, float32.
        seen: what each linear layer saw of n * `draws` rows: a row's draws stand together.
        loss: a sum of losses, one a row of `seen`. A row's loss is the mean of its draws', and its gradient is cut once
            as a whole: draws cost no privacy.

    A row whose gradient is no number, or beyond float32, adds nothing.
    """
    gradients = torch.autograd.grad(loss / draws, [layer.outputs for layer in seen])
    # In float32 whatever the network computed in: these very numbers are multiplied below, so that their norms bound
    # what is added. (Sums of bfloat16 products would be rounded by more than a row's share of them.)
    pairs = [(g.float(), layer.inputs.float()) for g, layer in zip(gradients, seen, strict=True)]
    scale = clip_factors(_square_norms(pairs, draws), clip).repeat_interleave(draws)[:, None]
    for (g, a), matrix, bias in zip(pairs, into[::2], into[1::2], strict=True):
        cut = torch.where(scale > 0, scale * g, 0.0)  # 0 times infinity is no number
        matrix.addmm_(cut.T, torch.where(scale > 0, a, 0.0))
        bias += cut.sum(0)


def _square_norms(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]], draws: int) -> torch.Tensor:
    """Squared norms (n,) of rows' gradients, no smaller than they are for all that sums were rounded."""
    square = torch.zeros(len(pairs[0][0]) // draws, device=pairs[0][0].device)
    for g, a in pairs:
        if draws == 1:
            square += vecdot(g, g) * (vecdot(a, a) + 1) * (1 + SLACK)
            continue
        g, a = g.unflatten(0, (-1, draws)), a.unflatten(0, (-1, draws))
        products = (g @ g.mT) * (a @ a.mT + 1)  # of the draws' gradients, (n, draws, draws)
        # Where draws cancel, rounding is of the size of the draws' own gradients, not of their sum's.
        square += products.sum((1, 2)) + SLACK * draws * products.diagonal(dim1=1, dim2=2).sum(1)
    return square
