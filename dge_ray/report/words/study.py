"""How a report says things: number formats, metric labels, the verdict sentence, the terminal summary, the glossary."""

from collections.abc import Mapping, Sequence
from typing import Any

from dge_ray.phrases import NOTHING, finite, interval_text, number, ratio_text
from dge_ray.report.words.classes import beside_accuracy
from dge_ray.report.words.folds import read_words
from dge_ray.stats.comparison.baselines import METHODS, REAL
from dge_ray.stats.comparison.judged import judged
from dge_ray.stats.metrics.losses import is_convex, label

STATUS = {
    "interior": "the error turns inside the volumes tried",
    "plateau": "beyond it more rows bring nothing worth having: the curve is flat",
    "not_reached": "the error still fell at the largest volume tried, so the reflection point lies beyond it",
    "undecided": "the rows at hand cannot tell which volume is best",
}
NO_WEIGHT = "no weight of synthetic rows beside them is known to do better"


def train_rows(report: Mapping) -> Any:
    """n: the real rows that the generators were fitted on, or None."""
    return ((report.get("data") or {}).get("rows") or {}).get("train")


def method_names(report: Mapping) -> dict[str, str]:
    """METHODS; where there are raw rows, it is said which real rows are the others; where there are several learners,
    which of them a baseline on real rows has."""
    raw = "raw" in ((report.get("data") or {}).get("rows") or {})
    names = METHODS | ({"real": "generators' real rows"} if raw else {})
    return names | {method: f"{names[method]} ({name})" for method, name in (report.get("real_learners") or {}).items()}


def base_rows(report: Mapping) -> Any:
    """The real rows that ratios are multiples of, or None: the raw ones, or else n."""
    return ((report.get("data") or {}).get("rows") or {}).get("raw", train_rows(report))


def comparison(report: Mapping, method: str, metric: str) -> tuple[str, tuple[float, float, float]] | None:
    """(word, (difference dge - method, lo, hi)) on test; None where it is not known. The word is better, worse, level
    (the interval lies within the margin) or untold."""
    triple = ((report.get("test_differences") or {}).get(method) or {}).get(metric)
    return _judged(triple, metric, (report.get("margins") or {}).get(metric))


def _judged(triple: Any, metric: str, margin: Any = None) -> tuple[str, tuple[float, float, float]] | None:
    if not isinstance(triple, Sequence) or len(triple) != 3 or not all(finite(value) for value in triple):
        return None
    difference, lo, hi = (float(value) for value in triple)
    found = (difference, lo, hi)
    return judged(found, metric, margin if finite(margin) else None), found


JUDGEMENTS = {
    "better": "better than ",
    "level": "level with ",
    "untold": "not told apart from ",
    "worse": "worse than ",
}


def best_real(report: Mapping) -> str:
    """The method on real rows that the headline compares with: chosen on validation; of older reports `real`."""
    return str((report.get("best_real") or {}).get("method") or "real")


def _compared(report: Mapping, metric: str) -> list[str]:
    """The clauses of the verdict that set DGE against the best model on real rows, and against each naive baseline."""
    names: dict[str, list[str]] = {word: [] for word in JUDGEMENTS}
    called = method_names(report)
    for method in dict.fromkeys([best_real(report), "raw", "naive_ensemble", "naive_concatenated", "naive_single"]):
        judged = comparison(report, method, metric)
        if judged and not (method == "naive_single" and is_convex(metric)):
            word = f"the {called[method]} baseline"
            if method == best_real(report) and "best_real" in report:
                word = f"the best model on real rows ({called[method]})"
            elif method in REAL:  # an older report has but one
                word = f"training on the {called[method]}"
            names[judged[0]].append(word)
    return [JUDGEMENTS[word] + _listed(methods) for word, methods in names.items() if methods]


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def meaning(report: Mapping) -> str:
    """What the reflection point's status says."""
    point, volumes = report.get("reflection_point") or {}, report.get("volumes") or [None]
    status = str(point.get("status"))
    if report.get("weights") and point.get("volume") == 0:
        return NO_WEIGHT
    if status == "not_reached" and point.get("volume") != volumes[-1]:
        return "the error is least here, but falls again towards the largest volume tried: it may fall on beyond"
    return STATUS.get(status, NOTHING)


def augmented(report: Mapping) -> bool:
    return report.get("rows") == "augmented"


