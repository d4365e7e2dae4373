"""Columns of the real and of the synthetic rows as small multiples: shares, never a row."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dge_ray.report.figures.axes import GREY, METHOD_COLOURS, StudyFigure, named, of_report

ACROSS = 3
MOST_NAME, MOST_LABEL = 20, 7  # letters, so that neighbours do not meet


def fidelity_figure(report: Mapping) -> Figure | None:
    """A panel a column: grey the train rows' shares, the line the synthetic rows'. None where there are none."""
    columns = (report.get("fidelity") or {}).get("columns") or []
    if not columns:
        return None
    across = min(ACROSS, len(columns))
    down = -(-len(columns) // across)
    figure = Figure(figsize=(max(2.0 * across, 3.0), 0.45 + 1.45 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    for ax, column in zip(axes.flat, columns, strict=False):
        _panel(ax, column)
    for ax in axes.flat[len(columns) :]:
        ax.set_visible(False)
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def _panel(ax: Axes, column: Mapping) -> None:
    train, made = np.array(column["train"]), np.array(column["synthetic"])
    at = np.arange(len(train))
    ax.bar(at, train, 0.92, color=GREY, alpha=0.45, label="real (train)")
    ax.step(np.r_[at - 0.5, len(at) - 0.5], np.r_[made, made[-1:]], where="post", color=METHOD_COLOURS["dge"], lw=1.6)
    ax.plot([], [], color=METHOD_COLOURS["dge"], lw=1.6, label="synthetic")
    ax.set_title(named(_cut(column["name"], MOST_NAME)), fontsize=9)
    ax.set_yticks([])
    ax.spines[["top", "right", "left"]].set_visible(False)
    if "labels" in column:
        ax.set_xticks(at, [named(_cut(text, MOST_LABEL)) for text in column["labels"]], fontsize=8, rotation=40)
        for text in ax.get_xticklabels():
            text.set_horizontalalignment("right")
            text.set_rotation_mode("anchor")
    else:
        low, high = ax.set_xticks([-0.5, len(at) - 0.5], column["ends"], fontsize=8)
        low.label1.set_horizontalalignment("left")
        high.label1.set_horizontalalignment("right")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


FIDELITY_FIGURES = (
    StudyFigure(
        "fidelity",
        "Columns of real and of synthetic rows",
        "Shares of rows in bins and in the commonest categories: grey those of the real rows that the generators were "
        "fitted on, the line those of the synthetic rows. Real rows are not shown, nor a bin that holds fewer than 5.",
        of_report(fidelity_figure),
    ),
)
