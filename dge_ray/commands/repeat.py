"""`dge-ray estimates STUDY results=...`: how much the study's own results would change with other real rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from dge_ray.distributed.refits import run_refits
from dge_ray.errors import InputError, nearest
from dge_ray.inference.repeated import RESULTS, RealRows, Repeated, intervals
from dge_ray.inference.replicates import Recipe
from dge_ray.options import Say
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.metrics.losses import metric_value
from dge_ray.study.opened import OpenStudy
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.files import replicates_folder
from dge_ray.study.records.predictions import REAL_FITS, Job, in_folds


@dataclass(frozen=True)
class Results:
    """What is asked of a study: `released`, its own values, and the replicate that does them again."""

    released: dict[str, float]
    work: Repeated

    def bootstrapped(
        self, study: OpenStudy, replicates: int, *, level: float, say: Say
    ) -> tuple[list[dict[str, Any]], dict[str, int], dict[str, Any]]:
        """Rows of `results`, failures, and what it took; within the study's lock and a Ray session."""
        what = {
            "results": self.work.results,
            "learner": [self.work.learner[0], dict(self.work.learner[1])],
            "members": self.work.members,
            "volumes": [self.work.volumes, self.work.at],
            "packages": {name: version(name) for name in ("dge-ray", "torch", "scikit-learn")},
        }
        kept = study.folder / replicates_folder(what)
        work = self.work
        found, cost = run_refits({}, lambda _: work, replicates, folder=kept, say=say)
        failures: dict[str, int] = {}
        for one in found:
            for reason, count in one["failures"].items():
                failures[reason] = failures.get(reason, 0) + count
        rows = intervals(self.released, [one["results"] for one in found], metric=work.metric, level=level)
        return rows, failures, cost


def read_results(study: OpenStudy, asked: Sequence[str], recipe: Recipe, members: int, volume: int) -> Results:
    """The checked request, and the study's own values.

    Raises:
        InputError: no such result, or a study that has none, or none that can be done again on resampled rows.
    """
    for name in asked:
        if name not in RESULTS:
            raise InputError("results", repr(name), nearest(name, list(RESULTS)))
    prepared, config, report = study.prepared, study.config, study.report
    _check(prepared, report)
    if volume not in (grid := tuple(int(v) for v in report["volumes"])):
        raise InputError("volume", str(volume), f"with results, one of the study's: {', '.join(map(str, grid))}")
    arm = next(arm for arm in prepared.arms if arm.label == report["learner"])
    work = Repeated(
        real=_real_rows(prepared),
        schema=prepared.schema,
        generator=recipe,
        learner=(arm.learner.name, arm.learner.settings),
        members=members,
        volumes=grid,
        at=grid.index(volume),
        metric=prepared.metric,
        results=tuple(asked),
        real_fits=REAL_FITS,
        seed=config.seed,
        constraints=config.constraints,
    )
    values: dict[str, float] = {}
    if "risk" in asked or "utility" in asked:
        cells = [prepared.cell(arm, k, volume) for k in range(members)]
        fits = np.stack([prepared.read_fit(study.folder, arm.label, cell)["test"] for cell in cells])
        truth = prepared.judged_truth("test")
        values["risk"] = metric_value(prepared.metric, ensemble_mean(fits), truth)
        real = [in_folds(Job("real", index=index), prepared.held) for index in range(REAL_FITS)]
        on_real = [prepared.read_fit(study.folder, arm.label, jobs)["test"] for jobs in real]
        values["utility"] = values["risk"] - float(np.mean([metric_value(prepared.metric, p, truth) for p in on_real]))
    values["best_volume"] = float(report["reflection_point"]["volume"])
    return Results({name: values[name] for name in asked}, work)


def _check(prepared: Prepared, report: dict[str, Any]) -> None:
    """Raises InputError where a study's results cannot be done again on resampled rows."""
    faults = {
        "without a report": not report,
        "whose learners see raw rows": prepared.augmented or bool(prepared.config.weights) or "raw" in prepared.parts,
        "without test rows": prepared.is_nested,
        "with time_column, whose rows cannot be resampled": prepared.config.time_column is not None,
        "that looked at a part of its grid": prepared.config.search == "refine",
    }
    for what, holds in faults.items():
        if holds:
            takes = "with results, a finished study of synthetic rows alone, with test rows and all its volumes"
            raise InputError("study", f"one {what}", takes)


def _real_rows(prepared: Prepared) -> RealRows:
    """Its parts; of a cross-fitted study its folds and test."""
    if prepared.folds is None:
        parts = ("train", "stopping", "validation", "test")
        return RealRows({p: prepared.parts[p] for p in parts if p in prepared.parts}, groups=prepared.clusters)
    groups = dict(prepared.clusters)
    if prepared.folds.clusters is not None:
        groups["pool"] = prepared.folds.clusters
    tables = {"pool": prepared.folds.pool, "test": prepared.parts["test"]}
    return RealRows(tables, prepared.held, groups, prepared.config.stopping_fraction)
