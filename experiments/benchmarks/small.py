"""Ensembles on synthetic rows against the best model of real rows, on tables of a few hundred rows.

usage: small.py [tables=pima_diabetes,wine] [splits=10] [families=trees,autoregressive] [ratios=1,4] [cells=FILE]
                [data=FOLDER] [--json FILE]

A cell is a table and a split: a quarter of its rows are test rows, the others are cut into four folds. Both sides are
chosen by the same cross-fitted rows, and neither choice sees a test row.

real: a constant, linear models, boosting that stops early with three settings, four fits of it on four fifths of the
rows each, a forest. Each is fitted
without a fold and predicts that fold; the one with the least risk is fitted again on all rows but the test rows.
synthetic: of each family a member a fold, whose generator has not seen that fold; learners are fitted on its first
`ratios` x as many rows, and predict the fold. What has the least risk is chosen, over family, learner and volume, and
its members' mean predicts the test rows. They are not fitted again: each has seen three quarters of the rows. A mixed
family is the members of both of its kinds.
pilot: what the rule of generator=auto chooses of the families, for each learner and ratio and with each fold alone as
the validation rows, and what a rule does that takes the cheapest within one standard error. excess: how much worse than
the family that is best on average over the splits, as a share of its risk: of each rule and of each family.

A finished cell is a line of JSON in `cells` (made anew where there is none); the same command goes on from there.
The interval of the mean difference over splits is Student's, with the variance of overlapping splits as Nadeau and
Bengio (2003, section 3.4) correct it: (1/splits + test rows / fitted rows) times that of the differences.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import torch
from measure import SHARED, finish, words
from mends import TABLES
from scipy.stats import t as student

from dge_ray.downstream import make_learner
from dge_ray.evaluation.crossfit import row_folds
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import check_metric, metric_value
from dge_ray.study.pilot.candidates import CANDIDATES, PREFERRED
from dge_ray.study.pilot.choice import judge
from dge_ray.table import Columns, TableCodec, TableSchema, infer_schema, load_table, target_vector
from dge_ray.table.arrow.arrow_types import pc

BUILT_IN = ("breast_cancer", "diabetes", "wine")
SMALL = ("heart_disease", "pima_diabetes", "insurance", *BUILT_IN)
FAMILIES = ("trees", "autoregressive", "trees-boosted", "mixed", "mixed-boosted")
TEST, FOLDS, BAGS = 4, 4, 4  # TEST: one row in so many is a test row
BAG = 0.8
LEVEL = 0.95
LEARNERS = ("linear", "boosting_stopped")
BOOSTING: tuple[dict[str, Any], ...] = (
    {},
    {"max_leaf_nodes": 8, "l2_regularization": 1.0},
    {"max_leaf_nodes": 4, "min_samples_leaf": 10, "max_features": 0.5},
)
LINEAR = {
    "classification": ({}, {"C": 0.1}, {"C": 0.01}),
    "regression": ({}, {"alpha": 10.0}, {"alpha": 100.0}),
}
RULES = {
    "preferred": PREFERRED,
    "cheapest": ("trees", "trees-boosted", "mixed", "mixed-boosted", "autoregressive", "diffusion"),
}
Parts = Sequence[pa.Table]  # the rows to fit on, and the test rows
Predictions = tuple[np.ndarray, np.ndarray]  # of the rows that are fitted on, by models that had not, and of the test's


def main(argv: list[str]) -> None:
    defaults = dict(tables=",".join(SMALL), splits=10, families=",".join(FAMILIES), ratios="1,4", cells=None)
    _, options, file = words(argv, **defaults, data=str(SHARED))
    torch.set_num_threads(1)
    if options["splits"] < 2:
        sys.exit(f"splits: got {options['splits']}; takes a whole number from 2")
    tables, families = (str(options[key]).split(",") for key in ("tables", "families"))
    ratios = [float(ratio) for ratio in str(options["ratios"]).split(",")]
    path = None if options["cells"] is None else Path(options["cells"])
    cells = [json.loads(line) for line in path.read_text().splitlines()] if path is not None and path.exists() else []
    done = {(cell["table"], cell["split"]) for cell in cells}
    for split in range(options["splits"]):
        for name in tables:
            if (name, split) not in done:
                cells.append(cell(name, split, families, ratios, options["data"]))
                if path is not None:
                    with path.open("a") as lines:
                        lines.write(json.dumps(cells[-1]) + "\n")
                print(shown(cells[-1]), file=sys.stderr, flush=True)
    head = {"benchmark": "small", "ratios": ratios, "families": families}
    finish([{**head, **compared([c for c in cells if c["table"] == name])} for name in tables], file)


def cell(name: str, split: int, families: Sequence[str], ratios: Sequence[float], data: str) -> dict[str, Any]:
    """Every candidate's risk, [cross-fitted, test], on one split of one table."""
    started = time.process_time()
    *parts, schema = parted(name, split, data)
    codec = TableCodec(schema)
    truths = tuple(target_vector(codec.encode(part), schema) for part in parts)
    folds = row_folds(truths[0], FOLDS, seed=split, member=1)
    sides: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        real = real_models(codec, parts, folds, split)
        made = ensembles(codec, parts, folds, split, families, ratios)
    for side, found in (("real", real), ("synthetic", made)):
        sides[side] = {key: risks(predicted, truths, schema) for key, predicted in found.items()}
    sides["pilot"] = piloted(made, truths[0], folds, schema)
    head = {"table": name, "split": split, "rows": parts[0].num_rows, "test_rows": parts[1].num_rows}
    head["metric"] = check_metric(None, str(schema.task))
    return {**head, **sides, "cpu_s": time.process_time() - started}


