"""The report's figures, as PNG bytes, from report.json and surface.parquet alone.

Matplotlib's object-oriented interface only: no pyplot, no global state.
"""

import io
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import FuncNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from dge_ray.phrases import finite, number, ratio_text
from dge_ray.report.axes import INK, METHOD_COLOURS, POINT, REAL, short, style, volume_axis
from dge_ray.report.figures_laws import draw_laws
from dge_ray.report.figures_learners import error_by_learner
from dge_ray.report.surface_grid import Grid, grid
from dge_ray.report.words import base_rows, comparison, method_names
from dge_ray.stats.comparison.baselines import METHODS
from dge_ray.stats.metrics.losses import direction, higher_is_better, label

DPI = 110
NORMAL_95 = 1.96


def draw(report: Mapping, surface: pa.Table) -> dict[str, bytes]:
    """Every figure that the report and the surface allow, by name, as PNG bytes."""
    drawn = {
        "error_by_volume": error_by_volume(report, surface),
        "error_by_members": error_by_members(report, surface),
        "error_by_learner": error_by_learner(report, surface),
        "surface": surface_map(report, surface),
        "test_comparison": test_comparison(report),
        **draw_laws(report),
    }
    return {name: _png(figure) for name, figure in drawn.items() if figure is not None}


def error_by_volume(report: Mapping, surface: pa.Table) -> Figure | None:
    """The selection metric against volume for K = 1, 2, 4, ..., one panel a split, with m-hat and its interval."""
    metric = str(report.get("metric"))
    panels = {split: grid(surface, report, split=split, metric=metric) for split in ("validation", "test")}
    panels = {split: found for split, found in panels.items() if found is not None}
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
        for split, (found, at) in cells.items():
            colour, marker = (METHOD_COLOURS["dge"], "o") if split == "validation" else (POINT, "s")
            value, error = found.value[:, at], NORMAL_95 * np.nan_to_num(found.se[:, at])
            there = np.isfinite(value)
            ks, value, error = found.members[there], value[there], error[there]
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
        ax.set_xlim(0.5, max(found.members[-1] for found, _ in cells.values()) + 0.5)
        lawful_title = "follows the 1/K law; dotted: endless members"
        ax.set_title(lawful_title if name == lawful else "selection metric", fontsize=10.5, color=INK)
        ax.legend(frameon=False, fontsize=8.5)
    return figure


def law(members: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """(R(inf), s2) of R(K) = R(inf) + s2 / K through the first and the last member count; exact for squared losses."""
    first, last = 1 / members[0], 1 / members[-1]
    s2 = (value[0] - value[-1]) / (first - last)
    return float(value[0] - s2 * first), float(s2)


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
                column, row, number(float(value)), ha="center", va="center", fontsize=8, color="white" if dark else INK
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


def test_comparison(report: Mapping) -> Figure | None:
    """Each method on test, a panel a metric; bars are the paired intervals of its difference to DGE."""
    test = report.get("test") or {}
    methods = [name for name in METHODS if test.get(name)]
    metrics = [name for name, value in (test.get("dge") or {}).items() if finite(value)]
    if not metrics:
        return None
    across = 2 if len(metrics) in (2, 4) else min(3, len(metrics))
    down = -(-len(metrics) // across)
    figure = Figure(
        figsize=(1.5 + (3.3 if across > 2 else 4.2) * across, 0.3 + (0.95 + 0.3 * len(methods)) * down),
        layout="constrained",
    )
    axes = figure.subplots(down, across, squeeze=False, sharey=True)
    for ax, metric in zip(axes.flat, metrics, strict=False):
        style(ax, grid_axis="x")
        reference = float(test["dge"][metric])
        ax.axvline(reference, color=METHOD_COLOURS["dge"], lw=1.2, alpha=0.55)
        for at, method in enumerate(methods):
            value, found = test[method].get(metric), comparison(report, method, metric)
            colour = METHOD_COLOURS[method]
            if found:
                lo, hi = reference - found[1][2], reference - found[1][1]
                ax.plot([lo, hi], [at, at], color=colour, lw=2.2, alpha=0.75, solid_capstyle="butt")
            if finite(value):
                ax.plot(value, at, "D" if method == "dge" else "o", color=colour, ms=6.5)
        ax.set_yticks(range(len(methods)), [method_names(report)[name] for name in methods])
        ax.set_ylim(len(methods) - 0.5, -0.5)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        arrow = "→ better" if higher_is_better(metric) else "← better"
        ax.set_title(f"{label(metric)}  ({arrow})", fontsize=10.5, color=INK)
    for ax in axes.flat[len(metrics) :]:
        ax.set_visible(False)
    return figure


def _norm(value: np.ndarray, *, higher: bool) -> Normalize:
    """Colour by the root of the distance to the best cell: one bad corner must not wash out the neighbours of m-hat."""
    low, high = float(np.nanmin(value)), float(np.nanmax(value))
    if low == high:
        return Normalize(low - 1, high + 1)
    if higher:
        return FuncNorm((lambda v: -np.sqrt(np.maximum(high - v, 0)), lambda u: high - u**2), low, high)
    return FuncNorm((lambda v: np.sqrt(np.maximum(v - low, 0)), lambda u: low + u**2), low, high)


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
    """Ordered, colour-blind safe colours from light (K = 1) to dark (most members)."""
    return [colormaps["viridis_r"](x) for x in (np.linspace(0.18, 0.92, count) if count > 1 else [0.75])]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)  # a figure made without pyplot has no canvas of its own
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
