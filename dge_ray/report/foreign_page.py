"""evaluation.html: the page on tables that some tool made."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dge_ray.phrases import NOTHING, number
from dge_ray.report.figures.axes import METHOD_COLOURS, REAL, named, style, svg_text
from dge_ray.report.shell.page import (
    Answers,
    Cards,
    Drawing,
    Fold,
    Glossary,
    Heading,
    Items,
    Pairs,
    Paragraph,
    Part,
    Table,
    TableCell,
    render,
)
from dge_ray.report.words.answer import rounded
from dge_ray.report.words.foreign import (
    HALVES,
    VERDICTS,
    about_tables,
    copies_judge,
    difference_text,
    sentences,
    told_apart,
)
from dge_ray.stats.metrics.losses import direction, label

MOST_COLUMNS = 30  # that the figure shows, the worst first
SHAPES = {"better": "▲ better", "level": "= the same", "worse": "▼ worse", "untold": "? not told apart"}
SIDES = {
    "together": "all tables' models together",
    "one": "one table's model",
    "real": "a model of the real rows",
    "constant": "a constant",
}
WORDS = {
    "two-sample AUC": "how well a classifier that has seen labelled rows of both kinds puts other rows in order of "
    "being synthetic: 0.5 is by chance. Beside it: with real rows in the synthetic ones' place",
    "shape error": "the mean over columns of the largest difference of distribution functions (measured columns), or "
    "of half the sum of differences of shares (categories); 0 to 1",
    "trend error": "the mean over pairs of columns of half the difference of correlations, or of the same distance of "
    "their joint shares; 0 to 1",
    "difference": "the score of models trained on the tables less that of models trained on the real rows, on the "
    "same real rows that judge, with its 95 % interval",
    "nearer to rows seen": "the share of synthetic rows whose nearest real row is one that they were made from, and "
    "not one of as many that nobody used; 50 % if nothing was copied",
}


def render_page(answer: Mapping[str, Any]) -> str:
    """The page, self-contained."""
    notes = [*([] if answer["held_out"] else [HALVES]), *answer["notes"]]
    parts: list[Part] = [
        Paragraph(f"{about_tables(answer)} ({answer['task']}); learner {answer['learner']}.", soft=True),
        Answers(sentences(answer)),
        _tiles(answer),
        *([Items(notes, warning=True)] if notes else []),
        Heading("Usefulness"),
        *_usefulness(answer),
        Heading("Fidelity"),
        *_fidelity(answer["fidelity"]),
        Heading("Each table"),
        _tables(answer),
        Heading("Words"),
        Glossary(WORDS),
        Fold(
            "What was read", [Pairs([(key, answer[key]) for key in ("real", "test", "synthetic", "target", "learner")])]
        ),
    ]
    return render("dge_ray evaluate", "Synthetic tables, judged by real rows", "", parts, WORDS)


def _tiles(answer: Mapping[str, Any]) -> Cards:
    fidelity, useful, near = answer["fidelity"], answer["usefulness"], answer["nearest"]
    verdict = (useful["together"] or {}).get("verdict")
    closer = "without test= not known" if near["closer"] is None else f"{near['closer']:.1%} nearer to rows seen"
    return Cards(
        [
            (
                "fidelity",
                "not known" if copies_judge(answer) else "told apart" if told_apart(fidelity) else "not told apart",
                f"two-sample AUC {rounded(fidelity['two_sample_auc'], fidelity['interval'])}",
            ),
            ("usefulness", SHAPES.get(str(verdict), "not known"), "against a model of the real rows"),
            (
                "copies",
                "found" if near["leak"] else "not found",
                f"{near['copies']:.2%} of rows equal a real one; {closer}",
            ),
        ]
    )


def _usefulness(answer: Mapping[str, Any]) -> list[Part]:
    useful = answer["usefulness"]
    metric, several = useful["metric"], len(answer["tables"]) > 1
    names = {**SIDES, "together": SIDES["together"] if several else SIDES["one"]}
    sides = [side for side in SIDES if several or side != "one"]
    rows = []
    for side in sides:
        told = useful[side] if side in ("together", "one") else None
        difference = verdict = ""
        if told is not None:
            difference, verdict = difference_text(told["difference"]), VERDICTS[told["verdict"]]
        rows.append([names[side], _score(useful["scores"][metric][side]), difference, verdict])
    caption = (
        f"{label(metric)} on the real rows that judge, {direction(metric)}, with 95 % intervals over them. Differences "
        f"are to the model of the real rows"
    )
    about = f", over {useful['together']['about']}" if useful["together"] else ""
    others = [name for name in useful["scores"] if name != metric]
    more = [[label(name), *(_score(useful["scores"][name][side]) for side in sides)] for name in others]
    return [
        Table(["trained on", label(metric), "difference", "it is"], rows, f"{caption}{about}.", numbers=True),
        Fold("Other metrics", [Table(["metric", *(names[side] for side in sides)], more, numbers=True)]),
    ]


def _score(score: Mapping[str, Any] | None) -> str | TableCell:
    if score is None:
        return NOTHING
    low, high = score["interval"]
    return TableCell(number(score["value"]), f"{rounded(low)} to {rounded(high)}")


def _fidelity(fidelity: Mapping[str, Any]) -> list[Part]:
    real, size = fidelity["real"], number(fidelity["rows"])
    names = {"two_sample_auc": "two-sample AUC", "shape_error": "shape error", "trend_error": "trend error"}
    rows = [[shown, rounded(fidelity[name]), rounded(real[name])] for name, shown in names.items()]
    pairs = [[" and ".join(one["pair"]), rounded(one["error"]), rounded(one["real"])] for one in fidelity["pairs"]]
    caption = f"Against real rows that judge, {size} rows of each; real: other real rows in the synthetic ones' place."
    alt = "Each column's error, synthetic and real"
    return [
        Table(["measure", "synthetic", "real"], rows, caption, numbers=True),
        Drawing(
            svg_text(columns_figure(fidelity), "columns"),
            alt,
            "Columns",
            "Each column's shape error, the worst first: synthetic rows, and real rows in their place.",
        ),
        *(
            [Fold("The worst pairs of columns", [Table(["pair", "synthetic", "real"], pairs, numbers=True)])]
            if pairs
            else []
        ),
    ]


def columns_figure(fidelity: Mapping[str, Any]) -> Figure:
    """Each column's error beside what real rows have, the worst at the top."""
    shown = sorted(fidelity["columns"], key=lambda one: one["real"] - one["error"])[:MOST_COLUMNS]
    figure = Figure(figsize=(6.4, 1.0 + 0.24 * len(shown)), layout="constrained")
    ax = figure.subplots()
    style(ax)
    at = np.arange(len(shown))
    ax.hlines(at, [one["real"] for one in shown], [one["error"] for one in shown], color=METHOD_COLOURS["dge"], lw=1)
    ax.plot([one["error"] for one in shown], at, "o", color=METHOD_COLOURS["dge"], label="synthetic")
    ax.plot([one["real"] for one in shown], at, "|", color=REAL, ms=10, mew=2, label="real")
    ax.set_yticks(at, [named(one["column"]) for one in shown])
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel("shape error")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False)
    return figure


def _tables(answer: Mapping[str, Any]) -> Table:
    header = [
        "table",
        "rows",
        "two-sample AUC",
        "shape error",
        "trend error",
        "copies",
        "nearer to rows seen",
        "strange",
    ]
    rows = [
        [
            one["table"],
            number(one["rows"]),
            rounded(one["two_sample_auc"], one["interval"]),
            rounded(one["shape_error"]),
            rounded(one["trend_error"]),
            f"{one['copies']:.2%}",
            NOTHING if one["closer"] is None else f"{one['closer']:.1%}",
            number(sum(one["strange"].values())),
        ]
        for one in answer["tables"]
    ]
    return Table(header, rows, "Strange: values that no real row could have.", numbers=True, shown=20)
