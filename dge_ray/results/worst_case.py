"""The worst-case law of the volume for one study: from its learning curve and from how well synthetic rows are told."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from dge_ray.evaluation.ingredients import density_ratio
from dge_ray.seeds import Purpose, integer
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import contributions
from dge_ray.stats.volume.learning_curve import LearningCurve, learning_curve
from dge_ray.stats.volume.volume_law import VolumeLaw, least_bound
from dge_ray.storage import Folder
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.files import shard_file
from dge_ray.table.codec import Columns, TableCodec

MOST_ROWS = 2_000  # of each table: an accuracy known to .011, in about two seconds
INDEX = 3  # of this classifier's stream of Purpose.UTILITY


def worst_case_volume(
    prepared: Prepared,
    folder: Folder,
    validation: np.ndarray,
    truth: np.ndarray,
    volumes: Sequence[int],
    curve: LearningCurve,
) -> VolumeLaw | None:
    """The law at this study's exponent, loss and generator; None where the learning curve is not identified, or the
    first member's shards are not there any more.

    In classification by the Brier score, which is bounded. The squared error is not: its largest value seen stands in
    for U, and a larger U would give a smaller volume still.

    Shape: validation (members, volumes, rows, classes). `curve`: the study's, by its own metric.
    """
    regression = prepared.task == "regression"
    loss = "rmse" if regression else "brier"
    if curve.metric != loss:
        keys = {"task": prepared.task, "volumes": volumes, "seed": prepared.config.seed}
        curve = learning_curve(validation, truth, metric=loss, **keys)
    if curve.status != "fitted" or not curve.exponent or not curve.scale:
        return None
    scale, bound = curve.scale, 1.0 if prepared.width == 2 else 2.0
    if regression:  # a change of the RMSE as one of the mean squared error
        last = ensemble_mean(validation[:, list(volumes).index(curve.volumes[-1])])
        scale *= 2 * curve.curve[-1]
        bound = float(contributions("squared_error", last, truth).max())
    separation = _separation(prepared, folder, volumes[-1])
    if separation is None:
        return None
    law = VolumeLaw(None, None, *separation, curve.exponent[0], scale, "squared_error" if regression else loss, bound)
    distance = 2 * separation[1][0] - 1
    if distance <= 0:
        return law
    return replace(law, distance=distance, volume=least_bound(scale, law.exponent, bound, distance))


def _separation(prepared: Prepared, folder: Folder, volume: int) -> tuple[float, tuple[float, float]] | None:
    """How well a classifier tells member 0's rows from real ones that its generator has not seen, target included."""
    schema = replace(prepared.schema, target=None, task=None)
    codec = TableCodec(schema)
    names = [column.name for column in schema.features]

    def rows(table: pa.Table) -> Columns:
        return codec.encode(table.slice(0, MOST_ROWS), names)

    count = -(-min(volume, MOST_ROWS) // prepared.shard_rows)
    files = [shard_file(0, j) for j in range(count)]
    if not all(folder.exists(file) for file in files):
        return None
    shards = [folder.read_table(file) for file in files]
    seed = integer(prepared.config.seed, Purpose.UTILITY, member=0, index=INDEX)
    unseen, other = prepared.parts["validation"], prepared.parts.get("test")
    if other is None:  # a cross-fitted study without test rows: halves of the first fold
        half = unseen.num_rows // 2
        unseen, other = unseen.slice(half), unseen.slice(0, half)
    _, overlap = density_ratio(rows(unseen), rows(other), rows(pa.concat_tables(shards)), schema, seed=seed)
    return overlap.c2st, overlap.c2st_interval
