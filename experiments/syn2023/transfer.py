"""Does fine-tuning a generator that was fitted on a related table help? Syn's two checks (papers' section on transfer).

usage: transfer.py [parts=simulation,adult,members] [generator=autoregressive] [repeats=10] [rows=5000] [seed=0]
                   [members=4] [--json FILE]

simulation  y = 8 + x1^2 + x2 x3 + cos x4 + exp(x5 x6) + 0.1 x7 + 0.2 e, x uniform, e normal. A generator fitted on
            1,000 or 5,000 rows, as it is or fine-tuned on 500 others: W2 between `rows` of its rows and as many true
            ones, over `repeats` pairs of samples (the same true rows for all four).
adult       fitted on Adult's male rows, then fine-tuned on 1,350 female ones, against a fit on those 1,350 alone:
            W1 to 1,350 other female rows.
members     how far apart `members` generators of Adult's female rows are: each trained on the same 1,350 from scratch,
            from one male generator, or each from its own; and, for comparison, samples of one generator. A booster is
            fitted on `rows` rows of each and predicts the 1,350 other female rows.

Distances are exact (an assignment problem), Euclidean on columns as quantiles of the true rows, categories one-hot. The
authors transform each sample by its own quantiles, which hides differences between marginals; here one transform, that
of the true rows, serves both.
"""

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
import pyarrow as pa
import torch
from measure import SHARED, finish, words
from regression import FIT, TRUE, TUNE, simulated
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import t as student
from sklearn.ensemble import HistGradientBoostingClassifier

from dge_ray.generators.base import Generator
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import NO_MEMBER, Purpose, integer, numpy_generator
from dge_ray.table import Columns, TableCodec, TableSchema, infer_schema, load_table


def main(argv: list[str]) -> None:
    defaults = {"generator": "autoregressive", "repeats": 10, "rows": 5000, "seed": 0, "members": 4}
    _, options, file = words(argv, parts="simulation,adult,members", **defaults)
    torch.set_num_threads(1)
    parts = {"simulation": simulation, "adult": adult, "members": members}
    finish([row for part in str(options["parts"]).split(",") for row in parts[part](options)], file)


def simulation(options: dict[str, Any]) -> list[dict[str, Any]]:
    seed, name = options["seed"], options["generator"]
    fitted: dict[str, Generator] = {}
    tune = simulated(500, seed, purpose=TUNE)
    wide = simulated(20_000, seed, purpose=TRUE, index=1_000)
    for label, n in (("1K", 1_000), ("5K", 5_000)):
        table = simulated(n, seed, purpose=FIT).slice(0, n)
        schema = infer_schema(table, target="y")
        fitted[label] = make_generator(name).fit(table, schema, seed=integer(seed, Purpose.FIT))
        fitted[f"{label} fine-tuned"] = tuned(fitted[label], name, tune, infer_schema(tune, target="y"), seed)
    places = quantiles(wide)
    found: dict[str, list[float]] = {label: [] for label in fitted}
    floor = []
    for repeat in range(options["repeats"]):
        true = places(simulated(options["rows"], seed, purpose=TRUE, index=2 * repeat))
        floor.append(distance(places(simulated(options["rows"], seed, purpose=TRUE, index=2 * repeat + 1)), true, 2))
        for label, generator in fitted.items():
            rows = generator.sample(options["rows"], seed=integer(seed, Purpose.SHARD, index=repeat))
            found[label].append(distance(places(rows), true, 2))
            print(f"repeat {repeat}: {label} W2 {found[label][-1]:.4f}", file=sys.stderr)
    head = {"benchmark": "transfer.simulation", "generator": name, "rows": options["rows"]}
    rows = [{**head, "model": "true rows", **spread(floor)}]
    for label, values in found.items():
        row = {**head, "model": label, **spread(values)}
        if label.endswith("fine-tuned"):  # paired: the same true rows
            gain = np.array(found[label.split()[0]]) - np.array(values)
            row |= {"gain": float(gain.mean()), "gain_se": float(gain.std(ddof=1) / len(gain) ** 0.5)}
        rows.append(row)
    return rows


def spread(values: list[float]) -> dict[str, float]:
    return {
        "distance": float(np.mean(values)),
        "distance_sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
    }


def tuned(
    source: Generator, name: str, table: pa.Table, schema: TableSchema, seed: int, *, member: int = NO_MEMBER
) -> Generator:
    with tempfile.TemporaryDirectory() as folder:
        source.save(Path(folder))
        own = integer(seed, Purpose.FIT, member=member, index=9)
        return make_generator(name).fit(table, schema, seed=own, warm_start=Path(folder))


def quantiles(table: pa.Table) -> Callable[[pa.Table], np.ndarray]:
    """Numeric columns to their quantiles in `table`, (n, d) in [0, 1]."""
    known = {name: np.sort(table[name].to_numpy()) for name in table.column_names}

    def places(rows: pa.Table) -> np.ndarray:
        columns = [np.searchsorted(known[n], rows[n].to_numpy()) / len(known[n]) for n in known]
        return np.stack(columns, axis=1)

    return places


def distance(a: np.ndarray, b: np.ndarray, power: int) -> float:
    """W_p between two samples of as many points, Euclidean ground cost."""
    cost = cdist(a, b) if power == 1 else cdist(a, b, "sqeuclidean")
    return float(cost[linear_sum_assignment(cost)].mean() ** (1 / power))


