"""What four changes of the autoregressor are worth, each before and after, on the same rows and with the same seeds.

usage: mends.py [tables=shoppers,magic] [seeds=3] [rows=10000] [steps=order|width|private|place]
                [data=FOLDER] [--json FILE]

steps=order: the target first and in place; last (A); with output biases settled (A+B); with smoothed gradients too
(A+B+C). steps=width: all three, with hidden 64 and 12 epochs, and 128 and 24 (D). steps=private: private fits at
epsilon 3, of gradients as they come and smoothed (C). steps=place: the table's target column first, in the middle and
last, with `autoregressive` and `trees` at their defaults. A seed is a split and a fit:
a quarter of the rows, at most 5,000, are test rows, and of the others at most `rows` are fitted, the generator's own
stopping rows among them. As many synthetic rows as fitted ones, at least 4,000, train the learners `boosting` and
`linear`, which are scored on the test rows.

nats: mean -log p of the test rows that have one. shape: mean column error against the fitted rows, in per cent. class:
how far the rarest class's share of the drawn rows is from that of the fitted ones, in standard errors of as many rows
as were fitted (where as many are drawn, .8 on average of a perfect law). fit: CPU-seconds.
"""

import os
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import torch
from measure import SHARED, finish, words
from sklearn.metrics import log_loss, r2_score, roc_auc_score

from dge_ray.downstream import make_learner
from dge_ray.generators.autoregressive import smoothing, training
from dge_ray.generators.autoregressive.generator import Autoregressive
from dge_ray.generators.base import Generator
from dge_ray.generators.private.defaults import private_settings, private_steps
from dge_ray.generators.private.fit import PrivateFit
from dge_ray.generators.registry import make_generator
from dge_ray.generators.trees.generator import Trees
from dge_ray.privacy.plan import Steps, plan_privacy
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.utility.fidelity import shape_error
from dge_ray.table import TableCodec, TableSchema, infer_schema, load_table, target_vector

TABLES = {  # target, and columns that are no features
    "heart_disease": ("num", []),
    "pima_diabetes": ("Outcome", []),
    "insurance": ("charges", []),
    "abalone": ("Rings", []),
    "shoppers": ("Revenue", []),
    "magic": ("class", []),
    "california_housing": ("MedHouseVal", []),
    "adult": ("income", ["split"]),
    "bank_marketing": ("y", []),
    "beijing": ("pm2.5", ["No"]),
    "credit_default": ("default.payment.next.month", ["ID"]),
}
MOST_TEST_ROWS = 5_000
LEAST_DRAWN = 4_000
EPSILON = 3.0
PLAIN = {"hidden": 64}


def main(argv: list[str]) -> None:
    _, options, file = words(argv, tables=",".join(TABLES), seeds=3, rows=10_000, steps="order", data=str(SHARED))
    torch.set_num_threads(1)
    laws = {"order": in_order, "width": in_width, "private": in_private, "place": in_place}[options["steps"]]
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for seed in range(options["seeds"]):
        for name in str(options["tables"]).split(","):
            train, test, target = split(name, options, seed)
            schema = infer_schema(pa.concat_tables([train, test]), target=target)
            for step, generator, seconds in laws(train, schema, seed):
                scores = {**judged(generator, schema, train, test, seed), "fit": seconds}
                print(name, seed, step, {k: round(v, 4) for k, v in scores.items()}, file=sys.stderr, flush=True)
                row = found.setdefault((name, step), {})
                for key, value in scores.items():
                    row.setdefault(key, []).append(float(f"{value:.5g}"))
    head = {"benchmark": "mends", **{key: options[key] for key in ("steps", "seeds", "rows")}}
    finish([{**head, "table": name, "step": step, **scores} for (name, step), scores in found.items()], file)


