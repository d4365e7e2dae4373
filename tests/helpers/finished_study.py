"""A finished study of this process, without Ray: members fitted, a linear model on each, report and surface."""

from pathlib import Path

import numpy as np

from dge_ray.downstream import make_learner
from dge_ray.results.answer import answer
from dge_ray.results.assemble import choose, surface_table
from dge_ray.results.baselines import Baselines, best_real
from dge_ray.results.outcomes import Outcome
from dge_ray.study.opened import OpenStudy
from dge_ray.study.records.files import REPORT, SURFACE, member_file
from dge_ray.study.records.predictions import Job, learner_seed, model_folder, tensor, write_predictions
from dge_ray.table import TableCodec

from . import fake_study
from .small_study import small_study


def finished_study(place: Path, members: int = 3) -> OpenStudy:
    """The study `s` below `place`/studies; its baseline on real rows is made up."""
    study = OpenStudy(small_study(place, members, "ratios=0.25,0.5", "shard_rows=64"))
    prepared, folder, codec = study.prepared, study.folder, TableCodec(study.schema)
    (arm,), volumes = prepared.arms, list(prepared.volumes)
    for k in range(members):
        folder.write_json(member_file(k), folder.read_json(member_file(k)) | {"cpu_seconds": 1.0})
        for volume in volumes:
            job = Job("member", k, volume)
            learner = make_learner("linear", {}, study.schema, seed=learner_seed(0, job))
            learner.fit(codec.encode(study.spec().rows(k, volume)))
            learner.save(Path(folder.path) / model_folder(arm.label, job))
            values = {part: learner.predict(codec.encode(prepared.parts[part])) for part in ("validation", "test")}
            write_predictions(folder, arm.label, job, values, study.schema.classes)
    truth = {part: prepared.truth(part) for part in ("validation", "test")}
    found = tensor(folder, arm.label, members=members, volumes=volumes, width=2, rows=prepared.rows)
    one = Outcome(prepared, arm, volumes, found, choose(prepared, found["validation"], truth["validation"], volumes))
    real = {part: np.full((1, len(y), 2), 0.5) for part, y in truth.items()}
    baselines = Baselines(*({"constant": fits} for fits in (real["validation"], real["test"])))
    rival = best_real(prepared, baselines, truth["validation"])
    report = fake_study.report(members=members, ratios=(0.25, 0.5), n=prepared.n)
    report |= {
        "study": "s",
        "learner": arm.label,
        "volumes": volumes,
        "best_real": rival,
        "margins": {"log_loss": 0.01},
    }
    report["data"]["rows"] = prepared.rows
    report["reflection_point"]["volume"] = one.choice.volume
    report["answer"] = answer(one, folder, baselines, rival, truth, 0.01)
    folder.write_table(SURFACE, surface_table(one, truth))
    folder.write_json(REPORT, report)
    return OpenStudy(folder)
