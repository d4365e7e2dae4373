"""How the report says a study's several learners, weights and families of generators: their tables, and a line."""

from collections.abc import Mapping, Sequence
from typing import Any

from dge_ray.phrases import NOTHING, finite, interval_text, number, ratio_text
from dge_ray.stats.metrics.losses import label


def learner_cells(report: Mapping) -> tuple[list[str], list[list[str]], str]:
    """Header, lines and caption of the table of learners; no lines where there is one learner only."""
    metric = str(report.get("metric"))
    lines = []
    for row in report.get("learners") or []:
        test = row.get("test") or {}
        difference = row.get("difference") or [None] * 3
        against = f"{number(difference[0], signed=True)} ({interval_text(difference[1:], signed=True)})"
        lines.append(
            [
                f"{row['learner']}{' (chosen)' if row.get('chosen') else ''}",
                f"{number(row.get('volume'))} ({row.get('ratio'):.3g}x)",
                f"{row.get('status')}; {interval_text(row.get('interval'))}",
                interval_text(_ends(row.get("candidates"))),
                number(row.get("validation")),
                f"{number(row.get('risk'))} ({interval_text(row.get('risk_interval'))})",
                number((test.get("real") or {}).get(metric)),
                against if finite(difference[0]) else NOTHING,
            ]
        )
    header = [
        "learner",
        "volume",
        "status; interval",
        "may be the best pair",
        "validation, chosen here",
        "test",
        "on the real rows, test",
        "chosen less this",
    ]
    caption = (
        f"{label(metric)} of every learner's ensemble at its own reflection point. Learner and volume are chosen on "
        "validation, so what stands there is optimistic; intervals hold for all learners at once. May be the best "
        "pair: the volumes that one comparison of all pairs of learner and volume does not reject, at 95 %. The "
        "difference is over new members and rows, paired on both, with its 95 % interval. Of twenty learners that are "
        "as good, one is expected to look worse."
    )
    return header, lines, caption


def _ends(volumes: Sequence[int] | None) -> tuple[Any, Any]:
    return (min(volumes), max(volumes)) if volumes else (None, None)


def weight_sentence(report: Mapping) -> str | None:
    """Which weight may be used with which learner, and how far it is known to be better; None without weights."""
    safe = [row for row in report.get("weights") or [] if row.get("safe")]
    if not safe:
        return None
    parts = []
    for row in safe:
        if row["weight"] == 0:
            parts.append(f"{row['learner']} 0, since none is known to beat the raw rows alone")
        else:
            gain = f"{label(str(report.get('metric')))} {number(row['difference'], signed=True)}"
            parts.append(f"{row['learner']} {row['weight']:g}, {gain} to the raw rows alone on validation")
    return "weight of the synthetic rows together, per raw row: " + "; ".join(parts)


def weight_cells(report: Mapping) -> tuple[list[str], list[list[str]], str]:
    """Header, lines and caption of the table of weights; no lines where there are none."""
    lines = []
    for row in report.get("weights") or []:
        zero = row["weight"] == 0
        lines.append(
            [
                f"{row['learner']}, {row['weight']:g}{' (safe)' if row.get('safe') else ''}",
                f"{number(row.get('volume'))} ({ratio_text(row.get('ratio'), 1)})",
                NOTHING if zero or not finite(row.get("difference")) else number(row["difference"], signed=True),
                NOTHING if zero or not finite(row.get("limit")) else number(row["limit"], signed=True),
            ]
        )
    caption = (
        f"{label(str(report.get('metric')))} at each weight's reflection point less that of the raw rows alone, weight "
        "0, on the same validation rows; the limit is what the difference is known not to be worse than, at 95 % for "
        "all weights and volumes together. A weight is used only if its limit too is on the good side of 0. The weight "
        "is what all synthetic rows count together, per raw row."
    )
    return ["learner, weight", "volume", "less weight 0", "limit"], lines, caption


def stacking_cells(report: Mapping) -> tuple[list[str], list[list[str]], str]:
    """Header, lines and caption of the table of the families' weights; no lines where there are none."""
    stacked = report.get("stacking") or {}
    lines = [
        [str(row["family"]), number(row["members"]), number(row["equal"]), number(row["weight"])]
        for row in stacked.get("families") or []
    ]
    if not lines:
        return [], [], ""
    metric = str(report.get("metric"))
    gains = []
    for part, how in (("validation", "by folds of the validation rows"), ("test", "on test")):
        found = stacked[part]
        over = "rows and members" if found["over_members"] else "rows alone"
        gains.append(
            f"{number(found['gain'], signed=True)} ({interval_text(found['interval'], signed=True)}, over {over}) {how}"
        )
    loss, difference = str(stacked["loss"]).replace("_", " "), stacked["difference"]
    caption = (
        f"What the families of generators count in the ensemble of least {loss} on validation, beside what they count "
        f"where all members are equal. Its gain in {loss} over equals: {'; '.join(gains)}. In {label(metric)} it is "
        f"{number(difference[0], signed=True)} ({interval_text(difference[1:], signed=True)}) to equals on test. All "
        "else in this report is of equals."
    )
    return ["family", "members", "share, as equals", "weight"], lines, caption
