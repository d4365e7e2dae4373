"""How a bundle's members differ, column by column, from their synthetic rows alone."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dge_ray.report.figures.axes import INK, named, png_bytes, short, style
from dge_ray.table import CODED, MEASURED, Column, TableCodec, TableSchema

MOST_COLUMNS = 12
MOST_CATEGORIES = 8
MOST_NAME = 14  # letters of a category
ROWS = 50_000  # of a member, at the most
SHARES = np.linspace(0.02, 0.98, 49)


def members_by_column(tables: Sequence[pa.Table], schema: TableSchema) -> bytes | None:
    """PNG: a panel a column, the target first, and in it a line a member: shares of the commonest categories, or
    quantiles. None where no column has either."""
    columns = [c for c in schema.varying if c.kind in CODED or c.kind in MEASURED]
    columns = sorted(columns, key=lambda column: column.name != schema.target)[:MOST_COLUMNS]
    if not columns:
        return None
    codec, names = TableCodec(schema), [column.name for column in columns]
    encoded = [codec.encode(table.slice(0, ROWS), names) for table in tables]
    across = min(4, len(columns))
    down = -(-len(columns) // across)
    figure = Figure(figsize=(2.8 * across, 0.4 + 2.3 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    for ax, column in zip(axes.flat, columns, strict=False):
        style(ax)
        ax.set_title(named(column.name[:30]), fontsize=9.5, color=INK)
        draw = _categories if column.kind in CODED else _quantiles
        draw(ax, column, [member[column.name] for member in encoded])
    for ax in axes.flat[len(columns) :]:
        ax.set_visible(False)
    return png_bytes(figure)


def _shades(count: int) -> list:
    return [colormaps["viridis"](x) for x in np.linspace(0.05, 0.9, count)]


def _categories(ax: Axes, column: Column, members: list[np.ndarray]) -> None:
    counts = np.array([np.bincount(codes[codes >= 0], minlength=len(column.categories)) for codes in members])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    common = np.argsort(-shares.mean(axis=0), kind="stable")[:MOST_CATEGORIES]
    for colour, row in zip(_shades(len(members)), shares[:, common], strict=True):
        ax.plot(range(len(common)), row, "o", color=colour, ms=3.5, alpha=0.8)
    names = [named(str(column.categories[at])[:MOST_NAME]) for at in common]
    ax.set_xticks(range(len(common)), names, rotation=60, ha="right", fontsize=7)
    ax.set_ylim(bottom=0)


def _quantiles(ax: Axes, column: Column, members: list[np.ndarray]) -> None:
    for colour, values in zip(_shades(len(members)), members, strict=True):
        present = values[~np.isnan(values)]
        if len(present):
            ax.plot(SHARES, np.quantile(present, SHARES), color=colour, lw=1.1, alpha=0.8)
    ax.yaxis.set_major_formatter(lambda value, _: short(int(value)) if abs(value) >= 1000 else f"{value:.4g}")
    ax.set_xticks([0, 0.5, 1])
