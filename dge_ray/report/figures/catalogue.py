"""The figures of a study's report: the one list of them, from which they are drawn, shown, published and taken away.

They are drawn from report.json and surface.parquet alone. To add one: its function and its record, beside those of its
subject in a module of this folder.
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa
from matplotlib.figure import Figure

from dge_ray.report.figures.answer import ANSWER_FIGURES
from dge_ray.report.figures.axes import StudyFigure, svg_text
from dge_ray.report.figures.errors import ERROR_FIGURES
from dge_ray.report.figures.fidelity import FIDELITY_FIGURES
from dge_ray.report.figures.laws import LAW_FIGURES
from dge_ray.report.figures.learners import LEARNER_FIGURES
from dge_ray.report.figures.methods import METHOD_FIGURES
from dge_ray.report.figures.surface import SURFACE_FIGURES
from dge_ray.report.shell.page import Drawing, Picture

# in the page's order
FIGURES: tuple[StudyFigure, ...] = (
    *ANSWER_FIGURES,
    *FIDELITY_FIGURES,
    *ERROR_FIGURES,
    *LEARNER_FIGURES,
    *SURFACE_FIGURES,
    *METHOD_FIGURES,
    *LAW_FIGURES,
)


def drawn(report: Mapping, surface: pa.Table) -> dict[str, Figure]:
    """Every figure that the report and the surface allow, by name."""
    figures = {figure.name: figure.draw(report, surface) for figure in FIGURES}
    return {name: figure for name, figure in figures.items() if figure is not None}


def drawings(figures: Mapping[str, Figure]) -> dict[str, str]:
    """Figures as SVG for a page, by name."""
    return {name: svg_text(figure, name) for name, figure in figures.items()}


def pictures(figures: Mapping[str, bytes | str]) -> Iterable[Picture | Drawing]:
    """Parts of a page: each figure, PNG or SVG, with its title and caption; a figure that has no record goes by its
    name."""
    records = {figure.name: figure for figure in FIGURES}
    for name, image in figures.items():
        record = records.get(name)
        title, caption = (record.title, record.caption) if record else (name.replace("_", " "), "")
        if isinstance(image, str):
            yield Drawing(image, alt=title, title=title, caption=caption)
        else:
            yield Picture(image, alt=title, title=title, caption=caption)
