"""Cross-fitted studies and the plain split on four small tables: how wide the intervals are, and what each costs.

    python experiments/coverage/widths.py [data=../shared/data] [generator=copula] [learner=linear] [members=4] \
        --json FILE

heart_disease, breast_cancer, pima_diabetes and insurance, ratios .5, 1, 2 and 4. A row is a study: `folds` 1 or 5 and
what its report says on test: the risk with its interval, the best volume with its interval and status, the validation
rows that it was chosen on, the gain of the last doubling's interval, and the difference to the best model on real rows.
The truth is not known here, so widths are no coverage.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import read_words, write

import dge_ray
from dge_ray.distributed.session.ray_session import ray_session
from dge_ray.stats.volume.reflection import reflection_point

TABLES = {"heart_disease": "num", "breast_cancer": "target", "pima_diabetes": "Outcome", "insurance": "charges"}
RATIOS = [0.5, 1, 2, 4]


def one_study(table: str, data: Path, folds: int, storage: str, keys: dict[str, Any]) -> dict[str, Any]:
    """A study's report in a row."""
    source = table if table == "breast_cancer" else str(data / f"{table}.parquet")
    if source != table:
        keys = keys | {"target": TABLES[table]}
    study = dge_ray.tune(source, keys, study=f"{table}-{folds}", storage=storage, folds=folds, tracking=False)
    report, prepared = study.report, study.opened.prepared
    point = reflection_point(
        study.predictions("validation"),
        prepared.judged_truth("validation"),
        task=prepared.task,
        volumes=report["volumes"],
        metric=prepared.metric,
        seed=prepared.config.seed,
    )
    found, (lo, hi) = report["reflection_point"], report["reflection_point"]["risk_interval"]
    difference = report["answer"]["difference"]
    return {
        "table": table,
        "folds": folds,
        "metric": report["metric"],
        "rows": report["data"]["rows"],
        "risk": [found["risk"], lo, hi],
        "risk_width": (hi - lo) / found["risk"],
        "volume": [found["volume"], *found["interval"]],
        "candidates": len(point.candidates),
        "volumes": len(report["volumes"]),
        "status": found["status"],
        "gain": point.gain,
        "gain_width": None if point.gain is None else (point.gain[2] - point.gain[1]) / found["risk"],
        "against": report["answer"]["against"],
        "difference": difference,
        "difference_width": (difference[2] - difference[1]) / found["risk"],
        "cpu_seconds": report["cost"]["cpu_seconds"],
    }


def markdown(row: dict[str, Any]) -> str:
    widths = [f"{row[name]:.3f}" for name in ("risk_width", "difference_width", "gain_width")]
    return "| " + " | ".join([row["table"], str(row["folds"]), *widths, str(row["candidates"]), row["status"]]) + " |"


def main(words: list[str]) -> None:
    """Parse key=value words and --json FILE, run, write."""
    options, file = read_words(words)
    data = Path(options.pop("data", Path(__file__).parents[3] / "shared" / "data"))
    keys: dict[str, Any] = {"generator": "copula", "learner": "linear", "members": "4"} | options
    keys |= {"members": int(keys["members"]), "ratios": RATIOS}
    rows = []
    with tempfile.TemporaryDirectory() as storage, ray_session(num_cpus=1):
        for table in TABLES:
            for folds in (1, 5):
                rows.append(one_study(table, data, folds, storage, keys) | {"keys": keys})
                print(markdown(rows[-1]), file=sys.stderr, flush=True)
                write(file, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