def male_and_female(seed: int) -> tuple[pa.Table, pa.Table, pa.Table, TableSchema]:
    """Adult's male rows, 1,350 female ones to tune on, 1,350 to compare with, and the schema of all female ones.

    The authors' sizes (of about 32,650 male rows).
    """
    whole = load_table(str(SHARED / "adult.parquet")).drop_columns(["split"])
    is_male = np.array([value == "Male" for value in whole["sex"].to_pylist()])
    rest = whole.drop_columns(["sex"])
    male, female = rest.filter(pa.array(is_male)), rest.filter(pa.array(~is_male))
    order = numpy_generator(seed, Purpose.SPLIT).permutation(female.num_rows)
    train, other = female.take(order[:1_350]), female.take(order[1_350:2_700])
    return male, train, other, infer_schema(female, target="income")


def adult(options: dict[str, Any]) -> list[dict[str, Any]]:
    seed, name = options["seed"], options["generator"]
    male, train, other, female = male_and_female(seed)
    schema, own = infer_schema(male, target="income"), infer_schema(train, target="income")
    source = make_generator(name).fit(male, schema, seed=integer(seed, Purpose.FIT))
    models = {
        "male": source,
        "scratch": make_generator(name).fit(train, own, seed=integer(seed, Purpose.FIT, index=9)),
        "fine-tuned": tuned(source, name, train, own, seed),
    }
    points = mixed_points(female, other)
    found: dict[str, list[float]] = {label: [] for label in models}
    for repeat in range(options["repeats"]):
        for label, model in models.items():
            rows = model.sample(other.num_rows, seed=integer(seed, Purpose.SHARD, index=repeat))
            found[label].append(distance(points(rows), points(other), 1))
    floor = [distance(points(train), points(other), 1)]
    head = {"benchmark": "transfer.adult", "generator": name, "rows": other.num_rows, "seed": seed}
    rows = [{**head, "model": "real female rows", **spread(floor)}]
    return rows + [{**head, "model": label, **spread(values)} for label, values in found.items()]


def mixed_points(schema: TableSchema, reference: pa.Table) -> Callable[[pa.Table], np.ndarray]:
    """Numbers as their mid-quantiles in `reference`, categories one-hot."""
    codec = TableCodec(schema)
    known: Columns = codec.encode(reference)

    def points(rows: pa.Table) -> np.ndarray:
        parts = []
        for name, values in codec.encode(rows).items():
            if values.dtype.kind == "f":
                order = np.sort(known[name])
                ends = [np.searchsorted(order, values, side=side) for side in ("left", "right")]
                parts.append(np.mean(ends, axis=0)[:, None] / len(order))
            else:
                parts.append(np.eye(len(schema[name].categories) + 1)[values + 1])
        return np.concatenate(parts, axis=1)

    return points


def members(options: dict[str, Any]) -> list[dict[str, Any]]:
    seed, name, k = options["seed"], options["generator"], options["members"]
    male, train, other, female = male_and_female(seed)
    schema, own = infer_schema(male, target="income"), infer_schema(train, target="income")
    each = range(k)
    sources = [make_generator(name).fit(male, schema, seed=integer(seed, Purpose.FIT, member=i)) for i in each]
    from_one = [tuned(sources[0], name, train, own, seed, member=i) for i in each]
    ensembles = {
        "scratch": [make_generator(name).fit(train, own, seed=integer(seed, Purpose.FIT, member=i)) for i in each],
        "one source": from_one,
        "a source each": [tuned(sources[i], name, train, own, seed, member=i) for i in each],
        "one generator": from_one[:1] * k,
    }
    head = {"benchmark": "transfer.members", "generator": name, "members": k, "rows": options["rows"], "seed": seed}
    found = []
    for label, ensemble in ensembles.items():
        seeds = [integer(seed, Purpose.SHARD, member=i) for i in each]
        samples = [generator.sample(options["rows"], seed=s) for generator, s in zip(ensemble, seeds, strict=True)]
        p = np.stack([predicted(rows, other, female, seed) for rows in samples])
        found.append({**head, "ensemble": label})
        for what, measure in (("disagreement", disagreement), ("variance", variance)):
            found[-1] |= {what: measure(p), f"{what}_half": jackknife(measure, p)}
    return found


def predicted(rows: pa.Table, other: pa.Table, schema: TableSchema, seed: int) -> np.ndarray:
    """A booster's probability of the higher income, (n,), in real rows `other`, fitted on synthetic `rows`."""
    codec = TableCodec(schema)
    known, asked = (codec.encode(table) for table in (rows, other))
    target = known.pop("income")
    coded = [values.dtype.kind != "f" for values in known.values()]
    booster = HistGradientBoostingClassifier(
        categorical_features=coded, random_state=integer(seed, Purpose.LEARNER, bits=31)
    )
    x, ask = (np.stack([columns[name] for name in known], axis=1).astype(float) for columns in (known, asked))
    return booster.fit(x, target).predict_proba(ask)[:, 1]


def disagreement(p: np.ndarray) -> float:
    """Share of rows on which two members' predicted classes differ, mean over pairs, of probabilities (k, n)."""
    ones = (p > 0.5).sum(0)
    return float((ones * (len(p) - ones)).mean() / (len(p) * (len(p) - 1) / 2))


def variance(p: np.ndarray) -> float:
    """Variance between members of a row's probability, mean over rows."""
    return float(p.var(axis=0, ddof=1).mean())


def jackknife(measure: Callable[[np.ndarray], float], p: np.ndarray) -> float:
    """Half the width of a 95 % interval from leaving out one member at a time, with Student's quantile."""
    k = len(p)
    left_out = np.array([measure(np.delete(p, i, axis=0)) for i in range(k)])
    error = ((k - 1) * left_out.var()) ** 0.5
    return float(student.ppf(0.975, k - 1) * error)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
