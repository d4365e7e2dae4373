"""The error against the volume, and against the number of members."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dge_ray.phrases import finite, number
from dge_ray.report.figures.axes import INK, METHOD_COLOURS, NORMAL_95, POINT, REAL, StudyFigure, style, volume_axis
from dge_ray.report.figures.surface_grid import Grid, grid
from dge_ray.report.words.study import base_rows
from dge_ray.stats.metrics.losses import direction, label


def error_by_volume(report: Mapping, surface: pa.Table) -> Figure | None:
    """The selection metric against volume for K = 1, 2, 4, ..., one panel a split, with m-hat and its interval."""
    metric = str(report.get("metric"))
    panels = {split: grid(surface, report, split=split, metric=metric) for split in ("validation", "test")}
    panels = {split: cells for split, cells in panels.items() if cells is not None}
    if not panels:
        return None
    figure = Figure(figsize=(1.2 + 4.9 * len(panels), 4.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    n = base_rows(report)
    for ax, (split, cells) in zip(axes, panels.items(), strict=True):
        style(ax)
        shown = _doublings(cells.members)
        for colour, members in zip(_shades(len(shown)), shown, strict=True):
            value, se = cells.row(members)
            band = NORMAL_95 * np.nan_to_num(se)
            ax.plot(cells.volumes, value, "o-", color=colour, ms=4, lw=1.8, label=f"K = {members}")
            if len(cells.volumes) == 1:  # a band over one volume has no width
                ax.errorbar(cells.volumes, value, band, color=colour, capsize=3)
            ax.fill_between(cells.volumes, value - band, value + band, color=colour, alpha=0.09, lw=0)
        if split == "validation":
            _smooth_band(ax, report)
        _mark_reflection(ax, report)
        real = ((report.get("test") or {}).get("real") or {}).get(metric)
        if split == "test" and finite(real):
            ax.axhline(real, color=REAL, ls="--", lw=1.3, label="real rows")
        volume_axis(ax, cells.volumes, n)
        chosen = "the volume is chosen here" if split == "validation" else "read once, for the report"
        ax.set_title(f"{split}: {chosen}", fontsize=10.5, color=INK)
    axes[0].set_ylabel(f"{label(metric)} ({direction(metric)})")
    handles = {text: handle for ax in axes for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    order = sorted(handles, key=lambda text: (not text.startswith("K"), text == "real rows"))
    figure.legend(
        [handles[text] for text in order], order, loc="outside lower center", ncols=min(len(order), 8), frameon=False
    )
    return figure


def _smooth_band(ax: Axes, report: Mapping) -> None:
    """The smooth curve of all members and its simultaneous band."""
    band = (report.get("curve") or {}).get("band")
    if band:
        at = np.array(band["at"])
        ax.plot(at, band["value"], color=INK, lw=0.9, label="smooth curve, simultaneous band")
        for edge in ("lo", "hi"):
            ax.plot(at, band[edge], color=INK, lw=0.9, ls=":")


def error_by_members(report: Mapping, surface: pa.Table) -> Figure | None:
    """Error against K at m-hat: the selection metric, and Brier or squared error with the law R(inf) + s2 / K."""
    metric = str(report.get("metric"))
    lawful = "mse" if (report.get("data") or {}).get("task") == "regression" else "brier"
    panels = [(metric, _panel_cells(report, surface, metric))]
    if lawful != metric:
        panels.append((lawful, _panel_cells(report, surface, lawful)))
    panels = [(name, cells) for name, cells in panels if cells]
    if not panels:
        return None
    figure = Figure(figsize=(1.2 + 4.4 * len(panels), 3.9), layout="constrained")
    for ax, (name, cells) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        style(ax)
        for split, (surface_cells, at) in cells.items():
            colour, marker = (METHOD_COLOURS["dge"], "o") if split == "validation" else (POINT, "s")
            value, error = surface_cells.value[:, at], NORMAL_95 * np.nan_to_num(surface_cells.se[:, at])
            there = np.isfinite(value)
            ks, value, error = surface_cells.members[there], value[there], error[there]
            apart = -0.06 if split == "validation" else 0.06  # bars side by side
            ax.errorbar(
                ks + apart, value, error, fmt=marker, ms=4.5, color=colour, elinewidth=0.9, alpha=0.9, label=split
            )
            if name == lawful and len(ks) > 1:
                limit, s2 = law(ks, value)
                smooth = np.linspace(ks[0], ks[-1], 200)
                ax.plot(
                    smooth + apart,
                    limit + s2 / smooth,
                    color=colour,
                    lw=1.4,
                    label=f"{number(limit)} + {number(s2)} / K",
                )
                ax.axhline(limit, color=colour, lw=0.9, ls=":", alpha=0.8)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.set_xlabel("members K")
        ax.set_ylabel(f"{label(name)} ({direction(name)})")
        ax.set_xlim(0.5, max(surface_cells.members[-1] for surface_cells, _ in cells.values()) + 0.5)
        lawful_title = "follows the 1/K law; dotted: endless members"
        ax.set_title(lawful_title if name == lawful else "selection metric", fontsize=10.5, color=INK)
        ax.legend(frameon=False, fontsize=8.5)
    return figure


def law(members: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """(R(inf), s2) of R(K) = R(inf) + s2 / K through the first and the last member count; exact for squared losses."""
    first, last = 1 / members[0], 1 / members[-1]
    s2 = (value[0] - value[-1]) / (first - last)
    return float(value[0] - s2 * first), float(s2)


def _panel_cells(report: Mapping, surface: pa.Table, metric: str) -> dict[str, tuple[Grid, int]]:
    """Per split, the grid and the column of the reflection point (else the last volume)."""
    out = {}
    for split in ("validation", "test"):
        cells = grid(surface, report, split=split, metric=metric)
        root = None if cells or metric != "mse" else grid(surface, report, split=split, metric="rmse")
        if root is not None:  # a surface that keeps the root only; the error of a square by the delta method
            cells = Grid(root.members, root.volumes, root.value**2, 2 * root.value * root.se, root.dropped)
        if cells is not None:
            at = np.flatnonzero(cells.volumes == (report.get("reflection_point") or {}).get("volume"))
            column = int(at[0]) if len(at) else len(cells.volumes) - 1
            if np.isfinite(cells.value[:, column]).any():
                out[split] = cells, column
    return out


def _mark_reflection(ax: Axes, report: Mapping) -> None:
    point = report.get("reflection_point") or {}
    lo, hi = point.get("interval") or (None, None)
    if finite(lo) and finite(hi):
        if lo == hi:  # one volume: an interval without width would not be seen
            lo, hi = lo / 1.06, hi * 1.06
        ax.axvspan(lo, hi, color=POINT, alpha=0.09, lw=0, label="interval of m̂")
    if finite(point.get("volume")):
        ax.axvline(point["volume"], color=POINT, lw=1.6, label="reflection point m̂")


def _doublings(members: np.ndarray) -> list[int]:
    """K = 1, 2, 4, ... as far as they are there, and the largest."""
    wanted = {2**power for power in range(20)} | {int(members[-1])}
    return [int(k) for k in members if int(k) in wanted]


def _shades(count: int) -> list:
    """Ordered, colour-blind safe colours from light (K = 1) to dark (most members), all seen on white and on black."""
    return [colormaps["viridis_r"](x) for x in (np.linspace(0.2, 0.72, count) if count > 1 else [0.6])]


ERROR_FIGURES = (
    StudyFigure(
        "error_by_volume",
        "Error against volume",
        "Each line is an ensemble of K members; the shade is ±1.96 standard errors of a cell. Read the lowest point of "
        "the darkest line: the vertical line marks it, the vertical band is its interval. Left is the validation split "
        "on which the volume was chosen, with a smooth curve through the darkest line and, dotted, the band that holds "
        "all of the curve at once; right the test split, on which it is reported; the dashed line is the same learner "
        "trained on the real rows.",
        error_by_volume,
        on_card=True,
    ),
    StudyFigure(
        "error_by_members",
        "Error against members",
        "What more members bring at the chosen volume. For the Brier score and the squared error the law R(∞) + s²/K "
        "is exact: the distance from the last point to the dotted line is all that more members could still gain.",
        error_by_members,
        on_card=True,
    ),
)
