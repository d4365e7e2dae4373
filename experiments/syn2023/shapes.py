"""What the curves of three tables do, called with intervals: rise, plateau, fall or undecided; and what cannot be told.

    python experiments/syn2023/shapes.py [tables=adult,california,abalone] [seed=0] [cache=tensors] --json FILE

From the predictions of `tensors.py` (Abalone 6 members, the others 4) on validation rows. A row of the output
is a table: the curve's call, its rise with an interval, the volume beyond which nothing over the tolerance (.5 %) is to
be gained, the noise floor, and the worst-case law's volume from member 0's rows.
"""

import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from measure import finish, words
from plain import draw, fit_member
from tensors import tensor_of

from dge_ray.report.words.curves import call_sentence, law_sentence, noise_sentence
from dge_ray.results.worst_case import MOST_ROWS, worst_case_volume
from dge_ray.stats.volume.curve_shape import curve_shape
from dge_ray.stats.volume.learning_curve import learning_curve
from dge_ray.stats.volume.reflection import reflection_point
from dge_ray.storage import Folder
from dge_ray.study.prepared import Prepared

MEMBERS = {"adult": 4, "california": 4, "abalone": 6}


def main(argv: list[str]) -> None:
    _, options, file = words(argv, tables="adult,california,abalone", seed=0, cache="tensors")
    rows = []
    for table in str(options["tables"]).split(","):
        prepared, predictions = tensor_of(table, options["seed"], MEMBERS[table], Path(options["cache"]))
        rows.append({"table": table, "seed": options["seed"], **described(prepared, predictions["validation"])})
        print("\n".join(rows[-1]["said"]), file=sys.stderr, flush=True)
    finish(rows, file)


def described(prepared: Prepared, validation: Any) -> dict[str, Any]:
    """The curve of one table, in numbers and in the report's words."""
    y, volumes = prepared.truth("validation"), list(prepared.volumes)
    keys = {"task": prepared.task, "volumes": volumes, "metric": prepared.metric, "seed": prepared.config.seed}
    shape = asdict(curve_shape(validation, y, tolerance=prepared.config.tolerance, **keys))
    point = reflection_point(validation, y, tolerance=prepared.config.tolerance, **keys)
    curve = learning_curve(validation, y, **keys)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Folder.open(scratch)
        rows = draw(prepared, fit_member(prepared, 0), 0, -(-MOST_ROWS // prepared.shard_rows) * prepared.shard_rows)
        for shard in range(rows.num_rows // prepared.shard_rows):
            part = rows.slice(shard * prepared.shard_rows, prepared.shard_rows)
            folder.write_table(f"shards/member=000/part-{shard:05d}.parquet", part)
        law = worst_case_volume(prepared, folder, validation, y, volumes, curve)
    report = {
        "volumes": volumes,
        "curve": shape,
        "reflection_point": {"volume": point.volume, "interval": list(point.interval), "status": point.status},
        "learning_curve": {"status": curve.status, "reason": curve.reason},
        "volume_law": asdict(law) if law else None,
    }
    said = [call_sentence(report), noise_sentence(report), law_sentence(report)]
    del shape["band"], shape["differences"]
    return {"n": prepared.n, "validation_rows": prepared.rows["validation"], **report, "said": list(filter(None, said))}


if __name__ == "__main__":
    main(sys.argv[1:])
