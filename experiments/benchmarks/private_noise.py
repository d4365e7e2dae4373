"""What secret noise costs: normals and batches of the cipher against numpy's PCG64, and its share of a private fit.

usage: private_noise.py [source=FILE] [rows=20000] [normals=4000000] [repeats=5] [seed=0] [--json FILE]

CPU-seconds of one thread, the best of `repeats`. `share`: of a private fit's CPU-seconds, what its streams and the
histogram's noise took, and what PCG64 would have taken for the same numbers. The fit is of `autoregressive` by its own
private settings to Adult's first train rows, with the multipliers of epsilon 3 or so: the cost does not depend on them.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from measure import SHARED, finish, words

from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.generators.private.discrete import discrete_gaussians, variance_for
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.private.streams import SecretStream, Use
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table import TableSchema, load_table
from dge_ray.table.arrow.arrow_types import pc
from dge_ray.table.public import conform

SIZE = 400_000  # about the weights of a private autoregressor


def best(work: Callable[[], object], repeats: int) -> float:
    """CPU-seconds."""
    found = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def rates(normals: int, repeats: int) -> list[dict[str, Any]]:
    """Millions of numbers a CPU-second, each kind asked for SIZE at a time, of a new stream as in a step."""
    calls = max(1, normals // SIZE)
    kinds: dict[str, tuple[Callable[[int], object], Callable[[int], object]]] = {
        "normals": (
            lambda step: SecretStream(1, Use.NOISE, step=step).normals(SIZE).astype(np.float32),
            lambda step: numpy_generator(1, Purpose.FIT, index=step).standard_normal(SIZE, dtype=np.float32),
        ),
        "events": (
            lambda step: SecretStream(1, Use.BATCH, step=step).events(SIZE, 0.03),
            lambda step: numpy_generator(1, Purpose.FIT, index=step).random(SIZE) < 0.03,
        ),
    }
    rows = []
    for kind, ways in kinds.items():
        ours, theirs = (best(lambda way=way: [way(step) for step in range(calls)], repeats) for way in ways)
        count = SIZE * calls / 1e6
        rows.append({"what": kind, "cipher_millions_per_s": count / ours, "pcg64_millions_per_s": count / theirs})
    variance, stream = variance_for(50**2), SecretStream(1, Use.HISTOGRAM)
    taken = best(lambda: discrete_gaussians(5_000, variance, stream), repeats)
    return [*rows, {"what": "discrete normals", "cipher_millions_per_s": 0.005 / taken, "pcg64_millions_per_s": None}]


def share(source: str, rows: int, seed: int) -> dict[str, Any]:
    schema = TableSchema.from_json((Path(__file__).parents[1] / "privacy" / "adult_schema.json").read_text())
    table = load_table(source)
    train = conform(table.filter(pc.equal(table["split"], "train")).drop_columns(["split"]).slice(0, rows), schema)
    settings = private_settings("autoregressive", {})
    clip, rate, steps = private_steps("autoregressive", settings, train.num_rows)
    private = PrivateFit(clip, 1.0, rate, steps, 13.0, key=seed + 1)
    taken = {"noise": 0.0, "batch": 0.0, "histogram_noise": 0.0}
    sizes: dict[str, int] = {}

    def timed(name: str) -> Callable[..., np.ndarray]:
        method = getattr(PrivateFit, name)

        def call(self: PrivateFit, *args: int) -> np.ndarray:
            began = time.process_time()
            found = method(self, *args)
            taken[name] += time.process_time() - began
            sizes[name] = args[0] if name == "histogram_noise" else args[1]
            return found

        return call

    methods = {name: getattr(PrivateFit, name) for name in taken}
    timers = {name: timed(name) for name in taken}
    for name, timer in timers.items():
        setattr(PrivateFit, name, timer)
    try:
        began = time.process_time()
        make_generator("autoregressive", **settings).fit(train, schema, seed=seed, private=private)  # type: ignore[call-arg]
        fit = time.process_time() - began
    finally:
        for name, method in methods.items():
            setattr(PrivateFit, name, method)
    began = time.process_time()
    for step in range(steps):
        rng = numpy_generator(1, Purpose.FIT, index=step)
        rng.standard_normal(sizes["noise"], dtype=np.float32)
        rng.random(sizes["batch"])
    before = time.process_time() - began
    ours = sum(taken.values())
    return {
        "what": "share of a private fit",
        "rows": train.num_rows,
        "steps": steps,
        "weights": sizes["noise"],
        "cells": sizes["histogram_noise"],
        "fit_cpu_s": fit,
        **{f"{name}_cpu_s": seconds for name, seconds in taken.items()},
        "share": ours / fit,
        "pcg64_cpu_s": before,
        "slower_than_with_pcg64": fit / (fit - ours + before) - 1,
    }


def main(argv: list[str]) -> None:
    source = str(SHARED / "adult.parquet")
    _, options, file = words(argv, source=source, rows=20_000, normals=4_000_000, repeats=5, seed=0)
    torch.set_num_threads(1)
    found = rates(options["normals"], options["repeats"])
    found.append(share(options["source"], options["rows"], options["seed"]))
    finish([{"benchmark": "private_noise", **row} for row in found], file)


if __name__ == "__main__":
    main(sys.argv[1:])
