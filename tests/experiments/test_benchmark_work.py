"""The GPU benchmark's counts, against torch's own counter of what is really multiplied."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.utils import flop_counter

from dge_ray.generators.autoregressive.network import Dropout
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import make_generator
from dge_ray.table import infer_schema

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments" / "benchmarks"))
from work import Traffic, fit_flops, sample_flops


def added_product(total: list[int], a: list[int], b: list[int], **_: object) -> int:
    return 2 * a[0] * a[1] * b[1]


IN_PLACE = {torch.ops.aten.addmm_: added_product}  # torch's counter does not know it


def table() -> pa.Table:
    """Two measured columns and three coded ones, one of 80 codes: more than `edm` gives unit vectors."""
    rng = np.random.default_rng(0)
    codes = {f"c{size}": [f"v{code}" for code in np.arange(400) % size] for size in (2, 5, 80)}
    return pa.table({"x": rng.normal(size=400), "y": rng.gamma(2.0, size=400), **codes})


@pytest.fixture(scope="module", params=["autoregressive", "diffusion"])
def fitted(request: pytest.FixtureRequest) -> Generator:
    settings = {"autoregressive": {"epochs": 1, "hidden": 24}, "diffusion": {"steps": 40, "width": 24, "layers": 2}}
    rows = table()
    schema = infer_schema(rows, overrides={"c80": "categorical"})
    return make_generator(request.param, **settings[request.param]).fit(rows, schema, seed=0)


def test_a_fits_products_are_counted(fitted: Generator) -> None:
    model, n = fitted._state()[1], 32  # type: ignore[attr-defined]
    with flop_counter.FlopCounterMode(display=False, custom_mapping=IN_PLACE) as counter:
        if fitted.name == "autoregressive":
            tokens = torch.zeros(len(model.network.sizes), n, dtype=torch.int64)
            model.network.loss_and_gradients(tokens, Dropout(0.2, 24, torch.Generator().manual_seed(0)))
        else:
            process, random = model.process, torch.Generator().manual_seed(0)
            flat = process.flat.clone().requires_grad_()
            rows = torch.zeros(n, process.q), torch.zeros(n, len(process.sizes), dtype=torch.int64)
            process.loss(flat, *rows, process.noise(n, random)).backward()
    assert counter.get_total_flops() == n * fit_flops(model)


@pytest.mark.parametrize("tables", [True, False])
def test_a_sampled_rows_products_are_counted(fitted: Generator, tables: bool) -> None:
    model, n = fitted._state()[1], 32  # type: ignore[attr-defined]
    random = torch.Generator().manual_seed(0)
    autoregressive = fitted.name == "autoregressive"
    if autoregressive:
        kept = model.sampler.tables
        model.sampler.tables = kept if tables else None
    with torch.no_grad(), flop_counter.FlopCounterMode(display=False, custom_mapping=IN_PLACE) as counter:
        model.sampler.draw(n, random) if autoregressive else model.process.sample(n, random)
    once = 0 if autoregressive else sum(2 * vectors.numel() for vectors in model.process.vectors)  # a call's means
    assert counter.get_total_flops() == n * sample_flops(model) + once
    if autoregressive:
        model.sampler.tables = kept


def test_traffic_is_what_goes_in_and_out() -> None:
    a, b = torch.zeros(3, 5), torch.zeros(5, 7)
    with Traffic() as traffic:
        product = a @ b
        product.t()  # a view
        product.relu_()
        product.index_select(0, torch.zeros(2, dtype=torch.int64))
    zeros = 8 * 2  # of int64 written
    assert traffic.bytes == 4 * (15 + 35 + 21) + 2 * 4 * 21 + zeros + 2 * 4 * 14 + zeros
    assert traffic.calls == 4