def read(name: str, data: str) -> tuple[pa.Table, str]:
    """A table without what is no feature, and its target."""
    target, dropped = TABLES.get(name, ("target", []))
    table = load_table(name if name in BUILT_IN else f"{data}/{name}.parquet").drop_columns(dropped)
    table = table.filter(table[target].is_valid())
    if name == "heart_disease":  # whether there is one, as it is mostly asked: one of its four grades has 13 rows
        at, sick = table.column_names.index(target), pc.not_equal(pc.cast(table[target], pa.string()), "0")
        table = table.set_column(at, target, pc.if_else(sick, "yes", "no"))
    return table, target


def parted(name: str, split: int, data: str) -> tuple[pa.Table, pa.Table, TableSchema]:
    """The rows to fit on, the test rows and the schema; classes have their shares in both."""
    table, target = read(name, data)
    schema = infer_schema(table, target=target)
    table = table.select(schema.names)
    held = row_folds(target_vector(TableCodec(schema).encode(table), schema), TEST, seed=split, member=0) == 0
    return table.filter(pa.array(~held)), table.filter(pa.array(held)), schema


def risks(predicted: Predictions, truths: tuple[np.ndarray, ...], schema: TableSchema) -> list[float]:
    metric = check_metric(None, str(schema.task))
    return [float(f"{metric_value(metric, p, y):.6g}") for p, y in zip(predicted, truths, strict=True)]


def real_models(codec: TableCodec, parts: Parts, folds: np.ndarray, seed: int) -> dict[str, Predictions]:
    """Predictions of every model of real rows."""
    rows, held, schema = *map(codec.encode, parts), codec.schema
    linear = LINEAR["classification" if schema.classes else "regression"]
    models = {"constant": ("", {}), **{f"linear{i}": ("linear", settings) for i, settings in enumerate(linear)}}
    models |= {f"boosting{i}": ("boosting_stopped", settings) for i, settings in enumerate(BOOSTING)}
    models |= {"bagged": ("bagged", BOOSTING[1]), "forest": ("forest", {})}
    found = {}
    for name, (learner, settings) in models.items():
        out = np.empty((len(folds), len(schema.classes) or 1))
        for fold in range(FOLDS):
            seen, unseen = (taken(rows, kept) for kept in (folds != fold, folds == fold))
            out[folds == fold] = predicted(learner, settings, seen, unseen, schema, seed)
        found[name] = out, predicted(learner, settings, rows, held, schema, seed)
    return found


