"""`dge-ray utility`: is training on a study's synthetic rows good enough, and may a model be chosen on them?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from dge_ray.commands.gates import ending, gated
from dge_ray.commands.own_modules import refuse_on_cluster
from dge_ray.commands.verbs import UtilityKeys
from dge_ray.downstream import check_learner
from dge_ray.evaluation.losses import (
    Estimator,
    member_fits,
    read_ensemble_parts,
    read_losses,
    real_fits,
)
from dge_ray.evaluation.utility_fits import UtilitySpec, run_fits
from dge_ray.options import Say, to_stderr
from dge_ray.report.figures.axes import png_bytes, svg_text
from dge_ray.report.utility_page import render_page, utility_figure, utility_lines, verdicts
from dge_ray.results.assemble import write_page
from dge_ray.stats.clusters import by_cluster
from dge_ray.stats.metrics.losses import METRICS, loss_names
from dge_ray.stats.utility.attribution import VARIANTS, attribution, misspecification
from dge_ray.stats.utility.consistency import ranking
from dge_ray.stats.utility.gap import default_margin, ensemble_losses, mean_difference
from dge_ray.stats.utility.gap import utility as utility_of
from dge_ray.storage import Folder
from dge_ray.study.lineage import generations
from dge_ray.study.opened import OpenStudy
from dge_ray.study.prepared import Prepared
from dge_ray.study.records.files import SURFACE, UTILITY, UTILITY_PAGE, overlap_file

DEFAULTS = ("linear", "tree", "boosting")  # beside the study's own learner
FLEXIBLE = Estimator("boosting")  # what a class is measured against, and the responses with
REAL_FITS = 5  # trainings on the real rows, to see what a learner's seed alone changes
GIVEN = (
    "given this one real training table; margins, intervals and verdicts are about new members, new real rows and new "
    "training seeds"
)


def lines(report: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    return [*utility_lines(report), *ending(report)]


def utility(study: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """The utility report of a study; fits what is missing and writes utility.json, utility.html and the figure.

    `page`: where that is. `gate`: whether the verdict on the first learner, the study's own if none is named, is met.

    Raises:
        InputError: an unknown key or value, no such study, a bundle, or a table that is not the study's any more.
        StudyError: another driver works on the study, or a fit failed.
    """
    keys = UtilityKeys.read(options)
    opened = OpenStudy.find(study, keys.storage, say, writes=True)
    prepared = opened.prepared
    prepared.check_test()
    estimators = _estimators(keys.learner, prepared)
    spec = UtilitySpec(
        members=opened.spec(),
        count=opened.check_fitted(2, "members vary, and so does U"),
        volume=opened.volume(keys.volume),
        real=REAL_FITS,
    )
    needed = [*estimators, *([FLEXIBLE] if FLEXIBLE not in estimators else [])]
    encoded = prepared.encoded()
    with opened.locked(say):
        run_fits(spec, needed, {part: encoded[part] for part in ("train", "test")}, say)
        report = assemble(prepared, spec, estimators, keys.margin)
        figure = utility_figure(report)
        opened.keep(
            UTILITY, report, page=(UTILITY_PAGE, render_page(report, svg_text(figure))), utility=png_bytes(figure)
        )
        if opened.folder.exists(SURFACE):  # the study's own page states it
            write_page(opened.folder, opened.report, opened.surface)
    own = next(iter(verdicts(report).values()))["verdict"]
    met = own == "PASS" if keys.gate == "pass" else own != "FAIL"
    return gated({**report, "page": str(opened.folder / UTILITY_PAGE)}, keys.gate, met)


def assemble(
    prepared: Prepared, spec: UtilitySpec, estimators: list[Estimator], margin: float | None
) -> dict[str, Any]:
    """utility.json's content, from the losses on disk."""
    folder, rows = spec.members.folder, prepared.rows["test"]
    head = METRICS[prepared.metric].loss

    def member_losses(estimator: Estimator, variant: str, loss: str) -> np.ndarray:
        return read_losses(folder, member_fits(estimator.label, spec.count, spec.volume, (variant,)), loss, rows)

    def real_losses(estimator: Estimator, loss: str) -> np.ndarray:
        return read_losses(folder, real_fits(estimator.label, spec.real), loss, rows)

    truth, clusters = prepared.truth("test"), prepared.clusters.get("test")
    rarest = None if prepared.task == "regression" else int(np.bincount(truth, minlength=prepared.width).min())
    utilities: dict[str, dict] = {}
    single: dict[str, dict] = {}
    for estimator in estimators:
        utilities[estimator.label], single[estimator.label] = {}, {}
        fits = member_fits(estimator.label, spec.count, spec.volume, ("as_is",))
        members = read_ensemble_parts(folder, fits, rows)
        for loss in loss_names(prepared.task):
            synthetic, real = member_losses(estimator, "as_is", loss), real_losses(estimator, loss)
            synthetic, real = by_cluster(synthetic, clusters), by_cluster(real, clusters)
            chosen = margin if margin is not None and loss == head else default_margin(loss, float(real.mean()))
            whole, pseudo = (by_cluster(losses, clusters) for losses in ensemble_losses(members, truth, loss))
            of_all = utility_of(pseudo, real, margin=chosen, whole=whole, rarest=rarest)
            utilities[estimator.label][loss] = asdict(of_all)
            single[estimator.label][loss] = asdict(utility_of(synthetic, real, margin=chosen, rarest=rarest))
    at_head = {e.label: {v: member_losses(e, v, head) for v in VARIANTS} for e in estimators}
    real_head = {e.label: real_losses(e, head) for e in [*estimators, FLEXIBLE]}
    flexible = mean_difference(member_losses(FLEXIBLE, "as_is", head), real_head[FLEXIBLE.label])
    lineage = prepared.lineage
    ranked = None
    if len(estimators) > 1:
        labels = list(at_head)
        tensors = np.stack([at_head[name]["as_is"] for name in labels]), np.stack([real_head[name] for name in labels])
        ranked = asdict(ranking(*tensors, labels, seed=prepared.config.seed))
    return {
        "study": prepared.name,
        "given": GIVEN,
        "task": prepared.task,
        "loss": head,
        "members": spec.count,
        "volume": spec.volume,
        "real_fits": spec.real,
        "rows": {"train": prepared.n, "test": rows},
        "utility": utilities,
        "utility_of_one_member": single,
        **({} if lineage is None else generations(lineage, {"loss": head, "utility": utilities})),
        "ranking": ranked,
        "ingredients": {
            "overlap": _overlaps(folder, spec),
            "response_error": {"value": flexible.value, "interval": list(flexible.interval())},
            "misspecification": {
                label: asdict(misspecification(real_head[label], real_head[FLEXIBLE.label]))
                for label in at_head
                if label != FLEXIBLE.label
            },
        },
        "attribution": {label: asdict(attribution(at_head[label], real_head[label])) for label in at_head},
    }


def _overlaps(folder: Folder, spec: UtilitySpec) -> dict[str, Any]:
    """The mean over members of each figure that all of them have, and each member's own."""
    each = [folder.read_json(overlap_file(k, spec.volume)) for k in range(spec.count)]
    names = [name for name, value in each[0].items() if isinstance(value, float)]
    known = {name: [overlap[name] for overlap in each] for name in names}
    means = {name: float(np.mean(values)) for name, values in known.items() if None not in values}
    return {"mean": means, "support_failures": sum(overlap["support_failure"] for overlap in each), "members": each}


def _estimators(names: Sequence[str] | None, prepared: Prepared) -> list[Estimator]:
    """The learners that are named; or the study's own, first, and the default ones."""
    own = [Estimator(learner.name, learner.settings) for learner in prepared.config.learners]
    if names is None:
        listed = [*own, *(Estimator(name) for name in DEFAULTS if name not in [estimator.name for estimator in own])]
    else:
        listed = [Estimator(name) for name in dict.fromkeys(names)]
    refuse_on_cluster((estimator.name for estimator in listed), "estimators")
    for estimator in listed:
        check_learner(estimator.name, estimator.settings, prepared.task, texts=prepared.schema.texts)
    return listed
