"""`dge-ray select`: which estimator, judged by other members; how sure that is, and what naive would choose."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from dge_ray.commands.gates import ending
from dge_ray.commands.judging_request import read_request
from dge_ray.commands.own_modules import refuse_on_cluster
from dge_ray.commands.verbs import SelectKeys
from dge_ray.downstream.learners import check_estimator
from dge_ray.evaluation.judging import JudgingRequest, by_pair, compared, described, estimates
from dge_ray.options import Say, to_stderr
from dge_ray.phrases import number
from dge_ray.report.words.evaluation import head_lines, score_text, tail_lines
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.stats.comparison.crossed import Estimate, subset_score
from dge_ray.stats.comparison.ranks import halves, kendall, ranks, regret, spearman, top, top_agreement, top_shares
from dge_ray.stats.metrics.losses import check_metric, direction, higher_is_better, label
from dge_ray.stats.metrics.tasks import check_task

DEFAULT = {
    "classification": ["logistic", "tree", "forest", "boosting", "mlp", "knn", "svm"],
    "regression": ["ridge", "tree", "forest", "boosting", "mlp", "knn", "svm"],
}
LEVEL = 0.95
HOW = (
    "members split at random into two disjoint halves, each half judged within itself; the chance that both choose the "
    "same estimator. It is about half as many members as there are, so it errs on the low side"
)


def select(bundle: str, options: Mapping[str, Any] | None = None, say: Say = to_stderr) -> dict[str, Any]:
    """Judge each estimator as `evaluate` does, rank them, and say how far the ranking can be trusted.

    Scores, ranks (1 the best, by the metric's direction; equals share their mean rank) and rank correlations are given
    for every metric; choice, stability and pairs for `metric`. With `test=` the ranking on real rows and what each
    choice loses there (regret) stand beside them; without it, regret is what naive's choice loses as the other members
    judge, which certifies nothing.

    Raises:
        InputError: a bad key or value, or a bundle that is none.
        StudyError: an estimator fails on some rows.
    """
    keys = SelectKeys.read(options)
    request = read_request(bundle, keys)
    task = str(request.schema.task)
    metric = check_metric(keys.metric, task)
    names = list(keys.learner or DEFAULT[check_task(task)])
    for name in names:
        check_estimator(name, {}, request.schema, keys.spelled("learner"))
    refuse_on_cluster(names, keys.spelled("learner"))
    fits = [fit for name in names for fit in request.fits(name, {})]
    results, count = request.run(fits, say)
    n = len(request.members)
    judged = {name: results[at * n : (at + 1) * n] for at, name in enumerate(names)}
    made = {m: {name: estimates(judged[name], m) for name in names} for m in request.metrics}
    answer = {
        **request.facts(),
        "metric": metric,
        "estimators": names,
        "scores": {
            m: {name: None if e is None else compared(e, m) for name, e in result.items()} for m, result in made.items()
        },
        "rankings": {m: ranking(result, higher=higher_is_better(m)) for m, result in made.items()},
        "stability": _stability(request, judged, metric),
        "pairs": pairs({name: e["dge"] for name, e in made[metric].items() if e is not None}),
    }
    cpu_seconds = round(sum(r["cpu_seconds"] for r in results), 1)
    return {**answer, "fits": count, "cpu_seconds": cpu_seconds, "file": str(request.folder)}


def ranking(made: Mapping[str, Mapping[str, Estimate] | None], *, higher: bool) -> dict[str, Any] | None:
    """One metric's ranks by each judge, the top of each (ties all), and how the judges agree; None if it is undefined.

    What the estimators are called and how they are listed changes none of it.
    """
    names = list(made)
    known = [result for result in made.values() if result is not None]
    if len(known) < len(names):
        return None
    scores = {judge: np.array([result[judge].value for result in known]) for judge in known[0]}
    by_judge = {judge: ranks(values, higher=higher) for judge, values in scores.items()}
    best = {judge: top(values, higher=higher) for judge, values in scores.items()}
    agreement = {}
    for first, second in combinations(scores, 2):
        agreement[f"{first}_{second}"] = {
            "kendall": _or_none(kendall(by_judge[first], by_judge[second])),
            "spearman": _or_none(spearman(by_judge[first], by_judge[second])),
        }
    last = "real" if "real" in scores else "dge"
    return {
        "ranks": {j: dict(zip(names, map(float, result), strict=True)) for j, result in by_judge.items()},
        "top": {j: [name for name, is_top in zip(names, result, strict=True) if is_top] for j, result in best.items()},
        "agreement": agreement,
        "regret": {j: regret(scores[j], scores[last], higher=higher) for j in ("dge", "naive") if j != last},
        "regret_judged_by": last,
    }


def pairs(made: Mapping[str, Estimate]) -> list[dict[str, Any]]:
    """Each pair's difference with its paired interval over members, 95 % a pair.

    `separable`: the interval at 1 - .05 / pairs leaves out zero, so that all separable pairs together are right with
    95 %; the others are tied.
    """
    listed = list(combinations(made, 2))
    answer = []
    for first, second in listed:
        apart = made[first].minus(made[second])
        low, high = apart.interval(1 - (1 - LEVEL) / len(listed))
        result = described(apart)
        separable = None if result["interval"] is None else bool(low > 0 or high < 0)
        answer.append({"first": first, "second": second, **result, "separable": separable})
    return answer


def _stability(
    request: JudgingRequest, judged: Mapping[str, Sequence[Mapping[str, Any]]], metric: str
) -> dict[str, Any]:
    """How often two halves of the members choose the same estimator. Needs four members: each half judges itself."""
    n, higher = len(request.members), higher_is_better(metric)
    unknown = {"top_agrees": None, "splits": 0, "top_shares": None, "how": HOW}
    pairs_of = {name: by_pair(results, metric) for name, results in judged.items()}
    if n < 4 or any(result is None for result in pairs_of.values()):
        return unknown
    split = halves(n, numpy_generator(request.seed, Purpose.SUBSETS))
    known = [result for result in pairs_of.values() if result is not None]
    scores = np.array(
        [[[subset_score(m, rows, half) for m, rows in known] for half in two] for two in split]
    )  # (splits, 2, E)
    scores = scores[np.isfinite(scores).all(axis=(1, 2))]  # with few judges a half may hold no pair
    if not len(scores):
        return unknown
    shares = top_shares(scores.reshape(-1, len(judged)), higher=higher)
    return {
        "top_agrees": top_agreement(scores[:, 0], scores[:, 1], higher=higher),
        "splits": len(scores),
        "top_shares": dict(zip(judged, map(float, shares), strict=True)),
        "how": HOW,
    }


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None


def lines(answer: Mapping[str, Any]) -> list[str]:
    """The answer for people."""
    metric = answer["metric"]
    lines = [*head_lines(answer), f"{label(metric)}, {direction(metric)}; value (95 % interval; sd over models)"]
    result, n = answer["rankings"][metric], len(answer["estimators"])
    if result is None:
        return [
            *lines,
            f"no ranking: {label(metric)} is not defined for some judge's rows",
            *tail_lines(answer),
            *ending(answer),
        ]
    for name in sorted(answer["estimators"], key=lambda name: result["ranks"]["dge"][name]):
        scores = answer["scores"][metric][name]
        shown = [f"{j} {score_text(scores[j])}, rank {result['ranks'][j][name]:g}" for j in result["ranks"]]
        lines.append(f"{name}: " + "; ".join(shown))
    lines.append("top: " + "; ".join(f"{judge} {', '.join(names)}" for judge, names in result["top"].items()))
    for two, values in result["agreement"].items():
        lines.append(
            f"ranks, {two.replace('_', ' and ')}: tau {number(values['kendall'])}, rho {number(values['spearman'])}"
        )
    for judge, loss in result["regret"].items():
        lines.append(f"regret of {judge}'s choice, judged by {result['regret_judged_by']}: {number(loss)}")
    tied = [f"{pair['first']} = {pair['second']}" for pair in answer["pairs"] if pair["separable"] is False]
    lines.append(f"separable pairs: {sum(p['separable'] is True for p in answer['pairs'])} of {n * (n - 1) // 2}")
    if tied:
        lines.append("tied: " + ", ".join(tied))
    stable = answer["stability"]
    lines.append(
        f"top agrees between halves of the members: {number(stable['top_agrees'])} ({stable['splits']} splits)"
    )
    return [*lines, *tail_lines(answer), *ending(answer)]
