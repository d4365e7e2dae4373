"""What `evaluation.py` and `choice.py` share: a bundle of members, and the fits that judge it, in a plain loop.

The package's own pieces without Ray, one thread: `judge` gives what `dge-ray evaluate BUNDLE test=TABLE` and `dge-ray
select` compute from (`crossfit.py`, `judging.py`), so that many small bundles do not each wait for a cluster.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from time import process_time
from typing import Any

import pyarrow.parquet as pq

from dge_ray.commands.judging_request import read_request
from dge_ray.commands.verbs import JudgingKeys
from dge_ray.evaluation.crossfit import run_fit
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import draw_rows
from dge_ray.seeds import Purpose, integer
from dge_ray.storage import Folder
from dge_ray.study.prepared import Prepared

SMALL = {"hidden": 100, "latent": 100, "batch_size": 100, "epochs": 200}
SPLIT = {  # by `full`: 667 rows of moons or circles to fit on, or 5,000
    False: ("test_fraction=0.85", "validation_fraction=0.5", "stopping_fraction=0.1111"),
    True: ("test_fraction=0.45", "validation_fraction=0.05", "stopping_fraction=0.043"),
}


def deep(layers: int, *, full: bool) -> dict[str, Any]:
    """The ensemble paper's GAN with so many hidden layers in both networks; narrow and short unless `full`."""
    return {"preset": "dge2023", "layers": layers} | ({} if full else SMALL)


def given(generator: str, settings: Mapping[str, Any]) -> list[str]:
    """A generator and its settings as a configuration's words."""
    return [f"generator.name={generator}", *(f"generator.{key}={value}" for key, value in settings.items())]


def write_members(prepared: Prepared, place: Path, *, members: int) -> list[float]:
    """Fit the configuration's generator `members` times, draw as many rows of each as it has seen, write a bundle.

    `test.parquet` beside it has the real test rows.

    Returns:
        CPU-seconds of each member, fit and rows.
    """
    (name, settings), rows = prepared.config.generators[0], prepared.n
    folder, seed, seconds = Folder.open(str(place)), prepared.config.seed, []
    for number in range(members):
        started = process_time()
        generator = make_generator(name, **settings)
        own = integer(seed, Purpose.FIT, member=number)
        generator.fit(prepared.parts["train"], prepared.schema, seed=own, stopping=prepared.parts["stopping"])
        drawn = draw_rows(generator, rows, shard_rows=prepared.shard_rows, seed=seed, member=number)
        folder.write_table(f"member={number:03d}/part-00000.parquet", drawn.combine_chunks())
        seconds.append(process_time() - started)
    folder.write_bytes("schema.json", prepared.schema.to_json().encode())
    facts = {"generator": name, "version": version("dge-ray"), "members": members, "rows_per_member": rows}
    folder.write_json("bundle.json", facts)
    pq.write_table(prepared.parts["test"], place / "test.parquet")
    return seconds


def judge(place: Path, estimators: Sequence[tuple[str, Mapping[str, Any]]]) -> list[list[dict[str, Any]]]:
    """For each estimator the results of f_0 .. f_(K-1) on own held-out rows, the other members, and real test rows."""
    options = {"test": str(place / "test.parquet"), "out": str(place / "fits")}
    request = read_request(str(place), JudgingKeys.read(options))
    columns = {k: request.columns(k) for k in range(len(request.members))}
    return [
        [
            run_fit(fit, request.schema, {k: columns[k] for k in fit.members}, request.real, request.seed)
            for fit in request.fits(name, settings)
        ]
        for name, settings in estimators
    ]
