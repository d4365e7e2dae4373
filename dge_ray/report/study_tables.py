"""The tables of report.html, from report.json."""

from collections.abc import Mapping
from typing import Any

from dge_ray.phrases import NOTHING, beside, duration, finite, interval_text, number, ratio_text
from dge_ray.report.shell.page import Heading, Paragraph, Part, Table, TableCell
from dge_ray.report.words.classes import beside_accuracy
from dge_ray.report.words.folds import folds_sentence, read_on
from dge_ray.report.words.study import base_rows, comparison, lineage_rows, meaning, method_names
from dge_ray.stats.comparison.baselines import METHODS
from dge_ray.stats.intervals import FEWEST_MEMBERS
from dge_ray.stats.metrics.losses import direction, label


def metrics_table(report: Mapping) -> Table | Paragraph:
    """Every method's metrics on test."""
    metrics, test = _metrics(report), report.get("test") or {}
    names = {method: name for method, name in method_names(report).items() if test.get(method)}
    if not names:
        return Paragraph("No test metrics.", soft=True)
    rows = [[name, *(number(test[method].get(metric)) for metric in metrics)] for method, name in names.items()]
    return Table(
        ["method", *(_column(report, metric) for metric in metrics)],
        rows,
        f"{_caption(report)} ↑ higher is better, ↓ lower is better.",
        numbers=True,
        strong=names.get("dge"),
    )


def _column(report: Mapping, metric: str) -> str:
    beside = beside_accuracy(report, metric)
    return f"{label(metric)} {'↑' if 'higher' in direction(metric) else '↓'}" + (f" ({beside})" if beside else "")


def _caption(report: Mapping) -> str:
    if read_on(report) == "on test":
        return "On real rows that nothing was fitted or chosen on."
    return "Each real row by fits that have not seen it, at the volume that does best on the rows of the other folds."


def difference_table(report: Mapping) -> Table | Paragraph:
    """The ensemble's paired differences to every method on test."""
    metrics, rows = _metrics(report), []
    for method, name in method_names(report).items():
        compared = [comparison(report, method, metric) for metric in metrics]
        if any(result is not None for result in compared):
            rows.append([name, *map(_difference, compared)])
    if not rows:
        return Paragraph("No paired differences.", soft=True)
    target = report.get("difference_target") or "new rows, these fitted models"
    caption = (
        f"DGE minus the method on the same rows, with its paired 95 % interval, over {target}. ▲ DGE is better, "
        "▼ DGE is worse, = level within the margin, ? not told apart. Of twenty marks, one is expected by chance: each "
        "interval holds alone. Beating naive single in a convex loss proves nothing: averaging never loses there."
    )
    return Table(["against", *(label(metric) for metric in metrics)], rows, caption, numbers=True)


def _difference(compared: Any) -> TableCell:
    if compared is None:
        return TableCell(NOTHING)
    word, (difference, lo, hi) = compared
    shown = number(beside(difference, (lo, hi)), signed=True)
    return TableCell(shown, interval_text((lo, hi), signed=True), mark=word)


def members_table(report: Mapping) -> list[Part]:
    """Every approach in each of the disjoint groups of members, where there are several."""
    groups = report.get("groups") or {}
    if not groups:
        return []
    metrics = sorted(next(iter(groups["methods"].values())), key=lambda name: name != report.get("metric"))
    rows = [
        [
            method.replace("dge_", "DGE, K = ").replace("_", " "),
            *(TableCell(number(by_metric[m]["mean"]), f"± {number(by_metric[m]['sd'])}") for m in metrics),
        ]
        for method, by_metric in groups["methods"].items()
    ]
    caption = (
        f"Mean and standard deviation over {groups['groups']} disjoint groups of {groups['size']} members, on the same "
        "test rows: what new generators and learner seeds would change, not what other real rows would."
    )
    return [Heading("Groups of members"), Table(["approach", *map(label, metrics)], rows, caption, numbers=True)]


def _metrics(report: Mapping) -> list[str]:
    """All metrics of the test table, the selection metric first."""
    names: dict[str, None] = {}
    for method in METHODS:
        names.update(dict.fromkeys((report.get("test") or {}).get(method) or {}))
    return sorted(names, key=lambda name: name != report.get("metric"))


def reflection_rows(report: Mapping) -> list[tuple[str, str]]:
    point, n = report.get("reflection_point") or {}, base_rows(report)
    risk = f"{number(point.get('risk'))} ({interval_text(point.get('risk_interval'))})"
    few = (point.get("members") or report.get("members") or 0) < FEWEST_MEMBERS
    of = "new rows, these members" if few else "new members and new rows"
    rows = [
        ("volume", f"{number(point.get('volume'))} rows a member ({ratio_text(point.get('volume'), n)})"),
        ("interval", f"{interval_text(point.get('interval'))}, of the best volume of the grid for this real table"),
        ("status", f"{point.get('status')}: {meaning(report)}"),
        ("members", number(point.get("members", report.get("members")))),
        (f"risk {read_on(report)}", f"{risk}, over {of}, given this real table"),
    ]
    if sentence := folds_sentence(report):
        rows.append(("folds", sentence))
    if finite(point.get("smallest_within_one_se")):
        smallest = point["smallest_within_one_se"]
        rows.append(
            ("smallest volume within one paired standard error", f"{number(smallest)} ({ratio_text(smallest, n)})")
        )
    for key, name in (
        ("rows_needed", "validation rows that would decide"),
        ("members_needed", "members that would decide"),
    ):
        if finite(point.get(key)):
            rows.append((name, number(point[key])))
    if point.get("advice"):
        rows.append(("advice", str(point["advice"])))
    volumes = report.get("volumes") or []
    rows.append(("volumes tried", ", ".join(f"{number(v)} ({ratio_text(v, n)})" for v in volumes) or NOTHING))
    return rows


def data_rows(report: Mapping) -> list[tuple[str, Any]]:
    data = report.get("data") or {}
    return [
        *((f"{part} rows", number(count)) for part, count in (data.get("rows") or {}).items()),
        *lineage_rows(report.get("synthetic_input") or {}),
        ("target", data.get("target")),
        ("task", data.get("task")),
        ("SHA-256", data.get("sha256")),
    ]


def cost_rows(report: Mapping) -> list[tuple[str, Any]]:
    cost = report.get("cost") or {}
    return [
        ("synthetic rows used, up to the largest volume", number(cost.get("rows_generated"))),
        ("synthetic rows drawn", "more, since shards are drawn whole: `dge-ray status` counts those of the last run"),
        ("downstream fits", number(cost.get("downstream_fits"))),
        *((f"CPU time, {name}", duration(seconds)) for name, seconds in (cost.get("cpu_seconds") or {}).items()),
        ("wall time", duration(cost.get("wall_seconds"))),
    ]
