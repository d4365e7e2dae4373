"""`dge-ray evaluate`: how good is a model, judged by members whose generators did not make its training rows; or how
good are tables that some tool made, judged by real rows."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dge_ray.commands import foreign_tables
from dge_ray.commands.gates import ending, gated, read_threshold
from dge_ray.commands.judging_request import read_request
from dge_ray.commands.own_modules import refuse_on_cluster
from dge_ray.commands.verbs import EvaluateKeys
from dge_ray.downstream.learners import check_estimator
from dge_ray.errors import InputError
from dge_ray.evaluation.crossfit import REAL, CrossFit, MemberPart
from dge_ray.evaluation.judging import JudgingRequest, compared, estimates
from dge_ray.options import Say, nest, to_stderr
from dge_ray.phrases import NOTHING, interval_text, number
from dge_ray.report.words.evaluation import head_lines, score_text, tail_lines
from dge_ray.report.words.foreign import foreign_lines
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.metrics.losses import label

SCHEMES = ("dge", "naive", "concatenated")


def evaluate(
    bundle: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    say: Say = to_stderr,
    **given: Any,
) -> dict[str, Any]:
    """Judge a model by the members of a bundle alone; or tables of any tool by real ones, with `real` and `synthetic`.

    Args:
        bundle: a folder or URI; with `real` it stands for `synthetic`.
        options: keys by name, as on the command line.
        given: keys too: `real="people.csv"`, `synthetic="made/"` (a file, a folder with a table a file, or a bundle),
            `test="unused.csv"`, `target="y"`, `learner="tree"`, ... With `real` all three may be tables of Python's
            (frames), of `synthetic` a list of them.

    Returns:
        With `real`: `fidelity`, `usefulness` and `nearest`, each beside what real rows have; `page`: where
        evaluation.html is, which says it in sentences. See `evaluation/foreign.py`.

        Of a bundle: `scores`, of f_i trained on member i and judged on the other members (`dge`) and on its own
        held-out fifth (`naive`). Every f_i is trained on four fifths of its member's rows, so that both judge the
        same models. `dge` is one metric on the pooled rows of K - 1 other members, whole, in turn (`others=first`:
        always the first, as published code has). Means and standard deviations (ddof 1) are over all f_i. Intervals
        are 95 % and about fresh members, rows and fits of these generators, fitted on this same real table
        (`stats/crossed.py`); with `test=`, the real rows' own variance is in the intervals of what they judge. Nothing
        covers a bias that all generators share. `folds`: cross-validation over generators beside it, see
        `cross_validation`. `file`: the folder with the finished fits.

    Raises:
        InputError: a bad key or value, a table that cannot be read, or a bundle that is none.
        StudyError: the estimator fails on some rows.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"x": [k / 7 for k in range(60)], "y": ["a", "b", "b"] * 20})
    >>> near = evaluate(real=frame, synthetic=[frame.head(30)], target="y", learner="tree")["nearest"]
    >>> near["copies"], near["copies_by_chance"], near["leak"]
    (1.0, 0.0, True)
    """
    named = {**nest(options or {}), **given}
    if named.keys() & {"real", "synthetic"}:
        if bundle is not None and "synthetic" in named:
            raise InputError("synthetic", f"{named['synthetic']!r} beside {str(bundle)!r}", "one of the two")
        named = named if bundle is None else {**named, "synthetic": os.fspath(bundle)}
        if named.get("real") is None:
            raise InputError(
                "real", "nothing beside synthetic=", "the real table that the synthetic ones were made from"
            )
        with foreign_tables.places_of(named) as places:
            return foreign_tables.judge(EvaluateKeys.read(places), named, say)
    if bundle is None:
        raise InputError("bundle", "nothing", "a bundle, or real= and synthetic=")
    return _by_members(os.fspath(bundle), EvaluateKeys.read(named), say)


def _by_members(bundle: str, keys: EvaluateKeys, say: Say) -> dict[str, Any]:
    """The bundle's members judge each other."""
    request = read_request(bundle, keys)
    name, settings, folds = keys.learner.name, keys.learner.settings, keys.folds
    check_estimator(name, settings, request.schema, keys.spelled("learner"))
    refuse_on_cluster([name], keys.spelled("learner"))
    keys.check_range("folds", 2, len(request.members))
    fits = request.fits(name, settings)
    gate = read_threshold(keys.gate, request.metrics)
    crossed = [] if folds is None else cross_fits(request, name, settings, folds)
    results, count = request.run([*fits, *(fit for _, fit in crossed)], say)
    judged, validated = results[: len(fits)], results[len(fits) :]
    made = {metric: estimates(judged, metric) for metric in request.metrics}
    scores = {metric: None if result is None else compared(result, metric) for metric, result in made.items()}
    answer = {**request.facts(), "estimator": name, "scores": scores}
    if folds is not None:
        answer["cross_validation"] = cross_validation(request, [scheme for scheme, _ in crossed], validated)
    answer |= {"fits": count, "cpu_seconds": round(sum(r["cpu_seconds"] for r in results), 1)}
    met = gate is None or gate.met(decisive(scores[gate.name]))
    return gated({**answer, "file": str(request.folder)}, keys.gate, met)


