"""What gpu.py measures with: its sizes, its table, its clock, and the limits of the machine."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from work import Traffic

from dge_ray.generators.autoregressive.network import Dropout
from dge_ray.generators.diffusion.training import steps_per_round
from dge_ray.generators.fitting.replay import fast_products
from dge_ray.table import TableSchema

CODES = (9, 16, 7, 15, 6, 5, 2, 42, 2)
MEASURED = 6
BATCH = 512
STOPPING = 128  # few, so that looking at them hardly counts


@dataclass(frozen=True)
class Sizes:
    """How much is measured: rows to fit on, the generators' settings, rows drawn, and of these to Arrow."""

    rows: int
    settings: dict[str, dict[str, Any]]
    draws: dict[str, int]
    decoded: int
    product: int  # the side of the square product whose rate is the limit
    copied: int  # floats of the copy


GPU = Sizes(
    rows=36_864,
    settings={"autoregressive": {"epochs": 16, "patience": 16}, "diffusion": {"steps": 2_000, "patience": 40}},
    draws={"autoregressive": 4_000_000, "diffusion": 1_000_000},
    decoded=400_000,
    product=8_192,
    copied=1 << 28,
)
CPU = Sizes(
    rows=4_096,
    settings={"autoregressive": {"epochs": 4, "patience": 4}, "diffusion": {"steps": 160, "patience": 40}},
    draws={"autoregressive": 32_768, "diffusion": 4_096},
    decoded=8_192,
    product=1_024,
    copied=1 << 25,
)


@dataclass(frozen=True)
class Case:
    """What all fits share."""

    device: str
    sizes: Sizes
    table: pa.Table
    stopping: pa.Table
    schema: TableSchema

    def settings(self, generator: str) -> dict[str, Any]:
        return self.sizes.settings[generator] | {"batch_size": BATCH}

    def steps_a_round(self, generator: str) -> int:
        if generator == "diffusion":
            return steps_per_round(self.sizes.settings["diffusion"]["steps"])
        return self.sizes.rows // BATCH


def made_up(n: int) -> tuple[pa.Table, pa.Table]:
    """Rows to fit on and some to stop on: as many columns as Adult, of as many codes, each leaning on one hidden
    number."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=n)
    columns: dict[str, Any] = {}
    for j in range(MEASURED):
        columns[f"x{j}"] = np.round(hidden * rng.normal() + rng.normal(size=n), 2)
    for j, size in enumerate(CODES):
        codes = np.clip((hidden + rng.normal(size=n) + 3) / 6 * size, 0, size - 1).astype(int)
        columns[f"c{j}"] = [f"v{code}" for code in codes]
    table = pa.table(columns)
    return table.slice(0, n - STOPPING), table.slice(n - STOPPING)


def now(device: str) -> float:
    """Seconds: of the wall once the GPU is done, or of this process's CPU."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def rate(device: str, work: float, act: Callable[[], Any], least: float = 0.5) -> float:
    """`work` a second, of an act repeated for `least` seconds after a first one."""
    act()
    count, started = 0, now(device)
    while (passed := now(device) - started) < least:
        for _ in range(5):
            act()
        count += 5
    return count * work / passed


def measure_limits(device: str, sizes: Sizes) -> dict[str, float]:
    """Operations a second of a square product, by type; bytes a second of a copy, read and written."""
    n, found = sizes.product, {}

    def product(kind: torch.dtype) -> float:
        a, b = (torch.randn(n, n, device=device).to(kind) for _ in range(2))
        return rate(device, 2 * n**3, lambda: a @ b)

    found["float32"] = product(torch.float32)
    if device == "cuda":
        with fast_products(torch.device(device)):
            found["tf32"] = product(torch.float32)
    found["bfloat16"] = product(torch.bfloat16)
    source = torch.zeros(sizes.copied, device=device)
    target = torch.empty_like(source)
    found["copy"] = rate(device, 8 * sizes.copied, lambda: target.copy_(source))
    return found


def fit_traffic(case: Case, name: str, model: Any) -> tuple[int, int]:
    """Operations of a step's loss and gradients, and the bytes they move."""
    random = torch.Generator().manual_seed(0)
    if name == "autoregressive":
        tokens = torch.zeros(len(model.network.sizes), BATCH, dtype=torch.int64, device=case.device)
        dropout = Dropout(0.2, model.network.hidden, random, device=case.device)
        with Traffic() as traffic:
            model.network.loss_and_gradients(tokens, dropout)
        return traffic.calls, traffic.bytes
    process = model.process
    flat = process.flat.clone().requires_grad_()
    scores = torch.zeros(BATCH, process.q, device=case.device)
    codes = torch.zeros(BATCH, len(process.sizes), dtype=torch.int64, device=case.device)
    noise = [part.to(case.device) for part in process.noise(BATCH, random)]
    with Traffic() as traffic:
        torch.autograd.grad(process.loss(flat, scores, codes, noise), flat)
    return traffic.calls, traffic.bytes


def draw(name: str, model: Any, n: int, random: torch.Generator) -> None:
    with torch.no_grad():
        model.sampler.draw(n, random) if name == "autoregressive" else model.process.sample(n, random)
