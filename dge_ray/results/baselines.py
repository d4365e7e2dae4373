"""The baselines of an arm at its chosen volume: what each predicts, what the ensemble gains on it, and the best one.

Those on real rows are there to embarrass us: `constant` (class shares, or the mean), `simple` (a linear learner),
`real` (the arm's learner on the rows that the generators saw), `real_all` (on those too that stopped the generators and
chose the volume) and `real_ensemble` (as many fits as members, each on rows drawn anew). Which of them the headline
compares with is chosen on validation; where that is `real`, `real_all` stands for it on test, since it is the same
learner with all the rows that the synthetic side has used, and has no validation rows left to be chosen on. In a study
of several learners each of the last three is of the learner that does best there on validation, whichever the ensemble
has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dge_ray.stats.comparison.baselines import metrics_of, naive_single, naive_single_difference
from dge_ray.stats.comparison.differences import PROCEDURE, THESE_MODELS, Ensemble, Fits
from dge_ray.stats.ensemble.combine import ensemble_mean
from dge_ray.stats.intervals import FEWEST_MEMBERS
from dge_ray.stats.metrics.losses import higher_is_better, metric_names, metric_value
from dge_ray.storage import Folder
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.predictions import SPLITS, in_folds
from dge_ray.table import TableCodec, target_vector

HOW = {
    "naive_ensemble": "first_member",
    "naive_concatenated": "grouped",
    "raw": "mean",
    "constant": "mean",
    "simple": "mean",
    "real": "mean",
    "real_all": "mean",
    "real_ensemble": "ensemble",
}
RIVALS = ("constant", "simple", "real", "real_ensemble")  # one of which is chosen on validation
KINDS = {"ensemble": "naive_ensemble", "concatenated": "naive_concatenated", "without": "naive_concatenated"}


@dataclass(frozen=True)
class Baselines:
    """Fits by method on validation and test rows. Shape: (fits, rows, classes) each."""

    validation: dict[str, np.ndarray]
    test: dict[str, np.ndarray]


def read_baselines(
    prepared: Prepared,
    folder: Folder,
    label: str,
    members: dict[str, np.ndarray],
    volumes: Sequence[int],
    learners: Mapping[str, str],
) -> Baselines:
    """An arm's baselines. `learners`: labels of those that are of another learner, by method (see `real_learners`).
    In a cross-fitted study each is fitted in every fold, and read as the members are.

    Shape: `members[split]` (K, rows, classes). `volumes`: at which, of each fold.
    """
    fits: dict[str, dict[str, list[np.ndarray]]] = {split: {} for split in ("validation", "test")}
    for split, own in members.items():
        fits[split]["naive_ensemble"] = [own[0]]
    own_jobs = [prepared.own_baselines(len(members["test"]), volume) for volume in volumes]
    for jobs in zip(*own_jobs, strict=True):
        in_fold, kind = [job.in_fold(fold) for fold, job in enumerate(jobs)], str(jobs[0].kind)
        values = prepared.read_fit(folder, learners.get(kind, label), in_fold)
        for split, by_method in fits.items():
            by_method.setdefault(KINDS.get(kind, kind), []).append(values[split])
    for split, values in constant_predictions(prepared).items():
        fits[split]["constant"] = [values]
    return Baselines(
        *({method: np.stack(fits[split][method]) for method in HOW if method in fits[split]} for split in fits)
    )


def real_learners(prepared: Prepared, folder: Folder, members: int) -> dict[str, str]:
    """The learner of each baseline that any learner may have: that of least risk on validation, of equals the first;
    nothing in a study of one. `real_all` has no validation rows left to be chosen on, and has that of `real`."""
    labels = [arm.label for arm in prepared.arms]
    if len(labels) == 1:
        return {}
    sign = -1.0 if higher_is_better(prepared.metric) else 1.0
    truth, best = prepared.judged_truth("validation"), dict[str, str]()
    for method in ("real", "real_ensemble"):
        jobs = [in_folds(job, prepared.held) for job in prepared.own_baselines(members, 0) if job.kind == method]
        risks = {}
        for label in labels:
            fits = [prepared.read_fit(folder, label, each)["validation"] for each in jobs]
            risks[label] = sign * _risk(method, np.stack(fits), truth, prepared.metric)
        best[method] = min(risks, key=risks.__getitem__)
    return {**best, "real_all": best["real"]}


def constant_predictions(prepared: Prepared) -> dict[str, np.ndarray]:
    """What knows the target's law in train alone, by split; in a cross-fitted study each fold's. Shape: (rows, classes)
    each."""
    tables, codec = prepared.tables, TableCodec(prepared.schema)
    values = [
        constant_prediction(prepared, target_vector(codec.encode(parts["train"]), prepared.schema)) for parts in tables
    ]
    each = [
        {split: np.tile(value, (parts[split].num_rows if split in parts else 0, 1)) for split in SPLITS}
        for value, parts in zip(values, tables, strict=True)
    ]
    return prepared.put_together(each)


def constant_prediction(prepared: Prepared, y: np.ndarray) -> np.ndarray:
    """The class shares of a target, or its mean. Shape: (rows,) -> (classes,)."""
    if prepared.task == "regression":
        return np.array([float(np.mean(y))])
    return np.bincount(y.astype(np.int64), minlength=prepared.width) / len(y)


def base_rate(prepared: Prepared) -> dict[str, float]:
    """Each class's share of train, or its mean and standard deviation."""
    y = prepared.truth("train")
    if prepared.task == "regression":
        return {"mean": float(np.mean(y)), "sd": float(np.std(y))}
    shares = np.bincount(y.astype(np.int64), minlength=prepared.width) / len(y)
    return {str(name): float(share) for name, share in zip(prepared.schema.classes, shares, strict=True)}


