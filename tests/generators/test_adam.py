"""Adam by the fused kernel against torch's own classes, bit for bit, also when it is gone on with."""

import subprocess
import sys

import pytest
import torch

from dge_ray.generators.fitting.adam import FusedAdam

BETAS = (0.8, 0.99)


def steps(count: int, seed: int) -> list[tuple[float, torch.Tensor]]:
    random = torch.Generator().manual_seed(seed)
    return [(0.1 / (i + 1), torch.randn(37, generator=random)) for i in range(count)]


@pytest.mark.parametrize("decoupled", [True, False])
def test_its_bits_are_those_of_torchs_own_class(decoupled: bool) -> None:
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    theirs = torch.linspace(-1, 1, 37)
    rate = torch.zeros((), dtype=torch.float64)
    reference = kind([theirs], lr=rate, betas=BETAS, weight_decay=0.1, fused=True)
    first, second = theirs.clone(), theirs.clone()
    by_tensor = FusedAdam(first, betas=BETAS, weight_decay=0.1, decoupled=decoupled)
    by_number = FusedAdam(second, betas=BETAS, weight_decay=0.1, decoupled=decoupled)
    for i, (lr, gradient) in enumerate(steps(20, 3)):
        theirs.grad, first.grad, second.grad = gradient, gradient.clone(), gradient.clone()
        rate.fill_(lr)
        reference.step()
        by_tensor.step(rate.clone())
        if i == 10:  # a fit that was cut off
            kept = {name: value.clone() for name, value in by_number.state("adam")}
            by_number = FusedAdam(second, betas=BETAS, weight_decay=0.1, decoupled=decoupled)
            by_number.restore("adam", kept)
        by_number.step(lr)
        assert torch.equal(theirs, first) and torch.equal(theirs, second)
    assert not torch.equal(theirs, torch.linspace(-1, 1, 37))
    assert torch.equal(reference.state[theirs]["exp_avg_sq"], by_number.moments["exp_avg_sq"])


@pytest.mark.slow
def test_a_fit_imports_no_compiler() -> None:
    code = (
        "import sys, numpy as np, pyarrow as pa\n"
        "from dge_ray.generators.registry import make_generator\n"
        "from dge_ray.table import infer_schema\n"
        "table = pa.table({'x': np.random.rand(64), 'y': np.random.rand(64)})\n"
        "made = make_generator('autoregressive', epochs=1)\n"
        "made.fit(table, infer_schema(table, target='y'), seed=0).sample(8, seed=0)\n"
        "assert 'torch' in sys.modules and 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
