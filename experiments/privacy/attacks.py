"""Attacks on ensembles of Adult: overfitted on purpose, with the defaults, and private at several epsilons.

usage: attacks.py [source=FILE] [cases=A;B] [seeds=1] [members=4] --work FOLDER --json FILE

A case is a number of train rows and how the members are fitted to them; CASES lists them. As many rows are asked about
of train as of rows that nobody saw; 4,000 others are the attacker's. Half as many canaries as are drawn are planted.
Finished cases are kept in --work and not done again. The schema is adult_schema.json, from the codebook, in all cases.
Private members share a key that is made anew, so a repeated run has other noise.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import pyarrow as pa
import torch
from measure import SHARED, finish, words

from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import draw_rows
from dge_ray.privacy.attacks.assemble import attack, draw_candidates
from dge_ray.privacy.attacks.membership import Material
from dge_ray.privacy.canaries import draw_canaries, plant
from dge_ray.privacy.key import new_key
from dge_ray.privacy.plan import Steps, plan_privacy
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.table import TableSchema, load_table
from dge_ray.table.public import conform

GENERATOR = "autoregressive"
AUXILIARY = 4_000
DELTA = 1e-5
OVERFITTED = {"epochs": 60, "patience": 60, "dropout": 0.0, "weight_decay": 0.0}
# rows of train, canaries, settings, total epsilon
CASES: dict[str, tuple[int, int, dict[str, Any], float | None]] = {
    "overfitted": (800, 20, OVERFITTED, None),
    "default, few rows": (800, 20, {}, None),
    "epsilon 1": (8_000, 50, {}, 1.0),
    "default": (8_000, 50, {}, None),
    "epsilon 3": (8_000, 50, {}, 3.0),
    "epsilon 10": (8_000, 50, {}, 10.0),
}
COLUMNS = ["income", "sex", "relationship"]


def members_of(train: pa.Table, schema: TableSchema, case: str, count: int, seed: int) -> tuple[list[Any], Any]:
    """The case's fitted members, and the ledger's numbers where they are private."""
    _, _, settings, total = CASES[case]
    seeds = [integer(seed, Purpose.FIT, member=k) for k in range(count)]
    if total is None:
        stopping = {"stopping": train} if settings else {}  # overfitted: nothing ends the fit before its time
        fitted = [make_generator(GENERATOR, **settings).fit(train, schema, seed=s, **stopping) for s in seeds]
        return fitted, None
    n, settings, key = train.num_rows, private_settings(GENERATOR, {}), new_key()
    steps = Steps(*private_steps(GENERATOR, settings, n))
    plan = plan_privacy(total, DELTA, count, n, [steps], models="each")
    fitted = []
    for k, s in enumerate(seeds):
        noise = (plan.noise_multiplier, steps.sample_rate, steps.steps, plan.marginals_multiplier)
        made: Any = make_generator(GENERATOR, **settings)
        fitted.append(made.fit(train, schema, seed=s, private=PrivateFit(steps.clip, *noise, key, k)))
    return fitted, {"spent": plan.spent, "delta": DELTA}


def measure(table: pa.Table, schema: TableSchema, case: str, count: int, seed: int) -> dict[str, Any]:
    n, canaries, _, total = CASES[case]
    order = numpy_generator(seed, Purpose.SPLIT).permutation(table.num_rows)
    cuts = {"train": order[:n], "test": order[n : 2 * n], "auxiliary": order[2 * n : 2 * n + AUXILIARY]}
    parts = {name: table.take(pa.array(rows)) for name, rows in cuts.items()}
    planted = draw_canaries(parts, schema, canaries, seed=seed)
    began = time.process_time()
    train = plant(parts["train"], planted[0])
    members, ledger = members_of(train, schema, case, count, seed)
    fitted = time.process_time()
    rows = [draw_rows(one, n, shard_rows=8_192, seed=seed, member=k) for k, one in enumerate(members)]
    candidates = draw_candidates(parts["train"], parts["test"], n, seed=seed, canaries=planted)
    material = Material(schema, rows, parts["auxiliary"], candidates.table(), members, seed)
    found = attack(material, candidates, COLUMNS, ledger)
    cost = {"fit_cpu_s": fitted - began, "attack_cpu_s": time.process_time() - fitted}
    return {"case": case, "seed": seed, "n": n, "members": count, "epsilon": total, **cost, **found}


def main(argv: list[str]) -> None:
    if "--work" not in argv:
        sys.exit("--work: got nothing; takes a folder")
    at = argv.index("--work")
    work, argv = Path(argv[at + 1]), argv[:at] + argv[at + 2 :]
    work.mkdir(parents=True, exist_ok=True)
    source = str(SHARED / "adult.parquet")
    _, options, file = words(argv, source=source, cases=";".join(CASES), seeds=1, members=4)
    torch.set_num_threads(1)
    schema = TableSchema.from_json((Path(__file__).parent / "adult_schema.json").read_text())
    table = conform(load_table(options["source"]).drop_columns(["split"]), schema)
    rows = []
    for case in options["cases"].split(";"):
        for seed in range(options["seeds"]):
            kept = work / f"{case}-{options['members']}-{seed}.json"
            if not kept.exists():
                kept.write_text(json.dumps(measure(table, schema, case, options["members"], seed)))
            rows.append(json.loads(kept.read_text()))
            print(case, seed, [(one["name"], round(one["auc"], 4)) for one in rows[-1]["attacks"]], flush=True)
    finish(rows, file)
    print("\n".join(table_lines(rows)))


def table_lines(rows: list[dict[str, Any]]) -> list[str]:
    """The README's tables: AUC by attack, true positives and attributes, and canaries."""
    names = [one["name"] for one in rows[0]["attacks"]]
    lines = ["| case | " + " | ".join(names) + " | allowed |", "|---" * (len(names) + 2) + "|"]
    for row in rows:
        cells = [
            f"{one['auc']:.3f} ({one['auc_interval'][0]:.3f}-{one['auc_interval'][1]:.3f})" for one in row["attacks"]
        ]
        allowed = f"{row['privacy']['auc_at_most']:.3f}" if row["privacy"] else "1"
        lines.append(f"| {row['case']} | " + " | ".join(cells) + f" | {allowed} |")
    lines += ["", "| case | " + " | ".join(names) + " | nearer to train | largest leak of an attribute |"]
    lines.append("|---" * (len(names) + 3) + "|")
    for row in rows:
        cells = ["{:.1%} ({:.1%}-{:.1%})".format(*one["tpr_at_fpr"]["0.01"]) for one in row["attacks"]]
        near, leak = row["nearest"], max(row["attributes"], key=lambda one: one["leak"][0])
        closer = f"{near['closer']:.1%} ({near['interval'][0]:.1%}-{near['interval'][1]:.1%})"
        leaked = "{}: {:+.3f} ({:+.3f} to {:+.3f})".format(leak["column"], *leak["leak"])
        lines.append(f"| {row['case']} | " + " | ".join(cells) + f" | {closer} | {leaked} |")
    lines += ["", "| case | " + " | ".join(names) + " | without planting | most |", "|---" * (len(names) + 3) + "|"]
    for row in rows:
        ranked = row["canaries"]["ranked"]
        cells = [f"{one['mean']:.2f}, p {one['p_value']:.2g}" for one in ranked]
        last = f" | {ranked[0]['unplanted']:.2f} | {ranked[0]['most']:.2f} |"
        lines.append(f"| {row['case']} | " + " | ".join(cells) + last)
    return lines


if __name__ == "__main__":
    main(sys.argv[1:])
