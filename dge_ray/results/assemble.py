"""What a study found: the choice on validation, the report on test, and the files that hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from dge_ray.report.figures.axes import png_bytes
from dge_ray.report.figures.catalogue import FIGURES, drawings, drawn
from dge_ray.report.json_values import plain_json
from dge_ray.report.study_page import render_html
from dge_ray.report.words.answer import headline
from dge_ray.results.answer import answer
from dge_ray.results.baselines import base_rate, best_real, compare, worse_than_constant
from dge_ray.results.outcomes import Outcome, learner_table
from dge_ray.stats.comparison.groups import group_table
from dge_ray.stats.ensemble.disagreement import disagreement
from dge_ray.stats.ensemble.families import MIN_MEMBERS, between_share
from dge_ray.stats.ensemble.worst_member import worst_member
from dge_ray.stats.metrics.losses import margin_of, metric_names
from dge_ray.stats.volume.nested import nested_choice
from dge_ray.stats.volume.reflection import ReflectionPoint, reflection_point, risk_interval
from dge_ray.stats.volume.surface import estimate_surface
from dge_ray.storage import Folder
from dge_ray.study.config import StudyConfig
from dge_ray.study.folder import resolved, versions
from dge_ray.study.pilot.record import pilot_seconds
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.costs import drawn_shards, job_seconds, member_seconds
from dge_ray.study.records.files import ATTACKS, REPORT, REPORT_PAGE, SURFACE, TRACKED, UTILITY, figure_file
from dge_ray.study.records.predictions import Job, finished, read_predictions
from dge_ray.table.arrow.arrow_types import pc

SURFACE_SCHEMA = pa.schema(
    [
        ("learner", pa.string()),
        ("members", pa.int32()),
        ("volume", pa.int64()),
        ("split", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("se", pa.float64()),
        ("se_rows", pa.float64()),
        ("dropped", pa.bool_()),
    ]
)


def choose(prepared: Prepared, validation: np.ndarray, truth: np.ndarray, volumes: Sequence[int]) -> ReflectionPoint:
    """The reflection point on validation. Shape: `validation` (members, volumes, rows, classes)."""
    config = prepared.config
    return reflection_point(
        validation,
        truth,
        task=prepared.task,
        volumes=volumes,
        grid=prepared.volumes,
        clusters=prepared.judged_clusters("validation"),
        metric=prepared.metric,
        tolerance=config.tolerance,
        seed=config.seed,
        looks=sum(arm.synthetic for arm in prepared.arms) or 1,
    )


def nested_places(
    prepared: Prepared, predictions: Mapping[str, np.ndarray], truth: np.ndarray, volumes: Sequence[int]
) -> tuple[int, ...]:
    """Of a cross-fitted study without test rows the place of each fold's volume, chosen on the others; else nothing.

    Arguments as of `choose`; predictions by split.
    """
    if not prepared.is_nested:
        return ()
    keys = {"task": prepared.task, "volumes": volumes, "metric": prepared.metric}
    return nested_choice(predictions["validation"], truth, prepared.held, **keys)


def assemble_report(
    prepared: Prepared,
    folder: Folder,
    chosen: Outcome,
    outcomes: Sequence[Outcome],
    truth: Mapping[str, np.ndarray],
    *,
    learners: Mapping[str, str],
    wall_seconds: float,
    more: Mapping[str, Any],
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """report.json's content: of the chosen learner; where there are several, each one's result too.

    `truth`: of validation and test rows. `learners`: of the baselines on real rows, by method, where there are several.
    `more`: what `findings` found, by key. `warnings`: beside those of the input.
    """
    at_choice, choice, label = chosen.at_choice, chosen.choice, chosen.arm.label
    members = len(at_choice)
    baselines = chosen.baselines(folder, learners)
    compared = compare(prepared, at_choice, baselines, truth["test"])
    rival = best_real(prepared, baselines, truth["validation"])
    margins = {name: margin_of(name, compared["test"][rival["method"]][name]) for name in metric_names(prepared.task)}
    clusters = prepared.judged_clusters("test")
    risk, lo, hi = risk_interval(
        at_choice, truth["test"], task=prepared.task, metric=prepared.metric, clusters=clusters
    )
    config = resolved(prepared)
    report = {
        "study": prepared.name,
        "seed": config.seed,
        "versions": versions(),
        "data": {
            "rows": prepared.rows,
            "target": prepared.schema.target,
            "task": prepared.schema.task,
            "base": base_rate(prepared),
            "sha256": prepared.digest,
            "columns": {column.name: column.kind.value for column in prepared.schema.columns},
        },
        **_crossfit(prepared, chosen),
        "generator": config.generator_name,
        "learner": label,
        "rows": config.rows,
        "canaries": config.canaries,
        "metric": prepared.metric,
        "members": members,
        "volumes": list(chosen.volumes),
        "search": {
            "name": config.search.name,
            "volumes": len(chosen.volumes),
            "grid": len(prepared.volumes),
        },
        "reflection_point": {
            "volume": choice.volume,
            "ratio": choice.volume / prepared.base,
            "interval": list(choice.interval),
            "status": choice.status,
            "members": members,
            "risk": risk,
            "risk_interval": [lo, hi],
            "smallest_within_one_se": choice.smallest_within_one_se,
            "candidates": list(choice.candidates),
            "rows_needed": choice.rows_needed,
            "members_needed": choice.members_needed,
            "advice": choice.advice,
        },
        **compared,
        "best_real": rival,
        **({"real_learners": dict(learners)} if learners else {}),
        "margins": margins,
        "answer": answer(chosen, folder, baselines, rival, truth, margins[prepared.metric]),
        **({"learners": learner_table(outcomes, chosen, folder, truth["test"])} if len(outcomes) > 1 else {}),
        **_groups(prepared, folder, label, at_choice, truth["test"], choice.volume),
        **_members_differ(prepared, chosen.once),
        **_worst(prepared, chosen),
        **_families(config, chosen.once),
        **_constraints(config, folder, prepared.generators(members)),
        **more,
        "cost": _cost(outcomes, folder, members, wall_seconds),
        **({} if prepared.lineage is None else {"synthetic_input": prepared.lineage.as_json()}),
        "warnings": [*prepared.warnings, *warnings],
        "config": config.model_dump(mode="json"),
    }
    report["answer"]["sentence"] = headline(report)
    report["warnings"] = [*worse_than_constant(report, prepared.metric), *report["warnings"]]
    return plain_json(report)


def _crossfit(prepared: Prepared, chosen: Outcome) -> dict[str, Any]:
    """Of a cross-fitted study its folds, what is read, the rows a fold's fits have seen of those that are not test, and
    each fold's volume."""
    if prepared.folds is None:
        return {}
    count = prepared.fold_count
    report = "crossfit" if prepared.is_nested else "test"
    seen = prepared.rows["train"] + prepared.rows["stopping"]
    return {"folds": {"folds": count, "report": report, "n": prepared.n, "seen": seen, "volumes": list(chosen.by_fold)}}


