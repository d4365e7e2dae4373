"""What the figures have in common: their record, colours, axes, and how they become a PNG.

Matplotlib's object-oriented interface only: no pyplot, no global state.
"""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter, NullLocator

from dge_ray.phrases import finite, one_line, ratio_text

DPI = 110
MOST_TICKS = 11
NORMAL_95 = 1.96
SCALE = 1.33  # of a drawing on a page that has room
INK, GREY, REAL, POINT = "#222222", "#8a8a8a", "#000000", "#d55e00"  # Okabe-Ito vermillion marks m-hat
METHOD_COLOURS = {
    "dge": "#0072b2",
    "naive_single": "#e69f00",
    "naive_ensemble": "#009e73",
    "naive_concatenated": "#cc79a7",
    "raw": "#56b4e9",
    "constant": GREY,
    "simple": REAL,
    "real": REAL,
    "real_all": REAL,
    "real_ensemble": REAL,
}


Draw = Callable[[Mapping, pa.Table], Figure | None]


@dataclass(frozen=True)
class StudyFigure:
    """A figure of a study's report: `figures/NAME.png`; on the page its title, which is its alternative text too,
    and its caption.

    `draw`: of the report and the surface; None where they do not have what it shows. `on_card`: it stands on a
    published bundle's page too.
    """

    name: str
    title: str
    caption: str
    draw: Draw
    on_card: bool = False


def of_report(draw: Callable[[Mapping], Figure | None]) -> Draw:
    """A figure of the report alone, which does not look at the surface."""
    return lambda report, surface: draw(report)


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)  # a figure made without pyplot has no canvas of its own
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def svg_text(figure: Figure, name: str = "") -> str:
    """The figure as an `<svg>` element for a page: black is the page's ink, whatever that is, and the ground is the
    page's. A window narrower than its texts need scrolls it. The same figure gives the same text.

    `name`: what tells its inner references from those of the page's other figures.
    """
    buffer = io.StringIO()
    FigureCanvasSVG(figure)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": f"dge_ray {name}"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    wide, high = (72 * inches for inches in figure.get_size_inches())
    size = f'<svg viewBox="0 0 {wide:g} {high:g}" width="{SCALE * wide:g}" style="min-width: {wide:g}px" '
    text = re.sub(r"^<svg [^>]*?(?=version)", size, text)  # an element of a page is in no namespace of its own
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text)  # the same ones in every figure
    text = text.replace("stroke: #e6e6e6", "stroke: currentColor; stroke-opacity: .15")
    return re.sub(r"(stroke|fill): (#000000|#222222)", r"\1: currentColor", text)


def volume_axis(ax: Axes, volumes: np.ndarray, n: Any) -> None:
    """Log axis with the volumes as ticks, as many as have room, and the ratios to the real rows along the top; 0 is
    beside it."""
    pad = 1.12 if len(volumes) > 1 else 2.0
    if volumes[0]:
        ax.set_xscale("log")
        ax.set_xlim(volumes[0] / pad, volumes[-1] * pad)
    elif len(volumes) > 1:
        ax.set_xscale("symlog", linthresh=volumes[1], linscale=0.5)
        ax.set_xlim(-0.1 * volumes[1], volumes[-1] * pad)
    volumes = _spaced(volumes)
    axis_ticks = [(ax.xaxis, [short(v) for v in volumes])]
    if finite(n) and n:
        top = ax.secondary_xaxis("top")
        top.tick_params(labelsize=8, colors=GREY, length=3)
        top.spines["top"].set_color("#cccccc")
        top.set_xlabel("ratio m / n", fontsize=8.5, color=GREY)
        axis_ticks.append((top.xaxis, [ratio_text(int(v), n) for v in volumes]))
    for axis, texts in axis_ticks:
        axis.set_major_locator(FixedLocator(volumes.tolist()))
        axis.set_major_formatter(FixedFormatter(texts))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("volume m: synthetic rows a member")


def _spaced(volumes: np.ndarray) -> np.ndarray:
    """The volumes, less those whose tick would touch the one before; the last and 0 are always there."""
    drawn = volumes[volumes > 0]
    if not len(drawn):
        return volumes
    apart = np.log(drawn[-1] / drawn[0]) / MOST_TICKS
    kept = [drawn[-1]]
    for volume in drawn[-2::-1]:
        if np.log(kept[-1] / volume) >= apart:
            kept.append(volume)
    return np.array([*volumes[volumes == 0], *kept[::-1]])


def short(volume: int) -> str:
    """A volume for an axis: 981, 32.6k, 1.2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if volume >= size:
            return f"{volume / size:.3g}{letter}"
    return str(int(volume))


def named(name: object) -> str:
    """A column's or category's name for a figure: Matplotlib would take what stands between `$` for a formula."""
    return one_line(str(name)).replace("$", r"\$")


def style(ax: Axes, grid_axis: Any = "both") -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid_axis, color="#e6e6e6", lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=8.5)
