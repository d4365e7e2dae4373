"""How the report says a study's several learners: the table, and the figure's caption."""

from collections.abc import Mapping

from dge_ray.words import NOTHING, finite, interval_text, label, number

LEARNER_CAPTIONS = {
    "error_by_learner": (
        "Error by learner",
        "The whole ensemble of each learner against volume; a diamond marks its own reflection point, the thick line "
        "the learner that is chosen on validation.",
    ),
}


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
        "validation",
        "test",
        "on the real rows, test",
        "chosen less this",
    ]
    caption = (
        f"{label(metric)} of every learner's ensemble at its own reflection point. Learner and volume are chosen on "
        "validation; the difference is paired on the same test rows, given these models, with its 95 % interval."
    )
    return header, lines, caption