def surface_table(outcome: Outcome, truth: Mapping[str, np.ndarray]) -> pa.Table:
    """The surface R(K, m) of one arm, every metric on both splits, as surface.parquet holds it; without test rows on
    validation alone."""
    prepared, rows = outcome.prepared, list[dict[str, Any]]()
    for split, tensor in outcome.predictions.items():
        keys = {"task": prepared.task, "volumes": outcome.volumes, "seed": prepared.config.seed}
        if split == "test" and prepared.is_nested:
            continue  # validation again
        cells = estimate_surface(tensor, truth[split], clusters=prepared.judged_clusters(split), **keys)
        rows += [{"learner": outcome.arm.label, "split": split, **asdict(cell)} for cell in cells]
    return pa.Table.from_pylist(rows, schema=SURFACE_SCHEMA)


def _cost(outcomes: Sequence[Outcome], folder: Folder, members: int, wall_seconds: float) -> dict[str, Any]:
    done = [job for outcome in outcomes for job in finished(folder, outcome.arm.label, outcome.jobs)]
    generators = outcomes[0].prepared.generators(members)
    learned = sum(job_seconds(folder, job.learner, job) or 0.0 for job in done)
    return {
        "rows_generated": sum(max((j.volume for j in done if j.members == [k]), default=0) for k in generators),
        "downstream_fits": len(done),
        "cpu_seconds": {
            "generators": sum(member_seconds(folder, k) for k in generators),
            "sampling": sum(shard["cpu_seconds"] for shard in _drawn(folder, generators)),
            "downstream": learned,
            **pilot_seconds(folder),
        },
        "wall_seconds": wall_seconds + _earlier(folder, {outcome.arm.label for outcome in outcomes}),
    }


def _drawn(folder: Folder, generators: Sequence[int]) -> list[dict[str, float]]:
    """What each shard of the generators cost, and the share of the rows drawn for it that met the constraints."""
    return [shard for k in generators for shard in drawn_shards(folder, k)]


def _members_differ(prepared: Prepared, at_choice: np.ndarray) -> dict[str, Any]:
    """How far two members' predictions of the same test rows are apart, where there are two."""
    if len(at_choice) < 2:
        return {}
    mean, lower, upper = disagreement(at_choice, task=prepared.task)
    return {"members_differ": {"disagreement": mean, "interval": [lower, upper]}}


