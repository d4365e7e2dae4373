"""What a study's predictions say beyond the reflection point: laws in members and volume, uncertainty, small groups.

Every part is a key of report.json and left out where the study cannot give it (too few members, say). Laws are fitted
on validation, where K and m are chosen; uncertainty and groups are read on test. Nothing is fitted or drawn anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.results.classes import class_findings
from dge_ray.results.outcomes import Outcome
from dge_ray.results.rarity import least_likely
from dge_ray.results.worst_case import worst_case_volume
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.comparison.subgroups import find_groups, subgroup_risks
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.ensemble.klaw_interval import enough_members, held_back, worth_its_price
from dge_ray.stats.ensemble.uncertainty import (
    accuracy_confidence,
    binomial_interval,
    calibration,
    conformal_intervals,
    conformal_sets,
    entropy_parts,
    variance_parts,
)
from dge_ray.stats.volume.curve_shape import curve_shape
from dge_ray.stats.volume.joint_law import joint_law
from dge_ray.stats.volume.learning_curve import learning_curve
from dge_ray.storage import Folder
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.costs import drawn_shards, job_seconds, member_seconds
from dge_ray.study.records.jobs import FOLD, generator_numbers
from dge_ray.study.records.predictions import Job, in_folds
from dge_ray.table.arrow.arrow_types import arrow_type, value_type
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import Column, Kind

EPSILON = 0.02  # the joint law's: share of the best cell's Brier score or mean squared error
CONFORMAL_LEVEL = 0.9
FEWEST_OF_A_CLASS = 30  # test rows of the rarest class, below which the bound on the members held .76 to .93


def findings(
    outcome: Outcome, folder: Folder, truth: Mapping[str, np.ndarray], *, real_learner: str | None = None
) -> dict[str, Any]:
    """The parts by key, of one arm: klaw, joint_law, learning_curve, curve, volume_law, uncertainty, classes,
    subgroups. `real_learner`: whose model on real rows the groups are compared with; None: the arm's own.

    In a cross-fitted study what is read on test takes each test row once, by the members of the first fold.
    """
    prepared, predictions, choice, volumes = outcome.prepared, outcome.predictions, outcome.choice, outcome.volumes
    label = outcome.arm.label
    once = prepared.once
    test, y = np.asarray(outcome.once, dtype=np.float64), truth["test"][:once]
    costs = member_costs(folder, label, len(test), volumes, prepared.shard_rows, folds=prepared.fold_count)
    real = prepared.read_fit(folder, label, in_folds(Job("real"), prepared.held))
    others = [  # the first is member 0's own fit
        prepared.read_fit(folder, label, [Job("ensemble", f * FOLD, m, k) for f, m in enumerate(outcome.by_fold)])
        for k in range(1, len(test))
    ]
    others = [values["test"][:once] for values in others]
    naive = ensemble_mean(np.stack([test[0], *others]))
    theirs = prepared.read_fit(folder, real_learner or label, in_folds(Job("real"), prepared.held))
    rivals = {"naive_ensemble": naive, "real": theirs["test"][:once]}
    keys = {"task": prepared.task, "seed": prepared.config.seed}
    parts: dict[str, Any] = {}
    drawn = np.flatnonzero(np.array(volumes))  # raw rows alone, volume 0, are on no curve over log m
    if len(drawn):
        shape = curve_shape(
            predictions["validation"][:, drawn],
            truth["validation"],
            volumes=[volumes[i] for i in drawn],
            metric=prepared.metric,
            tolerance=prepared.config.tolerance,
            **keys,
        )
        parts["curve"] = asdict(shape)
    if not prepared.augmented:  # the laws are of synthetic rows alone
        curve = learning_curve(
            predictions["validation"],
            truth["validation"],
            volumes=volumes,
            metric=prepared.metric,
            real=real["validation"],
            **keys,
        )
        parts["learning_curve"] = asdict(curve)
        on_validation = (predictions["validation"], truth["validation"])
        if worst := worst_case_volume(prepared, folder, *on_validation, volumes, curve):
            parts["volume_law"] = asdict(worst)
    if not prepared.augmented and (costs > 0).all():
        law = joint_law(
            predictions["validation"], truth["validation"], volumes=volumes, costs=costs, epsilon=EPSILON, **keys
        )
        parts["joint_law"] = asdict(law)
    parts |= {"uncertainty": uncertainty(test, y, seed=prepared.config.seed)}
    if prepared.task != "regression":
        clusters = prepared.judged_clusters("test")
        clusters = None if clusters is None else clusters[:once]
        parts["classes"] = class_findings(
            test, y, prepared.schema.classes, seed=prepared.config.seed, clusters=clusters
        )
    parts |= {"subgroups": _subgroups(prepared, folder, test, rivals, y)}
    if len(test) >= 4:
        at = float(costs[list(volumes).index(choice.volume)])
        parts["klaw"] = members_law(prepared, test, y, cost=at)
    return parts


def member_costs(
    folder: Folder, label: str, members: int, volumes: Sequence[int], shard_rows: int, *, folds: int = 1
) -> np.ndarray:
    """CPU-seconds of one member at each volume, means over members: its generators, one a fold, the whole shards that
    hold the rows, its fits; at volume 0, raw rows alone, the fits. Shape: -> (volumes,); 0 where nothing was noted (a
    volume dropped).
    """
    numbers = generator_numbers(range(members), folds)
    fits = [member_seconds(folder, k) for k in numbers]
    shards = [shard["cpu_seconds"] for k in numbers for shard in drawn_shards(folder, k)]
    fit, draw = float(np.mean(fits)), float(np.mean(shards)) if shards else 0.0
    out = []
    for volume in volumes:
        each = [job_seconds(folder, label, Job("member", k, volume)) for k in numbers]
        learned = [seconds for seconds in each if seconds is not None]
        rows = fit + draw * -(-volume // shard_rows) if volume else 0.0
        out.append(rows + float(np.mean(learned)) if learned else 0.0)
    return folds * np.array(out)


def members_law(prepared: Prepared, members: np.ndarray, y: np.ndarray, *, cost: float) -> dict[str, Any]:
    """The K-law at the chosen volume on test: its two numbers, members that are enough, sizes held back."""
    task, tolerance = prepared.task, prepared.config.tolerance
    enough = enough_members(members, y, task=task, epsilon=tolerance)
    rarest = None if task == "regression" else int(np.bincount(y)[np.bincount(y) > 0].min())
    told = rarest is None or rarest >= FEWEST_OF_A_CLASS
    result: dict[str, Any] = {
        "metric": "mse" if task == "regression" else "brier",
        "s2": enough["s2"],
        "limit": enough["limit"],
        "within": tolerance,
        "members_within": enough["members"],
        "members_within_upper": enough["members_upper"] if told else None,
        "rows_of_the_rarest": rarest,
        "cpu_seconds_a_member": cost,
        "held_back": [],
    }
    if cost > 0 and enough["limit"] > 0:  # a minute must take a tolerance's share off the risk
        result["members_worth_a_minute"] = worth_its_price(enough["s2"], cost, tolerance * enough["limit"] / 60)
    if len(members) >= 6:
        result["held_back"] = [
            {"members": p.size, "from": p.members, "predicted": [p.value, p.lo_here, p.hi_here], "measured": seen}
            for p, seen in held_back(members, y, task=task)
        ]
    return result


def uncertainty(members: np.ndarray, y: np.ndarray, *, seed: int) -> dict[str, Any]:
    """Parts of the members' uncertainty, calibration, and conformal prediction, on test rows.

    Validation rows chose the volume and stopping rows the generators' epochs, so neither may calibrate: a random half
    of the test rows does, and coverage is read on the other half.
    """
    order = numpy_generator(seed, Purpose.INTERVAL, index=1).permutation(len(y))
    calibrate, read = np.sort(order[: len(y) // 2]), np.sort(order[len(y) // 2 :])
    level = CONFORMAL_LEVEL
    conformal: dict[str, Any] = {"level": level, "calibration_rows": len(calibrate), "rows": len(read)}
    total, aleatoric, epistemic = variance_parts(members)
    result: dict[str, Any] = {"variance": {"epistemic": float(epistemic.mean())}}
    if total is None or aleatoric is None:
        error = (ensemble_mean(members)[:, 0] - y) ** 2
        result["epistemic_share_of_squared_error"] = float(epistemic.mean() / error.mean()) if error.any() else None
        lo, hi = conformal_intervals(members[:, calibrate], y[calibrate], members[:, read], level=level)
        conformal |= _covered((lo <= y[read]) & (y[read] <= hi)) | {"width": float((hi - lo).mean())}
        return result | {"conformal": conformal}
    mean = ensemble_mean(members)
    result["variance"] |= {"total": float(total.mean()), "aleatoric": float(aleatoric.mean())}
    names = ("total", "aleatoric", "epistemic")
    result["entropy"] = {n: float(v.mean()) for n, v in zip(names, entropy_parts(members), strict=True)}
    reliability, curve = calibration(mean, y, seed=seed), accuracy_confidence(mean, y)
    result["calibration"] = {n: getattr(reliability, n).tolist() for n in ("confidence", "accuracy", "rows")}
    result |= {"ece": list(reliability.ece), "plain_ece": reliability.plain_ece}
    result["accuracy_confidence"] = {n: v.tolist() for n, v in asdict(curve).items()}
    sets = conformal_sets(mean[calibrate], y[calibrate], mean[read], level=level)
    conformal |= _covered(sets[np.arange(len(read)), y[read]]) | {"classes": float(sets.sum(axis=1).mean())}
    return result | {"conformal": conformal}


def _covered(hits: np.ndarray) -> dict[str, Any]:
    """The share of rows whose truth was held, with its exact binomial interval: of these sets, over new rows."""
    low, high = binomial_interval(hits.sum(), np.array(len(hits)))
    return {"covered": float(hits.mean()), "covered_interval": [float(low), float(high)]}


def written_date(column: Column, value: float) -> str:
    """A count of a datetime column's unit as people write it."""
    dtype = value_type(arrow_type(column.type))
    counts = pa.array([round(value)], pa.int32() if dtype.bit_width == 32 else pa.int64())
    return str(counts.cast(dtype)[0].as_py())


def _subgroups(
    prepared: Prepared, folder: Folder, members: np.ndarray, others: Mapping[str, np.ndarray], y: np.ndarray
) -> list[dict[str, Any]]:
    schema = prepared.schema
    codec = TableCodec(schema)
    features = [column.name for column in schema.features if column.kind is not Kind.TEXT]
    train, test = (codec.encode(rows, features) for rows in (prepared.parts["train"], prepared.judged_table))
    names = {c.name: [str(v) for v in c.categories] for c in schema.features if c.categories}
    dates = {c.name: partial(written_date, c) for c in schema.features if c.kind is Kind.DATETIME}
    groups, kinds = find_groups(train, test, names, written=dates), prepared.config.generators
    of_members = [kinds[k % len(kinds)][0] for k in range(len(members))]
    # without test rows there are none that the first fold's generators have not seen
    rare = None if prepared.is_nested else least_likely(folder, of_members, schema, prepared.judged_table)
    return subgroup_risks([*groups, rare] if rare else groups, members, others, y)
