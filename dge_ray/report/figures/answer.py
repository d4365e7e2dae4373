"""The one figure of a study's answer: its difference to the best model on real rows over the volume."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dge_ray.phrases import finite
from dge_ray.report.figures.axes import GREY, METHOD_COLOURS, POINT, StudyFigure, of_report, style, volume_axis
from dge_ray.report.words.answer import answered
from dge_ray.report.words.study import base_rows, method_names
from dge_ray.stats.metrics.losses import higher_is_better, label

COLOURS = (METHOD_COLOURS["dge"], METHOD_COLOURS["naive_single"])


def draw_answer(ax: Axes, report: Mapping) -> None:
    """Into axes: a line for the recommended number of members with its band, one for one member, and the margin.

    `report`: one whose answer has `curves`.
    """
    answer, metric = answered(report), str(report.get("metric"))
    volumes = np.array(answer["curves"]["volumes"], dtype=np.int64)
    style(ax)
    volume_axis(ax, volumes, base_rows(report))
    margin = (report.get("margins") or {}).get(metric)
    if finite(margin):
        ax.axhspan(-margin, margin, color=GREY, alpha=0.18, lw=0)
    ax.axhline(0, color=GREY, lw=1)
    for colour, curve in zip(COLOURS, answer["curves"]["of"], strict=False):
        value, lo, hi = np.array(curve["differences"], dtype=np.float64).T
        first = curve is answer["curves"]["of"][0]
        ax.plot(volumes, value, "o-", color=colour, ms=4, lw=2 if first else 1.4)
        if first:
            ax.fill_between(volumes, lo, hi, color=colour, alpha=0.15, lw=0)
            at = int(np.flatnonzero(volumes == answer["volume"])[0])
            ax.plot(volumes[at], value[at], "o", color=POINT, ms=9, mfc="none", mew=2)
        name = "one generator" if curve["members"] == 1 else f"{curve['members']} generators"
        ax.annotate(name, (volumes[-1], value[-1]), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
    rival = method_names(report).get(answer["against"], answer["against"])
    better = "above 0 is better" if higher_is_better(metric) else "below 0 is better"
    ax.set_ylabel(f"{label(metric)} less that of\n{rival}\n({better})")


def answer_figure(report: Mapping) -> Figure | None:
    """None where the report has no answer, or no volume to draw it over."""
    if not (answered(report).get("curves") or {}).get("volumes") or not answered(report)["volume"]:
        return None
    figure = Figure(figsize=(6.0, 3.9), layout="constrained")
    draw_answer(figure.subplots(), report)
    return figure


ANSWER_FIGURES = (
    StudyFigure(
        "answer",
        "Synthetic rows against the best model on real rows",
        "Difference in error on untouched real rows, over the synthetic rows that a generator gives. The ring is the "
        "recommended volume, the band the 95 % interval over new generators, fits and rows; within the grey strip, the "
        "margin, nothing matters.",
        of_report(answer_figure),
    ),
)
