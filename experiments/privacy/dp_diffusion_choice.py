"""What one draw of noise a row or several do to a private fit of `diffusion`: on tables other than Adult.

usage: dp_diffusion_choice.py [tables=bank_marketing,credit_default] [ways=1:4096:300,8:2048:150] [epsilon=3] [seed=0]
                              --json FILE

A way is draws:batch:steps. A quarter of the rows is held out: `loss` is the denoising loss there (per encoder, so only
comparable within a table), `auc` that of boosting learnt from as many synthetic rows as were fitted on. Schemas are
inferred, as nothing is protected here.
"""

import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
import pyarrow as pa
import torch
from measure import SHARED, finish, words

from dge_ray.downstream.learners import make_learner
from dge_ray.generators.diffusion.edm import Edm
from dge_ray.generators.diffusion.generator import Diffusion
from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.privacy.plan import Steps, plan_privacy
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.metrics.auc import auc_contributions
from dge_ray.table import TableCodec, TableSchema, infer_schema, load_table, target_vector

TABLES = {"bank_marketing": ("y", []), "credit_default": ("default.payment.next.month", ["ID"])}
LOOKS = 2  # draws of noise that held-out rows are looked at through


def main(argv: list[str]) -> None:
    defaults = {"tables": "bank_marketing,credit_default", "ways": "1:4096:300,8:2048:150", "epsilon": 3, "seed": 0}
    _, options, file = words(argv, **defaults)
    torch.set_num_threads(1)
    rows = []
    for name in str(options["tables"]).split(","):
        target, unwanted = TABLES[name]
        table = load_table(str(SHARED / f"{name}.parquet")).drop_columns(unwanted)
        schema = infer_schema(table, target=target, overrides={target: "categorical"})
        order = numpy_generator(options["seed"], Purpose.SPLIT).permutation(table.num_rows)
        cut = table.num_rows // 4
        train, test = table.take(np.sort(order[cut:])), table.take(order[:cut])
        for way in str(options["ways"]).split(","):
            draws, batch, steps = (int(part) for part in way.split(":"))
            settings = private_settings("diffusion", {"draws": draws, "batch_size": batch, "steps": steps})
            found = measured(schema, train, test, settings, float(options["epsilon"]), options["seed"])
            rows.append({"table": name, "epsilon": options["epsilon"], "seed": options["seed"], **settings, **found})
    finish(rows, file)


def measured(
    schema: TableSchema, train: pa.Table, test: pa.Table, settings: dict[str, Any], epsilon: float, seed: int
) -> dict[str, float]:
    n = train.num_rows
    steps = Steps(*private_steps("diffusion", settings, n))
    plan = plan_privacy(epsilon, 1e-6, 1, n, [steps], models="each")
    noises = plan.noise_multiplier, plan.marginals_multiplier
    # A key that anybody knows: these tables are open.
    private = PrivateFit(steps.clip, noises[0], steps.sample_rate, steps.steps, noises[1], key=seed)
    began = time.process_time()
    model = Diffusion(**settings).fit(train, schema, seed=seed, private=private)
    seconds = time.process_time() - began
    codec = TableCodec(schema)
    held = codec.encode(test)
    encoder, process = model._state()[1].encoder, model._state()[1].process
    assert isinstance(process, Edm)
    parts = [torch.from_numpy(part) for part in encoder.encode(held, numpy_generator(seed, Purpose.FIT))]
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        losses = [process.loss(process.flat, *parts, process.noise(len(parts[0]), random)) for _ in range(LOOKS)]
    learner = make_learner("boosting", {}, schema, seed=seed).fit(codec.encode(model.sample(n, seed=seed)))
    auc = auc_contributions(learner.predict(held), target_vector(held, schema)).mean()
    noise = {"noise_multiplier": noises[0], "spent": plan.spent}
    return {"n": n, **noise, "fit_cpu_s": seconds, "loss": float(sum(losses)) / LOOKS, "auc": float(auc)}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
