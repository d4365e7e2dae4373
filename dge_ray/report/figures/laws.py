"""Figures of the laws and of uncertainty, from report.json alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dge_ray.phrases import finite, number
from dge_ray.report.figures.axes import GREY, INK, METHOD_COLOURS, POINT, StudyFigure, of_report, style, volume_axis
from dge_ray.report.words.study import base_rows
from dge_ray.stats.comparison.subgroups import LARGEST_SHARE
from dge_ray.stats.metrics.losses import label

DGE = METHOD_COLOURS["dge"]


def held_back_members(report: Mapping) -> Figure | None:
    """Errors that the first half of the members predict, with intervals, and those that all members show."""
    law = report.get("klaw") or {}
    rows = [row for row in law.get("held_back") or [] if finite(row.get("measured"))]
    if not rows:
        return None
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    ax = figure.subplots()
    style(ax)
    k = np.array([row["members"] for row in rows])
    value, lo, hi = np.array([row["predicted"] for row in rows], dtype=float).T
    bars = [value - lo, hi - value]
    ax.errorbar(k - 0.06, value, bars, fmt="o", color=DGE, capsize=3, label=f"predicted from {rows[0]['from']} members")
    ax.plot(k + 0.06, [row["measured"] for row in rows], "s", color=POINT, label="measured with all")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("members K, held back")
    ax.set_ylabel(f"{label(str(law.get('metric')))}, test")
    ax.legend(frameon=False, fontsize=8.5)
    return figure


def curve_shape_figure(report: Mapping) -> Figure | None:
    """Every volume's risk less that at the reflection point, with intervals over all pairs and the tolerance."""
    curve = report.get("curve") or {}
    rows = curve.get("differences") or []
    if len(rows) < 2:
        return None
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    ax = figure.subplots()
    style(ax)
    m, value, lo, hi = np.array([[row[name] for name in ("volume", "value", "lo", "hi")] for row in rows], float).T
    bound = curve["tolerance"]
    ax.axhspan(-bound, bound, color=GREY, alpha=0.14, lw=0, label=f"under the tolerance, {number(bound)}")
    ax.axhline(0, color=GREY, lw=1)
    ax.errorbar(m, value, [value - lo, hi - value], fmt="o-", ms=4.5, lw=1.2, elinewidth=0.9, color=DGE)
    if curve.get("call") == "plateau":
        ax.axvline(curve["plateau_from"], color=POINT, lw=1.4, label=f"flat from {curve['plateau_from']:,} rows on")
    volume = (report.get("volume_law") or {}).get("volume")
    volume_axis(ax, m.astype(int), base_rows(report))
    if finite(volume):
        at, (left, right) = round(volume), ax.get_xlim()
        ax.axvline(np.clip(volume, left, right), color="black", lw=1.2, ls=":", label=f"worst-case law: {at:,} at most")
    ax.set_ylabel(f"{label(str(curve.get('metric')))} less its least (above 0: worse)")
    ax.set_title(f"{curve.get('call')}", fontsize=10.5, color=INK)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    return figure


def learning_curve_figure(report: Mapping) -> Figure | None:
    """The fitted law over the volumes with its floor; the band is the floor's interval. None of a law that these
    volumes do not identify: its line would be read as if it held."""
    law = report.get("learning_curve") or {}
    if law.get("status") != "fitted" or not law.get("curve") or not law.get("floor"):
        return None
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    ax = figure.subplots()
    style(ax)
    m, curve = np.array(law["volumes"], dtype=float), np.array(law["curve"], dtype=float)
    floor, lo, hi = law["floor"]
    ax.plot(m, curve, "o-", color=DGE, ms=4.5, label="the law at the volumes tried")
    ax.axhline(floor, color=GREY, ls=":", lw=1.2, label=f"floor {number(floor)}")
    ax.axhspan(lo, hi, color=GREY, alpha=0.12, lw=0)
    gap = law.get("generator_gap")
    if gap:
        ax.axhline(floor - gap[0], color="black", ls="--", lw=1.2, label="real rows")
    volume_axis(ax, m.astype(int), base_rows(report))
    ax.set_ylabel(f"{label(str(law.get('metric')))}, validation (lower is better)")
    ax.legend(frameon=False, fontsize=8.5)
    return figure