def split(name: str, options: dict[str, Any], seed: int) -> tuple[pa.Table, pa.Table, str]:
    target, dropped = TABLES[name]
    table = load_table(f"{options['data']}/{name}.parquet").drop_columns(dropped)
    table = table.filter(table[target].is_valid())
    order = numpy_generator(seed, Purpose.SUBSAMPLE).permutation(table.num_rows)
    cut = min(MOST_TEST_ROWS, table.num_rows // 4)
    return table.take(np.sort(order[cut : cut + options["rows"]])), table.take(order[:cut]), target


Laws = Iterator[tuple[str, Generator, float]]


def in_order(train: pa.Table, schema: TableSchema, seed: int) -> Laws:
    """Fits without and with each step, and their CPU-seconds. What has no setting is switched off where it stands."""
    first = TableSchema(
        tuple(sorted(schema.columns, key=lambda c: c.name != schema.target)), schema.target, schema.task
    )
    shared, settle = smoothing.SHARED, training.settle_marginals
    held: list[Any] = []
    training.settle_marginals = lambda *given: held.append(given)
    smoothing.SHARED = 0.0
    yield "target first", *fitted({**PLAIN, "target": "in_place"}, train, first, seed)
    generator, seconds = fitted(PLAIN, train, schema, seed)
    yield "A", generator, seconds
    yield "A+B", generator, seconds + timed(settle, *held[-1])
    smoothing.SHARED = shared
    generator, seconds = fitted(PLAIN, train, schema, seed)
    yield "A+B+C", generator, seconds + timed(settle, *held[-1])
    training.settle_marginals = settle


def in_width(train: pa.Table, schema: TableSchema, seed: int) -> Laws:
    for hidden, epochs in ((64, 12), (128, 24)):
        yield f"{hidden} units, {epochs} epochs", *fitted({"hidden": hidden, "epochs": epochs}, train, schema, seed)


def in_place(train: pa.Table, schema: TableSchema, seed: int) -> Laws:
    """Where the table has its target column; the other columns keep their order."""
    others = [column for column in schema.columns if column.name != schema.target]
    for name in ("autoregressive", "trees"):
        for place, at in (("first", 0), ("middle", len(others) // 2), ("last", len(others))):
            columns = (*others[:at], schema[str(schema.target)], *others[at:])
            generator = make_generator(name)
            moved = TableSchema(columns, schema.target, schema.task)
            rows = train.select(moved.names)
            yield f"{name}, {place}", generator, timed(generator.fit, rows, moved, seed=integer(seed, Purpose.FIT))


def in_private(train: pa.Table, schema: TableSchema, seed: int) -> Laws:
    """The key is one that anybody knows, and the schema inferred: these tables are open."""
    settings, n = private_settings("autoregressive", {}), train.num_rows
    steps = Steps(*private_steps("autoregressive", settings, n))
    plan = plan_privacy(EPSILON, 1e-6, 1, n, [steps], models="each")
    noise, marginals = plan.noise_multiplier, plan.marginals_multiplier
    private = PrivateFit(steps.clip, noise, steps.sample_rate, steps.steps, marginals, key=seed)
    shared = smoothing.SHARED
    for step, smoothing.SHARED in (("private", 0.0), ("private, C", shared)):
        yield step, *fitted(settings, train, schema, seed, private=private)


def fitted(
    settings: dict[str, Any], train: pa.Table, schema: TableSchema, seed: int, **how: Any
) -> tuple[Autoregressive, float]:
    generator, rows = Autoregressive(**settings), train.select(schema.names)
    return generator, timed(generator.fit, rows, schema, seed=integer(seed, Purpose.FIT), **how)


def timed(call: Any, *given: Any, **options: Any) -> float:
    start = time.process_time()
    call(*given, **options)
    return time.process_time() - start


def judged(generator: Generator, schema: TableSchema, train: pa.Table, test: pa.Table, seed: int) -> dict[str, float]:
    codec = TableCodec(schema)
    n = max(LEAST_DRAWN, train.num_rows)
    drawn = codec.encode(generator.sample(n, seed=integer(seed, Purpose.SHARD)).select(schema.names))
    real, held = codec.encode(train), codec.encode(test)
    assert isinstance(generator, Autoregressive | Trees)
    log_p = generator.log_prob(test)
    scores = {"nats": -float(log_p[np.isfinite(log_p)].mean()), "shape": 100 * shape_error(real, drawn)}
    if schema.task != "regression":
        codes = [target_vector(rows, schema) for rows in (real, drawn)]
        rare = np.bincount(codes[0], minlength=len(schema.classes)).argmin()
        p, found = (float((code == rare).mean()) for code in codes)
        scores["class"] = abs(found - p) / (p * (1 - p) / train.num_rows) ** 0.5
    for name in ("boosting", "linear"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            learner = make_learner(name, {}, schema, seed=integer(seed, Purpose.LEARNER, bits=31)).fit(drawn)
        for key, value in scored(target_vector(held, schema), learner.predict(held), schema).items():
            scores[f"{key} {name}"] = value
    return scores


def scored(y: np.ndarray, predicted: np.ndarray, schema: TableSchema) -> dict[str, float]:
    if schema.task == "regression":
        return {"r2": float(r2_score(y, predicted[:, 0]))}
    labels = np.arange(len(schema.classes))
    p = predicted.astype(np.float64) / predicted.sum(1, keepdims=True, dtype=np.float64)
    ranked = p[:, 1] if len(labels) == 2 else p
    auc = roc_auc_score(y, ranked, multi_class="ovr", labels=labels)
    return {"log loss": float(log_loss(y, p, labels=labels)), "auc": float(auc)}


if __name__ == "__main__":
    main(sys.argv[1:])
