"""Steps without reading back, and recorded steps: against the plain loop, bit for bit; a CPU twin of the recording."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.generator_cases import tiny_table
from torch.utils._python_dispatch import TorchDispatchMode

from dge_ray.generators.autoregressive.network import POOL_ROWS, Dropout, TokenNetwork, Windows
from dge_ray.generators.autoregressive.smoothing import Smoother
from dge_ray.generators.autoregressive.together import StackedFit
from dge_ray.generators.autoregressive.training import MASKS, ORDER, TokenFit
from dge_ray.generators.diffusion.ddpm import Ddpm
from dge_ray.generators.diffusion.edm import Edm
from dge_ray.generators.diffusion.training import DenoisingFit
from dge_ray.generators.fitting.descent import Descent
from dge_ray.generators.fitting.neural import stream
from dge_ray.generators.fitting.replay import WARM_UPS, Replay
from dge_ray.generators.fitting.schedule import WARMUP, one_cycle
from dge_ray.generators.registry import make_generator
from dge_ray.table import infer_schema

SIZES = [3, 2, 17, 5]
CPU = torch.device("cpu")


def network(device: str = "cpu") -> TokenNetwork:
    net = TokenNetwork(SIZES, hidden=8, widths=[min(4, size) for size in SIZES], device=device)
    marginals = [torch.full((size,), 1 / size) for size in SIZES]
    net.initialise(torch.Generator().manual_seed(0), marginals, [None] * len(SIZES))
    return net


def tokens(n: int = 300) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    first = torch.randint(0, 3, (n,), generator=generator)
    rest = [(first * 7 + torch.randint(0, 2, (n,), generator=generator)) % size for size in SIZES[1:]]
    return torch.stack([first, *rest]).int()


def token_fit(net: TokenNetwork, t: torch.Tensor, **options: object) -> TokenFit:
    settings = {"batch_size": 64, "lr": 4e-3, "dropout": 0.2, "weight_decay": 1e-3, "seed": 5, **options}
    return TokenFit(net, t, None, **settings)  # type: ignore[arg-type]


def test_an_epoch_is_the_plain_loop_bit_for_bit() -> None:
    """The loop as one would write it: a batch, a number for its loss, a rate, a step, the average."""
    net, t, epochs = network(), tokens(), 3
    fit = token_fit(net, t)
    losses = [fit.run(done, epochs) for done in range(epochs)]
    plain = network()
    dropout, order = Dropout(0.2, 8, stream(5, MASKS)), stream(5, ORDER)
    plain.flat.grad = plain.flat_gradient
    optimizer = torch.optim.AdamW([plain.flat], lr=1.0, weight_decay=1e-3, fused=True)
    average, step, steps, expected = plain.flat.clone(), 0, t.shape[1] // 64, []
    for _ in range(epochs):
        rows, nats = torch.randperm(t.shape[1], generator=order), 0.0
        for k in range(steps):
            optimizer.param_groups[0]["lr"] = 4e-3 * one_cycle(step, epochs * steps, WARMUP)
            nats += float(plain.loss_and_gradients(t[:, rows[k * 64 : (k + 1) * 64]].long(), dropout))
            optimizer.step()
            step += 1
            average.lerp_(plain.flat, max(1 / step, 1 / steps))
        expected.append(nats / steps)
    assert losses == expected
    assert torch.equal(net.flat, plain.flat) and torch.equal(fit.descent.average, average)


def test_descent_is_adamw_and_an_average() -> None:
    """Loshchilov & Hutter 2019, algorithm 2, in float64; the step itself is in float32: 1e-6 is some of its roundings
    of weights of order one. Held weights stay."""
    goal, held = torch.tensor([1.0, -2.0, 0.5, 3.0]), torch.tensor([7.0])
    flat, gradient = torch.tensor([0.1, 0.2, 0.3, 7.0]), torch.zeros(4)
    rates, shares = [0.1, 0.05, 0.02], [1.0, 0.5, 0.5]

    def lose(at: torch.Tensor) -> torch.Tensor:
        gradient.copy_(flat - goal)
        return ((flat - goal) ** 2).sum() / 2

    w, average, m, v = flat.double().numpy(), np.zeros(4), np.zeros(4), np.zeros(4)
    total = 0.0
    for k, (rate, share) in enumerate(zip(rates, shares, strict=True), start=1):
        g = w - goal.double().numpy()
        total += (g**2).sum() / 2
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w * (1 - rate * 0.01) - rate * (m / (1 - 0.9**k)) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
        w[3] = 7.0
        average = average + share * (w - average)
    descent = Descent(flat, gradient, lose, steps=3, weight_decay=0.01, held=[(flat[3:], held)])
    descent.plan(rates, shares)
    for _ in rates:
        descent.step()
    np.testing.assert_allclose(flat.numpy(), w, rtol=1e-6)
    np.testing.assert_allclose(descent.average.numpy(), average, rtol=1e-6)
    np.testing.assert_allclose(float(descent.mean_losses()), total / 3, rtol=1e-6)


def test_gathered_windows_are_the_slices() -> None:
    """What a GPU gathers, of one member and of three, against the views that the CPU takes."""
    n, pools = 50, [Dropout(0.3, 8, torch.Generator().manual_seed(k)) for k in range(3)]
    places = [pool.places(1, 4, n)[0] for pool in pools]
    stacked = torch.stack([place + k * POOL_ROWS for k, place in enumerate(places)], -1)
    gathered = Windows(torch.cat([pool.pool for pool in pools]), stacked, n)
    slices = [Windows(pool.pool, place, n) for pool, place in zip(pools, places, strict=True)]
    for _ in range(4):
        for found, expected in zip(gathered.masks(n), zip(*(s.masks(n) for s in slices), strict=True), strict=True):
            assert torch.equal(found, torch.stack(expected))


def test_windows_of_an_epoch_are_those_drawn_one_by_one() -> None:
    whole, single = (Dropout(0.3, 8, torch.Generator().manual_seed(0)) for _ in range(2))
    windows = [Windows(whole.pool, places, 64) for places in whole.places(5, 3, 64)]
    for window in windows:
        for _ in range(3):
            assert all(map(torch.equal, window.masks(64), single.masks(64)))
    assert torch.equal(whole.generator.get_state(), single.generator.get_state())


class Twin:
    """A recording on the CPU: replayed by calling the step."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay.step


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch) -> list[Replay]:
    """Records steps on the CPU as on a GPU, warm-ups and all; gives what was recorded."""
    recorded: list[Replay] = []
    plain = Replay.__init__

    def init(self: Replay, step: Callable, state: Callable, device: torch.device) -> None:
        plain(self, step, state, device)
        self.recordable = True

    def record(self: Replay) -> Twin:
        self._warm_up()
        recorded.append(self)
        return Twin(self)

    monkeypatch.setattr(Replay, "__init__", init)
    monkeypatch.setattr(Replay, "_record", record)
    return recorded


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("autoregressive", {"epochs": 3, "hidden": 16}),
        ("diffusion", {"steps": 80, "width": 32, "layers": 1}),
        ("diffusion", {"formulation": "tabddpm", "steps": 80, "width": 32, "layers": 2}),
    ],
)
def test_a_recorded_fit_is_the_fit(name: str, settings: dict, twin: list[Replay]) -> None:
    """Bit for bit: warming up leaves nothing behind, so what it puts back is all that a step changes."""
    table = tiny_table(400)
    schema = infer_schema(table)
    recorded = make_generator(name, **settings).fit(table, schema, seed=3)
    assert len(twin) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Replay, "__call__", lambda self: self.step())
        plain = make_generator(name, **settings).fit(table, schema, seed=3)
    assert len(twin) == 1
    first, second = (g._state()[1] for g in (recorded, plain))  # type: ignore[attr-defined]
    flats = [model.network.flat if name == "autoregressive" else model.process.flat for model in (first, second)]
    assert torch.equal(*flats)
    assert [r["train"] for r in recorded.history] == [r["train"] for r in plain.history]


