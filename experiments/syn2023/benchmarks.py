"""Synthetic rows beside raw ones on the tables of Shen, Liu and Shen 2023 that are here, with their roles and sizes.

usage: benchmarks.py [tables=california_housing,adult,abalone,insurance] [splits=1] [members=4]
                     [modes=augmented,synthetic] --work FOLDER --json FILE

Roles, as in the authors' code: generators are fitted on one part of the rows (their `train`), the learner has another,
the raw rows (their `test`), with so many times as many synthetic rows behind them (augmented), or those alone. Here the
rest is cut in two: a ratio is chosen on one half, and all that is said of it is said of the other. (Theirs was chosen
and reported on the same rows.) The learner, boosting, stops early on a tenth of the rows that it is fitted on.

K members: each its own generator and its own learners, whose predictions are averaged. At ratio 0 they differ by the
learner's seed alone. A member's predictions go to FOLDER as soon as it is done, and are not made again.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import numpy as np
import pyarrow as pa
import torch
from measure import SHARED, finish, words

from dge_ray.downstream import make_learner
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import make_generator
from dge_ray.seeds import Purpose, integer, numpy_generator
from dge_ray.stats.volume.reflection import reflection_point
from dge_ray.stats.volume.volumes import VolumeRisks, volume_risks
from dge_ray.table import Columns, TableCodec, TableSchema, infer_schema, load_table, target_vector

RATIOS = (0, 1, 2, 4, 8, 16)  # theirs: 0, 1, 2 ... 30
LEARNER: tuple[str, dict[str, Any]] = (
    "boosting_stopped",
    {"learning_rate": 0.1, "max_iter": 400, "n_iter_no_change": 20},
)
TOLERANCE = 0.005  # of the error: what is called no change, as a study's plateau


@dataclass(frozen=True)
class Roles:
    """`generator`, `raw`: how many rows they have. `metrics`: the first one chooses the ratio."""

    target: str
    generator: int
    raw: int
    metrics: tuple[str, ...]
    settings: tuple[str, dict[str, Any]] = ("autoregressive", {})
    drop: tuple[str, ...] = ()


TABLES = {
    "california_housing": Roles("MedHouseVal", 13_209, 4_128, ("rmse",)),
    # A quarter of the authors' rows to fit on, and all others to choose and report on, so that the curve can be told.
    "adult": Roles("income", 6_512, 4_070, ("accuracy", "log_loss"), drop=("split",)),
    "abalone": Roles("Rings", 2_672, 836, ("rmse",)),
    "insurance": Roles("charges", 856, 268, ("rmse",)),
}


class Split:
    """One table's parts, encoded, for one seed."""

    def __init__(self, name: str, seed: int, roles: Roles, schema: TableSchema, tables: dict[str, pa.Table]) -> None:
        self.name, self.seed, self.roles, self.schema, self.tables = name, seed, roles, schema, tables
        self.codec = TableCodec(schema)
        self.parts = {part: self.codec.encode(table) for part, table in tables.items()}

    @classmethod
    def of(cls, name: str, seed: int) -> "Split":
        """A table of `TABLES`, its rows in a random order."""
        roles = TABLES[name]
        whole = load_table(str(SHARED / f"{name}.parquet")).drop_columns(list(roles.drop))
        order = numpy_generator(seed, Purpose.SPLIT).permutation(whole.num_rows)
        ends = np.cumsum([roles.generator, roles.raw])
        rest = order[ends[1] :]
        parts = {
            "generator": order[: ends[0]],
            "raw": order[ends[0] : ends[1]],
            "choose": rest[: len(rest) // 2],
            "report": rest[len(rest) // 2 :],
        }
        tables = {part: whole.take(pa.array(rows)) for part, rows in parts.items()}
        return cls(name, seed, roles, infer_schema(whole, target=roles.target), tables)

    def generator(self, member: int) -> Generator:
        """A member's, fitted on its part."""
        name, settings = self.roles.settings
        seed = integer(self.seed, Purpose.FIT, member=member)
        return make_generator(name, **settings).fit(self.tables["generator"], self.schema, seed=seed)

    def truth(self, part: str) -> np.ndarray:
        return target_vector(self.parts[part], self.schema)

    def predictions(self, rows: Columns, member: int, index: int) -> np.ndarray:
        """(choose and report rows, classes) by the learner fitted on `rows`."""
        name, settings = LEARNER
        seed = integer(self.seed, Purpose.LEARNER, member=member, index=index, bits=31)
        learner = make_learner(name, settings, self.schema, seed=seed).fit(rows)
        return np.concatenate([learner.predict(self.parts[part]) for part in ("choose", "report")])

    def member(self, member: int, modes: list[str]) -> dict[str, np.ndarray]:
        """A member's predictions: (ratios, rows, classes) by mode, and (rows, classes) of each baseline."""
        raw, own = self.parts["raw"], self.parts["generator"]
        seed = integer(self.seed, Purpose.SHARD, member=member)
        drawn = self.generator(member).sample(self.roles.raw * max(RATIOS), seed=seed)
        pool = self.codec.encode(drawn)
        found = {
            "raw": self.predictions(raw, member, 0),
            "generator_rows": self.predictions(own, member, 1),
            "all_real": self.predictions(joined(raw, own), member, 2),
        }
        for mode in modes:
            cells = [found["raw"]]
            for index, ratio in enumerate(RATIOS[1:]):
                synthetic = {name: values[: self.roles.raw * ratio] for name, values in pool.items()}
                rows = joined(raw, synthetic) if mode == "augmented" else synthetic
                cells.append(self.predictions(rows, member, 10 + index))
                print(f"{self.name}: member {member}, {mode}, ratio {ratio}", file=sys.stderr, flush=True)
            found[mode] = np.stack(cells)
        return found


def kept_members(split: Split, count: int, modes: list[str], work: Path) -> list[dict[str, np.ndarray]]:
    """Members' predictions, from the folder where they are there."""
    work.mkdir(parents=True, exist_ok=True)
    members = []
    for k in range(count):
        kept = work / f"{split.name}-{split.seed}-{k}-{'-'.join(modes)}.npz"
        if not kept.exists():
            started = process_time()
            np.savez_compressed(kept, **split.member(k, modes))
            print(f"{kept.name}: {process_time() - started:.0f} CPU-seconds", file=sys.stderr, flush=True)
        with np.load(kept) as arrays:
            members.append(dict(arrays))
    return members


def joined(first: Columns, second: Columns) -> Columns:
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def summary(split: Split, members: list[dict[str, np.ndarray]], mode: str, metric: str) -> dict[str, Any]:
    """A curve in one metric: the ratio chosen on some rows, and on others its error against ratio 0 and the largest."""
    half = len(split.truth("choose"))
    cells = np.stack([member[mode] for member in members]).astype(np.float64)
    task = "regression" if split.schema.task == "regression" else "classification"
    # Rows in all, which the statistics want as volumes: at ratio 0 the raw ones. Synthetic rows alone have no ratio 0.
    rows = split.roles.raw * (np.array(RATIOS) + (1 if mode == "augmented" else 0))
    first = 0 if mode == "augmented" else 1
    chosen = reflection_point(
        cells[:, first:, :half],
        split.truth("choose"),
        task=task,
        volumes=rows[first:],
        metric=metric,
        tolerance=TOLERANCE,
        seed=split.seed,
    )
    at = first + chosen.index
    shift = 1.0 if metric == "accuracy" else 0.0  # risks to be maximised come with their sign changed: an error again
    report = volume_risks(cells[:, :, half:], split.truth("report"), metric)
    rise = difference(report, len(RATIOS) - 1, at)
    singles = [volume_risks(cells[[k]][:, :, half:], split.truth("report"), metric).risks for k in range(len(cells))]
    baselines = {}
    for name in ("generator_rows", "all_real"):
        # beside the curve, so that it can be told apart from the ratio chosen
        both = np.concatenate([cells[:, [at]], np.stack([m[name] for m in members])[:, None]], axis=1)
        found = volume_risks(both[:, :, half:], split.truth("report"), metric)
        baselines[name] = {"error": shift + float(found.risks[1]), "ratio_minus_it": difference(found, 0, 1)}
    return {
        "table": split.name,
        "seed": split.seed,
        "mode": mode,
        "metric": metric,
        "members": len(members),
        "rows": {part: len(split.truth(part)) for part in split.parts},
        "ratios": RATIOS,
        "choose": (shift + volume_risks(cells[:, :, :half], split.truth("choose"), metric).risks).tolist(),
        "report": (shift + report.risks).tolist(),
        "report_single": (shift + np.mean(singles, axis=0)).tolist(),
        "ratio": RATIOS[at],
        "ratio_candidates": [r for r, n in zip(RATIOS, rows, strict=True) if n in chosen.candidates],
        "status": chosen.status,
        "from_0": difference(report, at, 0),
        "chosen_to_largest": rise,
        "call": call(rise, shift + float(report.risks[at])),
        "baselines": baselines,
    }


def difference(found: VolumeRisks, a: int, b: int) -> list[float]:
    """R(a) - R(b), its interval over rows and members, paired."""
    weights = found.contrast(a, b)
    value, half = float(weights @ found.risks), found.spread.half_width(weights, 0.95) if a != b else 0.0
    return [value, value - half, value + half]


def call(rise: list[float], risk: float) -> str:
    """What the curve does from the chosen ratio to the largest, on rows that did not choose."""
    margin = TOLERANCE * risk
    if rise[1] == rise[2]:
        return "the largest was chosen"
    if rise[1] > 0:
        return "rise"
    return "plateau" if -margin < rise[1] and rise[2] < margin else "undecided"


def main(argv: list[str]) -> None:
    at = argv.index("--work")
    work = Path(argv[at + 1])
    defaults = {"tables": ",".join(TABLES), "splits": 1, "members": 4, "modes": "augmented,synthetic"}
    _, options, file = words(argv[:at] + argv[at + 2 :], **defaults)
    torch.set_num_threads(1)
    modes = options["modes"].split(",")
    found = []
    for name in options["tables"].split(","):
        for seed in range(options["splits"]):
            split = Split.of(name, seed)
            members = kept_members(split, options["members"], modes, work)
            found += [summary(split, members, mode, metric) for mode in modes for metric in split.roles.metrics]
    finish(found, file)


if __name__ == "__main__":
    main(sys.argv[1:])
