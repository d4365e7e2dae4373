"""Which of seven estimators? Chosen by naive evaluation and by DGE, against the ranking on real rows, over repeats.

    python experiments/dge2023/choice.py [BUNDLE ...] [tables=moons,circles,breast_cancer] [repeats=4] [members=6]
                                         [full=true] --json FILE

A repeat is a split of the table and an ensemble of `autoregressive` members of its own seed; a BUNDLE is one that
`evaluation.py` has left. Each estimator is trained on four fifths of each member's rows and judged as there; the ranks
by each judge are those of `dge-ray select` (`selection.ranking`). Intervals are t intervals over repeats, DGE minus
naive paired; repeats share the table, so they are about other splits and members of it.
"""

import json
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from judged import SPLIT, judge, write_members
from measure import environment, words

from dge_ray.commands.select import DEFAULT, ranking
from dge_ray.evaluation.judging import estimates
from dge_ray.stats.metrics.losses import higher_is_better
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config

METRICS = ("auc", "accuracy")
FACTS = ("tau", "rho", "regret", "top", "error")
BY = ("dge", "naive")
# breast_cancer has 569 rows: about 300 to fit on
OTHER_SPLITS = {"breast_cancer": ("test_fraction=0.4", "validation_fraction=0.05", "stopping_fraction=0.05")}


def ranked(place: Path) -> dict[str, Any]:
    """{metric: scores, ranks, agreement and regret of the seven estimators}, and what each judge's choice is worth."""
    started, names = process_time(), DEFAULT["classification"]
    judged = judge(place, [(name, {}) for name in names])
    answer: dict[str, Any] = {}
    for metric in METRICS:
        made = {name: estimates(results, metric) for name, results in zip(names, judged, strict=True)}
        found = ranking(made, higher=higher_is_better(metric))
        if found is not None:  # else some judge's rows are of one class
            scores = {name: {by: one.value for by, one in e.items()} for name, e in made.items() if e is not None}
            answer[metric] = {**found, "scores": scores, "facts": facts(found, scores)}
    return {**answer, "cpu_seconds": process_time() - started}


def facts(found: dict[str, Any], scores: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Of each judge: tau-b and rho with the ranks on real rows, regret, chance of the same top, mean absolute error.

    tau and rho are 0 where a judge calls all estimators equal: such a ranking says nothing.
    """
    answer, real = {}, set(found["top"]["real"])
    for by in BY:
        agreement, own = found["agreement"][f"{by}_real"], set(found["top"][by])
        answer[by] = {
            "tau": agreement["kendall"] or 0.0,
            "rho": agreement["spearman"] or 0.0,
            "regret": found["regret"][by],
            "top": len(real & own) / (len(real) * len(own)),
            "error": float(np.mean([abs(one[by] - one["real"]) for one in scores.values()])),
        }
    return answer


def summary(rows: Sequence[dict[str, Any]], metric: str) -> dict[str, Any]:
    """{fact: {judge or "difference": [mean, lo, hi]}} over repeats, where the metric is defined."""
    known = [row[metric]["facts"] for row in rows if metric in row]
    answer: dict[str, Any] = {"repeats": len(known)}
    for name in FACTS if known else ():
        values = np.array([[found[by][name] for by in BY] for found in known])
        answer[name] = {by: interval(values[:, at]) for at, by in enumerate(BY)}
        answer[name]["difference"] = interval(values[:, 0] - values[:, 1])
    return answer


def interval(values: np.ndarray) -> list[float | None]:
    """Mean and 95 % t interval over repeats; no interval for one. Shape: (R,)."""
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return [mean, None, None]
    half = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return [mean, mean - half, mean + half]


def line(name: str, found: dict[str, Any], metric: str) -> str:
    """A row of README.md's table: DGE's mean over repeats, naive's, and the difference of tau and of the errors."""
    if not found["repeats"]:
        return f"| {name}, {metric} | not defined |"
    cells = [f"{found[fact]['dge'][0]:.3f}, {found[fact]['naive'][0]:.3f}" for fact in FACTS]
    for fact in ("tau", "error"):
        mean, low, high = found[fact]["difference"]
        cells.append(f"{mean:+.3f}" + ("" if low is None else f" ({low:+.3f} to {high:+.3f})"))
    return f"| {name}, {metric} | {found['repeats']} | {' | '.join(cells)} |"


def repeats_of(table: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    """So many splits and ensembles of a table."""
    rows, split = [], OTHER_SPLITS.get(table, SPLIT[bool(options["full"])])
    for seed in range(options["repeats"]):
        prepared = prepare(read_config(table, [f"seed={seed}", *split]))
        with tempfile.TemporaryDirectory() as scratch:
            seconds = write_members(prepared, Path(scratch), members=options["members"])
            found = ranked(Path(scratch))
        generator = {"generator": prepared.config.generator_name, "generator_cpu_seconds": float(np.mean(seconds))}
        rows.append({"table": table, "seed": seed, "rows": prepared.rows, **generator, **found})
    return rows


def main(argv: list[str]) -> None:
    defaults = {"tables": "moons,circles,breast_cancer", "repeats": 4, "members": 6, "full": False}
    bundles, options, file = words(argv, **defaults)
    warnings.simplefilter("ignore")  # an MLP's 200 rounds, converged or not
    groups: dict[str, list[dict[str, Any]]] = {}
    with threadpool_limits(limits=1):
        import torch

        torch.set_num_threads(1)
        tables = [table for table in str(options["tables"]).split(",") if options["repeats"]]
        for name in [*bundles, *tables]:
            key = Path(name).name
            groups[key] = repeats_of(name, options) if name in tables else [{"table": key, **ranked(Path(name))}]
            for metric in METRICS:
                print(line(key, summary(groups[key], metric), metric), flush=True)
            if file is not None:
                found = {key: {metric: summary(rows, metric) for metric in METRICS} for key, rows in groups.items()}
                record = {**options, "summaries": found, "repeats": groups, **environment()}
                file.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
