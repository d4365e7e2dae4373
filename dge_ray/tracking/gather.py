"""A study's ensemble as a folder: its saved learners, or, where they cannot be read any more, fitted again."""

import json
import shutil
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from dge_ray.downstream import load_learner, make_learner
from dge_ray.downstream.store import DESCRIPTION, other_versions
from dge_ray.errors import StudyError
from dge_ray.storage import Folder
from dge_ray.study.arms import study_arms
from dge_ray.study.folder import read_study_config
from dge_ray.study.opened import OpenStudy
from dge_ray.study.records.files import shard_file
from dge_ray.study.records.predictions import Job, learner_seed, model_folder
from dge_ray.study.refit import model_home
from dge_ray.table import TableCodec, TableSchema
from dge_ray.table.schema.outward import outward_schema
from dge_ray.tracking.scoring import SCHEMA

TRIED_ROWS = 5  # synthetic ones: a learner of other versions may load, and fail when it predicts

Say = Callable[[str], None]


def gather(folder: Folder, schema: TableSchema, report: Mapping[str, Any], path: Path, say: Say) -> None:
    """Write schema.json and `member=000/`, ... below `path`, as `FittedEnsemble` reads them. Under the study's lock.

    Learners that the libraries here cannot read are fitted again from the study's rows, and kept in their place, where
    nothing but those rows is needed for it; `say` tells.

    Raises:
        StudyError: a learner was not kept, or cannot be read and not be fitted again.
    """
    of = report.get("answer") or {"members": report["members"], "volume": report["reflection_point"]["volume"]}
    jobs = [Job("member", k, of["volume"]) for k in range(of["members"])]
    label, home = report["learner"], model_home(folder)
    if not all(home.exists(model_folder(label, job)) for job in jobs):
        raise StudyError("its learners are too large, or need pickle")
    unread: dict[Job, str] = {}
    tried = shard_file(0, 0)
    rows = home.read_table(tried).slice(0, TRIED_ROWS) if home.exists(tried) else None
    for job in jobs:
        with home.downloaded(model_folder(label, job)) as source:
            shutil.copytree(source, _member(path, job))
        if (why := _fault(_member(path, job), schema, rows)) is not None:
            unread[job] = why
    if unread:
        _fit_again(folder, schema, label, unread, path, say)
    # The model may leave the building: no bound of its schema is a row's own value.
    (path / SCHEMA).write_text(outward_schema(schema, own=_declared(folder, schema)).to_json(), encoding="utf-8")


def _declared(folder: Folder, schema: TableSchema) -> Collection[str]:
    """The columns whose bounds are somebody's word: all of a private study's, for which no row was looked at."""
    config = read_study_config(folder)
    if config.private:
        return schema.names
    given = {name: how for name, how in config.columns.items() if isinstance(how, Mapping)}
    return [name for name, how in given.items() if {"minimum", "maximum"} <= set(how)]


def _member(path: Path, job: Job) -> Path:
    return path / f"member={job.member:03d}"


def _fault(member: Path, schema: TableSchema, rows: pa.Table | None) -> str | None:
    """Why a saved learner is of no use here; None where it predicts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other versions are told of where they matter
        try:
            learner = load_learner(member, schema)
            if rows is not None:
                learner.predict(TableCodec(schema).encode(rows))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return None


def _fit_again(
    folder: Folder, schema: TableSchema, label: str, unread: Mapping[Job, str], path: Path, say: Say
) -> None:
    first, fault = next(iter(unread.items()))
    why = f"{len(unread)} of its learners cannot be read ({_versions(_member(path, first)) or fault})"
    study = OpenStudy(folder)
    config, spec = study.config, study.leaving(1 + max(job.member for job in unread))
    arm = next((arm for arm in study_arms(config, ()) if arm.label == label), None)
    if arm is None:
        raise StudyError(f"{why}, and the study's configuration has another learner")
    if config.rows == "augmented":
        raise StudyError(f"{why}, and real rows are needed to fit them again")
    if any(spec.missing_shards(job.member, job.volume) for job in unread):
        raise StudyError(f"{why}, and not all of the rows that they were fitted on are there")
    say(f"warning: {why}; they are fitted again from the study's rows")
    learner = arm.learner
    for job in unread:
        fresh = make_learner(learner.name, learner.settings, schema, seed=learner_seed(spec.seed, job))
        fresh.fit(TableCodec(schema).encode(spec.first_rows(job.member, job.volume)))
        shutil.rmtree(_member(path, job))
        fresh.save(_member(path, job))
        spec.folder.upload(_member(path, job), model_folder(label, job))


def _versions(member: Path) -> str:
    try:
        return other_versions(json.loads((member / DESCRIPTION).read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError):
        return ""
