"""The same study without Ray: one process, one thread, one loop. What the benchmarks measure the framework against."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from dge_ray.downstream import make_learner
from dge_ray.generators.base import Generator
from dge_ray.generators.registry import make_generator
from dge_ray.generators.rows.shards import draw_rows
from dge_ray.seeds import Purpose, integer
from dge_ray.study.downstream_spec import simple_learner
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.predictions import Job, baseline_jobs, bootstrapped_rows, learner_seed
from dge_ray.table import Columns, TableCodec


def fit_member(prepared: Prepared, k: int) -> Generator:
    """Member k's generator, as a GeneratorActor fits it."""
    (name, settings), *_ = prepared.config.generators
    generator = make_generator(name, **settings)
    seed = integer(prepared.config.seed, Purpose.FIT, member=k)
    return generator.fit(prepared.parts["train"], prepared.schema, seed=seed, stopping=prepared.parts["stopping"])


def draw(prepared: Prepared, generator: Generator, k: int, volume: int) -> pa.Table:
    """The first `volume` rows of member k."""
    return draw_rows(generator, volume, shard_rows=prepared.shard_rows, seed=prepared.config.seed, member=k)


def fit_learner(prepared: Prepared, job: Job, rows: Columns, real: dict[str, Columns]) -> dict[str, np.ndarray]:
    """One downstream fit's predictions of validation and test."""
    config = prepared.config
    name, settings = config.learner.name, config.learner.settings
    if job.kind == "simple":
        name, settings = simple_learner(prepared.schema), {}
    learner = make_learner(
        name,
        settings,
        prepared.schema,
        seed=learner_seed(config.seed, job),
    ).fit(rows)
    return {split: learner.predict(real[split]) for split in ("validation", "test")}


def cut(rows: Columns, volume: int) -> Columns:
    return {name: values[:volume] for name, values in rows.items()}


def joined(parts: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def real_rows(prepared: Prepared, job: Job, real: dict[str, Columns]) -> Columns:
    """The rows of a baseline that no synthetic row has a part in."""
    if job.kind == "real_all":
        return joined([real[part] for part in ("train", "stopping", "validation")])
    if job.kind == "real_ensemble":
        rows = bootstrapped_rows(prepared.config.seed, job, prepared.n)
        return {name: values[rows] for name, values in real["train"].items()}
    return real["raw" if job.kind == "raw" else "train"]


def plain_study(
    prepared: Prepared, members: int, volumes: Sequence[int], *, baselines_at: int | None = None
) -> dict[Job, dict[str, np.ndarray]]:
    """Every member fitted, drawn once, learned from at every volume; the baselines at one volume."""
    codec, real = TableCodec(prepared.schema), prepared.encoded()
    predictions = {}
    kept: list[Columns] = []
    for k in range(members):
        rows = codec.encode(draw(prepared, fit_member(prepared, k), k, max([*volumes, baselines_at or 0])))
        for job in _member_jobs(k, volumes):
            predictions[job] = fit_learner(prepared, job, cut(rows, job.volume), real)
        kept.append(cut(rows, baselines_at or 0))
    for job in baseline_jobs(members, baselines_at) if baselines_at else []:
        rows = joined([kept[k] for k in job.members]) if job.members else real_rows(prepared, job, real)
        predictions[job] = fit_learner(prepared, job, rows, real)
    return predictions


def _member_jobs(k: int, volumes: Iterable[int]) -> list[Job]:
    return [Job("member", k, volume) for volume in volumes]
