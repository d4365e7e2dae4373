"""The network: gradients against autograd, normalisation by brute force, the sampler against its own log_prob."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from dge_ray.generators.autoregressive import conditional, sampling
from dge_ray.generators.autoregressive.conditional import complete
from dge_ray.generators.autoregressive.marginals import settle_marginals
from dge_ray.generators.autoregressive.network import LANES, Dropout, TokenNetwork
from dge_ray.generators.autoregressive.sampling import UNKNOWN, Sampler
from dge_ray.generators.fitting.schedule import batch_size_for, epochs_for, one_cycle

SIZES = [3, 2, 17, 5]


def network(sizes: list[int] = SIZES, scale: float = 1.0) -> TokenNetwork:
    net = TokenNetwork(sizes, hidden=8, widths=[min(4, size) for size in sizes])
    generator = torch.Generator().manual_seed(0)
    marginals = [torch.full((size,), 1 / size) for size in sizes]
    ranks = [None, *(torch.linspace(0, 1, size) for size in sizes[1:])]
    net.initialise(generator, marginals, ranks)
    for name, weight in net.weights.items():
        if name.endswith("C"):  # far from independence, so that tests see the dependence
            weight[:, : net.sizes[int(name[0])]] += scale * torch.randn(
                weight.shape[0], net.sizes[int(name[0])], generator=generator
            )
    return net


def tokens(n: int, sizes: list[int] = SIZES) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.stack([torch.randint(0, size, (n,), generator=generator) for size in sizes])


def reference_loss(net: TokenNetwork, t: torch.Tensor, dropout: Dropout, w: dict[str, torch.Tensor]) -> torch.Tensor:
    """The docstring's formulas, in autograd's hands."""
    x = torch.cat([w[f"{j}.embed"][t[j]] for j in range(len(t) - 1)], 1)
    loss = torch.zeros(())
    for j in range(len(t)):
        logits = w["0.c"].expand(t.shape[1], -1)
        if j > 0:
            first, second = dropout.masks(t.shape[1])
            h1 = (x[:, : net.starts[j]] @ w[f"{j}.A"] + w[f"{j}.a"]).relu() * first
            h2 = (h1 + (h1 @ w[f"{j}.B"] + w[f"{j}.b"]).relu()) * second
            logits = h2 @ w[f"{j}.C"] + w[f"{j}.c"]
        loss = loss + functional.cross_entropy(logits[:, : net.sizes[j]], t[j])
    return loss


@pytest.mark.parametrize("p", [0.0, 0.4])
def test_gradients_are_autograds(p: float) -> None:
    """float32 on both sides: 1e-6 is some tens of rounding errors of gradients of order one."""
    net, t = network(), tokens(33)
    loss = net.loss_and_gradients(t, Dropout(p, 8, torch.Generator().manual_seed(2)))
    w = {name: weight.detach().clone().requires_grad_() for name, weight in net.weights.items()}
    expected = reference_loss(net, t, Dropout(p, 8, torch.Generator().manual_seed(2)), w)
    expected.backward()
    assert math.isclose(loss, float(expected.detach()), rel_tol=1e-5)
    for name, gradient in net.gradients.items():
        torch.testing.assert_close(gradient, w[name].grad, atol=1e-6, rtol=1e-5)


def test_padding_has_no_probability_and_no_gradient() -> None:
    net = network()
    net.loss_and_gradients(tokens(50), Dropout(0.0, 8, torch.Generator().manual_seed(0)))
    for j, size in enumerate(SIZES):
        assert net.weights[f"{j}.c"].shape[0] % LANES == 0
        assert (net.gradients[f"{j}.c"][size:] == 0).all()
        if j:
            assert (net.gradients[f"{j}.C"][:, size:] == 0).all()


def test_probabilities_sum_to_one_over_all_cells() -> None:
    """3 x 2 x 17 x 5 = 510 cells; float32 logits leave an error of about 1e-7 a cell's share."""
    cells = torch.tensor(list(itertools.product(*map(range, SIZES)))).t()
    assert abs(float(network().log_prob(cells).exp().sum()) - 1) < 1e-5


def test_log_prob_is_the_loss_without_dropout() -> None:
    net, t = network(), tokens(5_000)
    loss = net.loss_and_gradients(t, Dropout(0.0, 8, torch.Generator().manual_seed(0)))
    assert math.isclose(loss, -float(net.log_prob(t).mean()), rel_tol=1e-5)


def test_a_column_sees_only_the_columns_before_it() -> None:
    net, t = network(), tokens(1)
    for j in range(len(SIZES)):
        other = t.clone()
        other[j:] = (t[j:] + 1) % torch.tensor(SIZES[j:])[:, None]
        x, y = net.embed(t), net.embed(other)
        torch.testing.assert_close(net.logits(j, x), net.logits(j, y), atol=0, rtol=0)


@pytest.mark.parametrize("tables", [True, False])
def test_sampled_frequencies_are_the_probabilities(tables: bool) -> None:
    """Pearson's chi-square over all 510 cells of 200,000 draws: expected 509, sd 32; 509 + 5 sd = 669 bounds it, for
    both ways of computing the first layer."""
    net, n = network(scale=0.5), 200_000
    sampler = Sampler(net)
    if not tables:
        sampler.tables = None
    drawn = sampler.draw(n, torch.Generator().manual_seed(0))
    cells = torch.tensor(list(itertools.product(*map(range, SIZES)))).t()
    expected = n * net.log_prob(cells).exp().numpy()
    flat = np.ravel_multi_index(list(drawn.long().numpy()), SIZES)
    observed = np.bincount(flat, minlength=len(expected))
    assert ((observed - expected) ** 2 / expected).sum() < 669


