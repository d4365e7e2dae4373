"""Smoothed gradients: against the dense matrix of the formula, its eigenvalues, and each network of a stack alone."""

import numpy as np
import pytest
import torch

from dge_ray.generators.autoregressive.network import TokenNetwork
from dge_ray.generators.autoregressive.smoothing import SHARED, WIDTH, Smoother
from dge_ray.generators.private.fit import PrivateFit, noisy_step
from dge_ray.generators.private.rounds import PrivateRounds

SIZES = [6, 40, 4, 2]
RANKS = [None, torch.rand(40, generator=torch.Generator().manual_seed(0)), torch.tensor([0.5, 0.1, 0.9, torch.nan]),
    torch.tensor([0.25, 0.75])]  # fmt: skip


def made() -> tuple[TokenNetwork, Smoother]:
    net = TokenNetwork(SIZES, hidden=8, widths=[4, 4, 4, 2])
    return net, Smoother(net.shapes, RANKS, device=net.device)


def dense(rank: np.ndarray) -> np.ndarray:
    """S of the module's words; a token without a rank keeps its gradient."""
    placed = ~np.isnan(rank)
    kernel = np.exp(-((rank[placed][:, None] - rank[placed]) ** 2) / (2 * WIDTH**2))
    root = kernel.sum(1) ** -0.5
    matrix = np.eye(len(rank))
    matrix[np.ix_(placed, placed)] = SHARED * root[:, None] * kernel * root + (1 - SHARED) * np.eye(placed.sum())
    return matrix


def test_gradients_are_multiplied_by_the_matrix() -> None:
    """Eigenvectors of eigenvalues under .001 are left out: an element is off by less, times the gradient's length."""
    net, smooth = made()
    net.flat_gradient.copy_(torch.randn(len(net.flat), generator=torch.Generator().manual_seed(1)))
    for j, size in enumerate(SIZES):  # padding has no gradient
        for name in (f"{j}.C", f"{j}.c"):
            if name in net.gradients:
                net.gradients[name][..., size:] = 0.0
    before = {name: gradient.clone().numpy() for name, gradient in net.gradients.items()}
    smooth(net.flat_gradient)
    for name, gradient in net.gradients.items():
        j, kind = int(name[0]), name[2:]
        expected, rank = before[name], RANKS[j]
        if j in (1, 2) and rank is not None and kind in ("embed", "C", "c"):
            matrix = dense(rank.double().numpy())
            if kind == "embed":
                expected = matrix @ expected
            else:
                expected = expected.copy()
                expected[..., : SIZES[j]] = expected[..., : SIZES[j]] @ matrix
            np.testing.assert_allclose(gradient.numpy(), expected, atol=0.01, err_msg=name)
        else:  # no order, two tokens, or a hidden layer
            assert np.array_equal(gradient.numpy(), expected), name


@pytest.mark.parametrize("j", [1, 2])
def test_a_smoothed_gradient_is_zero_only_where_the_gradient_is(j: int) -> None:
    """The matrix, read off unit gradients, is symmetric with eigenvalues from .1 to 1."""
    net, smooth = made()
    rows = []
    for i in range(SIZES[j]):
        net.flat_gradient.zero_()
        net.gradients[f"{j}.c"][i] = 1.0
        smooth(net.flat_gradient)
        rows.append(net.gradients[f"{j}.c"][: SIZES[j]].clone())
    matrix = torch.stack(rows).double()
    torch.testing.assert_close(matrix, matrix.T, atol=1e-6, rtol=0)
    values = torch.linalg.eigvalsh(matrix)
    assert values.min() > 1 - SHARED - 1e-5 and values.max() < 1 + 1e-5


def test_several_networks_are_smoothed_as_each_alone() -> None:
    net, smooth = made()
    gradients = torch.randn(3, len(net.flat), generator=torch.Generator().manual_seed(2))
    alone = gradients.clone()
    smooth(gradients)
    for gradient in alone:
        smooth(gradient)
    assert torch.equal(gradients, alone)


def test_neighbours_learn_from_one_another() -> None:
    """Biases alone, descended a little from equal ones on rows of every second value: what lies between rises too."""
    net = TokenNetwork([30], hidden=8, widths=[4])
    smooth = Smoother(net.shapes, [torch.linspace(0, 1, 30)], device=net.device)
    tokens = torch.arange(0, 10, 2)[None].repeat(1, 20)
    for smoothed in (False, True):
        net.loss_and_gradients(tokens, None)  # type: ignore[arg-type]  # a first column has no dropout
        if smoothed:
            smooth(net.flat_gradient)
        between, far = net.gradients["0.c"][[1, 3, 5, 7]], net.gradients["0.c"][20:30]
        assert bool((between < 0).all()) == smoothed and (far > 0).all()


def test_a_private_gradient_is_smoothed_after_its_noise() -> None:
    """What is smoothed is all that a step is told of the rows: the clipped sum with its noise, over the batch."""
    way = PrivateFit(clip=1.0, noise_multiplier=2.0, sample_rate=0.5, steps=2, marginals_multiplier=1.0, key=7)
    told: list[torch.Tensor] = []
    fit = PrivateRounds(
        torch.zeros(50),
        lambda rows, step: torch.ones(50),
        way,
        n=10,
        lr=0.1,
        learned=torch.ones(50),
        smooth=lambda gradient: told.append(gradient.clone()),
    )
    for done in range(2):
        fit.run(done, 2)
        assert torch.equal(told[done], noisy_step(torch.ones(50), way, done, 10))