def test_a_refused_recording_leaves_the_step_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    count = torch.zeros(1)

    def refuse(self: Replay) -> None:
        self.step()
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(Replay, "_record", refuse)
    replay = Replay(lambda: count.add_(1), lambda: [count], CPU)
    replay.recordable = True
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            replay()
    assert count == 3 and len(caplog.records) == 1 and "not permitted" in caplog.text


def test_on_the_cpu_a_step_is_called() -> None:
    calls: list[int] = []
    replay = Replay(lambda: calls.append(1), list, CPU)
    for _ in range(WARM_UPS + 1):
        replay()
    assert len(calls) == WARM_UPS + 1 and replay.graph is None


def edm_fit(device: str) -> DenoisingFit:
    process = Edm(1, [4], np.full(4, 0.25), width=32, layers=2, sampling_steps=4, device=device)
    process.network.initialise(torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 4, (600, 1), generator=generator)
    rows = (codes - 1.5) / 1.1 + 0.1 * torch.randn(600, 1, generator=generator), codes
    return DenoisingFit(
        process,
        (rows[0].to(device), rows[1].to(device)),
        None,
        steps=400,
        batch_size=128,
        lr=5e-3,
        rate=lambda step, steps: 1 - step / steps,
        weight_decay=0.0,
        ema=True,
        seed=0,
    )


