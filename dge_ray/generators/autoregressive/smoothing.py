"""Gradients of ordered tokens' weights, smoothed over the tokens' ranks: what a row says of a value, it says of others
near it.

A column's output weights and biases and its embedding have a row a token, and each is otherwise learnt from that
token's rows alone: some twenty in a table of some hundreds. Their gradients are multiplied by

    S = .9 D^-1/2 K D^-1/2 + .1 I,   K[i, j] = exp(-(rank i - rank j)^2 / 2 width^2),   D its row sums,

which is positive definite (its eigenvalues lie between .1 and 1): the way is another one, and it still leads down; a
smoothed gradient is 0 where the gradient is, so the optimum stays where it was. K is smooth, so a dozen eigenvectors
have all of it, and a step costs two thin products a column.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch

WIDTH = 0.15  # of the Gaussian, in ranks from 0 to 1
SHARED = 0.9  # of a gradient; the rest stays the token's own
LEAST_EIGENVALUE = 1e-3
LEAST_TOKENS = 3  # with a rank; of two, each is far from the other


class Smoother:
    """The map for networks of these `shapes` (network.py). `ranks`: each column's tokens' places (size,) in [0, 1], nan
    for a token without one, whose gradient stays as it is; None for a column without an order."""

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], ranks: Sequence[torch.Tensor | None], *, device: torch.device
    ) -> None:
        self.parts: list[tuple[slice, tuple[int, ...], bool, torch.Tensor]] = []
        self._gradient: torch.Tensor | None = None
        self._views: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, bool]] = []
        ends = torch.tensor([math.prod(shape) for shape in shapes.values()]).cumsum(0).tolist()
        for (name, shape), end in zip(shapes.items(), ends, strict=True):
            column, _, kind = name.partition(".")
            rank = ranks[int(column)]
            if kind not in ("C", "c", "embed") or rank is None or int((~rank.isnan()).sum()) < LEAST_TOKENS:
                continue
            by_rows = kind == "embed"  # its tokens are rows; those of the outputs are columns
            factor = _factor(rank, shape[0] if by_rows else shape[-1]).to(device)
            self.parts.append((slice(end - math.prod(shape), end), (1, *shape)[-2:], by_rows, factor))

    def __call__(self, gradient: torch.Tensor) -> None:
        """Smooth a network's gradient (p,), or those of several (k, p), in place."""
        if gradient is not self._gradient:
            self._gradient, self._views = gradient, list(self._seen(gradient))
        for some, across, back, by_rows in self._views:
            if by_rows:
                some.baddbmm_(across, torch.bmm(back, some), beta=1 - SHARED)
            else:
                some.baddbmm_(torch.bmm(some, across), back, beta=1 - SHARED)

    def _seen(self, gradient: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, bool]]:
        """The parts as views of a gradient, each with its factor and the factor's transpose. A fit has one gradient:
        to make its views anew in each step took a fifth of a fit on few rows."""
        for at, shape, by_rows, factor in self.parts:
            part = gradient.view(-1, gradient.shape[-1])[:, at].unflatten(1, shape)
            # A batched product on the CPU rounds otherwise than a network's own, and launches cost nothing there.
            for some in part.split(len(part) if part.is_cuda else 1):
                across = factor.expand(len(some), -1, -1)
                yield some, across, across.mT, by_rows


def _factor(rank: torch.Tensor, size: int) -> torch.Tensor:
    """F (size, r) with F F' = S - .1 I; `size` is at least the tokens', whose padding has no gradient."""
    placed = torch.nonzero(~rank.isnan()).squeeze(1)
    place = rank[placed].double()
    kernel = torch.exp(-((place[:, None] - place) ** 2) / (2 * WIDTH**2))
    scale = kernel.sum(1).rsqrt()
    values, vectors = torch.linalg.eigh(scale[:, None] * kernel * scale)
    kept = values > LEAST_EIGENVALUE
    loose = torch.nonzero(rank.isnan()).squeeze(1)
    factor = torch.zeros(size, int(kept.sum()) + len(loose), dtype=torch.float64)
    factor[placed, : int(kept.sum())] = vectors[:, kept] * values[kept].sqrt()
    factor[loose, torch.arange(len(loose)) + int(kept.sum())] = 1.0
    return (factor * SHARED**0.5).float()
