"""Downstream fits by address, and the prediction tensor P[member, volume, row, class] on disk.

A `Job` is one downstream fit. Its predictions are one Parquet file whose name is the job's address, so that what
exists is known from a listing and nothing is done twice. Member fits lie in `predictions/`, the baselines' fits in
`baselines/`, with the same columns.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.errors import InputError
from dge_ray.seeds import NO_MEMBER, Purpose, integer, numpy_generator
from dge_ray.storage import Folder
from dge_ray.study.records.files import BASELINES, PREDICTIONS, numbered
from dge_ray.study.records.jobs import FOLD, MEMBER_GROUPS, Job, member_of
from dge_ray.table.arrow.arrow_types import pc

SPLITS = ("validation", "test")
REAL_FITS = 5  # seeds of a learner on real rows: how much its fitting varies is a part of every comparison with it


def baseline_jobs(members: int, volume: int, groups: int = 1, *, raw: bool = False) -> list[Job]:
    """The fits behind the baselines at the chosen volume; naive ensemble's first is the first member's own.

    With `groups`, also those of each of so many disjoint groups of members, and of the ensemble on real rows. `raw`:
    whether there are raw rows beside those that the generators saw.
    """
    jobs = [Job("ensemble", 0, volume, index) for index in range(1, members)]
    jobs.append(Job("concatenated", 0, volume, members))
    if members >= MEMBER_GROUPS and volume:
        jobs += [Job("without", members, volume, index) for index in range(MEMBER_GROUPS)]
    jobs += [Job("real", index=index) for index in range(REAL_FITS)]
    jobs += [Job("real_all", index=index) for index in range(REAL_FITS)]
    jobs += [Job("real_ensemble", index=index) for index in range(members)]
    jobs += [Job("simple"), *([Job("raw")] if raw else [])]
    size = members // groups
    for first in range(0, members, size) if groups > 1 else ():
        jobs += [Job("ensemble", first, volume, index) for index in range(1, size)]
        jobs.append(Job("concatenated", first, volume, size))
    jobs += [Job("real", index=index) for index in range(1, size)] if groups > 1 else []
    return list(dict.fromkeys(jobs))


def learner_label(
    name: str, settings: Mapping[str, Any], *, augmented: bool = False, weight: float | None = None
) -> str:
    """The `learner` column's value: the name, a digest of the settings where there are any, and whether it learns from
    raw rows too, at which weight of the synthetic ones.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
    label = name + (f"-{digest[:8]}" if settings else "") + ("-augmented" if augmented else "")
    return label if weight is None else f"{label}-weight={weight:.12g}"


def learner_seed(seed: int, job: Job) -> int:
    """The learner's seed: naive single is in naive ensemble (same member, index 0); the others have their own."""
    if job.kind in ("member", "ensemble"):
        return integer(seed, Purpose.LEARNER, member=job.member, index=job.index, bits=31)
    at = 2 * (job.index + job.fold * FOLD)
    if job.kind in _OTHER_KINDS:
        return integer(seed, Purpose.BASELINE, member=_OTHER_KINDS.index(job.kind), index=at, bits=31)
    index = 2 * job.member + 1 if job.kind == "concatenated" else at
    return integer(seed, Purpose.LEARNER, member=NO_MEMBER, index=index, bits=31)


_OTHER_KINDS = ("real_all", "real_ensemble", "simple", "without")  # their numbers are part of a study: append


def bootstrapped_rows(seed: int, job: Job, rows: int) -> np.ndarray:
    """The rows of a `real_ensemble` fit: as many as there are, drawn with replacement. Shape: -> (rows,)."""
    index = 2 * (job.index + job.fold * FOLD) + 1
    random = numpy_generator(seed, Purpose.BASELINE, member=_OTHER_KINDS.index(job.kind), index=index)
    return random.integers(rows, size=rows)


def prediction_file(label: str, job: Job) -> str:
    """Where a job's predictions lie, below the study's folder."""
    return f"{PREDICTIONS if job.kind == 'member' else BASELINES}/{label}-{job.address}.parquet"


def cost_file(label: str, job: Job) -> str:
    """Where it is noted what a job cost, below the study's folder."""
    return f"costs/{label}-{job.address}.json"


def cut_file(label: str, job: Job) -> str:
    """Where it is noted that a job's rows were too few for its learner's settings, below the study's folder."""
    return f"cut/{label}-{job.address}.json"


def dropped_file(label: str, metric: str, members: int) -> str:
    """Where the volumes are noted that a search for so many members gave up, below the study's folder."""
    return f"dropped/{label}-{metric}-{members}.json"


def model_folder(label: str, job: Job) -> str:
    """Where a member's fitted learner lies, below the study's folder."""
    return f"models/{label}/volume={job.volume}/member={numbered(job.member)}"


