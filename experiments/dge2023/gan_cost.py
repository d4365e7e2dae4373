"""Where do the steps of the ensemble paper's GAN go on circles: arithmetic, or the overhead of many small operations?

    python experiments/dge2023/gan_cost.py [steps=20] [layers=2] [rows=2000] --json FILE

A member of `rows` rows at `preset=dge2023`, its 2,000 epochs, is priced by so many of its steps on one thread, and once
more under the profiler. Floating-point operations of the products of matrices are counted by torch; `products` is their
share of the operators' time, and `products_gflop_s` their speed in CPU-time; beside it `bare_gflop_s`, that of one
product of the hidden layers' shape alone, over and over. What batching members as one program can save is at most the
time that is not arithmetic.
"""

import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import torch
from measure import environment, words
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from dge_ray.generators.fitting.neural import training_rows
from dge_ray.generators.fitting.precision import compute_type
from dge_ray.generators.gan.generator import Gan
from dge_ray.generators.gan.training import GanFit
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config

PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm")
SPLIT = ("test_fraction=0.75", "validation_fraction=0.1", "stopping_fraction=0.1111")
EPOCHS = 2_000
WARM = 3


def measured(options: dict[str, Any]) -> dict[str, Any]:
    """Seconds, operations and their kinds a step."""
    prepared = prepare(read_config("circles", SPLIT))
    gan = Gan(preset="dge2023", layers=options["layers"])
    rows = training_rows(prepared.parts["train"], prepared.parts["stopping"], prepared.schema, 0)
    fit = gan._start(prepared.schema, rows, seed=0, device="cpu", source=None).begin(1.0)
    assert isinstance(fit, GanFit)
    steps, fit.round_steps = options["steps"], WARM
    fit.run(0, 1)
    with FlopCounterMode(display=False) as counted:
        fit.run(0, 1)
    fit.round_steps = steps
    started = process_time()
    fit.run(0, 1)
    seconds = (process_time() - started) / steps
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        fit.run(0, 1)
    kinds = {event.key: event for event in seen.key_averages() if event.key.startswith("aten::")}
    whole = sum(event.self_cpu_time_total for event in kinds.values())
    share = sum(kinds[name].self_cpu_time_total for name in PRODUCTS if name in kinds) / whole
    flop = counted.get_total_flops() / WARM
    full = EPOCHS * (options["rows"] // fit.batch)
    return {
        "steps": steps,
        "layers": options["layers"],
        "rows": options["rows"],
        "cpu_seconds_a_step": seconds,
        "gflop_a_step": flop / 1e9,
        "operators_a_step": sum(event.count for event in kinds.values()) / steps,
        "products": share,
        "products_gflop_s": flop / (share * seconds) / 1e9,
        "bare_gflop_s": bare(fit.batch, fit.settings.hidden),
        "steps_a_member": full,
        "tflop_a_member": flop * full / 1e12,
        "cpu_seconds_a_member": seconds * full,
        "most_used": {
            name: round(event.self_cpu_time_total / whole, 3)
            for name, event in sorted(kinds.items(), key=lambda pair: -pair[1].self_cpu_time_total)[:8]
        },
    }


def bare(n: int, width: int, repeats: int = 40) -> float:
    """10^9 operations a CPU-second of (n, width) times (width, width) in the type that networks multiply in."""
    kind = compute_type(torch.device("cpu"))
    a, b = torch.randn(n, width).to(kind), torch.randn(width, width).to(kind)
    a @ b
    started = process_time()
    for _ in range(repeats):
        a @ b
    return 2 * n * width**2 * repeats / (process_time() - started) / 1e9


def main(argv: list[str]) -> None:
    _, options, file = words(argv, steps=20, layers=2, rows=2_000)
    torch.set_num_threads(1)
    row = measured(options)
    print(json.dumps(row, indent=1))
    if file is not None:
        file.write_text(json.dumps({**row, **environment()}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
