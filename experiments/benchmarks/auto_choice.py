"""What a pilot chooses on tables of many sizes, beside what every candidate would have come to.

usage: auto_choice.py [tables=pima_diabetes,magic] [seeds=1] [rows=6000] [members=4] [ratios=1,4] [work=FOLDER]
                      [data=FOLDER] [--json FILE]

A cell is a table and a seed. Of a table, `rows` rows at most are a study's, and at most 10,000 of the others, at least
a quarter of all, its test rows. The pilot is the study's own, without Ray: its candidates, fits, rows and rule. Every
candidate then gets `members` members at all `ratios`, the first of them the pilot's, and is scored on the test rows at
the volume that is best on validation. gap: how much worse the chosen one is than the best one, in AUC, or as a share of
the RMSE, each a mean over seeds. share: CPU-seconds of the pilot over those of a study with the chosen generator, which
its fits are taken from: the members that it has at least, at the default ratios, each fit as dear as its rows are many.

Files of finished fits stay in `work`, and the same command goes on from there.
"""

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from measure import SHARED, finish, words
from sklearn.model_selection import train_test_split
from small import TEST, read

from dge_ray.commands import pilot
from dge_ray.distributed.demand import Demand
from dge_ray.distributed.pilot import is_done, pilot_member
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import metric_value
from dge_ray.storage import Folder
from dge_ray.study.config import DEFAULT_RATIOS
from dge_ray.study.downstream_spec import DownstreamSpec
from dge_ray.study.pilot.record import settled
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.read_config import read_config
from dge_ray.study.records.costs import drawn_shards, job_seconds, member_seconds
from dge_ray.study.records.files import PILOT
from dge_ray.study.records.predictions import Job, read_predictions
from dge_ray.table import TableCodec, infer_schema, target_vector

TEN = (
    "heart_disease,pima_diabetes,breast_cancer,diabetes,insurance,abalone,shoppers,magic,california_housing,"
    "bank_marketing"
)
MOST_TEST_ROWS = 10_000


def main(argv: list[str]) -> None:
    defaults = dict(tables=TEN, seeds=1, rows=6_000, members=4, ratios="1,4", work="auto_choice", data=str(SHARED))
    _, options, file = words(argv, **defaults)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    ratios = [float(ratio) for ratio in str(options["ratios"]).split(",")]
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options["seeds"]):
        for name in str(options["tables"]).split(","):
            prepared, folder = study(name, seed, options)
            found.setdefault(name, []).append(cell(prepared, folder, options["members"], ratios))
            print(name, seed, found[name][-1], file=sys.stderr, flush=True)
    head = {"benchmark": "auto_choice", **{key: options[key] for key in ("rows", "members", "ratios")}}
    finish([{**head, "table": name, **compared(cells)} for name, cells in found.items()], file)