class Recordable(TorchDispatchMode):
    """Refuses what waits for a device, or brings values to it: no graph may hold it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "lift_fresh", "masked_select", "_unique2", "is_pinned")
        indices = [i for i in args[1] if i is not None] if name in ("index", "index_put_") else []
        assert all(i.dtype != torch.bool for i in indices)  # which is a nonzero in disguise
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["autoregressive", "together", "edm", "tabddpm"])
def test_a_step_waits_for_nothing(kind: str) -> None:
    fit: TokenFit | StackedFit | DenoisingFit
    if kind == "edm":
        fit = edm_fit("cpu")
    elif kind == "tabddpm":
        options = {"target": 1, "timesteps": 10, "widths": [16, 16], "device": "cpu"}
        process = Ddpm(1, [4, 2], np.array([0.25] * 4 + [0.5] * 2), **options)  # type: ignore[arg-type]
        rows = torch.randn(64, 1), torch.randint(0, 2, (64, 2))
        settings = {"steps": 80, "batch_size": 32, "lr": 1e-3, "weight_decay": 0.0, "ema": False, "seed": 0}
        fit = DenoisingFit(process, rows, None, rate=lambda step, steps: 1.0, **settings)  # type: ignore[arg-type]
    else:
        ranks = [torch.linspace(0, 1, size) for size in SIZES]
        smooth = Smoother(network().shapes, ranks, device=torch.device("cpu"))
        fit = token_fit(network(), tokens(), frozen=["1.embed"] if kind == "autoregressive" else [], smooth=smooth)
        if kind == "together":
            fit = StackedFit([fit, token_fit(network(), tokens(), seed=6)], weight_decay=1e-3)
    fit.run(0, 4)
    fit.descent.at.zero_()  # what a round puts into the buffers is there; a step reads it
    before = fit.descent.flat.clone()
    with Recordable():
        fit.descent.step()
    assert not torch.equal(fit.descent.flat, before)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["autoregressive", "diffusion"])
def test_a_graph_is_the_step_on_a_gpu(kind: str) -> None:
    """Two rounds with and without a graph. Sums by atomics come in any order, and AdamW's first steps have the size of
    the rate whatever the gradient's: weights near 0 may differ by some rates of 4e-3 and 5e-3, the losses hardly."""
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    fits = []
    for recordable in (True, False):
        fit = edm_fit("cuda") if kind == "diffusion" else token_fit(network("cuda"), tokens().cuda())
        fit.descent.step.recordable = recordable
        losses = [fit.run(done, 4) for done in range(2)]
        assert (fit.descent.step.graph is not None) == recordable
        fits.append((fit, losses))
    (graph, found), (eager, expected) = fits
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert (graph.descent.flat - eager.descent.flat).abs().max() < 2e-2
    assert graph.step == eager.step and int(graph.descent.optimizer.moments["step"]) == graph.step
