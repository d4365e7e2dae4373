"""What a GPU does with fits and samples: achieved rates over its own limits, measured in the same run.

usage: gpu.py [members=8] [seconds=400] [--json FILE]

For `autoregressive` and `diffusion`, at their default sizes, on a made-up table of Adult's shape: one member, members
fitted as one program (`autoregressive`), and one member a process, all sharing the card. `of_limit`: floating-point
operations of matrix products a second, counted from layer shapes, over what a large product of the same type reaches;
`of_copy`: bytes that operations read and write, caches or not, over a large copy's. Fits: from the end of the first
round to the end of the last, `whole_s` with everything before. Samples: tokens or scores on the card; `to_arrow`: rows
decoded. `calls`: operations a member's step or block, each a kernel or more where they are launched one by one.

Without a GPU the same code runs on one CPU thread, smaller and with two processes, against that thread's limits, in
CPU-seconds; what has `clock: wall` in wall time, whatever else the machine does. No measurement is begun after
`seconds`.
"""

import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pyarrow as pa
import torch
from gpu_case import BATCH, CPU, GPU, STOPPING, Case, draw, fit_traffic, made_up, measure_limits, now
from measure import finish, words
from work import Traffic, fit_flops, sample_flops

from dge_ray.generators.autoregressive.generator import Autoregressive
from dge_ray.generators.diffusion.denoiser import compute_type
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer
from dge_ray.table import infer_schema


def main(argv: list[str]) -> None:
    _, options, file = words(argv, members=8, seconds=400)
    torch.set_num_threads(1)
    device, members = "cuda" if torch.cuda.is_available() else "cpu", options["members"]
    sizes, started = GPU if device == "cuda" else CPU, time.monotonic()
    at_once = members if device == "cuda" else min(members, 2)
    limits = measure_limits(device, sizes)
    head = {"benchmark": "gpu", "device": device, "card": torch.cuda.get_device_name() if device == "cuda" else None}
    rows = [{**head, "what": "limits", **{name: float(f"{rate:.4g}") for name, rate in limits.items()}}]
    table, stopping = made_up(sizes.rows + STOPPING)
    schema = infer_schema(pa.concat_tables([table, stopping]), target="c8")
    case = Case(device, sizes, table, stopping, schema)
    ways: list[tuple[str, str, Callable[[], list[dict[str, Any]]]]] = [
        ("autoregressive", "alone", lambda: alone(case, "autoregressive", limits)),
        ("diffusion", "alone", lambda: alone(case, "diffusion", limits)),
        ("autoregressive", "one program", lambda: one_program(case, members, limits)),
        ("autoregressive", "processes", lambda: processes(case, "autoregressive", at_once, limits)),
        ("diffusion", "processes", lambda: processes(case, "diffusion", at_once, limits)),
    ]
    for generator, how, measure in ways:
        over = time.monotonic() - started > options["seconds"]
        for row in [{"skipped": "out of time"}] if over else measure():
            rows.append({**head, "generator": generator, "how": how, **row})
            print(rows[-1], file=sys.stderr)
    rows.append({**head, "what": "whole run", "seconds": round(time.monotonic() - started, 1)})
    finish(rows, file)


def limit_of(case: Case, generator: str, what: str, limits: dict[str, float]) -> tuple[str, float]:
    """The type of a generator's products, and what a large product of it reaches."""
    if generator == "diffusion":
        kind = "bfloat16" if compute_type(torch.device(case.device)) is torch.bfloat16 else "float32"
    else:
        kind = "tf32" if what == "fit" and case.device == "cuda" else "float32"
    return kind, limits[kind]


def fit_row(
    case: Case, name: str, model: Any, count: int, marks: Sequence[float], whole: float, limits: dict[str, float]
) -> dict[str, Any]:
    """A fit's row: `count` members' fits between the marks that end their first rounds and their last ones."""
    steps = (len(marks) - 1) * case.steps_a_round(name)
    seconds = marks[-1] - marks[0]
    calls, moved = fit_traffic(case, name, model)
    kind, most = limit_of(case, name, "fit", limits)
    reached = count * steps * BATCH * fit_flops(model) / seconds
    return {
        "what": "fit",
        "members": count,
        "whole_s": round(whole, 3),
        "seconds": round(seconds, 3),
        "steps_per_s": round(count * steps / seconds, 1),
        "rows_per_s": round(count * steps * BATCH / seconds),
        "calls": calls,
        "flops_per_s": float(f"{reached:.4g}"),
        "type": kind,
        "of_limit": float(f"{reached / most:.3g}"),
        "of_copy": float(f"{count * steps * moved / seconds / limits['copy']:.3g}"),
    }


def sample_row(
    case: Case, name: str, model: Any, count: int, rows: int, seconds: float, limits: dict[str, float]
) -> dict[str, Any]:
    """A sample's row: `rows` rows of each of `count` members."""
    block = min(rows, 65_536)
    with Traffic() as traffic:
        draw(name, model, block, torch.Generator(case.device).manual_seed(1))
    kind, most = limit_of(case, name, "sample", limits)
    reached = count * rows * sample_flops(model) / seconds
    return {
        "what": "sample",
        "members": count,
        "seconds": round(seconds, 3),
        "rows_per_s": round(count * rows / seconds),
        "calls": traffic.calls,
        "flops_per_s": float(f"{reached:.4g}"),
        "type": kind,
        "of_limit": float(f"{reached / most:.3g}"),
        "of_copy": float(f"{count * rows * traffic.bytes / block / seconds / limits['copy']:.3g}"),
    }