def test_both_first_layers_give_the_same_logits() -> None:
    net, t = network(), tokens(40)
    sampler = Sampler(net)
    inputs = torch.stack([t[j] + sampler.offsets[j] for j in range(len(SIZES))], 1)
    for j in range(1, len(SIZES)):
        torch.testing.assert_close(sampler.logits(j, inputs), net.logits(j, net.embed(t)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("given", [{0: 2, 1: 1}, {1: 1}, {3: 4}, {0: 1, 2: 9}, {1: 0, 2: 3, 3: 2}])
def test_rows_follow_the_conditional_law_of_any_given_columns(given: dict[int, int]) -> None:
    """Chi-square over the cells that are left, c of them: expected c - 1, sd sqrt(2 (c - 1)); 5 sd above bounds it.

    20,000 rows, against cells' exact probabilities; cells expected in under 5 rows are counted as one.
    """
    net, n = network(scale=1.5), 20_000
    asked = torch.full((len(SIZES), n), UNKNOWN, dtype=torch.int32)
    for column, token in given.items():
        asked[column] = token
    drawn = complete(Sampler(net), asked.clone(), torch.Generator().manual_seed(0))
    assert all((drawn[column] == token).all() for column, token in given.items())
    ranges = [[given[j]] if j in given else range(size) for j, size in enumerate(SIZES)]
    cells = torch.tensor(list(itertools.product(*ranges))).t()
    p = net.log_prob(cells).exp().numpy()
    expected = n * p / p.sum()
    index = np.ravel_multi_index(list(cells.numpy()), SIZES)
    observed = np.bincount(np.ravel_multi_index(list(drawn.long().numpy()), SIZES), minlength=np.prod(SIZES))[index]
    rare = expected < 5
    expected = np.append(expected[~rare], expected[rare].sum() + 1e-9)
    observed = np.append(observed[~rare], observed[rare].sum())
    degrees = len(expected) - 1
    assert ((observed - expected) ** 2 / expected).sum() < degrees + 5 * (2 * degrees) ** 0.5


def test_conditions_that_are_hardly_ever_met_are_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The given second token has next to no chance but after one first token in twenty: a row that is allowed 16
    proposals sees that one 0 to 2 times."""
    monkeypatch.setattr(conditional, "LONGEST", 16)
    monkeypatch.setattr(conditional, "PILOT", 16)
    net = network()
    for name in ("1.A", "1.a", "1.B", "1.b", "1.C", "0.embed"):
        net.weights[name].zero_()
    net.weights["0.c"][: SIZES[0]] = torch.tensor([math.log(20), 0.0, -50.0])
    net.weights["0.embed"][1] = 1.0
    net.weights["1.A"][0], net.weights["1.C"][:, 1] = 10.0, 1.0
    net.weights["1.c"][: SIZES[1]] = torch.tensor([0.0, -30.0])
    asked = torch.full((len(SIZES), 200), UNKNOWN, dtype=torch.int32)
    asked[1] = 1
    complete(Sampler(net), asked, torch.Generator().manual_seed(0))
    assert "of 200 rows: the given columns are so rare together" in caplog.text


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    """Share of zeros of 64k x 8 draws: sd .0005, so 5 sd are .003."""
    dropout = Dropout(0.3, 8, torch.Generator().manual_seed(0))
    assert abs(float((dropout.pool == 0).float().mean()) - 0.3) < 0.003
    first, second = dropout.masks(100)
    assert first.shape == (100, 8) and not torch.equal(first, second)
    assert sorted(first.unique().tolist()) == pytest.approx([0.0, 1 / 0.7])


def test_one_cycle_is_torchs() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=101, pct_start=0.3, final_div_factor=1e9)
    for step in range(100):
        # torch counts to the last step and turns one step before 30 %; a step is 1/30 of the rise
        assert abs(optimizer.param_groups[0]["lr"] - one_cycle(step, 100, 0.3)) < 0.06
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("rows", [10, 300, 4_000, 30_000, 1_000_000])
def test_the_plan_has_enough_steps_at_every_size(rows: int) -> None:
    batch = batch_size_for(rows)
    assert 32 <= batch <= 512
    epochs = epochs_for(rows, min(batch, rows))
    assert epochs >= 12 and epochs * max(1, rows // batch) >= 0.9 * 900


@pytest.mark.parametrize("table_bytes", [sampling.TABLE_BYTES, 0])
def test_settled_biases_draw_the_wanted_shares(table_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network far from independence, and shares that are far from its own, rare ones among them, for both ways of
    computing the first layer. 60,000 rows settle and 200,000 are drawn: 5 standard errors of both, and .002 for what
    three steps leave."""
    monkeypatch.setattr(sampling, "TABLE_BYTES", table_bytes)
    net, n = network(), 200_000
    wanted = [torch.arange(1, size + 1) ** 2.0 for size in SIZES]
    wanted = [share / share.sum() for share in wanted]
    before, others = net.flat.clone(), {name: net.weights[name].clone() for name in net.weights if name[2:] != "c"}
    settle_marginals(net, wanted, 1_000_000, torch.Generator().manual_seed(0))
    assert all(torch.equal(net.weights[name], weight) for name, weight in others.items())
    drawn = Sampler(net).draw(n, torch.Generator().manual_seed(1))
    for j, share in enumerate(wanted):
        found = torch.bincount(drawn[j], minlength=len(share)) / n
        assert ((found - share).abs() < 0.002 + 5 * (share * (1 / 60_000 + 1 / n)).sqrt()).all(), j
    settled = net.flat.clone()
    net.flat.copy_(before)
    settle_marginals(net, wanted, 1_000_000, torch.Generator().manual_seed(0))
    assert torch.equal(net.flat, settled)
