"""The figure of a study's several learners, from report.json and the surface alone."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from matplotlib import colormaps
from matplotlib.figure import Figure

from dge_ray.report.figures.axes import INK, NORMAL_95, StudyFigure, style, volume_axis
from dge_ray.report.figures.surface_grid import grid
from dge_ray.report.words.study import base_rows
from dge_ray.stats.metrics.losses import direction, label


def error_by_learner(report: Mapping, surface: pa.Table) -> Figure | None:
    """The selection metric of each learner's whole ensemble against volume, a panel a split; None with one learner."""
    rows, metric = report.get("learners") or [], str(report.get("metric"))
    if not rows:
        return None
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    colours = colormaps["tab10"]
    for ax, split in zip(axes, ("validation", "test"), strict=True):
        style(ax)
        volumes: set[int] = set()
        for place, row in enumerate(rows):
            cells = grid(surface, row, split=split, metric=metric)
            if cells is None:
                continue
            value, se = cells.row(int(cells.members[-1]))
            band = NORMAL_95 * np.nan_to_num(se)
            colour = colours(place % 10)
            chosen = bool(row.get("chosen"))
            ax.plot(cells.volumes, value, "o-", color=colour, ms=4, lw=2.4 if chosen else 1.4, label=row["learner"])
            ax.fill_between(cells.volumes, value - band, value + band, color=colour, alpha=0.09, lw=0)
            at = np.flatnonzero(cells.volumes == row["volume"])
            ax.plot(cells.volumes[at], value[at], "D", color=colour, ms=9, mfc="none", mew=1.6)
            volumes |= set(cells.volumes.tolist())
        if volumes:
            volume_axis(ax, np.array(sorted(volumes)), base_rows(report))
        ax.set_title(split, fontsize=10.5, color=INK)
    axes[0].set_ylabel(f"{label(metric)} ({direction(metric)})")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 6), frameon=False)
    return figure


LEARNER_FIGURES = (
    StudyFigure(
        "error_by_learner",
        "Error by learner",
        "The whole ensemble of each learner against volume; a diamond marks its own reflection point, the thick line "
        "the learner that is chosen on validation.",
        error_by_learner,
    ),
)
