"""How a report says the curve over volumes: its call, its noise floor, and what the worst-case law is worth."""

from collections.abc import Mapping
from typing import Any

from dge_ray.phrases import NOTHING, finite, interval_text, number, ratio_text
from dge_ray.report.words.study import base_rows
from dge_ray.stats.metrics.losses import label


def call_sentence(report: Mapping) -> str:
    """What the curve does at its end, with its interval; empty where the report does not say."""
    curve = report.get("curve") or {}
    if not curve.get("rise"):
        return ""
    value, lo, hi = curve["rise"]
    last = number((report.get("volumes") or [None])[-1])
    against = (
        f"{number(value, signed=True)} ({interval_text((lo, hi), signed=True)}) against {_rows(curve, 'rise_over')}"
    )
    if curve["call"] == "rise":
        small = "" if hi >= curve["tolerance"] else ", which is under the tolerance"
        return f"the curve rises: at {last} rows the error is higher by {against}{small}"
    if curve["call"] == "plateau":
        return (
            f"the curve is flat from {_rows(curve, 'plateau_from')} on: no larger volume differs by "
            f"{number(curve['tolerance'])} or more"
        )
    if curve["call"] == "falls":
        return f"the curve still falls at {last} rows: its last doubling gains, by a paired test"
    return f"rise, plateau or fall is undecided: at {last} rows the error is {against}"


def noise_sentence(report: Mapping) -> str:
    """Which differences these rows and members cannot tell, and what it would take; empty where not known."""
    floor = (report.get("curve") or {}).get("noise_floor") or {}
    if not finite(floor.get("difference")):
        return ""
    first, second = floor["volumes"]
    metric = label(str(report["curve"].get("metric")))
    text = (
        f"differences under {number(floor['difference'])} in {metric} cannot be told "
        f"with {number(floor['rows'])} validation rows and {_members(floor['members'])} "
        f"(between {number(first)} and {number(second)} rows a member)"
    )
    ways = [f"{number(floor['rows_for_half'])} rows"] if finite(floor.get("rows_for_half")) else []
    ways += [f"{number(floor['members_for_half'])} members"] if finite(floor.get("members_for_half")) else []
    if ways:
        return f"{text}; half of that takes about {' or '.join(ways)}"
    return f"{text}; half of that takes more rows and more members, four times both"


def law_sentence(report: Mapping) -> str:
    """The worst-case law's volume beside the curve's, and what it is worth; empty where it was not computed."""
    law, point = report.get("volume_law") or {}, report.get("reflection_point") or {}
    if not law:
        return ""
    evidence = f"a classifier tells synthetic from real rows with accuracy {number(law.get('accuracy'))}"
    if not finite(law.get("volume")):
        return f"{evidence} ({interval_text(law.get('accuracy_interval'))}): not at all, so the law sets no volume"
    text = (
        f"at most {number(round(law['volume']))} rows ({evidence}, so total variation is {number(law.get('distance'))} "
        f"or more; exponent {number(law.get('exponent'))})"
    )
    lowest = (point.get("interval") or [None])[0]
    if finite(lowest) and law["volume"] < lowest:
        return (
            f"{text}: vacuous here, the curve is best at {number(lowest)} rows or more; the law bounds the worst case"
        )
    return f"{text}: an order of magnitude, from a bound on the worst case"


def curve_rows(report: Mapping) -> list[tuple[str, str]]:
    """Name and value for people."""
    curve = report.get("curve") or {}
    if not curve:
        return []
    rows = [("at its end", call_sentence(report) or NOTHING)]
    tolerance = number(curve.get("tolerance"))
    if finite(curve.get("enough_from")):
        rows.append((f"beyond it no volume gains {tolerance} or more", _rows(curve, "enough_from", report)))
    if noise := noise_sentence(report):
        rows.append(("noise floor", noise))
    if law := law_sentence(report):
        rows.append(("best volume by the worst-case law", law))
    search = report.get("search") or {}
    if search.get("name") == "refine":
        tried = f"{number(search.get('volumes'))} of the {number(search.get('grid'))} volumes, coarse to fine"
        rows.append(("volumes looked at", tried))
    return rows


def _rows(curve: Mapping, key: str, report: Mapping | None = None) -> str:
    volume: Any = curve.get(key)
    tail = f" ({ratio_text(volume, base_rows(report))})" if report else ""
    return f"{number(volume)} rows{tail}"


def _members(count: Any) -> str:
    return "one member" if count == 1 else f"{number(count)} members"
