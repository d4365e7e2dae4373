"""What `tune` and `report` print at their end."""

from collections.abc import Mapping

from dge_ray.phrases import duration, finite, interval_text, number, ratio_text
from dge_ray.report.words.answer import closing_lines
from dge_ray.report.words.classes import beside_accuracy
from dge_ray.report.words.curves import call_sentence, noise_sentence
from dge_ray.report.words.folds import folds_sentence, read_on
from dge_ray.report.words.learners import weight_sentence
from dge_ray.report.words.privacy import privacy_line
from dge_ray.report.words.study import (
    augmented,
    base_rows,
    comparison,
    learner_line,
    meaning,
    method_names,
    refit_sentence,
    train_rows,
)
from dge_ray.stats.metrics.losses import label


def summary_lines(report: Mapping) -> list[str]:
    """Plain lines for the end of `tune` in a terminal: warnings first, and the answer last."""
    point, test = report.get("reflection_point") or {}, report.get("test") or {}
    metric, n, cost = str(report.get("metric", "risk")), base_rows(report), report.get("cost") or {}
    beside = beside_accuracy(report, metric)
    warnings = report.get("warnings") or []
    lines = [f"warnings: {len(warnings)}, the first: {warnings[0]}"] if warnings else []
    lines += [
        f"study {report.get('study')}: {report.get('generator')} generator, {report.get('learner')} learner, "
        f"{number(train_rows(report))} real training rows"
        + (f", {number(n)} raw rows" if n != train_rows(report) else "")
        + (", synthetic rows beside the raw ones" if augmented(report) else ""),
        f"reflection point: {number(point.get('volume'))} rows a member ({ratio_text(point.get('volume'), n)}), "
        f"interval {interval_text(point.get('interval'))}, {point.get('status')}",
        "; ".join(filter(None, [f"meaning: {meaning(report)}", call_sentence(report)])),
        noise_sentence(report) or f"members: {number(point.get('members', report.get('members')))}",
        f"risk {read_on(report)}: {label(metric)} {number(point.get('risk'))} "
        f"({interval_text(point.get('risk_interval'))})" + (f"; {beside}" if beside else ""),
    ]
    if sentence := folds_sentence(report):
        lines.append(sentence)
    if report.get("learners"):
        lines.append(learner_line(report))
    if weights := weight_sentence(report):
        lines.append(weights)
    names = method_names(report)
    for method in list(names)[1:]:
        value, compared = (test.get(method) or {}).get(metric), comparison(report, method, metric)
        if finite(value):
            tail = ""
            if compared:
                word, (difference, *interval) = compared
                word = "not told apart" if word == "untold" else word
                tail = f"; DGE is {word}, {number(difference, signed=True)} ({interval_text(interval, signed=True)})"
            lines.append(f"{names[method]}: {label(metric)} {number(value)}{tail}")
    if point.get("advice") and not report.get("answer"):
        lines.append(f"advice: {point['advice']}")
    if refit := refit_sentence(report):
        lines.append(f"refit: {refit}")
    lines.append(
        f"cost: {number(cost.get('rows_generated'))} synthetic rows used, "
        f"{number(cost.get('downstream_fits'))} downstream fits, {duration(cost.get('wall_seconds'))} wall time"
    )
    if line := privacy_line(report):
        lines.append(line)
    lines += closing_lines(report)
    return [" ".join(line.split()) for line in lines]
