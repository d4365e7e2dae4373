"""The first part of a study's page: answer, tiles, the one figure, the one table, what could not be told, its use."""

from collections.abc import Mapping

from dge_ray.phrases import duration, finite, number, ratio_text
from dge_ray.report.fidelity_parts import fidelity_parts, fidelity_tile
from dge_ray.report.figures.answer import ANSWER_FIGURES, answer_figure
from dge_ray.report.figures.axes import svg_text
from dge_ray.report.shell.page import (
    Answers,
    Cards,
    Drawing,
    Heading,
    Items,
    Markdown,
    Paragraph,
    Part,
    Table,
    TableCell,
)
from dge_ray.report.words.answer import about_line, answer_sentences, answered, next_commands, rounded
from dge_ray.report.words.attack import overall_verdict
from dge_ray.report.words.study import base_rows, comparison, method_names
from dge_ray.stats.metrics.losses import direction, label

SAID = {"better": "better", "worse": "worse", "level": "same", "untold": "not told apart"}
SHAPES = {"better": "▲ better", "same": "= the same", "worse": "▼ worse", "not told apart": "? not told apart"}


def answer_parts(report: Mapping, attacks: Mapping | None, utility: Mapping | None) -> list[Part]:
    """Empty where the report has no answer."""
    if not answered(report):
        return []
    warnings = [str(text) for text in report.get("warnings") or []]
    untold = _untold(report)
    return [
        Paragraph(about_line(report), soft=True),
        Answers(answer_sentences(report)),
        _tiles(report, attacks, utility),
        *([Items(warnings[:3], warning=True)] if warnings else []),
        *_figure(report),
        Heading("Against what else could be done"),
        _table(report),
        *([Heading("What could not be told"), Items(untold)] if untold else []),
        *fidelity_parts(report),
        Heading("Use it"),
        Markdown(_use(report)),
    ]


def _tiles(report: Mapping, attacks: Mapping | None, utility: Mapping | None) -> Cards:
    answer = answered(report)
    best, volume = answer["best"], answer["volume"]
    known = "known to be enough" if answer["told"] else "the smallest safe choice"
    return Cards(
        [
            ("usefulness", SHAPES[answer["verdict"]], "against the best model on real rows"),
            ("volume", f"{number(volume)} rows", f"{ratio_text(volume, base_rows(report))} the real rows; {known}"),
            (
                "members",
                number(answer["members"]),
                f"of {number(best['members'])} tried; {duration(answer['price_cpu_s'])} of CPU time",
            ),
            ("fidelity", *(fidelity_tile(report) or _fidelity(utility))),
            ("privacy", *_privacy(report, attacks)),
        ]
    )


def _fidelity(utility: Mapping | None) -> tuple[str, str]:
    """How well a classifier tells synthetic rows' features from real ones."""
    found = (((utility or {}).get("ingredients") or {}).get("overlap") or {}).get("mean") or {}
    if not finite(found.get("c2st")):
        return "not measured", "dge-ray utility measures it"
    return rounded(found["c2st"]), "accuracy of telling synthetic from real features; 0.5 is by chance"


def _privacy(report: Mapping, attacks: Mapping | None) -> tuple[str, str]:
    found = (
        ""
        if not attacks
        else "; attacks found a leak"
        if overall_verdict(attacks).startswith("Leak")
        else "; attacks found no leak"
    )
    if report.get("privacy"):
        return f"ε {number(report['privacy']['epsilon'])}", f"differential privacy of the training rows{found}"
    return "no guarantee", found.removeprefix("; ") or "dge-ray attack looks for leaks"


def _figure(report: Mapping) -> list[Part]:
    figure = answer_figure(report)
    if figure is None:
        return []
    (record,) = ANSWER_FIGURES
    return [Drawing(svg_text(figure, record.name), record.title, record.title, record.caption)]


def _table(report: Mapping) -> Table:
    """Every approach's error in the study's metric, and what the whole ensemble's is less it."""
    metric, test = str(report.get("metric")), report.get("test") or {}
    rows: list[list[str | TableCell]] = []
    for method, name in method_names(report).items():
        value = (test.get(method) or {}).get(metric)
        if not finite(value):
            continue
        judged = comparison(report, method, metric)
        if judged is None:
            rows.append([name, number(value), "", ""])
            continue
        word, (difference, *ends) = judged
        shown = f"{rounded(ends[0], ends, signed=True)} to {rounded(ends[1], ends, signed=True)}"
        rows.append(
            [
                name,
                number(value),
                TableCell(rounded(difference, ends, signed=True), shown),
                TableCell(SAID[word], mark=word),
            ]
        )
    margin = (report.get("margins") or {}).get(metric)
    members, volume = report.get("members"), (report.get("reflection_point") or {}).get("volume")
    caption = (
        f"{label(metric)} on untouched real rows, {direction(metric)}. DGE here: all {number(members)} members with "
        f"{number(volume)} rows each, the least error on validation. Difference: DGE less the approach, with its "
        f"95 % interval; the same: within {rounded(margin)}."
    )
    return Table(["approach", label(metric), "difference", "DGE is"], rows, caption, numbers=True, strong="DGE")


def _untold(report: Mapping) -> list[str]:
    answer = answered(report)
    tell = [part for part in str(answer["what_would_tell"] or "").split("; ") if part]
    lines = []
    if not answer["told"]:
        lines.append(f"Which numbers of generators and rows are enough: {tell[0]} would tell, roughly.")
    if answer["verdict"] == "not told apart":
        lines.append(
            f"Whether that is better or worse than the best model on real rows: {tell[-1]} would tell, roughly."
        )
    return lines


def _use(report: Mapping) -> str:
    """Lines to copy."""
    utility, publish = next_commands(report)
    study = str(report.get("study")).replace("`", "")
    return (
        f"```\n{utility}\n{publish}\n```\n\nor in Python:\n\n```\nimport dge_ray\n"
        f'study = dge_ray.open_study("{study}")\nstudy.model().predict(frame)\nstudy.sample(1000)\n```'
        + _of_mlflow(report)
    )


def _of_mlflow(report: Mapping) -> str:
    """How MLflow loads the model, where it has it."""
    model = str(report.get("model") or "").replace("`", "")
    load = f'import mlflow\nmlflow.pyfunc.load_model("{model}").predict(frame)'
    return f"\n\nor from MLflow:\n\n```\n{load}\n```" if model else ""
