"""How the report says what becomes of single classes: the base rate, the rarest one, calibration class by class."""

from collections.abc import Mapping
from typing import Any

from dge_ray.phrases import NOTHING, finite, interval_text, number
from dge_ray.stats.metrics.losses import label

FEW = "too few rows to say"


def base_rate(report: Mapping) -> float | None:
    """The accuracy of always predicting the commonest class of the test rows; None where it is not known."""
    rate = (report.get("classes") or {}).get("base_rate")
    return float(rate) if finite(rate) else None


def beside_accuracy(report: Mapping, metric: str) -> str:
    """What is said beside an accuracy, and beside no other metric."""
    rate = base_rate(report)
    return f"base rate {number(rate)}" if metric == "accuracy" and rate is not None else ""


def class_rows(report: Mapping) -> list[tuple[str, str]]:
    """Names and values for people; none in regression."""
    found = report.get("classes") or {}
    rate = base_rate(report)
    if rate is None:
        return []
    rows = [("base rate", f"{number(rate)}: the accuracy of always saying {found.get('commonest')}")]
    if rarest := found.get("rarest"):
        rows.append(
            ("rarest class", f"{rarest['class']}: {number(rarest['rows'])} test rows, {number(rarest['share'])}")
        )
        for metric in ("average_precision", "recall"):
            rows.append((label(metric), _with_ends(rarest.get(metric))))
    return rows


def calibration_cells(report: Mapping) -> tuple[list[str], list[list[str]], str]:
    """Header, lines and caption of the table of calibration class by class; those that are most off come first."""
    lines = (report.get("classes") or {}).get("calibration") or []
    cells = [
        [
            str(line["class"]),
            number(line["rows"]),
            number(line["share"]),
            number(line["mean_probability"]),
            _with_ends(line["ece"]),
        ]
        for line in sorted(lines, key=lambda line: -float(line["ece"][0]))
    ]
    caption = (
        "The ensemble's probability of each class against its share among the test rows that have it, in ten bins; "
        "the error's 95 % interval is over new rows. Of two classes the rarest is shown: the other is its mirror image."
    )
    header = ["class", "test rows", "share", "mean probability", "expected calibration error"]
    return header, cells, caption


def _with_ends(triple: Any) -> str:
    value, *ends = triple or [None] * 3
    if not finite(value):
        return NOTHING
    return f"{number(value)} ({interval_text(ends) if all(map(finite, ends)) else FEW})"
