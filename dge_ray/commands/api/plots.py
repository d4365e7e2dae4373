"""A study's figures in Python: each draws into the axes it is given, or into axes of a figure of its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dge_ray.errors import InputError
from dge_ray.report.figures.answer import draw_answer
from dge_ray.report.figures.axes import METHOD_COLOURS, REAL, named, short, style
from dge_ray.report.figures.surface_grid import grid
from dge_ray.stats.metrics.losses import direction, label
from dge_ray.table import Kind

MOST_COLUMNS = 12  # small multiples of `fidelity`
MOST_CATEGORIES = 10


def new_axes() -> Axes:
    """Axes of a new figure, which a notebook shows (`ax.figure`); pyplot's state is left alone."""
    return Figure(figsize=(7.2, 4.2), layout="constrained").subplots()


class Plots:
    """`study.plot`: methods that draw and give the axes."""

    def __init__(self, study: Any) -> None:
        self._study = study  # an `api.study.Study`

    def volume(self, ax: Axes | None = None) -> Axes:
        """The difference to the best model on real rows over the volume, as the report's first figure."""
        answer = self._study.report.get("answer") or {}
        if not (answer.get("curves") or {}).get("volumes"):
            raise InputError("study", "one of an earlier version", "a study whose report has an answer: tune it again")
        ax = new_axes() if ax is None else ax
        draw_answer(ax, self._study.report)
        return ax

    def members(self, ax: Axes | None = None, *, metric: str | None = None, split: str = "test") -> Axes:
        """A metric against the number of members at the recommended volume, with two standard errors."""
        cells, metric = self._cells(metric, split)
        at = int(np.argmin(np.abs(cells.volumes - self._study.answer["volume"])))
        ax = new_axes() if ax is None else ax
        style(ax)
        ax.errorbar(cells.members, cells.value[:, at], 2 * np.nan_to_num(cells.se[:, at]), fmt="o-", capsize=3)
        ax.set_xlabel(f"members, of {short(int(cells.volumes[at]))} rows each")
        ax.set_ylabel(f"{label(metric)} on {split} ({direction(metric)})")
        return ax

    def surface(self, ax: Axes | None = None, *, metric: str | None = None, split: str = "test") -> Axes:
        """A metric of every number of members at every volume; the cross is the recommended cell."""
        cells, metric = self._cells(metric, split)
        ax = new_axes() if ax is None else ax
        drawn = ax.imshow(cells.value, origin="lower", aspect="auto", cmap="viridis")
        ax.set_xticks(range(len(cells.volumes)), [short(int(v)) for v in cells.volumes])
        ax.set_yticks(range(len(cells.members)), [str(int(k)) for k in cells.members])
        answer = self._study.answer
        at = np.flatnonzero(cells.volumes == answer["volume"]), np.flatnonzero(cells.members == answer["members"])
        if all(map(len, at)):
            ax.plot(at[0][0], at[1][0], "x", color="white", ms=12, mew=3)
        ax.set_xlabel("synthetic rows a member")
        ax.set_ylabel("members")
        ax.figure.colorbar(drawn, ax=ax, label=f"{label(metric)} on {split} ({direction(metric)})")
        return ax

    def fidelity(self, columns: list[str] | None = None, *, rows: int = 5_000) -> Figure:
        """Columns of the real training rows and of the recommended members' rows, side by side; reads the real table.

        columns: their names; default the first 12 that are no text.
        """
        prepared = self._study.opened.prepared
        known = {c.name: c for c in prepared.schema.columns if c.kind is not Kind.TEXT}
        names = list(known)[:MOST_COLUMNS] if columns is None else columns
        if missing := [name for name in names if name not in known]:
            raise InputError("columns", repr(missing[0]), "names of the table's columns that are no text")
        real, made = prepared.parts["train"].to_pandas(), self._study.sample(rows)
        wide = min(4, len(names))
        tall = -(-len(names) // wide)
        figure = Figure(figsize=(2.6 * wide, 2.0 * tall), layout="constrained")
        for ax, name in zip(
            figure.subplots(tall, wide, squeeze=False).ravel(), [*names, *[None] * wide * tall], strict=False
        ):
            if name is None:
                ax.set_axis_off()
            else:
                style(ax)
                _two(ax, {"real": real[name], "synthetic": made[name]}, bool(known[name].categories))
                ax.set_title(named(name), fontsize=9)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
        return figure

    def _cells(self, metric: str | None, split: str) -> tuple[Any, str]:
        report = self._study.report
        metric = metric or str(report["metric"])
        cells = grid(self._study.opened.surface, report, split=split, metric=metric)
        if cells is None:
            raise InputError("metric", f"{metric!r} on {split!r}", "a metric of the study, on validation or test")
        return cells, metric


def _two(ax: Axes, values: Mapping[str, Any], coded: bool) -> None:
    """The same column of two tables: shares of its categories, or of bins of equal width."""
    colours = {"real": REAL, "synthetic": METHOD_COLOURS["dge"]}
    if coded:
        order = values["real"].astype(str).value_counts().index[:MOST_CATEGORIES]
        for at, (name, column) in enumerate(values.items()):
            shares = column.astype(str).value_counts(normalize=True).reindex(order, fill_value=0.0)
            ax.bar(np.arange(len(order)) + 0.4 * at - 0.2, shares, 0.4, color=colours[name], alpha=0.7, label=name)
        ax.set_xticks(range(len(order)), [named(one)[:8] for one in order], fontsize=7)
        return
    numbers = {name: column.dropna().to_numpy() for name, column in values.items()}
    if all(one.dtype.kind == "M" for one in numbers.values()) or any(one.dtype == object for one in numbers.values()):
        import pandas as pd

        numbers = {name: pd.to_datetime(one).to_numpy() for name, one in numbers.items()}
    edges = np.histogram_bin_edges(numbers["real"].astype(np.float64), bins=24).tolist()
    for name, one in numbers.items():
        shown = one.astype(np.float64)
        weights = np.full(len(shown), 1 / max(len(shown), 1))
        ax.hist(shown, edges, weights=weights, histtype="step", color=colours[name], lw=1.5, label=name)