def _worst(prepared: Prepared, chosen: Outcome) -> dict[str, Any]:
    """The member whose own model does worst on validation, where there are enough to say."""
    on_validation = chosen.predictions["validation"][:, chosen.choice.index]
    worst = worst_member(on_validation, prepared.judged_truth("validation"), prepared.metric)
    return {} if worst is None else {"worst_member": asdict(worst)}


def _groups(
    prepared: Prepared, folder: Folder, label: str, at_choice: np.ndarray, truth: np.ndarray, volume: int
) -> dict[str, Any]:
    """The table of van Breugel et al.: every approach in each group of members, where there are several."""
    members, groups = len(at_choice), prepared.config.groups
    if groups == 1:
        return {}
    size = members // groups

    def read(*jobs: Job) -> list[np.ndarray]:
        return [read_predictions(folder, label, job, prepared.width)["test"] for job in jobs]

    ensembles, concatenated = [], []
    for first in range(0, members, size):
        seeds = read(*(Job("ensemble", first, volume, index) for index in range(1, size)))
        ensembles.append(np.stack([at_choice[first], *seeds]))
        concatenated += read(Job("concatenated", first, volume, size))
    real = np.stack(read(*(Job("real", index=index) for index in range(size))))
    table = group_table(
        at_choice.reshape(groups, size, *at_choice.shape[1:]),
        np.stack(ensembles),
        np.stack(concatenated),
        real,
        truth,
        task=prepared.task,
    )
    return {"groups": {"groups": groups, "size": size, **table}}


def _families(config: StudyConfig, at_choice: np.ndarray) -> dict[str, Any]:
    """How much of the members' spread lies between their kinds of generator, where there are several."""
    names = [config.generators[k % len(config.generators)][0] for k in range(len(at_choice))]
    kinds = sorted(set(names))
    if len(kinds) < 2 or min(names.count(kind) for kind in kinds) < MIN_MEMBERS:
        return {}
    share, lower, upper = between_share(at_choice, names)
    return {"families": {"members": {k: names.count(k) for k in kinds}, "between": share, "interval": [lower, upper]}}


def _constraints(config: StudyConfig, folder: Folder, generators: Sequence[int]) -> dict[str, Any]:
    """The constraints, and the share of the rows drawn that met them."""
    if not config.constraints:
        return {}
    met = [shard["met"] for shard in _drawn(folder, generators)]
    return {"constraints": {"rules": list(config.constraints), "met": float(np.mean(met)) if met else None}}


def _labels(report: Mapping[str, Any]) -> set[str]:
    return {row["learner"] for row in report.get("learners") or [report]}


def _earlier(folder: Folder, labels: set[str]) -> float:
    """Wall seconds of this study's earlier finished runs with the same learners."""
    if not folder.exists(REPORT):
        return 0.0
    report = folder.read_json(REPORT)
    return float(report["cost"]["wall_seconds"]) if _labels(report) == labels else 0.0


def write_report(folder: Folder, report: Mapping[str, Any], surface: pa.Table) -> None:
    """report.json, and surface.parquet, which keeps what other learners of the study have left there."""
    if folder.exists(SURFACE):
        kept = folder.read_table(SURFACE)
        others = kept.filter(pc.invert(pc.is_in(kept["learner"], pa.array(sorted(_labels(report))))))
        surface = pa.concat_tables([surface, others])
    folder.write_table(SURFACE, surface)
    folder.write_json(REPORT, report)


def write_page(folder: Folder, report: Mapping[str, Any], surface: pa.Table) -> None:
    """The study's figures and its page, which says what attacks and `utility` found, where they were asked, and how
    MLflow calls the model.

    A figure of an earlier run, with other learners or rows, that is not drawn now is deleted; other verbs' stay.
    """
    figures = drawn(report, surface)
    for name, figure in figures.items():
        folder.write_bytes(figure_file(name), png_bytes(figure))
    for figure in FIGURES:
        if figure.name not in figures:
            folder.delete(figure_file(figure.name))
    attacks, utility = (folder.read_json(file) if folder.exists(file) else None for file in (ATTACKS, UTILITY))
    page = render_html({**report, **tracked(folder)}, drawings(figures), attacks, utility)
    folder.write_bytes(REPORT_PAGE, page.encode())


def tracked(folder: Folder) -> dict[str, str]:
    """`model`: how MLflow calls the study's model; nothing where it has none."""
    model = folder.read_json(TRACKED)["model"] if folder.exists(TRACKED) else None
    return {} if model is None else {"model": model}