def predicted(
    name: str, settings: Mapping[str, Any], rows: Columns, asked: Columns, schema: TableSchema, seed: int
) -> np.ndarray:
    """What a model of `rows` says of the rows asked about."""
    count = len(next(iter(asked.values())))
    if name == "":
        y = target_vector(rows, schema)
        counts = np.bincount(y, minlength=len(schema.classes)) + 1.0 if schema.classes else None
        return np.tile([y.mean()] if counts is None else counts / counts.sum(), (count, 1))
    if name == "bagged":
        many = len(next(iter(rows.values())))
        orders = [numpy_generator(seed, Purpose.BOOTSTRAP, member=bag).permutation(many) for bag in range(BAGS)]
        bags = [
            taken(rows, np.sort(order[: round(BAG * many)])) for order in orders
        ]  # duplicates would mislead its stop
        return ensemble_mean([predicted("boosting_stopped", settings, bag, asked, schema, seed) for bag in bags])
    learner = make_learner(name, settings, schema, seed=integer(seed, Purpose.LEARNER, bits=31))
    return learner.fit(rows).predict(asked)


def ensembles(
    codec: TableCodec, parts: Parts, folds: np.ndarray, seed: int, families: Sequence[str], ratios: Sequence[float]
) -> dict[str, Predictions]:
    """By family/learner/ratio: of a fold by the member that has not seen it, of the test rows by all members."""
    (fitted, test), schema = parts, codec.schema
    rows, held = codec.encode(fitted), codec.encode(test)
    wanted = [one for one in CANDIDATES if one.name in families]
    kinds = {one.fit(k)[0] for one in wanted for k in range(2)}
    single: dict[str, Predictions] = {}
    for kind in sorted(kinds):
        (choice,) = next(one.generators for one in CANDIDATES if one.name == kind)
        outs: dict[str, tuple[np.ndarray, list[np.ndarray]]] = {}
        for fold in range(FOLDS):
            seen, unseen = fitted.filter(pa.array(folds != fold)), taken(rows, folds == fold)
            generator = make_generator(choice.name, **choice.settings)
            generator.fit(seen, schema, seed=integer(seed, Purpose.FIT, member=fold))
            most = round(max(ratios) * seen.num_rows)
            drawn = codec.encode(generator.sample(most, seed=integer(seed, Purpose.SHARD, member=fold)))
            for ratio in ratios:
                some = taken(drawn, slice(0, round(ratio * seen.num_rows)))
                for name in LEARNERS:
                    learner = make_learner(name, {}, schema, seed=integer(seed, Purpose.LEARNER, member=fold, bits=31))
                    learner.fit(some)
                    shape = (len(folds), len(schema.classes) or 1)
                    out, members = outs.setdefault(f"{name}/{ratio:g}", (np.empty(shape), []))
                    out[folds == fold] = learner.predict(unseen)
                    members.append(learner.predict(held))
        single |= {f"{kind}/{key}": (out, ensemble_mean(members)) for key, (out, members) in outs.items()}
    found = {}
    for one in wanted:
        parts = list(dict.fromkeys(one.fit(k)[0] for k in range(2)))
        for key in [key.partition("/")[2] for key in single if key.startswith(f"{parts[0]}/")]:
            pairs = [single[f"{part}/{key}"] for part in parts]
            found[f"{one.name}/{key}"] = tuple(ensemble_mean(values) for values in zip(*pairs, strict=True))
    return found