def verdict(report: Mapping) -> str:
    """The study's result in one plain sentence: where, how sure, with what risk, against what."""
    point = report.get("reflection_point") or {}
    metric, n = str(report.get("metric", "risk")), base_rows(report)
    members = point.get("members", report.get("members"))
    volume, interval = point.get("volume"), point.get("interval")
    where = f"Use {number(members)} member{'' if members == 1 else 's'} with {number(volume)} synthetic rows each"
    where += f" ({ratio_text(volume, n)} the {number(n)} real rows" + (", beside them" if augmented(report) else "")
    where += f"; interval {interval_text(interval)}" if interval_text(interval) != NOTHING else ""
    where += "): " + meaning(report)
    if volume == 0:
        where = f"Use the {number(n)} raw rows alone: "
        where += NO_WEIGHT if report.get("weights") else "no volume of synthetic rows beside them did better"
    risk = f"{read_words(report)} the {label(metric)} is {number(point.get('risk'))}"
    if interval_text(point.get("risk_interval")) != NOTHING:
        risk += f" ({interval_text(point['risk_interval'])})"
    if beside := beside_accuracy(report, metric):
        risk += f", beside a {beside}"
    compared = _compared(report, metric)
    return f"{where}; {risk}" + (f": {', '.join(compared)}." if compared else ".")


def members_rows(report: Mapping) -> list[tuple[str, str]]:
    """What is known of the members beside their risk: name and value, both for people."""
    rows = [("members", number(report.get("members"))), ("generator", str(report.get("generator", NOTHING)))]
    apart, task = report.get("members_differ") or {}, (report.get("data") or {}).get("task")
    if finite(apart.get("disagreement")):
        name = "root mean squared difference" if task == "regression" else "share of test rows with different classes"
        value = f"{number(apart['disagreement'])} ({interval_text(apart.get('interval'))})"
        rows.append((f"two members' predictions: {name}", value))
    rows += _worst_rows(report)
    if refit := refit_sentence(report):
        rows.append(("fitted again on all rows", refit))
    families = report.get("families") or {}
    if finite(families.get("between")):
        rows.append(("members of each kind", ", ".join(f"{k} {v}" for k, v in (families.get("members") or {}).items())))
        share = f"{number(families['between'])} ({interval_text(families.get('interval'))})"
        rows.append(("share of their spread that lies between the kinds", share))
    constraints = report.get("constraints") or {}
    if constraints:
        rows.append(("constraints", "; ".join(map(str, constraints.get("rules") or []))))
        rows.append(("share of the rows drawn that met them", number(constraints.get("met"))))
    return rows


def refit_sentence(report: Mapping) -> str | None:
    """Which members leave the study, where they are others than those that were tested."""
    refit = report.get("refit") or {}
    if not refit:
        return None
    return (
        f"what is published, sampled and logged comes from {number(refit.get('members'))} members fitted on all "
        f"{number(refit.get('rows'))} real rows, {number(refit.get('volume'))} rows each; every figure here is of the "
        "members that were tested"
    )


def _worst_rows(report: Mapping) -> list[tuple[str, str]]:
    """The worst member beside the others, and how many could fail unseen."""
    worst = report.get("worst_member") or {}
    if not finite(worst.get("risk")):
        return []
    name = f"worst member by {label(str(report.get('metric')))} on validation, its model alone"
    apart = "it stands apart: look at its rows" if worst.get("apart") else "not apart from the others"
    value = f"member {worst.get('member')}: {number(worst['risk'])}, the others {number(worst.get('others'))}; {apart}"
    share = f"up to {100 * float(worst.get('failing_share', 1)):.0f} %"
    return [(name, value), ("share of failing generators that so many members are compatible with (95 %)", share)]


def learner_line(report: Mapping) -> str:
    """What was chosen on validation among which learners, and which of them did as well or better on test."""
    rows, metric = report.get("learners") or [], str(report.get("metric"))
    tried = ", ".join(f"{row['learner']} at {ratio_text(row.get('ratio'), 1)}" for row in rows)
    judgements = {row["learner"]: _judged(row.get("difference"), metric) for row in rows}
    line = f"learner: {report.get('learner')}, chosen on validation among {tried}"
    for words, relation in ((("level", "untold"), "not told apart from"), (("worse",), "worse than")):
        names = [name for name, judged in judgements.items() if judged and judged[0] in words]
        line += f"; on test {relation} {_listed(names)}" if names else ""
    return line


def lineage_rows(lineage: Mapping) -> list[tuple[str, Any]]:
    """Of a table that holds synthetic rows."""
    if not lineage:
        return []
    ratio = "no real rows" if lineage["ratio"] is None else number(lineage["ratio"])
    return [
        *((f"of them synthetic, {part}", number(count)) for part, count in lineage["synthetic"].items()),
        ("synthetic rows to a real one, to learn from", ratio),
        ("generation of the rows that this study makes", number(lineage["generation"])),
    ]
