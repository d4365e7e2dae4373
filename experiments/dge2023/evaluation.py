"""How good is a model, judged by synthetic rows alone, when generators are over-deep? Naive and DGE against real rows.

    python experiments/dge2023/evaluation.py [tables=circles,moons] [layers=6,2,4] [members=8] [seed=1] [full=true]
                                             [bundles=./bundles/deep] --json FILE

Each member is a GAN at the ensemble paper's preset with so many hidden layers in both of its networks; an MLP of
2 x 100 units is trained on four fifths of each member's rows and judged on the last fifth (naive), on the other
members' rows (DGE) and on real test rows, by this package's own evaluation (`judged.py`). Intervals are over members,
and where real rows judge over these too. Few rows, narrow networks and short fits (`judged.py: SMALL`) stand for the
publication's 5,000 rows and 2,000 epochs of 500 units, which `full=true` has; its layers are 1, 2 and 3. Cells that
FILE holds are not done again. The bundles stay in `bundles`, each with its `test.parquet`: for `choice.py`, and for
`dge-ray evaluate BUNDLE test=BUNDLE/test.parquet`.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from judged import SPLIT, deep, given, judge, write_members
from measure import environment, words

from dge_ray.evaluation.judging import by_pair, compared, described, estimates
from dge_ray.stats.comparison.crossed import crossed
from dge_ray.study.prepare import prepare
from dge_ray.study.read_config import read_config

MLP = ("sklearn.neural_network.MLPClassifier", {"hidden_layer_sizes": [100, 100]})
FEWER = (5, 10)  # judges and the one that is judged: DGE_5, DGE_10


def one_cell(table: str, layers: int, options: dict[str, Any]) -> dict[str, Any]:
    """A table and a depth: scores by each judge, and what they are wrong by."""
    full, seed = bool(options["full"]), options["seed"]
    settings = deep(layers, full=full)
    prepared = prepare(read_config(table, [*given("gan", settings), f"seed={seed}", *SPLIT[full]]))
    place = Path(options["bundles"], f"{table}-{layers}")
    seconds = write_members(prepared, place, members=options["members"])
    (results,) = judge(place, [MLP])
    found = {metric: estimates(results, metric) for metric in ("accuracy", "auc")}
    return {
        "table": table,
        "layers": layers,
        "settings": settings,
        "seed": seed,
        "rows": prepared.rows,
        "members": options["members"],
        "scores": {metric: compared(e, metric) for metric, e in found.items() if e is not None},
        "fewer": {f"dge_{k}": described(by_fewer(results, k), "accuracy") for k in FEWER if k < options["members"]},
        "by_member": {name: e.by_member.tolist() for name, e in (found["accuracy"] or {}).items()},
        "generator_cpu_seconds": float(np.mean(seconds)),
        "fit_cpu_seconds": float(np.mean([result["cpu_seconds"] for result in results])),
    }


def by_fewer(results: list[dict[str, Any]], k: int) -> Any:
    """DGE_k by accuracy, whose pooled value is a mean of the judges': the next k - 1 members in turn."""
    found = by_pair(results, "accuracy")
    assert found is not None  # every judge's rows define accuracy
    pairs, rows = found
    n = len(pairs)
    steps = (np.arange(n)[None, :] - np.arange(n)[:, None]) % n
    return crossed(np.where((steps > 0) & (steps < k), pairs, np.nan), rows)


def line(row: dict[str, Any]) -> str:
    """A row of README.md's table."""
    found = row["scores"]["accuracy"]
    cells = [f"{found[name]['value']:.3f} ± {found[name]['sd']:.3f}" for name in ("real", "naive", "dge")]
    for metric in row["scores"]:  # AUC is not there where some judge's rows are of one class
        for name in ("naive", "dge"):
            wrong = row["scores"][metric][f"{name}_minus_real"]
            cells.append("{:+.3f} ({:+.3f} to {:+.3f})".format(wrong["value"], *wrong["interval"]))
    return f"| {row['table']} | {row['layers']} | {' | '.join(cells)} |"


def main(argv: list[str]) -> None:
    _, options, file = words(
        argv, tables="circles,moons", layers="6,2,4", members=8, seed=1, full=False, bundles="./bundles/deep"
    )
    warnings.simplefilter("ignore")  # 200 rounds are what the authors had, converged or not
    rows = json.loads(file.read_text()) if file is not None and file.exists() else []
    done = {(row["table"], row["layers"]) for row in rows}
    with threadpool_limits(limits=1):
        import torch

        torch.set_num_threads(1)
        for layers in map(int, str(options["layers"]).split(",")):
            for table in str(options["tables"]).split(","):
                if (table, layers) in done:
                    continue
                rows.append({**one_cell(table, layers, options), **environment()})
                if file is not None:
                    file.write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(line(row) for row in sorted(rows, key=lambda row: (row["table"], row["layers"]))))


if __name__ == "__main__":
    main(sys.argv[1:])
