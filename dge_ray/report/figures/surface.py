"""The surface over members and volume as a map."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from matplotlib import colormaps
from matplotlib.colors import FuncNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from dge_ray.phrases import number, ratio_text
from dge_ray.report.figures.axes import INK, POINT, StudyFigure, short
from dge_ray.report.figures.surface_grid import grid
from dge_ray.report.words.study import base_rows
from dge_ray.stats.metrics.losses import direction, higher_is_better, label

ON_LIGHT = "#1a1a1a"  # on a light cell, whatever the page's ground is


def surface_map(report: Mapping, surface: pa.Table) -> Figure | None:
    """The K x m surface on validation as a heat map; m-hat's column framed, dropped cells hatched."""
    metric = str(report.get("metric"))
    cells = grid(surface, report, split="validation", metric=metric)
    if cells is None or np.isfinite(cells.value).sum() < 2:
        return None  # one cell is no map
    high, wide = cells.value.shape
    figure = Figure(figsize=(min(max(2.6 + 0.86 * wide, 6.2), 13), min(2.1 + 0.36 * high, 8)), layout="constrained")
    ax = figure.subplots()
    shades = colormaps["cividis" if higher_is_better(metric) else "cividis_r"].with_extremes(bad="#eeeeee")
    norm = _norm(cells.value, higher=higher_is_better(metric))
    image = ax.imshow(np.ma.masked_invalid(cells.value), origin="lower", aspect="auto", cmap=shades, norm=norm)
    for row, column in np.ndindex(high, wide):
        value = cells.value[row, column]
        if cells.dropped[row, column]:
            colour = "#ffffffa0" if np.isfinite(value) else "#8a8a8aa0"
            box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="///", edgecolor=colour, linewidth=0)
            ax.add_patch(box)
        if np.isfinite(value) and wide <= 12:
            red, green, blue, _ = shades(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            ax.text(
                column,
                row,
                number(float(value)),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else ON_LIGHT,
            )
    point = report.get("reflection_point") or {}
    at = np.flatnonzero(cells.volumes == point.get("volume"))
    if len(at):
        frame = Rectangle((at[0] - 0.5, -0.5), 1, high, fill=False, edgecolor=POINT, linewidth=2.6, clip_on=False)
        ax.add_patch(frame)
    n = base_rows(report)
    ax.set_xticks(range(wide), [f"{short(v)}\n{ratio_text(int(v), n)}" for v in cells.volumes], fontsize=8.5)
    ax.set_yticks(range(high), [str(k) for k in cells.members], fontsize=8.5)
    ax.set_xlabel("volume m (rows a member, and as a multiple of the real rows)")
    ax.set_ylabel("members K")
    least, most = float(np.nanmin(cells.value)), float(np.nanmax(cells.value))
    ticks = [tick for tick in MaxNLocator(6).tick_values(least, most) if least <= tick <= most]
    bar = figure.colorbar(image, ax=ax, pad=0.02, ticks=ticks)
    bar.set_label(f"{label(metric)}, validation", fontsize=9)
    dropped = "; hatched: dropped early" if cells.dropped.any() else ""
    ax.set_title(f"{direction(metric)}; framed: the reflection point{dropped}", fontsize=10.5, color=INK)
    return figure


def _norm(value: np.ndarray, *, higher: bool) -> Normalize:
    """Colour by the root of the distance to the best cell: one bad corner must not wash out the neighbours of m-hat."""
    low, high = float(np.nanmin(value)), float(np.nanmax(value))
    if low == high:
        return Normalize(low - 1, high + 1)
    if higher:
        return FuncNorm((lambda v: -np.sqrt(np.maximum(high - v, 0)), lambda u: high - u**2), low, high)
    return FuncNorm((lambda v: np.sqrt(np.maximum(v - low, 0)), lambda u: low + u**2), low, high)


SURFACE_FIGURES = (
    StudyFigure(
        "surface",
        "The surface",
        "The error of every ensemble size K at every volume m on validation; yellow is better. The frame is the "
        "reflection point's column. Hatched volumes were given up early, because they could not become the best.",
        surface_map,
    ),
)