def piloted(
    found: Mapping[str, Predictions], truth: np.ndarray, folds: np.ndarray, schema: TableSchema
) -> dict[str, dict[str, list[str]]]:
    """By rule and learner/ratio, which family is chosen on each fold."""
    metric = check_metric(None, str(schema.task))
    keys = dict.fromkeys(name.partition("/")[2] for name in found)
    of_key = {key: [name for name in found if name.partition("/")[2] == key] for key in keys}

    def chosen_on(names: Sequence[str], fold: int, order: Sequence[str]) -> str:
        predictions = {name.partition("/")[0]: found[name][0][None, folds == fold] for name in names}
        table = judge(predictions, truth[folds == fold], metric=metric, preferred=order)
        return next(row["name"] for row in table if row["chosen"])

    return {
        rule: {key: [chosen_on(names, fold, order) for fold in range(FOLDS)] for key, names in of_key.items()}
        for rule, order in RULES.items()
    }


def excesses(cells: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Of each rule and each family, the mean over learners and ratios."""
    found: dict[str, list[float]] = {}
    for key in cells[0]["pilot"]["preferred"]:
        families = [name.partition("/")[0] for name in cells[0]["synthetic"] if name.partition("/")[2] == key]
        mean = {one: float(np.mean([c["synthetic"][f"{one}/{key}"][1] for c in cells])) for one in families}
        for rule in RULES:
            own = [c["synthetic"][f"{one}/{key}"][1] for c in cells for one in c["pilot"][rule][key]]
            mean[rule] = float(np.mean(own))
        least = min(mean[one] for one in families)
        for name, risk in mean.items():
            found.setdefault(name, []).append(risk / least - 1)
    return {name: float(np.mean(values)) for name, values in found.items()}


def taken(columns: Columns, rows: np.ndarray | slice) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def chosen(candidates: Mapping[str, Sequence[float]]) -> str:
    """The least cross-fitted risk."""
    return min(candidates, key=lambda name: candidates[name][0])


def compared(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The chosen ensemble against the chosen real model of the same splits; regret: how far each is from the best."""
    sides = {side: [(c[side], chosen(c[side])) for c in cells] for side in ("real", "synthetic")}
    risk = {side: np.array([found[name][1] for found, name in of]) for side, of in sides.items()}
    least = {side: np.array([min(v[1] for v in found.values()) for found, _ in of]) for side, of in sides.items()}
    mean, half = corrected(risk["synthetic"] - risk["real"], cells[0]["test_rows"] / cells[0]["rows"])
    verdict = "level" if abs(mean) <= half else "ensemble better" if mean < 0 else "ensemble worse"
    return {
        **{key: cells[0][key] for key in ("table", "metric", "rows", "test_rows")},
        "splits": len(cells),
        **{side: float(risk[side].mean()) for side in sides},
        "difference": mean,
        "interval": [mean - half, mean + half],
        "relative": mean / float(risk["real"].mean()),
        "verdict": verdict,
        "regret": {side: float((risk[side] - least[side]).mean()) for side in sides},
        "excess": excesses(cells),
        "chosen": {side: [name for _, name in of] for side, of in sides.items()},
        "cpu_s": float(np.mean([c["cpu_s"] for c in cells])),
    }


def corrected(differences: np.ndarray, test_over_fitted: float) -> tuple[float, float]:
    """The mean, and half of its interval's width."""
    many = len(differences)
    variance = (1 / many + test_over_fitted) * differences.var(ddof=1)
    return float(differences.mean()), float(student.ppf((1 + LEVEL) / 2, many - 1) * variance**0.5)


def shown(one: dict[str, Any]) -> str:
    """A line of progress."""
    told = (f"{side} {(best := chosen(one[side]))} {one[side][best][1]:.4g}" for side in ("real", "synthetic"))
    return f"{one['table']} {one['split']}: {', '.join(told)} ({one['cpu_s']:.0f} CPU-s)"


if __name__ == "__main__":
    main(sys.argv[1:])
