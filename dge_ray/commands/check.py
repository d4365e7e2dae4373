"""`dge-ray check`: what a study would be and cost. Nothing here writes or trains."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dge_ray.commands.columns import column_lines, describe_columns
from dge_ray.commands.own_modules import refuse_on_cluster
from dge_ray.commands.pilot import pilot_to_do, without_pilot
from dge_ray.distributed.session.preflight import check_ray, joins_cluster
from dge_ray.errors import InputError
from dge_ray.options import Say, to_stderr
from dge_ray.phrases import duration
from dge_ray.report.words.answer import parts_sentence
from dge_ray.report.words.pilot import pilot_to_do_lines
from dge_ray.report.words.privacy import plan_lines
from dge_ray.stats.volume.refine import most_volumes
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig, as_yaml
from dge_ray.study.folder import check_folder, check_storage, read_study_config, resolved, study_folder
from dge_ray.study.given import config_of
from dge_ray.study.keys.choices import GeneratorChoice
from dge_ray.study.pilot.price import fit_price, study_price
from dge_ray.study.pilot.record import settled
from dge_ray.study.prepare import prepare
from dge_ray.study.prepared import Prepared
from dge_ray.study.private import refuse_overspending, study_plan, what_members_cost
from dge_ray.study.read_config import placed
from dge_ray.study.records.files import IDENTITY, REPORT, member_file
from dge_ray.study.records.jobs import FOLD
from dge_ray.study.records.predictions import Job, dropped_file, finished, in_folds
from dge_ray.table.schema.identities import in_words, order_in_words

PRICED = ("autoregressive", "copula", "diffusion", "trees")  # of which `study_price` knows
STARTING = 15.0  # seconds until the first fit


def check(source: Any, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """What `dge-ray tune` would do with a source, or a table of Python's, and keys; see `check_study`.

    `say` is told nothing: the warnings are part of the answer.
    """
    with config_of(source, options, keep=False) as config:
        return check_study(config)


def check_study(config: StudyConfig) -> dict[str, Any]:
    """The resolved configuration, the columns, the warnings, and the bill.

    Raises:
        InputError: what is wrong with the configuration, the table, or a study of this name that exists. For what
            refuses `tune` on this machine, the storage and Ray, there is a line each in `refused`; the tracking server
            is not tried.
    """
    folder = study_folder(config.storage, str(config.study))
    given, (config, auto) = config, settled(config, folder)
    refuse_overspending(config, folder)
    refuse_on_cluster(learner.name for learner in config.learners)
    prepared = prepare(config)
    check_folder(prepared, pilot=auto)
    schema, refused = prepared.schema, _refused(config)
    pilot = pilot_to_do(prepared, folder) if auto else without_pilot(given, config)
    still_open = {"generator": given.generator} if "fits" in pilot else {}
    return {
        "config": resolved(prepared).model_copy(update=still_open).model_dump(mode="json"),
        "columns": describe_columns(prepared),
        "warnings": list(prepared.warnings),
        "identities": [{**identity.untold().to_json(), "words": in_words(identity)} for identity in schema.identities],
        "orders": [{"column": a, "least": b, "words": order_in_words((a, b))} for a, b in schema.orders],
        "target": schema.target,
        "task": schema.task,
        "rows": prepared.rows,
        "bill": bill(prepared),
        **({"pilot": pilot} if pilot else {}),
        "refused": refused,
        **({} if refused else _on_cluster(prepared)),
        **_to_do(prepared, folder),
        **({"privacy": _privacy(prepared, folder)} if config.private else {}),
    }


def _refused(config: StudyConfig) -> list[str]:
    """What `tune` would be refused for on this machine, a line each."""
    refused = []
    for look in (lambda: check_storage(config), check_ray):
        try:
            look()
        except InputError as error:
            refused.append(str(error))
    return refused


def _privacy(prepared: Prepared, folder: Folder) -> dict[str, Any]:
    """The plan of the noise, and the noise that other numbers of members would need."""
    config, n = prepared.config, prepared.n
    plan = study_plan(config, folder, prepared.most_members, n)
    return {"plan": plan.to_json(), "costs": what_members_cost(config, n, before=plan.before)}


def _to_do(prepared: Prepared, folder: Folder) -> dict[str, Any]:
    """Whether the study `exists`, and what `tune` would then fit: `members_to_fit`, and `cells_to_fit`, fits of a
    member at a volume, None where a searcher picks the volumes. `members=auto` is taken to stop where it did, or
    else, in a study whose members were a number, at the most."""
    if not folder.exists(IDENTITY):
        return {"exists": False}
    config, count = prepared.config, prepared.most_members
    stopped = folder.exists(REPORT) and read_study_config(folder).members == "auto"
    if config.members == "auto" and stopped:
        count = int(folder.read_json(REPORT)["members"])
    folds = range(prepared.fold_count)
    fitted = sum(all(folder.exists(member_file(k + fold * FOLD)) for fold in folds) for k in range(count))
    to_do: dict[str, Any] = {"exists": True, "members_to_fit": count - fitted, "cells": None, "cells_to_fit": None}
    if config.search.name == "grid":
        there = left = 0
        for arm in prepared.arms:
            note, dropped = dropped_file(arm.label, prepared.metric, count), set()
            if config.search.drop_hopeless and folder.exists(note):
                dropped = set(folder.read_json(note))
            grid = ((k, m) for k in range(count) for m in arm.volumes if m not in dropped)
            cells = [job for k, m in grid for job in in_folds(Job("member", k, m), prepared.held)]
            there, left = there + len(cells), left + len(cells) - len(finished(folder, arm.label, cells))
        to_do |= {"cells": there, "cells_to_fit": left}
    return to_do


def bill(prepared: Prepared) -> dict[str, Any]:
    """What the study will cost at most, as `check` prints it."""
    members, volumes, folds = prepared.most_members, prepared.volumes, prepared.fold_count
    rows = folds * members * volumes[-1]
    searched = {
        "grid": len(volumes),
        "refine": most_volumes(len(volumes)),
        "optuna": prepared.config.search.trials,
    }[prepared.config.search.name]
    train = prepared.n
    every = prepared.rows["train"] + prepared.rows["stopping"]
    every += prepared.rows["validation"] if prepared.folds is None else 0  # a fold's baselines have the others' rows
    real = {"real": train, "real_ensemble": train, "simple": train, "real_all": every, "raw": prepared.base}
    others = prepared.base if prepared.augmented else 0  # real rows of a fit on synthetic ones
    all_fits = all_rows = 0
    for place, arm in enumerate(prepared.arms):
        fits = folds * members * (searched if arm.synthetic else 1)
        # one arm will be chosen, and have all of its own; which one does not change the price
        jobs = prepared.first_baselines if place else prepared.baselines
        baselines = jobs(arm, members, [arm.volumes[-1]] * folds)
        on_real = fits * others + sum(real.get(job.kind, others) for job in baselines)
        all_fits += fits + len(baselines)
        all_rows += fits * sum(arm.volumes) // len(arm.volumes) + sum(job.rows for job in baselines) + on_real
    again = members if prepared.config.refit == "all" else 0  # members fitted again on all rows, a model each
    all_fits, all_rows, rows = all_fits + again, all_rows + again * volumes[-1], rows + again * volumes[-1]
    return {
        "generator_fits": folds * members + again,
        "downstream_fits": all_fits,
        "downstream_rows": all_rows,
        "synthetic_rows": rows,
        "cpu_seconds_estimated": _cpu_seconds(prepared, searched),
        "bytes_estimated": rows * (6 * len(prepared.schema.columns) + 500 * len(prepared.schema.texts)),
        "folds": folds,
        "members": prepared.config.members,
        "at_most_members": members,
        "volumes": list(volumes),
    }


def _cpu_seconds(prepared: Prepared, searched: int) -> float | None:
    """What the study will take at most, within a factor of two or so; None with a generator of which nobody knows."""
    choices = [GeneratorChoice(name=name, settings=settings) for name, settings in prepared.config.generators]
    if not {choice.name for choice in choices} <= set(PRICED):
        return None
    members, folds = prepared.most_members, prepared.fold_count
    baselines = [
        (arm.learner.name, job.rows or prepared.n)
        for arm in prepared.arms
        for job in prepared.baselines(arm, members, [arm.volumes[-1]] * folds)
    ]
    study = study_price(prepared, choices, folds * members, searched)
    return study + sum(fit_price(prepared, learner, rows) for learner, rows in baselines)


def _on_cluster(prepared: Prepared) -> dict[str, Any]:
    """What the study takes of the cluster that it would join; nothing where it would start a Ray of its own."""
    if not joins_cluster():
        return {}
    from dge_ray.commands.tune import demand_of
    from dge_ray.distributed.session.ray_session import ray_session

    with ray_session() as resources:
        share = demand_of(prepared).on(resources)
    at_once = share.actors * prepared.config.members_per_actor
    return {
        "cluster": {
            "nodes": resources.nodes,
            "cpus": resources.cpus,
            "gpus": resources.gpus,
            "members_at_once": at_once,
            "waves": -(-prepared.most_members * prepared.fold_count // at_once),
            "gpus_per_member": share.member.gpus,
            "workers": share.workers,
            "cpus_per_worker": share.cpus_per_worker,
        }
    }


def lines(checked: Mapping[str, Any]) -> list[str]:
    """The answer for people: warnings and columns first, then the configuration as YAML, and the bill; all but the
    YAML as its comments, so that `tune` reads it. Its paths are absolute: nobody knows where the YAML will be kept."""
    costs, rows = checked["bill"], checked["rows"]
    members = costs["members"]
    at_most = "" if members != "auto" else f" at most {costs['at_most_members']}"
    kinds = Counter(column["kind"] for column in checked["columns"])
    about = [
        f"target: {checked['target']} ({checked['task']}); "
        + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())),
        parts_sentence(rows, costs["folds"]),
        f"members: {members}{at_most}; volumes: " + ", ".join(f"{m:,}" for m in costs["volumes"]),
        f"at most {costs['generator_fits']} generator fits, {costs['downstream_fits']:,} downstream fits over "
        f"{costs['downstream_rows']:,} rows, {costs['synthetic_rows']:,} synthetic rows "
        f"(about {costs['bytes_estimated'] / 1e6:,.0f} MB on disk)",
        _time_line(checked),
        *pilot_to_do_lines(checked.get("pilot")),
        *(f"tune would be refused here: {line}" for line in checked["refused"]),
        *_cluster_lines(checked.get("cluster")),
        *plan_lines(checked.get("privacy") or {}),
        _to_do_line(checked),
    ]
    study = as_yaml(placed(StudyConfig.model_validate(checked["config"]))).splitlines()
    first = [*(f"warning: {text}" for text in checked["warnings"]), *column_lines(checked["columns"])]
    return [*_comments(first), "", *study, "", *_comments(about)]


def _comments(lines: Sequence[str]) -> list[str]:
    return [f"# {text}" for line in lines for text in line.splitlines()]


def _time_line(checked: Mapping[str, Any]) -> str:
    seconds, cluster = checked["bill"]["cpu_seconds_estimated"], checked.get("cluster")
    if seconds is None:
        return "time: not known beforehand with this generator; `dge-ray status` tells it once the first fits are done"
    cores = (
        cluster["cpus"]
        if cluster
        else len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count()
    )
    cores = max(int(cores or 1), 1)
    wall = STARTING + seconds / cores
    return (
        f"time: at most about {duration(seconds)} of CPU time, {duration(wall)} on {cores} free "
        f"core{'s' if cores > 1 else ''}; predicted from the table's size, often within a factor of two"
    )


def _to_do_line(checked: Mapping[str, Any]) -> str:
    if not checked["exists"]:
        return "this study is new"
    members, cells = checked["members_to_fit"], checked["cells_to_fit"]
    if cells is None:
        return f"this study exists: tune would fit {members} members more, and the volumes that the search picks"
    if members == cells == 0:
        return (
            f"this study exists, and all of its {checked['cells']:,} cells (a member at a volume) are fitted: tune "
            "would fit nothing but baselines that are missing; more members, ratios or another learner add cells"
        )
    most = "at most " if checked["config"]["members"] == "auto" and members else ""
    return (
        f"this study exists: tune would fit {most}{members} members more and {cells:,} of its {checked['cells']:,} "
        "cells (a member at a volume), and baselines anew where the members' number or the chosen volume changes"
    )


def _cluster_lines(cluster: Mapping[str, Any] | None) -> list[str]:
    if cluster is None:
        return []
    share = f" at {cluster['gpus_per_member']:g} GPUs each" if cluster["gpus_per_member"] else ""
    return [
        f"cluster: {cluster['nodes']} nodes, {cluster['cpus']:g} CPUs, {cluster['gpus']:g} GPUs; "
        f"{cluster['members_at_once']} members at once{share} (at most {cluster['waves']} waves), "
        f"{cluster['workers']} downstream workers of {cluster['cpus_per_worker']:.2g} CPUs"
    ]
