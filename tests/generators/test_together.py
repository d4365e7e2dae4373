"""Members fitted as one program, against the same members fitted one by one."""

import numpy as np
import pytest
import torch
from helpers.generator_cases import mixed_schema, mixed_table, tiny_table

from dge_ray.errors import InputError
from dge_ray.generators.autoregressive.generator import Autoregressive
from dge_ray.generators.autoregressive.network import POOL_ROWS, Dropout, TokenNetwork
from dge_ray.generators.autoregressive.stacked import StackedNetwork
from dge_ray.generators.autoregressive.together import StackedFit
from dge_ray.generators.autoregressive.training import TokenFit
from dge_ray.table import infer_schema

SIZES = [3, 2, 17, 5]
SETTINGS = {"epochs": 12, "hidden": 32, "patience": 2}
SEEDS = [1, 2, 4]


def networks(count: int, sizes: list[int]) -> list[TokenNetwork]:
    made = []
    for k in range(count):
        net = TokenNetwork(sizes, hidden=8, widths=[min(4, size) for size in sizes])
        marginals = [torch.full((size,), 1 / size) for size in sizes]
        net.initialise(torch.Generator().manual_seed(k), marginals, [None] * len(sizes))
        made.append(net)
    return made


class Stack:
    """Masks of several sources, one above the other."""

    def __init__(self, sources: list[Dropout]) -> None:
        self.sources = sources

    def masks(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        first, second = zip(*(source.masks(n) for source in self.sources), strict=True)
        return torch.stack(first), torch.stack(second)


@pytest.mark.parametrize("sizes", [SIZES, [4]])
def test_losses_and_gradients_are_those_of_each_network(sizes: list[int]) -> None:
    """float32 on both sides, with products of another order: 1e-6 is some tens of roundings."""
    nets = networks(3, sizes)
    generator = torch.Generator().manual_seed(9)
    t = torch.stack([torch.stack([torch.randint(0, s, (33,), generator=generator) for s in sizes]) for _ in nets])
    masks = [[Dropout(0.3, 8, torch.Generator().manual_seed(k)) for k in range(3)] for _ in range(2)]
    stacked = StackedNetwork(nets)
    losses = stacked.loss_and_gradients(t, Stack(masks[0]))
    for k, net in enumerate(nets):
        torch.testing.assert_close(losses[k], net.loss_and_gradients(t[k], masks[1][k]), atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(stacked.flat_gradient[k], net.flat_gradient, atol=1e-6, rtol=1e-5)
        assert torch.equal(stacked.flat[k], net.flat)


@pytest.mark.parametrize("own_rows", [True, False])
def test_members_are_those_fitted_alone(own_rows: bool) -> None:
    """Weights after some hundred steps. Products are summed in another order, and AdamW turns a gradient near 0 into a
    step of the size of the rate (4e-3) either way: such weights may differ by a few rates, others by roundings. On the
    machines seen so far they are equal to the last bit. Early stopping at unlike epochs, by unlike rows."""
    table = mixed_table(1_500)
    schema, stopping = mixed_schema(table), None if own_rows else table.slice(1_350)
    rows = table if own_rows else table.slice(0, 1_350)
    told: list[tuple[int, int]] = []
    together = Autoregressive.fit_together(
        SEEDS, rows, schema, settings=SETTINGS, stopping=stopping, progress=lambda k, r: told.append((k, r["epoch"]))
    )
    lengths = set()
    for k, (seed, member) in enumerate(zip(SEEDS, together, strict=True)):
        alone = Autoregressive(**SETTINGS).fit(rows, schema, seed=seed, stopping=stopping)
        assert [r["epoch"] for r in member.history] == [r["epoch"] for r in alone.history]
        assert [epoch for j, epoch in told if j == k] == [r["epoch"] for r in alone.history]
        for name in ("train", "heldout"):
            found, expected = ([r[name] for r in g.history] for g in (member, alone))
            np.testing.assert_allclose(found, expected, rtol=1e-4)
        found, expected = (g._state()[1].network.flat for g in (member, alone))
        assert (found - expected).abs().max() < 1e-2 and (found - expected).abs().mean() < 1e-4
        assert member.sample(50, seed=0).schema == alone.sample(50, seed=0).schema
        lengths.add(len(alone.history))
    assert len(lengths) > 1 or not own_rows  # or the test would not see that stopping is each one's own


def test_each_has_its_own_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and dropout places of every epoch, as drawn alone."""
    table = tiny_table(300)
    schema, drawn = infer_schema(table), []
    plain = StackedFit.run

    def run(self: StackedFit, done: int, rounds: int) -> list[float]:
        losses = plain(self, done, rounds)
        drawn.append((self.rows.clone(), self.places.clone()))
        return losses

    monkeypatch.setattr(StackedFit, "run", run)
    settings = {**SETTINGS, "epochs": 2}
    Autoregressive.fit_together(SEEDS, table, schema, settings=settings)
    alone: list[tuple[torch.Tensor, torch.Tensor]] = []
    one = TokenFit.draw_epoch

    def draw(self: TokenFit) -> tuple[torch.Tensor, torch.Tensor]:
        alone.append(one(self))
        return alone[-1]

    monkeypatch.setattr(TokenFit, "draw_epoch", draw)
    for seed in SEEDS:
        Autoregressive(**settings).fit(table, schema, seed=seed)
    for k in range(len(SEEDS)):
        for epoch in range(2):
            rows, places = alone[2 * k + epoch]
            assert torch.equal(drawn[epoch][0][:, k], rows)
            assert torch.equal(drawn[epoch][1][..., k], places + k * POOL_ROWS)


def test_one_whose_loss_blows_up_is_fitted_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    table = tiny_table(300)
    schema, settings = infer_schema(table), {**SETTINGS, "epochs": 3}
    plain = StackedFit.run

    def run(self: StackedFit, done: int, rounds: int) -> list[float]:
        losses = plain(self, done, rounds)
        return [losses[0], float("nan") if done == 1 else losses[1]]

    monkeypatch.setattr(StackedFit, "run", run)
    first, second = Autoregressive.fit_together([1, 2], table, schema, settings=settings)
    alone = Autoregressive(**settings).fit(table, schema, seed=2)
    assert [r["train"] for r in second.history] == [r["train"] for r in alone.history]
    assert torch.equal(second._state()[1].network.flat, alone._state()[1].network.flat)
    assert len(first.history) == 3


def test_refusals() -> None:
    table = tiny_table(100)
    schema = infer_schema(table)
    with pytest.raises(InputError, match=r"^seeds: got none"):
        Autoregressive.fit_together([], table, schema, settings={})
    with pytest.raises(InputError, match=r"^generator\.budget_seconds"):
        Autoregressive.fit_together([1], table, schema, settings={"budget_seconds": 3.0})
    with pytest.raises(InputError, match="at least 10"):
        Autoregressive.fit_together([1], table.slice(0, 5), schema, settings={})


@pytest.mark.gpu
def test_on_a_gpu_too() -> None:
    """The recorded program of three members against each alone on the CPU: losses, which TF32's 10 bits and another
    order of sums move by under a hundredth."""
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    table = tiny_table(1_000)
    schema, settings = infer_schema(table), {**SETTINGS, "epochs": 3}
    members = Autoregressive.fit_together(SEEDS, table, schema, settings=settings, device="cuda")
    for seed, member in zip(SEEDS, members, strict=True):
        alone = Autoregressive(**settings).fit(table, schema, seed=seed)
        np.testing.assert_allclose(member.history[-1]["heldout"], alone.history[-1]["heldout"], rtol=1e-2)