def study(name: str, seed: int, options: dict[str, Any]) -> tuple[Prepared, Folder]:
    """The study's input, of a table that says which rows are test rows, and its folder."""
    table, target = read(name, options["data"])
    schema = infer_schema(table, target=target)
    y = target_vector(TableCodec(schema).encode(table), schema)
    test = min(MOST_TEST_ROWS, max(len(y) // TEST, len(y) - options["rows"]))
    sizes = {"test_size": test, "train_size": min(options["rows"], len(y) - test)}
    classes = y if schema.classes else None
    draw = integer(seed, Purpose.SUBSAMPLE, bits=32)
    parts = train_test_split(np.arange(len(y)), **sizes, stratify=classes, random_state=draw)
    part = np.repeat("train", len(parts[0])).tolist() + np.repeat("test", len(parts[1])).tolist()
    table = table.take(np.concatenate(parts)).append_column("part", pa.array(part))
    work = Path(options["work"]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, work / f"{name}-{seed}.parquet")
    given = [f"target={target}", "split_column=part", f"seed={seed}", "tracking=false", f"storage={work}"]
    config = read_config(str(work / f"{name}-{seed}.parquet"), [*given, "generator=auto"])
    folder = Folder.open(config.storage) / str(config.study)
    return prepare(settled(config, folder)[0]), folder


def cell(prepared: Prepared, folder: Folder, members: int, ratios: Sequence[float]) -> dict[str, Any]:
    """What was chosen, every candidate's score on the test rows, and what pilot and study cost."""
    real = prepared.encoded()

    def fitted(specs: Mapping[str, tuple[DownstreamSpec, int]], **_: Any) -> None:
        for spec, member in specs.values():
            if not is_done(spec, member):
                pilot_member(spec, member, "cpu", prepared.parts["train"], prepared.parts["stopping"], real)

    pilot.run_pilot = fitted
    pilot.piloted(prepared, folder, Demand(), lambda _: None)
    record, plan = folder.read_json(PILOT), pilot.pilot_plan(prepared)
    volumes = [round(ratio * prepared.base) for ratio in ratios]
    wanted = sorted({one.fit(k) for one in plan.candidates for k in range(members)})
    specs = {(fit, m): pilot.pilot_spec(prepared, folder, fit, m) for fit in wanted for m in volumes}
    fitted({f"{fit}-{m}": (spec, fit[1]) for (fit, m), spec in specs.items()})
    chosen = next(one for one in plan.candidates if one.name == record["chosen"])
    planned = pilot.least_members(prepared.config)
    price = [price_of(specs, chosen.fit(k), volumes, prepared) for k in range(members)]
    own = sum(row.get("cpu_seconds", 0.0) for row in record["candidates"] if row["chosen"])
    return {
        "rows": prepared.rows,
        "metric": score_of(prepared),
        "chosen": record["chosen"],
        "test": {
            one.name: tested(prepared, specs, [one.fit(k) for k in range(members)], volumes) for one in plan.candidates
        },
        "validation": {row["name"]: row.get("score") for row in record["candidates"]},
        "left_out": record["left_out"],
        "pilot_cpu_s": record["cpu_seconds"],
        "study_cpu_s": planned * float(np.mean(price)) + record["cpu_seconds"] - own,
    }


Specs = Mapping[tuple[pilot.Fit, int], DownstreamSpec]


def score_of(prepared: Prepared) -> str:
    """AUC of two classes, or else the study's metric."""
    return "auc" if prepared.task == "binary" else prepared.metric


def tested(prepared: Prepared, specs: Specs, fits: Sequence[pilot.Fit], volumes: Sequence[int]) -> float:
    """The ensemble's test score at the volume that is best on validation."""
    found = []
    for volume in volumes:
        of = []
        for fit in fits:
            spec, job = specs[fit, volume], Job("member", fit[1], volume)
            of.append(read_predictions(spec.members.folder, next(iter(spec.learners)), job, prepared.width))
        mean = {part: ensemble_mean([p[part] for p in of]) for part in ("validation", "test")}
        risk = metric_value(prepared.metric, mean["validation"], prepared.truth("validation"))
        found.append((risk, metric_value(score_of(prepared), mean["test"], prepared.truth("test"))))
    return float(f"{min(found)[1]:.6g}")


def price_of(specs: Specs, fit: pilot.Fit, volumes: Sequence[int], prepared: Prepared) -> float:
    """CPU-seconds of a member of a study at the default ratios; a learner's fit is a line in its rows."""
    spec = specs[fit, volumes[0]]
    folder, label = spec.members.folder, next(iter(spec.learners))
    drawn = sum(shard["cpu_seconds"] for shard in drawn_shards(folder, fit[1])) / volumes[-1]
    learned = [job_seconds(folder, label, Job("member", fit[1], m)) or 0.0 for m in volumes]
    slope, start = np.polyfit(volumes, learned, 1)
    asked = np.array(DEFAULT_RATIOS) * prepared.base
    return float(member_seconds(folder, fit[1]) + drawn * asked.max() + np.maximum(start + slope * asked, 0.0).sum())


def compared(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds: of each candidate's score, of the chosen one's, and how far that is from the best."""
    metric = cells[0]["metric"]
    names = set.intersection(*(set(c["test"]) for c in cells))
    mean = {name: float(np.mean([c["test"][name] for c in cells])) for name in sorted(names)}
    own = float(np.mean([c["test"][c["chosen"]] for c in cells]))
    gap = max(mean.values()) - own if metric == "auc" else own / min(mean.values()) - 1
    return {
        "metric": metric,
        "rows": cells[0]["rows"],
        "seeds": len(cells),
        "test": mean,
        "chosen": [c["chosen"] for c in cells],
        "test_of_chosen": own,
        "gap": gap,
        "share": float(np.mean([c["pilot_cpu_s"] / c["study_cpu_s"] for c in cells])),
        "pilot_cpu_s": float(np.mean([c["pilot_cpu_s"] for c in cells])),
        "left_out": cells[0]["left_out"],
        "validation": [c["validation"] for c in cells],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