def compare(prepared: Prepared, members: np.ndarray, baselines: Baselines, truth: np.ndarray) -> dict[str, Any]:
    """`test`, `test_differences` and `difference_target` of report.json.

    Shape: members (K, N, C) on test rows, truth (N,).
    """
    task = prepared.task
    names = metric_names(task)
    test = {
        "dge": metrics_of(ensemble_mean(members), truth, task=task),
        "naive_single": naive_single(members, truth, task=task),
    }
    clusters = prepared.judged_clusters("test")
    single = {m: naive_single_difference(members, truth, m, task=task, clusters=clusters) for m in names}
    differences = {"naive_single": {metric: list(triple) for metric, triple in single.items()}}
    ensembles = {metric: Ensemble(members, truth, metric, clusters=clusters) for metric in names}
    for method, predictions in baselines.test.items():
        fits = predictions.astype(np.float64)
        each = [metrics_of(one, truth, task=task) for one in _predictions(method, fits)]
        test[method] = {metric: float(np.mean([values[metric] for values in each])) for metric in names}
        compared = {metric: own.less(Fits(HOW[method], fits)) for metric, own in ensembles.items()}
        differences[method] = {metric: [one.value, one.lo, one.hi] for metric, one in compared.items()}
    target = PROCEDURE if len(members) >= FEWEST_MEMBERS else THESE_MODELS
    return {"test": test, "test_differences": differences, "difference_target": target}


def _predictions(method: str, fits: np.ndarray) -> np.ndarray:
    """Those whose metrics' mean is the method's value. Shape: (fits, N, C) -> (fits or 1, N, C)."""
    if HOW[method] == "mean":
        return fits
    return fits[:1] if HOW[method] == "grouped" else ensemble_mean(fits)[None]


def _risk(method: str, fits: np.ndarray, truth: np.ndarray, metric: str) -> float:
    """The method's value. Shape: (fits, N, C), (N,)."""
    own = _predictions(method, fits.astype(np.float64))
    return float(np.mean([metric_value(metric, one, truth) for one in own]))


def best_real(prepared: Prepared, baselines: Baselines, truth: np.ndarray) -> dict[str, Any]:
    """`best_real` of report.json: which model on real rows the headline compares with, and the validation risks that it
    was chosen by. `truth`: of validation."""
    metric, risks = prepared.metric, dict[str, float]()
    for method in RIVALS:
        if method in baselines.validation:
            risks[method] = _risk(method, baselines.validation[method], truth, metric)
    sign = -1.0 if higher_is_better(metric) else 1.0
    chosen = min(risks, key=lambda method: (sign * risks[method], RIVALS.index(method)))
    method = "real_all" if chosen == "real" and "real_all" in baselines.test else chosen
    return {"method": method, "chosen": chosen, "validation": risks}


def worse_than_constant(report: dict[str, Any], metric: str) -> list[str]:
    """A line for each side whose learner does worse on test rows than predicting nothing at all."""
    test = report["test"]
    level = test["constant"][metric]
    sign = -1.0 if higher_is_better(metric) else 1.0
    learners = report.get("real_learners") or {}
    sides = {"dge": "on synthetic rows", "real": "on real rows", "real_ensemble": "on real rows, as an ensemble"}
    return [
        f"{learners.get(method, report['learner'])} {side} does worse than a constant prediction: {metric} "
        f"{test[method][metric]:.4g} against {level:.4g} on test rows; try another learner"
        for method, side in sides.items()
        if method in test and sign * (test[method][metric] - level) > 0
    ]
