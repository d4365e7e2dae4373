"""The ensemble and the methods that it is compared with, on test."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dge_ray.phrases import finite
from dge_ray.report.figures.axes import INK, METHOD_COLOURS, StudyFigure, of_report, style
from dge_ray.report.words.study import comparison, method_names
from dge_ray.stats.comparison.baselines import METHODS
from dge_ray.stats.metrics.losses import higher_is_better, label


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
            value, compared = test[method].get(metric), comparison(report, method, metric)
            colour = METHOD_COLOURS[method]
            if compared:
                _, (_, least, most) = compared
                lo, hi = reference - most, reference - least
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


METHOD_FIGURES = (
    StudyFigure(
        "test_comparison",
        "Test comparison",
        "Points are values on the untouched test rows. A bar is the 95 % interval of the paired difference to DGE: "
        "where it does not touch the vertical line, the method differs from DGE.",
        of_report(test_comparison),
        on_card=True,
    ),
)