def decisive(scores: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The score that a gate is about: the real rows' where there is one, or else that of the other members."""
    return (scores or {}).get("real") or (scores or {}).get("dge")


def cross_fits(
    request: JudgingRequest, name: str, settings: Mapping[str, Any], folds: int
) -> list[tuple[str, CrossFit]]:
    """The fits of three cross-validations, each with its scheme.

    dge: folds over members: trained on all rows of the other members, judged on generators it has not seen.
    naive: folds over the rows of member 0, all that one published set allows.
    concatenated: folds over the rows of all members put together, so that each generator is on both sides.
    """
    everyone = range(len(request.members))
    fold_of = numpy_generator(request.seed, Purpose.SPLIT, index=folds).permutation(len(request.members)) % folds
    made = []
    for f in range(folds):
        seen = tuple(MemberPart(k) for k in everyone if fold_of[k] != f)
        unseen = tuple(MemberPart(k) for k in everyone if fold_of[k] == f)
        made.append(("dge", CrossFit(name, seen, {"judge": unseen}, settings, index=1 + f)))
        for scheme, members in (("naive", [0]), ("concatenated", everyone)):
            train, held = (tuple(MemberPart(k, f, folds, inside) for k in members) for inside in (False, True))
            made.append((scheme, CrossFit(name, train, {"judge": held}, settings, index=1 + f)))
    return made


def cross_validation(
    request: JudgingRequest, schemes: Sequence[str], results: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """{scheme: {metric: {"value", "sd", "by_fold", "real"}}}: means and standard deviations (ddof 1) over folds.

    No interval: the folds' models share most of their training rows, and no variance of their mean can be had from
    their scores. `real`: the mean over the same models on the real rows of `test=`.
    """
    answer: dict[str, Any] = {}
    for scheme in SCHEMES:
        scores = [r["scores"] for s, r in zip(schemes, results, strict=True) if s == scheme]
        answer[scheme] = {metric: _over_folds(scores, metric) for metric in request.metrics}
    return answer


def _over_folds(scores: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any] | None:
    if any(judge[metric] is None for result in scores for judge in result.values()):
        return None
    values = [result["judge"][metric]["value"] for result in scores]
    real = float(np.mean([result[REAL][metric]["value"] for result in scores])) if REAL in scores[0] else None
    return {"value": float(np.mean(values)), "sd": float(np.std(values, ddof=1)), "by_fold": values, "real": real}


def lines(answer: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    if "fidelity" in answer:
        return [*foreign_lines(answer), *ending(answer)]
    lines = [
        *head_lines(answer),
        f"estimator {answer['estimator']}; value (95 % interval over members; sd over models)",
    ]
    for metric, result in answer["scores"].items():
        if result is None:
            lines.append(f"{label(metric)}: {NOTHING}, some judge's rows are of one class")
            continue
        parts = [f"DGE_{answer['K']} {score_text(result['dge'])}", f"naive {score_text(result['naive'])}"]
        gap = result["naive_minus_dge"]
        parts.append(f"naive - DGE {number(gap['value'], signed=True)} ({interval_text(gap['interval'], signed=True)})")
        if "real" in result:
            parts.append(f"real rows {score_text(result['real'])}")
            wrong = (result[f"{name}_minus_real"]["absolute"] for name in ("dge", "naive"))
            parts.append("off by {} (DGE), {} (naive)".format(*map(number, wrong)))
        lines.append(f"{label(metric)}: " + "; ".join(parts))
    for scheme, result in answer.get("cross_validation", {}).items():
        shown = [f"{label(m)} {number(v['value'])} (sd {number(v['sd'])})" for m, v in result.items() if v is not None]
        lines.append(f"cross-validation, {scheme}: " + ", ".join(shown))
    return [*lines, *tail_lines(answer), *ending(answer)]