def write_predictions(
    folder: Folder,
    label: str,
    job: Job,
    values: Mapping[str, np.ndarray],
    classes: Sequence[Any],
    held: np.ndarray | None = None,
) -> None:
    """Write one fit's predictions, atomically.

    Shape: `values[split]` is (rows, classes), (rows, 1) in regression, float32. `held`: which of the study's validation
    rows these are, where a fold's fit predicts its own alone.
    """
    names = [str(c) for c in classes] or [None]
    parts = []
    for split in (split for split in SPLITS if split in values):
        matrix = np.asarray(values[split], np.float32)
        n, width = matrix.shape
        rows = np.arange(n) if held is None or split == "test" else held
        class_codes = pa.array(np.tile(np.arange(width, dtype=np.int32), n), pa.int32())
        parts.append(
            pa.table(
                {
                    "member": pa.array(np.full(n * width, member_of(job.member), np.int32)),
                    "volume": pa.array(np.full(n * width, job.volume, np.int64)),
                    "learner": pa.array([label]).take(pa.array(np.zeros(n * width, np.int32))),
                    "split": pa.array([split]).take(pa.array(np.zeros(n * width, np.int32))),
                    "row": pa.array(np.repeat(rows.astype(np.int32), width)),
                    "class": pa.array(names, pa.string()).take(class_codes),
                    "value": pa.array(matrix.ravel()),
                }
            )
        )
    folder.write_table(prediction_file(label, job), pa.concat_tables(parts))


def read_predictions(folder: Folder, label: str, job: Job, width: int) -> dict[str, np.ndarray]:
    """One fit's predictions per split, (rows, width) float32; of a split that it does not predict no rows.

    Raises:
        InputError: the file is damaged or holds something else.
    """
    name = prediction_file(label, job)
    table = folder.read_table(name)
    values = {}
    for split in SPLITS:
        try:
            part = table.filter(pc.equal(table["split"], split))["value"].to_numpy()
            values[split] = np.ascontiguousarray(part, np.float32).reshape(-1, width)
        except (KeyError, ValueError):
            raise InputError(str(folder / name), "other columns or rows", "a study's own file; delete it") from None
    return values


def finished(folder: Folder, label: str, jobs: Sequence[Job]) -> set[Job]:
    """The jobs whose predictions are on disk."""
    names = {f"{part}/{name}" for part in (PREDICTIONS, BASELINES) for name in folder.list(part)}
    return {job for job in jobs if prediction_file(label, job) in names}


def in_folds(job: Job, held: Sequence[np.ndarray]) -> list[Job]:
    """The fits that a fit of a cross-fitted study is, one a fold; of another study itself."""
    return [job.in_fold(fold) for fold in range(max(len(held), 1))]


def joined(parts: Sequence[Mapping[str, np.ndarray]], held: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """What the fits of all folds predict: each validation row by the fit that has not seen it, and all test rows by
    each of the fits, one fold after another. `held`: the validation rows of each fold; empty without folds.

    >>> parts = [{"validation": np.full((1, 1), f), "test": np.full((2, 1), f)} for f in (0.0, 1.0)]
    >>> {split: values[:, 0].tolist() for split, values in joined(parts, [np.array([1]), np.array([0])]).items()}
    {'validation': [1.0, 0.0], 'test': [0.0, 0.0, 1.0, 1.0]}
    """
    if not held:
        (whole,) = parts
        return dict(whole)
    validation = np.empty((sum(map(len, held)), parts[0]["validation"].shape[1]), parts[0]["validation"].dtype)
    for rows, part in zip(held, parts, strict=True):
        validation[rows] = part["validation"]
    return {"validation": validation, "test": np.concatenate([part["test"] for part in parts])}


def tensor(
    folder: Folder,
    label: str,
    *,
    members: int,
    volumes: Sequence[int],
    width: int,
    rows: Mapping[str, int],
    held: Sequence[np.ndarray] = (),
) -> dict[str, np.ndarray]:
    """P per split: (members, volumes, rows, width) float32; a fit that was dropped is NaN. `held`: as in `joined`;
    `rows`: the study's, of test those that one fold's fit predicts."""
    jobs = {(k, i): in_folds(Job("member", k, m), held) for k in range(members) for i, m in enumerate(volumes)}
    done = finished(folder, label, [job for cell in jobs.values() for job in cell])
    folds = max(len(held), 1)
    sizes = {"validation": rows["validation"], "test": folds * rows.get("test", 0)}
    out = {split: np.full((members, len(volumes), sizes[split], width), np.nan, np.float32) for split in SPLITS}
    for (k, i), cell in jobs.items():
        if done.issuperset(cell):
            parts = [read_predictions(folder, label, job, width) for job in cell]
            for fold, (job, part) in enumerate(zip(cell, parts, strict=True)):
                wanted = {"validation": len(held[fold]) if held else rows["validation"], "test": rows.get("test", 0)}
                for split, values in part.items():
                    if values.shape[0] != wanted[split]:
                        name = prediction_file(label, job)
                        got = f"{values.shape[0]} rows of {split}"
                        raise InputError(str(folder / name), got, f"{wanted[split]}; delete it")
            for split, values in joined(parts, held).items():
                out[split][k, i] = values
    return out