def timed_draw(case: Case, name: str, models: Sequence[Any]) -> float:
    """Seconds for `draws` rows of each model, in turn."""
    n = case.sizes.draws[name]
    for model in models:  # what is made once a generator is not what a row costs
        draw(name, model, min(n, 65_536), torch.Generator(case.device).manual_seed(0))
    started = now(case.device)
    for k, model in enumerate(models):
        draw(name, model, n, torch.Generator(case.device).manual_seed(k))
    return now(case.device) - started


def fit_alone(
    case: Case, name: str, seed: int, clock: Callable[[], float], options: dict[str, Any]
) -> tuple[Any, list[float]]:
    """A fitted generator, and when its rounds ended."""
    marks: list[float] = []
    generator = make_generator(name, **options)
    generator.fit(
        case.table,
        case.schema,
        seed=seed,
        device=case.device,
        stopping=case.stopping,
        progress=lambda _: marks.append(clock()),
    )
    return generator, marks


def alone(case: Case, name: str, limits: dict[str, float]) -> list[dict[str, Any]]:
    """One member: its fit, its rows on the device, its rows to Arrow."""
    started = now(case.device)
    generator, marks = fit_alone(case, name, seeds(1)[0], lambda: now(case.device), case.settings(name))
    whole, model = now(case.device) - started, generator._state()[1]
    row = sample_row(case, name, model, 1, case.sizes.draws[name], timed_draw(case, name, [model]), limits)
    begun = now(case.device)
    generator.sample(case.sizes.decoded, seed=1)
    row["to_arrow_rows_per_s"] = round(case.sizes.decoded / (now(case.device) - begun))
    return [fit_row(case, name, model, 1, marks, whole, limits), row]


def one_program(case: Case, members: int, limits: dict[str, float]) -> list[dict[str, Any]]:
    """Members fitted as one program; their rows drawn in turn."""
    marks: list[float] = []
    started, name = now(case.device), "autoregressive"

    def progress(k: int, _: dict[str, Any]) -> None:
        if k == 0:  # members end their rounds together
            marks.append(now(case.device))

    fitted = Autoregressive.fit_together(
        seeds(members),
        case.table,
        case.schema,
        settings=case.settings(name),
        device=case.device,
        stopping=case.stopping,
        progress=progress,
    )
    whole, models = now(case.device) - started, [generator._state()[1] for generator in fitted]
    seconds = timed_draw(case, name, models)
    return [
        fit_row(case, name, models[0], members, marks, whole, limits),
        sample_row(case, name, models[0], members, case.sizes.draws[name], seconds, limits) | {"how": "in turn"},
    ]


def processes(case: Case, name: str, members: int, limits: dict[str, float]) -> list[dict[str, Any]]:
    """A member a process, all at once on the card: from the first one's first round to the last one's last."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(members, mp_context=context) as pool:
        barrier = manager.Barrier(members)
        tasks = [pool.submit(one_of_many, case, name, seed, barrier) for seed in seeds(members)]
        found = [task.result() for task in tasks]
    fits, draws = [fit for fit, _ in found], [drawn for _, drawn in found]
    marks = [min(fit[1] for fit in fits), *[0.0] * (len(fits[0]) - 3), max(fit[-1] for fit in fits)]
    whole = max(fit[-1] for fit in fits) - min(fit[0] for fit in fits)
    model = fit_alone(case, name, 0, time.monotonic, case.settings(name) | FEW_ROUNDS[name])[0]._state()[1]
    seconds = max(end for _, end in draws) - min(start for start, _ in draws)
    return [
        fit_row(case, name, model, members, marks, whole, limits) | {"clock": "wall"},
        sample_row(case, name, model, members, case.sizes.draws[name], seconds, limits) | {"clock": "wall"},
    ]


FEW_ROUNDS: dict[str, dict[str, Any]] = {"autoregressive": {"epochs": 1}, "diffusion": {"steps": 1}}


def one_of_many(case: Case, name: str, seed: int, barrier: Any) -> tuple[list[float], tuple[float, float]]:
    """In a process of its own: the fit's start and its rounds' ends, a draw's start and end; wall clock."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.zeros(1, device=case.device)
    barrier.wait(120)
    started = time.monotonic()
    generator, marks = fit_alone(case, name, seed, time.monotonic, case.settings(name))
    model, n = generator._state()[1], case.sizes.draws[name]
    draw(name, model, min(n, 65_536), torch.Generator(case.device).manual_seed(0))
    now(case.device)
    barrier.wait(300)
    begun = time.monotonic()
    draw(name, model, n, torch.Generator(case.device).manual_seed(1))
    now(case.device)
    return [started, *marks], (begun, time.monotonic())


def seeds(count: int) -> list[int]:
    return [integer(0, Purpose.FIT, member=member) for member in range(count)]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
