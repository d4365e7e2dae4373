"""The sentiment case: reviews made by the language generator, given to learners of text, judged on real reviews.

usage: text.py [source=imdb_train.parquet] [text=text] [label=label] [drop=id,rating] [rows=0] [seed=0]
               [ratios=0.25,0.5,1,2] [epochs=0] [learners=tfidf_linear] [predicted=1000] [--json FILE]

A fifth of the rows is held back for the report and nothing is chosen on it. The generator is fitted on `rows` of the
others (0: all but the tenth that it stops on), in `epochs` passes (0: its default), and a learner of each name on
volumes of its rows. Beside them, at the same volumes:

unigram     rows of a bag of words: a label, the length of a real review of that label, words drawn on their own by
            their share in the label's reviews. What a generator must beat for the order of words to have been of use.
real        the learner on the rows that the generator saw, as many of them as there are (volume: ratio at most 1)
majority    the commoner label
generator   the generator itself as classifier, by Bayes' rule (the label-token predictor), on `predicted` test rows

Accuracies have 95 % intervals over test rows, given the fits; differences are paired. CPU-seconds are those of this
process, which uses one thread.
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

from dge_ray.downstream import make_learner
from dge_ray.generators.rows.posterior import class_posterior
from dge_ray.generators.text.language import Language
from dge_ray.generators.text.words import PAD, Words
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.comparison.baselines import metrics_of, paired_difference
from dge_ray.table import TableCodec, TableSchema, drop_columns, infer_schema, load_table, split_table

Row = dict[str, Any]


def main(argv: list[str]) -> None:
    defaults = {"source": "imdb_train.parquet", "text": "text", "label": "label", "drop": "id,rating", "rows": 0}
    more = {"seed": 0, "ratios": "0.25,0.5,1,2", "epochs": 0, "learners": "tfidf_linear", "predicted": 1_000}
    _, o, file = words(argv, **defaults, **more)
    torch.set_num_threads(1)
    parts, schema = _rows(o)
    n = parts["train"].num_rows
    started = time.process_time()
    settings = {"epochs": o["epochs"]} if o["epochs"] else {}
    language = Language(**settings).fit(parts["train"], schema, seed=o["seed"], stopping=parts["stopping"])
    fitted = time.process_time() - started
    volumes = [round(float(ratio) * n) for ratio in str(o["ratios"]).split(",")]
    started = time.process_time()
    synthetic = language.sample(max(volumes), seed=o["seed"])
    drawn = time.process_time() - started
    facts = {"rows": n, "test_rows": parts["test"].num_rows, "seed": o["seed"], "settings": language._plain_settings()}
    best = min(record["heldout"] for record in language.history)
    found: list[Row] = [
        {"what": "fit", "cpu_s": fitted, "epochs": len(language.history), "heldout_nats_a_row": best, **facts},
        {"what": "sample", "volume": max(volumes), "cpu_s": drawn, "example": synthetic[str(o["text"])][0].as_py()},
    ]
    print(found, flush=True)
    sources = {"language": synthetic, "unigram": _unigram(parts["train"], schema, max(volumes), o), "real": None}
    for learner in str(o["learners"]).split(","):
        found += _judged(learner, sources, volumes, parts, schema, o["seed"])
    found.append(_majority(parts, schema))
    found.append(_as_classifier(language, parts["test"].slice(0, o["predicted"]), schema))
    finish(found, file)


def _rows(o: dict[str, Any]) -> tuple[dict[str, pa.Table], TableSchema]:
    """Train, stopping and test rows; the test rows come in random order."""
    place = SHARED / str(o["source"])
    table = drop_columns(load_table(str(place)), [name for name in str(o["drop"]).split(",") if name])
    schema = infer_schema(table, target=str(o["label"]), overrides={str(o["text"]): "text"})
    parts = split_table(table, schema, seed=o["seed"]).tables(table)
    rng = numpy_generator(o["seed"], Purpose.SUBSAMPLE)
    if 0 < o["rows"] < parts["train"].num_rows:
        parts["train"] = parts["train"].take(np.sort(rng.permutation(parts["train"].num_rows)[: o["rows"]]))
        parts["stopping"] = parts["stopping"].slice(0, max(100, o["rows"] // 10))
    parts["test"] = parts["test"].take(rng.permutation(parts["test"].num_rows))
    parts["train"] = parts["train"].take(rng.permutation(parts["train"].num_rows))
    return parts, schema


def _unigram(train: pa.Table, schema: TableSchema, n: int, o: dict[str, Any]) -> pa.Table:
    """`n` rows of the bag of words, over the generator's own words and lengths."""
    columns = TableCodec(schema).encode(train)
    label, text = columns[str(o["label"])], columns[str(o["text"])]
    settings = Language().settings
    kept = Words.fit(text, size=settings.vocabulary, rows=settings.rows_per_word, most=settings.tokens)
    tokens = kept.encode(text)
    rng = numpy_generator(o["seed"], Purpose.SHARD)
    source = rng.integers(0, len(label), n)  # whose label and length a row has
    lengths = (tokens >= 3).sum(1)[source]  # words that are kept: neither end, unknown nor missing
    drawn = np.full((n, settings.tokens), PAD, dtype=np.int32)
    for code in range(len(schema.classes)):
        own = tokens[label == code]
        pool = own[own >= 3]
        for i in np.flatnonzero(label[source] == code):
            drawn[i, : lengths[i]] = rng.choice(pool, lengths[i])
    made = {str(o["label"]): label[source], str(o["text"]): kept.decode(drawn)}
    return TableCodec(schema).decode(made, seed=o["seed"])


