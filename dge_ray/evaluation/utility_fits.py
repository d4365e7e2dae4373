"""A utility report's fits: a task a member and pipeline, each loss vector written once, atomically.

What is on disk is neither fitted nor drawn again.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from dge_ray.distributed.tasks import Result, Shared, Task, run
from dge_ray.downstream import make_learner
from dge_ray.evaluation.ingredients import DOMAIN, Stack, density_ratio, fit_weighted, redraw
from dge_ray.evaluation.losses import (
    Estimator,
    UtilityFit,
    member_fits,
    missing,
    real_fits,
    write_ensemble_part,
    write_losses,
)
from dge_ray.seeds import NO_MEMBER, Purpose, integer
from dge_ray.study.members import MemberSpec
from dge_ray.study.records.files import overlap_file, weights_file
from dge_ray.study.records.predictions import finished, read_predictions
from dge_ray.table import Columns, TableCodec, target_vector


@dataclass(frozen=True)
class UtilitySpec:
    """What every task needs to know. `real`: pipelines' trainings on the real rows, each with a seed of its own."""

    members: MemberSpec
    count: int
    volume: int
    real: int


def learner_seed(seed: int, fit: UtilityFit) -> int:
    """The study's own seed where the study has the same fit; all variants of a member share it."""
    if fit.kind == "real":  # index 1 of no member is the concatenated baseline's
        return integer(seed, Purpose.LEARNER, member=NO_MEMBER, index=fit.index + (fit.index > 0), bits=31)
    return integer(seed, Purpose.LEARNER, member=fit.index, index=0, bits=31)


def run_fits(
    spec: UtilitySpec, estimators: list[Estimator], tables: dict[str, Columns], say: Callable[[str], None]
) -> None:
    """Have every fit of the report on disk. `tables`: the encoded real rows, `train` and `test`.

    Raises:
        StudyError: a task failed for good, in one line.
    """
    tasks = _tasks(spec, estimators)
    run(
        tasks,
        done={},  # what is on disk has no task
        keep=lambda key, result: None,  # each task writes its own files
        say=say,
        shared={"real": lambda: tables},
        noun="parts of the utility report",
    )


def _tasks(spec: UtilitySpec, estimators: list[Estimator]) -> list[Task]:
    """Response model -> a member's rows, weights and redrawn labels -> its fits. What is on disk has no task."""
    folder, real = spec.members.folder, Shared("real")
    absent = [(estimator, _absent(spec, estimator)) for estimator in estimators]
    weigh = {k for k in range(spec.count) if not folder.exists(overlap_file(k, spec.volume))}
    drawn = sorted(weigh | {fit.index for _, fits in absent for fit in fits if fit.kind != "real"})
    tasks = [Task(f"rows {k}", spec.members.complete_rows, (k, spec.volume)) for k in drawn]
    if weigh:
        tasks.append(Task("response", _fit_response, (spec, real)))
    for k in sorted(weigh):
        tasks.append(Task(f"weights {k}", _weigh, (spec, k, real, Result("response")), after=(f"rows {k}",)))
    for estimator, fits in absent:
        for k in sorted({fit.index for fit in fits if fit.kind != "real"}):
            own = [fit for fit in fits if fit.kind != "real" and fit.index == k]
            before = f"weights {k}" if k in weigh else f"rows {k}"
            tasks.append(Task(f"{estimator.label} {k}", _fit_member, (spec, estimator, own, real), after=(before,)))
        for fit in fits:
            if fit.kind == "real":
                tasks.append(Task(f"{estimator.label} real {fit.index}", _fit_real, (spec, estimator, fit, real)))
    return tasks


def _absent(spec: UtilitySpec, estimator: Estimator) -> list[UtilityFit]:
    fits = member_fits(estimator.label, spec.count, spec.volume) + real_fits(estimator.label, spec.real)
    return missing(spec.members.folder, fits)


def _rows(spec: UtilitySpec, member: int) -> Columns:
    """The member's first rows, encoded."""
    return TableCodec(spec.members.schema).encode(spec.members.first_rows(member, spec.volume))


def _fit_response(spec: UtilitySpec, real: dict[str, Columns]) -> Stack:
    return Stack(spec.members.schema, seed=integer(spec.members.seed, Purpose.UTILITY)).fit(real["train"])


def _weigh(spec: UtilitySpec, member: int, real: dict[str, Columns], response: Stack) -> None:
    """A member's weights, redrawn labels and overlap."""
    members, columns = spec.members, _rows(spec, member)
    seed = integer(members.seed, Purpose.UTILITY, member=member, index=DOMAIN)
    weights, overlap = density_ratio(real["train"], real["test"], columns, members.schema, seed=seed)
    labels = redraw(response, real["train"], columns, seed=seed)
    table = pa.table({"weight": pa.array(weights), "label": pa.array(labels)})
    members.folder.write_table(weights_file(member, spec.volume), table)
    members.folder.write_json(overlap_file(member, spec.volume), asdict(overlap))


def _fit_member(spec: UtilitySpec, estimator: Estimator, fits: list[UtilityFit], real: dict[str, Columns]) -> None:
    """The variants of one member's rows that are missing, one after another."""
    if all(_from_study(spec, fit, real["test"]) for fit in fits):
        return
    members, member = spec.members, fits[0].index
    columns = _rows(spec, member)
    kept = members.folder.read_table(weights_file(member, spec.volume))
    weights, target = kept["weight"].to_numpy(), str(members.schema.target)
    redrawn = {**columns, target: kept["label"].to_numpy().astype(columns[target].dtype)}
    for fit in fits:
        if _from_study(spec, fit, real["test"]):
            continue
        rows = redrawn if fit.kind in ("redrawn", "both") else columns
        learner = make_learner(estimator.name, estimator.settings, members.schema, seed=learner_seed(members.seed, fit))
        if fit.kind in ("reweighted", "both"):
            seed = integer(members.seed, Purpose.UTILITY, member=member, index=DOMAIN)
            learner = fit_weighted(learner, rows, weights, seed=seed)
        else:
            learner = learner.fit(rows)
        _keep(spec, fit, learner.predict(real["test"]), real["test"])


def _fit_real(spec: UtilitySpec, estimator: Estimator, fit: UtilityFit, real: dict[str, Columns]) -> None:
    if _from_study(spec, fit, real["test"]):
        return
    members = spec.members
    learner = make_learner(estimator.name, estimator.settings, members.schema, seed=learner_seed(members.seed, fit))
    _keep(spec, fit, learner.fit(real["train"]).predict(real["test"]), real["test"])


def _from_study(spec: UtilitySpec, fit: UtilityFit, test: Columns) -> bool:
    """Take over a fit that the study itself has made; says whether it had."""
    job, folder = fit.job, spec.members.folder
    if job is None or not finished(folder, fit.label, [job]):
        return False
    width = len(spec.members.schema.classes) or 1
    _keep(spec, fit, read_predictions(folder, fit.label, job, width)["test"], test)
    return True


def _keep(spec: UtilitySpec, fit: UtilityFit, p: np.ndarray, test: Columns) -> None:
    schema = spec.members.schema
    if fit.kind == "as_is":
        write_ensemble_part(spec.members.folder, fit, p)
    write_losses(spec.members.folder, fit, p, target_vector(test, schema), str(schema.task))
