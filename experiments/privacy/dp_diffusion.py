"""Utility of private fits of `diffusion` on Adult, and what they cost in CPU-seconds and floating-point operations.

usage: dp_diffusion.py [source=FILE] [epsilons=[3,10]] [members=[1]] [ratio=1] [delta=1e-6] [seed=0] [plain_steps=3000]
                       --work FOLDER --json FILE

As dp_adult.py has it for `autoregressive`: its rows, its public schema, its learner and scores. `plain`: the same
network without privacy, with `plain_steps` of the usual fit; `real`: the learner on the real train rows. Finished
members are kept in --work, which also holds the keys.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parent))

import torch
from dp_adult import Runs, facts, of
from measure import SHARED, finish, words
from work import fit_flops

from dge_ray.generators.base import Generator
from dge_ray.generators.diffusion.generator import Diffusion
from dge_ray.generators.diffusion.training import steps_per_round
from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.privacy.plan import Steps, plan_privacy
from dge_ray.seeds import Purpose, integer

NAME = "diffusion"


class DiffusionRuns(Runs):
    """Adult, and members of `diffusion`; what a fit cost is kept beside its members' predictions."""

    def generator(self, model: int, settings: dict[str, Any], private: PrivateFit | None) -> Generator:
        if self.last is not None and self.last[0] == private:
            return self.last[1]
        began = time.process_time()
        made = Diffusion(**settings)
        seed = integer(self.seed, Purpose.FIT, member=model)
        made.fit(self.train, self.schema, seed=seed, **({} if private is None else {"private": private}))
        cost = {"fit_cpu_s": time.process_time() - began, **self.work_of(made, private)}
        self.cost_file(private).write_text(json.dumps(cost))
        self.last = private, made
        return made

    def work_of(self, made: Diffusion, private: PrivateFit | None) -> dict[str, float]:
        """Weights, noisy rows that the network was shown (of private fits on average), and their operations."""
        model, s = made._state()[1], made.settings
        network = model.process.network
        if private is None:
            rows, norms = len(made.history) * steps_per_round(s.steps or 0) * (s.batch_size or 0), 0
        else:
            rows = private.steps * private.sample_rate * self.n * s.draws
            norms = 2 * s.draws * sum(sum(shape) for shape in network.shapes.values() if len(shape) == 2)
        return {"weights": network.flat.numel(), "noisy_rows": rows, "fit_flops": rows * (fit_flops(model) + norms)}

    def cost_file(self, private: PrivateFit | None) -> Path:
        noise = "none" if private is None else f"{private.noise_multiplier:.4f}-{private.member}"
        return self.work / f"cost-{noise}.json"


def main(argv: list[str]) -> None:
    defaults = {"source": str(SHARED / "adult.parquet"), "epsilons": [3, 10], "members": [1], "seed": 0, "ratio": 1}
    if "--work" not in argv:
        sys.exit("--work: got nothing; takes a folder")
    at = argv.index("--work")
    work, argv = Path(argv[at + 1]), argv[:at] + argv[at + 2 :]
    _, options, file = words(argv, **defaults, delta="1e-6", plain_steps=3000)
    torch.set_num_threads(1)
    runs = DiffusionRuns(options["source"], work, options["ratio"], options["seed"])
    keep = {"generator": NAME, "seed": options["seed"], "n": runs.n, "ratio": runs.ratio, "test_rows": len(runs.truth)}
    settings = private_settings(NAME, {})
    steps = Steps(*private_steps(NAME, settings, runs.n))
    rows = []

    def add(models: str, found: list[Any], cost: PrivateFit | None, **more: Any) -> None:
        told = json.loads(runs.cost_file(cost).read_text()) if runs.cost_file(cost).exists() else {}
        rows.append({**keep, "models": models, **more, **runs.score(found), **told})

    for total in options["epsilons"]:
        one = plan_privacy(total, float(options["delta"]), 1, runs.n, [steps], models="each")
        same = of(one, runs.key, 0)
        for k in options["members"]:  # one model, drawn from k times
            found = [runs.member(f"one-{total}", j, settings, same) for j in range(k)]
            add("one", found, same, **facts(one, k), sample_rate=steps.sample_rate, steps=steps.steps)
    usual = {key: settings[key] for key in ("width", "layers")} | {"batch_size": 512, "steps": options["plain_steps"]}
    if options["plain_steps"]:
        add("no privacy", [runs.member("plain", 0, usual, None)], None, members=1, settings=usual)
    rows.append({**keep, "models": "real", "members": None, **runs.score([runs.learned(runs.train, 0)])})
    finish(rows, file)


if __name__ == "__main__":
    main(sys.argv[1:])