def _judged(
    learner: str,
    sources: dict[str, pa.Table | None],
    volumes: list[int],
    parts: dict[str, pa.Table],
    schema: TableSchema,
    seed: int,
) -> list[Row]:
    """The learner on each source's first rows, on test; real rows end at the number that there are."""
    codec = TableCodec(schema)
    test = codec.encode(parts["test"])
    truth = test[str(schema.target)]
    real_p, found = np.empty(0), []
    for name in ("real", *(name for name in sources if name != "real")):
        table = parts["train"] if sources[name] is None else sources[name]
        assert table is not None
        for volume in sorted({min(volume, table.num_rows) for volume in volumes}):
            started = time.process_time()
            fit = make_learner(learner, {}, schema, seed=seed).fit(codec.encode(table.slice(0, volume)))
            spent = time.process_time() - started
            p = fit.predict(test)
            if name == "real":
                real_p = p
            row = {"what": name, "learner": learner, "volume": volume, "cpu_s": spent, **_scores(p, truth)}
            if name != "real":
                row["accuracy_less_real"] = list(paired_difference(p, real_p, truth, "accuracy", task="binary"))
            found.append(row)
            print(row, flush=True)
    return found


def _scores(p: np.ndarray, truth: np.ndarray) -> Row:
    metrics = metrics_of(p, truth, task="binary")
    half = 1.96 * (metrics["accuracy"] * (1 - metrics["accuracy"]) / len(truth)) ** 0.5
    interval = [metrics["accuracy"] - half, metrics["accuracy"] + half]
    return {
        "accuracy": metrics["accuracy"],
        "interval": interval,
        "auc": metrics["auc"],
        "log_loss": metrics["log_loss"],
    }


def _majority(parts: dict[str, pa.Table], schema: TableSchema) -> Row:
    codes = {part: TableCodec(schema).encode(parts[part], [str(schema.target)])[str(schema.target)] for part in parts}
    common = np.bincount(codes["train"]).argmax()
    return {"what": "majority", "accuracy": float((codes["test"] == common).mean())}


def _as_classifier(language: Language, test: pa.Table, schema: TableSchema) -> Row:
    truth = TableCodec(schema).encode(test)[str(schema.target)]
    started = time.process_time()
    (p,) = class_posterior([language], schema, test)
    return {"what": "generator", "test_rows": len(truth), "cpu_s": time.process_time() - started, **_scores(p, truth)}


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)
    main(sys.argv[1:])