def calibration_figure(report: Mapping) -> Figure | None:
    """Reliability of the likeliest class, and accuracy of the rows above each confidence."""
    uncertainty = report.get("uncertainty") or {}
    bins, curve = uncertainty.get("calibration") or {}, uncertainty.get("accuracy_confidence") or {}
    if not bins.get("confidence"):
        return None
    figure = Figure(figsize=(9.4, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    for ax in (left, right):
        style(ax)
    left.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    sizes = 10 + 90 * np.array(bins["rows"]) / max(bins["rows"])
    left.scatter(bins["confidence"], bins["accuracy"], s=sizes, color=DGE)
    least = max(0.0, min(*bins["confidence"], *bins["accuracy"]) - 0.05)
    left.set_xlim(least, 1.02)
    left.set_ylim(least, 1.02)
    left.set_xlabel("confidence (area: rows)")
    left.set_ylabel("accuracy, test")
    left.set_title(f"calibration error {_interval(uncertainty.get('ece'))}", fontsize=10.5, color=INK)
    at = _numbers(curve.get("thresholds"))
    right.plot(at, _numbers(curve.get("accuracy")), color=DGE, label="accuracy of the rows kept")
    right.fill_between(at, _numbers(curve.get("lo")), _numbers(curve.get("hi")), color=DGE, alpha=0.12, lw=0)
    right.plot(at, _numbers(curve.get("kept")), color=GREY, ls=":", label="share of rows kept")
    right.set_xlabel("rows with a confidence above")
    right.legend(frameon=False, fontsize=8.5)
    return figure


def subgroups_figure(report: Mapping) -> Figure | None:
    """Ensemble less naive ensemble, and less the real rows, against the group's share of rows."""
    rows = [row for row in report.get("subgroups") or [] if row.get("differences")]
    rows = [row for row in rows if all(finite(v) for d in row["differences"].values() for v in d)]
    if not rows:
        return None
    figure = Figure(figsize=(9.4, 3.9), layout="constrained")
    axes: Sequence[Any] = figure.subplots(1, 2, sharey=True)
    for ax, method in zip(axes, ("naive_ensemble", "real"), strict=True):
        style(ax)
        share = 100 * np.array([row["share"] for row in rows])
        value, lo, hi = np.array([row["differences"][method] for row in rows], dtype=float).T
        colour = METHOD_COLOURS[method]
        ax.errorbar(share, value, [value - lo, hi - value], fmt="o", ms=4, color=colour, elinewidth=0.8, alpha=0.8)
        ax.axhline(0, color=GREY, lw=1)
        ax.set_xlim(0, 100 * LARGEST_SHARE + 1)
        ax.set_xlabel("group's share of the real rows, %")
        ax.set_title(f"DGE less {method.replace('_', ' ')} (below 0: DGE is better)", fontsize=10.5, color=INK)
    lawful = "mse" if (report.get("data") or {}).get("task") == "regression" else "brier"
    axes[0].set_ylabel(f"difference in {label(lawful)}, test")
    return figure


def _interval(triple: Any) -> str:
    return f"{number(triple[0])} ({number(triple[1])} to {number(triple[2])})" if triple else ""


def _numbers(values: Any) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values or []], dtype=float)


LAW_FIGURES = (
    StudyFigure(
        "curve_shape",
        "What the curve does",
        "The error at each volume less that at the reflection point, paired on the same members and validation rows "
        "(above 0: worse). The bars hold for all pairs of volumes at once, at 95 %, so also for the one that was "
        "chosen. Grey: differences under the tolerance. Volumes whose bars lie inside it are as good as the best for "
        "all that matters.",
        of_report(curve_shape_figure),
    ),
    StudyFigure(
        "held_back_members",
        "Members held back",
        "The law in K put to the test: errors predicted from the first half of the members alone, with 95 % intervals "
        "over members on these test rows, and what all members show. A square outside its bar says that the members "
        "are not of one kind.",
        of_report(held_back_members),
    ),
    StudyFigure(
        "learning_curve",
        "What more rows can still bring",
        "The law D m^-a + C fitted to the error over volumes. Above the dotted floor is what more synthetic rows could "
        "still take off; between the floor (shade: its 95 % interval) and the dashed line of the real rows lies what "
        "only a better generator, or more members, could.",
        of_report(learning_curve_figure),
    ),
    StudyFigure(
        "calibration",
        "Is it as sure as it should be?",
        "Left: accuracy against confidence of the ensemble's likeliest class; on the diagonal they agree. Right: "
        "accuracy of the rows it is surer about than a threshold, with exact 95 % intervals, and how many those are.",
        of_report(calibration_figure),
        on_card=True,
    ),
    StudyFigure(
        "subgroups",
        "Groups of few rows",
        "Each point is a group: a column's rarest category or one of its tails. Bars are 95 % intervals one by one; of "
        "twenty groups one will miss 0 by chance alone.",
        of_report(subgroups_figure),
        on_card=True,
    ),
)
