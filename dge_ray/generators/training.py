"""Fitting the autoregressor: a plan that suits the number of rows, one-cycle AdamW, early stopping on held-out rows."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from dge_ray.generators.base import Progress
from dge_ray.generators.checks import check_setting
from dge_ray.generators.network import POOL_ROWS, Dropout, Network
from dge_ray.seeds import Purpose, integer

ORDER, MASKS, WEIGHTS = 0, 1, 2  # the streams of a fit: indices at Purpose.FIT


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    epochs: int
    batch_size: int
    lr: float
    dropout: float
    weight_decay: float
    patience: int
    warmup: float = 0.3  # share of the steps in which the rate rises


def check_settings(settings: dict[str, Any]) -> None:
    """Raises InputError for the first setting out of its range."""
    for name, lowest, highest in (("bins", 2, 4096), ("hidden", 1, 4096), ("embedding", 1, 1024)):
        check_setting(name, settings[name], lowest, highest, whole=True)
    for name in ("epochs", "batch_size", "patience"):
        if settings[name] is not None:
            check_setting(name, settings[name], 1, 1_000_000, whole=True)
    check_setting("batch_size", settings["batch_size"] or 1, 1, POOL_ROWS, whole=True)
    for name, lowest, highest in (("lr", 1e-8, 1), ("dropout", 0, 0.95), ("weight_decay", 0, 10)):
        check_setting(name, settings[name], lowest, highest)


def batch_size_for(rows: int) -> int:
    """The power of two nearest to rows / 64, from 32 to 512."""
    return int(min(512, max(32, 2 ** round(math.log2(max(rows, 1) / 64)))))


def epochs_for(rows: int, batch_size: int, *, least_epochs: int = 12, least_steps: int = 900) -> int:
    """Enough passes for `least_steps` steps, at least `least_epochs`."""
    return max(least_epochs, math.ceil(least_steps / max(1, rows // batch_size)))


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """A step's rate as a share of the highest: a cosine up from 1/25 over `warmup` of the steps, then one down to 0.

    Source: Smith & Topin 2018, super-convergence; the shape is that of torch's OneCycleLR.
    """
    peak = warmup * steps
    if step < peak:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * step / peak)) / 2
    return (1 + math.cos(math.pi * (step - peak) / max(steps - peak, 1))) / 2


def stream(seed: int, index: int, device: str | torch.device = "cpu") -> torch.Generator:
    """One of a fit's random streams."""
    return torch.Generator(device).manual_seed(integer(seed, Purpose.FIT, index=index))


def train(
    network: Network,
    tokens: torch.Tensor,
    heldout: torch.Tensor | None,
    plan: Plan,
    *,
    seed: int,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Fit the network to tokens (d, n).

    What counts is the moving average of the weights over about an epoch: it is what is looked at on `heldout` (d, r),
    and the average after the best epoch is what is left in the network. (The weights of one step in mid-schedule are
    noisy: without the average, Adult has .97 % of shape error, with it .79 %.)

    Returns a record an epoch: `epoch`, `epochs` (planned), `train` and `heldout` (mean nats a row, token probabilities
    only; train with dropout and over the epoch as it went), `seconds` since the start.
    """
    started = time.perf_counter()
    n = tokens.shape[1]
    batch_size = min(plan.batch_size, n)
    steps_per_epoch = n // batch_size
    dropout = Dropout(plan.dropout, network.hidden, stream(seed, MASKS), device=str(network.device))
    order = stream(seed, ORDER)
    network.flat.grad = network.flat_gradient
    optimizer = torch.optim.AdamW([network.flat], lr=plan.lr, weight_decay=plan.weight_decay, fused=True)
    average, best_average = network.flat.clone(), network.flat.clone()
    history: list[dict[str, Any]] = []
    best, best_epoch, step = math.inf, 0, 0
    for epoch in range(1, plan.epochs + 1):
        nats = 0.0
        for batch in _batches(tokens, batch_size, order):
            optimizer.param_groups[0]["lr"] = plan.lr * one_cycle(step, plan.epochs * steps_per_epoch, plan.warmup)
            nats += network.loss_and_gradients(batch, dropout)
            optimizer.step()
            step += 1
            average.lerp_(network.flat, max(1 / step, 1 / steps_per_epoch))
        score = None if heldout is None else _nats_of(network, average, heldout)
        record = {"epoch": epoch, "epochs": plan.epochs, "train": nats / steps_per_epoch, "heldout": score}
        record["seconds"] = time.perf_counter() - started
        history.append(record)
        if progress is not None:
            progress(record)
        if score is None or score < best:
            best, best_epoch = math.inf if score is None else score, epoch
            best_average.copy_(average)
        elif epoch - best_epoch >= plan.patience:
            break
    network.flat.grad = None
    network.flat.copy_(best_average)
    return history


def _nats_of(network: Network, flat: torch.Tensor, tokens: torch.Tensor) -> float:
    """Mean nats a row of tokens (d, r) under the weights `flat`; the network keeps its own."""
    current = network.flat.clone()
    network.flat.copy_(flat)
    nats = -float(network.log_prob(tokens).mean())
    network.flat.copy_(current)
    return nats


def _batches(tokens: torch.Tensor, batch_size: int, order: torch.Generator) -> Iterator[torch.Tensor]:
    """Tokens (d, batch_size) int64 of whole batches in a random order; the last, smaller one is left out."""
    n = tokens.shape[1]
    rows = torch.randperm(n, generator=order).to(tokens.device)
    for start in range(0, n - batch_size + 1, batch_size):
        yield tokens.index_select(1, rows[start : start + batch_size]).long()
